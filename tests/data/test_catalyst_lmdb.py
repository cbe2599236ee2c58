"""IS2RE and S2EF in LMDB files: back as written; what cannot be used is counted, and nothing ends the process."""

import pickle
from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data import geometric_pickle
from tdn_theory.data.catalyst_lmdb import CatalystLmdbReader, write_is2re
from tdn_theory.data.catalysts import shards, stream
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.reference import assert_same_catalyst, systems

lmdb = pytest.importorskip("lmdb", reason="needs the extra lmdb")

ATOMS = {
    "pos": np.array([[0, 0, 0], [0, 0, 2]], np.float32),
    "cell": np.diag([5, 5, 20]).astype(np.float32)[None],
    "atomic_numbers": np.array([78, 8], np.float32),
    "natoms": 2,
    "tags": np.array([0.0, 2.0], np.float32),  # as some released files have them
    "fixed": np.array([1, 0], np.float32),
    "force": np.array([[0, 0, 1], [0, 0, -1]], np.float32),
    "y": -1.5,
    "sid": 7,
    "fid": 12,
}


def database(path: Path, records: dict[str, bytes]) -> Path:
    with lmdb.open(str(path), subdir=False, map_size=2**24) as found, found.begin(write=True) as transaction:
        for key, value in records.items():
            transaction.put(key.encode(), value)
    return path


def read(file: Path, label: str = "frame"):
    left_out = Counter[str]()
    return list(stream(CatalystLmdbReader(label), [file], left_out)), left_out


def test_systems_come_back(tmp_path: Path):
    first, relaxed = systems()
    write_is2re(tmp_path / "a.lmdb", first, relaxed)
    assert [path.name for path in tmp_path.iterdir()] == ["a.lmdb"]
    expected = {
        "relaxed energy": [(a.positions, b.energy, None) for a, b in zip(first, relaxed, strict=True)],
        "relaxed structure": [(b.positions, b.energy, None) for b in relaxed],
        "frame": [(a.positions, a.energy, a.forces) for a in first],
    }
    for label, wanted in expected.items():
        found, left_out = read(tmp_path / "a.lmdb", label)
        assert not left_out
        for got, structure, (positions, energy, forces) in zip(found, first, wanted, strict=True):
            assert_same_catalyst(got, structure)
            assert got.group == structure.sid
            assert np.array_equal(got.numbers, structure.numbers)
            assert_close(got.cell, structure.cell, 0.0, "cell")
            assert_close(got.positions, positions, 0.0, f"positions of {label}")
            assert got.energy == energy
            assert got.pbc.all()
            assert (got.forces is None) == (forces is None)
            if forces is not None:
                assert_close(got.forces, forces, 0.0, "forces")


def test_without_a_name_the_formula_is_the_group(tmp_path: Path):
    record = {name: value for name, value in ATOMS.items() if name not in ("sid", "fid", "tags")}
    (found,), _ = read(database(tmp_path / "a.lmdb", {"0": geometric_pickle.dumps(record)}))
    assert (found.sid, found.fid, found.group, found.tags) == ("", "", "OPt", None)


def test_what_is_no_pair_of_systems_is_not_written(tmp_path: Path):
    first, relaxed = systems()
    with refuses(ValueError, "3 first and 2 relaxed"):
        write_is2re(tmp_path / "a.lmdb", first, relaxed[:2])
    with refuses(ValueError, "one system"):
        write_is2re(tmp_path / "a.lmdb", first, relaxed[::-1])
    assert not list(tmp_path.iterdir())


def test_a_frame_of_s2ef(tmp_path: Path):
    (found,), left_out = read(database(tmp_path / "a.lmdb", {"0": geometric_pickle.dumps(ATOMS)}))
    assert not left_out
    assert (found.energy, found.sid, found.fid, found.group) == (-1.5, "7", "12", "7")
    assert (found.tags.tolist(), found.fixed.tolist()) == ([0, 2], [True, False])
    assert found.forces.tolist() == ATOMS["force"].tolist()


