"""Sets of systems: back from archives as written; the shipped ones are what they are said to be."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data.archive import write_archive
from tdn_theory.data.catalyst_sets import (
    FILES,
    SHIPPED,
    System,
    numbered,
    read_systems,
    shipped,
    write_parts,
    write_systems,
)
from tdn_theory.files import read_json
from tests.assertions import refuses
from tests.data.reference import catalyst, same, systems


def some() -> list[System]:
    return [System(a, b) for a, b in zip(*systems(), strict=True)]


def test_systems_come_back(tmp_path: Path):
    write_systems(tmp_path / "a.npz", some(), {})
    found = read_systems(tmp_path / "a.npz")
    for got, wanted in zip(found, some(), strict=True):
        for frame, own, fid in zip(got, wanted, ("first", "relaxed"), strict=True):
            assert same(frame, replace(own, fid=fid, group=own.sid))
    direct = found[1].direct
    assert (direct.energy, direct.forces, direct.group) == (found[1].relaxed.energy, None, "11")
    assert np.array_equal(direct.positions, found[1].first.positions)


@pytest.mark.parametrize("order", [[0, 1, 2], [0, 2], [1, 0]])
def test_frames_without_their_like_are_refused(tmp_path: Path, order: list[int]):
    first, relaxed = some()[0]
    frames = [replace(first, fid="first"), replace(relaxed, fid="relaxed"), catalyst()]
    write_archive(tmp_path / "a.npz", [frames[k] for k in order], {})
    with refuses(ValueError, "a.npz", "before and after"):
        read_systems(tmp_path / "a.npz")


def test_what_was_not_written_is_seen(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    pytest.importorskip("lmdb", reason="needs the extra lmdb")
    parts = {"train": np.array([2, 0]), "id": np.array([1])}
    assert write_parts(tmp_path, some(), parts) == {"train": 2, "id": 1}
    monkeypatch.setattr("tdn_theory.data.catalyst_sets.stream", lambda *_: iter(some()[0]))
    with refuses(OSError, "train.lmdb", "disk"):
        write_parts(tmp_path, some(), parts)


def test_names_are_numbers():
    assert [(s.first.sid, s.relaxed.sid) for s in numbered(some())] == [("0", "0"), ("1", "1"), ("2", "2")]


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_sets_are_relaxed(name: str):
    """Of surfaces what is below is fixed, of oxides nothing; no free atom feels more than what relaxations end with."""
    found, how = shipped(name), read_json(FILES / f"{name}.json")["made_by"]
    assert sum(how["parts"].values()) == len(found) > 0
    assert "dirty" not in how["commit"]
    for first, relaxed in found:
        assert np.array_equal(first.numbers, relaxed.numbers)
        assert np.array_equal(first.fixed, (first.tags == 0) & (name == "surfaces"))
        assert np.linalg.norm(relaxed.forces[~relaxed.fixed], axis=1).max() <= how["fmax"]
        assert relaxed.energy < first.energy
        assert (relaxed.reference_energy is None) == (name == "oxides")


def test_shipped_sets_are_small():
    assert sum((FILES / f"{name}.npz").stat().st_size for name in SHIPPED) < 2_000_000
