"""Errors of predictions with standard errors over molecules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.data.graph import Graph
from tdn_theory.training.loss import errors

UNITS = {
    "energy": ("meV/atom", 1e3),
    "forces": ("meV/Angstrom", 1e3),
    "stress": ("meV/Angstrom^3", 1e3),
    "dipole": ("e Angstrom", 1.0),
    "polarizability": ("Angstrom^3", 1.0),
}
"""Unit in which the error of each label is reported, and how many of it make one of the package's."""


@dataclass(frozen=True)
class Metric:
    """A mean error over all components of all structures.

    Attributes:
        value: The mean absolute error or the root of the mean square.
        standard_error: Of `value`, over groups (molecules, trajectories); None with fewer than two.
        unit: Unit of both.
        components: How many components were compared.
        groups: How many groups they belong to.
    """

    value: float
    standard_error: float | None
    unit: str
    components: int
    groups: int

    def __str__(self) -> str:
        """Value, standard error and unit."""
        error = "" if self.standard_error is None else f" +- {self.standard_error:.2g}"
        return f"{self.value:.4g}{error} {self.unit}"

    def to_dict(self) -> dict[str, Any]:
        """JSON form."""
        return asdict(self)


def mean(
    sums: Float[np.ndarray, " structures"],
    counts: Float[np.ndarray, " structures"],
    groups: Sequence[str] | np.ndarray,
    unit: str,
    kind: Literal["mae", "rmse"] = "mae",
) -> Metric | None:
    """The ratio `m = sum_g s_g / sum_g n_g` of sums over groups, or its root, with its standard error.

    Structures of a group resemble each other, so groups are what is independent: the linearised variance of the ratio
    is `G/(G-1) sum_g (s_g - m n_g)^2 / (sum_g n_g)^2` (Cochran, Sampling Techniques, 1977, eq. 6.13 and 9A), and that
    of its root is that over `4 m`.

    Args:
        sums: Sum of absolute errors (`mae`) or of squares (`rmse`) of each structure.
        counts: Components summed.
        groups: Group of each structure.
        unit: Unit of the result.
        kind: Mean, or root of the mean.

    Returns:
        None if no component was compared.
    """
    if not counts.sum() > 0:
        return None
    place = np.unique(np.asarray(groups), return_inverse=True)[1]
    group_sums, group_counts = np.bincount(place, sums), np.bincount(place, counts)
    kept = group_counts > 0
    s, n = group_sums[kept], group_counts[kept]
    ratio = s.sum() / n.sum()
    error = None
    if len(s) > 1:
        error = float(np.sqrt(len(s) / (len(s) - 1) * np.square(s - ratio * n).sum()) / n.sum())
    value = float(ratio)
    if kind == "rmse":
        value = float(np.sqrt(ratio))
        error = None if error is None else error / (2 * value) if value > 0 else 0.0
    return Metric(value, error, unit, int(counts.sum()), int(kept.sum()))


def error_sums(output: Mapping[str, Tensor], graph: Graph) -> dict[str, Float[Tensor, "graphs 3"]]:
    """Of each label that the model predicts: sums of absolute errors and of squares, and counts, per structure."""
    found = {}
    for label in UNITS:
        if label in output and label in graph.labels:
            error, known = errors(label, output, graph)
            rows = torch.stack((error.abs().sum(-1), error.square().sum(-1), known.sum(-1)), dim=1).double()
            if label == "forces":
                rows = rows.new_zeros(graph.count, 3).index_add(0, graph.batch, rows)
            found[label] = rows
    return found


def summarize(
    sums: Mapping[str, Float[np.ndarray, "structures 3"]], groups: Sequence[str] | np.ndarray
) -> dict[str, Metric]:
    """`energy_mae`, `energy_rmse`, `forces_mae`, ... of what `error_sums` found, without labels that nobody has."""
    found = {}
    for label, rows in sums.items():
        unit, factor = UNITS[label]
        found[f"{label}_mae"] = mean(factor * rows[:, 0], rows[:, 2], groups, unit, "mae")
        found[f"{label}_rmse"] = mean(factor**2 * rows[:, 1], rows[:, 2], groups, unit, "rmse")
    return {name: metric for name, metric in found.items() if metric is not None}
