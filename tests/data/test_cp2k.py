"""Trajectories of CP2K: written here as it writes them, read in eV and Angstrom, refused with file, frame and line."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from ase import units
from ase.build import bulk

from tdn_theory.data.cp2k import read_cp2k
from tdn_theory.data.extxyz import Keys
from tdn_theory.data.formats import read_structures
from tests.assertions import refuses

HEADER = (
    "#   Step   Time [fs]       Ax [Angstrom]       Ay [Angstrom]       Az [Angstrom]       Bx [Angstrom]       "
    "By [Angstrom]       Bz [Angstrom]       Cx [Angstrom]       Cy [Angstrom]       Cz [Angstrom]      "
    "Volume [Angstrom^3]"
)


@pytest.fixture
def run(tmp_path: Path):
    """Files of a trajectory of three frames, and the atoms with energies (Hartree) and forces (Hartree/Bohr)."""
    rng = np.random.default_rng(0)
    frames, texts = [], {"-pos-1.xyz": [], "-frc-1.xyz": [], "-1.cell": [HEADER]}
    for number in range(3):
        atoms = bulk("NaCl", "rocksalt", a=5.64 + 0.1 * number)
        atoms.rattle(0.1, seed=number)
        energy, forces = -61.5 - 0.01 * number, 0.02 * rng.standard_normal((2, 3))
        head = f" i = {5 * number:8d}, time = {2.5 * number:12.3f}, E = {energy:19.10f}"
        for end, vectors in (("-pos-1.xyz", atoms.positions), ("-frc-1.xyz", forces)):
            rows = [
                f" {symbol:2s}" + "".join(f"{v:20.10f}" for v in vector)
                for symbol, vector in zip(atoms.symbols, vectors, strict=True)
            ]
            texts[end] += [f"{len(atoms):8d}", head, *rows]
        cell = "".join(f"{v:20.10f}" for v in atoms.cell.array.ravel())
        texts["-1.cell"].append(f"{5 * number:8d}{2.5 * number:12.3f}{cell}{atoms.get_volume():25.10f}")
        frames.append((atoms, energy, forces))
    for end, lines in texts.items():
        (tmp_path / f"salt{end}").write_text("\n".join(lines) + "\n")
    return tmp_path, frames


def test_a_trajectory_in_the_units_of_this_package(run):
    folder, frames = run
    found = read_cp2k(folder / "salt-pos-1.xyz")
    for structure, (atoms, energy, forces) in zip(found, frames, strict=True):
        assert structure.numbers.tolist() == atoms.numbers.tolist()
        np.testing.assert_allclose(structure.positions, atoms.positions, atol=1e-9)
        np.testing.assert_allclose(structure.cell, atoms.cell.array, atol=1e-9)
        assert structure.pbc.tolist() == [True, True, True]
        assert structure.energy == pytest.approx(energy * units.Hartree, rel=1e-6)
        np.testing.assert_allclose(structure.forces, forces * units.Hartree / units.Bohr, rtol=1e-6, atol=1e-7)
        assert structure.group == "salt"
    again = read_structures(folder / "salt-pos-1.xyz", Keys("energy", "eV", "Angstrom"))
    assert [structure.energy for structure in again] == [structure.energy for structure in found]


def test_without_forces(run):
    folder, _ = run
    (folder / "salt-frc-1.xyz").unlink()
    assert [structure.forces for structure in read_cp2k(folder / "salt-pos-1.xyz")] == [None] * 3


def change(folder: Path, end: str, old: str, new: str) -> None:
    file = folder / f"salt{end}"
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new, 1))


@pytest.mark.parametrize(
    ("end", "old", "new", "said"),
    [
        ("-pos-1.xyz", "       2\n", "       x\n", ["salt-pos-1.xyz, frame 0, line 1", "number of atoms"]),
        ("-pos-1.xyz", " Cl", " Q", ["salt-pos-1.xyz, frame 0, line 4", "an element and three numbers"]),
        ("-pos-1.xyz", "i =        5", "step        5", ["salt-pos-1.xyz, frame 1, line 6", "must be like"]),
        ("-frc-1.xyz", "i =        5", "i =        6", ["salt-frc-1.xyz, frame 1", "copy both again"]),
        ("-1.cell", "\n       5 ", "\n       6 ", ["salt-pos-1.xyz, frame 1 is of step 5", "salt-1.cell"]),
        ("-1.cell", "Volume", "Volume\n 1 2 3", ["salt-1.cell, line 2", "nine components"]),
    ],
)
def test_what_is_wrong_is_named(run, end: str, old: str, new: str, said: list[str]):
    folder, _ = run
    change(folder, end, old, new)
    with refuses(ValueError, *said):
        read_cp2k(folder / "salt-pos-1.xyz")


def test_files_that_are_cut_or_missing(run):
    folder, _ = run
    file = folder / "salt-pos-1.xyz"
    whole = file.read_text()
    file.write_text(whole[: whole.rindex("\n", 0, -1)])
    with refuses(ValueError, "frame 2, line 9", "ends after 1"):
        read_cp2k(file)
    file.write_text("\n".join(whole.splitlines()[:8]))
    with refuses(ValueError, "2 frames", "3; copy both again"):
        read_cp2k(file)
    (folder / "salt-1.cell").unlink()
    with refuses(FileNotFoundError, "salt-1.cell", "MOTION / PRINT / CELL"):
        read_cp2k(file)
    with refuses(ValueError, "must end in -pos-1.xyz"):
        read_cp2k(folder / "salt-frc-1.xyz")
