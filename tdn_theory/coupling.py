"""Coupling tensors: the equivariant bilinear maps on features of degrees 0..L (E2, T3)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Real
from typing import Literal

import numpy as np
from jaxtyping import Float

from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import Path, check_lmax, component_slice, dim, paths

Normalization = Literal["norm", "component"]
NORMALIZATIONS: tuple[Normalization, ...] = ("norm", "component")


@dataclass(frozen=True)
class CouplingTensor:
    """An equivariant tensor `M = sum_p w_p C_p` of shape (d, d, d), indexed `M[k, i, j]` (E2).

    By Schur's lemma (T3) these are all the SO(3)-equivariant bilinear maps between such features, one scalar per
    admissible path. The paper's full Clebsch-Gordan tensor is `CouplingTensor(lmax)`.

    Attributes:
        lmax: Maximal degree L of all three features; `d = (L+1)^2`.
        weights: Path weights `w_p` in the order of `paths(lmax)`. May be given as a mapping from paths
            (`(l1, l2, l3)` triples) to numbers, in which case missing paths get weight 0, or left out for all ones.
        normalization: Norm of the path tensors `C_p`: `"norm"` gives blocks of unit Frobenius norm (the released code),
            `"component"` blocks of norm `sqrt(2 l3 + 1)`, so that every path maps inputs of unit variance to
            outputs of unit variance (e3nn's `irrep_normalization="component"`).

    Raises:
        TypeError: `lmax` is not an integer, or a weight is not a real number.
        ValueError: `lmax` is negative, a weight is not finite, the number of weights or a path is wrong.

    >>> CouplingTensor(2)
    CouplingTensor(L=2, 15 paths)
    >>> float(round(CouplingTensor(2).norm ** 2, 12))
    15.0
    >>> CouplingTensor(1, {(0, 0, 0): 1.0, (1, 1, 0): 2.0}).weights
    (1.0, 2.0, 0.0, 0.0, 0.0)
    """

    lmax: int
    weights: tuple[float, ...] = field(default=())
    normalization: Normalization = "norm"

    def __init__(
        self,
        lmax: int,
        weights: Mapping[tuple[int, int, int], float] | tuple[float, ...] | np.ndarray | None = None,
        normalization: Normalization = "norm",
    ) -> None:
        """See the class."""
        lmax = check_lmax(lmax)
        if normalization not in NORMALIZATIONS:
            raise ValueError(f"normalization is {normalization!r}; it must be one of {NORMALIZATIONS}")
        object.__setattr__(self, "lmax", lmax)
        object.__setattr__(self, "weights", _check_weights(lmax, weights))
        object.__setattr__(self, "normalization", normalization)

    @classmethod
    def even(cls, lmax: int, normalization: Normalization = "norm") -> CouplingTensor:
        """The tensor of all paths with `l1 + l2 + l3` even, the ones allowed by natural parity (0e, 1o, 2e, ...)."""
        return cls(lmax, {path: 1.0 for path in paths(lmax) if path.even}, normalization)

    def __repr__(self) -> str:
        """Mathematical form: degree, number of paths alive, and what differs from the paper's tensor."""
        alive = sum(weight != 0 for weight in self.weights)
        extra = "" if set(self.weights) <= {0.0, 1.0} else ", weighted"
        extra += "" if self.normalization == "norm" else f", {self.normalization}"
        return f"CouplingTensor(L={self.lmax}, {alive} path{'s' if alive != 1 else ''}{extra})"

    @property
    def d(self) -> int:
        """Number of components `(L+1)^2`."""
        return dim(self.lmax)

    @property
    def paths(self) -> tuple[Path, ...]:
        """Admissible paths, in the order of `weights`."""
        return paths(self.lmax)

    @cached_property
    def array(self) -> Float[np.ndarray, "d d d"]:
        """The tensor `M[k, i, j]`, read-only float64."""
        result = np.zeros((self.d,) * 3)
        for path, weight in zip(self.paths, self.weights, strict=True):
            result[_block(path)] = weight * self.block_norm(path) * clebsch_gordan(*path)
        result.setflags(write=False)
        return result

    def block_norm(self, path: Path) -> float:
        """Frobenius norm of the path tensor `C_p` under this normalisation."""
        return 1.0 if self.normalization == "norm" else float(np.sqrt(2 * path.l3 + 1))

    @property
    def norm(self) -> float:
        """Frobenius norm; blocks do not overlap, so it is the length of the scaled weights."""
        return float(np.sqrt(sum((w * self.block_norm(p)) ** 2 for p, w in zip(self.paths, self.weights, strict=True))))

    def singular_values(self, mode: Literal[0, 1, 2]) -> Float[np.ndarray, " d"]:
        """Singular values of the mode-`mode` unfolding in closed form, descending (modes k, i, j = 0, 1, 2).

        `M_(n) M_(n)^T` commutes with `D`, whose degrees occur once each, so it is a scalar on every degree
        (Schur). The trace gives the scalar: on degree l of mode n,

            sigma_l^2 = sum_{paths p with degree l in mode n} w_p^2 ||C_p||^2 / (2l+1),  2l+1 times.

        With unit-norm blocks and weights 1 that is N_l / (2l+1), N_l the number of paths through l: no low-rank tail.

        Raises:
            ValueError: `mode` is not 0, 1 or 2.
        """
        if mode not in (0, 1, 2):
            raise ValueError(f"mode is {mode!r}; it must be 0 (k), 1 (i) or 2 (j)")
        squares = np.zeros(self.lmax + 1)
        for path, weight in zip(self.paths, self.weights, strict=True):
            degree = (path.l3, path.l1, path.l2)[mode]
            squares[degree] += (weight * self.block_norm(path)) ** 2 / (2 * degree + 1)
        return np.sort(np.sqrt(np.repeat(squares, [2 * l + 1 for l in range(self.lmax + 1)])))[::-1]

    def project(self, array: Float[np.ndarray, "d d d"]) -> CouplingTensor:
        """Orthogonal projection P of any tensor on the equivariant ones: `w_p = <array, C_p> / ||C_p||^2`.

        This is the Haar average of `D^-1 T (D (x) D)`: the path tensors are an orthogonal basis of its range (T3).

        Returns:
            The projection, with this tensor's degree and normalisation (its weights do not matter).

        Raises:
            ValueError: `array` has the wrong shape or is not finite.
            TypeError: `array` is not real.
        """
        array = check_tensor(array, self.d)
        # divided by ||C_p|| once, not twice: clebsch_gordan has unit norm already
        weights = [float(np.vdot(array[_block(p)], clebsch_gordan(*p)) / self.block_norm(p)) for p in self.paths]
        return CouplingTensor(self.lmax, tuple(weights), self.normalization)


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
    output = float(np.linalg.norm(array))
    if output == 0:
        raise ValueError("the product is zero: without output there is no relative error; give a product that is not")
    return float(np.sqrt(2) * np.linalg.norm(array - equivariant)) / output


def _block(path: Path) -> tuple[slice, slice, slice]:
    """Where a path lives in M[k, i, j]."""
    return component_slice(path.l3), component_slice(path.l1), component_slice(path.l2)


def check_tensor(array: np.ndarray, d: int | None = None) -> Float[np.ndarray, "d d d"]:
    """Return `array` as a real, finite float64 tensor with three equal axes (of length `d` if given).

    Raises:
        TypeError: The entries are not real numbers.
        ValueError: Wrong shape, or entries that are not finite.
    """
    array = np.asarray(array)
    if array.dtype.kind not in "fiu":
        raise TypeError(f"tensor has dtype {array.dtype}; it must be real: the real basis has real couplings only")
    if array.ndim != 3 or len(set(array.shape)) != 1 or (d is not None and array.shape[0] != d):
        wanted = "(d, d, d)" if d is None else f"({d}, {d}, {d})"
        raise ValueError(f"tensor has shape {array.shape}; it must be {wanted}, indexed [k, i, j]")
    if not np.isfinite(array).all():
        raise ValueError("tensor has NaN or infinite entries; it must be finite")
    return array.astype(float)


def _check_weights(
    lmax: int, weights: Mapping[tuple[int, int, int], float] | tuple[float, ...] | np.ndarray | None
) -> tuple[float, ...]:
    known = paths(lmax)
    if weights is None:
        return (1.0,) * len(known)
    if isinstance(weights, Mapping):
        unknown = [path for path in weights if path not in known]
        if unknown:
            raise ValueError(f"no path {unknown[0]} for lmax {lmax}; admissible ones (l1, l2, l3) are in paths({lmax})")
        weights = tuple(weights.get(path, 0.0) for path in known)
    if np.ndim(weights) == 0:
        raise TypeError(f"weights are {weights!r}; give a mapping from paths, or a sequence of {len(known)} numbers")
    if len(weights) != len(known):
        raise ValueError(
            f"{len(weights)} weights given; lmax {lmax} has {len(known)} paths: give one each, see paths({lmax})"
        )
    for path, weight in zip(known, weights, strict=True):
        if isinstance(weight, bool) or not isinstance(weight, Real):
            raise TypeError(f"weight of path {path} is {weight!r}; it must be a real number")
        if not np.isfinite(float(weight)):
            raise ValueError(f"weight of path {path} is {weight}; it must be finite")
    return tuple(float(weight) for weight in weights)
