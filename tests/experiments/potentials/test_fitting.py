"""The small potentials are trained alike, on molecules that are not tested on, and what is not there is left out."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from tdn_theory.experiments.potentials import fitting
from tdn_theory.experiments.potentials.fitting import TINY, configuration, fit, inputs, load_some, products, terms
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses


def test_systems_that_are_not_there_are_left_out(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(fitting.RMD17, str(tmp_path))
    assert fitting.present(fitting.SYSTEMS) == ["relaxations"]
    with refuses(FileNotFoundError, "ethanol_train_01.xyz", "set $TDN_THEORY_RMD17"):
        configuration("ethanol", TINY, 0, "cpu")
    file, test = (tmp_path / f"ethanol_{part}_01.xyz" for part in ("train", "test"))
    file.touch()
    assert fitting.present(fitting.SYSTEMS) == ["relaxations"]
    test.touch()
    found = configuration("ethanol", TINY, 0, "cpu")
    assert (found.data.files, found.data.test_files) == ((str(file),), (str(test),))
    assert (found.data.split, found.batch_size) == ("structure", 8)
    empty = inputs("ethanol", {"lmax": 1, "method": "cp", "rank": 7})
    file.write_text("changed")
    changed = inputs("ethanol", {"lmax": 1, "method": "exact", "rank": None})
    assert empty["data"] != changed["data"]
    assert changed["solution"] is None is not empty["solution"]
    assert fitting.present(fitting.SYSTEMS) == ["relaxations", "ethanol"]


def test_no_molecule_is_in_two_parts() -> None:
    """And some of a part are spread over it."""
    data = configuration("relaxations", TINY, 3, "cpu").data
    whole, some = load_some(data, None), load_some(data, 5)
    groups = [{s.group for s in part} for part in (whole.train, whole.validation, whole.test)]
    assert [len(own) > 0 for own in groups] == [True] * 3
    assert len(set.union(*groups)) == sum(map(len, groups))
    assert [some.train[k].energy for k in (0, -1)] == [whole.train[k].energy for k in (0, -1)]
    assert [len(part) for part in (some.train, some.validation, some.test)] == [5, 5, 5]


def test_all_products_train_alike() -> None:
    """On the same structures; they come back in double precision, know their terms, and what evidence is read from."""
    rows = []
    for product in products(1, (3,)):
        config = configuration("relaxations", {**TINY, **product, "forces": "direct"}, 1, "cpu")
        found = fit(config, 9, structures=24)
        assert next(found.potential.parameters()).dtype == torch.float64
        assert terms(found.potential) == {"cp": 3, "cubature": 6, "exact": 8}[product["method"]]
        assert len(found.validation) == 4  # nine steps are four epochs and a half, of two steps each
        rows.append(found.row())
    assert {(row["seed"], row["split"], row["training_structures"]) for row in rows} == {(1, "group", 24)}
    assert len({tuple(row["validation"]) for row in rows}) == 3


def test_constants_per_element() -> None:
    """Their error where all energies are those of the constants is none."""
    found = fit(configuration("relaxations", {**TINY, "lmax": 1}, 0, "cpu"), 1, structures=24)
    constants = dict(zip(found.potential.config.elements, found.potential.shifts.tolist(), strict=True))
    shifted = found.splits.test[:2]
    exact = [type(s)(s.numbers, s.positions, energy=sum(constants[int(z)] for z in s.numbers)) for s in shifted]
    assert_close(found.rmse_of_constants(exact), 0.0, 1e-6, "rmse_of_constants")
    off = [type(s)(s.numbers, s.positions, energy=s.energy + 0.003 * len(s)) for s in exact]
    assert_close(found.rmse_of_constants(off), 3.0, 1e-6, "rmse_of_constants, 3 meV/atom off")
