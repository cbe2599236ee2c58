"""TAB1: networks learn for equal times, here or in the environment of their package; what is recorded and drawn."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from tdn_theory import checkout
from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments import other_process
from tdn_theory.experiments.comparisons import TAB1, other_networks
from tdn_theory.experiments.potentials.fitting import TINY
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tests.assertions import refuses

pytestmark = [
    # torch_geometric compiles when it is imported
    pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning"),
]


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(TAB1, "CACHE", tmp_path / "cache")


WHAT = {"model": "TDN, exact", "seed": 0, "points": 2, "rate": 1.0}
LITTLE = {"points": 2, "rate": 1.0, "network": TINY, "structures": 8, "molecules": None}


@pytest.mark.parametrize(("model", "steps"), [("TDN, exact", 24), ("TDN, CP as released, direct", 4), ("SchNet", 4)])
def test_learning(model: str, steps: int, monkeypatch: pytest.MonkeyPatch):
    """By a clock that goes a second per look at it, so that nothing depends on the machine."""
    if model == "SchNet":
        pytest.importorskip("torch_geometric", reason="needs the extra schnet")
    ticks = iter(range(10**6))
    monkeypatch.setattr(TAB1.time, "process_time", lambda: float(next(ticks)))
    result = json.loads(json.dumps(TAB1.learn(model, 0, float(steps), **LITTLE)))
    assert (result["seconds"], result["steps"], len(result["curve"])) == (steps, steps, 2)
    assert result["structures"] == {"train": 8, "validation": 8, "test": 8}
    assert result["training_structures_per_second"] == TAB1.configuration({}).batch_size
    assert result["test"].keys() >= {"energy_mae", "forces_rmse"}
    error = result["rotation"]["forces_rotation"]["value"]
    assert (error > 1e-6) == ("as released" in model), f"rotation error {error}"
    assert result["parameters"] > 0
    assert (result["package"] is None) == (model in TAB1.MODELS)


def test_the_loss_falls(monkeypatch: pytest.MonkeyPatch):
    """That of the structures that are learnt."""
    ticks = iter(range(10**6))
    monkeypatch.setattr(TAB1.time, "process_time", lambda: float(next(ticks)))
    task = TAB1.Task(TAB1.configuration({**TINY, "channels": 8}), 8)
    learnt = task.splits.train
    task.splits = type(task.splits)(learnt, learnt, learnt)
    training = TAB1._Training({**WHAT, "seconds": 60.0}, task)
    training.run(None)
    first, last = training.state.history
    assert last["loss"] < first["loss"]


def test_a_stopped_training_goes_on_to_the_same_numbers(monkeypatch: pytest.MonkeyPatch):
    def learn(stop: int | None) -> dict:
        ticks, evaluations = iter(range(10**6)), iter(range(10**6))
        monkeypatch.setattr(TAB1.time, "process_time", lambda: float(next(ticks)))

        def evaluate(*arguments, **options):
            if next(evaluations) == stop:
                raise KeyboardInterrupt
            return plain(*arguments, **options)

        monkeypatch.setattr(TAB1, "evaluate", evaluate)
        return TAB1.learn("TDN, exact", 0, 12.0, **{**LITTLE, "points": 3})

    plain = TAB1.evaluate
    whole = learn(None)
    with pytest.raises(KeyboardInterrupt):
        learn(1)
    assert len(list(TAB1.CACHE.iterdir())) == 1
    assert learn(None) == whole
    assert list(TAB1.CACHE.iterdir()) == []


def test_the_rate_of_least_validation_loss_is_taken(monkeypatch: pytest.MonkeyPatch):
    losses = {("A", 0.5): 3.0, ("A", 1.0): 2.0, ("B", 0.5): 1.0, ("B", 1.0): 1.5}
    tried = [{"model": model, "rate": rate, "loss": loss} for (model, rate), loss in losses.items()]
    assert [TAB1._best_rate(model, tried) for model in "ABC"] == [1.0, 0.5, 1.0]
    ticks = iter(range(10**6))
    monkeypatch.setattr(TAB1.time, "process_time", lambda: float(next(ticks)))
    little = {key: value for key, value in LITTLE.items() if key != "points"}
    one, other = (TAB1.attempt("TDN, exact", 0, 6.0, **{**little, "rate": rate}) for rate in (0.5, 2.0))
    assert (one["model"], one["rate"], other["rate"]) == ("TDN, exact", 0.5, 2.0)
    assert one["loss"] != other["loss"]


def test_the_products_are_what_they_say():
    """The first three are exact at L = 1, each by itself; the released one nearly is, at the paper's rank."""
    ranks = {name: factors.rank for name in TAB1.MODELS if (factors := TAB1.factors(name)) is not None}
    assert ranks == {"TDN, CP of the atlas": 7, "TDN, CP as released": 7, "TDN, CP as released, direct": 7}
    released = TAB1.factors("TDN, CP as released")
    assert released is not None
    assert 1e-3 < released.relative_residual(CouplingTensor(1).array) < 0.1


