"""TAB1, scaled: errors on molecules never seen, after equal time of training, of TDN's products and of other networks.

Instead of PubChemQCR the shipped relaxations, in hours relaxed compounds of PubChem (`potentials.compound_files`), both
split by molecule. All networks are trained by the same loop with the loss, batches, averaging of weights and schedule
of the shipped configuration; only the network and the learning rate are its own. In hours that is chosen for each by
trials of equal length, on the validation set. Time is that of the processor, one thread, in forward, backward and
optimizer: other processes on the machine add nothing to it. The learning rate falls with the time spent, so every
network uses all of its time.
"""

from __future__ import annotations

import json
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from math import inf, isfinite
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from tdn_theory.data.graph import Graph, batch_indices
from tdn_theory.experiments.comparisons.other_networks import (
    NETWORKS,
    OtherNetwork,
    elsewhere,
    installed,
    interpreter,
)
from tdn_theory.experiments.comparisons.task import TDN, Task, factors, set_parameters
from tdn_theory.experiments.measuring import single_thread
from tdn_theory.experiments.potentials.compound_files import Molecules, data_of
from tdn_theory.experiments.potentials.fitting import TINY
from tdn_theory.files import sha256
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential
from tdn_theory.paper import PUBCHEMQCR
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.training.average import follow
from tdn_theory.training.batches import Graphs
from tdn_theory.training.checkpoint import State
from tdn_theory.training.config import TrainConfig, shipped
from tdn_theory.training.evaluation import as_json, evaluate, rotation_errors
from tdn_theory.training.optimizer import set_learning_rate
from tdn_theory.training.reference import baseline
from tdn_theory.training.schedule import learning_rate_factor

WARM_UP = 3
"""Steps before the clock starts, without changing weights: some packages compile in their first ones."""

CACHE = user_cache_path("tdn-theory") / "TAB1"
"""Where a stopped training goes on."""

MODELS: dict[str, dict[str, Any]] = {**TDN, "TDN, CP as released, direct": {"method": "cp", "forces": "direct"}}
"""What each changes of the configuration, at L = 1. The last one is the paper's; Equiformer has direct forces too."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        seconds: Training time of each network.
        seeds: Seeds, each of weights and batches; networks of the claim's need several, the others have the first.
        points: Evaluations on the validation set, evenly over the time, which they do not count towards.
        network: Changes of the network of the configuration.
        structures: Structures of each part of the split, at most; None: all.
        molecules: Compounds instead of the shipped relaxations, and how many to train on.
        trial: Training time of each trial of a learning rate.
        rates: Multiples of the learning rate of each network that are tried; none: it is taken as it is.
    """

    seconds: float
    seeds: int
    points: int
    network: dict[str, Any]
    structures: int | None = None
    molecules: tuple[Molecules, int] | None = None
    trial: float = 0.0
    rates: tuple[float, ...] = ()


