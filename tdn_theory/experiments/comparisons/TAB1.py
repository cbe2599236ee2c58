"""TAB1, scaled: errors on molecules never seen, after equal time of training, of TDN's products and of other networks.

The shipped relaxations instead of PubChemQCR, split by molecule. All networks are trained by the same loop with the
loss, batches, averaging of weights and schedule of the shipped configuration; only the network and the learning rate
are its own. Time is that of the processor, one thread, in forward, backward and optimizer: other processes on the
machine add nothing to it. The learning rate falls with the time spent, so every network uses all of its time.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch

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
from tdn_theory.experiments.potentials.fitting import TINY
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential
from tdn_theory.paper import PUBCHEMQCR
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.training.average import follow
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import TrainConfig, shipped
from tdn_theory.training.evaluation import as_json, evaluate, rotation_errors
from tdn_theory.training.optimizer import set_learning_rate
from tdn_theory.training.reference import baseline
from tdn_theory.training.schedule import learning_rate_factor

WARM_UP = 3
"""Steps before the clock starts, without changing weights: some packages compile in their first ones."""

MODELS: dict[str, dict[str, Any]] = {**TDN, "TDN, CP as released, direct": {"method": "cp", "forces": "direct"}}
"""What each changes of the configuration, at L = 1. The last one is the paper's; Equiformer has direct forces too."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        seconds: Training time of each network.
        seeds: Seeds, each of weights and batches.
        points: Evaluations on the validation set, evenly over the time, which they do not count towards.
        network: Changes of the network of the configuration.
        structures: Structures of each part of the split, at most; None: all.
    """

    seconds: float
    seeds: int
    points: int
    network: dict[str, Any]
    structures: int | None = None


SIZES = {
    Preset.SMALLEST: Size(0.05, 1, 5, TINY, structures=24),
    Preset.QUICK: Size(100.0, 1, 12, {}),
    Preset.FULL: Size(3600.0, 3, 12, {}),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train every network that is at hand, one after the other, whatever the number of workers."""
    absent = [name for name in NETWORKS if interpreter(name) is None]
    plan = [
        {
            "model": model,
            "seed": seed + number,
            "seconds": size.seconds,
            "points": size.points,
            "network": size.network,
            "structures": size.structures,
        }
        for number in range(size.seeds)
        for model in [*MODELS, *NETWORKS]
        if model not in absent
    ]
    alone = replace(jobs, workers=1, dask=None)  # two that share caches are slower
    found = alone.map(learn, plan, "TAB1: networks trained")
    config = configuration(size.network).to_dict()
    return {"paper": dict(PUBCHEMQCR), "config": config, "absent": absent, "networks": found}


def configuration(network: Mapping[str, Any]) -> TrainConfig:
    """The shipped configuration, with changes of its network."""
    config = TrainConfig.read(shipped(Path("relaxations")))
    return replace(config, model={**config.model, **network})


def learn(
    model: str, seed: int, seconds: float, points: int, network: dict[str, Any], structures: int | None
) -> dict[str, Any]:
    """Train one network and test it; in the environment of its package, if this one lacks it.

    Args:
        model: Name in `MODELS` or `other_networks.NETWORKS`.
        seed: Seed of weights and batches.
        seconds: Processor time to train.
        points: Evaluations on the validation set.
        network: Changes of the network of the configuration.
        structures: Structures of each part of the split, at most.

    Raises:
        ImportError: The package of the network is installed nowhere.
        RuntimeError: Training in the other environment failed; the message is what it said.
        ArithmeticError: A loss is not finite.
    """
    if model in NETWORKS and not installed(model):
        size = {"seconds": seconds, "points": points, "network": network, "structures": structures}
        return elsewhere(learn, model, {"model": model, "seed": seed, **size})
    with single_thread():
        found = _Training(model, seed, seconds, points, Task(configuration(network), structures)).run()
    return {**found, "package": _distribution(model) if model in NETWORKS else None}


def _distribution(network: str) -> str:
    """Name and version to install."""
    package = NETWORKS[network].package
    name = {"mace": "mace-torch"}.get(package, package)
    return f"{name} {version(name)}"


