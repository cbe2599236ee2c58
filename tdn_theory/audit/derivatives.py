"""Forces against the energy, stress against strained energies, the curl of forces: by finite differences with errors.

A central difference at steps h, h/2, h/4 gives, by two extrapolations of Richardson, two values that err by `O(h^4)`;
how far they differ, and the noise of the values over the step, is the error that is stated. It is done from a large and
from a small first step, for models of single and of double precision, and what has the smaller stated error counts.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
from ase import Atoms

from tdn_theory.audit.prediction import Properties, predict

FIRST_STEPS = (2e-2, 2e-3)
"""Angstrom of a coordinate, root mean square; of strains, multiples of one."""
DIRECTIONS = 2
NOISE = 3.8
"""Noise of the value from steps h, h/2, h/4 is so many times that of the function over h: the differences at h/4 and
h/2, of independent noise `sqrt(2) / (2 h/4)` and `sqrt(2) / (2 h/2)`, come with the factors 4/3 and 1/3."""


def difference(function: Callable[[float], np.ndarray], noise: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Derivative at zero of each component, and its stated error.

    Args:
        function: A function of the step.
        noise: Root mean square rounding error of each component.

    >>> value, error = difference(lambda t: np.array([np.sin(t), np.exp(t)]), np.full(2, 1e-16))
    >>> bool(np.all(np.abs(value - 1) < 1e-9) and np.all(error < 1e-8))
    True
    """
    values, errors = [], []
    for first in FIRST_STEPS:
        slopes = [(function(h) - function(-h)) / (2 * h) for h in (first, first / 2, first / 4)]
        coarse, fine = ((4 * slopes[k + 1] - slopes[k]) / 3 for k in (0, 1))
        values.append(fine)
        errors.append(np.hypot(fine - coarse, NOISE * noise / first))
    # all components from one first step: the smaller error of each would be chosen by chance
    best = int(np.argmin([np.linalg.norm(error) for error in errors]))
    return values[best], errors[best]


def derivative_errors(calculator: Any, atoms: Atoms, noise: dict[str, float], seed: int) -> dict[str, Any]:
    """How far forces, stress and curl are from what they should be, along random directions.

    Forces along a direction v of all atoms, of unit variance in each coordinate, are `-d/dt E(x + t v)`, stress along a
    symmetric strain s is `(1/V) dE/dt` of positions and cell times `1 + t s`, and of the derivatives of conservative
    forces `u . DF v = v . DF u`. Values along a direction of atoms are divided by the root of the number of
    coordinates, which makes them forces of a coordinate.

    Args:
        calculator: Any calculator of ASE.
        atoms: A structure.
        noise: Mean square rounding errors of its properties, see `rounding_noise`.
        seed: Of the directions.

    Returns:
        Per check (`forces`, `stress`, `curl`) mean squares over the directions: `error`, `floor` (what is stated),
        `size`; and `flipped`, the error if the sign were the other one. A check that is not possible is left out.
    """
    rng = np.random.default_rng(seed)
    straight = predict(calculator, atoms)
    energy_noise = np.array([len(atoms) * noise["energy"] ** 0.5])
    rows: dict[str, list[tuple[float, float, float, float]]] = {}
    if "forces" in straight:
        root = np.sqrt(atoms.positions.size)
        force_noise = np.full(atoms.positions.size, noise["forces"] ** 0.5)
        directions = rng.standard_normal((DIRECTIONS, *atoms.positions.shape))
        slopes = []
        for v in directions:
            at = cache(partial(_moved, calculator, atoms, v))  # forces and energies of the same structures
            slopes.append(difference(lambda t, at=at: at(t)["forces"].ravel(), force_noise))
            slope, error = difference(lambda t, at=at: len(atoms) * at(t)["energy"].reshape(1), energy_noise)
            got, wanted = float(np.vdot(straight["forces"], v)) / root, -float(slope[0]) / root
            rows.setdefault("forces", []).append((got - wanted, float(error[0]) / root, got, got + wanted))
        if atoms.positions.size > 3:
            (first, e1), (second, e2) = slopes
            u, v = (d.ravel() for d in directions)
            one, other = float(u @ second) / root, float(v @ first) / root
            stated = float(np.hypot(np.linalg.norm(u * e2), np.linalg.norm(v * e1))) / root
            rows["curl"] = [(one - other, stated, one, one + other)]
    if "stress" in straight:
        for s in rng.standard_normal((DIRECTIONS, 3, 3)):
            strain = (s + s.T) / 2

            def strained(t: float, strain: np.ndarray = strain) -> np.ndarray:
                moved = atoms.copy()
                moved.set_cell(np.array(atoms.cell) @ (np.eye(3) + t * strain))
                moved.positions = atoms.positions @ (np.eye(3) + t * strain)
                return np.atleast_1d(predict(calculator, moved)["energy"] * len(atoms))

            slope, error = difference(strained, energy_noise)
            got, wanted = float(np.vdot(straight["stress"], strain)), float(slope[0] / atoms.get_volume())
            stated = float(error[0] / atoms.get_volume())
            rows.setdefault("stress", []).append((got - wanted, stated, got, got + wanted))
    return {
        check: {
            name: float(np.mean(np.square([row[k] for row in found])))
            for k, name in enumerate(("error", "floor", "size", "flipped"))
        }
        for check, found in rows.items()
    }


def _moved(calculator: Any, atoms: Atoms, direction: np.ndarray, t: float) -> Properties:
    moved = atoms.copy()
    moved.positions = atoms.positions + t * direction
    return predict(calculator, moved)
