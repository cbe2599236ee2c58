"""Ranks of single paths, and of a vector with harmonics: least exact ranks found, and proven lower bounds.

The rank of a path depends neither on its weight nor on the order of its degrees: exchanging modes changes the sign
alone. That of `1 x l -> l-1, l+1` does not depend on the weights either, since each path has an output of its own. What
has a scalar, or all outputs that there are, is left out: `0 x l -> l` takes 2l + 1 terms, and `l1 x l2 -> |l1-l2|, ..,
l1+l2`, with any weights that are not 0, all (2l1 + 1)(2l2 + 1) products of components, by the ranks of unfoldings.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
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
        iterations: Iterations without ridge of each start; ten times as many from the best one below the least rank.
    """

    lmax: int
    power: int
    starts: int
    iterations: int


SIZES = {
    Preset.SMALLEST: Size(1, 1, starts=2, iterations=100),
    Preset.QUICK: Size(3, 2, starts=4, iterations=300),
    Preset.FULL: Size(4, 3, starts=30, iterations=300),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """One row for each path up to the order of its degrees, and each vector with harmonics: bounds, and what was tried.

    Args:
        size: Size of the run.
        seed: First seed of the starts, and seed of the projections.
        jobs: Where finished parts are kept.
    """
    couplings = [*_paths(size.lmax), *(f"1 x {l} -> {l - 1}+{l + 1}" for l in range(1, size.lmax + 1))]
    plan = [{"coupling": text, "power": size.power, "seed": seed} for text in couplings]
    below = jobs.map(lower_bounds, plan, "bounding ranks from below")
    plan = [
        {"coupling": text, "starts": size.starts, "iterations": size.iterations, "seed": seed} for text in couplings
    ]
    found = jobs.map(search, plan, "looking for exact decompositions")
    return {"rows": [low | high for low, high in zip(below, found, strict=True)]}


def _paths(lmax: int) -> Iterator[str]:
    """Each path without a scalar once; degrees that are equal are those of the inputs."""
    for l1 in range(1, lmax + 1):
        for l2 in range(l1, lmax + 1):
            for l3 in range(l2, min(l1 + l2, lmax) + 1):
                yield f"{l2} x {l3} -> {l1}" if l2 == l3 else f"{l1} x {l2} -> {l3}"


def lower_bounds(coupling: str, power: int, seed: int) -> dict[str, Any]:
    """The best bound on the border rank, that on the rank over the real numbers, and what they rest on."""
    tensor = CouplingTensor(coupling)
    flattenings = {
        "flattening": rank.flattening_bound(tensor),
        "Koszul": 0,
        "substitution": rank.any_weights_bound(tensor.coupling),
        "substitution, Koszul": 0,
    }
    single = len(tensor.paths) == 1
    l1, l2, l3 = tensor.paths[0].degrees
    orders = {(l1, l2, l3), (l2, l3, l1), (l3, l1, l2)}
    for other in [CouplingTensor(f"{a} x {b} -> {c}") for a, b, c in sorted(orders)] if single else [tensor]:
        d3 = other.coupling.shape[0]
        for p in range(1, power + 1):
            for mode in (0, 1, 2):
                if 2 * p < other.coupling.shape[mode]:
                    flattenings["Koszul"] = max(flattenings["Koszul"], rank.koszul_bound(other, p, seed, mode))
                for steps in range(1, min(SUBSTITUTED, d3 - 1) + 1):
                    left = d3 - steps if single else d3 - 2 * steps  # of two degrees each step may take one of each
                    if 2 * p < (left if mode == 0 else other.coupling.shape[mode]) and left > 0:
                        bound = rank.border_substitution_bound(other, p, steps, seed, mode)
                        flattenings["substitution, Koszul"] = max(flattenings["substitution, Koszul"], bound)
    border = max(flattenings.values())
    real = rank.real_path_bound(l1, l2, l3) if single else border
    return {"coupling": coupling, "bounds": flattenings, "border_lower": border, "lower": max(border, real)}


def search(coupling: str, starts: int, iterations: int, seed: int) -> dict[str, Any]:
    """Ranks from the generic one on, up until a start is exact, and down until none is; and what is near below.

    Where the exchange of two modes leaves a path alone, so do the terms of a second search.

    Returns:
        `found`: The least rank at which a start is exact up to roundoff. `proven`: the least one at which exact factors
        are proven to be near, with the `symmetry` that makes the equations independent, or none. `attempts`: for each
        symmetry and rank the starts, the least relative residual and its condition. `below`: the same of a long run
        from the best start with one term less than `found`.
    """
    tensor = CouplingTensor(coupling)
    generic = -(-prod(tensor.dims) // (sum(tensor.dims) - 2))
    made: list[_Attempt] = []

    def attempt(symmetry: str, terms: int) -> bool:
        solutions: list[CPSolution] = []
        while len(solutions) < starts and not (solutions and solutions[-1].exact):
            solver = _solver(tensor, symmetry, terms, iterations, seed + len(solutions))
            solutions.append(solver.solve(tensor))
        made.append(_Attempt(terms, symmetry, len(solutions), best(solutions)))
        return made[-1].solution.exact

    with threadpool_limits(1):
        terms = generic
        for symmetry in _symmetries(tensor):
            while not attempt(symmetry, terms) and not any(a.solution.exact for a in made):
                terms += 1
            while made[-1].solution.exact and terms > 1:
                terms -= 1
                attempt(symmetry, terms)
            terms = min(a.terms for a in made if a.solution.exact)
        proof = next((a for a in sorted(made, key=lambda a: a.terms) if a.proven(tensor)), None)
        nearest = best([a.solution for a in made if a.terms == terms - 1])
        below = LevenbergMarquardt(terms - 1, seed, max_iterations=10 * iterations, stall=1e-6)
        limit = below.solve(tensor, nearest.factors)
    return {
        "generic": generic,
        "found": terms,
        "proven": proof and proof.terms,
        "symmetry": proof and proof.symmetry,
        "attempts": [{**_row(a.solution), "symmetry": a.symmetry, "starts": a.starts} for a in made],
        "below": _row(limit),
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
    """None; and all exchanges of equal modes, if they leave the tensor alone."""
    z, x, y = tensor.coupling.modes
    if x != y or not all(path.even for path in tensor.paths):
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
    "Ranks of single paths and of vectors with harmonics: least exact ones found, and proven lower bounds",
    Cost.COMPUTED,
    SIZES,
    run,
)
