"""The experiments on cost, rank and universality: their records, and that figures can be drawn from them."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from figures import cost as cost_figure
from figures import rank_table as rank_figure
from figures import universality as universality_figure
from tdn_theory.experiments.decompositions import rank_table, universality
from tdn_theory.experiments.products import cost
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


@pytest.fixture
def units(tmp_path: Path) -> Jobs:
    return Jobs(tmp_path)


def record(values: dict) -> dict:
    """As it comes back from its file."""
    return json.loads(json.dumps({"values": values}, allow_nan=False))


@pytest.mark.slow
def test_cost(jobs: Jobs) -> None:
    values = cost.run(Preset.QUICK, 0, units)
    assert [row["L"] for row in values["rows"]] == list(range(1, 13))
    assert values["cp_is_cheaper_from"]["uvu"]["y_first"] is None
    assert 3.8 < values["exponents"]["uvu"]["y_first"] < 4.1 < values["exponents"]["uvu"]["cp"] < 4.4
    for row in values["rows"]:
        for entry in row["table"]:
            if entry["connection"] != "uvw" and entry["shared"]:
                assert entry["multiply_adds"] == row[entry["connection"]][entry["method"]]
    assert len(cost_figure.plot(record(values)).axes) == 2


def test_rank_table(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rank_table, "QUICK_EFFORT", {1: (1, 1), 2: (2, 1)})
    values = rank_table.run(Preset.QUICK, 0, units)
    assert [row["lower"] for row in values["rows"]] == [7, 16]
    assert [(row["exact_known"], row["free_weights"]) for row in values["rows"]] == [(8, 7), (30, 23)]
    for row in values["rows"]:
        assert row["lower"] <= row["best_found"] <= row["exact_known"] <= row["theorem"] <= row["outer_product"]
    rank_figure.plot(record(values))


@pytest.mark.slow
def test_universality(jobs: Jobs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(universality, "QUICK_RANKS", {1: (8,)})
    monkeypatch.setattr(universality, "STARTS", 1)
    monkeypatch.setattr(universality, "MAPS", 2)
    monkeypatch.setattr(universality, "LARGEST_ENTRY", 1)
    monkeypatch.setattr(universality, "sets_of_paths", lambda: [[[0, 0, 0]], [[1, 1, 0]]])
    values = universality.run(Preset.QUICK, 0, units)
    assert {(row["R"], row["alive"], row["dimension"]) for row in values["entries"]} == {
        (6, 4, 4),
        (7, 5, 4),
        (8, 5, 5),
    }
    assert [(row["alive"], row["dimension"], row["paths"]) for row in values["starts"]] == [(5, 5, 5)]
    assert [row["found"] for row in values["sets"]] == [1, 3]
    assert [row["exact"] for row in values["random_maps"]] == [2]
    universality_figure.plot(record(values))


def test_sets_of_paths() -> None:
    """Fifteen classes: with or without 000 and 111, and none to three of the others, less the empty set."""
    sets = universality.sets_of_paths()
    assert len(sets) == len({tuple(map(tuple, chosen)) for chosen in sets}) == 15
