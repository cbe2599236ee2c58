"""Searches that begin with what is known: exact forms less one of their terms, and sums of a path and all others.

Known are the atlas' least forms of all and of the even paths, and those of the even paths by cubature.

Less one. A form with R terms is left without one of them, which leaves a tensor near an equivariant one, and the
equivariance-only solver goes on from there: each term is left out once.

Near known weights. What is found depends on the weights that one looks near; those of an entry are reached with R terms
at least, so forms with R - 1 are looked for there, from starts drawn at random.

Sums. If a path p alone has a form with r terms and all other paths one with s, then all paths have one with r + s. So
all paths but p are looked for with R - 1 - r terms, near weights drawn at random, r being least for p in the atlas;
where no path alone is in the atlas, as where some ranks of single paths are known numerically only, there is no row.

As a control the eight terms of the paper's tensor at L = 1 are left without one: seven do, with other weights.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.search import Paths, drawn
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.experiments.decompositions.rank_sweep import best_solution
from tdn_theory.experiments.decompositions.starts import known_entry, summary
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

Form = Literal["all", "even", "cubature"]

CONTROL = (1, 8)
"""L, and terms of the exact form of the paper's tensor."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        known: L of the forms that are shortened, and what they are.
        starts: Starts of every sum, and near every entry's weights.
    """

    known: Sequence[tuple[int, Form]]
    starts: int


SIZES = {
    Preset.SMALLEST: Size(((1, "even"),), starts=1),
    Preset.QUICK: Size(((1, "all"), (1, "even")), starts=2),
    Preset.FULL: Size(((1, "all"), (1, "even"), (2, "cubature"), (2, "even"), (2, "all")), starts=4),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Rows of forms less one, and of sums.

    Args:
        size: Size of the run.
        seed: First seed of the starts.
        jobs: Where finished rows are kept.
    """
    forms = [{"lmax": CONTROL[0], "form": "control", "rank": CONTROL[1]}]
    forms += [{"lmax": lmax, "form": form, "rank": known_entry(lmax, form).rank} for lmax, form in size.known]
    less_one = [form | {"term": term} for form in forms for term in range(form["rank"])]
    sums = [
        {"lmax": lmax, "paths": form, "alone": list(path), "rank": rank, "starts": size.starts, "seed": seed}
        for lmax, form in size.known
        if form != "cubature"
        for path in Coupling.of(lmax).paths
        if (path.even or form == "all") and (rank := _rank_left(lmax, form, tuple(path))) > 0
    ]
    near = [{"lmax": lmax, "form": form, "starts": 5 * size.starts, "seed": seed} for lmax, form in size.known]
    return {
        "less_one": jobs.map(without_term, less_one, "forms less one term"),
        "near": jobs.map(near_weights, near, "near the weights of an entry"),
        "sums": jobs.map(without_path, sums, "sums of a path and all others"),
    }


def without_term(lmax: int, form: str, rank: int, term: int) -> dict[str, Any]:
    """Go on from an exact form that lacks one of its terms.

    Args:
        lmax: Maximal degree L.
        form: A `Form`; or `control`, the paper's tensor itself.
        rank: Terms of the form.
        term: The one that is left out.
    """
    if form == "control":
        factors, tensor = best_solution(lmax, rank).factors, CouplingTensor(lmax)
    else:
        entry = known_entry(lmax, form)
        factors, tensor = entry.factors, entry.tensor
    start = CPFactors(*(np.delete(factor, term, 1) for factor in (factors.A, factors.B, factors.C)))
    found = _found(EquivariantLevenbergMarquardt(rank - 1), tensor, start)
    return {"L": lmax, "form": form, "R": rank - 1, "term": term, **found}


def without_path(lmax: int, paths: Paths, alone: list[int], rank: int, starts: int, seed: int) -> dict[str, Any]:
    """Look for all paths but one, near weights drawn at random.

    Args:
        lmax: Maximal degree L.
        paths: Those of the sum.
        alone: The path that the rest is found without, (l1, l2, l3).
        rank: Terms of the rest.
        starts: Starts.
        seed: The first.
    """
    whole = CouplingTensor.even(lmax) if paths == "even" else CouplingTensor(lmax)
    rest = [
        0.0 if tuple(path) == tuple(alone) else weight for path, weight in zip(whole.paths, whole.weights, strict=True)
    ]
    found = []
    for number in range(seed, seed + starts):
        tensor = drawn(CouplingTensor(lmax, tuple(rest)), "C1", number)
        found.append(_found(EquivariantLevenbergMarquardt(rank, seed=number), tensor))
    return {"L": lmax, "paths": paths, "alone": alone, "R": rank, **summary(found)}


def near_weights(lmax: int, form: str, starts: int, seed: int) -> dict[str, Any]:
    """Look near the weights of a known form for one of one term less, from random starts.

    Args:
        lmax: Maximal degree L.
        form: A `Form`.
        starts: Starts.
        seed: The first.
    """
    entry = known_entry(lmax, form)
    seeds = range(seed, seed + starts)
    found = [_found(EquivariantLevenbergMarquardt(entry.rank - 1, seed=number), entry.tensor) for number in seeds]
    return {"L": lmax, "form": form, "R": entry.rank - 1, **summary(found)}


def _rank_left(lmax: int, paths: Paths, path: tuple[int, ...]) -> int:
    """Terms that all paths but one may take to have one less than is known; 0 where the path alone is not known."""
    l1, l2, l3 = path
    try:
        alone = atlas.best(f"{l1} x {l2} -> {l3}").rank
    except LookupError:
        return 0
    return atlas.best(lmax, paths=paths).rank - 1 - alone


def _found(
    solver: EquivariantLevenbergMarquardt, tensor: CouplingTensor, start: CPFactors | None = None
) -> dict[str, Any]:
    with threadpool_limits(1):
        solution = solver.solve(tensor, start)
    return {
        "residual": solution.residual,
        "dead": solution.made_by["dead"],
        "condition": solution.condition,
        "seconds": solution.made_by["seconds"],
    }


STUDY = Study(
    "shortened_forms",
    "Searches from what is known: exact forms less one term, and sums of a path and all others",
    Cost.COMPUTED,
    SIZES,
    run,
)
