"""The maker of GFN2-xTB relaxations: which compounds are taken, what is computed, and that a stopped run goes on."""

from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data import molecules as module
from tdn_theory.data.kept import kept
from tdn_theory.data.molecules import ELEMENTS, Compound, collect, compounds, make, relax, usable
from tdn_theory.data.pubchemqcr import PubChemQCRReader
from tdn_theory.files import read_json, sha256
from tests.assertions import refuses

pytest.importorskip("chemicals", reason="needs the extra make-data")
Chem = pytest.importorskip("rdkit.Chem", reason="needs the extra make-data")
pytest.importorskip("tblite", reason="needs the extra gfn2")
pytest.importorskip("lmdb", reason="needs the extra lmdb")

SMALL = Compound("962", "O"), Compound("297", "C"), Compound("222", "N")


@pytest.mark.parametrize(
    ("smiles", "taken"),
    [
        ("CCO", True),
        ("C[N+](=O)[O-]", True),  # charges that cancel
        ("ClCCl", True),
        ("CC(=O)[O-]", False),
        ("[CH3]", False),
        ("[2H]O[2H]", False),
        ("C.O", False),
        ("C[Si](C)(C)C", False),
        ("CBr", False),
        ("not a SMILES", False),
    ],
)
def test_molecules_are_neutral_closed_shell_whole_and_of_known_elements(smiles: str, taken: bool):
    assert usable(smiles) is taken


def test_compounds_are_usable_small_and_those_of_fewer_come_first():
    few, more = compounds(12, 5), compounds(12, 20)
    assert more[:5] == few
    assert len({compound.number for compound in more}) == 20
    assert compounds(12, 5, seed=1) != few
    for compound in more:
        atoms = Chem.AddHs(Chem.MolFromSmiles(compound.smiles)).GetAtoms()
        assert 2 <= len(atoms) <= 12
        assert {atom.GetSymbol() for atom in atoms} <= set(ELEMENTS)
    with refuses(ValueError, "at most 2 atoms", "1000 were asked"):
        compounds(2, 1000)


def test_a_relaxation_goes_down_to_its_end_and_its_forces_are_those_of_its_energies():
    from tblite.ase import TBLite

    steps = relax(SMALL[0], 30)
    assert [step.group for step in steps] == ["962"] * len(steps)
    assert 2 < len(steps) < 30
    assert np.linalg.norm(steps[-1].forces, axis=1).max() <= module.FMAX
    assert steps[-1].energy < steps[0].energy
    assert len(relax(SMALL[0], 2)) == 2
    atoms = steps[0].to_ase()
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    h, energies = 1e-3, []
    for shift in (h, -h):
        atoms.positions = steps[0].positions
        atoms.positions[1, 2] += shift
        energies.append(atoms.get_potential_energy())
    assert -(energies[0] - energies[1]) / (2 * h) == pytest.approx(steps[0].forces[1, 2], abs=1e-3)


def test_making_goes_on_where_it_stopped(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(module, "UNIT", 1)
    work, out = tmp_path / "work", tmp_path / "molecules.lmdb"
    bad = Compound("1", "[H]C#C#C")
    running = make([*SMALL, bad], 5, work)
    first = next(running)
    running.close()
    made = first.stat().st_mtime_ns
    assert len(list(make([*SMALL, bad], 5, work))) == 3
    assert first.stat().st_mtime_ns == made
    counts = collect([*SMALL, bad], 5, work, out)
    assert counts["compounds"] == 3
    assert counts["failed"] == 1
    manifest = read_json(out.with_suffix(".json"))
    assert manifest["reasons"].keys() == {"1"}
    assert manifest["sha256"] == sha256(out.read_bytes())
    read = kept(PubChemQCRReader(), [out])
    assert len(read) == counts["snapshots"]
    assert set(read.groups) == {compound.number for compound in SMALL}
    step = read[0]
    wanted = relax(next(c for c in SMALL if c.number == step.group), 1)[0]
    np.testing.assert_allclose(step.energy, wanted.energy, rtol=1e-9)
    np.testing.assert_allclose(step.forces, wanted.forces, atol=1e-6)


def test_snapshots_that_chance_pressed_together_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    list(make(SMALL[:1], 5, tmp_path))
    monkeypatch.setattr(module, "LARGEST_FORCE", 0.1)
    counts = collect(SMALL[:1], 5, tmp_path, tmp_path / "molecules.lmdb")
    assert counts["left_out"] > 0
    assert counts["snapshots"] + counts["left_out"] == len(relax(SMALL[0], 5))
