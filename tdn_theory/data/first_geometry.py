"""First geometries of molecules, from their SMILES."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms


def first_geometry(smiles: str, seed: int, rattle: float = 0.0) -> Atoms:
    """A geometry by ETKDG, rattled.

    Args:
        smiles: The molecule.
        seed: Seed of the geometry, from 0 to 2^31 - 1.
        rattle: Standard deviation of the displacement of each coordinate, Angstrom.

    Raises:
        ImportError: rdkit is not installed.
        ValueError: The SMILES is not valid, or has no geometry.
    """
    from ase import Atoms

    try:
        from rdkit import Chem
        from rdkit.Chem import rdDistGeom
    except ImportError as error:
        raise ImportError("geometries from SMILES need rdkit: pip install 'tdn-theory[make-data]'") from error
    parsed = Chem.MolFromSmiles(smiles)
    if parsed is None:
        raise ValueError(f"{smiles!r} is not a valid SMILES")
    molecule = Chem.AddHs(parsed)
    if rdDistGeom.EmbedMolecule(molecule, randomSeed=seed, useRandomCoords=True) < 0:
        raise ValueError(f"RDKit finds no geometry of {smiles!r}; try another seed")
    positions = molecule.GetConformer().GetPositions()
    noise = np.random.default_rng(seed).normal(size=positions.shape)
    return Atoms([atom.GetAtomicNum() for atom in molecule.GetAtoms()], positions + rattle * noise)
