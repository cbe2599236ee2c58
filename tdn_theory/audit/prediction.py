"""What a calculator says of a structure, checked, and how it turns when the structure is turned."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import PropertyNotImplementedError
from ase.stress import full_3x3_to_voigt_6_stress, voigt_6_to_full_3x3_stress
from jaxtyping import Float

Properties = dict[str, np.ndarray]
"""`energy` per atom, `forces`, and `stress`, `dipole`, `polarizability` where they are defined; units of ASE."""


def predict(calculator: Any, atoms: Atoms) -> Properties:
    """Predict, nothing remembered from earlier calls.

    Args:
        calculator: Any calculator of ASE.
        atoms: A structure; it is copied.

    Returns:
        `energy` per atom (), eV; if the calculator has them: `forces` (n, 3), `stress` (3, 3) of what is periodic in
        all directions, `dipole` (3,) and `polarizability` (3, 3) of what is periodic in none.

    Raises:
        ValueError: The calculator has no energy, changes the structure that it is given, or returns a value that is
            not finite or has a wrong shape; the message says which.
    """
    given = atoms.copy()
    given.calc = calculator
    if hasattr(calculator, "reset"):
        calculator.reset()
    shapes = {"energy": (), "forces": (len(atoms), 3)}
    if atoms.pbc.all():
        shapes["stress"] = (6,)
    if not atoms.pbc.any():
        shapes |= {"dipole": (3,), "polarizability": (3, 3)}
    found: Properties = {}
    for name, shape in shapes.items():
        try:
            value = calculator.get_property(name, given)
        except (PropertyNotImplementedError, NotImplementedError):
            continue
        if value is None:
            continue
        array = np.array(value, dtype=float)
        if name == "energy" and array.size == 1:
            array = array.reshape(())  # some calculators return an array of one number
        if name == "stress" and array.shape == (3, 3):
            array = full_3x3_to_voigt_6_stress(array)  # ASE takes both, too
        if array.shape != shape:
            raise ValueError(f"{name} of {atoms.get_chemical_formula()} has shape {array.shape}; it must be {shape}")
        if not np.isfinite(array).all():
            raise ValueError(
                f"{name} of {atoms.get_chemical_formula()} is not finite: the calculator returns NaN or inf"
            )
        found[name] = voigt_6_to_full_3x3_stress(array) if name == "stress" else array
    if "energy" not in found:
        raise ValueError("the calculator has no energy; an audit needs one that implements at least that")
    for name in ("numbers", "positions", "pbc"):
        if not np.array_equal(getattr(given, name), getattr(atoms, name)):
            raise ValueError(f"the calculator changes the {name} of the structure that it is given; it must copy them")
    if not np.array_equal(given.cell, atoms.cell):
        raise ValueError("the calculator changes the cell of the structure that it is given; it must copy it")
    found["energy"] = np.asarray(found["energy"] / len(atoms))
    return found


def transformed(atoms: Atoms, matrix: Float[np.ndarray, "3 3"]) -> Atoms:
    """Every position and cell vector r becomes `matrix r`."""
    moved = atoms.copy()
    moved.set_cell(np.array(atoms.cell) @ matrix.T)
    moved.positions = atoms.positions @ matrix.T
    return moved


def turned_back(found: Properties, matrix: Float[np.ndarray, "3 3"]) -> Properties:
    """What was said of a structure transformed by an orthogonal matrix Q, as it has to be of the straight one.

    Scalars stay, vectors become `Q^T v`, matrices `Q^T A Q`.
    """
    back: Properties = {}
    for name, value in found.items():
        if name == "energy":
            back[name] = value
        elif name in ("forces", "dipole"):
            back[name] = value @ matrix
        else:
            back[name] = matrix.T @ value @ matrix
    return back
