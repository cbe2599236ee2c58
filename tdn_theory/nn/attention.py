"""Equivariant graph attention: messages through two products with the edge's harmonics, weighted by scalars."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from jaxtyping import Float, Int
from torch import Tensor

from tdn_theory.nn.edge_product import EdgeProduct
from tdn_theory.nn.kernels.rows import Rows
from tdn_theory.nn.layers import SHARP_EPS, GatedLinear, LayerNorm, Linear, RadialMLP
from tdn_theory.so3.irreps import dim


@dataclass(frozen=True)
class Edges:
    """The edges of a batch of graphs, and what all layers share of them.

    Attributes:
        source: Node that an edge comes from.
        target: Node that it goes to, ascending.
        basis: Radial basis.
        envelope: Smooth cutoff, zero at the cutoff.
        prepared: What `product.prepare` made of the harmonics of every edge.
        product: The product of features with the harmonics.
        ends: Sources and targets as rows of the nodes' features, if all layers are to share the sorting of them.
    """

    source: Int[Tensor, " e"]
    target: Int[Tensor, " e"]
    basis: Float[Tensor, "e basis"]
    envelope: Float[Tensor, " e"]
    prepared: Tensor
    product: EdgeProduct
    ends: tuple[Rows, Rows] | None = None

    def couple(
        self, x: Float[Tensor, "e d c"], weights: Float[Tensor, "e w"], degrees: slice = slice(None)
    ) -> Float[Tensor, "e k c"]:
        """`w M (x (x) y)`, of the degrees asked for."""
        return self.product.couple(self.prepared, x, self._shaped(weights), degrees)

    def couple_ends(
        self, source: Float[Tensor, "n d c"], target: Float[Tensor, "n d c"], weights: Float[Tensor, "e w"]
    ) -> Float[Tensor, "e d c"]:
        """`w M ((S + T) (x) y)` of the features S of the source and T of the target."""
        rows, other_rows = self._ends(source.shape[0])
        return self.product.couple(
            self.prepared, source, self._shaped(weights), rows=rows, other=target, other_rows=other_rows
        )

    def couple_and_sum(
        self,
        x: Float[Tensor, "e d c"],
        weights: Float[Tensor, "e w"],
        nodes: int,
        degrees: slice = slice(None),
    ) -> Float[Tensor, "n k c"]:
        """The sum of `w M (x (x) y)` over the edges that arrive at each node."""
        return self.product.couple(self.prepared, x, self._shaped(weights), degrees, into=self._ends(nodes)[1])

    def _ends(self, nodes: int) -> tuple[Rows, Rows]:
        return self.ends or (Rows(self.source, nodes), Rows(self.target, nodes, ascending=True))

    def _shaped(self, weights: Tensor) -> Tensor:
        return weights.view(weights.shape[0], *self.product.weight_shape)

    def sum(self, messages: Float[Tensor, "e *k"], nodes: int) -> Float[Tensor, "n *k"]:
        """The sum of the messages that arrive at each node."""
        return messages.new_zeros(nodes, *messages.shape[1:]).index_add(0, self.target, messages)


class Attention(torch.nn.Module):
    """`z_t = P sum_(e: s -> t) a_e V_e`, with V the values and a the attention weights of the edges into t.

    The message `m_e = w_e M (S x_s + T x_t, y_e)` couples the features of both nodes with the harmonics. The values
    couple again, after a gated linear layer: `V_e = w_e M (gate(m_e), y_e)`. The logits are those of each head h,
    `q_eh = sum_c v_hc smooth_leaky_relu(A m_e)_hc` of the scalars of m, and with the envelope u

        a_eh = u_e exp(q_eh) / (1 + sum_(e' into t) u_e' exp(q_e'h)).

    The one in the denominator is a logit 0 of "no neighbour": so a neighbour enters with weight zero and as smoothly as
    u, however few others there are, and a node without any gets nothing instead of 0/0.

    Computed is what is read: of A m and the gates the scalars, of the second product the degrees asked for.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        heads: Number of heads, which split the channels.
        basis: Size of the radial basis.
        paths: Number of paths with weights of their own (1 if all share one).
        shared: One matrix for all degrees in linear layers (E4).
    """

    gated = GatedLinear

    def __init__(self, lmax: int, channels: int, heads: int, basis: int, paths: int, shared: bool) -> None:
        super().__init__()
        self.heads = heads
        self.source = Linear(lmax, channels, channels, shared=shared)
        self.target = Linear(lmax, channels, channels, bias=False, shared=shared)
        self.radial = RadialMLP(basis, paths * channels)
        self.logits = Linear(lmax, channels, channels, shared=shared)
        self.head = torch.nn.Parameter(
            torch.nn.init.normal_(torch.empty(heads, channels // heads), std=(channels / heads) ** -0.5)
        )
        self.value = self.gated(lmax, channels, channels, shared=shared)
        self.project = Linear(lmax, channels, channels, shared=shared)

    def forward(self, x: Float[Tensor, "n d c"], edges: Edges, degrees: slice = slice(None)) -> Float[Tensor, "n k c"]:
        """The degrees of z asked for."""
        message, weights = self._message(x, edges)
        attention = self._attention(self.logits.scalars(message[:, 0]), edges, x.shape[0])
        weights = (weights.unflatten(1, (-1, x.shape[2])) * attention.unsqueeze(1)).flatten(1)
        values = edges.couple_and_sum(self.value(message), weights, x.shape[0], degrees)
        return self.project(values, degrees.start or 0)

    def _message(self, x: Tensor, edges: Edges) -> tuple[Tensor, Tensor]:
        weights = self.radial(edges.basis)
        return edges.couple_ends(self.source(x), self.target(x), weights), weights

    def _attention(self, scalars: Tensor, edges: Edges, nodes: int) -> Tensor:
        """The attention weight of every channel of the values, (e, c)."""
        logits = (smooth_leaky_relu(scalars).unflatten(1, (self.heads, -1)) * self.head).sum(-1)
        index = edges.target.unsqueeze(1).expand_as(logits)
        # the largest logit is divided out against overflow; the result does not depend on it
        largest = logits.new_zeros(nodes, self.heads).scatter_reduce(0, index, logits.detach(), "amax")
        terms = edges.envelope.unsqueeze(1) * torch.exp(logits - largest.index_select(0, edges.target))
        total = edges.sum(terms, nodes) + torch.exp(-largest)
        attention = terms / total.index_select(0, edges.target)
        return attention.repeat_interleave(self.head.shape[1], 1)


class FeedForward(torch.nn.Module):
    """Linear, gate, linear.

    Args:
        lmax: Maximal degree L.
        channels: Channels of input and gate.
        outputs: Channels of the result.
        shared: One matrix for all degrees in linear layers (E4).
        gated: `GatedLinear`, or one in another order of operations.
    """

    def __init__(self, lmax: int, channels: int, outputs: int, shared: bool, gated: type[GatedLinear]) -> None:
        super().__init__()
        self.hidden = gated(lmax, channels, channels, shared=shared)
        self.out = Linear(lmax, channels, outputs, shared=shared)

    def forward(self, x: Float[Tensor, "n d c"]) -> Float[Tensor, "n d o"]:
        """The result for the degrees 0, 1, ... whose components x has."""
        return self.out(self.hidden(x))


class Block(torch.nn.Module):
    """`x + attention(norm(x))`, then `x + feed_forward(norm(x))`.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        attention: The attention layer.
        shared: One matrix for all degrees in linear layers (E4).
        eps: Of `LayerNorm`.
    """

    def __init__(self, lmax: int, channels: int, attention: Attention, shared: bool, eps: float = SHARP_EPS) -> None:
        super().__init__()
        self.norm1 = LayerNorm(lmax, channels, eps)
        self.attention = attention
        self.norm2 = LayerNorm(lmax, channels, eps)
        self.feed_forward = FeedForward(lmax, channels, channels, shared, attention.gated)

    def forward(self, x: Float[Tensor, "n d c"], edges: Edges, degrees: slice = slice(None)) -> Float[Tensor, "n k c"]:
        """The features of the degrees asked for, which begin with 0."""
        z = x[:, components(degrees, x.shape[1])] + self.attention(self.norm1(x), edges, degrees)
        return z + self.feed_forward(self.norm2(z))


class DegreeEmbedding(torch.nn.Module):
    """`z_t = P sum_(e: s -> t) u_e w_e M (E 1, y_e) / sqrt(neighbors)`: the geometry around a node.

    The embedding `E 1` has degree 0 only, so the product is that of its scalars with each component of y.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        basis: Size of the radial basis.
        paths: Number of paths with weights of their own (1 if all share one).
        shared: One matrix for all degrees in linear layers (E4).
        neighbors: Average number of neighbours.
    """

    def __init__(self, lmax: int, channels: int, basis: int, paths: int, shared: bool, neighbors: float) -> None:
        super().__init__()
        self.expand = Linear(lmax, channels, channels, shared=shared)
        self.radial = RadialMLP(basis, paths * channels)
        self.project = Linear(lmax, channels, channels, shared=shared)
        self.neighbors = neighbors

    def forward(self, edges: Edges, nodes: int) -> Float[Tensor, "n d c"]:
        """The embedding of all nodes."""
        weights = self._weights(edges)
        scalars = self.expand.scalars(weights.new_ones(1, self.expand.weight.shape[-1]))
        scalars = scalars.expand(weights.shape[0], -1).unsqueeze(1)
        return self.project(edges.couple_and_sum(scalars, weights, nodes))

    def _weights(self, edges: Edges) -> Tensor:
        return self.radial(edges.basis) * (edges.envelope / self.neighbors**0.5).unsqueeze(1)


def smooth_leaky_relu(x: Float[Tensor, "*n"], slope: float = 0.2) -> Float[Tensor, "*n"]:
    """`((1 + a) x + (1 - a) x tanh(x/2)) / 2`: slope a far below zero, 1 far above (Equiformer)."""
    return x * ((1 + slope) / 2 + (1 - slope) / 2 * torch.tanh(x / 2))


def components(degrees: slice, d: int) -> slice:
    """Components of a range of degrees among d."""
    lmax = round(d**0.5) - 1
    start, stop, _ = degrees.indices(lmax + 1)
    return slice(start**2, dim(stop - 1))
