"""The decompositions behind F2, F3a and F3b: which ranks are fitted, from how many starts, where they are kept."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.schedules import PAPER_SCHEDULES
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset

SWEEP: dict[int, tuple[int, ...]] = {
    1: (1, 2, 3, 4, 5, 6, 7, 8),
    2: (4, 7, 10, 15, 20, 23, 26, 28, 29, 30),
    3: (7, 14, 21, 31, 42, 52, 63, 72, 80, 85, 88, 89, 90),
    4: (14, 28, 41, 60, 84, 112, 140, 170),
    5: (20, 35, 51, 100, 175),
    6: (24, 42, 61, 120, 252),
}
"""Ranks of F2 at each L; for L <= 3 at least up to the number `ceil(d^3 / (3d-2))` of terms a generic tensor needs."""

RIDGES = (1e-3, 1e-2, 1e-4)
"""Of successive starts."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        starts: Fits of every rank, by L; where it is 0, what is stored already is measured.
        samples: Samples of every error, 1000 in the paper.
    """

    starts: Mapping[int, int]
    samples: int


SIZES = {
    Preset.SMALLEST: Size(starts={1: 1}, samples=10),
    Preset.QUICK: Size(starts=dict.fromkeys(SWEEP, 0), samples=1000),
    Preset.FULL: Size(starts={1: 9, 2: 6, 3: 3, 4: 3, 5: 2, 6: 1}, samples=1000),
}


def ranks(lmax: int) -> list[int]:
    """Ranks that are fitted: those of F2 and the schedules' ones below d^2, where T2 gives an exact decomposition."""
    scheduled = {schedule(lmax) for schedule in PAPER_SCHEDULES.values()}
    return sorted(set(SWEEP[lmax]) | {rank for rank in scheduled if rank < CouplingTensor(lmax).d ** 2})


def fit(lmax: int, rank: int, seed: int, ridge: float) -> dict[str, Any]:
    """Fit the paper's tensor once and keep the solution in the user's store."""
    solver = LevenbergMarquardt(rank, seed=seed, ridge=ridge, max_iterations=1500)
    solution = solver.solve(CouplingTensor(lmax))
    return {"manifest": Store().save(solution).name, "residual": solution.residual, "status": solution.status.value}


def fit_all(starts: Mapping[int, int], seed: int, jobs: Jobs) -> None:
    """Fit every rank of every L from all its starts, largest problems last."""
    plan = [
        {"lmax": lmax, "rank": rank, "seed": seed + start, "ridge": RIDGES[start % len(RIDGES)]}
        for lmax, count in starts.items()
        for rank in ranks(lmax)
        for start in range(count)
    ]
    jobs.map(fit, sorted(plan, key=lambda job: (job["lmax"] + 1) ** 2 * job["rank"]), "fitting CP decompositions")


def scheduled(degrees: Iterable[int], seed: int) -> list[dict[str, Any]]:
    """The points of F3a and F3b, as jobs: every rank schedule of the paper (E5) at every L."""
    return [
        {"schedule": name, "lmax": lmax, "rank": rank, "name": best_name(lmax, rank), "seed": seed}
        for name, schedule in PAPER_SCHEDULES.items()
        for lmax in degrees
        if (rank := schedule(lmax))
    ]


def best_name(lmax: int, rank: int) -> str:
    """Name of the best known decomposition of the paper's tensor: a stored one, or `"T2"` at R = d^2.

    Jobs take it as a parameter, so that a better solution in the store makes them new.

    Raises:
        LookupError: None is stored at this rank.
    """
    tensor = CouplingTensor(lmax)
    return "T2" if rank == tensor.d**2 else Store().find(tensor, rank).path.stem


def load(lmax: int, rank: int, name: str) -> CPSolution:
    """The decomposition of a name that `best_name` gave, verified against its tensor.

    Raises:
        LookupError: There is none of that name any more.
        DamagedError: Its file is damaged.
    """
    tensor = CouplingTensor(lmax)
    if name == "T2":
        return CPSolution(tensor, outer_product(tensor), Status.CONVERGED, 0.0, {"solver": "T2"})
    for entry in Store().entries(tensor, rank):
        if entry.path.stem == name:
            return Store().load(entry)
    raise LookupError(f"solution {name} is not stored any more; run the reproduction again")


def best_solution(lmax: int, rank: int) -> CPSolution:
    """The best known decomposition of the paper's tensor, verified; errors as `best_name` and `load`."""
    return load(lmax, rank, best_name(lmax, rank))
