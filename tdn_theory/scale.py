"""Lengths and squares of numbers of any scale: the right value, or an error that says so."""

from __future__ import annotations

import sys

import numpy as np
from jaxtyping import Float, Int


def power_of_two(array: Float[np.ndarray, "..."], axis: int | None = None) -> Int[np.ndarray, "..."]:
    """Exponents n with `2^(n-1) <= largest magnitude < 2^n` along an axis, which is kept; 0 where all is zero."""
    return np.asarray(np.frexp(np.max(np.abs(array), axis=axis, keepdims=True, initial=0.0))[1])


def length(array: Float[np.ndarray, "..."]) -> float:
    """Euclidean (Frobenius) length of all entries together.

    Squares of entries below 1e-162 are zero in float64, and those above 1e154 infinite. So entries are divided by a
    power of two first, which is exact: the result is that of `numpy.linalg.norm` wherever that has one.

    >>> [length(scale * np.array([3.0, 4.0])) / scale for scale in (2.0**-700, 2.0**700)]
    [5.0, 5.0]
    """
    exponent = power_of_two(array).item()
    return float(np.ldexp(np.linalg.norm(np.ldexp(array, -exponent)), exponent))


def lengths(array: Float[np.ndarray, "..."], axis: int) -> Float[np.ndarray, "..."]:
    """Euclidean lengths along an axis, like `length`."""
    exponents = power_of_two(array, axis)
    return np.asarray(np.ldexp(np.linalg.norm(np.ldexp(array, -exponents), axis=axis), np.squeeze(exponents, axis)))


def square(value: float, name: str) -> float:
    """`value^2`.

    Args:
        value: A number.
        name: What its square is called in the message.

    Raises:
        ValueError: The square is out of the range of float64.

    >>> square(3.0, "the variance")
    9.0
    """
    value = float(value)
    if value != 0 and not sys.float_info.min <= abs(value) * abs(value) <= sys.float_info.max:
        raise ValueError(
            f"{name} is the square of {value:.3g}, which float64 cannot hold; use the root, or scale the tensor"
        )
    return value * value
