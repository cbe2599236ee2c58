"""The convolution of node features with harmonics of edges: gather, product with weights, and sum at nodes, in one."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor

from tdn_theory.coupling import CouplingLike, CouplingTensor
from tdn_theory.nn.kernels.convolution import sum_at_nodes
from tdn_theory.nn.precision import DoubleBuffers, without_autocast
from tdn_theory.so3.irreps import slot_slices


@dataclass(frozen=True)
class Slot:
    """Where the features of one irrep lie in a row.

    Attributes:
        first: Their first number.
        components: Components d = 2l + 1.
        channels: Channels.
    """

    first: int
    components: int
    channels: int


@dataclass(frozen=True, eq=False)
class ConvolutionPath:
    """One path: what it reads, what it adds to, and how they are coupled.

    Attributes:
        x: Slot of the features that are read.
        y: First number of the harmonics in a row of y.
        z: Slot of the result, with the channels of x.
        weight: First number of its weights, one for each channel, in a row of w.
        tensor: `C[k, i, j]`.
    """

    x: Slot
    y: int
    z: Slot
    weight: int
    tensor: Float[np.ndarray, "d3 d1 d2"]


class Convolution(DoubleBuffers):
    """Features of nodes, times harmonics and weights of edges, summed at the nodes that the edges lead to.

        z[n, k, u] = sum_(e: target(e) = n) sum_p w[e, p, u] C_p[k, i, j] x[source(e), i, u] y[e, j]

    Features, harmonics and weights are rows of numbers; each path says where in them it reads and writes, so that paths
    may share slots and weights, or have their own, and the channels of slots may differ. No tensor of the size (edges,
    components, channels) is made, and derivatives of any order are convolutions of the same kind; see
    `kernels.convolution`. On CPU, compiled loops run where there is a C compiler that works; on a GPU, Triton kernels
    of the message step, path by path and without atomics; elsewhere, plain torch operations.

    Dtypes: float32 and float64; narrower ones are computed in float32 and rounded once at the end.

    Args:
        paths: The paths.
        x_width: Length of a row of x.
        y_width: Length of a row of y.
        z_width: Length of a row of z.
        weight_width: Length of a row of weights.
        by_channel: Slots lie channel by channel, `(channels, d)`, as e3nn's; otherwise component by component,
            `(d, channels)`.

    Raises:
        ValueError: There is no path, or one does not fit.
    """

    _table: Tensor
    _entries: Tensor
    _values: Tensor
    _x_slots: Tensor
    _z_slots: Tensor

    def __init__(
        self,
        paths: Sequence[ConvolutionPath],
        *,
        x_width: int,
        y_width: int,
        z_width: int,
        weight_width: int,
        by_channel: bool,
    ) -> None:
        super().__init__()
        if not paths:
            raise ValueError("a convolution needs at least one path")
        self.x_width, self.y_width, self.z_width, self.weight_width = x_width, y_width, z_width, weight_width
        self.paths = len(paths)
        table, entries, values = [], [], []
        for path in paths:
            d3, d1, d2 = path.tensor.shape
            if (path.z.components, path.x.components) != (d3, d1) or path.x.channels != path.z.channels:
                raise ValueError(
                    f"path {path} does not fit; its tensor must have the components of its slots, (d3, d1, d2), and "
                    "these must have equally many channels"
                )
            reach = (
                (path.x.first, d1 * path.x.channels, x_width),
                (path.y, d2, y_width),
                (path.z.first, d3 * path.z.channels, z_width),
                (path.weight, path.x.channels, weight_width),
            )
            if any(start < 0 or size < 1 or start + size > width for start, size, width in reach):
                raise ValueError(f"path {path} reaches beyond its rows, or has no number in them")
            first = len(values)
            for k, i, j in np.argwhere(path.tensor):
                entries.append((k, i, path.y + j))
                values.append(path.tensor[k, i, j])
            ends = (path.x.first, path.z.first, path.weight)
            table.append((*ends, path.x.components, path.z.components, path.x.channels, first, len(values)))
        constants = {
            "_table": torch.tensor(table),
            "_entries": torch.tensor(np.array(entries, dtype=np.int32).reshape(-1, 3)),
            "_values": torch.tensor(np.array(values, dtype=np.float64)),
            "_x_slots": _slots([path.x for path in paths], by_channel),
            "_z_slots": _slots([path.z for path in paths], by_channel),
        }
        for name, constant in constants.items():
            self.register_buffer(name, constant, persistent=False)

    @classmethod
    def of(cls, coupling: CouplingLike | CouplingTensor, channels: int, *, shared: bool = False) -> Convolution:
        """The convolution of a coupling, of features (n, d, channels) flattened into rows.

        Args:
            coupling: As of `TensorProduct`.
            channels: Channels.
            shared: One set of weights (channels) for all paths, or one for each, (paths, channels) flattened.
        """
        tensor = (coupling if isinstance(coupling, CouplingTensor) else CouplingTensor(coupling)).alive
        x, y, z = (slot_slices(irreps) for irreps in (tensor.coupling.x, tensor.coupling.y, tensor.coupling.z))
        paths = [
            ConvolutionPath(
                Slot(x[path.x].start * channels, path.irreps[0].dim, channels),
                y[path.y].start,
                Slot(z[path.z].start * channels, path.irreps[2].dim, channels),
                0 if shared else number * channels,
                tensor.block(path),
            )
            for number, path in enumerate(tensor.paths)
        ]
        d1, d2, d3 = tensor.coupling.dims
        weights = channels if shared else channels * len(paths)
        return cls(
            paths,
            x_width=d1 * channels,
            y_width=d2,
            z_width=d3 * channels,
            weight_width=weights,
            by_channel=False,
        )

    def extra_repr(self) -> str:
        """Widths and paths."""
        return f"{self.paths} paths, x {self.x_width}, y {self.y_width}, z {self.z_width}, weights {self.weight_width}"

    @without_autocast
    def forward(
        self,
        x: Float[Tensor, "m x"],
        y: Float[Tensor, "e y"],
        w: Float[Tensor, "#e w"],
        source: Int[Tensor, " e"],
        target: Int[Tensor, " e"],
        count: int,
    ) -> Float[Tensor, "n z"]:
        """The convolution.

        Args:
            x: Features of nodes.
            y: Harmonics of edges.
            w: Weights of edges, or one row for all of them.
            source: Row of x of every edge.
            target: Row of z of every edge, in any order.
            count: Number of rows of z.

        Raises:
            ValueError: A shape is wrong.
            TypeError: x, y and w differ in dtype.
            IndexError: An edge names a row that does not exist.
        """
        rows = (("x", x, self.x_width), ("y", y, self.y_width), ("w", w, self.weight_width))
        for name, value, width in rows:
            if value.dim() != 2 or value.shape[1] != width:
                raise ValueError(f"{name} has shape {tuple(value.shape)}; it must be (rows, {width})")
        edges = source.shape[0]
        if target.shape != source.shape or y.shape[0] != edges or w.shape[0] not in (1, edges):
            raise ValueError(
                f"there are {source.shape[0]} sources, {target.shape[0]} targets, {y.shape[0]} rows of y and "
                f"{w.shape[0]} of w; there must be one for each edge, or one row of w"
            )
        if not x.dtype == y.dtype == w.dtype:
            raise TypeError(f"x, y and w have dtypes {x.dtype}, {y.dtype} and {w.dtype}; they must be equal")
        dtype = torch.promote_types(x.dtype, torch.float32)
        z = sum_at_nodes(
            x.to(dtype),
            y.to(dtype),
            w.to(dtype),
            (self._table, self._entries, self._values),
            (self._x_slots, self._z_slots),
            (source.long(), target.long()),
            (count, self.z_width),
            False,
        )
        return z.to(x.dtype)


def _slots(slots: list[Slot], by_channel: bool) -> Tensor:
    """Those that have to be turned, each once."""
    turned = dict.fromkeys((one.first, one.components, one.channels) for one in slots if by_channel)
    return torch.tensor(list(turned), dtype=torch.int64).reshape(-1, 3)
