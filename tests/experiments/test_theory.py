"""The experiments on cost, rank and universality: their records, and that figures can be drawn from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from figures import cost as cost_figure
from figures import rank_table as rank_figure
from figures import universality as universality_figure
from tdn_theory.experiments import cost, rank_table, universality
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset


@pytest.fixture
def units(tmp_path: Path) -> Units:
    return Units(tmp_path)


def record(values: dict) -> dict:
    """As it comes back from its file."""
    return json.loads(json.dumps({"values": values}, allow_nan=False))


@pytest.mark.slow
def test_cost(units: Units) -> None:
    values = cost.run(Preset.QUICK, 0, units)
    assert [row["L"] for row in values["rows"]] == list(range(1, 13))
    assert values["cp_is_cheaper_from"]["uvu"]["y_first"] is None
    assert 3.8 < values["exponents"]["uvu"]["y_first"] < 4.1 < values["exponents"]["uvu"]["cp"] < 4.4
    assert len(cost_figure.plot(record(values)).axes) == 2


def test_rank_table(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_table, "QUICK_POWERS", {1: 1, 2: 2})
    values = rank_table.run(Preset.QUICK, 0, units)
    assert [row["lower"] for row in values["rows"]] == [6, 16]
    assert all(row["lower"] <= row["best_known"] <= row["theorem"] <= row["outer_product"] for row in values["rows"])
    rank_figure.plot(record(values))


@pytest.mark.slow
def test_universality(units: Units, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(universality, "QUICK_RANKS", {1: (1, 8)})
    values = universality.run(Preset.QUICK, 0, units)
    one, eight = values["rows"]
    assert (eight["alive"], eight["dimension"], eight["paths"]) == (5, 5, 5)
    assert one.get("dimension", 0) <= 1
    assert [row["exact"] for row in values["random_maps"]] == [0, 12]
    universality_figure.plot(record(values))
