"""The released format: back as written, every bad step rejected by itself and counted, splits by the released rule."""

import gzip
import pickle
import random
import subprocess
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from copy import deepcopy
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given

from tdn_theory.data import kept, pubchemqcr
from tdn_theory.data.packed import Packed
from tdn_theory.data.pubchemqcr import (
    STAGES,
    PubChemQCRReader,
    UnusableError,
    read_record,
    read_steps,
    split_by_trajectory,
    write_pubchemqcr,
)
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.structure import Structure
from tdn_theory.data.units import BOHR, HARTREE
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

lmdb = pytest.importorskip("lmdb", reason="needs the extra lmdb")


def step(seed: int = 0, **charge: float) -> dict[str, Any]:
    """A step of a water molecule as released."""
    rng = np.random.default_rng(seed)
    return {
        "coordinates": [
            {"atom": atom, **charge, "x": x, "y": y, "z": z}
            for atom, (x, y, z) in zip("OHH", rng.normal(size=(3, 3)).tolist(), strict=True)
        ],
        "energy": -76.0 - seed,
        "gradient": [
            {"atom": atom, **charge, "dx": x, "dy": y, "dz": z}
            for atom, (x, y, z) in zip("OHH", rng.normal(size=(3, 3)).tolist(), strict=True)
        ],
    }


def database(path: Path, records: dict[str, Any]) -> Path:
    """An LMDB file as released, by hand: independent of the writer."""
    with lmdb.open(str(path), subdir=False, map_size=2**24) as found, found.begin(write=True) as transaction:
        for key, record in records.items():
            content = record if isinstance(record, bytes) else gzip.compress(pickle.dumps(record))
            transaction.put(key.encode(), content)
    return path


def read(path: Path, stages: Sequence[str] = ("DFT_1st",)) -> tuple[list[Structure], dict[str, int]]:
    """All usable snapshots of a file, and what was rejected how often."""
    reader = PubChemQCRReader(tuple(stages))
    found, rejected = list[Structure](), Counter[str]()
    for part in reader.parts(path):
        structures, reasons = reader.read(path, part)
        found += structures
        rejected += reasons
    return found, dict(rejected)


def test_the_shipped_data_come_back(tmp_path: Path):
    shipped = relaxations()[:40]
    write_pubchemqcr(tmp_path / "a.lmdb", shipped)
    assert [path.name for path in tmp_path.iterdir()] == ["a.lmdb"]
    back, rejected = read(tmp_path / "a.lmdb")
    assert not rejected
    assert len(back) == len(shipped)
    for group in {structure.group for structure in shipped}:
        pairs = zip([s for s in back if s.group == group], [s for s in shipped if s.group == group], strict=True)
        for got, wanted in pairs:
            assert got.labels == ("energy", "forces")
            assert np.array_equal(got.numbers, wanted.numbers)
            assert_close(got.positions, wanted.positions, 0.0, "positions")
            assert_close(got.energy, wanted.energy, 1e-15 * abs(wanted.energy or 0) * 4, "energy")
            assert_close(got.forces, wanted.forces, 1e-14 * np.abs(wanted.forces).max(), "forces")


def test_labels_and_units(tmp_path: Path):
    record = {"pm3": None, "hf": [step(1)], "DFT_1st": [step(2, charge=8.0), step(3)], "DFT_2nd": None}
    (first, second), _ = read(database(tmp_path / "a.lmdb", {"000000962": record}))
    assert first.group == second.group == "000000962"
    assert first.numbers.tolist() == [8, 1, 1]
    assert_close(first.energy, -78 * HARTREE, 1e-12, "energy")
    row = record["DFT_1st"][0]["gradient"][1]
    assert first.forces is not None
    assert_close(first.forces[1], [-row[x] * HARTREE / BOHR for x in ("dx", "dy", "dz")], 1e-13, "forces")
    assert_close(second.positions[2, 1], record["DFT_1st"][1]["coordinates"][2]["y"], 0.0, "positions of SMASH")


