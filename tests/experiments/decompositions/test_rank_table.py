"""Bounds on the rank, at the smallest size of the study."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import numpy as np

from figures import rank_table as figure
from tdn_theory.experiments.decompositions.rank_table import STUDY
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path: Path) -> None:
    record = json.loads(json.dumps(STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    rows = record["values"]["rows"]
    assert [row["lower"] for row in rows] == [7, 16]
    assert [row["lower_any_weights"] for row in rows] == [7, 11]
    assert [(row["exact_known"], row["free_weights"]) for row in rows] == [(8, 7), (30, 23)]
    for row in rows:
        assert row["lower"] <= row["best_found"] <= row["exact_known"] <= row["theorem"] <= row["outer_product"]
        assert row["lower_any_weights"] <= row["free_weights"]
    picture = figure.plot(record)
    ours, others = picture.axes
    drawn = [{tuple(np.asarray(line.get_ydata()).tolist()) for line in axis.lines} for axis in (ours, others)]
    lower, free = (tuple(row[key] for row in rows) for key in ("lower", "free_weights"))
    assert lower in drawn[0]
    assert free in drawn[1]
    assert lower not in drawn[1], "a bound on the rank of M beside other products"
    assert free not in drawn[0]
    matplotlib.pyplot.close(picture)
