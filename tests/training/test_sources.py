"""Reading and splitting the data of a run."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import ase.io
import numpy as np
import pytest

from tdn_theory.data.archive import write_archive
from tdn_theory.data.extxyz import ISOLATED_ATOM, write_extxyz
from tdn_theory.data.relaxations import SHIPPED
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training.config import DataConfig
from tdn_theory.training.sources import load, read
from tests.assertions import refuses
from tests.data.reference import assert_packed
from tests.training.conftest import atoms, springs

UNITS = {"energy_unit": "eV", "force_unit": "eV/Angstrom", "length_unit": "Angstrom"}


def write(path, structures):
    frames = []
    for structure in structures:
        atoms = structure.to_ase()
        atoms.calc = None
        atoms.info.update(E=structure.energy, molecule=structure.group)
        atoms.arrays["F"] = np.array(structure.forces)
        frames.append(atoms)
    ase.io.write(path, frames, format="extxyz")
    return str(path)


@pytest.fixture
def extxyz(tmp_path):
    """Settings for a file of ten molecules, two structures each."""
    structures = [s for k in range(10) for s in springs(2, k, f"m{k}")]
    file = write(tmp_path / "a.xyz", [*structures])
    return {"files": (file,), "energy_key": "E", "forces_key": "F", "group_key": "molecule", **UNITS}


def test_extxyz(extxyz):
    found = read(DataConfig("extxyz", **extxyz), extxyz["files"])
    assert len(found) == 20
    wanted = springs(2, 0, "m0")[0]
    assert_close(found[0].forces, wanted.forces, 1e-7, "forces read")
    assert_close(found[0].energy, wanted.energy, 1e-7, "energy read")
    assert found[0].group == "m0 0"


def test_fractions_are_of_groups(extxyz):
    splits = load(DataConfig("extxyz", **extxyz, validation=0.2, test=0.1))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [14, 4, 2]
    groups = [{s.group for s in part} for part in (splits.train, splits.validation, splits.test)]
    assert not groups[0] & groups[1]
    assert not groups[0] & groups[2]
    other = load(DataConfig("extxyz", **extxyz, validation=0.2, test=0.1, split_seed=1))
    assert {s.group for s in other.test} != groups[2]


def test_files_of_their_own(extxyz, tmp_path):
    test = write(tmp_path / "test.xyz", springs(3, 99, "test"))
    splits = load(DataConfig("extxyz", **extxyz, validation=0.5, test_files=(test,)))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [10, 10, 3]
    both = load(DataConfig("extxyz", **extxyz, validation_files=(test,), test_files=(test,)))
    assert [len(part) for part in (both.train, both.validation, both.test)] == [20, 3, 3]


def test_one_trajectory_can_be_cut(tmp_path):
    file = write(tmp_path / "a.xyz", springs(20, size=3)[::2])
    settings = {"files": (file,), "energy_key": "E", "forces_key": "F", **UNITS}
    splits = load(DataConfig("extxyz", **settings, split="structure", validation=0.2, test=0.0))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [8, 2, 0]
    assert len({s.group for part in (splits.train, splits.validation) for s in part}) == 10
    own = load(DataConfig("extxyz", **settings, split="structure", test_files=(file,)))
    assert len({s.group for s in own.test}) == 10  # so that standard errors are over structures there too


def test_pubchemqcr(tmp_path):
    pytest.importorskip("lmdb")
    from tdn_theory.data.pubchemqcr import write_pubchemqcr

    structures = [replace(s, dipole=None, group=f"m{k}") for k in range(10) for s in springs(2, k, size=3)[::2]]
    write_pubchemqcr(tmp_path / "a.lmdb", structures)
    settings = {"files": (str(tmp_path / "a.lmdb"),), "validation": 0.2, "test": 0.1}
    splits = load(DataConfig("pubchemqcr", **settings))
    assert [len(part) for part in (splits.train, splits.validation, splits.test)] == [7, 2, 1]
    assert len({s.group for part in (splits.train, splits.validation, splits.test) for s in part}) == 10
    wanted = {s.group: s for s in structures}[splits.test[0].group]
    assert_close(splits.test[0].forces, wanted.forces, 1e-6, "forces read")
    with refuses(ValueError, "split is 'structure'", "by trajectory"):
        load(DataConfig("pubchemqcr", **settings, split="structure"))
    with refuses(ValueError, "stage"):
        load(DataConfig("pubchemqcr", **settings, stages=("dft",)))


def test_archives(tmp_path):
    structures = [s for k in range(10) for s in springs(2, k, f"m{k}")]
    files = tuple(str(tmp_path / name) for name in ("a.npz", "b.npz"))
    for file, part in zip(files, (structures[:6], structures[6:]), strict=True):
        write_archive(Path(file), part, {})
    said = []
    found = read(DataConfig("npz", files), files, said.append)
    assert_packed(found, structures)
    assert len(said) == 1
    assert "reading 2 files" in said[0]
    assert_packed(read(DataConfig("npz", files[::-1]), files[::-1], said.append), structures[6:] + structures[:6])
    assert_packed(read(DataConfig("npz", files), files, said.append), structures)
    assert len(said) == 2


def test_isolated_atoms_are_told_by_their_type_where_groups_are_cut(tmp_path):
    lone = atoms([8], [[0, 0, 0]], energy=-2000.0, config_type=ISOLATED_ATOM)
    write_archive(tmp_path / "a.npz", [lone, *springs(3), lone], {})
    config = DataConfig("npz", (str(tmp_path / "a.npz"),), split="structure")
    assert len(set(read(config, config.files).groups)) == 5
    assert load(config).atom_energies == {8: -2000.0}


@pytest.mark.skipif(not SHIPPED.exists(), reason="the shipped dataset is not there")
def test_relaxations():
    splits = load(DataConfig("relaxations"))
    assert len(splits.train) > len(splits.test) > 0


def test_errors_teach(extxyz):
    with refuses(ValueError, "shipped with the package", "a.xyz"):
        load(DataConfig("relaxations", files=("a.xyz",)))
    with refuses(ValueError, "needs data.files"):
        load(DataConfig("extxyz"))
    with refuses(ValueError, "data.energy_key, data.missing", "'ase'", "leave it out"):
        load(DataConfig("ase", files=("a.traj",), energy_key="energy", missing="without"))
    with refuses(ValueError, "data.ignore", "'relaxations'"):
        load(DataConfig("relaxations", ignore=("charge",)))
    with refuses(ValueError, "data.energy_unit", "data.length_unit"):
        load(DataConfig("extxyz", **{**extxyz, "energy_unit": None, "length_unit": None}))
    with pytest.raises(FileNotFoundError):
        load(DataConfig("extxyz", **{**extxyz, "files": ("none.xyz",)}))
    with refuses(ValueError, "validation is 0.6", "fractions"):
        DataConfig("relaxations", validation=0.6, test=0.5)


def test_weights_by_type_multiply_those_of_the_structures(tmp_path):
    structures = [
        replace(s, config_type=kind, weight=2.0) for k, kind in enumerate(["bulk", "slab"]) for s in springs(4, k, kind)
    ]
    file = tmp_path / "a.xyz"
    write_extxyz(file, structures)
    keys = {"energy_key": "energy", "energy_unit": "eV", "length_unit": "Angstrom", "weight_key": "weight"}
    config = DataConfig("extxyz", (str(file),), **keys, weights={"slab": 0.25}, split="structure")
    splits = load(config)
    found = {(s.config_type, s.weight) for part in (splits.train, splits.validation, splits.test) for s in part}
    assert found == {("bulk", 2.0), ("slab", 0.5)}
    with refuses(ValueError, "data.weights names slap", "bulk, slab"):
        load(replace(config, weights={"slap": 2.0}))
    for wrong in (-1.0, "2", True):
        with refuses(ValueError, "data.weights has slab", ">= 0"):
            DataConfig("extxyz", **keys, weights={"slab": wrong})
