"""Factors that somebody has found: read from a file, judged, proven and put into the atlas, or refused.

The file is an npz archive or a JSON object with

    coupling        maximal degree L of the paper's features, or irreps such as "0+1 x 0+1+2 -> 0+1"
    A, B, C         factors of z, x and y, shapes (d3, R), (d1, R), (d2, R)
    source          who found them, and how; the catalogue prints it
    S_z, S_x, S_y   where the factors are in another basis than the package's (`docs/conventions.md`): matrices whose
                    columns are the vectors of that basis

Every nonsingular S is allowed. The product `z = A ((B^T x) * (C^T y))` is one of coordinates, and `x = S_x x'`, so

    A = S_z A',      B = S_x^-T B',      C = S_y^-T C'.

The proof is that of `certificate.prove_decomposition`, under the first of `SYMMETRIES` with which it closes.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from tdn_theory.coupling import Coupling, CouplingTensor, error_relative_to_output
from tdn_theory.cp import atlas
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.known import parts
from tdn_theory.cp.solution import EXACT
from tdn_theory.files import npz_arrays, read_json
from tdn_theory.provenance import provenance

SYMMETRIES = tuple(
    base + extension for base in ("C1", "C2", "D2") for extension in ("", "*Z2", "*Z3", "*S3", "*i", "*t")
)
"""Groups of signed permutations, least restriction first: those that `certificate` can use."""

NEAR = 1e-3
"""Equivariance error up to which factors are taken for an approximation, not for factors of another basis."""


@dataclass(frozen=True, eq=False)
class Contribution:
    """Factors in the package's basis, and what they are said to be.

    Attributes:
        coupling: What they couple, with all admissible paths.
        factors: The factors.
        source: Who found them, and how.
    """

    coupling: Coupling
    factors: CPFactors
    source: str


def read(file: Path) -> Contribution:
    """A contribution from its file.

    Raises:
        FileNotFoundError: There is no such file.
        TypeError: A factor is not real.
        ValueError: The file is neither npz nor a JSON object, something is missing or not known, or shapes do not fit.
    """
    content = _content(file)
    needed, allowed = {"coupling", "A", "B", "C", "source"}, {"S_z", "S_x", "S_y"}
    for what, names in (("missing", needed - set(content)), ("not known", set(content) - needed - allowed)):
        if names:
            raise ValueError(
                f"{', '.join(sorted(names))} {what} in {file}; it must have coupling, A, B, C and source, and may have "
                "the bases S_z, S_x, S_y"
            )
    text = str(content["coupling"])
    coupling = Coupling.of(int(text) if text.isdecimal() else text).complete
    given = (_matrix(content, name) for name in "ABC")
    factors = []
    for name, mode, factor, d in zip("ABC", "zxy", given, coupling.shape, strict=True):
        if factor.ndim != 2 or len(factor) != d:
            raise ValueError(
                f"{name} has shape {factor.shape}; {mode} of {coupling.label} has {d} components: give a matrix "
                f"({d}, R)"
            )
        S = _matrix(content, f"S_{mode}") if f"S_{mode}" in content else np.eye(d)
        if S.shape != (d, d) or np.linalg.matrix_rank(S) < d:
            raise ValueError(
                f"S_{mode} has shape {S.shape}; it must be a nonsingular matrix ({d}, {d}), a vector a column"
            )
        factors.append(S @ factor if mode == "z" else np.linalg.solve(S.T, factor))
    return Contribution(coupling, CPFactors(*factors), str(content["source"]))


def _content(file: Path) -> Mapping[str, Any]:
    if file.suffix == ".npz":
        return npz_arrays(file.read_bytes())
    if file.suffix == ".json":
        return read_json(file)
    raise ValueError(f"{file} is of no known form; give an .npz or a .json file")


def _matrix(content: Mapping[str, Any], name: str) -> np.ndarray:
    """An array of real numbers, in float64."""
    array = np.array(content[name])
    if array.dtype.kind not in "fiu":
        raise TypeError(
            f"{name} has dtype {array.dtype}; it must be real numbers, in a real basis (for a complex one see "
            "so3.clebsch_gordan.real_basis)"
        )
    return array.astype(float)


def add(contribution: Contribution, folder: Path = atlas.FOLDER) -> atlas.AtlasEntry:
    """Prove a contribution and write it as an entry.

    Args:
        contribution: The factors.
        folder: Where to write.

    Returns:
        The entry, with its files in `folder`.

    Raises:
        ValueError: The factors are not equivariant, not exact, or not better than what is known: nothing is written.
        ProofError: No proof closes: nothing is written.
    """
    coupling, factors = contribution.coupling, contribution.factors
    tensor = used(coupling, factors)
    refuse_unless_better(tensor, factors.rank, folder)
    fixed = all(abs(w - 1) < EXACT for w in tensor.weights if w)
    anchor = CouplingTensor(coupling, {p: 1.0 for p, w in zip(tensor.paths, tensor.weights, strict=True) if w})
    made_by = {"construction": contribution.source, **provenance(None)}
    failed: dict[str, str] = {}
    for symmetry in SYMMETRIES:
        try:
            return atlas.save(coupling, factors, atlas.newton(anchor, symmetry, fixed), {}, made_by, folder)
        except ValueError as error:  # a ProofError, or a group that exchanges modes or paths that differ
            failed[symmetry] = str(error)
    others = ", ".join(SYMMETRIES[1:])
    raise ProofError(
        f"no proof closes for {factors}: without symmetry, {failed['C1']}. Nor does one with {others}, whose half "
        "turns are about the axes z and x: turn the factors so that their symmetry is one of these, or write a proof "
        "of another kind (docs/guides/beat.md)"
    )


def used(coupling: Coupling, factors: CPFactors) -> CouplingTensor:
    """The equivariant tensor that factors decompose, on the paths that they use.

    Raises:
        ValueError: They are not equivariant, or not exact.
    """
    array = factors.array
    tensor = CouplingTensor(coupling).project(array)
    error = error_relative_to_output(array, tensor.array)
    if error > NEAR:
        raise ValueError(
            f"{factors} is not equivariant for {coupling.label}: its error is {error:.1e} of the output, at most "
            f"{EXACT:.0e} is exact; check the order of components and of degrees, and give S_z, S_x, S_y if the basis "
            "is not the package's (docs/conventions.md)"
        )
    if error > EXACT:
        raise ValueError(
            f"{factors} is equivariant up to {error:.1e} of the output, which is not exact: at most {EXACT:.0e} is; "
            "continue in float64 with EquivariantLevenbergMarquardt(R).solve(tensor, start=factors), and if the error "
            "stays while terms grow, there is no exact form near it (a border rank)"
        )
    largest = max(map(abs, tensor.weights))
    return CouplingTensor(coupling, tuple(w if abs(w) > np.sqrt(EXACT) * largest else 0.0 for w in tensor.weights))


def refuse_unless_better(tensor: CouplingTensor, rank: int, folder: Path = atlas.FOLDER) -> None:
    """Raise an error if an entry, or a part of one, has these paths alive with no more terms.

    Weights all 1 are better than weights of one's own, so a product with them is compared with its like alone.

    Raises:
        ValueError: There is one; the message names it.
    """
    alive = tensor.alive
    unit = all(abs(w - 1) < EXACT for w in alive.weights)
    for entry in {e.stem: e for place in (atlas.FOLDER, folder) for e in atlas.entries(place)}.values():
        if unit and not entry.unit_weights:
            continue
        whole = entry.read_as(tensor.coupling)
        ranks = [entry.rank] if whole is not None and set(alive.paths) <= set(whole.alive) else []
        ranks += [part.rank for part in parts(entry, alive.coupling)]
        if ranks and min(ranks) <= rank:
            raise ValueError(
                f"{rank} terms for {tensor} are not better: {entry} has these {len(alive.paths)} paths with "
                f"{min(ranks)} terms; fewer terms, more paths, or weights that are all 1 would be"
            )
