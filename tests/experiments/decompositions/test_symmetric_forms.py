"""Known forms are found from random starts, and counted."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from tdn_theory.experiments.decompositions.symmetric_forms import STUDY, _summary, anchor, attempt
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


def test_smallest_run(tmp_path: Path) -> None:
    values = STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path))["values"]
    rows = {(row["near"], row["rank"]): row for row in values["rows"]}
    assert rows["cubature", 6]["exact"] == rows["drawn", 6]["exact"] == 1
    assert rows["cubature", 5]["exact"] == rows["drawn", 5]["exact"] == 0


def test_weights_are_drawn_around_the_cubature() -> None:
    given, drawn = anchor(3, "cubature", 0), anchor(3, "drawn", 0)
    alive = np.array(given.weights) != 0
    assert [path.even for path in given.paths] == alive.tolist()
    ratios = np.array(drawn.weights)[alive] / np.array(given.weights)[alive]
    assert (ratios > 0).all()
    assert len(set(ratios.round(9))) == len({tuple(sorted(p.degrees)) for p in given.paths if p.even})
    assert drawn != anchor(3, "drawn", 1)


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_a_start(seed: int) -> None:
    found = attempt(3, 32, "C1", "cubature", seed)
    assert found["residual"] < 1e-13
    assert found["orbits"] == [1] * 32


def test_starts_at_the_least_residual_are_counted() -> None:
    base = {"dead": [], "condition": 2.0, "seconds": 1.0}
    found = [base | {"residual": r} for r in (0.07, 0.07001, 0.08)] + [base | {"residual": 0.01, "dead": [[1, 1, 2]]}]
    expected = {"starts": 4, "alive": 3, "exact": 0, "residual": 0.07, "same": 2, "condition": 2.0, "seconds": 4.0}
    assert _summary(found) == expected
    exact = _summary([base | {"residual": r} for r in (1e-16, 3e-16, 0.1)])
    assert (exact["exact"], exact["same"]) == (2, 2)
