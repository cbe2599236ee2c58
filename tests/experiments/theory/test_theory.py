"""The studies of theory at their smallest size: every step holds, and the numbers are those of their definitions."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.experiments.theory import E1, E3, T1, T2, T3, T4, T5, T7
from tdn_theory.experiments.theory.steps import prove_all
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Study
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory import proofs
from tdn_theory.theory.equivariance import mean_square_error

PROVING = (E1.STUDY, T1.STUDY, T2.STUDY, T3.STUDY, T4.STUDY, T7.STUDY)


@pytest.fixture
def values(tmp_path: Path) -> Callable[[Study], dict[str, Any]]:
    """The values of a study at its smallest size as they come back from their file."""

    def run(study: Study) -> dict[str, Any]:
        return json.loads(json.dumps(study.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))["values"]

    return run


@pytest.mark.parametrize("study", PROVING, ids=lambda study: study.id)
def test_every_step_of_every_proof_holds(values: Callable[[Study], dict[str, Any]], study: Study) -> None:
    found = values(study)
    steps = [*found["proof"], *found.get("lower_bound", [])]
    assert steps
    assert all(step["holds"] is True for step in steps)
    assert all(step["cases"] > 0 and step["claim"] and step["latex"] for step in steps)


def test_a_step_that_fails_is_recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(proofs, "exact_tensor", lambda *_: {})  # the zero tensor in place of M
    steps = prove_all(("definition", "spectrum"), 1, Jobs(tmp_path))
    assert [step["holds"] for step in steps] == [False] * 4


def test_largest_L_says_how_far_proofs_go(values: Callable[[Study], dict[str, Any]]) -> None:
    found = values(E1.STUDY)
    assert found["largest"] == 2
    assert [step["claim"] for step in found["proof"] if "(L = 2)" in step["claim"]]
    assert [(row["L"], row["paths"]) for row in found["rows"]] == [(1, 5), (2, 15)]
    for row in found["rows"]:
        assert_close(row["norm_squared"], row["paths"], 1e-13, "norm_squared")
        assert row["coefficient_error"] < 1e-15
        assert row["svd_difference"] < 1e-14


def test_both_forms(values: Callable[[Study], dict[str, Any]]) -> None:
    """`A ((B^T x) * (C^T y))`: R products of d numbers three times, and R of two."""
    (row,) = values(E3.STUDY)["rows"]
    assert row["relative_difference"] < 1e-13
    assert (row["cp"], row["dense"]) == (7 * (4 + 4 + 4) + 7, 4**2 + 4**3)


def test_bounds_are_in_order(values: Callable[[Study], dict[str, Any]]) -> None:
    (row,) = values(T1.STUDY)["rows"]
    assert 0 < row["largest_error_found"] <= row["certified_bound"] <= row["non_equivariant_bound"]
    assert row["non_equivariant_bound"] <= row["residual_bound"] <= row["trivial_bound"] < row["theorem_bound"]
    assert row["best_core_bound"] <= row["square_root_bound"] <= row["theorem_bound"]
    assert row["first_rank_below_trivial"] == 27 > row["d"] ** 2


def test_uniqueness(values: Callable[[Study], dict[str, Any]]) -> None:
    """At L = 1 there are fewer equations than unknowns, so no terms are unique; turned ones are as good."""
    fit, exact = values(T5.STUDY)["rows"]
    assert [(row["L"], row["R"], row["possible"], row["unique"]) for row in (fit, exact)] == [
        (1, 7, False, False),
        (1, 8, False, False),
    ]
    for row in (fit, exact):
        assert_close(row["residual_turned"], row["residual"], 1e-14, "residual of the turned decomposition")
        assert row["terms_moved"] > 0.1
    assert exact["tensor_moved"] < 1e-13, "an exact product is left alone"
    assert fit["tensor_moved"] > 1e-3


def test_moved_tensors_are_equivariance_errors() -> None:
    """Of one rotation; their mean square over rotations is the exact mean square error."""
    factors = rank_sweep.best_solution(1, 7).factors
    name, norm = rank_sweep.best_name(1, 7), float(np.linalg.norm(factors.array))
    moved = [T5.examine(1, 7, name, seed)["tensor_moved"] for seed in range(100)]
    expected = sqrt(mean_square_error(factors)) / norm
    error = float(np.std(np.square(moved))) / sqrt(len(moved))
    assert abs(np.mean(np.square(moved)) - expected**2) < 5 * error


def test_terms_add_up() -> None:
    factors = outer_product(CouplingTensor(1))
    terms = T5._terms(factors)
    assert terms.shape == (16, 64)
    assert_close(terms.sum(axis=0).reshape(4, 4, 4), CouplingTensor(1).array, 1e-14, "sum of the terms")
