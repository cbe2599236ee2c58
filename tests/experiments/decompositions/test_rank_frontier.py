"""The rank frontier at its smallest size, and the comparison of solvers behind it."""

from __future__ import annotations

import json
from importlib.util import find_spec
from pathlib import Path

import matplotlib.pyplot
import pytest

from figures import rank_frontier as figure
from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.decompositions import rank_frontier
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tests.assertions import refuses


def test_record_and_figure(tmp_path: Path) -> None:
    record = json.loads(json.dumps(rank_frontier.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    values = record["values"]
    assert values["frontier"] == [
        {"L": 1, "paper": 7, "outer_product": 16, "generic": 7, "most": 7, "all": 7, "even": 6}
    ]
    assert [(proof["which"], proof["rank"]) for proof in values["proofs"]] == [("all", 7), ("even", 6)]
    assert all(proof["radius"] < 1e-9 for proof in values["proofs"])
    (released,) = values["released"]
    assert released["rms_error"] < 1e-12, "R = 7 is exact with free weights"
    assert released["dead"] == []
    assert {row["R"] for row in values["fitted"]} >= set(range(1, 9))
    matplotlib.pyplot.close(figure.plot(record))


def test_solvers_from_the_same_start() -> None:
    """At L = 1, R = 7 only free weights are exact; the others end where the paper's tensor has no decomposition."""
    found = rank_frontier.compare(1, 7, 0)
    rows = {row["solver"]: row for row in found["rows"]}
    assert rows["EquivariantLevenbergMarquardt"]["rms_error"] < 1e-12
    assert rows["EquivariantLevenbergMarquardt"]["dead"] == []
    for other in set(rows) - {"EquivariantLevenbergMarquardt"}:
        assert 1e-3 < rows[other]["frobenius_error"] < 0.3
        assert rows[other]["rms_error"] <= 1.5 * rows[other]["frobenius_error"]  # sqrt 2 and the norms


@pytest.mark.skipif(find_spec("pyttb") is None, reason="needs the extra 'benchmark'")
def test_pyttb_starts_where_the_others_do() -> None:
    """No sweep in no time: the start itself; then ALS descends."""
    tensor = CouplingTensor(1)
    start, later = (rank_frontier.pyttb_als(tensor, 8, 0, seconds) for seconds in (0.0, 0.05))
    assert later.relative_residual(tensor.array) < start.relative_residual(tensor.array)


def test_a_missing_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(__import__("sys").modules, "pyttb", None)
    with refuses(ImportError, "tdn-theory[benchmark]"):
        rank_frontier.pyttb_als(CouplingTensor(1), 7, 0, 0.0)
