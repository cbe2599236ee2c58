"""The benchmark's record has what the figure needs; its numbers are not tested, they belong to the machine."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from tdn_theory import checkout
from tdn_theory.experiments import measuring
from tdn_theory.experiments.products import F3c
from tdn_theory.jobs import Jobs
from tdn_theory.paper import SPEEDUPS
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "keep_memory", lambda: False)  # the test session keeps its own settings
    record = json.loads(json.dumps(F3c.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path, workers=2)), allow_nan=False))
    values = record["values"]
    assert values["paper_speedups"] == {str(lmax): ratio for lmax, ratio in SPEEDUPS.items()}
    shapes = F3c.SIZES[Preset.SMALLEST].shapes
    assert [(shape["mode"], shape["L"], shape["channels"], shape["edges"]) for shape in values["units"]] == list(shapes)
    for shape in values["units"]:
        assert {"exact", "cp"} <= set(shape["methods"])
        assert shape["copy_bandwidth"] > 0
        assert shape["matrix_rate"] > 0
        for entry in shape["methods"].values():
            assert entry["forward"]["fastest"] <= entry["forward"]["median"] <= entry["forward"]["quartile3"]
            assert entry["forward_backward"]["rounds"] >= 3
    assert {"cp, released order", "per path", "e3nn"} <= set(values["units"][0]["methods"])
    picture = checkout.load("figures", "F3c").plot(_as_if_of_the_figures_shape(record))
    assert len(picture.axes) == 3
    assert all(axis.lines for axis in picture.axes)
    matplotlib.pyplot.close(picture)


def _as_if_of_the_figures_shape(record: dict) -> dict:
    shapes = [shape | {"channels": 128, "edges": 1024} for shape in record["values"]["units"]]
    return {**record, "values": {**record["values"], "units": shapes}}
