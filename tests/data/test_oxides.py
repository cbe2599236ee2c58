"""Adsorbates on oxides: total energies of GFN1-xTB, nothing fixed; what fails is counted; a stopped run goes on."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from ase.calculators.calculator import CalculationFailed
from ase.calculators.lj import LennardJones

from tdn_theory.data import oxides
from tdn_theory.data.catalyst_lmdb import CatalystLmdbReader
from tdn_theory.data.catalyst_sets import System, read_systems
from tdn_theory.data.catalyst_splits import adsorbate, composition
from tdn_theory.data.catalysts import stream
from tdn_theory.data.oxides import ADSORBATES, LATTICE, OxideSlab, collect, plan, relax_slabs
from tdn_theory.files import read_json
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(oxides, "ADSORBATES", {name: ADSORBATES[name] for name in ("", "OH")})


@pytest.mark.usefixtures("few")
def test_energies_by_their_definition(monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("tblite", reason="needs the extra gfn2")
    from tblite.ase import TBLite

    monkeypatch.setattr(oxides, "FMAX", 1.5)  # a few steps
    found, failed = OxideSlab("Cd", "Zn", 1).systems()
    assert (len(found), failed) == (2, {})
    assert [adsorbate(system.first) for system in found] == ["", "HO"]
    for system in found:
        assert composition(system.first) == "Cd-O-Zn"
        assert np.linalg.norm(system.relaxed.forces, axis=1).max() <= oxides.FMAX
        moved = np.linalg.norm(system.relaxed.positions - system.first.positions, axis=1)
        assert (moved[system.first.tags == 0] > 1e-3).all()  # nothing is fixed
        assert not system.first.fixed.any()
        assert np.array_equal(system.first.tags == 1, system.relaxed.tags == 1)
        assert (system.first.tags == 1).sum() == (system.first.tags == 0).sum() == 4
        upper, lower = (system.first.positions[system.first.tags == tag, 2] for tag in (1, 0))
        assert upper.min() > lower.max() + 1.0
        for structure in system:
            atoms = structure.to_ase()
            atoms.calc = TBLite(method="GFN1-xTB", verbosity=0)
            # self-consistent fields end within 1e-6 Hartree, from other first charges here
            assert_close(structure.energy, atoms.get_potential_energy(), 1e-4, "energy")
            assert_close(structure.forces, atoms.get_forces(), 1e-2, "forces")


class Unconverged(LennardJones):
    """A calculator whose self-consistent field never converges."""

    def calculate(self, *_: object) -> None:
        raise CalculationFailed("SCF not converged")


@pytest.mark.usefixtures("few")
def test_what_fails_is_counted(monkeypatch: pytest.MonkeyPatch):
    slab = OxideSlab("Mg", "Mg", 0)
    for calculator, change, reason in (
        (Unconverged(), {}, "self-consistent field did not converge"),
        (LennardJones(rc=4.0, sigma=1.7), {"STEPS": 0, "FMAX": 1e-6}, "not relaxed in 0 steps"),
        (LennardJones(rc=4.0, sigma=1.7), {"FMAX": 1e9, "LOWEST": 1e9}, "energy of no real state"),
    ):
        with monkeypatch.context() as patch:
            patch.setattr(oxides, "_gfn1", lambda calculator=calculator: (calculator, (CalculationFailed,)))
            for name, value in change.items():
                patch.setattr(oxides, name, value)
            assert slab.systems() == ([], {reason: 2})


def made(slab: OxideSlab) -> tuple[list[System], Counter[str]]:
    """The bare slab as its own relaxation, and a failure."""
    atoms = slab._slab(np.random.default_rng(slab.seed))
    first = replace(oxides.Structure.from_ase(atoms), energy=-1.0, forces=np.zeros((8, 3)))
    return [System(first, replace(first, energy=float(-slab.seed)))], Counter(["no luck"])


def test_a_stopped_run_goes_on(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("lmdb", reason="needs the extra lmdb")
    slabs, relaxed = plan(200, seed=1), []
    monkeypatch.setattr(OxideSlab, "systems", lambda slab: relaxed.append(slab) or made(slab))
    work = tmp_path / "work"
    run = relax_slabs(slabs, work)
    for _ in range(3):
        next(run)
    del run
    assert relaxed == slabs[:3]
    files = list(relax_slabs(slabs, work))
    assert relaxed == slabs
    assert len(set(files)) == len(slabs) == 25
    sizes = collect(slabs, work, tmp_path / "set")
    assert sizes.keys() == {"train", "id", "ood_cat"}
    seen = {}
    for name, size in sizes.items():
        seen[name] = list(stream(CatalystLmdbReader(), [tmp_path / "set" / f"{name}.lmdb"], Counter()))
        assert len(seen[name]) == size
    assert sum(sizes.values()) == 25
    known = {composition(s) for s in seen["train"]}
    assert not {composition(s) for s in seen["ood_cat"]} & known
    systems = read_systems(tmp_path / "set" / "oxides.npz")
    assert [system.relaxed.energy for system in systems] == [-slab.seed for slab in slabs]
    assert [system.first.sid for system in systems] == [str(k) for k in range(25)]
    how = read_json(tmp_path / "set" / "oxides.json")["made_by"]
    assert (how["failed"], how["planned"], how["parts"]) == ({"no luck": 25}, 25, sizes)


def test_the_plan():
    slabs = plan(321, seed=2)
    assert len(slabs) == 41
    assert len({slab.stem for slab in slabs}) == 41
    assert {slab.host for slab in slabs} == set(LATTICE)
    assert sum(slab.host == slab.guest for slab in slabs) == 20
    with refuses(ValueError, "count is 0"):
        plan(0)
