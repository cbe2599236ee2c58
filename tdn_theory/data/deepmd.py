"""Structures in the folders of numpy arrays that DeePMD-kit trains on, as dpdata reads them: in eV and Angstrom."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from tdn_theory.data.structure import Structure

TYPES = "type.raw"
"""What makes a folder one of these."""


def read_deepmd(folder: Path) -> list[Structure]:
    """All frames of a folder, with energies, forces and, from virials, stresses; the formula is the group.

    Args:
        folder: With `type.raw`, `type_map.raw` and folders `set.000`, ... of `coord.npy`, `box.npy`, `energy.npy`,
            `force.npy` and `virial.npy`; `nopbc` if nothing is periodic. Also of DeePMD-kit's mixed type.

    Raises:
        FileNotFoundError: There is no such folder.
        ImportError: dpdata is not installed; the message names the extra.
        ValueError: The folder is none of these, or cannot be read, or a frame is not as it should be.
    """
    if not (folder / TYPES).is_file():
        if not folder.is_dir():
            raise FileNotFoundError(f"there is no folder {folder}")
        raise ValueError(f"{folder} has no {TYPES}; it must be a folder of DeePMD-kit's numpy format, deepmd/npy")
    if not (folder / "type_map.raw").is_file():
        raise ValueError(f"{folder} has no type_map.raw; write the symbols of the elements into it, one a line")
    try:
        import dpdata  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError(f"{folder} is read by dpdata, which is missing: pip install 'tdn-theory[dpdata]'") from error
    structures: list[Structure] = []
    try:
        if list(folder.glob("set.*/real_atom_types.npy")):
            mixed = dpdata.MultiSystems()
            mixed.load_systems_from_file(str(folder), fmt="deepmd/npy/mixed", labeled=True)
            systems = list(mixed.systems.values())
        else:
            systems = [dpdata.LabeledSystem(str(folder), fmt="deepmd/npy")]
        for system in systems:
            for frame in range(len(system["coords"])):
                structures.append(_structure(system.data, frame))
    except Exception as error:  # a parser of dpdata may raise anything
        raise ValueError(f"{folder}, frame {len(structures)}: {type(error).__name__}: {error}") from error
    if not structures:
        raise ValueError(f"{folder} holds no structure")
    return structures


def _structure(data: dict[str, Any], frame: int) -> Structure:
    from ase.data import atomic_numbers
    from ase.symbols import Symbols

    elements = [atomic_numbers.get(name) for name in data["atom_names"]]
    if None in elements:
        raise ValueError(f"type_map.raw has {', '.join(data['atom_names'])}; it must have symbols of elements")
    numbers = np.array(elements)[data["atom_types"]]
    periodic = not data.get("nopbc", False)
    cell = np.array(data["cells"][frame]) if periodic else None
    labels: dict[str, Any] = {"energy": float(data["energies"][frame])} if "energies" in data else {}
    if "forces" in data:
        labels["forces"] = np.array(data["forces"][frame])
    if "virials" in data and cell is not None:
        virial = np.array(data["virials"][frame])
        labels["stress"] = -(virial + virial.T) / 2 / abs(np.linalg.det(cell))
    group = Symbols(numbers).get_chemical_formula()
    return Structure(numbers, np.array(data["coords"][frame]), cell, np.full(3, periodic), **labels, group=group)
