"""Bilinear maps between lists of irreps: what a product layer multiplies, as mathematics. No torch."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate, pairwise, product
from numbers import Integral
from typing import NamedTuple

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import CouplingTensor
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import admissible, component_slice


class Irrep(NamedTuple):
    """Degree `l` with parity `p`: +1 even (`2e`), -1 odd (`1o`), 0 if only rotations act (`2`)."""

    l: int
    p: int = 0

    @property
    def dim(self) -> int:
        """Number of components `2l+1`."""
        return 2 * self.l + 1

    def __str__(self) -> str:
        return f"{self.l}{ {1: 'e', -1: 'o', 0: ''}[self.p] }"


Irreps = tuple[Irrep, ...]


def parse_irreps(text: str) -> Irreps:
    """`"0e+1o+2e"`, or `"0+1+2"` for rotations only.

    Raises:
        ValueError: A term is not a degree with an optional parity.

    >>> parse_irreps("0e+1o")
    (Irrep(l=0, p=1), Irrep(l=1, p=-1))
    """
    found = []
    for term in text.split("+"):
        match = re.fullmatch(r"\s*(\d+)([eo]?)\s*", term)
        if match is None:
            raise ValueError(
                f"irreps are {text!r}; write degrees with an optional parity joined by +, e.g. '0e+1o+2e' or '0+1+2' "
                "(multiplicities are the layer's channels)"
            )
        found.append(Irrep(int(match[1]), {"e": 1, "o": -1, "": 0}[match[2]]))
    return tuple(found)


def irreps_dim(irreps: Irreps) -> int:
    """Number of components of one channel."""
    return sum(irrep.dim for irrep in irreps)


def slot_slices(irreps: Irreps) -> list[slice]:
    """Components of each irrep of the list."""
    ends = accumulate((irrep.dim for irrep in irreps), initial=0)
    return [slice(start, end) for start, end in pairwise(ends)]


class SlotPath(NamedTuple):
    """A path from slot `x` of the first input and slot `y` of the second into slot `z` of the output; its weight."""

    x: int
    y: int
    z: int
    weight: float = 1.0


@dataclass(frozen=True)
class Coupling:
    """The bilinear map `z_k = sum_p w_p C_p[k, i, j] x_i y_j` between lists of irreps, `C_p` of unit norm (E1).

    Attributes:
        x: Irreps of the first input; an irrep may occur several times.
        y: Irreps of the second input.
        z: Irreps of the output.
        paths: Which slots are coupled, and with which weight.

    Raises:
        ValueError: A path names a slot that does not exist, or violates the selection rules of degree or parity.

    >>> Coupling.of("0e+1o")
    Coupling(0e+1o x 0e+1o -> 0e+1o, 4 paths)
    >>> Coupling.of("0e+1o x 0e+1o+2e -> 1o").array.shape
    (3, 4, 9)
    """

    x: Irreps
    y: Irreps
    z: Irreps
    paths: tuple[SlotPath, ...]

    def __post_init__(self) -> None:
        if not self.paths:
            raise ValueError(f"no path couples {self.terms}; such a product is zero: add irreps or paths")
        for path in self.paths:
            for slot, irreps, name in zip(path[:3], (self.x, self.y, self.z), "xyz", strict=True):
                if not 0 <= slot < len(irreps):
                    raise ValueError(f"{path} names slot {slot} of {name}, which has {len(irreps)} slots")
            first, second, third = self.x[path.x], self.y[path.y], self.z[path.z]
            if not admissible(first.l, second.l, third.l) or first.p * second.p != third.p:
                raise ValueError(
                    f"path {first} x {second} -> {third} is not admissible: |l1-l2| <= l3 <= l1+l2 and p1 p2 = p3 are "
                    "required"
                )

    @classmethod
    def of(cls, given: int | str | CouplingTensor | Coupling) -> Coupling:
        """The coupling meant by a maximal degree, a coupling tensor, or irreps.

        Args:
            given: `2`: the paper's tensor `CouplingTensor(2)`. A `CouplingTensor`: itself. `"0e+1o+2e"`: these irreps
                on all sides, all paths that parity allows, weight 1. `"0e x 0e+1o -> 0e+1o"`: x, y and z one by one.

        Raises:
            TypeError: It is none of these.
            ValueError: The irreps cannot be read, or no path couples them.
        """
        if isinstance(given, Coupling):
            return given
        if isinstance(given, Integral) and not isinstance(given, bool):
            given = CouplingTensor(int(given))
        if isinstance(given, CouplingTensor):
            irreps = tuple(Irrep(l) for l in range(given.lmax + 1))
            weights = zip(given.paths, given.weights, strict=True)
            alive = tuple(SlotPath(*path, weight * given.block_norm(path)) for path, weight in weights if weight)
            return cls(irreps, irreps, irreps, alive)
        if not isinstance(given, str):
            raise TypeError(
                f"coupling is {given!r}; give a maximal degree (2), irreps ('0e+1o+2e'), a CouplingTensor or a Coupling"
            )
        parts = re.split(r"\s*(?:\bx\b|->)\s*", given.strip())
        if len(parts) not in (1, 3):
            raise ValueError(f"coupling is {given!r}; write '0e+1o+2e', or 'x-irreps x y-irreps -> z-irreps'")
        x, y, z = (parse_irreps(text) for text in (parts * 3 if len(parts) == 1 else parts))
        allowed = (
            SlotPath(i, j, k)
            for (k, c), (i, a), (j, b) in product(enumerate(z), enumerate(x), enumerate(y))
            if admissible(a.l, b.l, c.l) and a.p * b.p == c.p
        )
        return cls(x, y, z, tuple(allowed))

    @property
    def terms(self) -> str:
        """`x-irreps x y-irreps -> z-irreps`."""
        x, y, z = ("+".join(map(str, irreps)) for irreps in (self.x, self.y, self.z))
        return f"{x} x {y} -> {z}"

    def __repr__(self) -> str:
        """Irreps and number of paths."""
        return f"Coupling({self.terms}, {len(self.paths)} path{'s' if len(self.paths) != 1 else ''})"

    @property
    def dims(self) -> tuple[int, int, int]:
        """Components of x, y and z: (d1, d2, d3)."""
        return irreps_dim(self.x), irreps_dim(self.y), irreps_dim(self.z)

    def block(self, path: SlotPath) -> Float[np.ndarray, "k i j"]:
        """The path's tensor, its weight included."""
        return path.weight * clebsch_gordan(self.x[path.x].l, self.y[path.y].l, self.z[path.z].l)

    @cached_property
    def array(self) -> Float[np.ndarray, "d3 d1 d2"]:
        """The tensor `M[k, i, j]` of all paths together, read-only float64."""
        d1, d2, d3 = self.dims
        result = np.zeros((d3, d1, d2))
        x, y, z = (slot_slices(irreps) for irreps in (self.x, self.y, self.z))
        for path in self.paths:
            result[z[path.z], x[path.x], y[path.y]] += self.block(path)
        result.setflags(write=False)
        return result

    @property
    def swapped(self) -> Coupling:
        """The same map with its inputs exchanged, `(y, x) -> z`: odd paths change sign with the order of modes."""
        sign = [(-1) ** (self.x[p.x].l + self.y[p.y].l + self.z[p.z].l) for p in self.paths]
        paths = (SlotPath(p.y, p.x, p.z, s * p.weight) for p, s in zip(self.paths, sign, strict=True))
        return Coupling(self.y, self.x, self.z, tuple(paths))

    def parent(self) -> CouplingTensor:
        """The smallest coupling tensor that this map is a part of; its CP factors, cut to `rows`, decompose this one.

        Raises:
            ValueError: A degree occurs twice in x, y or z, an admissible path is missing, or weights differ from 1.
        """
        sides = (self.x, self.y, self.z)
        lmax = max(irrep.l for irreps in sides for irrep in irreps)
        parity = any(irrep.p for irreps in sides for irrep in irreps)
        natural = not parity or all(irrep.p == (-1) ** irrep.l for irreps in sides for irrep in irreps)
        if natural and all(len({irrep.l for irrep in irreps}) == len(irreps) for irreps in sides):
            tensor = CouplingTensor.even(lmax) if parity else CouplingTensor(lmax)
            if np.array_equal(tensor.array[np.ix_(*(self.rows(side) for side in "zxy"))], self.array):
                return tensor
            full_side = tuple(Irrep(l) for l in range(lmax + 1))
            if self.x == self.y == self.z == full_side:  # any path weights, if nothing is cut
                return CouplingTensor(lmax, {path[:3]: path.weight for path in self.paths})
        raise ValueError(
            f"{self} is no part of one whole coupling tensor, so no CP factors are known: it needs each degree at most "
            "once in x, y and z, natural parity (0e, 1o, ...) or none, and all admissible paths with weight 1; "
            "use method 'exact'"
        )

    def rows(self, side: str) -> list[int]:
        """Components of `parent()` that the irreps of side `"x"`, `"y"` or `"z"` occupy."""
        parts = (component_slice(irrep.l) for irrep in getattr(self, side))
        return [row for part in parts for row in range(part.start, part.stop)]
