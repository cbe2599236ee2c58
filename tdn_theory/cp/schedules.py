"""Rank schedules: how the rank R of the CP product grows with the maximal degree L (E5)."""

from __future__ import annotations

from collections.abc import Callable
from math import floor, log
from types import MappingProxyType

from tdn_theory.so3.irreps import check_lmax


def quartic(lmax: int) -> int:
    """`(L+1)^4 = d^2`, where the outer-product decomposition is exact (T2)."""
    return (check_lmax(lmax) + 1) ** 4


def log_squared(lmax: int) -> int:
    """`16 ln^2(L+1)` as the paper writes it, rounded to the nearest integer.

    >>> [log_squared(lmax) for lmax in range(1, 7)]
    [8, 19, 31, 41, 51, 61]
    """
    return round(16 * log(check_lmax(lmax) + 1) ** 2)


def log_squared_released(lmax: int) -> int:
    """The released code's form of the same schedule, which truncates before it multiplies: 0 at L = 1.

    >>> [log_squared_released(lmax) for lmax in range(1, 7)]
    [0, 16, 16, 32, 48, 48]
    """
    return 16 * floor(log(check_lmax(lmax) + 1) ** 2)


def linear(lmax: int) -> int:
    """`7 L`."""
    return 7 * check_lmax(lmax)


def quadratic(lmax: int) -> int:
    """`7 L^2`, the schedule the paper adopts."""
    return 7 * check_lmax(lmax) ** 2


PAPER_SCHEDULES: MappingProxyType[str, Callable[[int], int]] = MappingProxyType(
    {"(L+1)^4": quartic, "16 ln^2(L+1)": log_squared, "7L": linear, "7L^2": quadratic}
)
