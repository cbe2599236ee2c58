"""F2, F3a and F3b at their smallest size: fits are kept, measured, and drawn."""

from __future__ import annotations

import json
from collections.abc import Callable
from math import sqrt
from pathlib import Path
from typing import Any

import matplotlib.pyplot
import pytest

from tdn_theory import checkout
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.schedules import PAPER_SCHEDULES
from tdn_theory.cp.store import Store
from tdn_theory.experiments.decompositions import F2, F3a, F3b, rank_sweep
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Study
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory.bounds import trivial_bound
from tdn_theory.theory.equivariance import mean_square_error
from tests.assertions import refuses


@pytest.fixture
def recorded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[Study], dict[str, Any]]:
    """The record of a study at its smallest size as it comes back from its file, drawn once; the store is empty."""
    monkeypatch.setenv("TDN_THEORY_STORE", str(tmp_path / "store"))

    def record(study: Study) -> dict[str, Any]:
        made = study.record(Preset.SMALLEST, 0, Jobs(tmp_path / "jobs"))
        read: dict[str, Any] = json.loads(json.dumps(made, allow_nan=False))
        matplotlib.pyplot.close(checkout.load("figures", study.id).plot(read))
        return read["values"]

    return record


def test_errors_against_rank(recorded: Callable[[Study], dict[str, Any]]) -> None:
    points = recorded(F2.STUDY)["points"]
    assert [point["R"] for point in points] == [*rank_sweep.SWEEP[1], 16]
    assert {entry.rank for entry in Store(also=()).entries(CouplingTensor(1))} == set(rank_sweep.ranks(1))
    for point in points:
        assert point["lower_bound"] <= point["frobenius_error"] + 1e-12
        assert point["truncation_bound"] <= point["theorem_bound"]
    assert points[-1]["frobenius_error"] == 0.0
    assert points[-1]["theorem_bound"] > 0.0, "16^(1/3) < d"
    falling = [point["frobenius_error"] for point in points]
    assert falling == sorted(falling, reverse=True)


@pytest.mark.parametrize("study", [F3a.STUDY, F3b.STUDY], ids=lambda study: study.id)
def test_every_schedule_is_measured(recorded: Callable[[Study], dict[str, Any]], study: Study) -> None:
    points = recorded(study)["points"]
    assert {p["schedule"]: (p["L"], p["R"]) for p in points} == {n: (1, s(1)) for n, s in PAPER_SCHEDULES.items()}
    same = [point for point in points if point["R"] == 7]
    assert len(same) == 2, "7 L and 7 L^2 are one decomposition at L = 1"
    assert same[0] | {"schedule": ""} == same[1] | {"schedule": ""}


def test_exact_errors_are_those_of_the_decomposition(recorded: Callable[[Study], dict[str, Any]]) -> None:
    point = next(p for p in recorded(F3b.STUDY)["points"] if p["schedule"] == "7L^2")
    tensor = CouplingTensor(1)
    factors = rank_sweep.best_solution(1, 7).factors
    assert_close(point["rms_error"], sqrt(mean_square_error(factors)), 1e-15, "rms_error")
    assert_close(point["output_rms"], tensor.norm, 1e-15, "output_rms")
    assert point["supremum_bound"] < point["trivial_bound"] == trivial_bound(tensor) < point["theorem_bound"]


def test_what_is_not_stored_is_told() -> None:
    with refuses(LookupError, "nothing", "run the reproduction again"):
        rank_sweep.load(1, 7, "nothing")
