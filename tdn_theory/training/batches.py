"""The graphs of structures, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset, get_worker_info

from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.packed import pack
from tdn_theory.data.structure import Structure

KEPT = 2**30
"""Bytes of graphs that a set keeps in memory, which on a processor saves a few percent of a step (`input_speed`)."""

OBJECTS = 1000
"""Bytes of a graph besides the numbers in its tensors, about."""


class Graphs(Dataset[Graph]):
    """The graphs of structures, built when they are asked for; as many as fit into `KEPT` bytes are built once only.

    Args:
        structures: Structures.
        cutoff: Cutoff radius, Angstrom.
        dtype: Floating-point type of the graphs.
    """

    def __init__(self, structures: Sequence[Structure], cutoff: float, dtype: torch.dtype):
        self.structures, self.cutoff, self.dtype = pack(structures), cutoff, dtype
        self._kept: dict[int, Graph] = {}
        self._left = KEPT

    def __len__(self) -> int:
        """Number of structures."""
        return len(self.structures)

    def __getitem__(self, number: int) -> Graph:
        """The graph of one structure."""
        graph = self._kept.get(number)
        if graph is None:
            graph = build_graph(self.structures[number], self.cutoff, self.dtype)
            size = graph.bytes + OBJECTS
            # a worker ends with the epoch, and what it keeps with it
            if size <= self._left and get_worker_info() is None:
                self._kept[number] = graph
                self._left -= size
        return graph

    def batches(self, numbers: Sequence[np.ndarray], workers: int = 0) -> Iterator[Graph]:
        """One graph for each batch of `numbers`, in their order.

        Args:
            numbers: The structures of each batch (`batch_indices`).
            workers: Processes that prepare batches ahead; 0 prepares them in this one.
        """
        generator = torch.Generator().manual_seed(0)  # else it draws a seed from the global generator
        batches = [batch.tolist() for batch in numbers]
        yield from DataLoader(self, batch_sampler=batches, collate_fn=collate, num_workers=workers, generator=generator)
