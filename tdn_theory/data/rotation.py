"""Turned structures, and how what belongs to them turns with them: written once, for all that measures symmetry.

Each graph of a batch has a rotation R of its own. A model f is equivariant if what it says of turned structures is what
it said of the straight ones, turned: `f(turn(x)) = turn_label(f(x))`, or, turned back, `turn_back(f(turn(x))) = f(x)`.
"""

from __future__ import annotations

from dataclasses import replace

import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.data.graph import Graph
from tdn_theory.so3.rotation import wigner_D


def turn(graph: Graph, rotations: Float[Tensor, "graphs 3 3"]) -> Graph:
    """Each structure of a batch turned about the origin: positions and cell vectors become `R r`; labels stay.

    Computed in double precision, and differentiable in the rotations.
    """
    positions = torch.einsum("nab,nb->na", rotations[graph.batch], graph.positions.double())
    cell = torch.einsum("gab,gvb->gva", rotations, graph.cell.double())
    return replace(graph, positions=positions.to(graph.positions), cell=cell.to(graph.cell))


def turn_label(name: str, value: Tensor, rotations: Float[Tensor, "graphs 3 3"], graph: Graph) -> Tensor:
    """What a model says of straight structures, as it has to be of the turned ones.

    Scalars stay, vectors become `R v`, matrices `R A R^T`.

    Args:
        name: The label: `forces` are vectors of atoms, all others belong to whole structures.
        value: Its values, (n, 3) for forces, (graphs, ...) for others.
        rotations: R of each structure.
        graph: The batch.
    """
    if name == "forces":
        return torch.einsum("nab,nb->na", rotations[graph.batch], value)
    if value.ndim == 1:
        return value
    return torch.einsum("gab,gb->ga", rotations, value) if value.ndim == 2 else rotations @ value @ rotations.mT


def turn_back(name: str, value: Tensor, rotations: Float[Tensor, "graphs 3 3"], graph: Graph) -> Tensor:
    """What a model says of turned structures, turned back: the inverse of `turn_label`, with its arguments."""
    return turn_label(name, value, rotations.mT, graph)


def turn_features(
    features: Float[Tensor, "n d c"], rotations: Float[Tensor, "graphs 3 3"], graph: Graph
) -> Float[Tensor, "n d c"]:
    """Features of atoms, of degrees 0 to L in every channel, turned with their structures: `D(R) h`."""
    lmax = round(features.shape[1] ** 0.5) - 1
    matrices = torch.tensor(wigner_D(lmax, rotations.detach().cpu().numpy()), device=features.device)
    return torch.einsum("nkl,nlc->nkc", matrices[graph.batch], features)