BAD: dict[str, tuple[Callable[[dict[str, Any]], Any], str]] = {
    "no energy": (lambda s: s.update(energy=None), "missing"),
    "no gradient": (lambda s: s.pop("gradient"), "missing"),
    "empty gradient": (lambda s: s.update(gradient=[]), "missing"),
    "no coordinates": (lambda s: s.update(coordinates=None), "missing"),
    "energy is NaN": (lambda s: s.update(energy=float("nan")), "not finite"),
    "position is infinite": (lambda s: s["coordinates"][1].update(x=float("inf")), "not finite"),
    "gradient is NaN": (lambda s: s["gradient"][2].update(dz=float("nan")), "not finite"),
    "stars of Fortran": (lambda s: s["gradient"][2].update(dz="********"), "number is missing"),
    "too large for a float": (lambda s: s.update(energy=10**400), "number is missing"),
    "an array for a number": (lambda s: s.update(energy=np.zeros(2)), "number is missing"),
    "an array for a list": (lambda s: s.update(gradient=np.zeros((3, 3))), "missing"),
    "a coordinate is missing": (lambda s: s["coordinates"][0].pop("z"), "number is missing"),
    "cut off": (lambda s: (s["coordinates"].pop(), s["gradient"].pop()), "cut off"),
    "gradient cut off": (lambda s: s["gradient"].pop(), "differ"),
    "atoms exchanged": (lambda s: s["coordinates"].reverse(), "differ"),
    "gradient exchanged": (lambda s: s["gradient"].reverse(), "differ"),
    "atoms coincide": (lambda s: s["coordinates"][1].update(s["coordinates"][0], atom="H"), "same place"),
    "atoms without names": (lambda s: s["coordinates"][0].pop("atom"), "missing"),
}


@pytest.mark.parametrize("name", BAD)
@pytest.mark.parametrize("place", [0, 1, 2], ids=["first", "middle", "last"])
def test_a_bad_step_is_left_out_and_the_others_are_right(name: str, place: int):
    spoil, reason = BAD[name]
    steps = [step(seed) for seed in range(3)]
    spoil(steps[place])
    found, rejected = read_steps({"DFT_1st": steps}, ["DFT_1st"], "g")
    assert [round((s.energy or 0) / HARTREE) for s in found] == [-76 - n for n in range(3) if n != place]
    assert [(reason in why, number) for why, number in rejected.items()] == [(True, 1)]


@pytest.mark.parametrize("other", ["not a step", None, 3, [], {}])
def test_a_step_that_is_something_else(other: Any):
    found, rejected = read_steps({"DFT_1st": [step(), other]}, ["DFT_1st"], "g")
    assert (len(found), sum(rejected.values())) == (1, 1)


def test_an_unknown_element_is_no_atom():
    bad = deepcopy(step())
    for rows in (bad["coordinates"], bad["gradient"]):
        rows[0]["atom"] = "X"
    found, rejected = read_steps({"DFT_1st": [bad]}, ["DFT_1st"], "g")
    assert (found, dict(rejected)) == ([], {"unknown element": 1})


def test_symbols_in_capitals():
    upper = deepcopy(step())
    for rows in (upper["coordinates"], upper["gradient"]):
        rows[0]["atom"] = "CL"
    assert read_steps({"DFT_1st": [upper]}, ["DFT_1st"], "g")[0][0].numbers.tolist() == [17, 1, 1]


def test_a_duplicate_of_hartree_fock_is_no_dft(tmp_path: Path):
    records = {
        "1": {"pm3": [step(0)], "hf": [step(1)], "DFT_1st": None, "DFT_2nd": [step(2)]},
        "2": {"pm3": [step(3)], "hf": [step(4)], "DFT_1st": [step(5)]},
    }
    path = database(tmp_path / "a.lmdb", records)
    first, rejected = read(path)
    assert ([s.group for s in first], rejected) == (["2"], {"no DFT_1st": 1})
    both, rejected = read(path, ["DFT_1st", "DFT_2nd"])
    assert ([s.group for s in both], rejected) == (["1", "2"], {"no DFT_1st": 1, "no DFT_2nd": 1})


