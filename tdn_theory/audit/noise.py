"""The floor of roundoff, measured from the model itself, in single or double precision.

Along a line through space every property is a smooth function of the step plus rounding errors, which change from step
to step as if at random. The k-th difference of the values at equal steps h removes the smooth part up to `h^k f^(k)`
and leaves noise of `binomial(2k, k)` times the variance of the rounding errors (Moré and Wild, "Estimating
computational noise", SIAM J. Sci. Comput. 33 (2011) 1292). An error of symmetry is a smooth function of the positions,
so that it does not count, however large; a rounding to float32 on the way does, and so does what differs when the same
is computed again. Half precision is coarser than what a step changes, and its floor comes out too low.

How sure such a floor is: neighbouring k-th differences are correlated by `r_j = binomial(2k, k + j) / binomial(2k, k)`,
so that the mean square of many of them is worth `1 / (1 + 2 sum_j r_j^2)` degrees of freedom of chi^2 each, of order 6
about a third. For a single number, as the energy, the lines below are worth 13 in all. If an error of mere roundoff is
tried T times, its mean square over that of the floor has the distribution F(T, 13), but for the noisiest line, which is
left out and would add a third. Sampled with that, it is above `verdict.ROUNDOFF^2` with a probability of 1.5e-5 for
four trials, and of 6e-4 for one.
"""

from __future__ import annotations

from math import comb
from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float

from tdn_theory.audit.arrangements import rearranged
from tdn_theory.audit.prediction import Properties, predict, transformed
from tdn_theory.so3.rotation import haar_rotations

ORDER = 6
POINTS = 18
LINES = 4
STEP = 1e-4
"""Root mean square step of a coordinate, Angstrom: far above float32's roundoff of positions, and `STEP^6` far below
float64's."""


def rounding_noise(calculator: Any, atoms: Atoms, seed: int) -> dict[str, Any]:
    """Mean square of the rounding errors of each property.

    Every line begins in an arrangement of its own (orientation, place, order, images), since rounding errors depend on
    it, and the one that is noisiest in a property is left out of the mean, so that a cutoff that one of them crosses
    does not count.

    Where all energies of a line are numbers of float32, so probably are the sums of n atomic energies that led there.
    Their errors do not change along the line where the terms do not, and come on top: the last n/2 partial sums have
    about the spacing s of the result, and like terms are rounded alike, to n/2 equal errors of variance `s^2 / 12`.

    Args:
        calculator: Any calculator of ASE.
        atoms: A structure.
        seed: Of the lines.

    Returns:
        `squares`: per property, mean square over components; `repeat`: the same of the difference when the very same
        is computed again.
    """
    rng = np.random.default_rng(seed)
    lines = []
    for rotation in haar_rotations(LINES, rng):
        start = rearranged(transformed(atoms, rotation), rng)
        direction = rng.standard_normal(start.positions.shape)
        values = []
        for k in range(POINTS):
            moved = start.copy()
            moved.positions = start.positions + STEP * k * direction
            values.append(predict(calculator, moved))
        lines.append(values)
    again = predict(calculator, atoms), predict(calculator, atoms)
    return {
        "squares": {
            name: float(np.mean(sorted(variance(values, name, len(atoms)) for values in lines)[:-1]))
            for name in lines[0][0]
        },
        "repeat": {name: float(np.mean((again[0][name] - again[1][name]) ** 2)) for name in again[0]},
    }


def of_differences(f: Float[np.ndarray, "points ..."]) -> float:
    """Mean square of the rounding errors of values at equal steps, from their differences of order `ORDER`."""
    return float(np.mean(np.diff(f, ORDER, axis=0) ** 2)) / comb(2 * ORDER, ORDER)


def variance(values: list[Properties], name: str, atoms: int) -> float:
    """Mean square rounding error of a property on a line of equal steps.

    Args:
        values: At equal steps, more than `ORDER` of them.
        name: Of the property.
        atoms: Their number.
    """
    f = np.array([value[name].ravel() for value in values])
    found = of_differences(f)
    if name == "energy":
        whole = f * atoms
        single = whole.astype(np.float32)
        if np.allclose(single, whole, rtol=1e-13, atol=0):
            found += float(np.mean(np.spacing(np.abs(single)).astype(float) ** 2)) / 48  # (n/2)^2 s^2/12, over n^2
    elif np.array_equal(single := f.astype(np.float32), f):
        found += float(np.mean(np.spacing(np.abs(single)).astype(float) ** 2)) / 12  # the variance of rounding
    return found
