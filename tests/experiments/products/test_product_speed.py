"""The benchmark's record has what the figure needs; its numbers are not tested, they belong to the machine."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from tdn_theory import checkout
from tdn_theory.experiments import measuring
from tdn_theory.experiments.products import product_speed
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "keep_memory", lambda: False)  # the test session keeps its own settings
    record = product_speed.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path, workers=2))
    record = json.loads(json.dumps(record, allow_nan=False))
    shapes = [
        tuple(job[key] for key in ("kind", "L", "channels", "edges", "dtype")) for job in record["values"]["units"]
    ]
    assert shapes == list(product_speed.SIZES[Preset.SMALLEST].shapes)
    for job in record["values"]["units"]:
        for direction in ("forward", "forward_backward"):
            assert {"default", "copy", "dense", "sparse"} <= set(job[direction])
            assert all(0 < some["fastest"] <= some["median"] for some in job[direction].values())
    as_drawn = [job | {"channels": 128, "edges": 1024, "dtype": "float32"} for job in record["values"]["units"]]
    picture = checkout.load("figures", "product_speed").plot({"values": {"units": as_drawn}})
    assert len(picture.axes) == 3
    assert all(axis.lines for axis in picture.axes)
    matplotlib.pyplot.close(picture)


def test_sizes_name_every_kind() -> None:
    kinds = {shape[0] for shape in product_speed.SIZES[Preset.QUICK].shapes}
    assert kinds == {*product_speed.CHANNELS_OF_Y, "uuu"}
