"""The convolution with Triton kernels: values and derivatives are those of its definition."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tdn_theory.nn.kernels import loops
from tests.nn.test_convolution import agree, derivatives, random_case, reference
from tests.nn.test_kernels import EPS
from tests.nn.triton_reference import DEVICE

pytestmark = pytest.mark.usefixtures("triton_kernels")


@pytest.mark.parametrize("dtype", EPS, ids=str)
@pytest.mark.parametrize("seed", range(6))
def test_random_convolutions(seed, dtype, monkeypatch):
    """Couplings as in the tests on a CPU, weights per path and shared, some without edges."""
    monkeypatch.setattr(loops, "usable", lambda: False)
    rng = np.random.default_rng(seed)
    case = random_case(rng)
    edges = (5, 0, 5, 1, 5, 5)[seed]
    inputs = case.inputs(3, edges, rng, dtype, one_row=seed % 3 == 2)
    x, y, w, source, target = (value.to(DEVICE) for value in inputs)
    convolution = case.convolution().to(DEVICE)
    got = derivatives(lambda *some: convolution(*some, source, target, 3), (x, y, w))
    doubled = [value.cpu().double() for value in (x, y, w)]
    wanted = derivatives(lambda *some: reference(case, *some, source.cpu(), target.cpu(), 3), doubled)
    agree([part.cpu().double() for part in got], wanted, EPS[dtype], f"seed {seed}")


def test_the_kernels_are_used(monkeypatch):
    """No feature of the size of the edges is made."""
    monkeypatch.setattr(loops, "usable", lambda: False)
    monkeypatch.setattr(torch, "bmm", lambda *_: pytest.fail("plain torch was used"))
    rng = np.random.default_rng(1)
    case = random_case(rng)
    x, y, w, source, target = (value.to(DEVICE) for value in case.inputs(3, 2, rng))
    z = case.convolution().to(DEVICE)(*(value.requires_grad_() for value in (x, y, w)), source, target, 3)
    torch.autograd.grad(z.sum(), (x, y, w))
