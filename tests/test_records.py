"""Records: a run's own first, the committed ones else."""

import json
from pathlib import Path

import pytest

from tdn_theory.records import Record, Records
from tests.assertions import refuses

PROVENANCE = {"time": "2026-11-22T10:00:00+00:00", "device": "a processor", "commit": "c", "seed": 0, "versions": {}}


def write(folder: Path, study: str, **values: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    content = {"id": study, "preset": "quick", "provenance": PROVENANCE, "values": values}
    file = folder / f"{study}.json"
    file.write_text(json.dumps(content))
    return file


def test_the_first_folder_that_has_a_record_counts(tmp_path: Path):
    own, committed = tmp_path / "own", tmp_path / "committed"
    write(own, "F2", n=1)
    write(committed, "F2", n=2)
    write(committed, "F3a", n=3)
    records = Records(own, committed)
    assert {study: record.values["n"] for study, record in records.items()} == {"F2": 1, "F3a": 3}
    assert len(records) == 2
    assert len(Records(tmp_path / "absent", committed)) == 2
    with pytest.raises(KeyError):
        records["T1"]


def test_a_record_says_where_it_is_from(tmp_path: Path):
    assert Record.read(write(tmp_path, "F2")).origin == "record of 2026-11-22 on a processor, quick"


def test_what_is_no_record_is_told(tmp_path: Path):
    file = tmp_path / "F2.json"
    file.write_text('{"id": "F2"}')
    with refuses(ValueError, str(file), "preset"):
        Record.read(file)
