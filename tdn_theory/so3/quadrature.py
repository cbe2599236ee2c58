"""Quadrature over SO(3) that is exact for the matrix entries of all D^l up to a degree.

A rotation is a turn about the polar axis y, followed by one that brings y to a point p of the sphere. Averaged over the
turns, an entry of D^l becomes one whose second index is m = 0, and that is a harmonic of degree l in p; n + 1 equal
turns average `exp(i m t)` exactly for |m| <= n. So (n + 1) turns and a Lebedev rule of degree n are exact for l <= n.
"""

from __future__ import annotations

from functools import cache

import numpy as np
from jaxtyping import Float
from scipy.integrate import lebedev_rule
from scipy.spatial.transform import Rotation

from tdn_theory.so3.irreps import check_degree

LEBEDEV_DEGREES = (*range(3, 32, 2), *range(35, 132, 6))
"""Degrees of the Lebedev rules that there are."""


@cache
def rotation_quadrature(degree: int) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, " n"]]:
    """Rotations and weights whose weighted sum is the Haar average of every polynomial in R of at most this degree.

    Args:
        degree: Highest l of the entries of D^l that are averaged exactly; 131 at most.

    Returns:
        Rotations of shape (n, 3, 3) and positive weights (n,) that add up to one; read-only.

    Raises:
        TypeError: `degree` is not an integer.
        ValueError: `degree` is negative or above 131.

    >>> rotations, weights = rotation_quadrature(3)
    >>> len(rotations), bool(np.allclose(np.einsum("n,nab->ab", weights, rotations), 0))
    (24, True)
    """
    degree = check_degree(degree, "degree of the quadrature")
    if degree > LEBEDEV_DEGREES[-1]:
        raise ValueError(f"degree of the quadrature is {degree}; it must be {LEBEDEV_DEGREES[-1]} at most")
    points, weights = lebedev_rule(next(n for n in LEBEDEV_DEGREES if n >= degree))
    polar = np.arccos(np.clip(points[1], -1, 1))
    azimuth = np.arctan2(points[0], points[2])
    turns = 2 * np.pi * np.arange(degree + 1) / (degree + 1)
    to_point = Rotation.from_euler("YX", np.stack([azimuth, polar], axis=1)).as_matrix()
    about_pole = Rotation.from_euler("Y", turns[:, None]).as_matrix()
    rotations = np.einsum("pab,tbc->ptac", to_point, about_pole).reshape(-1, 3, 3)
    shares = np.repeat(weights / weights.sum() / len(turns), len(turns))
    for array in (rotations, shares):
        array.setflags(write=False)
    return rotations, shares
