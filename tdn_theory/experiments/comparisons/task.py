"""What networks share that are trained to be compared: structures, loss and optimizer (TAB1, TAB5, TAB9)."""

from __future__ import annotations

import math
from collections.abc import Iterable
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from tdn_theory.data.graph import Graph
from tdn_theory.experiments.potentials.fitting import load_some
from tdn_theory.nn.potential import PotentialConfig
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import TrainConfig
from tdn_theory.training.loss import Loss
from tdn_theory.training.optimizer import optimizer
from tdn_theory.training.reference import energy_per_element, force_scale

LEARNING_RATES = {"SchNet": 1e-3, "NequIP": 1e-2, "MACE": 1e-2}
"""NequIP's example, MACE's default, and torch's of Adam for SchNet; of TDN and Equiformer, that of the configuration.

The configuration was chosen for TDN on these data; the others are not tuned to them.
"""


class Task:
    """Data and loss, the same for every network.

    Attributes:
        config: The configuration.
        splits: The structures.
        loss: The loss.
        cutoff: Cutoff radius, Angstrom.
        elements: Atomic numbers of the training set.
        reference: Energy of each of them, and the unit of forces: what `set_reference` takes.
        train: Graphs of the training set, in single precision.
        neighbors: Mean number of neighbours in them.

    Args:
        config: Data, loss, optimizer, and settings of a potential, among them the cutoff.
        structures: Structures of each part of the split, at most; None: all.
    """

    def __init__(self, config: TrainConfig, structures: int | None = None):
        self.config = config
        self.splits = load_some(config.data, structures)
        self.loss = Loss(config.loss)
        self.cutoff = float(config.model["cutoff"])
        self.elements = sorted({int(z) for structure in self.splits.train for z in structure.numbers})
        self.reference = energy_per_element(self.splits.train, self.elements).tolist(), force_scale(self.splits.train)
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


def set_parameters(model: torch.nn.Module, values: Iterable[Tensor]) -> None:
    """Copy values, in the order of the parameters, to a model, whatever their dtype."""
    with torch.no_grad():
        for parameter, value in zip(model.parameters(), values, strict=True):
            parameter.copy_(value)
