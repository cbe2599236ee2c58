"""The comparison of solvers behind the rank frontier."""

from __future__ import annotations

from importlib.util import find_spec

import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.decompositions import rank_frontier
from tests.assertions import refuses


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
