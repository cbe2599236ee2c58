"""Extended XYZ: nothing is guessed."""

from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.data.extxyz import read_extxyz, write_extxyz
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.structure import Structure
from tdn_theory.data.units import BOHR, HARTREE
from tdn_theory.testing import strategies as own
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

COLUMNS = "Properties=species:S:1:pos:R:3:forces:R:3:REF_forces:R:3"
FILE = f"""2
Lattice="4 0 0 0 4 0 0 0 4" {COLUMNS} energy=-1 REF_energy=-2 name=a pbc="T F T"
H 0 0 0 1 1 1 2 2 2
O 0 0 1 1 1 1 2 2 2
1
{COLUMNS} energy=-3.0 REF_energy=-4.0 name=b
H 0 0 0 1 1 1 2 2 2
"""
UNITS = {"energy_unit": "Hartree", "force_unit": "Hartree/Bohr", "length_unit": "Bohr"}
PLAIN = {"energy_unit": "eV", "force_unit": "eV/Angstrom", "length_unit": "Angstrom"}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "a.xyz"
    path.write_text(FILE)
    return path


def test_keys_and_units(file: Path):
    first, second = read_extxyz(file, energy_key="REF_energy", forces_key="REF_forces", group_key="name", **UNITS)
    assert_close(first.energy, -2 * HARTREE, 1e-12, "energy")
    assert_close(first.forces, np.full((2, 3), 2 * HARTREE / BOHR), 1e-12, "forces")
    assert_close(first.positions[1], [0, 0, BOHR], 1e-15, "positions")
    assert first.cell is not None
    assert_close(first.cell, 4 * BOHR * np.eye(3), 1e-15, "cell")
    assert (first.pbc.tolist(), first.group, second.group) == ([True, False, True], "a", "b")
    assert (second.cell, second.pbc.any()) == (None, False)


def test_names_that_ase_knows(file: Path):
    first, second = read_extxyz(file, energy_key="energy", forces_key="forces", **PLAIN)
    assert (first.energy, second.energy) == (-1.0, -3.0)
    assert_close(first.forces, np.ones((2, 3)), 0.0, "forces")
    assert (first.group, second.group) == ("HO", "H")


def test_energies_alone(file: Path):
    units = {**PLAIN, "force_unit": None}
    assert read_extxyz(file, energy_key="energy", forces_key=None, **units)[0].labels == ("energy",)


@pytest.mark.parametrize(
    ("change", "fragments"),
    [
        ({"energy_key": "Energy"}, ("frame 0", "'Energy'", "REF_energy", "name one of these")),
        ({"forces_key": "force"}, ("frame 0", "'force'", "REF_forces")),
        ({"energy_key": "name"}, ("frame 0", "could not convert")),
        ({"forces_key": "pos"}, ("'pos'", "REF_forces")),
        ({"group_key": "molecule"}, ("'molecule'", "name")),
        ({"energy_unit": "ev"}, ("'ev'", "Hartree")),
        ({"force_unit": "eV"}, ("energy/length",)),
        ({"force_unit": None}, ("give both",)),
        ({"forces_key": None}, ("give both",)),
    ],
)
def test_missing_keys_and_units_are_refused(file: Path, change, fragments):
    arguments = {"energy_key": "energy", "forces_key": "forces", **PLAIN, **change}
    with refuses(ValueError, *fragments):
        read_extxyz(file, **arguments)


def test_missing_and_empty_files_are_refused(tmp_path: Path):
    with pytest.raises(FileNotFoundError):
        read_extxyz(tmp_path / "b.xyz", energy_key="energy", forces_key="forces", **PLAIN)
    (tmp_path / "b.xyz").write_text("")
    with refuses(ValueError, "b.xyz", "no frame"):
        read_extxyz(tmp_path / "b.xyz", energy_key="energy", forces_key="forces", **PLAIN)


@settings(max_examples=25)
@given(own.structures())
def test_back_as_written(tmp_path_factory: pytest.TempPathFactory, structure: Structure):
    path = tmp_path_factory.mktemp("extxyz") / "a.xyz"
    labels = {name: getattr(structure, name) for name in ("stress", "dipole", "polarizability")}
    n = len(structure)
    known = Structure(
        *(structure.numbers, structure.positions, structure.cell, structure.pbc),
        **labels,
        energy=1 / 3,
        forces=structure.positions / 3,
        group=structure.group,
    )
    write_extxyz(path, [known, known])
    first, second = read_extxyz(path, energy_key="energy", forces_key="forces", group_key="group", **PLAIN)
    assert_close(first.positions, second.positions, 0.0, "positions")
    assert (first.group, first.energy, len(first)) == (known.group, known.energy, n)
    assert_close(first.positions, known.positions, 1e-8, "positions")
    assert_close(first.forces, known.forces, 1e-8, "forces")


def test_groups_may_be_smiles(tmp_path: Path):
    shipped = list({structure.group: structure for structure in relaxations()}.values())
    write_extxyz(tmp_path / "a.xyz", shipped)
    back = read_extxyz(tmp_path / "a.xyz", energy_key="energy", forces_key="forces", group_key="group", **PLAIN)
    assert [structure.group for structure in back] == [structure.group for structure in shipped]
