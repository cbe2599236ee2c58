"""Accuracy against rank at its smallest size: the record has what is asked for, and the figure is drawn from it."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from figures import rank_accuracy as figure
from tdn_theory.evidence import Training
from tdn_theory.experiments.potentials import fitting
from tdn_theory.experiments.potentials.rank_accuracy import STUDY
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_rank_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fitting.RMD17, str(tmp_path))
    record = json.loads(json.dumps(STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    values = record["values"]
    assert values["left_out"] == ["ethanol"]
    assert [row["terms"] for row in values["summary"]] == [3, 7, 6, 8]
    assert Training.of(values["rows"]) == Training(seeds=2, fall=None, unseen=True)
    assert all(row["energy_rmse_of_constants"] > 0 for row in values["rows"])
    by_method = {(row["method"], row["rank"]): row for row in values["summary"]}
    exact, low = by_method["exact", None], by_method["cp", 3]
    assert exact["ratio_to_exact"]["forces_rmse"] == {"mean": 1.0, "standard_error": 0.0, "seeds": 2}
    assert exact["forces_change"]["mean"] < 1e-9 < low["forces_change"]["mean"]
    assert exact["forces_share"]["mean"] < 1e-20 < low["forces_share"]["mean"] < 1
    assert exact["forces_rmse"]["mean"] == pytest.approx(exact["forces_turned_rmse"]["mean"])
    assert len(figure.plot(record).axes) == 3
    assert figure.SYSTEMS.keys() == fitting.SYSTEMS.keys()
