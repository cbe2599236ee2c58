"""Where calculators and structures come from: modules, Python files, saved potentials; files, and a shipped set."""

from __future__ import annotations

import json
import runpy
from collections.abc import Mapping, Sequence
from functools import lru_cache
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np
from ase import Atoms

from tdn_theory.files import sha256

RATTLE = 0.05
"""Standard deviation of the displacement of each coordinate of the shipped structures, Angstrom: at a symmetric place
forces vanish."""


def named(source: str) -> Any:
    """The object that `module:name` or `file.py:name` names. Importing a module or a file runs it.

    Raises:
        ValueError: It is not of this form, or there is no such name.
        ImportError: There is no such module.
        FileNotFoundError: There is no such file.
    """
    place, _, name = source.rpartition(":")
    if not place or not name:
        raise ValueError(f"{source!r} names nothing; give module:name, file.py:name or a saved model.safetensors")
    if place.endswith(".py"):
        if not Path(place).is_file():
            raise FileNotFoundError(f"there is no file {place}")
        found = runpy.run_path(place)
    else:
        found = vars(import_module(place))
    if name not in found:
        raise ValueError(f"{place} has no {name!r}; it has {', '.join(n for n in found if not n.startswith('_'))}")
    return found[name]


def fingerprint(source: str) -> str | None:
    """SHA-256 of the file that a source is in; None for a module."""
    path = Path(source if source.endswith(".safetensors") else source.rpartition(":")[0])
    return sha256(path.read_bytes()) if path.is_file() else None


def calculator(source: str, options: Mapping[str, Any]) -> Any:
    """A calculator, made once in a process.

    Args:
        source: `module:name` or `file.py:name` of a function or class that makes one, or of one; or a saved potential,
            `model.safetensors`, which is computed in float64.
        options: Keyword arguments of the function.

    Raises:
        TypeError: It is no calculator.
        ValueError: See `named`.
    """
    return _calculator(source, json.dumps(options, sort_keys=True))


@lru_cache(maxsize=1)
def _calculator(source: str, options: str) -> Any:
    if source.endswith(".safetensors"):
        import torch

        from tdn_theory.nn.calculator import TDNCalculator

        return TDNCalculator.load(Path(source), dtype=torch.float64)
    found = named(source)
    made = found if hasattr(found, "get_property") and not isinstance(found, type) else found(**json.loads(options))
    if not hasattr(made, "get_property"):
        raise TypeError(f"{source} gives a {type(made).__name__}; it must be a calculator of ASE")
    return made


def structures(file: Path | None, names: Sequence[str] = (), seed: int = 0) -> dict[str, Atoms]:
    """Structures by name: those of a file that ASE reads, or of the shipped set.

    Args:
        file: Any structure file of ASE, all of its frames; None: the shipped set.
        names: Of the shipped set, which; all if none is named.
        seed: Of the rattling of the shipped set.

    Raises:
        ValueError: The file holds no structure, ASE cannot read it, or a name is unknown.
    """
    if file is not None:
        import ase.io
        from ase.io.formats import UnknownFileTypeError

        try:
            frames = [frame for frame in ase.io.iread(str(file), ":") if isinstance(frame, Atoms)]
        except UnknownFileTypeError as error:
            raise ValueError(f"ASE cannot tell the format of {file}; give a structure file with its suffix") from error
        if not frames:
            raise ValueError(f"{file} holds no structure")
        return {f"{k} {frame.get_chemical_formula()}": frame for k, frame in enumerate(frames)}
    known = shipped(seed)
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(f"no shipped structure is called {unknown[0]!r}; there are {', '.join(known)}")
    return {name: known[name] for name in names or known}


def shipped(seed: int = 0) -> dict[str, Atoms]:
    """Molecules, crystals and slabs, rattled: small ones of common elements, from `ase.build`."""
    from ase.build import bulk, molecule

    found = {
        "water": molecule("H2O"),
        "methanol": molecule("CH3OH"),
        "ethanol": molecule("CH3CH2OH"),
        "silicon": bulk("Si", cubic=True),
        "rock salt": bulk("NaCl", "rocksalt", 5.64, cubic=True),
        "iron": bulk("Fe", cubic=True) * (2, 1, 1),
        "oxygen on copper": adsorbed("Cu", "O", 1.2),
    }
    rng = np.random.default_rng(seed)
    for atoms in found.values():
        atoms.positions += RATTLE * rng.standard_normal(atoms.positions.shape)
        atoms.set_velocities(np.zeros(atoms.positions.shape))
    return {name: Atoms(a.numbers, a.positions, cell=a.cell, pbc=a.pbc) for name, a in found.items()}


def adsorbed(metal: str, adsorbate: str | Atoms, height: float) -> Atoms:
    """An atom or a molecule, at a height in Angstrom, on three layers of (2x2) of the surface (111) of an fcc metal."""
    from ase.build import add_adsorbate, fcc111

    slab = fcc111(metal, (2, 2, 3), vacuum=8.0)
    add_adsorbate(slab, adsorbate, height, "fcc")
    slab.pbc = True
    return slab