class _Training:
    """One network on its way."""

    def __init__(self, name: str, seed: int, seconds: float, points: int, task: Task):
        self.name, self.seed, self.seconds, self.points = name, seed, seconds, points
        self.task, self.config = task, task.config
        self.validation = Graphs(self.task.splits.validation, self.task.cutoff, torch.float32)
        self.model = self._build(torch.float32)
        self.average = self._build(torch.float32)
        self.optimizer = self.task.optimizer(self.model, name)
        self.rate = self.task.learning_rate(name)
        self.spent, self.steps = 0.0, 0
        self.curve: list[dict[str, float]] = []

    def _build(self, dtype: torch.dtype) -> Potential | OtherNetwork:
        config = self.task.potential(lmax=1, **MODELS.get(self.name, {}))
        if self.name in MODELS:
            model = Potential(config, self.seed, factors(self.name)).to(dtype)
        else:
            model = NETWORKS[self.name](config, self.task.neighbors, self.seed, dtype)
        model.set_reference(*self.task.reference)
        return model

    def run(self) -> dict[str, Any]:
        """Train until time is up, keep the weights of least validation loss, and test them."""
        self._train()
        task = self.task
        test = Graphs(task.splits.test, task.cutoff, torch.float32)
        began = time.process_time()
        found = evaluate(self.average, test, self.config.batch_size)
        inference = len(test) / (time.process_time() - began)
        double = self._build(torch.float64).eval()
        set_parameters(double, self.average.parameters())
        exact = Graphs(task.splits.test, task.cutoff, torch.float64)
        return {
            "model": self.name,
            "seed": self.seed,
            "seconds": self.spent,
            "steps": self.steps,
            "epochs": self.steps * self.config.batch_size / len(task.train),
            "learning_rate": self.rate,
            "parameters": sum(p.numel() for p in self.model.parameters()),
            "structures": task.sizes,
            "curve": self.curve,
            "test": as_json(found.metrics),
            "constant_per_element": baseline(task.reference[0], task.elements, task.splits.test).to_dict(),
            "rotation": as_json(rotation_errors(double, exact, self.config.batch_size, seed=self.seed)),
            "training_structures_per_second": self.steps * self.config.batch_size / self.spent,
            "inference_structures_per_second": inference,
        }

    def _batches(self) -> Iterator[Graph]:
        """Batches without end."""
        epoch = 0
        while True:
            batches = batch_indices(len(self.task.train), self.config.batch_size, self.seed, epoch)
            yield from self.task.train.batches(batches)
            epoch += 1

    def _train(self) -> None:
        best, least = None, float("inf")
        for number, graph in enumerate(self._batches()):
            began = time.process_time()
            if number < WARM_UP:
                self.task.gradient(self.model, graph)
                continue
            self._step(graph)
            self.spent += time.process_time() - began
            if self.spent >= self.seconds * (len(self.curve) + 1) / self.points:
                loss = self._evaluate()
                if loss < least:
                    best, least = [p.detach().clone() for p in self.average.parameters()], loss
            if self.spent >= self.seconds:
                break
        if best is None:
            raise ArithmeticError(f"no finite validation loss of {self.name}; lower its entry in LEARNING_RATES")
        set_parameters(self.average, best)

    def _step(self, graph: Graph) -> None:
        epochs, along = self.config.epochs, self.spent / self.seconds
        losses = [point["loss"] for point in self.curve]
        factor = learning_rate_factor(self.config.schedule, epochs * along, epochs, losses)
        set_learning_rate(self.optimizer, self.rate * factor)
        self.task.step(self.model, self.optimizer, graph)
        follow(self.average, self.model, self.config.average, self.steps)
        self.steps += 1

    def _evaluate(self) -> float:
        """Add a point to the curve; returns the validation loss."""
        self.average.eval()
        found = evaluate(self.average, self.validation, self.config.batch_size, loss=self.task.loss)
        errors = {name: found.metrics[name].value for name in ("energy_mae", "forces_rmse")}
        self.curve.append({"seconds": self.spent, "steps": self.steps, "loss": found.loss, **errors})
        return found.loss


STUDY = Study(
    "TAB1",
    "Errors on molecules never seen, after equal time of training, of TDN's products and of other networks (scaled)",
    Cost.TRAINED,
    SIZES,
    run,
)
