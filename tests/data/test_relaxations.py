"""The shipped dataset, checked against physics; and its maker, on molecules of two atoms."""

from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data import relaxations as module
from tdn_theory.data.archive import read_archive
from tdn_theory.data.first_geometry import first_geometry
from tdn_theory.data.relaxations import (
    LARGEST_FORCE,
    MOLECULES,
    SHIPPED,
    STARTS,
    Relaxation,
    collect,
    make_polarizabilities,
    make_relaxations,
    plan,
    relaxations,
)
from tdn_theory.data.structure import LABELS, Structure
from tdn_theory.files import read_json
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses


@pytest.fixture(scope="module")
def shipped() -> list[Structure]:
    return relaxations()


def test_what_is_shipped(shipped: list[Structure]):
    assert SHIPPED.stat().st_size <= 2 * 2**20
    groups = {structure.group for structure in shipped}
    assert groups <= set(MOLECULES)
    assert {int(number) for structure in shipped for number in structure.numbers} == {1, 6, 7, 8}
    assert all({"energy", "forces", "dipole"} <= set(structure.labels) for structure in shipped)
    manifest = read_json(SHIPPED.with_suffix(".json"))
    assert manifest["structures"] == len(shipped)
    assert manifest["groups"] == len(groups)
    assert manifest["atoms"] == sum(map(len, shipped))
    assert manifest["labels"] == {name: sum(name in s.labels for s in shipped) for name in LABELS}
    assert {"pyscf", "rdkit", "ase"} <= set(manifest["made_by"]["versions"])


def test_one_molecule_has_one_set_of_atoms(shipped: list[Structure]):
    for group in {structure.group for structure in shipped}:
        assert len({tuple(s.numbers) for s in shipped if s.group == group}) == 1


def test_forces_and_torques_add_up_to_nothing(shipped: list[Structure]):
    for structure in shipped:
        assert structure.forces is not None
        assert_close(structure.forces.sum(0), np.zeros(3), 1e-5, f"net force of {structure}")
        # the integration grid does not turn with the molecule, so torques vanish up to its error only
        torque = np.cross(structure.positions - structure.positions.mean(0), structure.forces).sum(0)
        assert_close(torque, np.zeros(3), 0.05, f"torque of {structure}")


def test_energies_change_by_the_work_of_the_forces(shipped: list[Structure]):
    """E(b) - E(a) = -(F_a + F_b)/2 . (x_b - x_a) up to third order; wrong units, signs or pairings show at first."""
    checked = 0
    for a, b in pairwise(shipped):
        if a.group != b.group:
            continue
        assert a.forces is not None
        assert b.forces is not None
        assert a.energy is not None
        assert b.energy is not None
        step = b.positions - a.positions
        if np.abs(step).max() > 0.01:
            continue
        work = -float(((a.forces + b.forces) / 2 * step).sum())
        assert_close(b.energy - a.energy, work, 2e-3 + 0.02 * abs(work), f"E(b) - E(a) of {a}")
        checked += 1
    assert checked > len(shipped) / 10


def test_relaxations_go_downhill(shipped: list[Structure]):
    first, last = {}, {}
    for structure in shipped:
        first.setdefault(structure.group, structure)
        last[structure.group] = structure
    assert all(first[group].energy > last[group].energy - 0.5 for group in first)
    largest = [np.linalg.norm(s.forces, axis=1).max() for s in shipped]  # pyright: ignore
    assert 3.0 < max(largest) <= LARGEST_FORCE  # rattled starts are worth learning from
    assert min(largest) < 0.05  # and some relaxations are finished


def test_polarizabilities_are_positive(shipped: list[Structure]):
    for structure in shipped:
        if structure.polarizability is not None:
            assert np.linalg.eigvalsh(structure.polarizability).min() > 0


def test_the_plan():
    units = plan()
    assert units == plan()
    assert len(units) == len(STARTS) * len(MOLECULES) == len({unit.stem for unit in units})
    for begin in range(0, len(units), len(MOLECULES)):
        assert sorted(unit.smiles for unit in units[begin : begin + len(MOLECULES)]) == sorted(MOLECULES)
    assert plan(1) != units
    assert len({unit.seed for unit in units}) == len(units)


def test_molecules_are_different_small_and_closed_shell():
    pytest.importorskip("rdkit", reason="needs the extra make-data")
    from rdkit import Chem

    assert len({Chem.CanonSmiles(smiles) for smiles in MOLECULES}) == len(MOLECULES) >= 120
    for smiles in MOLECULES:
        molecule = Chem.AddHs(Chem.MolFromSmiles(smiles))
        numbers = [atom.GetAtomicNum() for atom in molecule.GetAtoms()]
        assert 3 <= len(numbers) <= 12
        assert set(numbers) <= {1, 6, 7, 8}
        assert Chem.GetFormalCharge(molecule) == 0
        assert all(atom.GetNumRadicalElectrons() == 0 for atom in molecule.GetAtoms())


def test_bad_requests_are_refused():
    with refuses(ValueError, "rattle=-0.1", "not be negative"):
        Relaxation("O", rattle=-0.1)
    pytest.importorskip("rdkit", reason="needs the extra make-data")
    with refuses(ValueError, "'Q'", "SMILES"):
        first_geometry("Q", 0)


def test_the_first_geometry_depends_on_the_seed_only():
    pytest.importorskip("rdkit", reason="needs the extra make-data")
    first, again, other = (first_geometry("CO", seed, 0.1).positions for seed in (1, 1, 2))
    assert_close(first, again, 0.0, "first_geometry()")
    assert np.abs(first - other).max() > 1e-3
    plain = first_geometry("CO", 1).positions
    assert 0.03 < (first - plain).std() < 0.3


@pytest.fixture
def units() -> list[Relaxation]:
    common = {"snapshots": 2, "grid_level": 0}
    return [Relaxation("[H][H]", seed=0, **common), Relaxation("[H]", seed=1, **common)]


def test_making_goes_on_where_it_stopped(tmp_path: Path, units: list[Relaxation], monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("pyscf", reason="needs the extra make-data")
    pytest.importorskip("rdkit", reason="needs the extra make-data")
    assert len(list(make_relaxations(units, tmp_path))) == 2
    assert list(make_relaxations(units, tmp_path)) == []
    assert len(list(make_relaxations([*units, replace(units[0], seed=2)], tmp_path))) == 1
    made = list(make_polarizabilities(units, tmp_path, every=1))
    assert [path.name for path in made] == [f"{units[0].stem}-polarizability.npz"]
    collect(units, tmp_path, tmp_path / "all.npz")
    structures = read_archive(tmp_path / "all.npz")
    assert [structure.labels for structure in structures] == [("energy", "forces", "dipole", "polarizability")] * 2
    assert structures[1].energy < structures[0].energy  # pyright: ignore
    made_by = read_json(tmp_path / "all.json")["made_by"]
    assert list(made_by["failed"]) == ["[H], seed 1"]
    assert "odd number of electrons" in made_by["failed"]["[H], seed 1"]
    assert (made_by["relaxations"], made_by["planned"], made_by["left_out"]) == (2, 2, 0)
    monkeypatch.setattr(module, "LARGEST_FORCE", 0.0)
    collect(units, tmp_path, tmp_path / "none.npz")
    assert read_json(tmp_path / "none.json")["made_by"]["left_out"] == 2
