"""The layers of the network in the released order of operations: all is computed, and what is not read is dropped."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.attention import Attention, DegreeEmbedding, Edges, components
from tdn_theory.nn.layers import GatedLinear, Linear, Readout


class ReferenceGatedLinear(GatedLinear):
    """The same in the released order: values and gates of all components, most gates unread."""

    def forward(self, x: Float[Tensor, "n d i"], first: int = 0) -> Float[Tensor, "n d o"]:
        """The gated values of degrees 0, 1, ..."""
        z = Linear.forward(self, x)
        values, gates = z[..., self.values], torch.sigmoid(z[:, :1, self.gates])
        return torch.cat([F.silu(values[:, :1]), values[:, 1:] * gates], 1)


class ReferenceReadout(Readout):
    """The same in the released order: both layers of all components, of which one is read."""

    def forward(self, x: Float[Tensor, "n d c"]) -> Float[Tensor, " n"]:
        """The scalars."""
        z = self.hidden(x)
        return self.out(torch.cat([F.silu(z[:, :1]), z[:, 1:]], 1))[:, 0, 0]


class ReferenceAttention(Attention):
    """The same in the released order: everything is computed for all degrees, and what is not read is dropped."""

    gated = ReferenceGatedLinear

    def forward(self, x: Float[Tensor, "n d c"], edges: Edges, degrees: slice = slice(None)) -> Float[Tensor, "n k c"]:
        """The degrees of z asked for."""
        message, weights = self._message(x, edges)
        attention = self._attention(self.logits(message)[:, 0], edges, x.shape[0])
        values = edges.couple(self.value(message), weights)
        z = self.project(edges.sum(values * attention.unsqueeze(1), x.shape[0]))
        return z[:, components(degrees, z.shape[1])]


class ReferenceDegreeEmbedding(DegreeEmbedding):
    """The same in the released order: the product of all components, each edge projected before the sum."""

    def forward(self, edges: Edges, nodes: int) -> Float[Tensor, "n d c"]:
        """The embedding of all nodes."""
        weights = self._weights(edges)
        d = edges.product.coupling.dims[0]
        ones = self.expand(F.pad(weights.new_ones(nodes, 1, self.expand.weight.shape[-1]), (0, 0, 0, d - 1)))
        messages = self.project.mix(edges.couple(ones.index_select(0, edges.source), weights))
        z = edges.sum(messages, nodes)
        if self.project.bias is not None:
            z[:, 0] += self.project.bias  # once for a node: one for every edge would jump where an edge begins
        return z
