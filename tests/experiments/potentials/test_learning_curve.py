"""Trainings on more and more molecules: none that tests was trained on, and the study runs at its smallest size."""

import json
from pathlib import Path

import pytest

from tdn_theory.data.archive import read_archive
from tdn_theory.experiments.potentials import compound_files, learning_curve
from tdn_theory.experiments.potentials.compound_files import Molecules, data_of
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset

for package in ("chemicals", "rdkit", "tblite"):
    pytest.importorskip(package, reason="needs the extras make-data and gfn2")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(compound_files, "CACHE", tmp_path / "molecules")


def groups(kind, count):
    """Of the structures that train, validate and test."""
    data = data_of(kind, count)
    files = (*data.files, *data.validation_files, *data.test_files)
    return [{structure.group for structure in read_archive(Path(file))} for file in files]


def test_more_compounds_contain_the_fewer_and_the_same_ones_test():
    kind = Molecules(8, 2, validation=3, test=4)
    few, more = (groups(kind, count) for count in (5, 25))
    assert few[1:] == more[1:]
    assert few[0] < more[0]
    assert [len(part) for part in more] == [25, 3, 4]
    assert len(set.union(*more)) == 25 + 3 + 4


def test_the_study_at_its_smallest_size(tmp_path):
    record = json.loads(json.dumps(learning_curve.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    few, more = record["values"]["rows"]
    assert (few["compounds"], more["compounds"]) == (40, 60)
    assert few["training_structures"] < more["training_structures"]
    assert few["test_structures"] == more["test_structures"]
    assert few["split"] == "group"
    assert more["test"]["energy_mae"]["groups"] == 5
