"""Trainings on more and more molecules: none that tests was trained on, and the study runs at its smallest size."""

import json

import pytest

from tdn_theory.data.kept import kept
from tdn_theory.data.pubchemqcr import PubChemQCRReader
from tdn_theory.experiments.potentials import learning_curve
from tdn_theory.experiments.potentials.learning_curve import Molecules, _files
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset

for package in ("chemicals", "rdkit", "tblite", "lmdb"):
    pytest.importorskip(package, reason="needs the extras make-data, gfn2 and lmdb")


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setattr(learning_curve, "CACHE", tmp_path / "molecules")


def groups(file):
    return set(kept(PubChemQCRReader(), [file]).groups)


def test_more_compounds_contain_the_fewer_and_the_same_ones_test():
    kind = Molecules(8, 2, validation=3, test=4)
    few, more = ([groups(file) for file in _files(kind, count)] for count in (5, 25))
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