def test_damaged_and_hostile_records_are_counted(tmp_path: Path):
    class Hostile:
        def __reduce__(self):
            return Path.touch, (tmp_path / "pwned",)

    good = {stage: [step(n) for n in range(2)] for stage in STAGES}
    whole = gzip.compress(pickle.dumps(good))
    records = {"1": good, "2": b"", "3": whole[:-20], "4": b"text", "5": {"DFT_1st": [Hostile()]}, "6": [good]}
    found, rejected = read(database(tmp_path / "a.lmdb", records))
    assert (len(found), found[1].group) == (2, "1")
    assert rejected == {"damaged record": 3, "damaged or unsafe pickle": 2}
    assert not (tmp_path / "pwned").exists()


@given(st.data())
def test_a_flipped_bit_is_found(data: st.DataObject):
    record = {"DFT_1st": [step()]}
    content = bytearray(gzip.compress(pickle.dumps(record), mtime=0))
    # the checksum covers neither the ten bytes of the header nor unused bits at the end, before the trailer of eight
    place = data.draw(st.integers(10, len(content) - 1).filter(lambda place: place != len(content) - 9))
    content[place] ^= 1 << data.draw(st.integers(0, 7))
    with pytest.raises(UnusableError):
        read_record(bytes(content))


def test_a_record_that_unpacks_to_too_much_is_refused(monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr("tdn_theory.data.pubchemqcr.LARGEST_RECORD", 1000)
    with pytest.raises(UnusableError, match="too large"):
        read_record(gzip.compress(pickle.dumps({"DFT_1st": "x" * 2000})))


@pytest.fixture
def files(tmp_path: Path) -> list[Path]:
    """Twelve trajectories of 1 to 4 snapshots in two files."""
    rng = np.random.default_rng(0)
    records = {f"{n:03}": {"DFT_1st": [step(10 * n + k) for k in range(rng.integers(1, 5))]} for n in range(12)}
    names = sorted(records)
    return [database(tmp_path / f"{i}.lmdb", {name: records[name] for name in names[i::2]}) for i in range(2)]


def numbers(structures: Iterable[Structure]) -> list[int]:
    """What `step` was given."""
    return [round(-(s.energy or 0) / HARTREE) - 76 for s in structures]


@pytest.mark.parametrize("size", [1, 400, 2**20])
def test_parts_are_ranges_of_keys(files: list[Path], monkeypatch: pytest.MonkeyPatch, size: int):
    wanted = numbers(read(files[0])[0])
    monkeypatch.setattr(pubchemqcr, "PART_BYTES", size)
    parts = PubChemQCRReader().parts(files[0])
    assert sum(count for _, count in parts) == 6
    assert len(parts) == {1: 6, 400: len(parts), 2**20: 1}[size]
    assert numbers(read(files[0])[0]) == wanted
    assert wanted == sorted(wanted)


def trajectories(files: list[Path]) -> Packed:
    return kept.kept(PubChemQCRReader(), files)


def test_what_is_kept_is_what_is_read(files: list[Path]):
    assert numbers(trajectories(files)) == numbers(read(files[0])[0] + read(files[1])[0])


def test_the_split_is_the_released_rule(files: list[Path]):
    whole = trajectories(files)
    keys = list(dict.fromkeys(whole.groups))
    order = list(range(12))
    random.Random(42).shuffle(order)
    parts = split_by_trajectory(whole)
    for part, chosen in zip(parts, (order[:7], order[7:9], order[9:]), strict=True):
        wanted = [s for number in chosen for s in whole if s.group == keys[number]]
        assert numbers(part) == numbers(wanted)
    with refuses(ValueError, "[0.5, 0.2]", "add up to 1"):
        split_by_trajectory(whole, (0.5, 0.2))


@pytest.mark.filterwarnings("ignore:.*fork.*:DeprecationWarning")  # Python's, of any fork of a process with threads
@pytest.mark.parametrize("method", ["fork", "spawn"])
def test_another_process_reads_too(files: list[Path], method: str):
    whole = trajectories(files)
    with get_context(method).Pool(1) as pool:
        assert pool.map(numbers, [whole]) == [numbers(whole)]


def test_bad_requests_are_refused(tmp_path: Path):
    path = database(tmp_path / "a.lmdb", {"1": {"DFT_1st": None}})
    with refuses(ValueError, "DFT_3rd", "DFT_2nd"):
        PubChemQCRReader(("DFT_3rd",))
    with refuses(ValueError, "give some"):
        PubChemQCRReader(())
    with refuses(ValueError, "no usable structure", "no DFT_1st"):
        kept.kept(PubChemQCRReader(), [path])
    with refuses(FileNotFoundError, "b.lmdb"):
        read(tmp_path / "b.lmdb")
    (tmp_path / "c.lmdb").write_bytes(bytes(8192))
    with refuses(ValueError, "c.lmdb", "LMDB"):
        read(tmp_path / "c.lmdb")


@given(st.sampled_from(["no energy", "no forces", "no group", "long group", "periodic"]))
def test_what_has_no_place_in_the_format_is_refused(case: str):
    labels: dict[str, Any] = {"energy": 1.0, "forces": np.zeros((1, 3)), "group": "g"}
    change = {
        "no energy": {"energy": None},
        "no forces": {"forces": None},
        "no group": {"group": ""},
        "long group": {"group": "g" * 512},
        "periodic": {"cell": np.eye(3), "pbc": np.array([True] * 3)},
    }
    structure = Structure(np.array([1]), np.zeros((1, 3)), **labels | change[case])
    with refuses(ValueError, "molecule with energy, forces, and a group"):
        write_pubchemqcr(Path("never"), [structure])


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path):
    """What is missing of it would be read as a bus error, which ends Python; so it is tried in a process of its own."""
    positions = np.array([[0, 0, 0], [0, 0, 0.7]])
    structures = [
        Structure(np.array([1, 1]), positions, energy=-1.0, forces=np.zeros((2, 3)), group=f"{n:05}")
        for n in range(2000)
    ]
    file = tmp_path / "a.lmdb"
    write_pubchemqcr(file, structures)
    whole = file.read_bytes()
    script = """
import sys
from pathlib import Path
from tdn_theory.data.pubchemqcr import PubChemQCRReader

try:
    PubChemQCRReader().parts(Path(sys.argv[1]))
except ValueError as error:
    print(error)
"""
    for share in (0.3, 0.6, 0.95):
        file.write_bytes(whole[: int(share * len(whole))])
        done = subprocess.run([sys.executable, "-c", script, str(file)], capture_output=True, text=True, check=True)
        assert "cut off" in done.stdout, done
    file.write_bytes(whole)
    assert len(read(file)[0]) == 2000


def test_a_step_repeated_without_end_is_refused():
    step = {"coordinates": [], "gradient": [], "energy": 0.0}
    found, rejected = read_steps({"DFT_1st": [step] * 200_000}, ("DFT_1st",), "a")
    assert (found, list(rejected)) == ([], ["more than 100000 steps"])


def test_an_energy_is_a_number():
    atom = {"atom": "H", "x": 0.0, "y": 0.0, "z": 0.0, "dx": 0.0, "dy": 0.0, "dz": 0.0}
    step = {"coordinates": [atom], "gradient": [atom], "energy": True}
    found, rejected = read_steps({"DFT_1st": [step]}, ("DFT_1st",), "a")
    assert (found, list(rejected)) == ([], ["a number is missing"])
