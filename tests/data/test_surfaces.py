"""Adsorbates on metals: the energies are those of EMT, counted from slab and gas; files are read back."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from ase import Atoms
from ase.calculators.emt import EMT
from ase.optimize import BFGS

from tdn_theory.data import surfaces
from tdn_theory.data.catalyst_lmdb import CatalystLmdbReader
from tdn_theory.data.catalyst_splits import adsorbate, composition
from tdn_theory.data.catalysts import stream
from tdn_theory.data.surfaces import ADSORBATES, FMAX, METALS, Slab, make_surfaces, plan
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

FEW = ("H", "CO", "OH")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(surfaces, "ADSORBATES", {name: ADSORBATES[name] for name in FEW})


def energy(symbols: str) -> float:
    """Of a relaxed pair of atoms."""
    pair = Atoms(symbols, [[0, 0, 0], [0, 0, 1.2]], calculator=EMT())
    assert BFGS(pair, logfile=None).run(FMAX, 100)
    return pair.get_potential_energy()


@pytest.mark.usefixtures("few")
def test_energies_by_their_definition():
    found, failed = Slab("Cu", "Pt", "fcc111", 3).systems()
    assert failed == 0
    assert [adsorbate(first) for first, _ in found] == ["H", "CO", "HO"]
    oxygen = energy("O2") / 2
    # two relaxations of a pair end within FMAX of the minimum at different points: E differs by less than FMAX^2 / k,
    # where k of these bonds is above 10 eV/A^2
    gas = {"H": energy("H2") / 2, "CO": energy("CO"), "HO": oxygen + energy("H2") / 2}
    slabs = set()
    for first, relaxed in found:
        assert composition(first) == "Cu-Pt"
        assert np.array_equal(first.fixed, first.tags == 0)
        assert first.fixed.sum() == 8
        assert np.array_equal(first.positions[first.fixed], relaxed.positions[relaxed.fixed])
        assert np.abs(relaxed.positions - first.positions).max() > 0.01
        assert np.linalg.norm(relaxed.forces[~relaxed.fixed], axis=1).max() <= FMAX
        for structure in (first, relaxed):
            atoms = structure.to_ase()
            atoms.calc = EMT()
            total = structure.energy + structure.reference_energy
            assert_close(total, atoms.get_potential_energy(), 1e-9, "energy and reference")
            assert_close(structure.forces, atoms.get_forces(apply_constraint=False), 1e-9, "forces")
        slabs.add(round(first.reference_energy - gas[adsorbate(first)], 3))
    assert max(slabs) - min(slabs) <= 2e-3  # all are counted from the same relaxed slab


@pytest.mark.usefixtures("few")
def test_files(tmp_path: Path):
    done = []
    sizes = make_surfaces(tmp_path, 18, seed=1, progress=done.append)
    assert sum(sizes.values()) == sum(done) == 18
    assert sorted(p.stem for p in tmp_path.glob("*.lmdb")) == sorted(sizes)
    seen = {}
    for name, size in sizes.items():
        left_out = Counter[str]()
        found = list(stream(CatalystLmdbReader(), [tmp_path / f"{name}.lmdb"], left_out))
        assert (len(found), left_out) == (size, {})
        seen[name] = found
    assert len({s.sid for found in seen.values() for s in found}) == 18
    trained = {(adsorbate(s), composition(s)) for s in seen["train"]}
    assert not {adsorbate(s) for s in seen["ood_ads"]} & {name for name, _ in trained}
    assert not {composition(s) for s in seen["ood_cat"]} & {name for _, name in trained}


def test_the_plan():
    slabs = plan(500, seed=2)
    assert len(slabs) == 50
    assert plan(491, seed=2) == slabs
    assert {slab.host for slab in slabs} == set(METALS)
    assert sum(slab.host == slab.guest for slab in slabs) == 25
    with refuses(ValueError, "count is 0"):
        plan(0)
