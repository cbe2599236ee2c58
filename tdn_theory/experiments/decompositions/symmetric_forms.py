"""Symmetric forms of the even paths, `sum_r v_r o v_r o v_r`: as many terms as are known, and one less.

What is known are the atlas' least forms of the even paths, cubature's or the three rings', which are symmetric. The
solver for symmetric forms begins with random vectors; near the weights of the cubature, and near weights drawn around
them. Where it finds forms with as many terms as are known in most starts, and none with one less, and these end at one
and the same residual, the known number may be the least there is for such forms. That proves nothing.

From L = 5 on the starts have the symmetry of the cubature known: without, they end elsewhere even with as many terms.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.symmetric import SymmetricLevenbergMarquardt
from tdn_theory.experiments.decompositions.starts import known_entry, summary
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

Near = Literal["cubature", "drawn"]

SAME = 1e-3
"""Relative difference of residuals up to which two starts are said to end at the same one."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        groups: Symmetries of the forms by maximal degree L.
        starts: Starts of each, with as many terms as are known, and with one less.
    """

    groups: dict[int, Sequence[str]]
    starts: int


SIZES = {
    Preset.SMALLEST: Size({1: ("C1",)}, starts=1),
    Preset.QUICK: Size({1: ("C1",), 2: ("C1",), 3: ("C1",)}, starts=5),
    Preset.FULL: Size({1: ("C1",), 2: ("C1",), 3: ("C1",), 4: ("C1",), 5: ("C1*i",), 6: ("D2",)}, starts=6),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """One row for each degree, symmetry, anchor and number of terms.

    Args:
        size: Size of the run.
        seed: First seed of the starts.
        jobs: Where finished starts are kept.
    """
    rows = [
        {"lmax": lmax, "rank": atlas.best(lmax, paths="even").rank - less, "symmetry": symmetry, "near": near}
        for lmax, groups in size.groups.items()
        for symmetry in groups
        for near in ("cubature", "drawn")
        for less in (0, 1)
    ]
    plan = [row | {"seed": seed + n} for row in rows for n in range(size.starts)]
    found = jobs.map(attempt, plan, "symmetric forms")
    starts = [found[n : n + size.starts] for n in range(0, len(found), size.starts)]
    return {"rows": [row | _summary(own) for row, own in zip(rows, starts, strict=True)]}


def attempt(lmax: int, rank: int, symmetry: str, near: Near, seed: int) -> dict[str, Any]:
    """One start.

    Args:
        lmax: Maximal degree L.
        rank: Number of terms R.
        symmetry: As `SymmetricLevenbergMarquardt.symmetry`.
        near: Whose weights to look near.
        seed: Of the start, and of the weights drawn.
    """
    with threadpool_limits(1):
        solution = SymmetricLevenbergMarquardt(rank, seed, symmetry).solve(anchor(lmax, near, seed))
    return {
        "residual": solution.residual,
        "dead": solution.made_by["dead"],
        "condition": solution.condition,
        "orbits": solution.made_by["orbits"],
        "seconds": solution.made_by["seconds"],
    }


def anchor(lmax: int, near: Near, seed: int) -> CouplingTensor:
    """The even tensor whose weights are looked near: cubature's, or those times `exp(n / 3)`, n normal."""
    given = known_entry(lmax, "cubature").tensor
    rng = np.random.default_rng([seed, 2])
    drawn: dict[tuple[int, ...], float] = {}
    weights = []
    for path, weight in zip(given.paths, given.weights, strict=True):
        degrees = tuple(sorted(path.degrees))
        drawn.setdefault(degrees, float(np.exp(rng.normal() / 3)) if near == "drawn" else 1.0)
        weights.append(weight * drawn[degrees])
    return CouplingTensor(lmax, tuple(weights))


def _summary(found: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """The residual is the least one of starts with all paths alive; `same` counts those that end at it."""
    residuals = [one["residual"] for one in found if not one["dead"]]
    least = min(residuals, default=None)
    same = sum(residual <= (1 + SAME) * max(least or 0.0, EXACT) for residual in residuals)
    return {**summary(found), "residual": least, "same": same}


STUDY = Study(
    "symmetric_forms",
    "Symmetric forms of the even paths from random starts: with as many terms as are known, and with one less",
    Cost.COMPUTED,
    SIZES,
    run,
)
