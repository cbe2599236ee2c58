"""Interval Newton (Krawczyk) for polynomial systems, from its definition; nothing of `certificate.py` is used."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
from scipy.linalg import qr

UNIT = 2.0**-53


def contains_a_zero(
    value: Callable[[np.ndarray], np.ndarray],
    jacobian: Callable[[np.ndarray], np.ndarray],
    spread: Callable[[np.ndarray, np.ndarray], np.ndarray],
    point: np.ndarray,
    radius: float,
) -> bool:
    """Whether Krawczyk's operator maps the box of this radius about `point` into itself, in the unknowns that count.

    Of a system of m equations in n >= m unknowns, all unknowns but m well-chosen ones stay at the given numbers, and
    Krawczyk's theorem (1969) is applied to the square system. With Y any matrix, `|Y F(x)| + |1 - Y J([x])| r < r` in
    every component proves a zero of F in the box.

    Args:
        value: F at a point of floats, which are rational numbers: exact, or correct to 1e-30; the result is floats.
        jacobian: J at a point of floats, each entry right to 1e-12 of the largest entry of J.
        spread: Bounds on the change of the entries of J in the box: `(point, half widths of all unknowns)`.
        point: Where, shape (n,).
        radius: Half width of the box.
    """
    J = jacobian(point)
    m = len(J)
    chosen = np.sort(qr(J, mode="r", pivoting=True)[1][:m])
    square = J[:, chosen]
    Y = np.linalg.inv(square)
    width = np.zeros(len(point))
    width[chosen] = radius
    error = spread(point, width)[:, chosen] + 1e-12 * np.abs(square).max()
    rounding = 2 * m * UNIT * (np.abs(Y) @ np.abs(square))
    contraction = np.abs(np.eye(m) - Y @ square) + rounding + np.abs(Y) @ error
    residual = value(point)
    shift = np.abs(Y @ residual) + (2 * m * UNIT + 1e-15) * (np.abs(Y) @ np.abs(residual))
    return bool(np.all(1.0001 * (shift + contraction.sum(axis=1) * radius) < radius))


def fractions(array: np.ndarray) -> np.ndarray:
    """The floats as the rational numbers that they are."""
    return np.array([Fraction(float(x)) for x in array.ravel()], dtype=object).reshape(array.shape)
