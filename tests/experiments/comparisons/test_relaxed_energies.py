"""TAB2, TAB3: energies of relaxed catalysts are learnt by all alike, tested on what is new, drawn; absent is told."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import matplotlib.pyplot
import numpy as np
import pytest

from tdn_theory import checkout
from tdn_theory.data.catalyst_splits import adsorbate, composition
from tdn_theory.data.packed import pack
from tdn_theory.data.structure import Structure
from tdn_theory.evidence import Training
from tdn_theory.experiments.comparisons import TAB2, relaxed_energies
from tdn_theory.experiments.comparisons.pretrained_features import PRETRAINED, features, fit_features
from tdn_theory.experiments.comparisons.task import TDN
from tdn_theory.experiments.potentials.fitting import TINY
from tdn_theory.jobs import Jobs
from tdn_theory.paper import OC20
from tdn_theory.preset import Preset
from tdn_theory.so3.rotation import haar_rotations
from tests.data.reference import catalyst

pytestmark = [
    # torch_geometric compiles when it is imported
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]

PARTS = ("id", "ood_ads", "ood_cat", "ood_both")


@pytest.fixture(scope="module")
def values(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict]:
    """Of TAB2 at its smallest size, with an absent source, where only Equiformer is installed of the others."""
    with pytest.MonkeyPatch.context() as patch:
        here = {"Equiformer": Path("python")}
        patch.setattr(relaxed_energies, "interpreter", here.get)
        patch.setattr(relaxed_energies, "pretrained_installed", lambda: False)
        patch.setenv("TDN_THEORY_CATALYSTS", str(tmp_path_factory.mktemp("empty")))
        size = replace(TAB2.STUDY.sizes[Preset.SMALLEST], sources=("surfaces", "DFT"))
        yield json.loads(json.dumps(TAB2.run(size, 0, Jobs(tmp_path_factory.mktemp("jobs"))), allow_nan=False))


def test_the_record(values: dict):
    assert values["absent"] == ["SchNet", "NequIP", PRETRAINED, "DFT"]
    assert values["paper"] == json.loads(json.dumps({k: {m: dict(v) for m, v in r.items()} for k, r in OC20.items()}))
    assert [run["model"] for run in values["networks"]] == [*TDN, "Equiformer"]
    assert Training.of(values["networks"]) == Training(seeds=1, fall=None, unseen=True)
    for run in values["networks"]:
        assert run["structures"] == dict.fromkeys(("train", *PARTS), 12)
        assert len(run["validation"]) == run["epochs"] == 1
        assert run["constants"] == values["networks"][0]["constants"]
        assert run["validation"][0] == pytest.approx(run["test"]["id"]["system_energy_mae"]["value"], rel=1e-4)
    assert [row["model"] for row in values["summary"]] == [*TDN, "Equiformer"]
    config = values["config"]["surfaces"]
    assert config["model"]["channels"] == TINY["channels"]
    assert (config["model"]["forces"], config["reference"]["kind"]) == ("none", "mean")
    assert (config["optimizer"]["weight_decay"], config["schedule"]["kind"]) == (1e-3, "cosine")


@pytest.mark.parametrize("parts", [PARTS, ("id", "ood_cat")])
def test_the_figure(values: dict, parts: tuple[str, ...]):
    def only(row: dict) -> dict:
        return {**row, **{key: {part: row[key][part] for part in parts} for key in ("mae", "EwT")}}

    summary = [only(row) for row in values["summary"]]
    figure = checkout.load("figures", "TAB2" if parts == PARTS else "TAB3").plot(
        {"values": {**values, "summary": [*summary, *({**row, "source": "DFT"} for row in summary)]}}
    )
    assert len(figure.axes) == 6
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)
    matplotlib.pyplot.close(figure)


def test_the_parts():
    sets = relaxed_energies.parts("surfaces", None, seed=3)
    assert sum(map(len, sets.values())) == 500
    known = [{name(s) for s in sets["train"]} for name in (adsorbate, composition)]
    for part, new in {"id": (0, 0), "ood_ads": (1, 0), "ood_cat": (0, 1), "ood_both": (1, 1)}.items():
        for structure in sets[part]:
            names = adsorbate(structure), composition(structure)
            assert [name not in own for name, own in zip(names, known, strict=True)] == list(map(bool, new))
    assert {s.sid for s in relaxed_energies.parts("surfaces", None, seed=4)["id"]} != {s.sid for s in sets["id"]}


def systems(count: int) -> list[Structure]:
    """With total energies that are sums over atoms, up to what an adsorbate's height adds."""
    of_element = {29: -100.0, 8: -20.0, 1: -1.0}
    found = []
    for k in range(count):
        own = catalyst(k)
        numbers = own.numbers.copy()
        numbers[0] = (29, 8)[k % 2]
        energy = sum(of_element[z] for z in numbers) + 0.1 * own.positions[3, 2]
        found.append(replace(own, numbers=numbers, energy=energy, forces=None, group=str(k)))
    return found


