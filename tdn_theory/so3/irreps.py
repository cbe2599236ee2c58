"""Degrees, components and coupling paths of the features of E2.

A feature of maximal degree `lmax` (`L` in the paper) holds one irrep of every degree `l = 0..lmax`,
in ascending order, hence `d = (lmax + 1)^2` components; degree `l` owns the components `l^2 .. (l+1)^2 - 1`.
"""

from __future__ import annotations

from functools import lru_cache
from numbers import Integral
from typing import NamedTuple


class Path(NamedTuple):
    """One admissible coupling `l1 x l2 -> l3` (E1): `l1` is the degree in x, `l2` in y, `l3` in z."""

    l1: int
    l2: int
    l3: int

    @property
    def even(self) -> bool:
        """Whether `l1 + l2 + l3` is even, i.e. the coupling is symmetric under swapping x and y."""
        return sum(self) % 2 == 0

    def __str__(self) -> str:
        return f"{self.l1}x{self.l2}->{self.l3}"


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