def test_a_network_at_home_elsewhere(monkeypatch: pytest.MonkeyPatch):
    """What the interpreter of another environment prints last is the result; what goes wrong there is told."""
    monkeypatch.setattr(other_networks, "find_spec", lambda package: None)
    with refuses(ImportError, "MACE needs the package mace", ".venv-mace"):
        TAB1.learn("MACE", 0, 1.0, **LITTLE)
    monkeypatch.setattr(other_networks, "interpreter", lambda network: Path("python"))
    seen = {}

    def run(command, **options):
        seen.update(json.loads(options["input"]))
        printed = 'noise\n{"model": "MACE"}\n'
        return other_process.subprocess.CompletedProcess(command, seen["seed"], printed, "no such thing")

    monkeypatch.setattr(other_process.subprocess, "run", run)
    assert TAB1.learn("MACE", 0, 1.0, **LITTLE) == {"model": "MACE"}
    assert seen == {"model": "MACE", "seed": 0, "seconds": 1.0, **LITTLE}
    with refuses(RuntimeError, "learn by python failed", "no such thing"):
        TAB1.learn("MACE", 1, 1.0, **LITTLE)


def result(model: str, seed: int, forces: float) -> dict:
    """Of a job."""
    metric = {"standard_error": 3.0, "unit": "", "components": 1, "groups": 9}
    return {
        "model": model,
        "seed": seed,
        "seconds": 100.0,
        "parameters": 10**5,
        "package": None,
        "structures": {"train": 500, "validation": 50, "test": 50},
        "curve": [{"seconds": 15.0 * k, "forces_rmse": forces + 900 / k} for k in range(1, 5)],
        "test": {"energy_mae": {"value": 30.0, **metric}, "forces_rmse": {"value": forces + seed, **metric}},
        "constant_per_element": {"value": 280.0},
        "rotation": {"forces_rotation": {"value": 0.02 if "released" in model else 1e-15}},
        "training_structures_per_second": 100.0,
        "inference_structures_per_second": 300.0,
    }


def test_the_record_and_its_figure(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    """Of a run without MACE."""
    monkeypatch.setattr(TAB1, "interpreter", lambda network: None if network == "MACE" else Path("python"))
    names = [*TAB1.MODELS, *other_networks.NETWORKS]

    def learn(model, seed, **settings):
        return result(model, seed, 100.0 - 10 * names.index(model))

    learn.__module__, learn.__name__ = TAB1.learn.__module__, "learn"
    monkeypatch.setattr(TAB1, "learn", learn)
    values = json.loads(json.dumps(TAB1.run(TAB1.SIZES[Preset.FULL], 0, Jobs(tmp_path, workers=2))))
    assert values["absent"] == ["MACE"]
    assert values["config"]["data"]["split"] == "group"
    found = [(run["model"], run["seed"]) for run in values["networks"]]
    assert found == [
        (name, s) for s in range(3) for name in names if name != "MACE" and (s == 0 or name in TAB1.CLAIMED)
    ]
    figure = checkout.load("figures", "TAB1").plot({"values": values})
    assert len(figure.axes) == 4
    assert len(figure.axes[3].lines) == len(names) - 1
    matplotlib.pyplot.close(figure)
