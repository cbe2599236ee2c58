"""Structures as graphs in torch: neighbour lists, batches, and the order of batches.

An edge is a pair of atoms closer than the cutoff, in both directions, each periodic image on its own. It points from
the target (the atom that is updated) to the source (its neighbour):

    r_e = positions[source] + offsets @ cell - positions[target].
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int64
from torch import Tensor

from tdn_theory.data.structure import LABELS, Structure


@dataclass(frozen=True, eq=False)
class Graph:
    """One structure, or a batch of structures, as one graph; units as in `Structure`.

    Attributes:
        numbers: Atomic numbers (n,).
        positions: Positions (n, 3).
        batch: Graph of each node (n,), ascending.
        count: Number of graphs g.
        source: Neighbour, the node an edge brings news from (e,).
        target: Centre, the node it brings them to (e,), ascending.
        offsets: Cell vectors to add to the source, whole numbers (e, 3).
        cell: Cell vectors in rows (g, 3, 3); zeros where nothing is periodic.
        labels: What is known: energy (g,), forces (n, 3), stress (g, 3, 3), dipole (g, 3), polarizability (g, 3, 3).
            A label that some graphs of a batch lack is NaN there. Energies are always in double precision, since
            total energies have many digits before the interesting ones.
        weights: Of the structures in the loss (g,), in double precision; None where all are 1.
    """

    numbers: Int64[Tensor, " n"]
    positions: Float[Tensor, "n 3"]
    batch: Int64[Tensor, " n"]
    count: int
    source: Int64[Tensor, " e"]
    target: Int64[Tensor, " e"]
    offsets: Float[Tensor, "e 3"]
    cell: Float[Tensor, "g 3 3"]
    labels: dict[str, Float[Tensor, "..."]] = field(default_factory=dict)
    weights: Float[Tensor, " g"] | None = None

    def __repr__(self) -> str:
        """Sizes and labels."""
        known = "".join(f", {name}" for name in self.labels)
        return f"Graph({self.count} graphs, {len(self.numbers)} nodes, {len(self.source)} edges{known})"

    @property
    def vectors(self) -> Float[Tensor, "e 3"]:
        """Edge vectors r_e, from target to source; differentiable in `positions` and `cell`."""
        shifts = torch.einsum("ea,eax->ex", self.offsets, self.cell[self.batch[self.target]])
        return self.positions[self.source] + shifts - self.positions[self.target]

    @property
    def bytes(self) -> int:
        """Of its tensors."""
        tensors = (self.numbers, self.positions, self.batch, self.source, self.target, self.offsets, self.cell)
        return sum(tensor.nbytes for tensor in (*tensors, *self.labels.values()))

    def to(self, device: torch.device | str | None = None, dtype: torch.dtype | None = None) -> Graph:
        """The graph on another device, or with another type of its real numbers, except the energies."""
        # a copy to the processor would not be waited for, and read before it is there
        waits = device is None or torch.device(device).type == "cpu"

        def move(tensor: Tensor, keep: bool = False) -> Tensor:
            other = dtype is not None and tensor.is_floating_point() and not keep
            return tensor.to(device, dtype if other else None, non_blocking=not waits)

        tensors: dict[str, Any] = {
            name: move(getattr(self, name))
            for name in ("numbers", "positions", "batch", "source", "target", "offsets", "cell")
        }
        labels = {name: move(label, keep=name == "energy") for name, label in self.labels.items()}
        weights = None if self.weights is None else move(self.weights, keep=True)
        return Graph(**tensors, count=self.count, labels=labels, weights=weights)


def build_graph(structure: Structure, cutoff: float, dtype: torch.dtype = torch.float32) -> Graph:
    """The graph of one structure: all pairs closer than `cutoff`, periodic images included.

    Of its labels it has those that a potential is asked for: no dipole in a cell, no stress without a volume, and no
    forces on fixed atoms, which are NaN.

    Args:
        structure: Atoms and labels.
        cutoff: Largest length of an edge, Angstrom.
        dtype: Type of the real numbers, except the energy. Neighbours are found in double precision.

    Raises:
        ValueError: The cutoff is not positive and finite, or two atoms are at the same place.
    """
    if not 0 < cutoff < np.inf:
        raise ValueError(f"cutoff is {cutoff}; it must be positive and finite, in Angstrom")
    target, source, offsets = neighbours(structure, cutoff)
    # a box that is only drawn has no volume for the stress, and no bearing on the dipole
    cell = structure.cell if structure.cell is not None and structure.pbc.any() else np.zeros((3, 3))
    defined = {"dipole": not cell.any(), "stress": np.linalg.det(cell) != 0}
    return Graph(
        numbers=torch.tensor(structure.numbers),
        positions=torch.tensor(structure.positions, dtype=dtype),
        batch=torch.zeros(len(structure), dtype=torch.int64),
        count=1,
        source=torch.tensor(source),
        target=torch.tensor(target),
        offsets=torch.tensor(offsets, dtype=dtype),
        cell=torch.tensor(cell[None], dtype=dtype),
        labels={name: _label(structure, name, dtype) for name in structure.labels if defined.get(name, True)},
        weights=None if structure.weight == 1 else torch.tensor([structure.weight], dtype=torch.float64),
    )


def _label(structure: Structure, name: str, dtype: torch.dtype) -> Tensor:
    value = torch.tensor(getattr(structure, name), dtype=torch.float64 if name == "energy" else dtype)
    if name == "forces":
        value[torch.tensor(structure.fixed)] = torch.nan
        return value
    return value[None]


def neighbours(
    structure: Structure, cutoff: float
) -> tuple[Int64[np.ndarray, " e"], Int64[np.ndarray, " e"], Int64[np.ndarray, "e 3"]]:
    """Pairs closer than `cutoff`: target, source and cell shift of the source, ordered by these three.

    Raises:
        ValueError: Two atoms are at the same place.
    """
    from vesin import NeighborList

    cell = np.zeros((3, 3)) if structure.cell is None else np.where(structure.pbc[:, None], structure.cell, 0.0)
    search = NeighborList(cutoff=cutoff, full_list=True, n_threads=1)
    target, source, offsets, distances = search.compute(
        np.array(structure.positions), _complete(cell, structure.pbc), np.array(structure.pbc), "ijSd"
    )
    if not np.all(distances > 0):
        pair = int(np.argmin(distances))
        raise ValueError(f"atoms {target[pair]} and {source[pair]} of {structure} are at the same place")
    order = np.lexsort((*offsets.T[::-1], source, target))
    return target[order].astype(np.int64), source[order].astype(np.int64), offsets[order].astype(np.int64)


def _complete(cell: np.ndarray, pbc: np.ndarray) -> np.ndarray:
    """Give the directions without period orthogonal unit vectors, so that the cell can be inverted."""
    if not pbc.any():
        return np.zeros((3, 3))
    complement = np.linalg.svd(cell[pbc])[2][pbc.sum() :]
    cell = cell.copy()
    cell[~pbc] = complement
    return cell


def collate(graphs: Sequence[Graph]) -> Graph:
    """Many graphs as one, without edges between them. Labels that only some of them have are NaN for the others.

    Raises:
        ValueError: There is no graph.
    """
    if not graphs:
        raise ValueError("collate needs at least one graph")
    first_node = np.cumsum([0, *(len(graph.numbers) for graph in graphs)])[:-1].tolist()
    first_graph = np.cumsum([0, *(graph.count for graph in graphs)])[:-1].tolist()

    def label(graph: Graph, name: str) -> Tensor:
        if name in graph.labels:
            return graph.labels[name]
        rows = len(graph.numbers) if name == "forces" else graph.count
        dtype = torch.float64 if name == "energy" else graph.positions.dtype
        return graph.positions.new_full((rows, *LABELS[name]), float("nan"), dtype=dtype)

    def weights(graph: Graph) -> Tensor:
        return torch.ones(graph.count, dtype=torch.float64) if graph.weights is None else graph.weights

    known = [name for name in LABELS if any(name in graph.labels for graph in graphs)]
    return Graph(
        numbers=torch.cat([graph.numbers for graph in graphs]),
        positions=torch.cat([graph.positions for graph in graphs]),
        batch=torch.cat([graph.batch + first for graph, first in zip(graphs, first_graph, strict=True)]),
        count=sum(graph.count for graph in graphs),
        source=torch.cat([graph.source + first for graph, first in zip(graphs, first_node, strict=True)]),
        target=torch.cat([graph.target + first for graph, first in zip(graphs, first_node, strict=True)]),
        offsets=torch.cat([graph.offsets for graph in graphs]),
        cell=torch.cat([graph.cell for graph in graphs]),
        labels={name: torch.cat([label(graph, name) for graph in graphs]) for name in known},
        weights=torch.cat([weights(graph) for graph in graphs]) if any(g.weights is not None for g in graphs) else None,
    )


def batch_indices(
    count: int, size: int, seed: int | None = None, epoch: int = 0, rank: int = 0, ranks: int = 1
) -> list[Int64[np.ndarray, " b"]]:
    """Which of `count` items make up each batch of one epoch on one of several ranks.

    With a seed (training), the order is drawn from (seed, epoch), the same on all ranks, and every rank gets equally
    many batches of equal sizes: if `ranks` does not divide `count`, the first few items come twice. Without one
    (evaluation), items stay in order and none comes twice.

    Args:
        count: Number of items.
        size: Items per batch on this rank; the last batch may be smaller.
        seed: Seed of the order; None for the given order.
        epoch: Number of the epoch, from 0.
        rank: This process.
        ranks: Number of processes.

    Raises:
        ValueError: The size is not positive, or there is no such rank.

    >>> [batch.tolist() for batch in batch_indices(5, 2)]
    [[0, 1], [2, 3], [4]]
    """
    if size < 1 or not 0 <= rank < ranks:
        raise ValueError(f"size={size}, rank={rank}, ranks={ranks}; size must be positive, rank be 0 to ranks - 1")
    if seed is None:
        order = np.arange(count)
    else:
        order = np.random.default_rng((seed, epoch)).permutation(count)
        order = np.resize(order, -(-count // ranks) * ranks)  # starts again from the beginning where it is too short
    mine = order[rank::ranks]
    return [mine[begin : begin + size] for begin in range(0, len(mine), size)]


def batches(graphs: Iterable[Graph], size: int) -> Iterator[Graph]:
    """Collate `size` graphs at a time, in the order they come; the last batch may be smaller."""
    iterator = iter(graphs)
    while chunk := list(islice(iterator, size)):
        yield collate(chunk)