NAN = np.array([[0, 0, np.nan], [0, 0, 2]], np.float32)
FAULTS = {
    "no y_relaxed": {"y_relaxed": None},
    "y_relaxed is not finite": {"y_relaxed": float("nan")},
    "y_relaxed has the wrong shape or type": {"y_relaxed": "low"},
    "no pos": {"pos": None},
    "pos is not finite": {"pos": NAN},
    "pos has the wrong shape or type": {"pos": NAN[:1]},
    "cell has the wrong shape or type": {"cell": np.eye(2)},
    "cell or positions are none": {"cell": np.ones((1, 3, 3))},
    "natoms differs from the number of atoms": {"natoms": 3},
    "atomic_numbers are not 1 to 118": {"atomic_numbers": np.array([78, 0])},
    "atomic_numbers is not whole": {"atomic_numbers": np.array([78, 0.5])},
    "tags is not whole": {"tags": np.array([0, 1.5])},
    "tags are not 0, 1 or 2": {"tags": np.array([0, 3])},
    "fixed is not 0 or 1": {"fixed": np.array([0, 2])},
    "atoms at the same place": {"pos": np.zeros((2, 3), np.float32)},
    "sid is no name": {"sid": [1]},
}


def test_every_field_is_checked_and_every_record_counted(tmp_path: Path):
    good = {**ATOMS, "y_relaxed": -2.0}
    records = {str(n): geometric_pickle.dumps({**good, **fault}) for n, fault in enumerate(FAULTS.values())}
    n = len(records)
    records |= {
        str(n): geometric_pickle.dumps(good),
        str(n + 1): pickle.dumps(print),
        str(n + 2): b"",
        str(n + 3): pickle.dumps([1.0]),
        "first": geometric_pickle.dumps(good),
        "0" + str(n): geometric_pickle.dumps(good),
    }
    found, left_out = read(database(tmp_path / "a.lmdb", records), "relaxed energy")
    assert [structure.energy for structure in found] == [-2.0]
    others = {"damaged or unsafe pickle": 2, "no object of torch_geometric": 1, "key is no number": 2}
    assert left_out == dict.fromkeys(FAULTS, 1) | others


def test_damaged_files_are_refused(tmp_path: Path):
    record = geometric_pickle.dumps(ATOMS)
    file = database(tmp_path / "a.lmdb", {**{str(n): record * 4 for n in range(20)}, "length": pickle.dumps(21)})
    with refuses(ValueError, "21", "20", "again"):
        read(file)
    short = tmp_path / "b.lmdb"
    short.write_bytes(file.read_bytes()[:-8192])
    with refuses(ValueError, "b.lmdb", "cut off"):
        read(short)
    run = database(tmp_path / "c.lmdb", {"0": record, "length": pickle.dumps(print)})
    with refuses(ValueError, "c.lmdb", "length", "print"):
        read(run)
    with refuses(FileNotFoundError, "d.lmdb"):
        read(tmp_path / "d.lmdb")


def test_shards_are_read_in_order_part_by_part(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tdn_theory.data.lmdb_file.PART", 4)
    record = [geometric_pickle.dumps({**ATOMS, "sid": sid}) for sid in range(22)]
    database(tmp_path / "data.0001.lmdb", {str(n): record[11 + n] for n in range(11)})
    database(tmp_path / "data.0000.lmdb", {str(n): record[n] for n in range(11)})
    (tmp_path / "readme.txt").write_text("no shard")
    files = shards(tmp_path, ".lmdb")
    whole = [s.sid for s in stream(CatalystLmdbReader("frame"), files, Counter())]
    assert whole == [str(sid) for sid in range(22)]  # by number: the file has 10 before 2
    assert [len(CatalystLmdbReader("frame").parts(file)) for file in files] == [3, 3]
    assert shards(files[0], ".lmdb") == files[:1]
    with refuses(FileNotFoundError, ".aselmdb"):
        shards(tmp_path, ".aselmdb")
