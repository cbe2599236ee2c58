"""Products of all degrees 0..L that stand in for those of pretrained potentials."""

from __future__ import annotations

from functools import cache
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.solvers.sampled_adamw import SampledAdamW
from tdn_theory.cp.store import Store

KINDS = ("CP", "CP, released recipe", "atlas, all paths", "atlas, even paths", "M, even paths")
"""Products: our best fits of M; fits by the released code's recipe, which depend on a seed; exact ones with path
weights of their own; and M itself without its odd paths."""

DYNAMIC = {
    "7net-0": ({"kind": "CP", "rank": 28}, {"kind": "CP", "rank": 15}, {"kind": "CP, released recipe", "rank": 28}),
    "7net-l3i5": ({"kind": "CP", "rank": 63},),
}
"""By potential, the products (arguments of `made`) whose potentials are trained again and move atoms."""


class Product(NamedTuple):
    """A tensor for the products of a potential.

    Attributes:
        M: The tensor M[k, i, j].
        rank: Its terms, if it is a sum of such.
    """

    M: Float[np.ndarray, "d d d"]
    rank: int | None


@cache
def made(lmax: int, kind: str, rank: int = 0, recipe_seed: int = 0, steps: int = 50_000) -> Product:
    """A product of `KINDS`, of degrees 0..L.

    Args:
        lmax: Maximal degree L.
        kind: One of `KINDS`.
        rank: Number of terms of a fit.
        recipe_seed: Seed of the released recipe.
        steps: Its steps.
    """
    tensor = CouplingTensor(lmax)
    if kind == "CP":
        factors = Store().best(tensor, rank).factors
        return Product(factors.array, factors.rank)
    if kind == "CP, released recipe":
        return Product(SampledAdamW(rank, recipe_seed, steps).solve(tensor).factors.array, rank)
    if kind == "M, even paths":
        even = tuple(float((path.l1 + path.l2 + path.l3) % 2 == 0) for path in tensor.paths)
        return Product(CouplingTensor(lmax, even).array, None)
    entry = atlas.best(lmax, paths="all" if kind == "atlas, all paths" else "even")
    return Product(entry.factors.array, entry.rank)
