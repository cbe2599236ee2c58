"""Archives: back as written, or not at all."""

import json
from dataclasses import replace
from pathlib import Path

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.data.archive import read_archive, write_archive
from tdn_theory.data.structure import LABELS, Structure
from tdn_theory.files import sha256
from tdn_theory.testing import strategies as own
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.reference import assert_same_catalyst, catalyst


@settings(max_examples=25)
@given(st.lists(own.structures(), max_size=4))
def test_back_as_written(tmp_path_factory: pytest.TempPathFactory, structures: list[Structure]):
    path = tmp_path_factory.mktemp("archive") / "a.npz"
    write_archive(path, structures, {"by": "hand"})
    back = read_archive(path)
    assert len(back) == len(structures)
    for got, wanted in zip(back, structures, strict=True):
        assert (got.labels, got.group, got.pbc.tolist()) == (wanted.labels, wanted.group, wanted.pbc.tolist())
        assert (got.cell is None) == (wanted.cell is None)
        for name in ("numbers", "positions", *(() if wanted.cell is None else ("cell",)), *wanted.labels):
            assert_close(getattr(got, name), getattr(wanted, name), 0.0, name)


def test_types_and_weights_are_kept(tmp_path: Path):
    plain = Structure(np.array([1]), np.zeros((1, 3)))
    write_archive(tmp_path / "a.npz", [plain, replace(plain, config_type="bulk", weight=0.5)], {})
    back = read_archive(tmp_path / "a.npz")
    assert [(s.config_type, s.weight) for s in back] == [("", 1.0), ("bulk", 0.5)]


def test_what_catalysts_have_is_kept(tmp_path: Path):
    plain = Structure(np.array([1, 8]), np.zeros((2, 3)), group="plain")
    wanted = [catalyst(), plain, replace(catalyst(1), tags=None, fid="")]
    write_archive(tmp_path / "a.npz", wanted, {})
    for got, structure in zip(read_archive(tmp_path / "a.npz"), wanted, strict=True):
        assert_same_catalyst(got, structure)
        assert got.group == structure.group


def test_the_manifest_tells_what_is_inside(tmp_path: Path):
    structure = Structure(np.array([1, 8]), np.zeros((2, 3)), energy=1.0, group="a")
    for name in "ab":
        write_archive(tmp_path / f"{name}.npz", [structure, structure], {"by": "hand"})
    manifest = json.loads((tmp_path / "a.json").read_text())
    assert (manifest["structures"], manifest["atoms"], manifest["groups"]) == (2, 4, 1)
    assert manifest["labels"] == {name: 2 if name == "energy" else 0 for name in LABELS}
    assert manifest["made_by"] == {"by": "hand"}
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


def test_damaged_archives_are_refused(tmp_path: Path):
    path = tmp_path / "a.npz"
    write_archive(path, [Structure(np.array([1]), np.zeros((1, 3)))], {})
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(content)
    with refuses(ValueError, str(path), "checksum", "again"):
        read_archive(path)
    path.with_suffix(".json").unlink()
    with pytest.raises(FileNotFoundError):
        read_archive(path)


def test_an_archive_with_a_pickle_is_refused(tmp_path: Path):
    path = tmp_path / "a.npz"
    np.savez(path, atoms=np.array([print], dtype=object))
    path.with_suffix(".json").write_text(json.dumps({"sha256": sha256(path.read_bytes())}))
    with refuses(ValueError, "allow_pickle=False"):
        read_archive(path)


def test_other_names_are_refused(tmp_path: Path):
    with refuses(ValueError, "a.json", ".npz"):
        write_archive(tmp_path / "a.json", [], {})
