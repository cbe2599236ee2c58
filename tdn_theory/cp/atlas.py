"""The atlas: exactly equivariant products of low rank, each with a proof that is run again from its stored file.

An entry is an npz file (factors, and what its proof needs) and a JSON manifest of the same stem, as in `store.py`. The
manifest names the kind of proof:

    newton                 `certificate.prove_decomposition`: exact factors lie within a radius of the stored ones
    cubature               `certificate.prove_cubature`, and the theorem of `constructions/cubature.py`
    matrix multiplication  an integer proof of the algorithm, and that of `constructions/matrix_multiplication.py`
    rings                  the closed form of `constructions/rings.py`, and its identities in exact arithmetic
    sum                    consecutive terms with a proof each: sums of equivariant tensors are equivariant
    both parities          that of a product for rotations, and the theorem of `constructions/both_parities.py`

`verify` trusts nothing else in the manifest: it recomputes every number, and compares the factors with what was proven.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path as FilePath
from types import MappingProxyType
from typing import Any, Literal

import numpy as np

from tdn_theory.coupling import Coupling, CouplingTensor, error_relative_to_output
from tdn_theory.cp.certificate import UNIT, Certificate, ProofError, prove_cubature, prove_decomposition
from tdn_theory.cp.constructions.both_parities import both_parities, doubled
from tdn_theory.cp.constructions.cubature import (
    CubatureRule,
    bracket,
    bracket_weights,
    gaunt,
    gaunt_weights,
    product_degree,
    rule,
)
from tdn_theory.cp.constructions.matrix_multiplication import algorithm, matrix_multiplication, matrix_weights
from tdn_theory.cp.constructions.rings import check as check_rings
from tdn_theory.cp.constructions.rings import ring_weights, rings
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import DamagedError, file_key
from tdn_theory.files import npz_arrays, npz_bytes, read_json, sha256, write_bytes, write_json
from tdn_theory.provenance import provenance
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import Irrep, Path, component_slice, dim

FOLDER = FilePath(__file__).parent / "data" / "atlas"
"""Entries that come with the package."""

Which = Literal["all", "even", "any"] | float | Collection[tuple[int, int, int]]
"""Paths that are to be alive: all admissible ones, the even ones alone, any, at least a share, or at least these."""

_PRODUCTS = {"gaunt": (gaunt, gaunt_weights), "bracket": (bracket, bracket_weights)}
"""Products that a cubature rule gives, and their path weights in closed form."""

ROUNDING = 1e-9
"""Distance allowed between an entry of a stored factor and that of a theorem's, relative to the largest entry."""


