"""Jumps of energy and forces while a structure expands, as where neighbours leave through a cutoff that is not smooth.

Fourth differences at equal steps fall with the fourth power of the step where a function is smooth, and not at all
where it jumps. The interval where they are largest is halved again and again: what is smooth changes half as much in
half an interval; a jump stays.
"""

from __future__ import annotations

from functools import cache, partial
from typing import Any

import numpy as np
from ase import Atoms

from tdn_theory.audit.noise import variance
from tdn_theory.audit.prediction import Properties, predict

INTERVALS = 48
HALVINGS = 22
"""Afterwards a smooth change has become four million times smaller, and what bends it the square of that."""
BESIDE, POINTS = 1e-5, 10
"""Relative step, and number, of the points beside the last interval from which the roundoff there is taken."""
PERIODIC, FINITE = 1.7, 6.0
"""How many times longer distances become: all that are within this factor of a cutoff leave through it. Second
neighbours of the common crystals are at most 1.63 times as far as first ones, so that some shell does."""


def jumps(calculator: Any, atoms: Atoms) -> dict[str, Any]:
    """The largest jumps that are found.

    Args:
        calculator: Any calculator of ASE.
        atoms: A structure.

    Returns:
        `squares`: per property (energy, forces), the mean square of the jump over components, less what remains of a
        smooth change, over how many times larger the property is there than in the structure as it is, as are its
        rounding errors; `noise`: likewise, the mean square of the rounding errors there; `scale`: how many times longer
        distances are where it is.
    """
    largest = PERIODIC if atoms.pbc.any() else FINITE
    at = cache(partial(_expanded, calculator, atoms))  # energy and forces often jump at the same place
    scales = np.geomspace(1.0, largest, INTERVALS + 1)
    values = [at(scale) for scale in scales]
    result: dict[str, Any] = {"squares": {}, "noise": {}, "scale": {}}
    for name in values[0]:
        fourth = np.linalg.norm(np.diff([value[name].ravel() for value in values], 4, axis=0), axis=1)
        # a jump J in interval k makes fourth differences J, -3 J, 3 J, -J of the points from k - 3, ..., k on
        k = 2 + int(np.argmax(np.minimum(fourth[:-1], fourth[1:])))
        low, high, left, right = scales[k], scales[k + 1], values[k], values[k + 1]
        steps = []
        for _ in range(HALVINGS):
            middle = (low + high) / 2
            between = at(middle)
            if np.linalg.norm(between[name] - left[name]) > np.linalg.norm(right[name] - between[name]):
                high, right = middle, between
            else:
                low, left = middle, between
            steps.append(float(np.sqrt(np.mean((right[name] - left[name]) ** 2))))
        # a jump J and a smooth change s make J + s, and J + s/2 in half the interval
        growth = max(1.0, float(np.linalg.norm(left[name]) / (np.linalg.norm(values[0][name]) or np.inf)))
        result["squares"][name] = (max(0.0, 2 * steps[-1] - steps[-2]) / growth) ** 2
        beside = [at(low * (1 - BESIDE * n)) for n in range(POINTS)]
        result["noise"][name] = variance(beside, name, len(atoms)) / growth**2
        result["scale"][name] = float((low + high) / 2)
    return result


def _expanded(calculator: Any, atoms: Atoms, scale: float) -> Properties:
    moved = atoms.copy()
    moved.set_cell(scale * np.array(atoms.cell))
    moved.positions = scale * atoms.positions
    found = predict(calculator, moved)
    return {name: found[name] for name in ("energy", "forces") if name in found}
