"""The atlas: exactly equivariant products of low rank, each with a proof that is run again from its stored file.

An entry is an npz file (factors, and what its proof needs) and a JSON manifest of the same stem, as in `store.py`. The
manifest names the kind of proof:

    newton                 `certificate.prove_decomposition`: exact factors lie within a radius of the stored ones
    cubature               `certificate.prove_cubature`, and the theorem of `constructions/cubature.py`
    matrix multiplication  an integer proof of the algorithm, and that of `constructions/matrix_multiplication.py`
    sum                    consecutive terms with a proof each: sums of equivariant tensors are equivariant

`verify` trusts nothing else in the manifest: it recomputes every number, and compares the factors with what was proven.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from tdn_theory.coupling import CouplingTensor, error_relative_to_output
from tdn_theory.cp.certificate import UNIT, Certificate, ProofError, prove_cubature, prove_decomposition
from tdn_theory.cp.constructions.cubature import (
    CubatureRule,
    bracket,
    bracket_weights,
    gaunt,
    gaunt_weights,
    rule,
)
from tdn_theory.cp.constructions.matrix_multiplication import algorithm, matrix_multiplication, matrix_weights
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import DamagedError
from tdn_theory.files import npz_arrays, npz_bytes, read_json, sha256, write_bytes, write_json
from tdn_theory.provenance import provenance
from tdn_theory.so3.irreps import Path, check_lmax, paths

FOLDER = FilePath(__file__).parent / "data" / "atlas"
"""Entries that come with the package."""

Which = Literal["all", "even", "any"]

_PRODUCTS = {"gaunt": (gaunt, gaunt_weights), "bracket": (bracket, bracket_weights)}
"""Products that a cubature rule gives, and their path weights in closed form."""

ROUNDING = 1e-9
"""Distance allowed between an entry of a stored factor and that of a theorem's, relative to the largest entry."""


