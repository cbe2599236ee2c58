"""Structures: what they refuse, and the way to ASE and back."""

import numpy as np
import pytest
from ase.build import bulk
from ase.calculators.lj import LennardJones
from hypothesis import given, settings

from tdn_theory.data.structure import LABELS, Structure
from tdn_theory.testing import strategies as own
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.reference import assert_same_catalyst, catalyst

TWO = {"numbers": np.array([1, 8]), "positions": np.zeros((2, 3))}


@pytest.mark.parametrize(
    ("arguments", "fragments"),
    [
        ({"numbers": np.array([])}, ("numbers", "n >= 1")),
        ({"numbers": np.array([1.0, 8.0])}, ("numbers", "integers")),
        ({"numbers": np.array([0, 8])}, ("0 to 8", "1 to 118")),
        ({"positions": np.zeros((3, 3))}, ("positions", "(3, 3)", "(2, 3)")),
        ({"positions": np.full((2, 3), np.nan)}, ("positions", "finite")),
        ({"energy": np.inf}, ("energy", "finite", "leave out")),
        ({"energy": np.zeros(2)}, ("energy", "(2,)")),
        ({"forces": np.zeros((2, 2))}, ("forces", "(2, 2)", "(2, 3)")),
        ({"forces": np.zeros((2, 3), complex)}, ("forces", "real")),
        ({"dipole": np.zeros(2)}, ("dipole", "(3,)")),
        ({"fixed": np.array([True])}, ("fixed", "2 truth values")),
        ({"fixed": np.array([0, 1])}, ("fixed", "int64", "truth values")),
        ({"tags": np.array([0.0, 1.0])}, ("tags", "float64", "integers")),
        ({"tags": np.array([[0, 1]])}, ("tags", "(1, 2)")),
        ({"reference_energy": np.nan}, ("reference_energy", "finite")),
        ({"pbc": True}, ("pbc", "three")),
        ({"pbc": np.array([1, 0, 0])}, ("pbc", "truth values")),
        ({"pbc": np.array([True, False, False])}, ("pbc", "(3, 3)")),
        ({"pbc": np.array([True] * 3), "cell": np.ones((3, 3))}, ("not independent", "Angstrom")),
    ],
)
def test_what_is_no_structure_is_refused(arguments, fragments):
    with refuses(ValueError, *fragments):
        Structure(**TWO | arguments)


def test_arrays_are_copied_and_cannot_be_changed():
    positions = np.zeros((2, 3))
    structure = Structure(np.array([1, 8]), positions, forces=positions)
    positions[:] = 1.0
    assert not structure.positions.any()
    with pytest.raises(ValueError, match="read-only"):
        structure.forces[0, 0] = 1.0  # pyright: ignore


@settings(max_examples=40)
@given(own.structures())
def test_ase_and_back(structure: Structure):
    atoms = structure.to_ase()
    back = Structure.from_ase(atoms, structure.group)
    assert back.labels == tuple(name for name in structure.labels if name != "polarizability")
    assert np.array_equal(back.pbc, structure.pbc)
    for name in ("numbers", "positions", *back.labels):
        assert_close(getattr(back, name), getattr(structure, name), 0.0, f"{name} of from_ase(to_ase(s))")


def test_ase_keeps_what_catalysts_have():
    wanted = catalyst()
    back = Structure.from_ase(wanted.to_ase())
    assert_same_catalyst(back, wanted)
    assert_close(back.forces, wanted.forces, 0.0, "forces, also those on fixed atoms")
    assert not Structure(**TWO).fixed.any()
    assert Structure.from_ase(Structure(**TWO).to_ase()).tags is None


def test_labels_of_another_arrangement_are_not_taken():
    atoms = bulk("Cu", cubic=True)
    atoms.calc = LennardJones(rc=3.0)
    energy = atoms.get_potential_energy()
    assert Structure.from_ase(atoms).energy == energy
    atoms.positions[0, 0] += 0.1
    assert Structure.from_ase(atoms).labels == ()


def test_stress_has_the_sign_of_ase():
    atoms = bulk("Cu", cubic=True) * (2, 2, 2)
    atoms.calc = LennardJones(sigma=2.3, rc=5.0)
    pulled = atoms.copy()
    pulled.set_cell(atoms.cell[:] * 1.01, scale_atoms=True)
    pulled.calc = LennardJones(sigma=2.3, rc=5.0)
    atoms.get_stress()
    structure = Structure.from_ase(atoms)
    # trace of the stress is dE/dV = (dE/ds) / (dV/ds) at scale s = 1, times three
    slope = (pulled.get_potential_energy() - atoms.get_potential_energy()) / (pulled.get_volume() - atoms.get_volume())
    assert structure.stress is not None
    assert np.sign(np.trace(structure.stress)) == np.sign(slope)


def test_it_prints_what_it_is():
    assert repr(Structure(**TWO, energy=1.0, group="g")) == "Structure(HO, energy, group='g')"
    assert Structure(**TWO, energy=1.0, dipole=np.zeros(3)).labels == ("energy", "dipole")
    assert set(LABELS) == {"energy", "forces", "stress", "dipole", "polarizability"}
