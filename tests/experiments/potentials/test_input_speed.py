"""The record has what the figure needs; times belong to the machine."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from tdn_theory import checkout
from tdn_theory.experiments import measuring
from tdn_theory.experiments.potentials import input_speed
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "keep_memory", lambda: False)  # the test session keeps its own settings
    record = input_speed.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path, workers=2))
    record = json.loads(json.dumps(record, allow_nan=False))
    parts = record["values"]["per_structure"]
    assert set(parts) == {"read", "graph", "batch", "step, conservative forces", "step, direct forces", "edges"}
    assert all(value > 0 for value in parts.values())
    (start,) = record["values"]["starts"]
    for name in ("first", "second"):
        assert start[name]["seconds"] > 0
        assert start[name]["peak_memory"] > 2**20
    assert start["bytes_kept"] > 0
    assert "seconds_per_structure" in start["second"]
    picture = checkout.load("figures", "input_speed").plot(record)
    assert len(picture.axes) == 2
    assert all(axis.patches for axis in picture.axes)
    matplotlib.pyplot.close(picture)


def test_structures_have_the_edges_of_a_dense_molecule():
    found = input_speed.structures(2, 20, 0)
    assert [structure.group for structure in found] == ["group 0"] * 2
    assert {len(structure) for structure in found} == {20}
    assert found[0].forces is not None
    assert found[0].energy != found[1].energy
