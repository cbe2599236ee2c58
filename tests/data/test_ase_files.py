"""Files that ASE reads: labels in its units and with its signs."""

import gzip
import lzma
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data.ase_files import read_ase
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.vasp import outcar, vasprun


@pytest.fixture
def copper():
    from ase.build import bulk
    from ase.calculators.emt import EMT

    frames = []
    for seed in range(3):
        atoms = bulk("Cu", cubic=True)
        atoms.rattle(0.05, seed=seed)
        atoms.calc = EMT()
        atoms.get_potential_energy(), atoms.get_forces(), atoms.get_stress()
        frames.append(atoms)
    return frames


@pytest.mark.parametrize("name", ["a.traj", "a.db", "a.json"])
def test_labels_come_back(tmp_path: Path, copper, name):
    from ase.io import write

    write(tmp_path / name, copper)
    found = read_ase(tmp_path / name)
    assert len(found) == 3
    for structure, atoms in zip(found, copper, strict=True):
        assert structure.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        assert_close(structure.forces, atoms.get_forces(), 1e-9, "forces")
        assert_close(structure.stress, atoms.get_stress(voigt=False), 1e-9, "stress")
        assert structure.pbc.all()
        assert structure.group == "Cu4"


@pytest.mark.parametrize("suffix", ["", ".gz", ".xz"])
def test_labels_of_vasp(tmp_path: Path, copper, suffix):
    pack = {"": bytes, ".gz": gzip.compress, ".xz": lzma.compress}[suffix]
    (tmp_path / f"vasprun.xml{suffix}").write_bytes(pack(vasprun(copper[0]).encode()))
    (structure,) = read_ase(tmp_path / f"vasprun.xml{suffix}")
    assert structure.energy == pytest.approx(copper[0].get_potential_energy(), abs=1e-9)
    assert_close(structure.positions, copper[0].positions, 1e-9, "positions")
    assert_close(structure.forces, copper[0].get_forces(), 1e-9, "forces")
    assert_close(structure.stress, copper[0].get_stress(voigt=False), 1e-7, "stress")


@pytest.mark.parametrize("suffix", ["", ".gz"])
def test_all_steps_of_an_outcar(tmp_path: Path, copper, suffix):
    content = outcar(copper).encode()
    (tmp_path / f"OUTCAR{suffix}").write_bytes(gzip.compress(content) if suffix else content)
    found = read_ase(tmp_path / f"OUTCAR{suffix}")
    assert len(found) == 3
    for structure, atoms in zip(found, copper, strict=True):
        assert structure.energy == pytest.approx(atoms.get_potential_energy(), abs=1e-9)
        assert_close(structure.cell, atoms.cell.array, 1e-8, "cell")
        assert_close(structure.positions, atoms.positions, 1e-8, "positions")
        assert_close(structure.forces, atoms.get_forces(), 1e-8, "forces")
        assert_close(structure.stress, atoms.get_stress(voigt=False), 1e-7, "stress")


def test_what_cannot_be_read_is_told_with_its_name(tmp_path: Path):
    with refuses(ValueError, "a.foo", ".traj", "extended XYZ"):
        read_ase(tmp_path / "a.foo")
    with pytest.raises(FileNotFoundError, match=r"a\.traj"):
        read_ase(tmp_path / "a.traj")
    (tmp_path / "b.traj").write_bytes(np.random.default_rng(0).bytes(1000))
    with refuses(ValueError, "b.traj", "frame 0"):
        read_ase(tmp_path / "b.traj")
    (tmp_path / "vasprun.xml").write_text("<modeling>")
    with refuses(ValueError, "vasprun.xml"):
        read_ase(tmp_path / "vasprun.xml")
