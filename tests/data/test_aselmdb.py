"""ASE's database in LMDB files: back as written; what cannot be used is counted."""

import json
import zlib
from collections import Counter
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from tdn_theory.data.aselmdb import AseLmdbReader, write_aselmdb
from tdn_theory.data.catalysts import stream
from tdn_theory.data.structure import Structure
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.data.reference import assert_same_catalyst, catalyst
from tests.data.test_catalyst_lmdb import database

lmdb = pytest.importorskip("lmdb", reason="needs the extra lmdb")

# as ASE and fairchem write it
ROW = {
    "numbers": {"__ndarray__": [[2], "int64", [78, 8]]},
    "positions": {"__ndarray__": [[2, 3], "float64", [0.0, 0.0, 0.0, 0.0, 0.0, 2.0]]},
    "cell": {"array": {"__ndarray__": [[3, 3], "float64", [5, 0, 0, 0, 5, 0, 0, 0, 20]]}, "__ase_objtype__": "cell"},
    "pbc": {"__ndarray__": [[3], "bool", [True, True, True]]},
    "energy": -1.5,
    "forces": {"__ndarray__": [[2, 3], "float64", [0.0, 0.0, 1.0, 0.0, 0.0, -1.0]]},
    "tags": {"__ndarray__": [[2], "int64", [0, 2]]},
    "constraints": [{"name": "FixAtoms", "kwargs": {"indices": [0]}}],
    "data": {"sid": 7, "fid": 12},
}


def packed(value) -> bytes:
    return zlib.compress(json.dumps(value).encode())


def read(file: Path):
    left_out = Counter[str]()
    return list(stream(AseLmdbReader(), [file], left_out)), left_out


def test_rows_come_back(tmp_path: Path):
    plain = Structure(np.array([1, 8]), np.zeros((2, 3)) + np.arange(2)[:, None], stress=np.eye(3))
    wanted = [replace(catalyst(k), reference_energy=None) for k in range(2)] + [plain]
    for name in ("a", "b"):
        write_aselmdb(tmp_path / f"{name}.aselmdb", wanted)
    found, left_out = read(tmp_path / "a.aselmdb")
    assert not left_out
    for got, structure in zip(found, wanted, strict=True):
        assert_same_catalyst(got, structure)
        assert got.labels == structure.labels
        assert got.pbc.tolist() == structure.pbc.tolist()
        for name in ("numbers", "positions", *(["cell"] if structure.pbc.any() else []), *structure.labels):
            assert_close(getattr(got, name), getattr(structure, name), 0.0, name)


def test_ase_reads_what_is_written(tmp_path: Path):
    pytest.importorskip("ase_db_backends", reason="needs ase-db-backends")
    import ase.db

    wanted = catalyst()
    write_aselmdb(tmp_path / "a.aselmdb", [wanted, wanted])
    with ase.db.connect(tmp_path / "a.aselmdb", type="aselmdb") as database:
        rows = list(database.select())
    assert [row.id for row in rows] == [1, 2]
    got = Structure.from_ase(rows[0].toatoms())
    assert_close(got.positions, wanted.positions, 0.0, "positions")
    assert got.fixed.tolist() == wanted.fixed.tolist()
    assert rows[0].energy == wanted.energy
    assert rows[0].data["sid"] == wanted.sid


def test_a_row_of_ase(tmp_path: Path):
    records = {"1": packed(ROW), "3": packed(ROW), "nextid": packed(4), "deleted_ids": packed([3]), "metadata": b""}
    (found,), left_out = read(database(tmp_path / "a.aselmdb", records))
    assert not left_out
    assert (found.energy, found.sid, found.fid, found.tags.tolist()) == (-1.5, "7", "12", [0, 2])
    assert found.fixed.tolist() == [True, False]
    assert found.forces.tolist() == [[0, 0, 1], [0, 0, -1]]
    assert found.cell.tolist() == np.diag([5, 5, 20]).tolist()


FAULTS = {
    "no numbers": {"numbers": None},
    "a field has the wrong shape or type": {"positions": {"__ndarray__": [[3, 3], "float64", [0.0] * 9]}},
    "a constraint other than FixAtoms": {"constraints": [{"name": "FixedPlane", "kwargs": {}}]},
    "indices of fixed atoms are no numbers of atoms": {
        "constraints": [{"name": "FixAtoms", "kwargs": {"indices": [-1]}}]
    },
    "atoms at the same place": {"positions": {"__ndarray__": [[2, 3], "float64", [0.0] * 6]}},
    "data is no table": {"data": [1]},
    "sid or fid is no name": {"data": {"sid": {}}},
}
WRONG = (
    {"numbers": {"__ndarray__": [[2], "object", [78, 8]]}},
    {"numbers": {"__ndarray__": [[10**12], "int64", [78]]}},
    {"numbers": {"__ndarray__": [[2], "int64"]}},
    {"tags": {"__ndarray__": [[2], "float64", [0.0, 2.0]]}},
    {"energy": "low"},
    {"forces": {"__ndarray__": [[2, 3], "float64", [float("nan")] * 6]}},
    {"constraints": [{"name": "FixAtoms", "kwargs": {"indices": [2]}}]},
)


def test_every_field_is_checked_and_every_row_counted(tmp_path: Path):
    faults = [*FAULTS.values(), *WRONG]
    rows = [{k: v for k, v in {**ROW, **fault}.items() if v is not None} for fault in faults]
    bad = [packed([1]), b"", packed(ROW)[:-9], zlib.compress(b"{"), zlib.compress(b"[" * 10**5)]
    records = {str(n): value for n, value in enumerate([*map(packed, rows), *bad, packed(ROW)], 1)}
    found, left_out = read(database(tmp_path / "a.aselmdb", {**records, "extra": packed(ROW)}))
    assert [structure.energy for structure in found] == [-1.5]
    wrong = {"a field has the wrong shape or type": 1 + len(WRONG)}
    assert left_out == dict.fromkeys(FAULTS, 1) | wrong | {"damaged row": len(bad), "key is no number": 1}


def test_a_row_that_unpacks_to_very_much_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tdn_theory.data.aselmdb.LARGEST_ROW", 2000)
    bomb = zlib.compress(b" " * 2001)
    found, left_out = read(database(tmp_path / "a.aselmdb", {"1": bomb, "2": packed(ROW)}))
    assert (len(found), left_out) == (1, {"row too large": 1})


def test_damaged_files_are_refused(tmp_path: Path):
    with refuses(ValueError, "deleted", "again"):
        read(database(tmp_path / "a.aselmdb", {"1": packed(ROW), "deleted_ids": b"x"}))
    (tmp_path / "b.aselmdb").write_bytes((tmp_path / "a.aselmdb").read_bytes()[:-4096])
    with refuses(ValueError, "b.aselmdb", "cut off"):
        read(tmp_path / "b.aselmdb")