@dataclass(frozen=True, eq=False)
class AtlasEntry:
    """One decomposition with its proof.

    Attributes:
        stem: What its files are called, which tells it from all others for good.
        factors: The stored factors.
        tensor: The equivariant part of their tensor, on the paths in use.
        proof: What is to be proven and how (JSON-compatible).
        arrays: Further arrays the proof needs.
        made_by: Where it comes from.
    """

    stem: str
    factors: CPFactors
    tensor: CouplingTensor
    proof: Mapping[str, Any]
    arrays: Mapping[str, np.ndarray]
    made_by: Mapping[str, Any]

    def __repr__(self) -> str:
        """Irreps, rank, paths alive and proof."""
        alive, known = len(self.alive), len(self.tensor.paths)
        return f"AtlasEntry({self.coupling.label}, R={self.rank}, {alive} of {known} paths, {self.proof['kind']})"

    @property
    def coupling(self) -> Coupling:
        """The irreps, with all admissible paths."""
        return self.tensor.coupling

    @property
    def lmax(self) -> int | None:
        """Maximal degree L of the paper's features; none for other irreps."""
        return self.coupling.lmax if self.coupling.cube else None

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

    def read_as(self, coupling: Coupling) -> AtlasEntry | None:
        """This entry with irreps of the same degrees and other parities, or none if it is not equivariant for them.

        Parity is a rule of selection: an entry for rotations whose paths alive it allows is equivariant under inversion
        as well, and each entry is equivariant under rotations.
        """
        complete = coupling.complete
        if _without_parity(self.coupling) != _without_parity(complete) or not set(self.alive) <= set(complete.paths):
            return None
        known = zip(self.tensor.paths, self.tensor.weights, strict=True)
        weights: dict[tuple[int, int, int], float] = {path: weight for path, weight in known if weight}
        return replace(self, tensor=CouplingTensor(complete, weights))

    def covers(self, which: Which) -> bool:
        """Whether these paths are alive: all, all even ones and no other, any, at least a share, or at least these."""
        alive = set(self.alive)
        if isinstance(which, str):
            even = {path for path in self.tensor.paths if path.even}
            return alive == {"all": set(self.tensor.paths), "even": even, "any": alive}[which]
        if isinstance(which, Collection):
            return {tuple(path) for path in which} <= alive
        return len(alive) >= which * len(self.tensor.paths)

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
        x, y = (rng.normal(size=(1000, d)) for d in self.factors.dims[:2])
        A, B, C = (f.astype(np.float32) for f in (self.factors.A, self.factors.B, self.factors.C))
        single = ((x.astype(np.float32) @ B) * (y.astype(np.float32) @ C)) @ A.T
        double = self.factors(x, y)
        return float(np.linalg.norm(single - double) / np.linalg.norm(double))

    @property
    def multiply_adds(self) -> int:
        """Multiply-adds of one product by E3 with dense factors."""
        return self.rank * (sum(self.factors.dims) + 1)

    @property
    def nonzeros(self) -> int:
        """Nonzero entries of the three factors: the multiply-adds that sparse code needs, less R."""
        return int(sum(np.count_nonzero(np.abs(f) > 1e-14) for f in (self.factors.A, self.factors.B, self.factors.C)))

    def verify(self) -> Certificate:
        """Run the proof again.

        Raises:
            ProofError: It fails, or proves something else than what the entry says.
        """
        certificate = prove(self.coupling, self.factors, self.proof, self.arrays)
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
            "coupling": self.coupling.label,
            "R": self.rank,
            "paths_alive": len(self.alive),
            "paths": len(self.tensor.paths),
            "even_only": self.covers("even"),
            "missing": [] if self.covers("even") else [list(p) for p in self.tensor.paths if p not in self.alive],
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
    coupling: Coupling,
    factors: CPFactors,
    proof: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray] = MappingProxyType({}),
) -> Certificate:
    """Run a proof.

    Args:
        coupling: What the factors couple.
        factors: What is proven to be equivariant, or to lie near something that is.
        proof: Kind of proof and its parameters, as in a manifest.
        arrays: Arrays the proof needs.

    Raises:
        ProofError: It fails, or there is no such kind.
    """
    kind = proof["kind"]
    if kind == "newton":
        tensor = CouplingTensor(coupling, {tuple(p): 1.0 for p in proof["paths"]})
        return prove_decomposition(factors, tensor, bool(proof["fixed"]), proof["symmetry"])
    if kind == "matrix multiplication":
        lmax = _without_parity(coupling).lmax
        algorithm(lmax + 1 if lmax % 2 == 0 else (lmax + 1) // 2).check()
        return _by_theorem(coupling, factors, matrix_multiplication(lmax), matrix_weights(lmax), kind, 0.0)
    if kind == "cubature":
        cubature_rule = CubatureRule(int(proof["degree"]), proof["group"], arrays["rule_seeds"], arrays["rule_weights"])
        certificate = prove_cubature(cubature_rule)
        products = [_PRODUCTS[name] for name in proof["products"]]
        expected = _joined([product(coupling, cubature_rule) for product, _ in products])
        weights = {path: weight for _, closed_form in products for path, weight in closed_form(coupling).items()}
        return _by_theorem(coupling, factors, expected, weights, certificate.kind, certificate.radius)
    if kind == "rings":
        check_rings()
        return _by_theorem(coupling, factors, rings(), ring_weights(), kind, 0.0)
    if kind == "sum":
        intervals: dict[Path, tuple[float, float]] = {}
        certificates, start = [], 0
        for part in proof["parts"]:
            stop = start + int(part["terms"])
            term = CPFactors(*(f[:, start:stop] for f in (factors.A, factors.B, factors.C)))
            certificates.append(prove(coupling, term, part, arrays))
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
    if kind == "both parities":
        return _of_both_parities(coupling, factors, proof, arrays)
    raise ProofError(
        f"unknown kind of proof {kind!r}; known are 'newton', 'cubature', 'matrix multiplication', 'rings', 'sum' and "
        "'both parities'"
    )


def _of_both_parities(
    coupling: Coupling, factors: CPFactors, proof: Mapping[str, Any], arrays: Mapping[str, np.ndarray]
) -> Certificate:
    """The product for rotations is found again among the factors, exactly, and proven."""
    rotations = Coupling.of(proof["rotations"])
    (d1, _, d3), rank = rotations.dims, factors.rank // 2
    single = CPFactors(2 * factors.A[:d3, :rank], factors.B[:d1, :rank], factors.C[:, :rank])
    whole = both_parities(single, rotations)
    same = all(np.array_equal(getattr(whole, name), getattr(factors, name)) for name in "ABC")
    known = doubled(rotations)
    if _without_parity(known) != _without_parity(coupling) or not same:
        raise ProofError(f"the factors are not those of {rotations} with both parities")
    proven = prove(rotations, single, proof["of"], arrays)
    slots = {path: Path(path.x % len(rotations.x), path.y, path.z % len(rotations.z)) for path in known.paths}
    weights = {path: proven.weights[slot] for path, slot in slots.items() if slot in proven.weights}
    # A is halved, and A, B and C appear twice or four times: distances grow by 2 at most
    return Certificate(f"{proven.kind}, both parities", proven.statement, 2 * proven.radius, weights)


def _by_theorem(
    coupling: Coupling,
    factors: CPFactors,
    expected: CPFactors,
    weights: Mapping[Path, float],
    kind: str,
    radius: float,
) -> Certificate:
    """Factors that are those of a theorem up to rounding; the paths alive are those of its closed form.

    Args:
        coupling: What the factors couple.
        factors: The stored factors.
        expected: Those of the theorem, evaluated in float64.
        weights: Absolute values of the path weights that are not zero, in closed form, right to 14 digits.
        kind: Kind of proof.
        radius: Distance of what the theorem starts from.
    """
    if (factors.rank, factors.dims) != (expected.rank, expected.dims):
        raise ProofError(f"the factors are {factors}; the theorem gives {expected}")
    for name in "ABC":
        wanted = getattr(expected, name)
        difference = float(np.abs(getattr(factors, name) - wanted).max())
        if difference > ROUNDING * float(np.abs(wanted).max()):
            raise ProofError(f"factor {name} differs from that of the theorem by {difference:.1e}")
    tensor = CouplingTensor(coupling).project(factors.array)
    intervals = {}
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        size = weights.get(path, 0.0)
        if abs(abs(weight) - size) > EXACT * tensor.norm:
            raise ProofError(f"path {path} has weight {weight}; by the theorem it is {size}, up to the sign")
        if size:
            ends = (np.copysign(size * (1 + rounding), weight) for rounding in (-64 * UNIT, 64 * UNIT))
            intervals[path] = tuple(sorted(map(float, ends)))
    return Certificate(kind, "up to rounding, the factors that a theorem proves to be equivariant", radius, intervals)


def _without_parity(coupling: Coupling) -> Coupling:
    x, y, z = (tuple(Irrep(irrep.l) for irrep in irreps) for irreps in (coupling.x, coupling.y, coupling.z))
    return Coupling(x, y, z)


def _joined(parts: Sequence[CPFactors]) -> CPFactors:
    """Sum of tensors: the terms one after the other."""
    return CPFactors(*(np.hstack([getattr(part, name) for part in parts]) for name in "ABC"))


def entries(folder: FilePath = FOLDER) -> list[AtlasEntry]:
    """All entries, ordered by dimensions, irreps, rank and condition.

    Their files are checked by checksum, not proven again.

    Raises:
        DamagedError: A file is damaged; the message names it.
    """
    found = [load(manifest.stem, folder) for manifest in sorted(folder.glob("*.json"))]
    return sorted(found, key=lambda e: (e.factors.dims, e.coupling.label, e.rank, e.factors.condition))


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
        coupling = Coupling.of(content["lmax"] if "lmax" in content else content["irreps"])
        tensor = CouplingTensor(coupling, tuple(content["weights"]))
        return AtlasEntry(stem, factors, tensor, content["proof"], arrays, content["made_by"])
    except (KeyError, TypeError, ValueError, OSError) as error:
        raise DamagedError(f"atlas entry {manifest} is damaged ({error}); restore it from the package") from error


def best(
    coupling: int | str | Coupling,
    max_rank: int | None = None,
    max_error: float = EXACT,
    paths: Which = "all",
    folder: FilePath = FOLDER,
) -> AtlasEntry:
    """The entry of least rank that satisfies the wishes; of equal ranks, the best conditioned.

    Args:
        coupling: Maximal degree L of the paper's features, or irreps, as in `Coupling.of`. Irreps with parity are
            served by entries whose paths alive their parities allow, too.
        max_rank: Largest rank allowed.
        max_error: Largest relative equivariance error allowed (`AtlasEntry.error`).
        paths: `"all"` admissible paths alive, `"even"` ones only, `"any"`; at least a share of the admissible ones,
            e.g. 0.98; or at least these paths, e.g. `{(1, 1, 0), (1, 1, 1)}`.
        folder: Where to look.

    Raises:
        LookupError: There is none; the message says what there is.
        ValueError: `paths` is something else, or names a path that is not admissible.

    >>> best(2)
    AtlasEntry(L=2, R=23, 15 of 15 paths, matrix multiplication)
    >>> best(6, paths=0.98)
    AtlasEntry(L=6, R=249, 172 of 175 paths, matrix multiplication)
    >>> best("0e+1o x 0e+1o+2e+3o -> 0e+1o")
    AtlasEntry(0e+1o x 0e+1o+2e+3o -> 0e+1o, R=9, 5 of 5 paths, newton)
    """
    coupling = Coupling.of(coupling).complete
    wanted = _check_paths(coupling, paths)
    read = [entry.read_as(coupling) for entry in entries(folder)]
    known = [entry for entry in read if entry is not None]
    alive = [entry for entry in known if entry.covers(wanted)]
    fitting = [e for e in alive if (max_rank is None or e.rank <= max_rank) and e.error <= max_error]
    if not fitting:
        at_hand = ", ".join(f"R={e.rank} with {len(e.alive)}" for e in known)
        raise LookupError(
            f"no entry for {coupling.label}, paths={paths!r}, rank <= {max_rank}, error <= {max_error:.1e}; at hand: "
            f"{at_hand or 'none'} of {len(coupling.paths)} paths; {_how_to_find(coupling)}"
        )
    return min(fitting, key=lambda entry: (entry.rank, entry.factors.condition))


def _check_paths(coupling: Coupling, paths: Which) -> Which:
    advice = "it must be 'all', 'even', 'any', a share of the paths such as 0.98, or a set of paths"
    if isinstance(paths, str):
        if paths not in ("all", "even", "any"):
            raise ValueError(f"paths is {paths!r}; {advice}")
        return paths
    if not isinstance(paths, Collection):
        if not 0 < paths <= 1:
            raise ValueError(f"paths is {paths!r}; {advice}: a share lies above 0 and is at most 1")
        return paths
    unknown = [path for path in paths if tuple(path) not in coupling.paths]
    if unknown:
        raise ValueError(
            f"no path {unknown[0]!r} in {coupling.label}; there are {', '.join(str(tuple(p)) for p in coupling.paths)}"
        )
    return paths


def _how_to_find(coupling: Coupling) -> str:
    if coupling.cube:
        return "look for one with 'tdn-theory atlas search'"
    return f"fit factors with 'tdn-theory cp fit \"{coupling}\" --rank R'"


def save(
    coupling: int | str | Coupling,
    factors: CPFactors,
    proof: Mapping[str, Any],
    arrays: Mapping[str, np.ndarray],
    made_by: Mapping[str, Any],
    folder: FilePath = FOLDER,
) -> AtlasEntry:
    """Prove a decomposition and write it as an entry. The paths in use are those proven to be alive.

    Args:
        coupling: What it couples, as in `Coupling.of`.
        factors: The factors.
        proof: Kind of proof and its parameters.
        arrays: Arrays the proof needs.
        made_by: Where the factors come from.
        folder: Where to write.

    Raises:
        ProofError: The proof fails; nothing is written.
    """
    coupling = Coupling.of(coupling).complete
    proven = prove(coupling, factors, proof, arrays).weights
    projected = CouplingTensor(coupling).project(factors.array)
    weights = [w if p in proven else 0.0 for p, w in zip(projected.paths, projected.weights, strict=True)]
    if all(abs(w - 1) < EXACT for w in weights if w):
        weights = [1.0 if w else 0.0 for w in weights]
    content = npz_bytes({"A": factors.A, "B": factors.B, "C": factors.C, **arrays})
    stem = f"{file_key(coupling)}-R{factors.rank}-{sha256(content)[:16]}"
    entry = AtlasEntry(stem, factors, CouplingTensor(coupling, tuple(weights)), proof, arrays, made_by)
    certificate = entry.verify()
    write_bytes(folder / f"{stem}.npz", content)
    irreps = {"lmax": coupling.lmax} if coupling.cube else {"irreps": str(coupling)}
    measured = entry.row() | {"radius": certificate.radius}
    manifest = {**irreps, "weights": weights, "proof": dict(proof), "made_by": dict(made_by), "measured": measured}
    write_json(folder / f"{stem}.json", manifest | {"sha256": sha256(content)})
    return entry


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
    return [(entry, entry.verify()) for entry in sorted(entries(folder), key=lambda e: sum(e.factors.dims) * e.rank)]


# How the shipped entries were made. Everything is deterministic given the versions in the manifests.


def construct(folder: FilePath = FOLDER) -> list[AtlasEntry]:
    """Make, prove and write the entries that constructions and short searches give (about ten minutes).

    Raises:
        ProofError: A proof fails.
    """
    made = [_cubature(coupling, ["gaunt"], folder) for coupling in (*range(1, 9), *EVEN)]
    made += [_matrices(lmax, folder) for lmax in range(1, 9)]
    made += [_cubature(lmax, ["gaunt", "bracket"], folder) for lmax in (4, 6, 8)]
    made += [_scalars(lmax, folder) for lmax in range(1, 5)]
    made.append(save(2, rings(), {"kind": "rings"}, {}, {"construction": "rings", **provenance(None)}, folder))
    made += [_found(*search, folder) for search in SEARCHES]
    made += [_single(*path, folder) for path in PATHS]
    made += [_completed_3(folder), _completed_6(folder)]
    return made + [_doubled(best(lmax, folder=folder), folder) for lmax in (1, 2, 3, 4)]


def _natural(lmax: int) -> str:
    """Irreps of natural parity: 0e+1o+2e+..."""
    return "+".join(f"{l}{'eo'[l % 2]}" for l in range(lmax + 1))


EVEN = (
    *(f"{_natural(lmax)} x {_natural(lmax)} -> 0e+1o" for lmax in (2, 3, 4)),
    f"{_natural(2)} x {_natural(3)} -> {_natural(2)}",
    f"{_natural(2)} x {_natural(3)} -> {_natural(3)}",
)
"""Couplings of networks with natural parity whose least exact product is one of cubature."""

_Solver = EquivariantLevenbergMarquardt | LevenbergMarquardt

SEARCHES: tuple[tuple[_Solver, CouplingTensor, str], ...] = (
    (
        EquivariantLevenbergMarquardt(7, symmetry="C2*Z3", orbits=("S1+--", "S2-+-", "S2--+")),
        CouplingTensor(1),
        "C2*Z3",
    ),
    (EquivariantLevenbergMarquardt(8, seed=1, symmetry="C2", free=False), CouplingTensor(1), "C2"),
    (EquivariantLevenbergMarquardt(30, free=False), CouplingTensor(2), "C1"),
    (LevenbergMarquardt(90, ridge=1e-3, max_iterations=1500), CouplingTensor(3), "C1"),
    (EquivariantLevenbergMarquardt(9, free=False), CouplingTensor("0e+1o x 0e+1o+2e+3o -> 0e+1o"), "C1*t"),
    (EquivariantLevenbergMarquardt(12, free=False), CouplingTensor("0+1 x 0+1+2+3 -> 0+1"), "C1"),
    (EquivariantLevenbergMarquardt(17, free=False), CouplingTensor("0+1+2 x 0+1+2 -> 0+1"), "C1"),
    (EquivariantLevenbergMarquardt(41, free=False), CouplingTensor("0+1+2 x 0+1+2+3 -> 0+1+2"), "C1"),
    (EquivariantLevenbergMarquardt(31, free=False), CouplingTensor("0+1+2+3 x 0+1+2+3 -> 0+1"), "C1"),
    (EquivariantLevenbergMarquardt(49, free=False), CouplingTensor("0+1+2+3+4 x 0+1+2+3+4 -> 0+1"), "C1"),
    (EquivariantLevenbergMarquardt(60, free=False), CouplingTensor("0+1+2 x 0+1+2+3 -> 0+1+2+3"), "C1"),
    (
        EquivariantLevenbergMarquardt(22, free=False),
        CouplingTensor("0e+1o+2e+0o+1e+2o x 0e+1o+2e -> 0e+1o"),
        "C1",
    ),
)
"""Searches whose results are entries, with the tensors that anchor them, and the symmetry of what they find."""

PATHS = (
    ("1 x 1 -> 1", 5, "C1", 0),
    ("1 x 1 -> 2", 6, "C1*Z2", 0),
    ("2 x 2 -> 1", 8, "C1", 0),
    ("3 x 3 -> 1", 11, "C1", 0),
    ("4 x 4 -> 1", 14, "C1", 0),
    ("2 x 2 -> 2", 10, "C1*S3", 0),
    ("3 x 3 -> 2", 13, "C1*Z2", 0),
    ("4 x 4 -> 2", 18, "C1*Z2", 0),
    ("2 x 3 -> 4", 17, "C1", 0),
    ("3 x 3 -> 3", 19, "C1", 0),
    ("3 x 3 -> 4", 17, "C1*Z2", 8),
    ("4 x 4 -> 3", 25, "C1", 0),
    ("4 x 4 -> 4", 20, "C1*S3", 0),
    ("5 x 5 -> 3", 32, "C1", 0),
)
"""Single paths: rank, symmetry and seed. With a symmetry, the exchange of equal modes leaves each term alone."""

_DEGREE_2 = EquivariantLevenbergMarquardt(10, symmetry="C1*S3", orbits=("S3++++++",) * 10, free=False)
_DEGREES_3_5 = LevenbergMarquardt(32)


def _cubature(coupling: int | str, products: list[str], folder: FilePath) -> AtlasEntry:
    """Even paths by the Gaunt product, and all paths with the bracket added."""
    found = rule(product_degree(Coupling.of(coupling)))
    factors = _joined([_PRODUCTS[name][0](coupling, found) for name in products])
    proof = {"kind": "cubature", "products": products, "degree": found.degree, "group": found.group}
    arrays = {"rule_seeds": found.seeds, "rule_weights": found.seed_weights}
    return save(coupling, factors, proof, arrays, {"construction": "cubature", **provenance(None)}, folder)


def _matrices(lmax: int, folder: FilePath) -> AtlasEntry:
    made_by = {"construction": "matrix multiplication", **provenance(None)}
    return save(lmax, matrix_multiplication(lmax), {"kind": "matrix multiplication"}, {}, made_by, folder)


def _scalars(lmax: int, folder: FilePath) -> AtlasEntry:
    """Scalars out: a diagonal form, one term for each component, which is its rank as a matrix."""
    tensor = CouplingTensor(f"{_natural(lmax)} x {_natural(lmax)} -> 0e")
    unit = np.eye(tensor.dims[0])
    factors = CPFactors(np.einsum("kii->ki", tensor.array), unit, unit)
    made_by = {"construction": "diagonal form", **provenance(None)}
    return save(tensor.coupling, factors, newton(tensor, "C1", fixed=True), {}, made_by, folder)


def _found(solver: _Solver, tensor: CouplingTensor, symmetry: str, folder: FilePath) -> AtlasEntry:
    solution = solver.solve(tensor)
    fixed = not (isinstance(solver, EquivariantLevenbergMarquardt) and solver.free)
    return save(tensor.coupling, solution.factors, newton(tensor, symmetry, fixed), {}, solution.made_by, folder)


def _single(text: str, rank: int, symmetry: str, seed: int, folder: FilePath) -> AtlasEntry:
    alone = {"C1": (), "C1*Z2": ("S1+++",) * rank, "C1*S3": ("S3++++++",) * rank}[symmetry]
    solver = EquivariantLevenbergMarquardt(rank, seed, symmetry, orbits=alone, free=False)
    return _found(solver, CouplingTensor(text), symmetry, folder)


def _doubled(entry: AtlasEntry, folder: FilePath) -> AtlasEntry:
    """Features with both parities, as NequIP's."""
    factors = both_parities(entry.factors, entry.coupling)
    proof = {"kind": "both parities", "rotations": str(entry.coupling), "of": dict(entry.proof)}
    made_by = {"construction": f"both parities, of {entry.stem}", **provenance(None)}
    return save(doubled(entry.coupling), factors, proof, entry.arrays, made_by, folder)


def _completed_3(folder: FilePath) -> AtlasEntry:
    """L = 3: the quaternionic product lacks the path 2x2->2 (its 6j symbol vanishes), which takes ten terms."""
    extra = _DEGREE_2.solve(CouplingTensor(2, {(2, 2, 2): 1.0}))
    single = CPFactors(*(f[component_slice(2)] for f in (extra.factors.A, extra.factors.B, extra.factors.C)))
    return _completed(3, [((2, 2, 2), single)], _DEGREE_2.symmetry, extra.made_by, folder)


def _completed_6(folder: FilePath) -> AtlasEntry:
    """L = 6: the product of matrices lacks the three paths of degrees 3, 5, 5, which take 32 terms each."""
    extra = _DEGREES_3_5.solve(CouplingTensor("5 x 5 -> 3"))
    third, fifth, other = extra.factors.A, extra.factors.B, extra.factors.C
    singles = [
        ((5, 5, 3), CPFactors(third, fifth, other)),
        ((3, 5, 5), CPFactors(fifth, third, other)),
        ((5, 3, 5), CPFactors(fifth, other, third)),
    ]
    return _completed(6, singles, "C1", extra.made_by, folder)


def _completed(
    lmax: int,
    singles: list[tuple[tuple[int, int, int], CPFactors]],
    symmetry: str,
    made_by: Mapping[str, Any],
    folder: FilePath,
) -> AtlasEntry:
    """The product of matrices and single paths that it lacks.

    Exchanging modes of a path tensor gives that of the exchanged path up to a sign, which is mended here.
    """
    product = matrix_multiplication(lmax)
    terms, parts = [product], [{"terms": product.rank, "kind": "matrix multiplication"}]
    for (l1, l2, l3), single in singles:
        sign = np.sign(np.vdot(single.array, clebsch_gordan(l1, l2, l3)))
        padded = [np.zeros((dim(lmax), single.rank)) for _ in range(3)]
        for factor, l, vectors in zip(padded, (l3, l1, l2), (sign * single.A, single.B, single.C), strict=True):
            factor[component_slice(l)] = vectors
        terms.append(CPFactors(*padded))
        alone = CouplingTensor(lmax, {(l1, l2, l3): 1.0})
        parts.append({"terms": single.rank, **newton(alone, symmetry, fixed=True)})
    names = ", ".join(f"{l1}x{l2}->{l3}" for (l1, l2, l3), _ in singles)
    construction = {"construction": f"matrix multiplication, and paths {names}"}
    return save(lmax, _joined(terms), {"kind": "sum", "parts": parts}, {}, construction | dict(made_by), folder)
