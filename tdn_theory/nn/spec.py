"""What a product of features is: tensor, mode, channels and weights. How it is computed is said elsewhere. No torch."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import prod
from typing import Literal

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor, error_relative_to_output
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.known import least_exact
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.store import Store
from tdn_theory.nn.parts import cubature, cut, whole

Mode = Literal["uvu", "uvw", "uuu", "uuw", "uvv"]
MODES: tuple[Mode, ...] = ("uvu", "uvw", "uuu", "uuw", "uvv")
Method = Literal["exact", "per_path", "cp", "cubature"]
METHODS: tuple[Method, ...] = ("exact", "per_path", "cp", "cubature")
WeightSource = Literal["internal", "external", "none"]
WEIGHTS: tuple[WeightSource, ...] = ("internal", "external", "none")


@dataclass(frozen=True, init=False, eq=False, repr=False)
class ProductSpec:
    """The product `z = w M (x (x) y)` of features with channels.

    With the coupling tensor M (components k, i, j) and weights w the modes are

        uvu   z[k, u] = sum_v    w[u, v]    M[k, i, j] x[i, u] y[j, v]
        uvv   z[k, v] = sum_u    w[u, v]    M[k, i, j] x[i, u] y[j, v]
        uvw   z[k, w] = sum_(uv) w[u, v, w] M[k, i, j] x[i, u] y[j, v]
        uuu   z[k, u] =          w[u]       M[k, i, j] x[i, u] y[j, u]
        uuw   z[k, w] = sum_u    w[u, w]    M[k, i, j] x[i, u] y[j, u]

    summed over i and j. With method `per_path` there is one such w for each path p, and `M` becomes `C_p` inside a sum
    over p; the other methods share one w among all paths (E4).

    Attributes:
        tensor: The coupling tensor of the paths in use.
        channels: Channels in the order of the mode's letters.
        mode: The mode.
        method: The method.
        weights: Where the weights come from.
        factors: The CP factors of the coupling, if the method has any.

    Args:
        coupling: A maximal degree (`2`), irreps (`"0e+1o+2e"`, or `"0e+1o x 0e+1o+2e -> 0e+1o"`), a `Coupling`, or a
            `CouplingTensor`, of which the paths of nonzero weight are used.
        channels: One number for every distinct letter of the mode, in order; a plain number means (c,) for `uuu`, and
            one channel of harmonics, (c, 1), for `uvu`.
        mode: See above.
        method: `exact`: the coupling tensor itself. `per_path`: the same with weights for every path. `cp`: CP factors;
            for the paper's features the shipped ones of rank 7 L^2 (E5), for other irreps the least exact ones known,
            with path weights of their own (`cp.known.least_exact`). `cubature`: the Gaunt tensor, exactly equivariant
            with path weights of its own, even paths only. Or the `CPFactors` to use: those of the coupling, or of
            `parts.whole(tensor)`, whose rows are cut.
        weights: `internal`: a parameter of the layer. `external`: given with the features. `none`: all ones (not for
            modes that make new channels).

    Raises:
        TypeError: `coupling` is none of these.
        ValueError: An option is unknown, or options do not fit together.
        LookupError: `cp` is asked for, and no factors are known; the message says how to fit them.

    >>> ProductSpec("0e+1o", 8, method="cubature")
    ProductSpec(0e+1o x 0e+1o -> 0e+1o, 4 paths, uvu 8x1, cubature R=6, internal weights (8, 1))
    """

    tensor: CouplingTensor
    channels: tuple[int, ...]
    mode: Mode
    method: Method
    weights: WeightSource
    factors: CPFactors | None

    def __init__(
        self,
        coupling: CouplingLike | CouplingTensor,
        channels: int | tuple[int, ...],
        *,
        mode: Mode = "uvu",
        method: Method | CPFactors = "exact",
        weights: WeightSource = "internal",
    ) -> None:
        """See the class."""
        for name, value, allowed in (("mode", mode, MODES), ("weights", weights, WEIGHTS)):
            if value not in allowed:
                raise ValueError(f"{name} is {value!r}; it must be one of {allowed}")
        if not isinstance(method, CPFactors) and method not in METHODS:
            raise ValueError(f"method is {method!r}; it must be one of {METHODS}, or CPFactors")
        tensor = (coupling if isinstance(coupling, CouplingTensor) else CouplingTensor(coupling)).alive
        values = {
            "tensor": tensor,
            "channels": _check_channels(mode, channels),
            "mode": mode,
            "method": "cp" if isinstance(method, CPFactors) else method,
            "weights": weights,
            "factors": _factors(tensor, method),
        }
        for name, value in values.items():
            object.__setattr__(self, name, value)
        if weights == "none" and mode in ("uvw", "uuw"):
            raise ValueError(f"mode {mode!r} makes new channels, so it needs weights; choose 'internal' or 'external'")

    def __str__(self) -> str:
        """Irreps, paths, mode, channels, method and weights."""
        paths = len(self.coupling.paths)
        method = self.method if self.factors is None else f"{self.method} R={self.factors.rank}"
        weights = f"{self.weights} weights {self.weight_shape}" if self.weights != "none" else "no weights"
        sizes = "x".join(map(str, self.channels))
        return f"{self.coupling}, {paths} path{'s' if paths != 1 else ''}, {self.mode} {sizes}, {method}, {weights}"

    def __repr__(self) -> str:
        return f"ProductSpec({self})"

    @property
    def coupling(self) -> Coupling:
        """The irreps and paths."""
        return self.tensor.coupling

    @property
    def per_path(self) -> bool:
        """Whether there are weights for every path."""
        return self.method == "per_path"

    @property
    def weight_shape(self) -> tuple[int, ...]:
        """The axes of w in the table, after one axis of paths, in the order of `coupling.paths`, for `per_path`."""
        return ((len(self.coupling.paths),) if self.per_path else ()) + self.channels

    @property
    def sizes(self) -> tuple[int, int, int]:
        """Channels of x, y and z."""
        of = dict(zip(_letters(self.mode), self.channels, strict=True))
        u, v, w = (of[letter] for letter in self.mode)
        return u, v, w

    @property
    def summed(self) -> int:
        """Number of channels that are summed over."""
        sizes = zip(_letters(self.mode), self.channels, strict=True)
        return prod(size for letter, size in sizes if letter != self.mode[2])

    @property
    def swapped(self) -> bool:
        """Whether `normal` exchanges x and y."""
        return self.mode == "uvv" or (self.mode == "uvw" and self.channels[0] == 1 < self.channels[1])

    @cached_property
    def normal(self) -> ProductSpec:
        """The same product, with x and y exchanged where that makes `uvu` of `uvv`, or gives y the one channel."""
        if not self.swapped:
            return self
        u, v, *new = self.channels
        method = self.method if self.factors is None else CPFactors(self.factors.A, self.factors.C, self.factors.B)
        mode = "uvu" if self.mode == "uvv" else self.mode
        return ProductSpec(self.tensor.swapped, (v, u, *new), mode=mode, method=method, weights=self.weights)

    @cached_property
    def tensors(self) -> list[Float[np.ndarray, "d3 d1 d2"]]:
        """The tensors `M[k, i, j]` that are contracted, float64: one, or the block of every path for `per_path`.

        For CP methods this is the tensor of the factors, `Mhat`.
        """
        if self.per_path:
            return [self.tensor.block(path) for path in self.coupling.paths]
        if self.factors is None:
            return [self.tensor.array]
        return [np.einsum("kr,ir,jr->kij", self.factors.A, self.factors.B, self.factors.C, optimize=True)]

    @property
    def array(self) -> Float[np.ndarray, "d3 d1 d2"]:
        """The tensor `M[k, i, j]` of the whole product with all weights one: that of the factors for CP methods."""
        return self.tensor.array if self.factors is None else self.tensors[0]

    @property
    def equivariance_error(self) -> float:
        """Equivariance error of the tensor, `coupling.error_relative_to_output`, zero for exact methods (E6).

        The group is that of rotations, and inversion if the irreps have parity. P projects on all that the irreps of x,
        y and z allow, whether or not it is among the paths in use. The weights do not matter.

        Raises:
            ValueError: The factors are zero.
        """
        if self.factors is None:
            return 0.0
        return error_relative_to_output(self.array, CouplingTensor(self.coupling.complete).project(self.array).array)

    @cached_property
    def fingerprint(self) -> tuple[float, ...]:
        """Five numbers that tell the product's tensor from others.

        In the first four, the vectors of k, i and j span two dimensions, in which path 1x1->1, a determinant, vanishes.
        """
        values = []
        for number in range(5):
            total = 0.0
            for array in self.tensors:
                n = [np.arange(size) for size in array.shape]
                angles = [n[mode] * (1.0 + number) + mode if number < 4 else n[mode] ** (1 + mode) for mode in range(3)]
                total = 0.7 * total + float(np.einsum("kij,k,i,j->", array, *map(np.cos, angles), optimize=True))
            values.append(total)
        return tuple(values)


def _letters(mode: Mode) -> str:
    return "".join(dict.fromkeys(mode))


def _check_channels(mode: Mode, channels: int | tuple[int, ...]) -> tuple[int, ...]:
    letters = _letters(mode)
    if isinstance(channels, int) and mode in ("uuu", "uvu"):
        channels = (channels,) if mode == "uuu" else (channels, 1)
    if isinstance(channels, int) or len(channels) != len(letters) or any(size < 1 for size in channels):
        raise ValueError(
            f"channels are {channels}; mode {mode!r} needs one positive number for each of {', '.join(letters)}"
        )
    return tuple(channels)


def _factors(tensor: CouplingTensor, method: Method | CPFactors) -> CPFactors | None:
    if isinstance(method, CPFactors):
        return method if method.dims == tensor.dims else cut(method, tensor)
    if method == "cubature":
        return cubature(tensor)
    if method == "cp":
        if tensor.coupling.cube:
            return Store().best(whole(tensor), quadratic(tensor.lmax)).factors
        return least_exact(tensor, Store())
    return None
