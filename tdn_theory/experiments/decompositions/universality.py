"""How much of path space CP forms of rank R reach exactly (T2)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import combinations
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import paths
from tdn_theory.study import Cost, Study
from tdn_theory.theory import rank, universality


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        largest_entry: Largest L whose atlas entries are examined: their Jacobians are dense.
        ranks: Ranks at which new starts are made, by L.
        starts: Starts of each fit.
        paths: At L = 1, least ranks are sought for sets of at most so many paths.
        maps: Random maps for each rank.
    """

    largest_entry: int
    ranks: Mapping[int, tuple[int, ...]]
    starts: int
    paths: int
    maps: int


_AT_1 = (6, 7, 8, 9)
SIZES = {
    Preset.SMALLEST: Size(largest_entry=1, ranks={1: (8,)}, starts=1, paths=1, maps=2),
    Preset.QUICK: Size(largest_entry=3, ranks={1: _AT_1}, starts=3, paths=5, maps=12),
    Preset.FULL: Size(largest_entry=3, ranks={1: _AT_1, 2: (24, 26, 28, 29, 30)}, starts=3, paths=5, maps=12),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """What exact decompositions reach near them, least ranks for sets of paths at L = 1, and random maps.

    Args:
        size: Size of the run.
        seed: First seed of starts and maps.
        jobs: Where finished parts are kept.
    """
    plan = [
        {"lmax": lmax, "rank": R, "seed": seed + n}
        for lmax, Rs in size.ranks.items()
        for R in Rs
        for n in range(size.starts)
    ]
    degrees = range(1, size.largest_entry + 1)
    known = [{"stem": entry.stem} for entry in atlas.entries() if entry.lmax in degrees]
    tries = {"starts": size.starts, "seed": seed}
    sets = [{"chosen": chosen, **tries} for chosen in sets_of_paths() if len(chosen) <= size.paths]
    maps = [{"lmax": 1, "rank": R, "maps": size.maps, **tries} for R in size.ranks[1]]
    return {
        "scaling_dimension": {str(lmax): universality.scaling_dimension(lmax) for lmax in degrees},
        "entries": jobs.map(entry, known, "atlas entries"),
        "starts": jobs.map(start, plan, "exploring path space"),
        "sets": jobs.map(least_rank, sets, "sets of paths"),
        "random_maps": jobs.map(represented, maps, "decomposing random maps"),
    }


def _row(lmax: int, factors: CPFactors) -> dict[str, Any]:
    """Paths alive, dimension and invariants of exact factors."""
    found = universality.reach(factors)
    row: dict[str, Any] = {
        "alive": found.alive,
        "paths": found.paths,
        "dimension": found.dimension,
        "scaling": found.scaling,
    }
    row["weights"] = found.weights.tolist()
    if found.alive == found.paths:
        invariants = universality.scaling_invariants(lmax)
        row["invariants"] = [universality.invariant_value(lmax, i, found.weights) for i in invariants]
    return row


def entry(stem: str) -> dict[str, Any]:
    """One entry of the atlas, which is exact by its proof."""
    chosen = atlas.load(stem)
    found = _row(chosen.tensor.lmax, chosen.factors)
    return {"L": chosen.lmax, "R": chosen.rank, "proof": chosen.proof["kind"], **found}


def start(lmax: int, rank: int, seed: int) -> dict[str, Any]:
    """One start with free weights, and one with the paper's; the better of what is exact counts."""
    tensor, rows = CouplingTensor(lmax), []
    for solver in (
        EquivariantLevenbergMarquardt(rank, seed=seed),
        LevenbergMarquardt(rank, seed=seed, ridge=1e-3, max_iterations=300),
    ):
        with threadpool_limits(1):
            solution = solver.solve(tensor)
        if solution.exact and not solution.made_by.get("dead"):
            rows.append({"solver": type(solver).__name__, **_row(lmax, solution.factors)})
    best = max(rows, key=lambda row: (row["alive"], row["dimension"]), default={})
    return {"L": lmax, "R": rank, "seed": seed, **best}


def sets_of_paths() -> list[list[list[int]]]:
    """Sets of paths at L = 1, one of each class under permutations of the modes, which exchange 110, 101 and 011."""
    scalar, cross, mixed = [0, 0, 0], [1, 1, 1], [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    fixed = [list(c) for n in range(3) for c in combinations((scalar, cross), n)]
    return [[*some, *mixed[:n]] for n in range(4) for some in fixed if some or n]


def least_rank(chosen: list[list[int]], starts: int, seed: int) -> dict[str, Any]:
    """The least rank at which a product with exactly these paths alive is found, weights free, and a lower bound.

    The Koszul bound is that of the weights 1, to which scalings of degrees bring up to four weights (over the complex
    numbers, where it holds): it serves for all weights. All five paths have an invariant, and `proofs.seven_terms`.
    """
    tensor = CouplingTensor(1, dict.fromkeys(((l1, l2, l3) for l1, l2, l3 in chosen), 1.0))
    lower = max(rank.flattening_bound(tensor), rank.koszul_bound(tensor, 1), 7 if len(chosen) == 5 else 0)
    for R in range(1, tensor.d**2):
        for n in range(starts):
            with threadpool_limits(1):
                solution = EquivariantLevenbergMarquardt(R, seed=seed + n).solve(tensor)
            if solution.exact and not solution.made_by["dead"]:
                weights = list(solution.tensor.weights)
                return {"paths": chosen, "lower": lower, "found": R, "weights": weights}
    raise ArithmeticError(f"no decomposition of {tensor} found")  # d^2 terms are enough


def represented(lmax: int, rank: int, maps: int, starts: int, seed: int) -> dict[str, Any]:
    """How many maps of random path weights (normal) ordinary fits of rank R represent exactly, with their invariant."""
    rng = np.random.default_rng(seed)
    invariant = universality.scaling_invariants(lmax)[0]
    rows = []
    for _ in range(maps):
        weights = rng.standard_normal(len(paths(lmax)))
        tensor = CouplingTensor(lmax, weights)
        fits = (LevenbergMarquardt(rank, seed + n, ridge=1e-3, max_iterations=300).solve(tensor) for n in range(starts))
        exact = any(fit.exact for fit in fits)
        rows.append({"invariant": universality.invariant_value(lmax, invariant, weights), "exact": exact})
    return {"L": lmax, "R": rank, "maps": maps, "exact": sum(row["exact"] for row in rows), "rows": rows}


STUDY = Study(
    "universality",
    "Dimensions of path space that exact CP forms of rank R reach; least ranks of sets of paths at L = 1 (T2, T3)",
    Cost.COMPUTED,
    SIZES,
    run,
)
