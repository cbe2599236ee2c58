"""The labels of the shipped data are what they are said to be: the level of PubChemQCR, and its derivatives."""

import numpy as np
import pytest
from ase import Atoms

from tdn_theory.data.kohn_sham import KohnSham
from tdn_theory.data.units import BOHR, HARTREE
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

pytest.importorskip("pyscf", reason="needs the extra make-data")

HYDROGEN_FLUORIDE = Atoms("FH", [[0.0, 0, 0], [0.3, 0.4, 0.8]])


def test_the_level_is_that_of_pubchemqcr():
    bond, half_angle = 0.9685, np.radians(103.64 / 2)  # of this level, where the energy hardly depends on them
    hydrogens = [[sign * bond * np.sin(half_angle), bond * np.cos(half_angle), 0] for sign in (1, -1)]
    water = Atoms("OHH", [[0.0, 0, 0], *hydrogens])
    water.calc = KohnSham()
    # Gaussian's B3LYP/6-31G(d); other parametrisations of the correlation, or five d functions, differ by more
    assert_close(water.get_potential_energy() / HARTREE, -76.40895, 1e-4, "energy of water, Hartree")
    assert np.abs(water.get_forces()).max() < 0.02


def test_forces_are_minus_the_gradient():
    atoms, h = HYDROGEN_FLUORIDE.copy(), 2e-3
    atoms.calc = KohnSham(grid_level=0)  # so coarse that the response of the grid shows
    forces = atoms.get_forces()
    assert_close(forces.sum(0), np.zeros(3), 1e-6, "net force")
    energies = []
    for sign in (1, -1):
        atoms.positions[1, 2] = HYDROGEN_FLUORIDE.positions[1, 2] + sign * h
        energies.append(atoms.get_potential_energy())
    assert_close(forces[1, 2], (energies[1] - energies[0]) / (2 * h), 2e-3, "force")  # h^2 times third derivatives


def test_dipole_and_polarizability():
    atoms = HYDROGEN_FLUORIDE.copy()
    atoms.calc = KohnSham(grid_level=1)
    axis = atoms.positions[1] / np.linalg.norm(atoms.positions[1])
    dipole, tensor = atoms.get_dipole_moment(), atoms.calc.polarizability(atoms)
    assert dipole @ axis > 0.2  # from F to H, about 1.8 Debye = 0.37 e Angstrom
    assert_close(np.cross(dipole, axis), np.zeros(3), 1e-4, "dipole off the axis")
    assert_close(tensor, tensor.T, 0.0, "polarizability")
    along, across = axis @ tensor @ axis, (np.trace(tensor) - axis @ tensor @ axis) / 2
    symmetric = across * np.eye(3) + (along - across) * np.outer(axis, axis)
    assert_close(tensor, symmetric, 2e-3, "polarizability of a linear molecule")
    assert 0 < across < along < 1


def test_polarizability_is_the_derivative_of_the_dipole():
    calculator, strength = KohnSham(grid_level=0), 1e-3
    tensor = calculator.polarizability(HYDROGEN_FLUORIDE)

    def dipole(field):
        """Of a self-consistent field in a homogeneous electric field: electrons, of charge -1, feel +r.F."""
        solved = calculator._solve(HYDROGEN_FLUORIDE)
        core = solved.get_hcore() + np.einsum("x,xij->ij", field, solved.mol.intor("int1e_r"))
        solved.get_hcore = lambda *_: core
        solved.conv_tol = 1e-12
        solved.kernel()
        return solved.dip_moment(unit="AU", verbose=0)

    rows = [(dipole(strength * axis) - dipole(-strength * axis)) / (2 * strength) for axis in np.eye(3)]
    # strength^2 times the third derivatives (some 10^2 atomic units) leaves 1e-4
    assert_close(tensor / BOHR**3, np.array(rows), 1e-3, "polarizability, atomic units")


def test_open_shells_are_refused():
    atoms = Atoms("H", [[0.0, 0, 0]])
    atoms.calc = KohnSham()
    with refuses(ValueError, "H has an odd number", "closed-shell"):
        atoms.get_potential_energy()
