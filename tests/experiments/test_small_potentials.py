"""The small potentials are trained alike, and what is not there is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tdn_theory.experiments import small_potentials
from tests.assertions import refuses


def test_mean_and_error() -> None:
    assert small_potentials.mean_and_error([1.0, 2.0, 3.0]) == {
        "mean": 2.0,
        "standard_error": pytest.approx(1 / np.sqrt(3)),
        "seeds": 3,
    }
    assert small_potentials.mean_and_error([4.0])["standard_error"] is None


def test_systems_that_are_not_there_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: dict[str, Any]
) -> None:
    monkeypatch.setenv(small_potentials.RMD17, str(tmp_path))
    assert small_potentials.present(small_potentials.SYSTEMS) == ["relaxations"]
    table = small_potentials.settings("ethanol", tiny, 0, "cpu")
    with refuses(FileNotFoundError, "ethanol_train_01.xyz", "set $TDN_THEORY_RMD17"):
        small_potentials.fit(table, 1)
    (tmp_path / "ethanol_train_01.xyz").touch()
    assert small_potentials.configuration(table).data.files == (str(tmp_path / "ethanol_train_01.xyz"),)
    empty = small_potentials.inputs("ethanol", {"lmax": 1, "method": "cp", "rank": 7})
    (tmp_path / "ethanol_train_01.xyz").write_text("changed")
    changed = small_potentials.inputs("ethanol", {"lmax": 1, "method": "exact", "rank": None})
    assert empty["data"] != changed["data"]
    assert changed["solution"] is None is not empty["solution"]
    assert small_potentials.present(small_potentials.SYSTEMS) == ["relaxations", "ethanol"]


@pytest.mark.usefixtures("few")
def test_all_products_train_alike(tiny: dict[str, Any]) -> None:
    """On the same structures; they come back in double precision, and know their number of terms."""
    parts = []
    for product in small_potentials.products(1, (3,)):
        table = small_potentials.settings("relaxations", {**tiny, **product, "forces": "direct"}, 1, "cpu")
        model, splits = small_potentials.fit(table, 3)
        parts.append((len(splits.train), splits.test[0].group))
        assert next(model.parameters()).dtype == torch.float64
        assert small_potentials.terms(model) == {"cp": 3, "cubature": 6, "exact": 8}[product["method"]]
    assert len(set(parts)) == 1
