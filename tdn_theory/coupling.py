"""Couplings and coupling tensors: the equivariant bilinear maps between lists of irreps (E2, T3).

A `Coupling` says what acts on the lists of irreps x, y and z and which paths lead from x and y to z; a
`CouplingTensor` gives each path a weight. Modes are counted in the order of the indices of `M[k, i, j]`: z, x, y.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property
from itertools import product
from math import hypot
from numbers import Integral, Real
from typing import Literal

import numpy as np
from jaxtyping import Float

from tdn_theory.scale import length, lengths
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import (
    Irrep,
    Irreps,
    Path,
    admissible,
    check_lmax,
    irreps_dim,
    parse_irreps,
    slot_slices,
)

Normalization = Literal["norm", "component"]
NORMALIZATIONS: tuple[Normalization, ...] = ("norm", "component")

Mode = Literal[0, 1, 2]
"""k, i or j."""


@dataclass(frozen=True, init=False)
class Coupling:
    """Which irreps a bilinear map `x, y -> z` couples, by which paths.

    The group is that of rotations, or, if the irreps have parity, of rotations and inversion.

    Attributes:
        x: Irreps of the first input, slot by slot, in any order; an irrep may occur several times.
        y: Irreps of the second input.
        z: Irreps of the output.
        paths: The paths, in the order of the weights that a tensor gives them. All admissible ones if left out,
            ordered by their slots (z, x, y).

    Raises:
        ValueError: There is no path; one names a slot that does not exist, occurs twice, or violates the selection
            rules of degree or parity; or some irreps have a parity and others have none.

    >>> Coupling.of("0e+1o")
    Coupling(0e+1o x 0e+1o -> 0e+1o, 4 paths)
    >>> Coupling.of("0e+1o x 0e+1o+2e -> 1o").dims
    (4, 9, 3)
    """

    x: Irreps
    y: Irreps
    z: Irreps
    paths: tuple[Path, ...]

    def __init__(self, x: Irreps, y: Irreps, z: Irreps, paths: Iterable[tuple[int, int, int]] | None = None) -> None:
        """See the class."""
        for name, irreps in zip("xyz", (x, y, z), strict=True):
            object.__setattr__(self, name, tuple(irreps))
        if len({irrep.parity == 0 for irrep in (*x, *y, *z)}) > 1:
            raise ValueError(
                f"{self} has irreps with and without parity; write all with (0e, 1o) or all without (0, 1)"
            )
        if paths is None:
            slots = product(range(len(z)), range(len(x)), range(len(y)))
            paths = ((i, j, k) for k, i, j in slots if _couples(x[i], y[j], z[k]))
        object.__setattr__(self, "paths", tuple(self._path(*path) for path in paths))
        if not self.paths:
            raise ValueError(f"no path couples {self}; such a product is zero: add irreps or paths")
        if len(set(self.paths)) < len(self.paths):
            raise ValueError(f"a path of {self} is given twice; add up their weights")

    def _path(self, x: int, y: int, z: int) -> Path:
        slots = ((x, self.x, "x"), (y, self.y, "y"), (z, self.z, "z"))
        for slot, irreps, name in slots:
            if not 0 <= slot < len(irreps):
                raise ValueError(f"path {(x, y, z)} names slot {slot} of {name}, which has {len(irreps)} slots")
        path = Path(x, y, z, (self.x[x], self.y[y], self.z[z]))
        if not _couples(*path.irreps):
            raise ValueError(f"path {path} is not admissible: |l1-l2| <= l3 <= l1+l2 and p1 p2 = p3 are required")
        return path

    @classmethod
    def of(cls, given: int | str | Coupling) -> Coupling:
        """The coupling meant by a maximal degree or by a text.

        Args:
            given: `2`: degrees 0..2 on all sides, as in the paper. `"0e+1o+2e"`: these irreps on all sides.
                `"0e+1o x 0e+1o+2e -> 1o"`: x, y and z one by one. A `Coupling`: itself.

        Raises:
            TypeError: It is none of these.
            ValueError: The irreps cannot be read, or no path couples them.
        """
        if isinstance(given, Coupling):
            return given
        if isinstance(given, Integral) and not isinstance(given, bool):
            irreps = tuple(Irrep(l) for l in range(check_lmax(int(given)) + 1))
            return cls(irreps, irreps, irreps)
        if not isinstance(given, str):
            raise TypeError(
                f"coupling is {given!r}; it must be an integer, the maximal degree lmax (L), e.g. 2; irreps, e.g. "
                "'0e+1o+2e' or '0e+1o x 0e+1o+2e -> 1o'; or a Coupling"
            )
        parts = re.split(r"\s*(?:\bx\b|->)\s*", given.strip())
        if len(parts) not in (1, 3):
            raise ValueError(f"coupling is {given!r}; write '0e+1o+2e', or 'x-irreps x y-irreps -> z-irreps'")
        x, y, z = (parse_irreps(text) for text in (parts * 3 if len(parts) == 1 else parts))
        return cls(x, y, z)

    def __str__(self) -> str:
        """`x-irreps x y-irreps -> z-irreps`, which `of` reads."""
        x, y, z = ("+".join(map(str, irreps)) for irreps in (self.x, self.y, self.z))
        return f"{x} x {y} -> {z}"

    def __repr__(self) -> str:
        """Irreps and number of paths."""
        return f"Coupling({self}, {len(self.paths)} path{'s' if len(self.paths) != 1 else ''})"

    @property
    def modes(self) -> tuple[Irreps, Irreps, Irreps]:
        """The irreps of modes k, i, j: z, x and y."""
        return self.z, self.x, self.y

    @property
    def dims(self) -> tuple[int, int, int]:
        """Components of x, y and z: (d1, d2, d3)."""
        return irreps_dim(self.x), irreps_dim(self.y), irreps_dim(self.z)

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the tensors, indexed [k, i, j]: (d3, d1, d2)."""
        d1, d2, d3 = self.dims
        return d3, d1, d2

    @property
    def parity(self) -> bool:
        """Whether inversion acts, too."""
        return any(irrep.parity for irrep in self.z)

    @property
    def lmax(self) -> int:
        """Maximal degree L of the paper's features: degrees 0..L on all sides, without parity.

        Raises:
            ValueError: The irreps are others.
        """
        if not self.cube:
            raise ValueError(f"{self} has no L; that takes degrees 0..L once each in x, y and z, without parity")
        return len(self.z) - 1

    @property
    def label(self) -> str:
        """`L=2` for the paper's features, the irreps for others."""
        return f"L={self.lmax}" if self.cube else str(self)

    @cached_property
    def cube(self) -> bool:
        """Whether x, y and z hold the paper's features, degrees 0..L once each, without parity."""
        return self.x == self.y == self.z == tuple(Irrep(l) for l in range(len(self.z)))

    @property
    def complete(self) -> Coupling:
        """The same irreps with all admissible paths."""
        return Coupling(self.x, self.y, self.z)

    @property
    def swapped(self) -> Coupling:
        """The coupling of exchanged inputs, its paths in the same order."""
        return Coupling(self.y, self.x, self.z, ((path.y, path.x, path.z) for path in self.paths))

    @cached_property
    def slices(self) -> tuple[list[slice], list[slice], list[slice]]:
        """Components of the slots of modes k, i, j."""
        z, x, y = (slot_slices(irreps) for irreps in self.modes)
        return z, x, y

    def where(self, path: Path) -> tuple[slice, slice, slice]:
        """Where a path lives in M[k, i, j]. Paths do not overlap."""
        z, x, y = self.slices
        return z[path.z], x[path.x], y[path.y]


