"""TAB5 and TAB9: equal training of tiny networks, what is absent is said, figures read the records."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from tdn_theory import checkout
from tdn_theory.evidence import Training
from tdn_theory.experiments.comparisons import TAB5, TAB9, exchanged_products, other_networks
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tests.assertions import refuses


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Of TAB5 at its smallest size, where the packages of other networks are not installed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchanged_products, "interpreter", lambda network: None)
        jobs = Jobs(tmp_path_factory.mktemp("jobs"), workers=2)
        size = exchanged_products.SIZES[Preset.SMALLEST]
        assert TAB9.run(size, 0, jobs)["absent"] == ["NequIP", "MACE"]
        yield json.loads(json.dumps(TAB5.run(size, 0, jobs)))


def test_record(values):
    assert values["absent"] == ["NequIP"]
    (pace,) = values["pace"]
    products = exchanged_products.TDN
    assert pace["minutes_per_epoch"].keys() == pace["parameters"].keys() == products.keys()
    assert pace["parameters"]["e3nn paths"] == pace["parameters"]["fused paths"] > pace["parameters"]["exact"]
    assert all(len(times) == 1 for times in pace["seconds_per_step"].values())
    rows = {row["product"]: row for row in values["learned"]}
    assert rows.keys() == set(TAB5.CHOICE["TDN"])
    assert Training.of(values["learned"]) == Training(seeds=1, fall=None, unseen=True)
    for row in rows.values():
        assert row["structures"] == rows["CP"]["structures"]
        assert len(row["validation"]) == row["epochs"] == 1
        assert row["test"]["forces_rmse"]["value"] > 0
    errors = {product: row["rotation"]["forces_rotation"]["value"] for product, row in rows.items()}
    assert max(errors["e3nn paths"], errors["exact"]) < 1e-10 < 1e-4 < errors["CP"]


def test_figure_draws_the_record(values):
    for name in ("TAB5", "TAB9"):
        figure = checkout.load("figures", name).plot({"values": values})
        assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)


def test_a_missing_package_is_said(monkeypatch):
    monkeypatch.setattr(other_networks, "find_spec", lambda package: None)
    monkeypatch.setattr(other_networks, "interpreter", lambda network: None)
    with refuses(ImportError, "NequIP", ".venv-nequip", "Makefile"):
        exchanged_products.pace("NequIP", ["CP"], {}, 1, None, 0, "cpu")
