"""Equiformer, the network that the paper's tables compare with, on e3nn's own products.

Source: Liao and Smidt 2022 (arXiv 2206.11990), sections 3 and 4, with the settings of TAB4. Features are in e3nn's
layout, and have one irrep of even parity for each degree 0..L, as everywhere in this package. What is slower in the
authors' program than it needs to be is not imitated: linear layers are `e3nn.o3.Linear`, gates and norms act on views.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tdn_theory.data.elements import check_elements
from tdn_theory.data.graph import Graph
from tdn_theory.nn.attention import smooth_leaky_relu
from tdn_theory.nn.baselines import o3
from tdn_theory.nn.harmonics import SphericalHarmonics, length
from tdn_theory.nn.layers import GaussianBasis, RadialMLP
from tdn_theory.nn.potential import MAX_NUMBER
from tdn_theory.nn.seeded import seeded
from tdn_theory.so3.irreps import check_lmax


class Equiformer(torch.nn.Module):
    """Energies, and direct forces, of a graph transformer whose messages keep the output of every path.

    Its products (`DepthwiseProduct`) have a weight, and output channels, for every path, so the linear layers behind
    them read O(L^3) times as many channels as TDN's, which read a sum over paths: that is where most of its parameters
    and of its operations are.

    e3nn makes its coefficients in torch's default dtype: set that to float64 before making a float64 network. The
    weights of edges do not fade out towards the cutoff, as published: energies jump where an edge begins.

    Args:
        elements: Atomic numbers that it knows.
        lmax: Maximal degree L.
        channels: Channels of every degree.
        layers: Number of attention blocks.
        heads: Heads of the attention, which split the channels.
        cutoff: Cutoff radius of the graph, Angstrom.
        basis_size: Number of Gaussians.
        neighbors: Typical number of neighbours, by whose root the sum over neighbours in the embedding is divided.
        forces: Whether it has forces.
        seed: Seed of the weights.

    Raises:
        ImportError: e3nn is not installed.
        ValueError: The heads cannot split the channels, or an atomic number is not possible.
    """

    index: Tensor

    def __init__(
        self,
        elements: tuple[int, ...],
        lmax: int,
        channels: int = 256,
        layers: int = 6,
        heads: int = 8,
        cutoff: float = 4.5,
        basis_size: int = 128,
        neighbors: float = 16.0,
        forces: bool = True,
        seed: int = 0,
    ) -> None:
        super().__init__()
        check_lmax(lmax)
        if channels % heads:
            raise ValueError(f"{heads} heads cannot split {channels} channels; give a divisor of them")
        if not elements or not all(0 < z < MAX_NUMBER for z in elements):
            raise ValueError(f"elements are {elements}; give atomic numbers from 1 to {MAX_NUMBER - 1}")
        with seeded(self, seed):
            self.elements = torch.nn.Embedding(len(elements), channels)
            self.harmonics = SphericalHarmonics(lmax)
            self.basis = GaussianBasis(basis_size, cutoff)
            self.surroundings = DegreeEmbedding(lmax, channels, basis_size, neighbors)
            self.blocks = torch.nn.ModuleList(Block(lmax, channels, heads, basis_size) for _ in range(layers))
            self.norm = LayerNorm(lmax, channels)
            self.energy = torch.nn.Sequential(
                torch.nn.Linear(channels, channels), torch.nn.SiLU(), torch.nn.Linear(channels, 1)
            )
            self.force_attention = Attention(lmax, channels, heads, basis_size, outputs="1x1e") if forces else None
        index = torch.full((MAX_NUMBER,), -1)
        index[list(elements)] = torch.arange(len(elements))
        self.register_buffer("index", index, persistent=False)

    def forward(self, graph: Graph) -> dict[str, Float[Tensor, "..."]]:
        """Energies (g,) of a batch of graphs and forces (n, 3), if any, in the units that the network is trained in.

        Raises:
            ValueError: An atom has an element that the network does not know.
        """
        elements = self.index[graph.numbers]
        if not torch.compiler.is_compiling() and bool((elements < 0).any()):
            check_elements(graph.numbers.tolist(), (self.index >= 0).nonzero().flatten().tolist(), "the network")
        vectors = graph.vectors
        edges = (graph.source, graph.target, self.harmonics(vectors), self.basis(length(vectors)))
        x = self.surroundings(edges, len(elements))
        atoms = self.elements(elements)
        x = x + F.pad(atoms, (0, x.shape[1] - atoms.shape[1]))
        for block in self.blocks:
            x = block(x, edges)
        x = self.norm(x)
        energies = self.energy(x[:, : atoms.shape[1]]).squeeze(1)
        total = energies.new_zeros(graph.count).index_add(0, graph.batch, energies)
        if self.force_attention is None:
            return {"energy": total}
        return {"energy": total, "forces": self.force_attention(x, edges)}


EdgeTensors = tuple[Int[Tensor, " e"], Int[Tensor, " e"], Float[Tensor, "e d"], Float[Tensor, "e basis"]]
"""Source, target, harmonics and radial basis of every edge."""


class DepthwiseProduct(torch.nn.Module):
    """`z_(p u) = w_(p u) C_p (x_u (x) y)`: every channel with the harmonics, the outputs of all paths side by side.

    Attributes:
        irreps_out: Irreps of the result, those of the paths into a degree behind each other.
        weight_numel: Number of weights.

    Args:
        lmax: Maximal degree L.
        channels: Channels of x.
        internal: Whether the weights are parameters, or are given for every edge.
    """

    def __init__(self, lmax: int, channels: int, internal: bool) -> None:
        super().__init__()
        x, y = irreps(lmax, channels), irreps(lmax, 1)
        ends = [
            (i, j, end.l) for i, (_, a) in enumerate(x) for j, (_, b) in enumerate(y) for end in a * b if end.l <= lmax
        ]
        ends.sort(key=lambda path: path[2])
        self.irreps_out = o3().Irreps([(channels, (l, 1)) for _, _, l in ends])
        instructions = [(i, j, number, "uvu", True) for number, (i, j, _) in enumerate(ends)]
        options = {"internal_weights": internal, "shared_weights": internal}
        self.product = o3().TensorProduct(x, y, self.irreps_out, instructions, **options)
        self.irreps_out = self.irreps_out.simplify()
        self.weight_numel: int = self.product.weight_numel

    def forward(
        self, x: Float[Tensor, "e dx"], y: Float[Tensor, "e d"], weights: Float[Tensor, "e w"] | None = None
    ) -> Float[Tensor, "e dz"]:
        """The product."""
        return self.product(x, y, weights)


class DegreeEmbedding(torch.nn.Module):
    """The geometry around a node: the product of a constant with the harmonics, summed over its neighbours.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        basis: Size of the radial basis.
        neighbors: Average number of neighbours.
    """

    def __init__(self, lmax: int, channels: int, basis: int, neighbors: float) -> None:
        super().__init__()
        self.constant = o3().Linear("1x0e", irreps(lmax, channels), biases=True)
        self.product = DepthwiseProduct(lmax, channels, internal=False)
        self.radial = RadialMLP(basis, self.product.weight_numel)
        self.project = o3().Linear(self.product.irreps_out, irreps(lmax, channels), biases=True)
        self.neighbors = neighbors

    def forward(self, edges: EdgeTensors, nodes: int) -> Float[Tensor, "n dx"]:
        """The embedding of all nodes."""
        source, target, harmonics, basis = edges
        ones = self.constant(basis.new_ones(nodes, 1)).index_select(0, source)
        messages = self.project(self.product(ones, harmonics, self.radial(basis)))
        return messages.new_zeros(nodes, messages.shape[1]).index_add(0, target, messages) / self.neighbors**0.5


class Attention(torch.nn.Module):
    """Equivariant graph attention with non-linear messages (section 4.1).

    From the features of both ends, the product with the harmonics gives scalars for the logits (smooth leaky ReLU,
    softmax over the edges into a node) and, behind a linear layer and a gate, a second product gives the values, which
    are summed with these weights.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        heads: Number of heads.
        basis: Size of the radial basis.
        outputs: Irreps of the result; None for those of the features.
    """

    def __init__(self, lmax: int, channels: int, heads: int, basis: int, outputs: str | None = None) -> None:
        super().__init__()
        features = irreps(lmax, channels)
        linear = o3().Linear
        self.lmax, self.heads = lmax, heads
        self.source = linear(features, features, biases=True)
        self.target = linear(features, features)
        self.couple = DepthwiseProduct(lmax, channels, internal=False)
        self.radial = RadialMLP(basis, self.couple.weight_numel)
        self.logits = torch.nn.Linear(channels * (lmax + 1), channels)  # of the scalars, of which L + 1 paths end in
        self.head = torch.nn.Parameter(torch.randn(heads, channels // heads) * (heads / channels) ** 0.5)
        self.hidden = linear(self.couple.irreps_out, gate_irreps(lmax, channels), biases=True)
        self.again = DepthwiseProduct(lmax, channels, internal=True)
        self.value = linear(self.again.irreps_out, features, biases=True)
        self.project = linear(features, outputs or features, biases=True)

    def forward(self, x: Float[Tensor, "n dx"], edges: EdgeTensors) -> Float[Tensor, "n dz"]:
        """The result for all nodes."""
        source, target, harmonics, basis = edges
        pair = self.source(x).index_select(0, source) + self.target(x).index_select(0, target)
        message = self.couple(pair, harmonics, self.radial(basis))
        attention = self._attention(message[:, : self.logits.in_features], target, len(x))
        values = self.value(self.again(gate(self.hidden(message), self.lmax), harmonics))
        parts = by_degree(values, self.lmax)
        weighted = [(part.unflatten(1, (self.heads, -1)) * attention[..., None, None]).flatten(1) for part in parts]
        summed = values.new_zeros(x.shape).index_add(0, target, torch.cat(weighted, 1))
        return self.project(summed)

    def _attention(self, scalars: Tensor, target: Tensor, nodes: int) -> Tensor:
        """The weight of every edge and head: softmax over the edges into a node."""
        logits = (smooth_leaky_relu(self.logits(scalars)).unflatten(1, (self.heads, -1)) * self.head).sum(-1)
        index = target.unsqueeze(1).expand_as(logits)
        largest = logits.new_zeros(nodes, self.heads).scatter_reduce(
            0, index, logits.detach(), "amax", include_self=False
        )
        terms = torch.exp(logits - largest.index_select(0, target))
        total = terms.new_zeros(nodes, self.heads).index_add(0, target, terms)
        return terms / total.index_select(0, target)


class Block(torch.nn.Module):
    """`x + attention(norm(x))`, then `x + feed_forward(norm(x))`: linear, gate, linear.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        heads: Number of heads.
        basis: Size of the radial basis.
    """

    def __init__(self, lmax: int, channels: int, heads: int, basis: int) -> None:
        super().__init__()
        features = irreps(lmax, channels)
        self.lmax = lmax
        self.norm1, self.norm2 = LayerNorm(lmax, channels), LayerNorm(lmax, channels)
        self.attention = Attention(lmax, channels, heads, basis)
        self.hidden = o3().Linear(features, gate_irreps(lmax, channels), biases=True)
        self.out = o3().Linear(features, features, biases=True)

    def forward(self, x: Float[Tensor, "n dx"], edges: EdgeTensors) -> Float[Tensor, "n dx"]:
        """The features after the block."""
        x = x + self.attention(self.norm1(x), edges)
        return x + self.out(gate(self.hidden(self.norm2(x)), self.lmax))


class LayerNorm(torch.nn.Module):
    """Each degree divided by the root mean square of its norms over channels; degree 0 less its mean at first.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        eps: Added to the mean square.
    """

    def __init__(self, lmax: int, channels: int, eps: float = 1e-5) -> None:
        super().__init__()
        self.lmax, self.eps = lmax, eps
        self.weight = torch.nn.Parameter(torch.ones(lmax + 1, channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))

    def forward(self, x: Float[Tensor, "n dx"]) -> Float[Tensor, "n dx"]:
        """The normalised features."""
        results = []
        for l, part in enumerate(by_degree(x, self.lmax)):
            centred = part - part.mean(1, keepdim=True) if l == 0 else part
            scale = (centred.square().mean((1, 2), keepdim=True) + self.eps).rsqrt()
            z = centred * (scale * self.weight[l, :, None])
            results.append((z + self.bias[:, None] if l == 0 else z).flatten(1))
        return torch.cat(results, 1)


def irreps(lmax: int, channels: int) -> Any:
    """`channels` of each degree 0..L, of even parity."""
    return o3().Irreps([(channels, (l, 1)) for l in range(lmax + 1)])


def gate_irreps(lmax: int, channels: int) -> Any:
    """What `gate` reads: scalars, then as many gates for each further degree, then these degrees."""
    return o3().Irreps([(channels * (lmax + 1), (0, 1)), *((channels, (l, 1)) for l in range(1, lmax + 1))])


def gate(x: Float[Tensor, "n dg"], lmax: int) -> Float[Tensor, "n dx"]:
    """`silu` of the scalars; each channel of the other degrees times the sigmoid of a scalar of its own."""
    channels = x.shape[1] // ((lmax + 1) ** 2 + lmax)
    scalars, gates, rest = x.split([channels, channels * lmax, x.shape[1] - channels * (lmax + 1)], 1)
    weights = torch.sigmoid(gates).unflatten(1, (lmax, channels)).unsqueeze(-1)
    parts = rest.split([channels * (2 * l + 1) for l in range(1, lmax + 1)], 1)
    gated = [(part.unflatten(1, (channels, -1)) * weights[:, l]).flatten(1) for l, part in enumerate(parts)]
    return torch.cat([F.silu(scalars), *gated], 1)


def by_degree(x: Float[Tensor, "n dx"], lmax: int) -> list[Float[Tensor, "n c m"]]:
    """The features of each degree, (n, channels, 2l+1)."""
    channels = x.shape[1] // (lmax + 1) ** 2
    parts = x.split([channels * (2 * l + 1) for l in range(lmax + 1)], 1)
    return [part.unflatten(1, (channels, -1)) for part in parts]
