"""What networks share that are trained to be compared: structures, loss, optimizer, TDN's products (TAB1 to TAB9)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.store import Store
from tdn_theory.data.graph import Graph, batch_indices
from tdn_theory.experiments.potentials.fitting import load_some
from tdn_theory.nn.potential import PotentialConfig
from tdn_theory.training.average import follow
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import TrainConfig
from tdn_theory.training.evaluation import evaluate
from tdn_theory.training.loss import Loss
from tdn_theory.training.optimizer import optimizer, set_learning_rate
from tdn_theory.training.parallel import Processes
from tdn_theory.training.reference import reference
from tdn_theory.training.schedule import learning_rate_factor
from tdn_theory.training.sources import Splits

LEARNING_RATES = {"SchNet": 1e-3, "NequIP": 1e-2, "MACE": 1e-2}
"""NequIP's example, MACE's default, and torch's of Adam for SchNet; of TDN and Equiformer, that of the configuration.

The configuration was chosen for TDN on these data; the others are not tuned to them.
"""


TDN: dict[str, dict[str, Any]] = {
    "TDN, exact": {},
    "TDN, cubature": {"method": "cubature"},
    "TDN, CP of the atlas": {"method": "cp"},
    "TDN, CP as released": {"method": "cp"},
}
"""What each product changes of a configuration, at L = 1; the last one is the paper's. CP has `factors` of its own."""


def factors(name: str) -> CPFactors | None:
    """CP factors of a product in `TDN`, for those that have some."""
    if name == "TDN, CP of the atlas":
        return atlas.best(1).factors
    if name.startswith("TDN, CP as released"):
        return Store().best(CouplingTensor(1), quadratic(1), "SampledAdamW").factors
    return None


class Task:
    """Data and loss, the same for every network.

    Attributes:
        config: The configuration.
        splits: The structures.
        loss: The loss.
        cutoff: Cutoff radius, Angstrom.
        elements: Atomic numbers that networks know.
        reference: Energies of each of them, unit of what is learnt, energy of all structures: for `set_reference`.
        train: Graphs of the training set, in single precision.
        neighbors: Mean number of neighbours in them.

    Args:
        config: Data, loss, optimizer, and settings of a potential, among them the cutoff.
        structures: Structures of each part of the split, at most; None: all.
        splits: The structures, where the caller has them; by default what `config.data` says.
        elements: Atomic numbers that networks are to know; None for those of the training set.
    """

    def __init__(
        self,
        config: TrainConfig,
        structures: int | None = None,
        splits: Splits | None = None,
        elements: Sequence[int] | None = None,
    ):
        self.config = config
        self.splits = load_some(config.data, structures) if splits is None else splits
        self.loss = Loss(config.loss)
        self.cutoff = float(config.model["cutoff"])
        self.elements = list(self.splits.train.elements if elements is None else elements)
        forces = "forces" in self.loss.terms
        found = reference(config.reference, self.splits.train, self.elements, {}, forces)
        self.reference = found.shifts, found.scale, found.offset
        self.train = Graphs(self.splits.train, self.cutoff, torch.float32)
        graphs = [self.train[number] for number in range(len(self.train))]
        self.neighbors = sum(len(graph.source) for graph in graphs) / sum(len(graph.numbers) for graph in graphs)

    @property
    def sizes(self) -> dict[str, int]:
        """Structures in each part of the split."""
        return {name: len(getattr(self.splits, name)) for name in ("train", "validation", "test")}

    def potential(self, **changes: Any) -> PotentialConfig:
        """Settings of a potential of the elements of the training set; `changes` replace those of the configuration."""
        return PotentialConfig.from_dict({**self.config.model, "elements": self.elements, **changes})

    def optimizer(self, model: torch.nn.Module, network: str) -> torch.optim.Optimizer:
        """That of the configuration, with the learning rate of a network."""
        rate = self.learning_rate(network)
        return optimizer(model, replace(self.config.optimizer, learning_rate=rate))

    def learning_rate(self, network: str) -> float:
        """Before the schedule scales it."""
        return LEARNING_RATES.get(network, self.config.optimizer.learning_rate)

    def gradient(self, model: torch.nn.Module, graph: Graph) -> Tensor:
        """Leave the gradient of the loss of a batch with the weights, clipped; returns the loss."""
        model.zero_grad()
        loss, _ = self.loss.value(self.loss.sums(model(graph), graph))
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), self.config.optimizer.clip or math.inf)
        return loss.detach()

    def step(self, model: torch.nn.Module, optimizer: torch.optim.Optimizer, graph: Graph) -> Tensor:
        """One step of the optimizer; returns the loss before it."""
        loss = self.gradient(model, graph)
        optimizer.step()
        return loss


def train_epochs(task: Task, network: str, model: torch.nn.Module, average: torch.nn.Module) -> list[float]:
    """Train a model for the epochs of the configuration; the validation loss of its average after each.

    Args:
        task: What is learnt.
        network: Name of the model, for its learning rate and for errors.
        model: What is trained, in place.
        average: The same model, in place its averaged weights.

    Raises:
        ArithmeticError: A loss is not finite.
    """
    config, device = task.config, torch.device(task.config.device)
    optimizer, rate = task.optimizer(model, network), task.learning_rate(network)
    held_out = Graphs(task.splits.validation, task.cutoff, torch.float32)
    steps, validation = 0, []
    for epoch in range(config.epochs):
        model.train()
        batches = batch_indices(len(task.train), config.batch_size, config.seed, epoch)
        for number, graph in enumerate(task.train.batches(batches)):
            factor = learning_rate_factor(config.schedule, epoch + number / len(batches), config.epochs, [])
            set_learning_rate(optimizer, rate * factor)
            loss = float(task.step(model, optimizer, graph.to(device)))
            if not math.isfinite(loss):
                raise ArithmeticError(f"the loss of {network} is {loss} in epoch {epoch + 1}; lower its learning rate")
            follow(average, model, config.average, steps)
            steps += 1
        average.eval()
        found = evaluate(average, held_out, config.batch_size, loss=task.loss, processes=Processes(device=device))
        validation.append(found.loss)
    return validation


def set_parameters(model: torch.nn.Module, values: Iterable[Tensor]) -> None:
    """Copy values, in the order of the parameters, to a model, whatever their dtype."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)
