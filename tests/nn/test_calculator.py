"""The ASE calculator: what it predicts, derivatives, energy conservation, relaxations, what it refuses."""

from __future__ import annotations

import ase.io
import numpy as np
import pytest
import torch
from ase import Atoms, units
from ase.build import bulk, molecule
from ase.calculators.calculator import PropertyNotImplementedError
from ase.constraints import FixAtoms
from ase.md.verlet import VelocityVerlet

from tdn_theory.data.extxyz import Keys, read_extxyz, write_frames
from tdn_theory.data.graph import build_graph
from tdn_theory.data.structure import Structure
from tdn_theory.nn.calculator import TDNCalculator, relax
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

SETTINGS = {"lmax": 1, "channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 4.0}


def potential(**changes) -> Potential:
    return Potential(PotentialConfig(**{"elements": (1, 6, 8), **SETTINGS, **changes})).double()


def ethanol(**changes) -> Atoms:
    atoms = molecule("CH3CH2OH")
    atoms.rattle(0.05, seed=1)
    atoms.calc = TDNCalculator(potential(**changes))
    return atoms


def test_it_predicts_what_the_potential_does():
    atoms = ethanol(outputs=("dipole",))
    output = atoms.calc.potential(build_graph(Structure.from_ase(molecule("CH3CH2OH")), 4.0, torch.float64))
    atoms.positions = molecule("CH3CH2OH").positions
    assert_close(atoms.get_potential_energy(), output["energy"].detach()[0], 1e-10, "energy")
    assert_close(atoms.get_forces(), output["forces"].detach(), 1e-10, "forces")
    assert_close(atoms.get_dipole_moment(), output["dipole"].detach()[0], 1e-10, "dipole")
    assert atoms.get_potential_energy(force_consistent=True) == atoms.get_potential_energy()


def test_forces_are_derivatives():
    atoms = ethanol()
    forces, step = atoms.get_forces(), 1e-4
    for atom, axis in ((0, 0), (3, 2), (8, 1)):
        energies = []
        for sign in (1, -1):
            moved = atoms.copy()
            moved.positions[atom, axis] += sign * step
            moved.calc = atoms.calc
            energies.append(moved.get_potential_energy())
        assert_close(forces[atom, axis], (energies[1] - energies[0]) / (2 * step), 1e-6, "force by differences")


def test_stress_is_the_derivative_with_strain():
    atoms = bulk("C", "diamond", 3.6, cubic=True)
    atoms.rattle(0.05, seed=2)
    atoms.calc = TDNCalculator(potential(elements=(6,)))
    stress, step = atoms.get_stress(voigt=False), 1e-5
    for i, j in ((0, 0), (1, 2)):
        energies = []
        for sign in (1, -1):
            strain = np.eye(3)
            strain[i, j] += sign * step / 2
            strain[j, i] += sign * step / 2
            strained = atoms.copy()
            strained.set_cell(atoms.cell.array @ strain, scale_atoms=True)
            strained.calc = atoms.calc
            energies.append(strained.get_potential_energy())
        wanted = (energies[0] - energies[1]) / (2 * step) / atoms.get_volume()
        assert_close(stress[i, j], wanted, 1e-7, "stress by differences")


@pytest.mark.parametrize(
    ("changes", "pbc", "present"),
    [
        ({}, True, {"energy", "free_energy", "energies", "forces", "stress"}),
        ({}, False, {"energy", "free_energy", "energies", "forces"}),
        ({"forces": "direct"}, True, {"energy", "free_energy", "energies", "forces"}),
        ({"forces": "none"}, True, {"energy", "free_energy", "energies"}),
        ({"outputs": ("dipole",)}, False, {"energy", "free_energy", "energies", "forces", "dipole"}),
        ({"outputs": ("dipole",)}, True, {"energy", "free_energy", "energies", "forces", "stress"}),
    ],
)
def test_it_has_what_it_can_have(changes, pbc, present):
    atoms = molecule("H2O", cell=[8.0, 8.0, 8.0], pbc=pbc)
    atoms.calc = TDNCalculator(potential(**changes))
    atoms.get_potential_energy()
    assert set(atoms.calc.results) == present
    assert_close(atoms.get_potential_energies().sum(), atoms.get_potential_energy(), 1e-9, "energies of atoms")
    assert all(np.isfinite(value).all() for value in atoms.calc.results.values())
    if "stress" not in present:
        with pytest.raises(PropertyNotImplementedError):
            atoms.get_stress()


def test_energy_is_conserved():
    atoms = ethanol()
    atoms.calc.potential.set_reference([0.0, 0.0, 0.0], 0.3)
    relax(atoms, 0.05, 100)
    velocities = np.random.default_rng(0).standard_normal((len(atoms), 3))
    atoms.set_momenta(velocities * np.sqrt(100 * units.kB * atoms.get_masses())[:, None])
    start, spread = atoms.get_total_energy(), []
    kinetic = atoms.get_kinetic_energy()
    dynamics = VelocityVerlet(atoms, 0.25 * units.fs)
    for _ in range(30):
        dynamics.run(1)
        spread.append(atoms.get_total_energy() - start)
    assert np.abs(spread).max() < 0.02 * kinetic


def test_relaxation(tmp_path):
    atoms = ethanol()
    atoms.calc.potential.set_reference([0.0, 0.0, 0.0], 0.3)
    frames, converged = relax(atoms, 0.005, 200)
    assert converged
    assert frames[-1].get_potential_energy() < frames[0].get_potential_energy()
    assert np.linalg.norm(frames[-1].get_forces(), axis=1).max() <= 0.005
    assert_close(frames[-1].positions, atoms.positions, 0, "last frame")
    write_frames(tmp_path / "a.extxyz", frames)
    again = ase.io.read(tmp_path / "a.extxyz", ":")
    assert len(again) == len(frames)
    assert_close(again[-1].get_potential_energy(), frames[-1].get_potential_energy(), 1e-6, "energy in the file")
    atoms.rattle(0.2, seed=3)
    assert not relax(atoms, 1e-6, 2)[1]


def test_fixed_atoms_stay_where_they_are(tmp_path):
    atoms = ethanol()
    atoms.set_constraint(FixAtoms([0, 2]))
    before = atoms.positions.copy()
    frames, converged = relax(atoms, 1e-12, 2)
    moved = np.abs(atoms.positions - before).max(1)
    assert (moved[[0, 2]] == 0).all()
    assert (np.delete(moved, [0, 2]) > 0).all()
    assert not converged
    assert np.abs(frames[-1].get_forces(apply_constraint=False)[[0, 2]]).max() > 0
    write_frames(tmp_path / "a.xyz", frames)
    keys = Keys("energy", "eV", "Angstrom", "forces", "eV/Angstrom")
    for structure in read_extxyz(tmp_path / "a.xyz", keys):
        assert np.flatnonzero(structure.fixed).tolist() == [0, 2]
        assert np.abs(structure.forces[structure.fixed]).max() > 0


def test_saved_and_loaded(tmp_path):
    atoms = ethanol()
    atoms.calc.potential.float().save(tmp_path / "model.safetensors")
    single = TDNCalculator.load(tmp_path / "model.safetensors")
    double = TDNCalculator.load(tmp_path / "model.safetensors", dtype=torch.float64)
    assert next(single.potential.parameters()).dtype == torch.float32
    assert next(double.potential.parameters()).dtype == torch.float64
    energies = [calculator.get_potential_energy(atoms) for calculator in (single, double)]
    assert_close(energies[0], energies[1], 1e-4, "energy in float32")


def test_unknown_elements_are_refused():
    atoms = molecule("CH3Cl")
    atoms.calc = TDNCalculator(potential())
    with refuses(ValueError, "does not know Cl", "H, C, O"):
        atoms.get_potential_energy()
