"""Counts of multiply-adds and parameters at the smallest size, and the figure."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from figures import cost as figure
from tdn_theory.experiments.products.cost import CHANNELS, STUDY
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import paths


@pytest.mark.parametrize(
    ("preset", "largest"),
    [(Preset.SMALLEST, 4), (Preset.QUICK, 12)],
)
def test_record_and_figure(tmp_path: Path, preset: Preset, largest: int) -> None:
    record = json.loads(json.dumps(STUDY.record(preset, 0, Jobs(tmp_path)), allow_nan=False))
    values = record["values"]
    assert [row["L"] for row in values["rows"]] == list(range(1, largest + 1))
    assert values["cp_is_cheaper_from"]["uvu"]["y_first"] is None
    if largest == 12:
        assert 3.8 < values["exponents"]["uvu"]["y_first"] < 4.1 < values["exponents"]["uvu"]["cp"] < 4.4
    for row in values["rows"]:
        for entry in row["table"]:
            if entry["connection"] != "uvw" and entry["shared"]:
                assert entry["multiply_adds"] == row[entry["connection"]][entry["method"]]
            if entry["connection"] != "uvw":
                assert entry["parameters"] == CHANNELS * (1 if entry["shared"] else len(paths(row["L"])))
    picture = figure.plot(record)
    assert len(picture.axes) == 3
    matplotlib.pyplot.close(picture)
