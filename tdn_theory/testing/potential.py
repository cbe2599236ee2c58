"""The contract of an interatomic potential, as a test class to inherit from.

A subclass gives the potential as the fixture `model`, any function of a `Graph` in float64 that returns a dictionary as
`Potential` does, and says by flags what it is:

    class TestMine(PotentialContract):
        cutoff, elements, conservative = 4.0, (1, 8), False

        @pytest.fixture
        def model(self):
            return my_potential

What has an ASE calculator and no graph is audited instead: `tdn-theory audit`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch

from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.structure import Structure
from tdn_theory.so3 import rotation
from tdn_theory.testing.assertions import assert_close

Model = Callable[[Graph], dict[str, torch.Tensor]]

RANK = {"energy": 0, "forces": 1, "stress": 2, "dipole": 1, "polarizability": 2}
"""Number of vector indices of each property."""


NEEDS = {
    "conservative": (
        "test_forces_are_minus_the_gradient",
        "test_stress_is_the_strain_derivative",
        "test_forces_add_up_to_nothing",
        "test_dynamics_conserve_energy",
    ),
    "parity": ("test_inversion",),
    "periodic": ("test_periodic_images", "test_stress_is_the_strain_derivative", "test_dynamics_conserve_energy"),
    "smooth": ("test_the_cutoff_is_smooth",),
}
"""Tests that are made only of potentials with a flag."""


class PotentialContract:
    """What a potential must do.

    Attributes:
        conservative: Whether `forces = -dE/dr` and `stress = (1/V) dE/dstrain`.
        parity: Whether mirrored structures have mirrored properties: the group is O(3), else SO(3).
        periodic: Whether it takes crystals.
        smooth: Whether energies begin smoothly at the cutoff.
        cutoff: Cutoff radius of the graphs, Angstrom.
        elements: Atomic numbers to make structures of.
        roundoff: Relative error allowed where results are equal but for the order of operations.
        equivariance: Least and largest relative error under rotations: exact potentials have (0, roundoff), approximate
            ones must err, or they are not what they claim to be.
        smoothness: Order k at which energies begin at the cutoff, O(h^k) at a distance h within; forces, O(h^(k-1)).
    """

    conservative: bool = True
    parity: bool = False
    periodic: bool = True
    smooth: bool = True
    cutoff: float = 4.0
    elements: tuple[int, ...] = (1, 6, 8)
    roundoff: float = 1e-12
    equivariance: tuple[float, float] = (0.0, 1e-12)
    smoothness: int = 4

    def __init_subclass__(cls) -> None:
        """Leave out the tests of what the flags say it is not."""
        super().__init_subclass__()
        for flag, names in NEEDS.items():
            if not getattr(cls, flag):
                for name in names:
                    setattr(cls, name, None)  # pytest collects functions only

    # --- helpers

    def molecule(self, seed: int = 0, count: int = 6) -> Structure:
        """Atoms at random, no two closer than 0.9 Angstrom, each within reach of some others."""
        rng = np.random.default_rng(seed)
        places: list[np.ndarray] = []
        while len(places) < count:
            place = rng.uniform(-1, 1, 3) * 0.5 * self.cutoff
            if all(np.linalg.norm(place - other) > 0.9 for other in places):
                places.append(place)
        return Structure(rng.choice(self.elements, count), np.array(places))

    def crystal(self, seed: int = 0) -> Structure:
        """Three atoms in a skewed cell, smaller than the cutoff."""
        rng = np.random.default_rng(seed)
        cell = 0.8 * self.cutoff * (np.eye(3) + rng.uniform(-0.15, 0.15, (3, 3)))
        places = np.array([[0.0, 0.0, 0.0], [0.5, 0.45, 0.1], [0.1, 0.5, 0.55]]) @ cell
        return Structure(rng.choice(self.elements, 3), places, cell, np.ones(3, bool))

    def structures(self) -> list[Structure]:
        """A molecule and, if crystals are taken, a crystal."""
        return [self.molecule(), *([self.crystal()] if self.periodic else [])]

    def graph(self, structure: Structure) -> Graph:
        """Its graph in float64."""
        return build_graph(structure, self.cutoff, torch.float64)

    def properties(self, model: Model, structure: Structure) -> dict[str, np.ndarray]:
        """All properties of one structure that are defined for it."""
        return defined(model(self.graph(structure)))

    def agree(self, got: dict[str, Any], wanted: dict[str, Any], where: str, rtol: float | None = None):
        """Equal keys and, relative to the largest entry and to 1 eV (1 eV/Angstrom ...), equal values."""
        if got.keys() != wanted.keys():
            raise AssertionError(f"got {sorted(got)}, but should be {sorted(wanted)} [{where}]")
        for name in wanted:
            atol = (rtol or self.roundoff) * max(1.0, float(np.abs(wanted[name]).max()))
            assert_close(got[name], wanted[name], atol, f"{name}, {where}")

    # --- the contract

    def test_something_is_computed(self, model: Model):
        """Energy and forces depend on where the atoms are; otherwise the rest means nothing."""
        one, other = (self.properties(model, self.molecule(seed)) for seed in (0, 1))
        assert abs(one["energy"] - other["energy"]) > 1e-4
        if "forces" in one:
            assert np.linalg.norm(one["forces"]) > 1e-3

    def test_permutation(self, model: Model):
        """The order of the atoms does not matter."""
        molecule = self.molecule()
        order = np.random.default_rng(0).permutation(len(molecule))
        shuffled = Structure(molecule.numbers[order], molecule.positions[order])
        wanted = self.properties(model, molecule)
        if "forces" in wanted:
            wanted["forces"] = wanted["forces"][order]
        self.agree(self.properties(model, shuffled), wanted, "atoms in another order")

    def test_translation(self, model: Model):
        """Nor where the structure is."""
        for structure in self.structures():
            places = structure.positions + np.array([3.0, -2.0, 5.0])
            moved = Structure(structure.numbers, places, structure.cell, structure.pbc)
            self.agree(self.properties(model, moved), self.properties(model, structure), f"{structure} moved")

    @pytest.mark.parametrize("periodic", [False, True])
    def test_rotation(self, model: Model, periodic: bool):
        """Nor how it is turned: properties turn with it, cells included."""
        if periodic and not self.periodic:
            return
        structure = self.crystal() if periodic else self.molecule()
        worst = 0.0
        before = self.properties(model, structure)
        for R in rotation.haar_rotations(3, np.random.default_rng(0)):
            cell = None if structure.cell is None else structure.cell @ R.T
            turned = Structure(structure.numbers, structure.positions @ R.T, cell, structure.pbc)
            after = self.properties(model, turned)
            for name, value in before.items():
                wanted = rotated(value, R, RANK[name])
                error = np.abs(after[name] - wanted).max() / max(1.0, float(np.abs(wanted).max()))
                worst = max(worst, float(error))
        least, most = self.equivariance
        assert least <= worst <= most, f"error {worst:.1e} under rotations, but should be in [{least:.1e}, {most:.1e}]"

    def test_inversion(self, model: Model):
        """Of a mirrored structure everything is mirrored."""
        molecule = self.molecule()
        wanted = {k: rotated(v, -np.eye(3), RANK[k]) for k, v in self.properties(model, molecule).items()}
        self.agree(self.properties(model, Structure(molecule.numbers, -molecule.positions)), wanted, "inverted")

    def test_batching(self, model: Model):
        """A batch is its graphs one by one, atoms without neighbours and crystals among them."""
        lone = Structure(np.array([self.elements[0]]), np.zeros((1, 3)))
        structures = [lone, *self.structures(), self.molecule(1, 3)]
        together = as_numpy(model(collate([self.graph(structure) for structure in structures])))
        apart = [as_numpy(model(self.graph(structure))) for structure in structures]
        for name, values in together.items():
            wanted = np.concatenate([one[name] for one in apart])
            assert np.array_equal(np.isnan(values), np.isnan(wanted)), f"where {name} is undefined"
            atol = self.roundoff * max(1.0, float(np.nanmax(np.abs(wanted))))
            assert_close(np.nan_to_num(values), np.nan_to_num(wanted), atol, f"{name} in a batch")

    def test_atoms_beyond_the_cutoff_do_not_interact(self, model: Model):
        """Two atoms beyond the cutoff are two isolated atoms."""
        numbers, gap = np.array([self.elements[0], self.elements[-1]]), 1.001 * self.cutoff
        pair = self.properties(model, Structure(numbers, np.array([[0.0, 0.0, 0.0], [gap, 0.0, 0.0]])))
        lone = [self.properties(model, Structure(np.array([number]), np.zeros((1, 3)))) for number in numbers]
        assert_close(pair["energy"], lone[0]["energy"] + lone[1]["energy"], 1e-12, "energy of two isolated atoms")
        assert all(np.isfinite(value).all() for value in pair.values())
        if "forces" in pair:
            assert_close(pair["forces"], np.zeros((2, 3)), 1e-12, "forces on isolated atoms")

    def test_the_cutoff_is_smooth(self, model: Model):
        """A neighbour that comes within h of the cutoff changes energies by O(h^k) and forces by O(h^(k-1)).

        At `smoothness` k = 4, energies are three and forces two times continuously differentiable. Only one edge is
        new: the stranger stays beyond the cutoff of all atoms but one.
        """
        numbers = np.array([self.elements[k % len(self.elements)] for k in range(4)])
        places = np.array([[0.0, 0.0, 0.0], [-1.1, 0.3, 0.2], [-0.4, -1.2, 0.4], [0.0, 0.0, 0.0]])
        direction = np.array([0.9, 0.3, -0.3]) / np.linalg.norm([0.9, 0.3, -0.3])

        def at(distance: float) -> dict[str, np.ndarray]:
            places[3] = distance * direction
            return self.properties(model, Structure(numbers, places))

        steps = self.cutoff * np.array([0.004, 0.0005])  # below the first, the next order is small
        outside = at(1.001 * self.cutoff)
        for name, order in (("energy", self.smoothness), ("forces", self.smoothness - 1)):
            if name in outside:
                first, second = (float(np.abs(at(self.cutoff - step)[name] - outside[name]).max()) for step in steps)
                assert second > 0, f"{name} does not feel a neighbour just inside the cutoff"
                found = np.log(first / second) / np.log(8)
                assert found > order - 0.5, f"{name} changes by O(h^{found:.2f}), but should by O(h^{order})"

    def test_periodic_images(self, model: Model):
        """Any image of an atom will do, and two cells are twice one."""
        crystal = self.crystal()
        assert crystal.cell is not None
        wanted = self.properties(model, crystal)
        images = crystal.positions + np.array([[1, 0, -2], [0, 0, 0], [0, 3, 1]]) @ crystal.cell
        same = Structure(crystal.numbers, images, crystal.cell, crystal.pbc)
        self.agree(self.properties(model, same), wanted, "other images", 10 * self.roundoff)
        double = Structure(
            np.tile(crystal.numbers, 2),
            np.concatenate([crystal.positions, crystal.positions + crystal.cell[1]]),
            crystal.cell * np.array([[1.0], [2.0], [1.0]]),
            crystal.pbc,
        )
        twice = {
            "energy": lambda value: 2 * value,
            "forces": lambda value: np.tile(value, (2, 1)),
            "stress": lambda value: value,
            "polarizability": lambda value: 2 * value,
        }
        wanted = {name: twice[name](value) for name, value in wanted.items()}
        self.agree(self.properties(model, double), wanted, "two cells", 10 * self.roundoff)

    def test_forces_are_minus_the_gradient(self, model: Model):
        """Along random directions of all atoms; crystals too."""
        rng, step = np.random.default_rng(0), 1e-5
        for structure in self.structures():
            forces = self.properties(model, structure)["forces"]
            for direction in rng.standard_normal((3, len(structure), 3)):
                energies = []
                for places in (structure.positions + step * direction, structure.positions - step * direction):
                    moved = Structure(structure.numbers, places, structure.cell, structure.pbc)
                    energies.append(float(self.properties(model, moved)["energy"]))
                slope = -(energies[0] - energies[1]) / (2 * step)
                # the step's square times the third derivative, and roundoff of energies over the step
                assert_close(np.vdot(forces, direction), slope, 1e-6 * max(1.0, abs(slope)), f"forces of {structure}")

    def test_stress_is_the_strain_derivative(self, model: Model):
        """For each of the six strains."""
        crystal = self.crystal()
        assert crystal.cell is not None
        step, volume = 1e-5, abs(np.linalg.det(crystal.cell))
        stress = self.properties(model, crystal)["stress"]
        assert_close(stress, stress.T, 1e-13 * max(1.0, float(np.abs(stress).max())), "stress, transposed")
        for a, b in zip(*np.triu_indices(3), strict=True):
            energies = []
            for sign in (1, -1):
                strain = np.eye(3)
                strain[a, b] += sign * step / 2
                strain[b, a] += sign * step / 2
                strained = Structure(crystal.numbers, crystal.positions @ strain, crystal.cell @ strain, crystal.pbc)
                energies.append(float(self.properties(model, strained)["energy"]))
            wanted = (energies[0] - energies[1]) / (2 * step) / volume
            assert_close(stress[a, b], wanted, 1e-6 * max(1.0, abs(wanted)), f"stress[{a}, {b}]")

    def test_forces_add_up_to_nothing(self, model: Model):
        """As a gradient of what does not change when everything moves."""
        for structure in self.structures():
            forces = self.properties(model, structure)["forces"]
            assert_close(forces.sum(0), np.zeros(3), 1e-11 * max(1.0, float(np.abs(forces).max())), "sum of forces")

    def test_dynamics_conserve_energy(self, model: Model):
        """Velocity Verlet keeps the energy up to the square of its time step."""
        coarse, fine = (max(self.energy_errors(model, 8, step)) for step in (1.0, 0.5))
        assert coarse > 0
        assert fine < 0.35 * coarse + 1e-10, f"errors {coarse:.1e}, {fine:.1e} eV: half the step should quarter them"

    def energy_errors(self, model: Model, time: float, step: float) -> list[float]:
        """Changes of the total energy, eV, after each step of velocity Verlet of `step` fs, for `time` fs.

        Unit: with masses in amu, velocities are in sqrt(eV/amu), Angstrom per 10.18 fs. The atoms are periodic, so
        that none gets lost.
        """
        crystal = self.crystal()
        dt = step / 10.180505710
        mass = np.full((len(crystal), 1), 12.0)
        velocity = np.random.default_rng(1).normal(0, 0.05, (len(crystal), 3))
        places = crystal.positions
        errors, start = [], None
        found = self.properties(model, crystal)
        for _ in range(round(time / step)):
            velocity = velocity + found["forces"] / mass * dt / 2
            places = places + velocity * dt
            found = self.properties(model, Structure(crystal.numbers, places, crystal.cell, crystal.pbc))
            velocity = velocity + found["forces"] / mass * dt / 2
            energy = float(found["energy"]) + 0.5 * float((mass * velocity**2).sum())
            start = energy if start is None else start
            errors.append(abs(energy - start))
        return errors


def as_numpy(found: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """Values without graph."""
    return {name: value.detach().double().numpy() for name, value in found.items()}


def defined(found: dict[str, torch.Tensor]) -> dict[str, np.ndarray]:
    """The properties of a single graph; stress without a cell and dipole with one, which are NaN, are left out."""
    values = {name: value if name == "forces" else np.asarray(value[0]) for name, value in as_numpy(found).items()}
    return {
        name: value for name, value in values.items() if name not in ("stress", "dipole") or not np.isnan(value).all()
    }


def rotated(value: np.ndarray, R: np.ndarray, rank: int) -> np.ndarray:
    """A scalar, vector (in the last axis) or matrix (in the last two), rotated."""
    if rank == 2:
        return R @ value @ R.T
    return value @ R.T if rank == 1 else value
