"""Charged and open-shell structures are refused by every reader, unless that is ignored."""

from __future__ import annotations

from pathlib import Path

import pytest
from ase import Atoms
from ase.build import molecule
from ase.calculators.singlepoint import SinglePointCalculator
from ase.io import write

from tdn_theory.data.ase_files import read_ase
from tdn_theory.data.electrons import check_electrons
from tdn_theory.data.extxyz import Keys, read_extxyz
from tests.assertions import refuses

UNITS = ("energy", "eV", "Angstrom")


def hydroxide(**info: object) -> Atoms:
    atoms = molecule("OH", info=info)
    atoms.calc = SinglePointCalculator(atoms, energy=-2000.0)
    return atoms


@pytest.mark.parametrize("info", [{}, {"charge": 0}, {"charge": 0.0, "spin": 0}, {"multiplicity": 1}, {"spin": 1}])
def test_neutral_molecules_without_unpaired_electrons_are_read(tmp_path: Path, info: dict[str, object]):
    write(tmp_path / "a.xyz", hydroxide(**info))
    assert read_extxyz(tmp_path / "a.xyz", Keys(*UNITS))[0].energy == -2000.0


@pytest.mark.parametrize(
    ("key", "value", "quantity"),
    [
        ("charge", -1, "charge"),
        ("Total_Charge", 1.0, "charge"),
        ("spin", 2, "spin"),
        ("total_spin", 0.5, "spin"),
        ("multiplicity", 3, "spin"),
        ("spin_multiplicity", 2, "spin"),
    ],
)
def test_others_are_refused(tmp_path: Path, key: str, value: float, quantity: str):
    write(tmp_path / "a.xyz", [hydroxide(), hydroxide(**{key: value})])
    with refuses(ValueError, "a.xyz, frame 1 (line 5)", f"{key} is {value}", f"ignore = ['{quantity}']", "--ignore"):
        read_extxyz(tmp_path / "a.xyz", Keys(*UNITS))
    assert len(read_extxyz(tmp_path / "a.xyz", Keys(*UNITS, ignore=(quantity,)))) == 2
    other = {"charge": "spin", "spin": "charge"}[quantity]
    with refuses(ValueError, f"{key} is {value}"):
        read_extxyz(tmp_path / "a.xyz", Keys(*UNITS, ignore=(other,)))


@pytest.mark.parametrize("name", ["a.traj", "a.db"])
def test_initial_charges_add_up_to_the_total(tmp_path: Path, name: str):
    atoms = hydroxide()
    atoms.set_initial_charges([-1.2, 0.1997])
    write(tmp_path / name, atoms)
    with refuses(ValueError, name, "frame 0", "initial charges is -1"):
        read_ase(tmp_path / name)
    assert len(read_ase(tmp_path / name, ["charge"])) == 1
    atoms.set_initial_charges([-0.2, 0.1997])
    check_electrons(atoms, [])


def test_a_database_says_it_in_its_columns(tmp_path: Path):
    from ase.db import connect

    with connect(tmp_path / "a.db") as database:
        database.write(hydroxide(), multiplicity=2)
    with refuses(ValueError, "a.db", "multiplicity is 2", "elements and positions"):
        read_ase(tmp_path / "a.db")


def test_only_charge_and_spin_can_be_ignored():
    with refuses(ValueError, "'magmom'", "'charge', 'spin'"):
        Keys(*UNITS, ignore=("magmom",))
