"""The small potentials are trained alike, and what is not there is left out."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch

from tdn_theory.experiments.potentials import setup
from tests.assertions import refuses


def test_systems_that_are_not_there_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, tiny: dict[str, Any]
) -> None:
    monkeypatch.setenv(setup.RMD17, str(tmp_path))
    assert setup.present(setup.SYSTEMS) == ["relaxations"]
    table = setup.settings("ethanol", tiny, 0, "cpu")
    with refuses(FileNotFoundError, "ethanol_train_01.xyz", "set $TDN_THEORY_RMD17"):
        setup.fit(table, 1)
    (tmp_path / "ethanol_train_01.xyz").touch()
    assert setup.configuration(table).data.files == (str(tmp_path / "ethanol_train_01.xyz"),)
    empty = setup.inputs("ethanol", {"lmax": 1, "method": "cp", "rank": 7})
    (tmp_path / "ethanol_train_01.xyz").write_text("changed")
    changed = setup.inputs("ethanol", {"lmax": 1, "method": "exact", "rank": None})
    assert empty["data"] != changed["data"]
    assert changed["solution"] is None is not empty["solution"]
    assert setup.present(setup.SYSTEMS) == ["relaxations", "ethanol"]


@pytest.mark.usefixtures("few")
def test_all_products_train_alike(tiny: dict[str, Any]) -> None:
    """On the same structures; they come back in double precision, and know their number of terms."""
    parts = []
    for product in setup.products(1, (3,)):
        table = setup.settings("relaxations", {**tiny, **product, "forces": "direct"}, 1, "cpu")
        model, splits = setup.fit(table, 3)
        parts.append((len(splits.train), splits.test[0].group))
        assert next(model.parameters()).dtype == torch.float64
        assert setup.terms(model) == {"cp": 3, "cubature": 6, "exact": 8}[product["method"]]
    assert len(set(parts)) == 1
