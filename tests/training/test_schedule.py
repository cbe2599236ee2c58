"""The learning rate against its definition and against torch's schedulers."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.config import ScheduleConfig
from tdn_theory.training.schedule import learning_rate_factor


@settings(max_examples=40)
@given(
    losses=st.lists(st.sampled_from([0.5, 0.9, 0.99995, 1.0, 1.1, 2.0]), max_size=30),
    patience=st.integers(0, 4),
    factor=st.sampled_from([0.1, 0.5, 0.8]),
)
def test_plateau_is_that_of_torch(losses, patience, factor):
    weight = torch.nn.Parameter(torch.zeros(1))
    optimizer = torch.optim.SGD([weight], lr=1.0)
    peer = torch.optim.lr_scheduler.ReduceLROnPlateau(optimizer, factor=factor, patience=patience, eps=0)
    for loss in losses:
        peer.step(loss)
    config = ScheduleConfig("plateau", patience=patience, factor=factor, floor=0.0)
    got = learning_rate_factor(config, float(len(losses)), 100, losses)
    assert_close(got, optimizer.param_groups[0]["lr"], 1e-12, f"factor after {losses}")


def test_cosine_with_warmup():
    config = ScheduleConfig("cosine", warmup=2.0, warmup_factor=0.2, floor=0.0)
    got = [learning_rate_factor(config, t, 10, []) for t in (0.0, 1.0, 2.0, 4.0, 6.0, 10.0)]
    wanted = [0.2, 0.6, 1.0, (1 + np.cos(np.pi / 4)) / 2, 0.5, 0.0]
    assert_close(got, wanted, 1e-12, "factors of cosine")


def test_constant_and_floor():
    assert learning_rate_factor(ScheduleConfig("constant"), 50.0, 100, [1.0] * 50) == 1.0
    assert learning_rate_factor(ScheduleConfig("cosine", floor=0.01), 100.0, 100, []) == 0.01
    assert learning_rate_factor(ScheduleConfig("plateau", floor=0.01), 100.0, 100, [1.0] * 100) == 0.01


@pytest.mark.parametrize("kind", ["plateau", "cosine", "constant"])
def test_warmup_ends_at_the_full_rate(kind):
    config = ScheduleConfig(kind, warmup=0.5, warmup_factor=0.0)
    assert learning_rate_factor(config, 0.25, 10, []) == 0.5
    assert_close(learning_rate_factor(config, 0.5 + 1e-9, 10, []), 1.0, 1e-12, "factor after warm-up")
