"""How much of path space CP forms of rank R reach exactly (T2)."""

from __future__ import annotations

from typing import Any

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import paths
from tdn_theory.theory import universality
from tdn_theory.theory.equivariance import mean_square_error

QUICK_RANKS = {1: (3, 4, 5, 6, 7, 8, 9)}
FULL_RANKS = {1: (3, 4, 5, 6, 7, 8, 9), 2: (22, 23, 24, 25, 26, 28, 30)}


def run(preset: Preset, seed: int, units: Units) -> dict[str, Any]:
    """For every rank: paths alive and first-order dimension reached, and how many random maps are represented exactly.

    The quick preset treats L = 1 alone.
    """
    ranks = QUICK_RANKS if preset is Preset.QUICK else FULL_RANKS
    starts = 3 if preset is Preset.QUICK else 4
    plan = [{"lmax": lmax, "rank": R, "seed": seed, "starts": starts} for lmax, chosen in ranks.items() for R in chosen]
    return {
        "scaling_dimension": {str(lmax): universality.scaling_dimension(lmax) for lmax in ranks},
        "rows": units.map(reached, plan, "exploring path space"),
        "random_maps": units.map(
            represented, [unit | {"maps": 4 * starts} for unit in plan if unit["lmax"] == 1], "decomposing random maps"
        ),
    }


def reached(lmax: int, rank: int, seed: int, starts: int) -> dict[str, Any]:
    """The best exactly equivariant factors over several starts: most paths alive, then largest dimension.

    Two kinds of starts: weights free, and an ordinary fit of the paper's tensor, which may be exact.
    """
    found = []
    for start in range(2 * starts):
        if start < starts:
            factors = universality.find_equivariant(lmax, rank, seed + start)
        else:
            fit = LevenbergMarquardt(rank, seed + start - starts, ridge=1e-3, max_iterations=300)
            factors = fit.solve(CouplingTensor(lmax)).factors
        norm = float(np.linalg.norm(factors.array))
        if norm > 0 and np.sqrt(mean_square_error(factors) / 2) <= universality.EQUIVARIANT * norm:
            found.append(universality.reach(factors))
    best = max(found, key=lambda r: (r.alive, r.dimension), default=None)
    row: dict[str, Any] = {"L": lmax, "R": rank, "paths": len(paths(lmax)), "found": len(found), "starts": 2 * starts}
    if best is not None:
        row |= {"alive": best.alive, "dimension": best.dimension, "weights": best.weights.tolist()}
        if best.alive == best.paths:
            invariants = universality.scaling_invariants(lmax)
            row["invariants"] = [universality.invariant_value(lmax, i, best.weights) for i in invariants]
    return row


def represented(lmax: int, rank: int, seed: int, starts: int, maps: int) -> dict[str, Any]:
    """How many maps of random path weights (normal) ordinary fits of rank R represent exactly, with their invariant."""
    rng = np.random.default_rng(seed)
    invariant = universality.scaling_invariants(lmax)[0]
    rows = []
    for _ in range(maps):
        weights = rng.standard_normal(len(paths(lmax)))
        tensor = CouplingTensor(lmax, weights)
        fits = (LevenbergMarquardt(rank, seed + n, ridge=1e-3, max_iterations=300).solve(tensor) for n in range(starts))
        exact = any(fit.residual <= EXACT for fit in fits)
        rows.append({"invariant": universality.invariant_value(lmax, invariant, weights), "exact": exact})
    return {"L": lmax, "R": rank, "maps": maps, "exact": sum(row["exact"] for row in rows), "rows": rows}
