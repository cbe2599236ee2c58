"""Levenberg-Marquardt against tensorly's ALS: the same random starts and the same wall time, on one core."""

from __future__ import annotations

from typing import Any

from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.solvers.als import AlternatingLeastSquares
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tdn_theory.experiments.rank_sweep import RIDGES
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset

PROBLEMS = ((1, 8), (2, 28), (2, 30), (3, 63), (3, 90), (4, 112), (5, 175), (6, 252))
"""(L, R): the ranks 7 L^2 where M has no exact decomposition, and the least ranks at which one is found."""

STARTS = {Preset.QUICK: 2, Preset.FULL: 5}
QUICK_LMAX = 2


def race(lmax: int, rank: int, seed: int, ridge: float) -> dict[str, Any]:
    """One start: what Levenberg-Marquardt reaches, and what ALS reaches from it in the same time; both are kept."""
    tensor = CouplingTensor(lmax)
    with threadpool_limits(1):
        ours = LevenbergMarquardt(rank, seed=seed, ridge=ridge, max_iterations=1500).solve(tensor)
        seconds = ours.made_by["seconds"]
        als = AlternatingLeastSquares(rank, seed=seed, max_sweeps=10**9, max_seconds=seconds, stall=0.0).solve(tensor)
    for solution in (ours, als):
        Store().save(solution)
    return {
        "L": lmax,
        "R": rank,
        "seed": seed,
        "ridge": ridge,
        "seconds": seconds,
        "levenberg_marquardt": ours.residual,
        "status": ours.status.value,
        "als_seconds": als.made_by["seconds"],
        "als": als.residual,
        "als_sweeps": als.made_by["iterations"],
    }


def run(preset: Preset, seed: int, units: Units) -> dict[str, Any]:
    """All starts of all problems; the quick preset makes fewer, and leaves out L > `QUICK_LMAX`."""
    plan = [
        {"lmax": lmax, "rank": rank, "seed": seed + k, "ridge": RIDGES[k % len(RIDGES)]}
        for lmax, rank in PROBLEMS
        if preset is Preset.FULL or lmax <= QUICK_LMAX
        for k in range(STARTS[preset])
    ]
    starts = units.map(race, plan, "solver race")
    best = [
        {
            "L": lmax,
            "R": rank,
            "levenberg_marquardt": min(s["levenberg_marquardt"] for s in own),
            "als": min(s["als"] for s in own),
            "seconds": sum(s["seconds"] for s in own),
            "starts": len(own),
        }
        for lmax, rank in PROBLEMS
        if (own := [s for s in starts if (s["L"], s["R"]) == (lmax, rank)])
    ]
    return {"starts": starts, "best": best}
