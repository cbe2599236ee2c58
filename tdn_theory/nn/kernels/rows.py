"""Which row of a table of features every edge reads from, or adds to, and the edges sorted by it."""

from __future__ import annotations

import torch
from jaxtyping import Int
from torch import Tensor


class Rows:
    """The rows of a table of features that edges belong to. The edges are sorted when that is asked for, once.

    Attributes:
        index: Row of each edge.
        count: Number of rows.

    Args:
        index: Row of each edge.
        count: Number of rows.
        ascending: Whether the index is ascending, as the targets of a `Graph` are.
    """

    def __init__(self, index: Int[Tensor, " e"], count: int, ascending: bool = False) -> None:
        self.index = index
        self.count = count
        self._ascending = ascending
        self._sorted: tuple[Tensor | None, Tensor] | None = None

    def sorted(self) -> tuple[Int[Tensor, " e"] | None, Int[Tensor, " n1"]]:
        """Edges in the order of their rows (None if they are in it), and where in it each row begins, with the end."""
        if self._sorted is None:
            order = None if self._ascending else torch.argsort(self.index, stable=True)
            found = self.index if order is None else self.index[order]
            start = torch.searchsorted(found, torch.arange(self.count + 1, device=found.device))
            self._sorted = order, start
        return self._sorted