@pytest.mark.parametrize("model", ["TDN, CP as released", "SchNet"])
def test_what_is_learnt(model: str, monkeypatch: pytest.MonkeyPatch):
    """Of total energies constants per element are subtracted; the rest is learnt, and given back in eV per system."""
    if model == "SchNet":
        pytest.importorskip("torch_geometric", reason="needs the extra schnet")
    own = pack(systems(8))
    heights = 0.1 * np.array([s.positions[3, 2] for s in own])
    monkeypatch.setattr(relaxed_energies, "parts", lambda *_: {"train": own, "id": own, "ood_cat": own})
    run = relaxed_energies.learn(model, "oxides", 0, 30, {**TINY, "channels": 8}, None, "cpu", "")
    kinds = np.array([s.numbers[0] for s in own])
    residual = heights - np.array([heights[kinds == kind].mean() for kind in kinds])
    assert run["constants"]["ood_cat"] == pytest.approx(np.abs(residual).mean(), rel=1e-6)
    found = run["test"]["ood_cat"]["system_energy_mae"]["value"]
    assert found < 0.8 * run["constants"]["ood_cat"]
    assert found == pytest.approx(run["validation"][-1], rel=1e-3)
    assert run["validation"][-1] < 0.8 * run["validation"][0]


def test_features_of_a_pretrained_potential():
    """Turned, the features stay; an energy that is linear in what varies most in them is found again."""
    pytest.importorskip("sevenn", reason="needs the extra sevenn")
    own = relaxed_energies.relaxed_energies("surfaces")[::25]
    found = features(own)
    R = haar_rotations(1, np.random.default_rng(0))[0]
    turned = [replace(s, positions=s.positions @ R.T, cell=None if s.cell is None else s.cell @ R.T) for s in own]
    np.testing.assert_allclose(features(turned), found, atol=1e-4 * np.abs(found).max())
    energies = found @ np.linalg.svd(found - found.mean(0))[2][0]
    fitted = fit_features((own, energies), {"id": (own, energies)})
    error = fitted["test"]["id"]["system_energy_mae"]["value"]
    assert error < 0.05 * np.abs(energies - energies.mean()).mean()


def test_the_summary():
    def run(seed: int, errors: list[float]) -> dict:
        metric = {"standard_error": 3.0, "unit": ""}
        test = {
            part: {"system_energy_mae": {"value": e, **metric}, "EwT": {"value": 10 * e, **metric}}
            for part, e in zip(("id", "ood_cat"), errors, strict=True)
        }
        return {"source": "s", "model": "m", "seed": seed, "test": test, "constants": {"id": 1.0, "ood_cat": 3.0}}

    (one,) = relaxed_energies.summarize([run(0, [1.0, 2.0])])
    assert one["mae"]["mean"] == {"mean": 1.5, "standard_error": pytest.approx(3 / 2**0.5), "seeds": 1}
    (two,) = relaxed_energies.summarize([run(0, [1.0, 2.0]), run(1, [2.0, 4.0])])
    assert two["mae"]["id"] == {"mean": 1.5, "standard_error": pytest.approx(0.5), "seeds": 2}
    assert two["EwT"]["mean"] == {"mean": 22.5, "standard_error": pytest.approx(7.5), "seeds": 2}
    assert two["constants"] == 2.0