CouplingLike = int | str | Coupling
"""What `Coupling.of` reads."""


def _couples(first: Irrep, second: Irrep, third: Irrep) -> bool:
    return admissible(first.l, second.l, third.l) and first.parity * second.parity == third.parity


@dataclass(frozen=True, init=False)
class CouplingTensor:
    """An equivariant tensor `M = sum_p w_p C_p` of shape (d3, d1, d2), indexed `M[k, i, j]` (E2).

    By Schur's lemma (T3) these are all the equivariant bilinear maps between such features, one scalar per admissible
    path. The paper's full Clebsch-Gordan tensor is `CouplingTensor(lmax)`.

    Attributes:
        coupling: The irreps and paths; given as a `Coupling` or as what `Coupling.of` reads.
        weights: Path weights `w_p` in the order of `coupling.paths`. May be given as a mapping from paths (their slots
            (x, y, z), which are (l1, l2, l3) for the paper's features) to numbers, in which case missing paths get
            weight 0, or left out for all ones.
        normalization: Norm of the path tensors `C_p`: `"norm"` gives blocks of unit Frobenius norm (the released code),
            `"component"` blocks of norm `sqrt(2 l3 + 1)`, so that every path maps inputs of unit variance to
            outputs of unit variance (e3nn's `irrep_normalization="component"`).

    Raises:
        TypeError: `coupling` is none of these, or a weight is not a real number.
        ValueError: `coupling` cannot be read or has no path, a weight is not finite, the number of weights or a path is
            wrong.

    >>> CouplingTensor(2)
    CouplingTensor(L=2, 15 paths)
    >>> float(round(CouplingTensor(2).norm ** 2, 12))
    15.0
    >>> CouplingTensor(1, {(0, 0, 0): 1.0, (1, 1, 0): 2.0}).weights
    (1.0, 2.0, 0.0, 0.0, 0.0)
    >>> CouplingTensor("0e+1o x 0e+1o+2e -> 1o").array.shape
    (3, 4, 9)
    """

    coupling: Coupling
    weights: tuple[float, ...]
    normalization: Normalization

    def __init__(
        self,
        coupling: CouplingLike,
        weights: Mapping[tuple[int, int, int], float] | tuple[float, ...] | np.ndarray | None = None,
        normalization: Normalization = "norm",
    ) -> None:
        """See the class."""
        coupling = Coupling.of(coupling)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization is {normalization!r}; it must be one of {NORMALIZATIONS}")
        object.__setattr__(self, "coupling", coupling)
        object.__setattr__(self, "weights", _check_weights(coupling, weights))
        object.__setattr__(self, "normalization", normalization)

    @classmethod
    def even(cls, coupling: CouplingLike, normalization: Normalization = "norm") -> CouplingTensor:
        """The tensor of all paths with `l1 + l2 + l3` even, the ones allowed by natural parity (0e, 1o, 2e, ...)."""
        coupling = Coupling.of(coupling)
        return cls(coupling, {path: 1.0 for path in coupling.paths if path.even}, normalization)

    def __repr__(self) -> str:
        """Mathematical form: irreps, number of paths alive, and what differs from the paper's tensor."""
        alive = sum(weight != 0 for weight in self.weights)
        extra = "" if set(self.weights) <= {0.0, 1.0} else ", weighted"
        extra += "" if self.normalization == "norm" else f", {self.normalization}"
        return f"CouplingTensor({self.coupling.label}, {alive} path{'s' if alive != 1 else ''}{extra})"

    @property
    def lmax(self) -> int:
        """Maximal degree L of the paper's features; an error for others, see `Coupling.lmax`."""
        return self.coupling.lmax

    @property
    def d(self) -> int:
        """Number of components `(L+1)^2` of the paper's features; an error for others, see `Coupling.lmax`."""
        return (self.lmax + 1) ** 2

    @property
    def dims(self) -> tuple[int, int, int]:
        """Components of x, y and z: (d1, d2, d3)."""
        return self.coupling.dims

    @property
    def paths(self) -> tuple[Path, ...]:
        """The paths, in the order of `weights`."""
        return self.coupling.paths

    @property
    def alive(self) -> CouplingTensor:
        """The same tensor on its paths of nonzero weight alone.

        Raises:
            ValueError: There is none.
        """
        used = {path: weight for path, weight in zip(self.paths, self.weights, strict=True) if weight}
        coupling = Coupling(self.coupling.x, self.coupling.y, self.coupling.z, used)
        return CouplingTensor(coupling, tuple(used.values()), self.normalization)

    @property
    def swapped(self) -> CouplingTensor:
        """The same map with its inputs exchanged, `(y, x) -> z`: odd paths change sign with the order of modes."""
        signs = (1 if path.even else -1 for path in self.paths)
        weights = tuple(sign * weight for sign, weight in zip(signs, self.weights, strict=True))
        return CouplingTensor(self.coupling.swapped, weights, self.normalization)

    @cached_property
    def array(self) -> Float[np.ndarray, "d3 d1 d2"]:
        """The tensor `M[k, i, j]`, read-only float64."""
        result = np.zeros(self.coupling.shape)
        for path in self.paths:
            result[self.coupling.where(path)] = self.block(path)
        result.setflags(write=False)
        return result

    def block(self, path: Path) -> Float[np.ndarray, "k i j"]:
        """The part of M on a path, its weight included."""
        weight = self.weights[self.paths.index(path)]
        return weight * self.block_norm(path) * clebsch_gordan(*path.degrees)

    def block_norm(self, path: Path) -> float:
        """Frobenius norm of the path tensor `C_p` under this normalisation."""
        return 1.0 if self.normalization == "norm" else float(np.sqrt(2 * path.l3 + 1))

    @property
    def block_weights(self) -> Float[np.ndarray, " paths"]:
        """`w_p ||C_p||`, the weights of path tensors of unit norm, in the order of `paths`."""
        norms = [self.block_norm(path) for path in self.paths]
        return np.array(self.weights) * norms

    @property
    def norm(self) -> float:
        """Frobenius norm; blocks do not overlap, so it is the length of the scaled weights."""
        return hypot(*self.block_weights)

    def singular_values(self, mode: Mode) -> Float[np.ndarray, " d"]:
        """Singular values of the mode-`mode` unfolding in closed form, descending (modes k, i, j = 0, 1, 2).

        `M_(n) M_(n)^T` commutes with the action on mode n. Between slots of different irreps it is zero, and between
        two slots a, b of the same irrep, of degree l, a multiple g_ab of the identity (Schur). The path tensors obey
        `sum_ij C_kij C_k'ij = ||C_p||^2 delta_kk' / (2l+1)`, and two paths share components of the other two modes only
        if they share both of those slots. With W[a, (s, t)] the weight `w_p ||C_p|| / sqrt(2l+1)` of the path through
        slot a of mode n and slots s, t of the others (zero where there is none),

            g_ab = sum_st W[a, st] W[b, st],      g = W W^T.

        So each irrep gives the singular values of its W, one for every slot, each 2l+1 times. An irrep that occurs once
        has `sigma_l^2 = sum_p w_p^2 ||C_p||^2 / (2l+1)`; with unit-norm blocks and weights 1 that is N_l / (2l+1), N_l
        the number of paths through l: no low-rank tail.

        Raises:
            ValueError: `mode` is not 0, 1 or 2.
        """
        if mode not in (0, 1, 2):
            raise ValueError(f"mode is {mode!r}; it must be 0 (k), 1 (i) or 2 (j)")
        irreps = self.coupling.modes
        others = len(irreps[mode - 1]), len(irreps[mode - 2])
        matrix = np.zeros((len(irreps[mode]), *others))
        for path, weight in zip(self.paths, self.block_weights, strict=True):
            slots = path.z, path.x, path.y
            degree = irreps[mode][slots[mode]].l
            matrix[slots[mode], slots[mode - 1], slots[mode - 2]] = weight / np.sqrt(2 * degree + 1)
        values = []
        for irrep in set(irreps[mode]):
            W = matrix[[other == irrep for other in irreps[mode]]].reshape(irreps[mode].count(irrep), -1)
            found = lengths(W, axis=1) if len(W) == 1 else np.linalg.svd(W, compute_uv=False)
            values += [*found, *[0.0] * (len(W) - len(found))] * irrep.dim
        return np.sort(values)[::-1]

    def project(self, array: Float[np.ndarray, "d3 d1 d2"]) -> CouplingTensor:
        """Orthogonal projection P on the tensors of this coupling: `w_p = <array, C_p> / ||C_p||^2`.

        The path tensors are an orthogonal basis of them (T3): those of different paths live in different blocks, copies
        of an irrep included. With all admissible paths it is the Haar average of `D^-1 T (D (x) D)` over the group:
        over rotations, and inversion if the irreps have parity.

        Returns:
            The projection, with this tensor's coupling and normalisation (its weights do not matter).

        Raises:
            ValueError: `array` has the wrong shape or is not finite.
            TypeError: `array` is not real.
        """
        array = check_tensor(array, self.coupling.shape)
        # divided by ||C_p|| once, not twice: clebsch_gordan has unit norm already
        weights = [
            float(np.vdot(array[self.coupling.where(p)], clebsch_gordan(*p.degrees)) / self.block_norm(p))
            for p in self.paths
        ]
        return CouplingTensor(self.coupling, tuple(weights), self.normalization)


