"""The benchmark's record has what the figure needs, and its contenders agree; times belong to the machine."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from tdn_theory import checkout
from tdn_theory.experiments import measuring
from tdn_theory.experiments.products import convolution_speed
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measuring, "keep_memory", lambda: False)  # the test session keeps its own settings
    record = convolution_speed.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path, workers=2))
    record = json.loads(json.dumps(record, allow_nan=False))
    (job,) = record["values"]["jobs"]
    assert (job["L"], job["edges"], job["paths"]) == (1, 60, 5)
    assert job["difference"] < 1e-5
    for direction in ("forward", "backward", "double_backward"):
        assert set(job[direction]) == {"ours", "e3nn"}
        assert all(0 < some["fastest"] <= some["median"] for some in job[direction].values())
    picture = checkout.load("figures", "convolution_speed").plot(record)
    assert len(picture.axes) == 3
    assert all(axis.lines for axis in picture.axes)
    matplotlib.pyplot.close(picture)
