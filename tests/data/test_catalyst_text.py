"""OC20's frames in text: energies less their references, and lines that do not fit counted."""

import lzma
from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from tdn_theory.data.catalyst_text import CatalystTextReader
from tdn_theory.data.catalysts import shards, stream
from tdn_theory.data.extxyz import write_extxyz
from tests.assertions import refuses
from tests.data.reference import catalyst

FRAMES = [replace(catalyst(k), energy=-101.5 - k, sid="random7", fid=str(k), reference_energy=None) for k in range(3)]


def read(file: Path):
    left_out = Counter[str]()
    return list(stream(CatalystTextReader(), [file], left_out)), left_out


@pytest.mark.parametrize("ending", ["", ".xz"])
def test_s2ef(tmp_path: Path, ending: str):
    write_extxyz(tmp_path / "0.extxyz", FRAMES)
    (tmp_path / "0.txt").write_text("random7,frame0,-100.25\nrandom7,frame9,-100.25\nrandom7,frame2,x\n")
    for name in ("0.extxyz", "0.txt") if ending else ():
        (tmp_path / f"{name}.xz").write_bytes(lzma.compress((tmp_path / name).read_bytes()))
        (tmp_path / name).unlink()
    (file,) = shards(tmp_path, ".extxyz", ".extxyz.xz")
    (found,), left_out = read(file)
    assert (found.energy, found.reference_energy) == (-1.25, -100.25)
    assert (found.sid, found.fid, found.group) == ("random7", "0", "random7")
    assert found.fixed.tolist() == [True, False, False, False]
    assert found.forces is not None
    assert left_out == {"line of another frame": 1, "line without system, frame and energy": 1}


def test_archives_per_adsorbate(tmp_path: Path):
    write_extxyz(tmp_path / "random7.extxyz", [replace(frame, sid="", fid="") for frame in FRAMES])
    write_extxyz(tmp_path / "random8.extxyz", FRAMES[:2])
    (tmp_path / "system.txt").write_text("random7,-100.25\nrandom9,-3\n")
    found, left_out = read(tmp_path / "random7.extxyz")
    assert not left_out
    assert [(s.energy, s.sid, s.fid) for s in found] == [(-1.25 - k, "random7", str(k)) for k in range(3)]
    assert read(tmp_path / "random8.extxyz") == ([], {"no reference energy in system.txt": 2})


def test_files_that_do_not_fit_are_refused(tmp_path: Path):
    write_extxyz(tmp_path / "0.extxyz", FRAMES)
    with refuses(FileNotFoundError, "0.txt", "system.txt", "reference"):
        read(tmp_path / "0.extxyz")
    (tmp_path / "0.txt").write_text("random7,frame0,-100.25\n")
    with refuses(ValueError, "3 frames", "1 lines", "again"):
        read(tmp_path / "0.extxyz")
    (tmp_path / "0.txt").unlink()
    (tmp_path / "0.txt.xz").write_bytes(b"no archive")
    with refuses(ValueError, "0.txt.xz", "again"):
        read(tmp_path / "0.extxyz")
