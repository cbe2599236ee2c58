"""The graphs of structures, and batches of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import torch
from torch.utils.data import DataLoader, Dataset

from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.structure import Structure

KEPT = 100_000
"""So many graphs are at most kept in memory."""


class Graphs(Dataset[Graph]):
    """The graphs of structures; built once and kept unless there are too many of them.

    Args:
        structures: Structures.
        cutoff: Cutoff radius, Angstrom.
        dtype: Floating-point type of the graphs.
    """

    def __init__(self, structures: Sequence[Structure], cutoff: float, dtype: torch.dtype):
        self.structures, self.cutoff, self.dtype = structures, cutoff, dtype
        few = len(structures) <= KEPT
        self._kept = [build_graph(structure, cutoff, dtype) for structure in structures] if few else None

    def __len__(self) -> int:
        """Number of structures."""
        return len(self.structures)

    def __getitem__(self, number: int) -> Graph:
        """The graph of one structure."""
        if self._kept is not None:
            return self._kept[number]
        return build_graph(self.structures[number], self.cutoff, self.dtype)

    def batches(self, numbers: Sequence[np.ndarray], workers: int = 0) -> Iterator[Graph]:
        """One graph for each batch of `numbers`, in their order.

        Args:
            numbers: The structures of each batch (`batch_indices`).
            workers: Processes that prepare batches ahead; 0 prepares them in this one.
        """
        generator = torch.Generator().manual_seed(0)  # else it draws a seed from the global generator
        batches = [batch.tolist() for batch in numbers]
        yield from DataLoader(self, batch_sampler=batches, collate_fn=collate, num_workers=workers, generator=generator)
