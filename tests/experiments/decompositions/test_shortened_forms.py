"""What is shortened is found where it is known, and counted."""

from __future__ import annotations

from pathlib import Path

import pytest

from tdn_theory.experiments.decompositions.shortened_forms import STUDY, near_weights, without_path, without_term
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


@pytest.mark.parametrize(("lmax", "form", "rank"), [(1, "control", 8), (2, "cubature", 18)])
def test_a_form_that_needs_less_is_shortened(lmax: int, form: str, rank: int) -> None:
    """Seven terms do at L = 1, and 17 for the even paths at L = 2, where a cubature takes 18."""
    found = without_term(lmax, form, rank, term=rank - 1)
    assert (found["R"], found["dead"]) == (rank - 1, [])
    assert found["residual"] < 1e-13
    assert found["condition"] < 10


def test_a_form_of_least_rank_is_not() -> None:
    """Six is the rank of the even paths at L = 1."""
    found = without_term(1, "even", 6, term=0)
    assert found["dead"] or found["residual"] > 1e-6
    near = near_weights(1, "even", starts=3, seed=0)
    assert (near["R"], near["starts"], near["exact"]) == (5, 3, 0)


def test_a_sum() -> None:
    """All paths but 1 x 1 -> 1 take no more terms than six, since the even ones do."""
    found = without_path(1, "all", [1, 1, 1], 6, starts=4, seed=0)
    assert found["starts"] == 4
    assert found["exact"] <= found["alive"] <= 4
    assert found["exact"] or not found["alive"]


def test_smallest_run(tmp_path: Path) -> None:
    values = STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path))["values"]
    assert [row["R"] for row in values["less_one"]] == [7] * 8 + [5] * 6
    assert [row["starts"] for row in values["near"]] == [5]
    assert all(row["starts"] == 1 for row in values["sums"])
