"""Accuracy against rank, tiny: the record has what is asked for, and the figure is drawn from it."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from figures import rank_accuracy as accuracy_figure
from tdn_theory.experiments.potentials import rank_accuracy
from tdn_theory.experiments.potentials import setup
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def record(values: dict[str, Any]) -> dict[str, Any]:
    """As it comes back from its file."""
    return json.loads(json.dumps({"values": values}, allow_nan=False))


@pytest.mark.usefixtures("few")
def test_rank_accuracy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: dict[str, Any]) -> None:
    monkeypatch.setenv(setup.RMD17, str(tmp_path))
    monkeypatch.setattr(
        rank_accuracy,
        "QUICK",
        replace(rank_accuracy.QUICK, ranks={1: (3,)}, steps=1, seeds=2, tested=3, rotations=2, network=tiny),
    )
    values = rank_accuracy.run(Preset.QUICK, 0, Jobs(tmp_path))
    assert values["left_out"] == ["aspirin", "ethanol"]
    assert [row["terms"] for row in values["summary"]] == [3, 6, 8]
    by_method = {(row["method"], row["rank"]): row for row in values["summary"]}
    exact, low = by_method["exact", None], by_method["cp", 3]
    assert exact["ratio_to_exact"]["forces_rmse"] == {"mean": 1.0, "standard_error": 0.0, "seeds": 2}
    assert exact["forces_change"]["mean"] < 1e-9 < low["forces_change"]["mean"]
    assert exact["forces_share"]["mean"] < 1e-20 < low["forces_share"]["mean"] < 1
    assert exact["forces_rmse"]["mean"] == pytest.approx(exact["forces_turned_rmse"]["mean"])
    assert len(accuracy_figure.plot(record(values)).axes) == 3
