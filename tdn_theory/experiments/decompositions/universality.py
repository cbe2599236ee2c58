"""How much of path space CP forms of rank R reach exactly (T2)."""

from __future__ import annotations

from itertools import combinations
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import paths
from tdn_theory.theory import rank, universality

LARGEST_ENTRY = 3
"""Largest degree whose atlas entries are examined: their Jacobians are dense."""

QUICK_RANKS = {1: (6, 7, 8, 9)}
FULL_RANKS = {1: (6, 7, 8, 9), 2: (24, 26, 28, 29, 30)}
"""Ranks at which new starts are made, per L."""

STARTS = 3
MAPS = 12


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """What exact decompositions reach near them, least ranks for every set of paths at L = 1, and random maps."""
    ranks = QUICK_RANKS if preset is Preset.QUICK else FULL_RANKS
    plan = [
        {"lmax": lmax, "rank": R, "seed": seed + n} for lmax, Rs in ranks.items() for R in Rs for n in range(STARTS)
    ]
    known = [{"stem": entry.stem} for entry in atlas.entries() if entry.lmax <= LARGEST_ENTRY]
    return {
        "scaling_dimension": {str(lmax): universality.scaling_dimension(lmax) for lmax in range(1, LARGEST_ENTRY + 1)},
        "entries": jobs.map(entry, known, "atlas entries"),
        "starts": jobs.map(start, plan, "exploring path space"),
        "sets": jobs.map(least_rank, [{"chosen": c, "seed": seed} for c in sets_of_paths()], "sets of paths"),
        "random_maps": jobs.map(
            represented, [{"lmax": 1, "rank": R, "seed": seed} for R in ranks[1]], "decomposing random maps"
        ),
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
    return {"L": chosen.lmax, "R": chosen.rank, "proof": chosen.proof["kind"], **_row(chosen.lmax, chosen.factors)}


def start(lmax: int, rank: int, seed: int) -> dict[str, Any]:
    """One start with free weights, and one with the paper's; the better of what is exact counts."""
    tensor, rows = CouplingTensor(lmax), []
    for solver in (
        EquivariantLevenbergMarquardt(rank, seed=seed),
        LevenbergMarquardt(rank, seed=seed, ridge=1e-3, max_iterations=300),
    ):
        with threadpool_limits(1):
            solution = solver.solve(tensor)
        if solution.residual <= EXACT and not solution.made_by.get("dead"):
            rows.append({"solver": type(solver).__name__, **_row(lmax, solution.factors)})
    best = max(rows, key=lambda row: (row["alive"], row["dimension"]), default={})
    return {"L": lmax, "R": rank, "seed": seed, **best}


def sets_of_paths() -> list[list[list[int]]]:
    """Sets of paths at L = 1, one of each class under permutations of the modes, which exchange 110, 101 and 011."""
    scalar, cross, mixed = [0, 0, 0], [1, 1, 1], [[1, 1, 0], [0, 1, 1], [1, 0, 1]]
    fixed = [list(c) for n in range(3) for c in combinations((scalar, cross), n)]
    return [[*some, *mixed[:n]] for n in range(4) for some in fixed if some or n]


def least_rank(chosen: list[list[int]], seed: int) -> dict[str, Any]:
    """The least rank at which a product with exactly these paths alive is found, weights free, and a lower bound.

    The Koszul bound is that of the weights 1, to which scalings of degrees bring up to four weights (over the complex
    numbers, where it holds): it serves for all weights. All five paths have an invariant, and `proofs.seven_terms`.
    """
    tensor = CouplingTensor(1, dict.fromkeys(((l1, l2, l3) for l1, l2, l3 in chosen), 1.0))
    lower = max(rank.flattening_bound(tensor), rank.koszul_bound(tensor, 1), 7 if len(chosen) == 5 else 0)
    for R in range(1, tensor.d**2):
        for n in range(STARTS):
            with threadpool_limits(1):
                solution = EquivariantLevenbergMarquardt(R, seed=seed + n).solve(tensor)
            if solution.residual <= EXACT and not solution.made_by["dead"]:
                weights = list(solution.tensor.weights)
                return {"paths": chosen, "lower": lower, "found": R, "weights": weights}
    raise ArithmeticError(f"no decomposition of {tensor} found")  # d^2 terms are enough


def represented(lmax: int, rank: int, seed: int) -> dict[str, Any]:
    """How many maps of random path weights (normal) ordinary fits of rank R represent exactly, with their invariant."""
    rng = np.random.default_rng(seed)
    invariant = universality.scaling_invariants(lmax)[0]
    rows = []
    for _ in range(MAPS):
        weights = rng.standard_normal(len(paths(lmax)))
        tensor = CouplingTensor(lmax, weights)
        fits = (LevenbergMarquardt(rank, seed + n, ridge=1e-3, max_iterations=300).solve(tensor) for n in range(STARTS))
        exact = any(fit.residual <= EXACT for fit in fits)
        rows.append({"invariant": universality.invariant_value(lmax, invariant, weights), "exact": exact})
    return {"L": lmax, "R": rank, "maps": MAPS, "exact": sum(row["exact"] for row in rows), "rows": rows}
