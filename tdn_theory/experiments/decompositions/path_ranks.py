"""Ranks of single paths l1 x l2 -> l3: least exact ranks found, and proven lower bounds.

The rank of a path depends neither on its weight nor on the order of its degrees: exchanging modes changes the sign
alone. Left out is what is known:

* `0 x l -> l` takes 2l + 1 terms, and `l1 x l2 -> |l1-l2|, .., l1+l2`, with any weights that are not 0, all (2l1 + 1)
  (2l2 + 1) products of components, by the ranks of unfoldings.
* `l1 x l2 -> l1+l2, l1+l2-2, .., |l1-l2|` takes as many terms as z has components, with any weights that are not 0,
  since each path has an output of its own. No fewer, by an unfolding. No more: x and y are harmonics, whose product is
  a function with these degrees, which its values at as many points determine if they are in general position. A vector
  with harmonics, `1 x l -> l-1, l+1`, takes 2 (2l + 1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import product
from math import prod
from typing import Any

from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.solution import CPSolution, best
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.symmetry import orbit_types
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.theory import rank

SUBSTITUTED = 4
"""Components that border substitution leaves out at most, before a Koszul flattening."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        lmax: Largest degree.
        power: Largest exterior power p of Koszul flattenings.
        starts: Starts at each rank, until one is exact.
        iterations: Iterations without ridge of each start, and three times as many of the best one if none is exact.
    """

    lmax: int
    power: int
    starts: int
    iterations: int


SIZES = {
    Preset.SMALLEST: Size(1, 1, starts=2, iterations=100),
    Preset.QUICK: Size(3, 2, starts=4, iterations=300),
    Preset.FULL: Size(4, 3, starts=5, iterations=300),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """One row for each path up to the order of its degrees: bounds, and what was tried.

    Args:
        size: Size of the run.
        seed: First seed of the starts, and seed of the projections.
        jobs: Where finished parts are kept.
    """
    plan = [{"coupling": text, "power": size.power, "seed": seed} for text in _paths(size.lmax)]
    below = jobs.map(lower_bounds, plan, "bounding ranks from below")
    plan = [
        {"coupling": text, "starts": size.starts, "iterations": size.iterations, "seed": seed}
        for text in _paths(size.lmax)
    ]
    found = jobs.map(search, plan, "looking for exact decompositions")
    rows = [low | high for low, high in zip(below, found, strict=True)]
    for entry in atlas.entries():  # not kept as jobs: the atlas may grow
        for row in rows:
            if str(entry.coupling) == row["coupling"] and entry.rank < (row["proven"] or float("inf")):
                row |= {"found": min(row["found"], entry.rank), "proven": entry.rank}
    return {"rows": rows}


def _paths(lmax: int) -> Iterator[str]:
    """Each path without a scalar once; degrees that are equal are those of the inputs."""
    for l1 in range(1, lmax + 1):
        for l2 in range(l1, lmax + 1):
            for l3 in range(l2, min(l1 + l2, lmax) + 1):
                yield f"{l2} x {l3} -> {l1}" if l2 == l3 else f"{l1} x {l2} -> {l3}"


def lower_bounds(coupling: str, power: int, seed: int) -> dict[str, Any]:
    """The best bound on the border rank of a path, that on its rank over the real numbers, and what they rest on."""
    l1, l2, l3 = CouplingTensor(coupling).paths[0].degrees
    flattening, substitution = 0, 0
    for degrees in sorted({(l1, l2, l3), (l2, l3, l1), (l3, l1, l2)}):
        tensor = CouplingTensor("{} x {} -> {}".format(*degrees))
        d3, *_ = shape = tensor.coupling.shape
        for p, mode in product(range(1, power + 1), (0, 1, 2)):
            if 2 * p < shape[mode]:
                flattening = max(flattening, rank.koszul_bound(tensor, p, seed, mode))
            for steps in range(1, min(SUBSTITUTED, d3 - 1) + 1):
                if 2 * p < shape[mode] - (steps if mode == 0 else 0):
                    substitution = max(substitution, rank.border_substitution_bound(tensor, p, steps, seed, mode))
    bounds = {
        "flattening": rank.flattening_bound(CouplingTensor(coupling)),
        "substitution": rank.any_weights_bound(coupling),
        "Koszul": flattening,
        "substitution, Koszul": substitution,
    }
    border, real = max(bounds.values()), rank.real_path_bound(l1, l2, l3)
    return {"coupling": coupling, "bounds": bounds, "border_lower": border, "lower": max(border, real)}


def search(coupling: str, starts: int, iterations: int, seed: int) -> dict[str, Any]:
    """Ranks from the generic one on, up until a start is exact, and down until none is.

    Where the exchange of two modes leaves a path alone, so do the terms of a second search.

    Returns:
        `found`: The least rank at which a start is exact up to roundoff. `proven`: the least one at which exact factors
        are proven to be near, or none. `attempts`: for each symmetry and rank the starts, the least relative residual
        and its condition. `below`: that of them which is nearest with one term less than `found`.
    """
    tensor = CouplingTensor(coupling)
    generic = -(-prod(tensor.dims) // (sum(tensor.dims) - 2))
    made: list[_Attempt] = []

    def attempt(symmetry: str, terms: int) -> bool:
        solutions: list[CPSolution] = []
        while len(solutions) < starts and not (solutions and solutions[-1].exact):
            solver = _solver(tensor, symmetry, terms, iterations, seed + len(solutions))
            solutions.append(solver.solve(tensor))
        count, nearest = len(solutions), best(solutions)
        if not nearest.exact:
            longer = LevenbergMarquardt(terms, seed, max_iterations=3 * iterations, stall=1e-6)
            nearest = longer.solve(tensor, nearest.factors)
        made.append(_Attempt(terms, symmetry, count, nearest))
        return nearest.exact

    with threadpool_limits(1):
        terms = generic
        for symmetry in _symmetries(tensor):
            while not attempt(symmetry, terms) and not any(a.solution.exact for a in made):
                terms += 1
            while made[-1].solution.exact and terms - 1 not in {a.terms for a in made if a.symmetry == symmetry}:
                terms -= 1
                attempt(symmetry, terms)
            terms = min(a.terms for a in made if a.solution.exact)
        proof = next((a for a in sorted(made, key=lambda a: a.terms) if a.proven(tensor)), None)
    return {
        "generic": generic,
        "found": terms,
        "proven": proof and proof.terms,
        "attempts": [{**_row(a.solution), "symmetry": a.symmetry, "starts": a.starts} for a in made],
        "below": _row(best([a.solution for a in made if a.terms == terms - 1])),
    }


@dataclass(frozen=True)
class _Attempt:
    """The best of some starts."""

    terms: int
    symmetry: str
    starts: int
    solution: CPSolution

    def proven(self, tensor: CouplingTensor) -> bool:
        """Whether exact factors are proven to be near; not so if the equations depend on each other there."""
        if not self.solution.exact:
            return False
        try:
            atlas.prove(tensor.coupling, self.solution.factors, atlas.newton(tensor, self.symmetry, fixed=True))
        except ProofError:
            return False
        return True


def _row(solution: CPSolution) -> dict[str, Any]:
    return {"R": solution.factors.rank, "residual": solution.residual, "condition": solution.condition}


def _symmetries(tensor: CouplingTensor) -> list[str]:
    """None; and all exchanges of equal modes, if they leave the path alone."""
    z, x, y = tensor.coupling.modes
    if x != y or not tensor.paths[0].even:
        return ["C1"]
    return ["C1", "C1*S3" if z == x else "C1*Z2"]


def _solver(
    tensor: CouplingTensor, symmetry: str, terms: int, iterations: int, seed: int
) -> LevenbergMarquardt | EquivariantLevenbergMarquardt:
    if symmetry == "C1":
        return LevenbergMarquardt(terms, seed, max_iterations=iterations, linear_solver="cholesky")
    types = orbit_types(symmetry, tensor.coupling.modes)
    alone = next(orbit.name for orbit in types if orbit.length == 1 and "-" not in orbit.name)
    return EquivariantLevenbergMarquardt(
        terms, seed, symmetry, orbits=(alone,) * terms, free=False, max_iterations=iterations
    )


STUDY = Study(
    "path_ranks",
    "Ranks of single paths: least exact ones found, and proven lower bounds",
    Cost.COMPUTED,
    SIZES,
    run,
)
