"""The loss as a function of sums over structures, so that it is the same however a batch is shared out."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from jaxtyping import Bool, Float
from torch import Tensor

from tdn_theory.data.graph import Graph
from tdn_theory.training.config import LossConfig, Term

Errors = tuple[Float[Tensor, "rows components"], Bool[Tensor, "rows components"]]


def errors(label: str, output: Mapping[str, Tensor], graph: Graph) -> Errors:
    """Prediction minus label, and where there is a label; the error is 0 where there is none.

    Energies are per atom, one row per structure; forces have one row per atom, everything else one per structure.

    Args:
        label: `energy`, `forces`, `stress`, `dipole` or `polarizability`.
        output: What the model returned.
        graph: Structures; labels that are unknown are NaN.

    Raises:
        ValueError: The model predicts no such quantity; the message says what it predicts.
    """
    if label not in output:
        raise ValueError(
            f"the model predicts {', '.join(output)}, but not {label}: let it, in [model], or set the weight of "
            f"[loss.{label}] to 0"
        )
    prediction = output[label]
    target = graph.labels.get(label)
    if target is None:
        error = (
            torch.zeros_like(prediction).flatten(1) if prediction.ndim > 1 else torch.zeros_like(prediction)[:, None]
        )
        return error, torch.zeros_like(error, dtype=torch.bool)
    difference = prediction - target
    if label == "energy":
        difference = difference / torch.bincount(graph.batch, minlength=graph.count)
    error = difference.reshape(len(difference), -1)
    known = ~torch.isnan(target).reshape(error.shape)
    return torch.where(known, error, torch.zeros_like(error)), known


class Loss:
    """`sum_t weight_t mean_t`, a weighted sum of means over all components in a batch (`Term.form` says of what).

    A batch enters through sums only: with `s` from `sums`, `value` of a union of batches is that of the sum of their
    `s`. So the paper's root mean square of the forces, whose mean over two halves of a batch is not that of the whole,
    is exact over several processes. Labels that are unknown are left out. The penalties of a structure are multiplied
    with its weight, and the sum divided by the number of components all the same: weights change the gradient of each
    structure by these factors, whatever batch it is in.

    Args:
        config: Terms and weights.
    """

    def __init__(self, config: LossConfig):
        self.terms, self.whole = config.terms, config.energy_per == "structure"

    def sums(self, output: Mapping[str, Tensor], graph: Graph) -> Float[Tensor, "2 terms"]:
        """First row: weighted sum of the penalties of the errors of each term; second row: how many there are.

        Raises:
            ValueError: The model does not predict what a term needs.
        """
        columns = []
        for label, term in self.terms.items():
            error, known = errors(label, output, graph)
            if label == "energy" and self.whole:
                error = error * torch.bincount(graph.batch, minlength=graph.count)[:, None]
            count = known.any(dim=-1).sum() if term.form == "norm" else known.sum()
            penalties = _penalties(term, error)
            if graph.weights is not None:
                of_row = graph.weights[graph.batch] if label == "forces" else graph.weights
                penalties = penalties * of_row[:, None]
            columns.append(torch.stack((penalties.sum().double(), count.double())))
        return torch.stack(columns, dim=1)

    def value(self, sums: Float[Tensor, "2 terms"]) -> tuple[Float[Tensor, ""], Float[Tensor, " terms"]]:
        """The loss, and its terms before they are weighted; a term without any label is 0."""
        means = sums[0] / sums[1].clamp(min=1)
        terms = torch.stack(
            [
                _root(mean) if term.form == "rmse" else mean
                for mean, term in zip(means, self.terms.values(), strict=True)
            ]
        )
        weights = terms.new_tensor([term.weight for term in self.terms.values()])
        return weights @ terms, terms.detach()


def _penalties(term: Term, error: Float[Tensor, "rows components"]) -> Float[Tensor, "rows penalties"]:
    if term.form == "mae":
        return error.abs()
    if term.form == "huber":
        return torch.nn.functional.huber_loss(error, torch.zeros_like(error), reduction="none", delta=term.delta)
    if term.form == "norm":
        return _root(error.square().sum(dim=-1, keepdim=True))
    return error.square()


def _root(square: Tensor) -> Tensor:
    """The square root with derivative 0 at 0, where it has none."""
    return torch.where(square > 0, square, torch.ones_like(square)).sqrt() * (square > 0)
