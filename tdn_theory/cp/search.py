"""Search for exactly equivariant decompositions; what is found becomes an entry of an atlas only with its proof."""

from __future__ import annotations

from pathlib import Path
from typing import Any, Literal

import numpy as np
from threadpoolctl import threadpool_limits

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.symmetry import group
from tdn_theory.jobs import Jobs

Paths = Literal["all", "even"]


def run(
    coupling: int | str,
    rank: int,
    paths: Paths,
    starts: int,
    symmetry: str,
    seed: int,
    jobs: Jobs,
    folder: Path,
    any_weights: bool = False,
) -> list[dict[str, Any]]:
    """All starts; those that are exact, with every path alive, are proven and saved.

    Args:
        coupling: Maximal degree L of the paper's features, or irreps, as in `Coupling.of`.
        rank: Number of terms R.
        paths: Paths to keep alive: all, or the even ones.
        starts: Number of starts, with seeds seed, seed + 1, ...
        symmetry: Group of the decomposition, see `symmetry.group`.
        seed: First seed.
        jobs: Runs the starts; finished ones are kept.
        folder: Where entries are written, to be read by `atlas.entries(folder)`.
        any_weights: Whether each start looks near weights of its own (`drawn`), not near weights 1.

    Returns:
        One row per start: residual, dead paths, and the entry's name or the reason why there is none.

    Raises:
        ValueError: The irreps cannot be read, there is no such group, it exchanges modes of different irreps, or the
            rank cannot be made up from its orbits.
    """
    label = Coupling.of(coupling).label
    given = {"coupling": coupling, "rank": rank, "paths": paths, "symmetry": symmetry, "any_weights": any_weights}
    rows = jobs.map(attempt, [given | {"seed": seed + n} for n in range(starts)], f"{label} R={rank} {symmetry}")
    for row in rows:
        factors = row.pop("factors")
        if factors is not None:
            entry = atlas.save(coupling, CPFactors(*np.array(factors)), row["proof"], {}, row["made_by"], folder)
            row["entry"] = repr(entry)
    return rows


def attempt(
    coupling: int | str, rank: int, paths: Paths, symmetry: str, seed: int, any_weights: bool
) -> dict[str, Any]:
    """One start of the equivariance-only solver near a tensor, and the proof of what it finds."""
    tensor = CouplingTensor.even(coupling) if paths == "even" else CouplingTensor(coupling)
    if any_weights:
        tensor = drawn(tensor, symmetry, seed)
    with threadpool_limits(1):
        solution = EquivariantLevenbergMarquardt(rank, seed=seed, symmetry=symmetry).solve(tensor)
        row: dict[str, Any] = {
            "seed": seed,
            "residual": solution.residual,
            "dead": solution.made_by["dead"],
            "least_weight": min(abs(w) for w in solution.tensor.weights if w),
            "seconds": solution.made_by["seconds"],
            "made_by": solution.made_by,
            "proof": atlas.newton(tensor, symmetry, fixed=False),
            "factors": None,
        }
        if row["dead"] or not solution.exact:
            return row | {"entry": "paths died" if row["dead"] else "not exact"}
        try:
            atlas.prove(tensor.coupling, solution.factors, row["proof"])
        except ProofError as error:
            return row | {"entry": f"not proven: {error}"}
    factors = solution.factors
    return row | {"factors": [f.tolist() for f in (factors.A, factors.B, factors.C)]}


def drawn(tensor: CouplingTensor, symmetry: str, seed: int) -> CouplingTensor:
    """The paths in use with weights drawn at random, the same for paths that a group exchanges.

    Products of weights that no scaling changes tell tensors of different ranks apart, signs included; so a search near
    the weights 1 alone sees one of many.
    """
    rng = np.random.default_rng([seed, 1])
    orders = {element.permutation for element in group(symmetry).elements}
    drawn_for: dict[tuple[int, ...], float] = {}
    weights: dict[tuple[int, int, int], float] = {}
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        first = min(tuple((path.z, path.x, path.y)[mode] for mode in order) for order in orders)
        new = float(rng.choice((-1, 1)) * np.exp(rng.normal() / 3))
        weights[path] = drawn_for.setdefault(first, new) if weight else 0.0
    return CouplingTensor(tensor.coupling, weights)
