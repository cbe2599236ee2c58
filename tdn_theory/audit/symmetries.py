"""Errors under what must not matter besides rotations: inversion, translation, order, periodic images, supercells."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms

from tdn_theory.audit.noise import SHIFT
from tdn_theory.audit.prediction import Properties, predict, turned_back


def symmetry_errors(calculator: Any, atoms: Atoms, seed: int) -> dict[str, Any]:
    """Mean square errors, per symmetry and property.

    * `inversion`: every position r becomes -r; the lattice is the same, and its basis stays, since many codes take only
      right-handed ones.
    * `translation`: all atoms are moved alike.
    * `permutation`: the atoms come in another order.
    * `images`: atoms are replaced by periodic images, in another basis of the same lattice.
    * `supercell`: two cells along the shortest periodic direction are twice one.

    Args:
        calculator: Any calculator of ASE.
        atoms: A structure.
        seed: Of shifts and orders.

    Returns:
        `squares`: per symmetry, per property, the mean square over components; `sizes`: mean squares of the properties
        themselves, less the energy, whose zero is arbitrary.
    """
    rng = np.random.default_rng(seed)
    n = len(atoms)
    wanted = predict(calculator, atoms)
    inverted = atoms.copy()
    inverted.positions = -atoms.positions
    trials: dict[str, tuple[Atoms, Any]] = {"inversion": (inverted, -np.eye(3))}
    moved = atoms.copy()
    moved.positions += SHIFT * rng.uniform(-1, 1, 3)
    trials["translation"] = (moved, None)
    squares: dict[str, dict[str, float]] = {}
    for name, (changed, matrix) in trials.items():
        found = predict(calculator, changed)
        squares[name] = _squares(found if matrix is None else turned_back(found, matrix), wanted)
    if n > 1:
        order = rng.permutation(n)
        found = predict(calculator, atoms[order])
        if "forces" in found:
            found["forces"] = found["forces"][np.argsort(order)]
        squares["permutation"] = _squares(found, wanted)
    if atoms.pbc.any():
        squares["images"] = _squares(predict(calculator, _images(atoms, rng)), wanted)
        lengths = np.where(atoms.pbc, atoms.cell.lengths(), np.inf)
        times = np.ones(3, int)
        times[int(np.argmin(lengths))] = 2
        found = predict(calculator, atoms.repeat(tuple(times)))
        twice = {name: np.tile(value, (2, 1)) if name == "forces" else value for name, value in wanted.items()}
        squares["supercell"] = _squares(found, twice)
    sizes = {name: float(np.mean(value**2)) for name, value in wanted.items() if name != "energy"}
    return {"squares": squares, "sizes": sizes}


def _squares(found: Properties, wanted: Properties) -> dict[str, float]:
    return {name: float(np.mean((found[name] - wanted[name]) ** 2)) for name in wanted if name in found}


def _images(atoms: Atoms, rng: np.random.Generator) -> Atoms:
    """Other images of the atoms, and, with two periodic directions, a + b in place of a."""
    moved = atoms.copy()
    shifts = rng.integers(-1, 2, (len(atoms), 3)) * atoms.pbc
    moved.positions = atoms.positions + shifts @ np.array(atoms.cell)
    cell = np.array(atoms.cell)
    periodic = np.flatnonzero(atoms.pbc)
    if len(periodic) > 1:
        cell[periodic[0]] += cell[periodic[1]]
    moved.set_cell(cell)
    return moved
