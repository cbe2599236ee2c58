"""What a model predicts of turned structures, turned back: how far it is from equivariant, and what that costs.

For a rotation g let `f_g(x) = g^-1 f(g x)`; an equivariant model has `f_g = f`. The mean `T f` of `f_g` over all g is
the equivariant model nearest to f, and the squared error over structures in all orientations is a sum,

    E_g |f_g(x) - y|^2 = |T f(x) - y|^2 + E_g |f_g(x) - T f(x)|^2,

of what an equivariant model would have and of what comes of imperfect symmetry. The second over the whole is the share
of the loss of Shen, Nowara, Maser and Cho, "Training Dynamics of Learning 3D-Rotational Equivariance" (arXiv
2512.02303). Expectations are over the Haar measure, estimated without bias from n rotations of each structure: the
second term is `sum_g |f_g - mean f_g|^2 / (n - 1)`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.data.graph import Graph, batch_indices
from tdn_theory.data.rotation import turn, turn_back
from tdn_theory.data.structure import Structure
from tdn_theory.nn.potential import Potential
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.training.batches import Graphs

BATCH = 32
"""Structures that are predicted at a time."""


@dataclass(frozen=True)
class SymmetryError:
    """Of one label; squares are sums over the components of each structure, energies are per atom.

    Attributes:
        components: How many components a structure has.
        size: `|f(x)|^2`.
        change: `|f_g(x) - f(x)|^2` of each rotation.
        asymmetric: `E_g |f_g(x) - T f(x)|^2`.
        straight: `|f(x) - y|^2`; NaN where y is not known.
        total: `E_g |f_g(x) - y|^2`; likewise.
    """

    components: Float[np.ndarray, " structures"]
    size: Float[np.ndarray, " structures"]
    change: Float[np.ndarray, "structures rotations"]
    asymmetric: Float[np.ndarray, " structures"]
    straight: Float[np.ndarray, " structures"]
    total: Float[np.ndarray, " structures"]

    @property
    def rmse(self) -> float:
        """Root mean square error, the structures as they lie."""
        return self._root_mean(self.straight)

    @property
    def turned_rmse(self) -> float:
        """Root mean square error, the structures in all orientations."""
        return self._root_mean(self.total)

    @property
    def share(self) -> float:
        """Share of the mean square error in all orientations that is due to imperfect symmetry."""
        known = ~np.isnan(self.total)
        return float(self.asymmetric[known].sum() / self.total[known].sum())

    @property
    def relative_change(self) -> float:
        """Root of `E |f_g(x) - f(x)|^2 / E |f(x)|^2`."""
        return float(np.sqrt(self.change.mean(1).sum() / self.size.sum()))

    @property
    def rms_change(self) -> float:
        """Root mean square of the components of `f_g(x) - f(x)`."""
        return float(np.sqrt(self.change.mean(1).sum() / self.components.sum()))

    def _root_mean(self, squares: np.ndarray) -> float:
        known = ~np.isnan(squares)
        return float(np.sqrt(squares[known].sum() / self.components[known].sum()))


def symmetry_errors(
    potential: Potential, structures: Sequence[Structure], rotations: int, seed: int
) -> dict[str, SymmetryError]:
    """Predict structures as they lie and in random orientations.

    Args:
        potential: A model; its device and dtype are used.
        structures: With the labels that are known.
        rotations: Haar-random rotations of each structure, at least 2.
        seed: Of the rotations.

    Returns:
        For `energy` (per atom, eV), `forces` and whatever else the model predicts of every structure.

    Raises:
        ValueError: There are fewer than two rotations.
    """
    if rotations < 2:
        raise ValueError(f"rotations is {rotations}; a variance over rotations needs at least 2")
    weight = next(potential.parameters())
    graphs = Graphs(structures, potential.config.cutoff, weight.dtype)
    rng = np.random.default_rng(seed)
    parts: dict[str, list[tuple[Tensor, ...]]] = {}
    for graph in graphs.batches(batch_indices(len(structures), BATCH)):
        graph = graph.to(weight.device)
        straight = predict(potential, graph)
        back: dict[str, list[Tensor]] = {name: [] for name in straight}
        for _ in range(rotations):
            turns = torch.tensor(haar_rotations(graph.count, rng), device=weight.device)
            for name, value in predict(potential, turn(graph, turns)).items():
                back[name].append(turn_back(name, value, turns, graph))
        for name, value in straight.items():
            parts.setdefault(name, []).append(_squares(name, value, torch.stack(back[name]), graph))
    return {
        name: SymmetryError(*(torch.cat(column).cpu().numpy() for column in zip(*rows, strict=True)))
        for name, rows in parts.items()
    }


def predict(potential: Potential, graph: Graph) -> dict[str, Tensor]:
    """Predictions without their graph of derivatives, energies per atom; no stress, which molecules have none of."""
    with torch.no_grad():
        found = {name: value.double() for name, value in potential(graph).items() if name != "stress"}
    found["energy"] = found["energy"] / _atoms(graph)
    return found


def _squares(name: str, straight: Tensor, back: Float[Tensor, "rotations ..."], graph: Graph) -> tuple[Tensor, ...]:
    """The columns of `SymmetryError`, by structure."""

    def sums(errors: Tensor) -> Tensor:
        """Squares of a tensor, summed over the components of each structure."""
        rows = errors.square().reshape(len(errors), -1).sum(1)
        return rows.new_zeros(graph.count).index_add(0, graph.batch, rows) if name == "forces" else rows

    known = graph.labels.get(name)
    label = torch.full_like(straight, torch.nan) if known is None else known.double()
    if name == "energy":
        label = label / _atoms(graph)
    mean = back.mean(0)
    return (
        sums(torch.ones_like(straight)),
        sums(straight),
        torch.stack([sums(value - straight) for value in back], dim=1),
        torch.stack([sums(value - mean) for value in back]).sum(0) / (len(back) - 1),
        sums(straight - label),
        torch.stack([sums(value - label) for value in back]).mean(0),
    )


def _atoms(graph: Graph) -> Tensor:
    return torch.bincount(graph.batch, minlength=graph.count).double()
