"""Catalysts in a folder of the user's are read as they are; what is not there is told."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data import geometric_pickle
from tdn_theory.data.catalyst_sets import shipped, write_systems
from tdn_theory.data.extxyz import write_extxyz
from tdn_theory.experiments.catalyst_sources import FOLDER, checksum, frames, present, relaxed_energies
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.reference import catalyst


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv(FOLDER, str(tmp_path))
    return tmp_path


def test_what_is_absent_is_told(folder: Path):
    assert present(("surfaces", "OC20", "OC22", "DFT")) == ["surfaces"]
    with refuses(FileNotFoundError, FOLDER, "tdn-theory data make-oxides"):
        present(("made oxides",))
    for read, source in ((frames, "OC20"), (frames, "OC22"), (relaxed_energies, "DFT")):
        with refuses(FileNotFoundError, FOLDER, source):
            read(source)


def test_oxides_that_were_made(folder: Path):
    (folder / "oxides").mkdir()
    write_systems(folder / "oxides" / "oxides.npz", shipped("oxides")[:5], {})
    assert present(("made oxides", "oxides")) == ["made oxides", "oxides"]
    found = relaxed_energies("made oxides")
    assert [s.energy for s in found] == [s.energy for s in relaxed_energies("oxides")[:5]]
    assert checksum("made oxides") != checksum("oxides")


def test_frames_of_oc20(folder: Path):
    wanted = [replace(catalyst(k), fid=str(k), reference_energy=None) for k in range(3)]
    write_extxyz(folder / "random2.extxyz", wanted[2:])
    write_extxyz(folder / "random1.extxyz", wanted[:2])
    found = frames("OC20")
    assert [s.fid for s in found] == ["0", "1", "2"]
    for got, own in zip(found, wanted, strict=True):
        assert_close(got.forces, own.forces, 1e-7, "forces")
        assert np.array_equal(got.fixed, own.fixed)
    assert present(("OC22", "OC20")) == ["OC20"]
    before = checksum("OC20")
    write_extxyz(folder / "random2.extxyz", wanted[1:])
    assert len({before, checksum("OC20"), checksum("surfaces")}) == 3


def test_frames_of_oc22(folder: Path):
    own = catalyst()
    record = {"pos": own.positions, "cell": own.cell[None], "atomic_numbers": own.numbers, "force": own.forces}
    each = [geometric_pickle.dumps({**record, "y": float(k), "sid": k})[2:-1] for k in range(2)]
    (folder / "oc22_some.pkl").write_bytes(b"\x80\x03](" + b"".join(each) + b"e.")  # a list of two objects
    found = frames("OC22")
    assert [(s.energy, s.group) for s in found] == [(0.0, "0"), (1.0, "1")]
    assert_close(found[1].forces, own.forces, 0.0, "forces")


def test_energies_of_dft(folder: Path):
    """Given for one adsorbate; that of all of them is learnt. A text stands for one that left its site."""
    atoms = {"symbols": ["Cu", "Cu", "O", "O"], "cell": (9 * np.eye(3)).tolist(), "pos": np.eye(4, 3).tolist()}
    energies = {"Cu": {"O": {"fcc": {"0.5": -1.5, "1.0": "moved"}}}}
    (folder / "adsorption_energies.json").write_text(json.dumps(energies))
    (folder / "adsorption_structures.json").write_text(json.dumps({"Cu": {"O": {"fcc": {"0.5": atoms}}}}))
    (found,) = relaxed_energies("DFT")
    assert (found.energy, found.tags.tolist(), found.group) == (-3.0, [0, 0, 2, 2], "O Cu fcc 0.5")
    assert found.pbc.all()


def test_shipped_sets_need_no_folder():
    systems = shipped("surfaces")
    first, direct = frames("surfaces"), relaxed_energies("surfaces")
    assert len(first) == len(direct) == len(systems) == 500
    for system, frame, task in zip(systems, first, direct, strict=True):
        assert frame.energy == system.first.energy
        assert frame.forces is not None
        assert task.energy == system.relaxed.energy
        assert np.array_equal(task.positions, frame.positions)
