"""What is wrong with data is said before the first step."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from rich.console import Console

from tdn_theory.data.structure import Structure
from tdn_theory.data.summary import summary
from tdn_theory.testing.assertions import assert_close
from tdn_theory.training import loop
from tdn_theory.training.config import DataConfig
from tdn_theory.training.data_checks import describe
from tdn_theory.training.reference import energy_per_element
from tdn_theory.training.sources import Splits, load
from tests.assertions import refuses
from tests.training.conftest import SPLITS, atoms, springs


def test_a_term_without_any_label_is_refused(configure):
    loss = {"energy": {"weight": 1.0}, "stress": {"weight": 10.0}}
    with refuses(ValueError, "[loss.stress]", "energy, forces", "data.stress_key"):
        loop.train(configure(loss=loss))


@pytest.mark.parametrize("name", ["validation", "test"])
def test_a_set_that_cannot_be_used_is_found_before_the_first_step(configure, monkeypatch, name):
    strange = atoms([47], [[0, 0, 0]], energy=-1.0, forces=[[0, 0, 0]], group="silver")
    splits = Splits(**{**vars(SPLITS), name: [*getattr(SPLITS, name), strange]})
    monkeypatch.setattr(loop, "load", lambda config, say: splits)
    monkeypatch.setattr(loop._Run, "_step", lambda *_: pytest.fail("it began"))
    with refuses(ValueError, f"the {name} set", "Ag", "H, C, O"):
        loop.train(configure())


@pytest.mark.parametrize("name", ["train", "validation", "test"])
def test_atoms_at_the_same_place_are_found_before_the_first_step(configure, monkeypatch, name):
    twice = atoms([1, 6, 8], [[0, 0, 0], [0, 0, 1], [0, 0, 1]], energy=-1.0, forces=[[0, 0, 0]] * 3)
    splits = Splits(**{**vars(SPLITS), name: [*getattr(SPLITS, name), twice]})
    monkeypatch.setattr(loop, "load", lambda config, say: splits)
    monkeypatch.setattr(loop._Run, "_step", lambda *_: pytest.fail("it began"))
    with refuses(ValueError, f"structure {len(getattr(SPLITS, name))} of the {name} set", "CHO", "same place"):
        loop.train(configure())


def test_other_structures_of_the_same_number_are_another_run(configure, monkeypatch):
    loop.train(configure())
    permuted = Splits([SPLITS.train[1], SPLITS.train[0], *SPLITS.train[2:]], SPLITS.validation, SPLITS.test)
    monkeypatch.setattr(loop, "load", lambda config, say: permuted)
    with refuses(ValueError, "of another run", "training set is"):
        loop.train(configure())


def test_another_name_or_test_set_is_the_same_run(configure, monkeypatch):
    config = configure()
    loop.train(config)
    monkeypatch.setattr(loop, "load", lambda config, say: Splits(SPLITS.train, SPLITS.validation, SPLITS.test[:2]))
    data = {"source": "extxyz", "files": ["b.xyz"], "test_files": ["c.xyz"]}
    same = {**data, "files": ["a.xyz"]}
    assert configure(data=data).what() == configure(data=same).what()
    assert loop.train(config)["structures"]["test"] == 2


def test_what_the_sets_hold_is_printed(configure):
    console = Console(record=True, width=120)
    loop.train(configure(), console)
    text = console.export_text()
    assert "structures: train 12, validation 5, test 4" in text
    assert "12 structures in 12 groups, 3 to 4 atoms" in text
    assert "forces: 12 of 12" in text


def test_the_summary_counts_and_measures():
    first, *rest = springs(6)
    again = Structure(first.numbers, first.positions, energy=0.0, group="again")
    found = summary([first, *rest, again])
    assert (found.structures, found.groups, found.duplicates, found.periodic) == (7, 7, 1, 0)
    assert found.labels["energy"][0] == 7
    assert found.labels["forces"][0] == 6
    distances = [
        np.linalg.norm(s.positions[a] - s.positions[b]) for s in [first, *rest] for a in range(len(s)) for b in range(a)
    ]
    assert found.nearest == pytest.approx(min(distances))
    assert found.elements == {
        name: sum(z in s.numbers for s in [first, *rest, again]) for name, z in (("H", 1), ("C", 6), ("O", 8))
    }


def test_what_looks_wrong_is_said():
    good = springs(8)
    assert summary(good, cutoff=4.0).warnings == ()
    assert any("within the cutoff" in warning for warning in summary(good, cutoff=0.5).warnings)
    absurd = Structure(good[0].numbers, good[0].positions, energy=1e6, group="absurd")
    assert any("off constants per element" in warning for warning in summary([*good, absurd]).warnings)
    scaled = [replace(s, forces=1e3 * s.forces) for s in good]
    assert any("forces reach" in warning for warning in summary(scaled).warnings)
    told = describe(Splits(good, good[:1], []), DataConfig("relaxations"), (1, 6, 8, 47), 4.0)
    assert "no training structure has Ag" in told
    assert "the test set where data.test says 10 %" in told


def test_isolated_atoms_set_the_energies_of_elements_and_are_in_no_set(tmp_path):
    lone = "1\nProperties=species:S:1:pos:R:3 E={} config_type=IsolatedAtom\n{} 0 0 0\n"
    frames = [lone.format(-13.0, "H"), lone.format(-2000.0, "O")]
    for number in range(10):
        frames.append(f"2\nProperties=species:S:1:pos:R:3 E={-2020.0 - number}\nO 0 0 0\nH 0 0 {1 + number / 20}\n")
    (tmp_path / "a.xyz").write_text("".join(frames))
    keys = {"energy_key": "E", "energy_unit": "eV", "length_unit": "Angstrom", "split": "structure"}
    found = load(DataConfig("extxyz", (str(tmp_path / "a.xyz"),), **keys))
    assert found.atom_energies == {1: -13.0, 8: -2000.0}
    assert sum(map(len, (found.train, found.validation, found.test))) == 10
    assert all(len(structure) == 2 for part in (found.train, found.validation, found.test) for structure in part)
    given = load(DataConfig("extxyz", (str(tmp_path / "a.xyz"),), atom_energies={"H": -14.0}, **keys))
    assert given.atom_energies == {1: -14.0, 8: -2000.0}


def test_known_energies_of_elements_stay_and_the_others_are_fitted():
    structures = springs(12)
    free = energy_per_element(structures, (1, 6, 8))
    known = energy_per_element(structures, (1, 6, 8), {1: -5.0})
    assert known[0] == -5.0
    left = []
    for s in structures:
        kept = s.numbers != 1
        left.append(Structure(s.numbers[kept], s.positions[kept], energy=s.energy + 5.0 * (~kept).sum()))
    assert_close(known[1:], energy_per_element(left, (6, 8)), 1e-6, "others")
    assert abs(free[0] + 13.6) < 1
    with refuses(ValueError, "Xx", "eV by element"):
        DataConfig("relaxations", atom_energies={"Xx": 1.0})