@dataclass(frozen=True, eq=False)
class AtlasEntry:
    """One decomposition with its proof.

    Attributes:
        stem: What its files are called, which tells it from all others for good.
        lmax: Maximal degree L.
        factors: The stored factors.
        tensor: The equivariant part of their tensor, on the paths in use.
        proof: What is to be proven and how (JSON-compatible).
        arrays: Further arrays the proof needs.
        made_by: Where it comes from.
    """

    stem: str
    lmax: int
    factors: CPFactors
    tensor: CouplingTensor
    proof: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    made_by: Mapping[str, Any]

    def __repr__(self) -> str:
        """Degree, rank, paths alive and proof."""
        alive, known = len(self.alive), len(paths(self.lmax))
        return f"AtlasEntry(L={self.lmax}, R={self.rank}, {alive} of {known} paths, {self.proof['kind']})"

    @property
    def rank(self) -> int:
        """Number of terms R."""
        return self.factors.rank

    @property
    def alive(self) -> tuple[Path, ...]:
        """Paths of nonzero weight."""
        return tuple(p for p, w in zip(self.tensor.paths, self.tensor.weights, strict=True) if w != 0)

    @property
    def unit_weights(self) -> bool:
        """Whether all paths in use have weight 1 (up to rounding)."""
        return all(abs(w - 1) < EXACT for w in self.tensor.weights if w != 0)

    def covers(self, which: Which) -> bool:
        """Whether the paths alive are all, all even ones and no other, or any."""
        wanted = {"all": paths(self.lmax), "even": tuple(p for p in paths(self.lmax) if p.even), "any": self.alive}
        return set(self.alive) == set(wanted[which])

    @cached_property
    def error(self) -> float:
        """Equivariance error of the stored factors, `coupling.error_relative_to_output`."""
        array = self.factors.array
        return error_relative_to_output(array, self.tensor.project(array).array)

    @cached_property
    def supremum(self) -> float:
        """A bound on the equivariance error for every rotation and all x, y of unit length, rounding included.

        `||D T(x, y) - T(D x, D y)|| <= 2 ||T - M|| ||x|| ||y||` for every equivariant M.
        """
        absolute = CPFactors(*(np.abs(f) for f in (self.factors.A, self.factors.B, self.factors.C))).array
        rounding = (self.rank + 4) * UNIT * float(np.linalg.norm(absolute)) + 1e-14 * self.tensor.norm
        return 2.02 * (float(np.linalg.norm(self.factors.array - self.tensor.array)) + rounding)

    @cached_property
    def float32_error(self) -> float:
        """Root mean square error of the product in float32, relative to the output, over 1000 Gaussian inputs."""
        rng = np.random.default_rng(0)
        x, y = rng.normal(size=(2, 1000, self.factors.d))
        A, B, C = (f.astype(np.float32) for f in (self.factors.A, self.factors.B, self.factors.C))
        single = ((x.astype(np.float32) @ B) * (y.astype(np.float32) @ C)) @ A.T
        double = self.factors(x, y)
        return float(np.linalg.norm(single - double) / np.linalg.norm(double))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one product by E3 with dense factors."""
        return 3 * self.rank * self.factors.d + self.rank

    @property
    def nonzeros(self) -> int:
        """Nonzero entries of the three factors: the multiply-adds that sparse code needs, less R."""
        return int(sum(np.count_nonzero(np.abs(f) > 1e-14) for f in (self.factors.A, self.factors.B, self.factors.C)))

    def verify(self) -> Certificate:
        """Run the proof again.

        Raises:
            ProofError: It fails, or proves something else than what the entry says.
        """
        certificate = prove(self.factors, self.proof, self.arrays)
        if set(certificate.weights) != set(self.alive):
            raise ProofError(
                f"{self}: {len(certificate.weights)} paths are proven to be alive; the manifest says {len(self.alive)}"
            )
        for path, weight in zip(self.tensor.paths, self.tensor.weights, strict=True):
            low, high = certificate.weights.get(path, (0.0, 0.0))
            slack = 1e-9 * max(1.0, abs(weight))
            if not low - slack <= weight <= high + slack:
                raise ProofError(
                    f"{self}: the weight of path {path} is {weight}; it is proven to lie in [{low}, {high}]"
                )
        if self.error > EXACT:
            raise ProofError(
                f"{self}: the stored factors have equivariance error {self.error:.1e}; at most {EXACT:.0e} is allowed"
            )
        return certificate

    def row(self) -> dict[str, Any]:
        """Everything measured, as one row of the table (JSON-compatible)."""
        weights = [abs(w) for w in self.tensor.weights if w != 0]
        return {
            "L": self.lmax,
            "R": self.rank,
            "paths_alive": len(self.alive),
            "paths": len(paths(self.lmax)),
            "even_only": self.covers("even"),
            "missing": [] if self.covers("even") else [list(p) for p in paths(self.lmax) if p not in self.alive],
            "least_weight": min(weights),
            "largest_weight": max(weights),
            "unit_weights": self.unit_weights,
            "rms_error": self.error,
            "supremum_bound": self.supremum,
            "condition": self.factors.condition,
            "largest_factor": float(max(np.abs(f).max() for f in (self.factors.A, self.factors.B, self.factors.C))),
            "float32_error": self.float32_error,
            "multiply_adds": self.multiply_adds,
            "nonzeros": self.nonzeros,
            "proof": self.proof["kind"],
        }


def prove(
    factors: CPFactors, proof: Mapping[str, Any], arrays: Mapping[str, np.ndarray] = MappingProxyType({})
) -> Certificate:
    """Run a proof.

    Args:
        factors: What is proven to be equivariant, or to lie near something that is.
        proof: Kind of proof and its parameters, as in a manifest.
        arrays: Arrays the proof needs.

    Raises:
        ProofError: It fails, or there is no such kind.
    """
    lmax = _lmax(factors)
    kind = proof["kind"]
    if kind == "newton":
        tensor = CouplingTensor(lmax, {tuple(p): 1.0 for p in proof["paths"]})
        return prove_decomposition(factors, tensor, bool(proof["fixed"]), proof["symmetry"])
    if kind == "matrix multiplication":
        algorithm(lmax + 1 if lmax % 2 == 0 else (lmax + 1) // 2).check()
        return _by_theorem(factors, matrix_multiplication(lmax), matrix_weights(lmax), kind, 0.0)
    if kind == "cubature":
        cubature_rule = CubatureRule(int(proof["degree"]), proof["group"], arrays["rule_seeds"], arrays["rule_weights"])
        certificate = prove_cubature(cubature_rule)
        products = [_PRODUCTS[name] for name in proof["products"]]
        expected = _joined([product(lmax, cubature_rule) for product, _ in products])
        weights = {path: weight for _, closed_form in products for path, weight in closed_form(lmax).items()}
        return _by_theorem(factors, expected, weights, certificate.kind, certificate.radius)
    if kind == "sum":
        intervals: dict[Path, tuple[float, float]] = {}
        certificates, start = [], 0
        for part in proof["parts"]:
            stop = start + int(part["terms"])
            term = CPFactors(*(f[:, start:stop] for f in (factors.A, factors.B, factors.C)))
            certificates.append(prove(term, part, arrays))
            for path, (low, high) in certificates[-1].weights.items():
                before = intervals.get(path, (0.0, 0.0))
                intervals[path] = (before[0] + low, before[1] + high)
            start = stop
        if start != factors.rank:
            raise ProofError(f"the parts have {start} terms; the factors have {factors.rank}")
        alive = {path: ends for path, ends in intervals.items() if ends[0] * ends[1] > 0}
        kinds = " + ".join(c.kind for c in certificates)
        return Certificate(
            kinds,
            "each part is proven; sums of equivariant tensors are equivariant",
            sum(c.radius for c in certificates),
            alive,
        )
    raise ProofError(f"unknown kind of proof {kind!r}; known are 'newton', 'cubature', 'matrix multiplication', 'sum'")


def _by_theorem(
    factors: CPFactors, expected: CPFactors, weights: Mapping[Path, float], kind: str, radius: float
) -> Certificate:
    """Factors that are those of a theorem up to rounding; the paths alive are those of its closed form.

    Args:
        factors: The stored factors.
        expected: Those of the theorem, evaluated in float64.
        weights: Absolute values of the path weights that are not zero, in closed form, right to 14 digits.
        kind: Kind of proof.
        radius: Distance of what the theorem starts from.
    """
    if factors.rank != expected.rank:
        raise ProofError(f"the factors have {factors.rank} terms; the theorem gives {expected.rank}")
    for name in "ABC":
        wanted = getattr(expected, name)
        difference = float(np.abs(getattr(factors, name) - wanted).max())
        if difference > ROUNDING * float(np.abs(wanted).max()):
            raise ProofError(f"factor {name} differs from that of the theorem by {difference:.1e}")
    tensor = CouplingTensor(_lmax(factors)).project(factors.array)
    intervals = {}
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        size = weights.get(path, 0.0)
        if abs(abs(weight) - size) > EXACT * tensor.norm:
            raise ProofError(f"path {path} has weight {weight}; by the theorem it is {size}, up to the sign")
        if size:
            ends = (np.copysign(size * (1 + rounding), weight) for rounding in (-64 * UNIT, 64 * UNIT))
            intervals[path] = tuple(sorted(map(float, ends)))
    return Certificate(kind, "up to rounding, the factors that a theorem proves to be equivariant", radius, intervals)


def _lmax(factors: CPFactors) -> int:
    return round(factors.d**0.5) - 1


def _joined(parts: Sequence[CPFactors]) -> CPFactors:
    """Sum of tensors: the terms one after the other."""
    return CPFactors(*(np.hstack([getattr(part, name) for part in parts]) for name in "ABC"))


def entries(folder: FilePath = FOLDER) -> list[AtlasEntry]:
    """All entries, ordered by degree, rank and condition. Their files are checked by checksum, not proven again.

    Raises:
        DamagedError: A file is damaged; the message names it.
    """
    found = [load(manifest.stem, folder) for manifest in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda entry: (entry.lmax, entry.rank, entry.factors.condition))


def load(stem: str, folder: FilePath = FOLDER) -> AtlasEntry:
    """One entry. Its files are checked by checksum, not proven again.

    Raises:
        DamagedError: A file is damaged or missing; the message names it.
    """
    manifest = folder / f"{stem}.json"
    try:
        content = read_json(manifest)
        data = manifest.with_suffix(".npz").read_bytes()
        if sha256(data) != content["sha256"]:
            raise ValueError("its npz file does not have the checksum it states")
        arrays = npz_arrays(data)
        factors = CPFactors(*(arrays.pop(name) for name in "ABC"))
        lmax = check_lmax(content["lmax"])
        tensor = CouplingTensor(lmax, tuple(content["weights"]))
        return AtlasEntry(stem, lmax, factors, tensor, content["proof"], arrays, content["made_by"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DamagedError(f"atlas entry {manifest} is damaged ({error}); restore it from the package") from error


def best(
    lmax: int, max_rank: int | None = None, max_error: float = EXACT, paths: Which = "all", folder: FilePath = FOLDER
) -> AtlasEntry:
    """The entry of least rank that satisfies the wishes; of equal ranks, the best conditioned.

    Args:
        lmax: Maximal degree L.
        max_rank: Largest rank allowed.
        max_error: Largest relative equivariance error allowed (`AtlasEntry.error`).
        paths: `"all"` admissible paths alive, `"even"` ones only, or `"any"`.
        folder: Where to look.

    Raises:
        LookupError: There is none; the message says what there is.
        ValueError: `paths` is something else.

    >>> best(2)
    AtlasEntry(L=2, R=23, 15 of 15 paths, matrix multiplication)
    """
    if paths not in ("all", "even", "any"):
        raise ValueError(f"paths is {paths!r}; it must be 'all', 'even' or 'any'")
    known = [e for e in entries(folder) if e.lmax == check_lmax(lmax) and e.covers(paths)]
    fitting = [e for e in known if (max_rank is None or e.rank <= max_rank) and e.error <= max_error]
    if not fitting:
        raise LookupError(
            f"no entry for L={lmax}, paths={paths!r}, rank <= {max_rank}, error <= {max_error:.1e}; ranks at hand: "
            f"{[e.rank for e in known] or 'none'}; look for one with 'tdn-theory atlas search'"
        )
    return fitting[0]


def save(
    factors: CPFactors,
    used: Sequence[tuple[int, int, int]],
    proof: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    made_by: Mapping[str, Any],
    folder: FilePath = FOLDER,
) -> AtlasEntry:
    """Prove a decomposition and write it as an entry.

    Args:
        factors: The factors.
        used: Paths in use.
        proof: Kind of proof and its parameters.
        arrays: Arrays the proof needs.
        made_by: Where the factors come from.
        folder: Where to write.

    Raises:
        ProofError: The proof fails; nothing is written.
    """
    lmax = _lmax(factors)
    projected = CouplingTensor(lmax).project(factors.array)
    weights = [w if p in used else 0.0 for p, w in zip(projected.paths, projected.weights, strict=True)]
    if all(abs(w - 1) < EXACT for w in weights if w):
        weights = [1.0 if w else 0.0 for w in weights]
    content = npz_bytes({"A": factors.A, "B": factors.B, "C": factors.C, **arrays})
    stem = f"L{lmax}-R{factors.rank}-{sha256(content)[:16]}"
    entry = AtlasEntry(stem, lmax, factors, CouplingTensor(lmax, tuple(weights)), proof, arrays, made_by)
    certificate = entry.verify()
    write_bytes(folder / f"{stem}.npz", content)
    measured = entry.row() | {"radius": certificate.radius}
    manifest = {"lmax": lmax, "weights": weights, "proof": dict(proof), "made_by": dict(made_by), "measured": measured}
    write_json(folder / f"{stem}.json", manifest | {"sha256": sha256(content)})
    return entry


def balanced_weights(factors: CPFactors, tensor: CouplingTensor) -> CPFactors:
    """Scale every degree in every mode so that the path weights in use come as near to 1 as possible.

    `w_p -> s_l3 t_l1 u_l2 w_p` changes neither rank nor equivariance. Least squares in `log |w_p|`.

    Args:
        factors: Factors.
        tensor: Their equivariant part.
    """
    used = [(p, w) for p, w in zip(tensor.paths, tensor.weights, strict=True) if w != 0]
    n = tensor.lmax + 1
    design = np.zeros((len(used), 3 * n))
    for row, (path, _) in zip(design, used, strict=True):
        row[[path.l3, n + path.l1, 2 * n + path.l2]] = 1
    logs = -np.linalg.lstsq(design, np.log(np.abs([w for _, w in used])), rcond=None)[0].reshape(3, n)
    scales = np.exp(np.repeat(logs, [2 * l + 1 for l in range(n)], axis=1))
    return CPFactors(*(f * s[:, None] for f, s in zip((factors.A, factors.B, factors.C), scales, strict=True)))


def newton(tensor: CouplingTensor, symmetry: str, fixed: bool) -> dict[str, Any]:
    """The proof of kind `newton` for the paths in use of `tensor`, with its weights (`fixed`) or any.

    Args:
        tensor: Says which paths are in use.
        symmetry: Group under which the set of terms is invariant.
        fixed: Whether the weights are to be those of the tensor; they must be 1 then.
    """
    used = [list(p) for p, w in zip(tensor.paths, tensor.weights, strict=True) if w]
    return {"kind": "newton", "symmetry": symmetry, "fixed": fixed, "paths": used}


def verify(folder: FilePath = FOLDER) -> list[tuple[AtlasEntry, Certificate]]:
    """Run all proofs again, cheapest first.

    Raises:
        ProofError: One fails.
        DamagedError: A file is damaged.
    """
    return [(entry, entry.verify()) for entry in sorted(entries(folder), key=lambda e: e.factors.d * e.rank)]


# How the shipped entries were made. Everything is deterministic given the versions in the manifests.


def construct(folder: FilePath = FOLDER) -> list[AtlasEntry]:
    """Make, prove and write the entries that constructions and short searches give (a few minutes).

    Raises:
        ProofError: A proof fails.
    """
    made = [_cubature(lmax, ["gaunt"], folder) for lmax in range(1, 7)]
    made += [_matrices(lmax, folder) for lmax in range(1, 7)]
    made += [_cubature(lmax, ["gaunt", "bracket"], folder) for lmax in (4, 6)]
    made += [_found(solver, tensor, folder) for solver, tensor in SEARCHES]
    return [*made, _completed_3(folder)]


SEARCHES: tuple[tuple[EquivariantLevenbergMarquardt | LevenbergMarquardt, CouplingTensor], ...] = (
    (EquivariantLevenbergMarquardt(7, symmetry="C2*Z3", orbits=("S1+--", "S2-+-", "S2--+")), CouplingTensor(1)),
    (EquivariantLevenbergMarquardt(8, seed=1, symmetry="C2", free=False), CouplingTensor(1)),
    (EquivariantLevenbergMarquardt(30, free=False), CouplingTensor(2)),
    (LevenbergMarquardt(90, ridge=1e-3, max_iterations=1500), CouplingTensor(3)),
)
"""Searches whose results are entries, with the tensors that anchor them."""

_DEGREE_2 = EquivariantLevenbergMarquardt(10, symmetry="C1*S3", orbits=("S3++++++",) * 10, free=False)


def _cubature(lmax: int, products: list[str], folder: FilePath) -> AtlasEntry:
    """Even paths by the Gaunt product, and all paths with the bracket added."""
    found = rule(lmax)
    factors = _joined([_PRODUCTS[name][0](lmax, found) for name in products])
    weights = CouplingTensor(lmax).project(factors.array).weights
    used = [p for p, w in zip(paths(lmax), weights, strict=True) if abs(w) > EXACT]
    proof = {"kind": "cubature", "products": products, "degree": found.degree, "group": found.group}
    arrays = {"rule_seeds": found.seeds, "rule_weights": found.seed_weights}
    return save(factors, used, proof, arrays, {"construction": "cubature", **provenance(None)}, folder)


def _matrices(lmax: int, folder: FilePath) -> AtlasEntry:
    factors = matrix_multiplication(lmax)
    weights = CouplingTensor(lmax).project(factors.array).weights
    used = [p for p, w in zip(paths(lmax), weights, strict=True) if abs(w) > 1e-6]
    proof = {"kind": "matrix multiplication"}
    return save(factors, used, proof, {}, {"construction": "matrix multiplication", **provenance(None)}, folder)


def _found(
    solver: EquivariantLevenbergMarquardt | LevenbergMarquardt, tensor: CouplingTensor, folder: FilePath
) -> AtlasEntry:
    solution = solver.solve(tensor)
    equivariant = isinstance(solver, EquivariantLevenbergMarquardt)
    proof = newton(tensor, solver.symmetry if equivariant else "C1", not (equivariant and solver.free))
    return save(solution.factors, [tuple(p) for p in proof["paths"]], proof, {}, solution.made_by, folder)


def _completed_3(folder: FilePath) -> AtlasEntry:
    """L = 3: the quaternionic product lacks the path 2x2->2 (its 6j symbol vanishes), which takes ten terms."""
    product = matrix_multiplication(3)
    extra = _DEGREE_2.solve(CouplingTensor(2, {(2, 2, 2): 1.0}))
    padding = np.zeros((7, extra.factors.rank))
    padded = CPFactors(*(np.vstack([f, padding]) for f in (extra.factors.A, extra.factors.B, extra.factors.C)))
    single = newton(extra.tensor, _DEGREE_2.symmetry, fixed=True)
    parts = [{"terms": product.rank, "kind": "matrix multiplication"}, {"terms": padded.rank, **single}]
    made_by = {"construction": "matrix multiplication, and path 2x2->2", **extra.made_by}
    return save(_joined([product, padded]), paths(3), {"kind": "sum", "parts": parts}, {}, made_by, folder)