SIZES = {
    Preset.SMALLEST: Size(0.05, 1, 5, TINY, structures=24, trial=0.02, rates=(0.5, 1.0)),
    Preset.QUICK: Size(100.0, 1, 12, {}),
    Preset.HOURS: Size(
        7200.0, 3, 24, {}, molecules=(Molecules(24, 40, 100, 500), 4000), trial=300.0, rates=(0.25, 0.5, 1.0, 2.0)
    ),
    Preset.FULL: Size(3600.0, 3, 12, {}),
}
CLAIMED = ("TDN, exact", "TDN, CP as released, direct", "Equiformer", "SchNet")
"""Networks that the claim compares, and the exact product: those that are trained with every seed."""


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train every network that is at hand, one after the other, whatever the number of workers."""
    absent = [name for name in NETWORKS if interpreter(name) is None]
    models = [name for name in [*MODELS, *NETWORKS] if name not in absent]
    same: dict[str, Any] = {
        "network": size.network,
        "structures": size.structures,
        "molecules": None if size.molecules is None else (asdict(size.molecules[0]), size.molecules[1]),
    }
    alone = replace(jobs, workers=1, dask=None)  # two that share caches are slower
    tries = [
        {"model": model, "seed": seed, "seconds": size.trial, "rate": rate, **same}
        for model in models
        for rate in size.rates
    ]
    tried = alone.map(attempt, tries, "TAB1: learning rates tried")
    rates = {model: _best_rate(model, tried) for model in models}
    plan = [
        {"model": m, "seed": s, "seconds": size.seconds, "points": size.points, "rate": rates[m], **same}
        for s in range(seed, seed + size.seeds)
        for m in models
        if s == seed or m in CLAIMED
    ]
    found = alone.map(learn, plan, "TAB1: networks trained")
    config = configuration(size.network).to_dict()
    if size.molecules is not None:
        config["data"] = {"source": "relaxed compounds", "split": "group"}
    return {
        "paper": dict(PUBCHEMQCR),
        "config": config,
        "molecules": same["molecules"],
        "absent": absent,
        "trials": tried,
        "networks": found,
    }


def _best_rate(model: str, tried: Sequence[Mapping[str, Any]]) -> float:
    """The multiple of its learning rate whose trial of a network reached the least validation loss; 1 without any."""
    runs = [run for run in tried if run["model"] == model]
    return min(runs, key=lambda run: run["loss"])["rate"] if runs else 1.0


def configuration(network: Mapping[str, Any], molecules: tuple[Mapping[str, Any], int] | None = None) -> TrainConfig:
    """The shipped configuration, with changes of its network, and with other molecules: a `Molecules`, and how many."""
    config = TrainConfig.read(shipped(Path("relaxations")))
    data = config.data if molecules is None else data_of(Molecules(**molecules[0]), molecules[1])
    return replace(config, data=data, model={**config.model, **network})


def learn(
    model: str,
    seed: int,
    seconds: float,
    points: int,
    rate: float,
    network: dict[str, Any],
    structures: int | None,
    molecules: tuple[dict[str, Any], int] | None,
) -> dict[str, Any]:
    """Train one network and test it; in the environment of its package, if this one lacks it.

    Where the network stood at the last evaluation is kept in the user's cache, so a stopped training goes on there.

    Args:
        model: Name in `MODELS` or `other_networks.NETWORKS`.
        seed: Seed of weights and batches.
        seconds: Processor time to train.
        points: Evaluations on the validation set.
        rate: Multiple of the learning rate of the network.
        network: Changes of the network of the configuration.
        structures: Structures of each part of the split, at most.
        molecules: A `Molecules` and how many of them to train on; None: the shipped relaxations.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: Training in the other environment failed; the message is what it said.
        ArithmeticError: A loss is not finite.
    """
    what = {"model": model, "seed": seed, "seconds": seconds, "points": points, "rate": rate}
    data = {"network": network, "structures": structures, "molecules": molecules}
    if model in NETWORKS and not installed(model):
        return elsewhere(learn, model, {**what, **data})
    file = CACHE / f"{sha256(json.dumps({**what, **data}).encode())[:24]}.safetensors"
    with single_thread():
        training = _Training(what, Task(configuration(network, molecules), structures))
        training.run(file)
        found = training.tested()
    file.unlink(missing_ok=True)
    return {**found, "package": _distribution(model) if model in NETWORKS else None}


def attempt(
    model: str,
    seed: int,
    seconds: float,
    rate: float,
    network: dict[str, Any],
    structures: int | None,
    molecules: tuple[dict[str, Any], int] | None,
) -> dict[str, Any]:
    """Validation loss of one network after a short training; arguments and errors are those of `learn`."""
    what = {"model": model, "seed": seed, "seconds": seconds, "rate": rate}
    data = {"network": network, "structures": structures, "molecules": molecules}
    if model in NETWORKS and not installed(model):
        return elsewhere(attempt, model, {**what, **data})
    with single_thread():
        training = _Training({**what, "points": 1}, Task(configuration(network, molecules), structures))
        training.run(None)
    return {"model": model, "rate": rate, "loss": training.state.history[-1]["loss"]}


def _distribution(network: str) -> str:
    """Name and version to install."""
    package = NETWORKS[network].package
    name = {"mace": "mace-torch"}.get(package, package)
    return f"{name} {version(name)}"


class _Training:
    """One network on its way; the state's model is the network and, beside it, the average of least validation loss."""

    def __init__(self, what: Mapping[str, Any], task: Task):
        self.what, self.task, self.config = what, task, task.config
        self.name, self.seconds, self.points = what["model"], what["seconds"], what["points"]
        self.validation = Graphs(task.splits.validation, task.cutoff, torch.float32)
        self.model, self.average, self.best = (self._build(torch.float32) for _ in range(3))
        self.rate = what["rate"] * task.learning_rate(self.name)
        both = torch.nn.ModuleDict({"network": self.model, "best": self.best})
        self.state = State(both, self.average, task.optimizer(self.model, self.name), torch.zeros(2, 1))

    def _build(self, dtype: torch.dtype) -> Potential | OtherNetwork:
        config = self.task.potential(lmax=1, **MODELS.get(self.name, {}))
        if self.name in MODELS:
            model = Potential(config, self.what["seed"], factors(self.name)).to(dtype)
        else:
            model = NETWORKS[self.name](config, self.task.neighbors, self.what["seed"], dtype)
        model.set_reference(*self.task.reference)
        return model

    def run(self, file: Path | None) -> None:
        """Train until time is up, from `file` on if it is there, a checkpoint that every evaluation writes."""
        state = self.state
        if file is not None and file.exists():
            state.restore(file, self.what)
        for _, graph in zip(range(WARM_UP), self._batches(), strict=False):
            self.task.gradient(self.model, graph)
        for graph in self._batches():
            if state.seconds >= self.seconds:
                break
            began = time.process_time()
            self._step(graph)
            state.seconds += time.process_time() - began
            if state.seconds >= self.seconds * (len(state.history) + 1) / self.points:
                self._evaluate()
                if file is not None:
                    state.save(file, self.what)

    def tested(self) -> dict[str, Any]:
        """Errors of the average of least validation loss, and how the training went."""
        task, state, seed = self.task, self.state, self.what["seed"]
        test = Graphs(task.splits.test, task.cutoff, torch.float32)
        began = time.process_time()
        found = evaluate(self.best.eval(), test, self.config.batch_size)
        inference = len(test) / (time.process_time() - began)
        double = self._build(torch.float64).eval()
        set_parameters(double, self.best.parameters())
        exact = Graphs(task.splits.test, task.cutoff, torch.float64)
        return {
            **{key: self.what[key] for key in ("model", "seed", "rate")},
            "seconds": state.seconds,
            "steps": state.step,
            "epochs": state.step * self.config.batch_size / len(task.train),
            "learning_rate": self.rate,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "structures": task.sizes,
            "curve": state.history,
            "test": as_json(found.metrics),
            "constant_per_element": baseline(task.reference[0], task.elements, task.splits.test).to_dict(),
            "rotation": as_json(rotation_errors(double, exact, self.config.batch_size, seed=seed)),
            "training_structures_per_second": state.step * self.config.batch_size / state.seconds,
            "inference_structures_per_second": inference,
        }

    def _batches(self) -> Iterator[Graph]:
        """Batches without end, from where the training stands."""
        count = -(-len(self.task.train) // self.config.batch_size)
        epoch, done = divmod(self.state.step, count)
        while True:
            batches = batch_indices(len(self.task.train), self.config.batch_size, self.what["seed"], epoch)
            yield from self.task.train.batches(batches[done:])
            epoch, done = epoch + 1, 0

    def _step(self, graph: Graph) -> None:
        state, epochs = self.state, self.config.epochs
        losses = [point["loss"] for point in state.history]
        factor = learning_rate_factor(self.config.schedule, epochs * state.seconds / self.seconds, epochs, losses)
        set_learning_rate(state.optimizer, self.rate * factor)
        self.task.step(self.model, state.optimizer, graph)
        follow(self.average, self.model, self.config.average, state.step)
        state.step += 1

    def _evaluate(self) -> None:
        """Add a point to the curve, and keep the average if it is the best so far."""
        found = evaluate(self.average.eval(), self.validation, self.config.batch_size, loss=self.task.loss)
        state, loss = self.state, found.loss
        if not isfinite(loss):
            raise ArithmeticError(f"the validation loss of {self.name} is {loss}; lower its entry in LEARNING_RATES")
        if loss < min((point["loss"] for point in state.history), default=inf):
            set_parameters(self.best, self.average.parameters())
        errors = {name: found.metrics[name].value for name in ("energy_mae", "forces_rmse")}
        state.history.append({"seconds": state.seconds, "steps": state.step, "loss": loss, **errors})


STUDY = Study(
    "TAB1",
    "Errors on molecules never seen, after equal time of training, of TDN's products and of other networks (scaled)",
    Cost.TRAINED,
    SIZES,
    run,
)
