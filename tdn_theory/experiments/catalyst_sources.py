"""Catalysts for experiments: the shipped sets, and real ones where there is a folder of them.

The folder that the environment variable `TDN_THEORY_CATALYSTS` names, else `catalysts`, may hold

- `random*.extxyz`: trajectories of OC20, with energies and forces;
- `oc22*.pkl`: pickled lists of frames of OC22, as torch_geometric has them;
- `adsorption_structures.json` and `adsorption_energies.json`: atoms on (111) of seven metals at several coverages, with
  DFT energies by metal, adsorbate, site and coverage (Xu and Kitchin, 2014, as in fairchem's tutorial);
- `oxides/oxides.npz` and its manifest, as `tdn-theory data make-oxides` writes them: more than are shipped.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np

from tdn_theory.data import geometric_pickle
from tdn_theory.data.catalyst_sets import FILES, SHIPPED, read_systems, shipped
from tdn_theory.data.catalyst_text import KEYS
from tdn_theory.data.catalysts import checked
from tdn_theory.data.extxyz import read_extxyz
from tdn_theory.data.structure import Structure
from tdn_theory.files import read_json, sha256

FOLDER = "TDN_THEORY_CATALYSTS"
"""Environment variable: the folder with real catalysts."""

PATTERNS: Mapping[str, str] = {
    **dict.fromkeys(SHIPPED, ""),
    "OC20": "random*.extxyz",
    "OC22": "oc22*.pkl",
    "DFT": "adsorption_[es]*.json",
    "made oxides": "oxides/oxides.npz",
}
"""What the files of each source are called; the shipped ones need none."""


def files(source: str) -> list[Path]:
    """Files of a source in the folder, in the order of their names; none for a shipped one."""
    pattern = PATTERNS[source]
    return sorted(Path(os.environ.get(FOLDER, "catalysts")).glob(pattern)) if pattern else []


def present(sources: Sequence[str]) -> list[str]:
    """Those of the sources that are there: the shipped ones always.

    Raises:
        FileNotFoundError: None of them is.
    """
    found = [source for source in sources if not PATTERNS[source] or files(source)]
    if not found:
        raise FileNotFoundError(_advice(sources[0]))
    return found


def checksum(source: str) -> str:
    """Of the files of a source: a parameter of jobs, so that new files make the job new."""
    own = [FILES / f"{source}.npz"] if source in SHIPPED else files(source)
    return sha256(b"".join(file.read_bytes() for file in own))


def frames(source: str) -> list[Structure]:
    """Frames with energies and forces: of `OC20`, `OC22`, or before relaxation of a shipped set.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file is not as it should be.
    """
    if source in SHIPPED:
        return [system.first for system in shipped(source)]
    found = list[Structure]()
    for file in _found(source):
        if source == "OC20":
            found += read_extxyz(file, KEYS)
        else:
            found += [checked(record, "pos", "y", "force") for record in geometric_pickle.loads(file.read_bytes())]
    return found


def relaxed_energies(source: str) -> list[Structure]:
    """Structures that energies of relaxed systems are to be learnt from: IS2RE direct, or of `DFT` from relaxed ones.

    Raises:
        FileNotFoundError: There is no such file.
        ValueError: A file is not as it should be.
    """
    if source in SHIPPED:
        return [system.direct for system in shipped(source)]
    if source == "made oxides":
        return [system.direct for file in _found(source) for system in read_systems(file)]
    energies, structures = map(read_json, _found(source))
    found = list[Structure]()
    for metal, of_metal in energies.items():
        for adsorbate, sites in of_metal.items():
            for site, coverages in sites.items():
                for coverage, energy in coverages.items():
                    if isinstance(energy, float):  # a text where the atom left its site
                        atoms = structures[metal][adsorbate][site][coverage]
                        found.append(_adsorbed(atoms, metal, energy, f"{adsorbate} {metal} {site} {coverage}"))
    return found


def _adsorbed(atoms: Mapping[str, list], metal: str, energy: float, name: str) -> Structure:
    """A layer of adsorbates on a metal; the energy of each of them is given, that of all is learnt."""
    from ase.data import atomic_numbers

    symbols = atoms["symbols"]
    tags = np.array([2 if symbol != metal else 0 for symbol in symbols])
    return Structure(
        np.array([atomic_numbers[symbol] for symbol in symbols]),
        np.array(atoms["pos"], float),
        np.array(atoms["cell"], float),
        np.array([True, True, True]),
        energy=energy * int((tags == 2).sum()),
        tags=tags,
        sid=name,
        group=name,
    )


def _found(source: str) -> list[Path]:
    found = files(source)
    if not found:
        raise FileNotFoundError(_advice(source))
    return found


def _advice(source: str) -> str:
    make = "; make it by: tdn-theory data make-oxides --out catalysts/oxides" if source == "made oxides" else ""
    return f"there is no {PATTERNS[source]}; set ${FOLDER} to the folder with the files of {source}{make}"
