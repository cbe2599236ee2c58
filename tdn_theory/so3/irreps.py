"""Irreps, their components, and the paths that couple them.

A feature of the paper (E2) of maximal degree `lmax` (`L`) holds one irrep of every degree `l = 0..lmax`, in ascending
order, hence `d = (lmax + 1)^2` components; degree `l` owns the components `l^2 .. (l+1)^2 - 1`. In general a feature
holds a list of irreps in any order, each in a slot of its own; slots are numbered from 0.
"""

from __future__ import annotations

import re
from functools import lru_cache
from itertools import accumulate, pairwise
from math import isqrt
from numbers import Integral
from typing import NamedTuple


class Irrep(NamedTuple):
    """Degree `l` with parity: +1 even (`2e`), -1 odd (`1o`), 0 if only rotations act (`2`)."""

    l: int
    parity: int = 0

    @property
    def dim(self) -> int:
        """Number of components `2l+1`."""
        return 2 * self.l + 1

    def __str__(self) -> str:
        return f"{self.l}{ {1: 'e', -1: 'o', 0: ''}[self.parity] }"


Irreps = tuple[Irrep, ...]
"""The irreps of a feature, slot by slot."""


def parse_irreps(text: str) -> Irreps:
    """`"0e+1o+2e"`, or `"0+1+2"` for rotations only.

    Raises:
        ValueError: A term is not a degree with an optional parity.

    >>> parse_irreps("0e+1o")
    (Irrep(l=0, parity=1), Irrep(l=1, parity=-1))
    """
    found = []
    for term in text.split("+"):
        match = re.fullmatch(r"\s*(\d+)([eo]?)\s*", term)
        if match is None:
            raise ValueError(
                f"irreps are {text!r}; write degrees with an optional parity joined by +, e.g. '0e+1o+2e' or '0+1+2' "
                "(several copies as '1o+1o'; multiplicities like '2x1o' are the layer's channels)"
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


class Path(tuple[int, int, int]):
    """One admissible path `x slot, y slot -> z slot`: these three numbers, and the irreps it couples (E1).

    In the paper's features slot l holds degree l, so there the numbers are the degrees (l1, l2, l3) themselves. As a
    key or a value a path is its three numbers: `Path(1, 1, 0) == (1, 1, 0)`.

    Attributes:
        irreps: The irreps in these slots of x, y and z.

    >>> Path(1, 1, 0), str(Path(1, 1, 0)), Path(1, 1, 0).l3
    (Path(1, 1, 0), '1x1->0', 0)
    """

    irreps: tuple[Irrep, Irrep, Irrep]

    def __new__(cls, x: int, y: int, z: int, irreps: tuple[Irrep, Irrep, Irrep] | None = None) -> Path:
        """The path of these slots; their irreps are the degrees of the same number if left out."""
        path = super().__new__(cls, (x, y, z))
        path.irreps = (Irrep(x), Irrep(y), Irrep(z)) if irreps is None else irreps
        return path

    def __getnewargs__(self) -> tuple[int, int, int, tuple[Irrep, Irrep, Irrep]]:
        """For copies and pickles."""
        return self[0], self[1], self[2], self.irreps

    def __repr__(self) -> str:
        return f"Path{tuple(self)}"

    def __str__(self) -> str:
        return "{}x{}->{}".format(*self.irreps)

    @property
    def x(self) -> int:
        """Slot of the first input."""
        return self[0]

    @property
    def y(self) -> int:
        """Slot of the second input."""
        return self[1]

    @property
    def z(self) -> int:
        """Slot of the output."""
        return self[2]

    @property
    def l1(self) -> int:
        """Degree of x."""
        return self.irreps[0].l

    @property
    def l2(self) -> int:
        """Degree of y."""
        return self.irreps[1].l

    @property
    def l3(self) -> int:
        """Degree of z."""
        return self.irreps[2].l

    @property
    def degrees(self) -> tuple[int, int, int]:
        """(l1, l2, l3), the arguments of `clebsch_gordan`."""
        return self.l1, self.l2, self.l3

    @property
    def even(self) -> bool:
        """Whether `l1 + l2 + l3` is even, i.e. the coupling is symmetric under swapping x and y."""
        return sum(self.degrees) % 2 == 0


def check_degree(l: int, name: str = "degree l") -> int:
    """Return `l` as an int.

    Raises:
        TypeError: `l` is not an integer (bool included).
        ValueError: `l` is negative.
    """
    if isinstance(l, bool) or not isinstance(l, Integral):
        raise TypeError(f"{name} is {l!r}; it must be an integer >= 0: pass e.g. 2")
    if l < 0:
        raise ValueError(f"{name} is {l}; it must be an integer >= 0: pass e.g. 2")
    return int(l)


def check_lmax(lmax: int) -> int:
    """Return `lmax` as an int, or say what a maximal degree is.

    Raises:
        TypeError: `lmax` is not an integer.
        ValueError: `lmax` is negative.
    """
    return check_degree(lmax, "maximal degree lmax (L)")


def dim(lmax: int) -> int:
    """Number of components `d = (lmax + 1)^2`.

    >>> dim(2)
    9
    """
    return (check_lmax(lmax) + 1) ** 2


def lmax_of(d: int) -> int:
    """Maximal degree L of features with `d = (L+1)^2` components.

    Raises:
        ValueError: `d` is not the square of a positive integer.

    >>> lmax_of(49)
    6
    """
    if d < 1 or isqrt(d) ** 2 != d:
        raise ValueError(f"d is {d}; features of degrees 0..L have d = (L+1)^2 components: 1, 4, 9, 16, ...")
    return isqrt(d) - 1


def component_slice(l: int) -> slice:
    """Components of degree `l` inside a feature.

    >>> component_slice(1)
    slice(1, 4, None)
    """
    l = check_degree(l)
    return slice(l * l, (l + 1) * (l + 1))


def admissible(l1: int, l2: int, l3: int) -> bool:
    """Selection rule `|l1 - l2| <= l3 <= l1 + l2` (E1).

    >>> admissible(1, 1, 2), admissible(1, 1, 3)
    (True, False)
    """
    return abs(l1 - l2) <= l3 <= l1 + l2


@lru_cache(maxsize=64, typed=True)
def paths(lmax: int) -> tuple[Path, ...]:
    """All admissible paths with every degree at most `lmax` (E2), ordered by (l3, l1, l2).

    >>> [len(paths(lmax)) for lmax in range(1, 7)]
    [5, 15, 34, 65, 111, 175]
    """
    degrees = range(check_lmax(lmax) + 1)
    return tuple(Path(l1, l2, l3) for l3 in degrees for l1 in degrees for l2 in degrees if admissible(l1, l2, l3))
