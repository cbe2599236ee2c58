"""Levenberg-Marquardt against tensorly's ALS: the same random starts and the same wall time, on one core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.solvers.als import AlternatingLeastSquares
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tdn_theory.experiments.decompositions.rank_sweep import RIDGES
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

STALL = 1e-3
EARLY_STALL = 2e-2


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        problems: (L, R, stall): ranks 7 L^2, and the least ranks at which an exact decomposition of M is found. On the
            plateaus of L >= 4 every solver goes on gaining per cents for as long as it runs, so ours stops there, from
            its default ridge, as soon as ten iterations gain less than 2 %; at L = 4 the race is run for longer as
            well.
        starts: Starts of each problem.
    """

    problems: tuple[tuple[int, int, float], ...]
    starts: int


SIZES = {
    Preset.SMALLEST: Size(((1, 8, STALL),), starts=1),
    Preset.QUICK: Size(((1, 8, STALL), (2, 28, STALL), (2, 30, STALL)), starts=2),
    Preset.FULL: Size(
        (
            *((lmax, rank, STALL) for lmax, rank in ((1, 8), (2, 28), (2, 30), (3, 63), (3, 90))),
            *((lmax, rank, EARLY_STALL) for lmax, rank in ((4, 112), (5, 175), (6, 252))),
            (4, 112, STALL),
        ),
        starts=5,
    ),
}


def race(lmax: int, rank: int, stall: float, seed: int, ridge: float) -> dict[str, Any]:
    """One start: what Levenberg-Marquardt reaches, and what ALS reaches from it in the same time; both are kept."""
    tensor = CouplingTensor(lmax)
    with threadpool_limits(1):
        ours = LevenbergMarquardt(rank, seed=seed, ridge=ridge, max_iterations=1500, stall=stall).solve(tensor)
        seconds = ours.made_by["seconds"]
        als = AlternatingLeastSquares(rank, seed=seed, max_sweeps=10**9, max_seconds=seconds, stall=0.0).solve(tensor)
    for solution in (ours, als):
        Store().save(solution)
    return {
        "L": lmax,
        "R": rank,
        "stall": stall,
        "seed": seed,
        "ridge": ridge,
        "seconds": seconds,
        "levenberg_marquardt": ours.residual,
        "status": ours.status.value,
        "als_seconds": als.made_by["seconds"],
        "als": als.residual,
        "als_sweeps": als.made_by["iterations"],
    }


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """All starts of all problems, and the best of each.

    Args:
        size: Size of the run.
        seed: First seed of the starts.
        jobs: Where finished parts are kept.
    """
    plan = [
        {"lmax": lmax, "rank": rank, "stall": stall, "seed": seed + k, "ridge": ridges[k % len(ridges)]}
        for lmax, rank, stall in size.problems
        for ridges in [RIDGES if stall == STALL else (LevenbergMarquardt.ridge,)]
        for k in range(size.starts)
    ]
    starts = jobs.map(race, plan, "solver race")
    best = []
    for lmax, rank, stall in size.problems:
        own = [s for s in starts if (s["L"], s["R"], s["stall"]) == (lmax, rank, stall)]
        row = {
            "L": lmax,
            "R": rank,
            "stall": stall,
            "levenberg_marquardt": min(s["levenberg_marquardt"] for s in own),
            "als": min(s["als"] for s in own),
            "seconds": sum(s["seconds"] for s in own),
            "starts": len(own),
        }
        best.append(row)
    return {"starts": starts, "best": best}


STUDY = Study("solver_race", "What two solvers reach from the same starts in the same time", Cost.TIMED, SIZES, run)
