"""The race of solvers at its smallest size; times belong to the machine."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from figures import solver_race as figure
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.store import Store
from tdn_theory.experiments.decompositions.solver_race import STUDY
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """One start, so the best is that one; both solutions are kept."""
    monkeypatch.setenv("TDN_THEORY_STORE", str(tmp_path / "store"))
    record = json.loads(json.dumps(STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path / "jobs")), allow_nan=False))
    (start,), (best,) = record["values"]["starts"], record["values"]["best"]
    assert (best["L"], best["R"], best["starts"]) == (1, 8, 1)
    for solver in ("levenberg_marquardt", "als"):
        assert best[solver] == start[solver]
    stored = Store(also=()).entries(CouplingTensor(1), 8)
    assert {entry.residual for entry in stored} == {start["levenberg_marquardt"], start["als"]}
    assert {entry.made_by["solver"] for entry in stored} == {"LevenbergMarquardt", "AlternatingLeastSquares"}
    matplotlib.pyplot.close(figure.plot(record))
