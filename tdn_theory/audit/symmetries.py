"""Errors under what must not matter besides rotations: inversion, translation, order, periodic images, supercells."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from ase import Atoms

from tdn_theory.audit.arrangements import moved, other_images
from tdn_theory.audit.noise import STEP
from tdn_theory.audit.prediction import Properties, predict, turned_back

TRIALS = 4
"""Of each symmetry: one number in single precision is too little to tell an error from roundoff, see `noise`."""


def symmetry_errors(calculator: Any, atoms: Atoms, seed: int) -> dict[str, Any]:
    """Mean square errors, per symmetry and property.

    * `inversion`: every position r becomes -r; the lattice is the same, and its basis stays, since many codes take only
      right-handed ones.
    * `translation`: all atoms are moved alike.
    * `permutation`: the atoms come in another order.
    * `images`: atoms are replaced by periodic images, in another basis of the same lattice.
    * `supercell`: two cells along the shortest periodic direction are twice one.

    Each is tried on the structure and on others beside it, which are so near that the errors are alike, and so far that
    their rounding errors are not.

    Args:
        calculator: Any calculator of ASE.
        atoms: A structure.
        seed: Of shifts and orders.

    Returns:
        `squares`: per symmetry, per property, the mean square over components; `sizes`: mean squares of the properties
        themselves, less the energy, whose zero is arbitrary.
    """
    rng = np.random.default_rng(seed)
    direction = rng.standard_normal(atoms.positions.shape)
    squares: dict[str, dict[str, float]] = {}
    sizes: dict[str, float] = {}
    for k in range(TRIALS):
        near = atoms.copy()
        near.positions = atoms.positions + STEP * k * direction
        wanted = predict(calculator, near)
        for name in wanted.keys() - {"energy"}:
            sizes[name] = sizes.get(name, 0.0) + float(np.mean(wanted[name] ** 2)) / TRIALS
        for check, (changed, back) in _trials(near, rng).items():
            found, own = back(predict(calculator, changed)), squares.setdefault(check, {})
            for name in wanted.keys() & found.keys():
                error = found[name].reshape(-1, *wanted[name].shape) - wanted[name]  # of every cell of a supercell
                own[name] = own.get(name, 0.0) + float(np.mean(error**2)) / TRIALS
    return {"squares": squares, "sizes": sizes}


def _trials(atoms: Atoms, rng: np.random.Generator) -> dict[str, tuple[Atoms, Callable[[Properties], Properties]]]:
    """Per symmetry, what it makes of a structure, and how to get the properties of this one from those of that."""
    inverted = atoms.copy()
    inverted.positions = -atoms.positions
    found = {
        "inversion": (inverted, lambda p: turned_back(p, -np.eye(3))),
        "translation": (moved(atoms, rng), lambda p: p),
    }
    n = len(atoms)
    if n > 1:
        order = rng.permutation(n)
        back = np.argsort(order)
        found["permutation"] = (atoms[order], lambda p: p | {"forces": p["forces"][back]} if "forces" in p else p)
    if atoms.pbc.any():
        times = np.ones(3, int)
        times[int(np.argmin(np.where(atoms.pbc, atoms.cell.lengths(), np.inf)))] = 2
        found["images"] = (other_images(atoms, rng), lambda p: p)
        found["supercell"] = (atoms.repeat(tuple(times)), lambda p: p)
    return found
