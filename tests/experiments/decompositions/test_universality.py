"""What exact forms reach, at its smallest size."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot

from figures import universality as figure
from tdn_theory.experiments.decompositions import universality
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_record_and_figure(tmp_path: Path) -> None:
    record = json.loads(json.dumps(universality.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    values = record["values"]
    assert {(row["R"], row["alive"], row["dimension"]) for row in values["entries"]} == {
        (6, 4, 4),
        (7, 5, 4),
        (8, 5, 5),
    }
    assert [(row["alive"], row["dimension"], row["paths"]) for row in values["starts"]] == [(5, 5, 5)]
    assert {tuple(map(tuple, row["paths"])): row["found"] for row in values["sets"]} == {
        ((0, 0, 0),): 1,
        ((1, 1, 0),): 3,
        ((1, 1, 1),): 5,  # the cross product
    }
    assert all(row["lower"] <= row["found"] for row in values["sets"])
    assert [row["exact"] for row in values["random_maps"]] == [2]
    matplotlib.pyplot.close(figure.plot(record))


def test_sets_of_paths() -> None:
    """Fifteen classes: with or without 000 and 111, and none to three of the others, less the empty set."""
    sets = universality.sets_of_paths()
    assert len(sets) == len({tuple(map(tuple, chosen)) for chosen in sets}) == 15