def error_relative_to_output(array: Float[np.ndarray, "d3 d1 d2"], equivariant: Float[np.ndarray, "d3 d1 d2"]) -> float:
    """Root mean square equivariance error over root mean square output: `sqrt(2) ||T - P T||_F / ||T||_F` (E6).

    For Haar rotations and independent x, y of identity covariance, `E eps^2 = 2 ||T - P T||^2` (fact 2 of
    `theory/equivariance.py`) and `E ||T(x, y)||^2 = ||T||^2`. The quotient is a property of the product alone: it needs
    no tensor that the product approximates, does not change when the product is scaled, and lies between 0 and sqrt 2,
    which a product without any equivariant part has.

    Args:
        array: Tensor T of a product, indexed [k, i, j].
        equivariant: Its projection P T on the tensors that commute with the group.

    Raises:
        ValueError: T is zero: a product without output has no relative error.
    """
    output = length(array)
    if output == 0:
        raise ValueError("the product is zero: without output there is no relative error; give a product that is not")
    return float(np.sqrt(2)) * length(array - equivariant) / output


def check_tensor(array: np.ndarray, shape: tuple[int, int, int] | None = None) -> Float[np.ndarray, "d3 d1 d2"]:
    """Return `array` as a real, finite float64 tensor with three axes (of these lengths if given).

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: Wrong shape, or entries that are not finite.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"tensor has dtype {array.dtype}; it must be real: the real basis has real couplings only")
    if array.ndim != 3 or 0 in array.shape or shape not in (None, array.shape):
        wanted = shape or "(d3, d1, d2)"
        raise ValueError(f"tensor has shape {array.shape}; it must be {wanted}, indexed [k, i, j]")
    if not np.isfinite(array).all():
        raise ValueError("tensor has NaN or infinite entries; it must be finite")
    return array.astype(float)


def _check_weights(
    coupling: Coupling, weights: Mapping[tuple[int, int, int], float] | tuple[float, ...] | np.ndarray | None
) -> tuple[float, ...]:
    known = coupling.paths
    if weights is None:
        return (1.0,) * len(known)
    if isinstance(weights, Mapping):
        unknown = [path for path in weights if path not in known]
        if unknown:
            raise ValueError(
                f"no path {unknown[0]!r} in {coupling.label}; there are {', '.join(str(tuple(p)) for p in known)}"
            )
        weights = tuple(weights.get(path, 0.0) for path in known)
    if np.ndim(weights) == 0:
        raise TypeError(f"weights are {weights!r}; give a mapping from paths, or a sequence of {len(known)} numbers")
    if len(weights) != len(known):
        raise ValueError(
            f"{len(weights)} weights given; {coupling.label} has {len(known)} paths: give one each, in the order of "
            "Coupling.paths"
        )
    for path, weight in zip(known, weights, strict=True):
        if isinstance(weight, bool) or not isinstance(weight, Real):
            raise TypeError(f"weight of path {path} is {weight!r}; it must be a real number")
        if not np.isfinite(float(weight)):
            raise ValueError(f"weight of path {path} is {weight}; it must be finite")
    return tuple(float(weight) for weight in weights)
