"""TAB5 and TAB9: equal training of tiny networks, what is absent is said, verdicts and figures read the records."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tdn_theory import checkout
from tdn_theory.experiments.comparisons import TAB5
from tdn_theory.experiments.comparisons import TAB9
from tdn_theory.experiments.comparisons import common_task as equal_training
from tdn_theory.experiments.comparisons import other_networks
from tdn_theory.experiments.comparisons import product_exchange as replaced_products
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.training.config import DataConfig
from tdn_theory.training.sources import Splits, load
from tdn_theory.verdict import Outcome
from tests.assertions import refuses

TINY = {"lmax": 1, "channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "forces": "direct"}


def few(config: DataConfig) -> Splits:
    """Some structures of each set."""
    whole = load(config)
    return Splits(whole.train[:80], whole.validation[:2], whole.test[:4])


@pytest.fixture(scope="module")
def record(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Of TAB5 where the packages of other networks are not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(peers, "interpreter", lambda peer: None)
        patch.setattr(replaced_products, "SIZE", TINY)
        patch.setattr(replaced_products, "QUICK_CHANNELS", 4)
        patch.setitem(replaced_products.EPOCHS, Preset.QUICK, 1)
        patch.setattr(equal_training, "load", few)
        jobs = Jobs(tmp_path_factory.mktemp("units"), workers=2)
        values = json.loads(json.dumps(TAB5.run(Preset.QUICK, 0, units)))
        assert TAB9.run(Preset.QUICK, 0, units)["absent"] == ["NequIP", "MACE"]
        yield {"values": values, "provenance": {}}


def test_record(record):
    values = record["values"]
    assert values["absent"] == ["NequIP"]
    (pace,) = values["pace"]
    assert pace["minutes_per_epoch"].keys() == pace["parameters"].keys() == replaced_products.TDN.keys()
    assert pace["parameters"]["e3nn paths"] == pace["parameters"]["fused paths"] > pace["parameters"]["exact"]
    assert all(len(times) == 3 for times in pace["seconds_per_step"].values())
    rows = {row["product"]: row for row in values["learned"]}
    assert rows.keys() == set(TAB5.CHOICE["TDN"])
    for row in rows.values():
        assert row["structures"] == rows["CP"]["structures"]
        assert row["test"]["forces_rmse"]["value"] > 0
    errors = {product: row["rotation"]["forces_rotation"]["value"] for product, row in rows.items()}
    assert max(errors["e3nn paths"], errors["exact"]) < 1e-10 < 1e-4 < errors["CP"]


def test_figure_draws_the_record(record):
    for name in ("TAB5", "TAB9"):
        figure = checkout.load("figures", name).plot(record)
        assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)


def test_a_verdict_needs_all_networks(record, monkeypatch):
    claim = checkout.load("paper_checks", "TAB5")
    monkeypatch.setattr(claim, "figure_record", lambda name: record)
    verdict = claim.check(Preset.QUICK, 0)
    assert verdict.outcome is Outcome.UNDECIDED
    assert "NequIP" in verdict.summary


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setattr(peers, "find_spec", lambda package: None)
    monkeypatch.setattr(peers, "interpreter", lambda peer: None)
    with refuses(ImportError, "NequIP", ".venv-nequip", "Makefile"):
        replaced_products.pace("NequIP", ["CP"], {}, 1, 0)
