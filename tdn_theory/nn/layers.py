"""The layers of the network, on features (n, d, channels) of degrees 0..L: components first, channels last.

`n` counts nodes or edges and `d = (L+1)^2`. A layer that is asked for the degrees 0..l only takes and gives the first
(l+1)^2 components, and computes nothing else.
"""

from __future__ import annotations

from typing import Literal

import torch
import torch.nn.functional as F
from jaxtyping import Float
from torch import Tensor

from tdn_theory.so3.irreps import component_slice, dim

Basis = Literal["gaussian", "bessel"]
HIDDEN = 64
"""Width of the radial perceptrons."""
SHARP_EPS = 1e-5
"""Of `LayerNorm` unless another one is given: that of Equiformer."""


def envelope(distance: Float[Tensor, "*e"], cutoff: float) -> Float[Tensor, "*e"]:
    """Smooth cutoff `u(x) = (1-x)^4 (1 + 4x + 10x^2 + 20x^3 + 35x^4 + 56x^5)`, x = distance / cutoff; zero from 1 on.

    This is the polynomial of degree nine with `u(0) = 1`, five derivatives zero at 0 and three at 1 (the incomplete
    beta function `1 - I_x(6, 4)`): energies are C^3 and forces C^2 across the cutoff. Every term is positive, so
    nothing cancels near the cutoff. The widely used `1 - I_x(6, 3)` (DimeNet, Gasteiger et al. 2020, eq. 8) is one
    order less smooth.
    """
    x = distance / cutoff
    series = 1 + x * (4 + x * (10 + x * (20 + x * (35 + x * 56))))
    return (1 - x).clamp(min=0) ** 4 * series


class GaussianBasis(torch.nn.Module):
    """`b_k(r) = exp(-(w r/cutoff + b - m_k)^2 / (2 s_k^2))` with trainable centres m, widths s, scale w and shift b.

    Centres start evenly spaced on [0, 1], widths at `1/size`, but not below `MIN_WIDTH`.

    Args:
        size: Number of functions.
        cutoff: Cutoff radius, Angstrom.
    """

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.mean = torch.nn.Parameter(torch.linspace(0, 1, size))
        self.width = torch.nn.Parameter(torch.full((size,), max(1 / size, MIN_WIDTH)))
        self.weight = torch.nn.Parameter(torch.ones(1))
        self.bias = torch.nn.Parameter(torch.zeros(1))

    def forward(self, distance: Float[Tensor, " e"]) -> Float[Tensor, "e basis"]:
        """Values of all functions."""
        x = self.weight * (distance / self.cutoff).unsqueeze(-1) + self.bias
        return torch.exp(-0.5 * ((x - self.mean) / self.width).square())


MIN_WIDTH = 1 / 64
"""Least initial width of a Gaussian, in cutoff radii: narrower ones make rough energies."""


class BesselBasis(torch.nn.Module):
    """`b_k(r) = sqrt 2 sin(f_k r / cutoff) cutoff / r` with trainable frequencies, `k pi` at first.

    Source: Gasteiger et al. 2020 (DimeNet), eq. 7, without the factor of the cutoff.

    Args:
        size: Number of functions.
        cutoff: Cutoff radius, Angstrom.
    """

    def __init__(self, size: int, cutoff: float) -> None:
        super().__init__()
        self.cutoff = cutoff
        self.frequency = torch.nn.Parameter(torch.pi * torch.arange(1, size + 1, dtype=torch.get_default_dtype()))

    def forward(self, distance: Float[Tensor, " e"]) -> Float[Tensor, "e basis"]:
        """Values of all functions."""
        x = (distance / self.cutoff).unsqueeze(-1)
        # sinc is smooth at 0, where coinciding atoms are
        return 2**0.5 * self.frequency * torch.sinc(self.frequency * x / torch.pi)


class RadialMLP(torch.nn.Sequential):
    """The perceptron that makes weights of products from a radial basis: two hidden layers, layer norm, SiLU.

    Args:
        size: Size of the radial basis.
        outputs: Number of weights of an edge.
    """

    def __init__(self, size: int, outputs: int) -> None:
        layers: list[torch.nn.Module] = []
        for inputs in (size, HIDDEN):
            layers += [torch.nn.Linear(inputs, HIDDEN), torch.nn.LayerNorm(HIDDEN), torch.nn.SiLU()]
        super().__init__(*layers, torch.nn.Linear(HIDDEN, outputs))


class Linear(torch.nn.Module):
    """`z_kv = sum_u W_vu x_ku + [k = 0] b_v`: mixes channels of each component; the bias is a scalar, so degree 0's.

    Args:
        lmax: Maximal degree L.
        inputs: Channels of x.
        outputs: Channels of z.
        bias: Whether there is one.
        shared: One matrix for all degrees (PS-Linear, E4), or one for each.
    """

    def __init__(self, lmax: int, inputs: int, outputs: int, *, bias: bool = True, shared: bool = True) -> None:
        super().__init__()
        self.shared = shared
        weight = torch.empty(outputs, inputs) if shared else torch.empty(lmax + 1, outputs, inputs)
        self.weight = torch.nn.Parameter(torch.nn.init.normal_(weight, std=inputs**-0.5))
        self.bias = torch.nn.Parameter(torch.zeros(outputs)) if bias else None

    def extra_repr(self) -> str:
        """Channels, bias and sharing."""
        *_, outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, bias={self.bias is not None}, shared={self.shared}"

    def forward(self, x: Float[Tensor, "n d i"], first: int = 0) -> Float[Tensor, "n d o"]:
        """The degrees `first`, `first` + 1, ... of z, whose components x has."""
        z = self.mix(x, first)
        if self.bias is not None and first == 0:
            z[:, 0] += self.bias
        return z

    def mix(self, x: Float[Tensor, "n d i"], first: int = 0, channels: slice = slice(None)) -> Float[Tensor, "n d o"]:
        """The result without bias, some of its channels only."""
        if self.shared:
            return F.linear(x, self.weight[channels])
        degrees = range(first, round((x.shape[1] + first**2) ** 0.5))
        blocks = x.split([2 * l + 1 for l in degrees], 1)
        mixed = [F.linear(block, self.weight[l, channels]) for l, block in zip(degrees, blocks, strict=True)]
        return torch.cat(mixed, 1)

    def scalars(self, x: Float[Tensor, "n i"], channels: slice = slice(None)) -> Float[Tensor, "n o"]:
        """Component 0 of z from component 0 of x, some of its channels only."""
        weight = self.weight if self.shared else self.weight[0]
        return F.linear(x, weight[channels], None if self.bias is None else self.bias[channels])


class GatedLinear(Linear):
    """A linear layer to values v and gates g, and the gate: `silu(v_0)` for degree 0, `sigmoid(g_0) v_k` for others.

    Args:
        lmax: Maximal degree L.
        inputs: Channels of x.
        outputs: Channels of the values.
        shared: As for `Linear`.
    """

    def __init__(self, lmax: int, inputs: int, outputs: int, *, shared: bool = True) -> None:
        super().__init__(lmax, inputs, 2 * outputs, shared=shared)
        self.values, self.gates = slice(0, outputs), slice(outputs, 2 * outputs)

    def forward(self, x: Float[Tensor, "n d i"], first: int = 0) -> Float[Tensor, "n d o"]:
        """The gated values of degrees 0, 1, ..."""
        scalars = self.scalars(x[:, 0])
        activated = F.silu(scalars[:, self.values]).unsqueeze(1)
        if x.shape[1] == 1:
            return activated
        gates = torch.sigmoid(scalars[:, self.gates]).unsqueeze(1)
        return torch.cat([activated, self.mix(x[:, 1:], 1, self.values) * gates], 1)


class Readout(torch.nn.Module):
    """A scalar of each node: linear, SiLU, linear, on component 0.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        shared: As for `Linear`.
    """

    def __init__(self, lmax: int, channels: int, *, shared: bool = True) -> None:
        super().__init__()
        self.hidden = Linear(lmax, channels, channels, shared=shared)
        self.out = Linear(lmax, channels, 1, shared=shared)

    def forward(self, x: Float[Tensor, "n d c"]) -> Float[Tensor, " n"]:
        """The scalars."""
        return self.out.scalars(F.silu(self.hidden.scalars(x[:, 0]))).squeeze(1)


class LayerNorm(torch.nn.Module):
    """Each degree divided by its root mean square over components and channels; degree 0 less its mean at first.

    `z_ku = a_lu x_ku / sqrt(mean_(k' in l, u') x_k'u'^2 + eps) + [k = 0] b_u`.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        eps: Added to the mean square: features much below its root stay small.
    """

    degree: Tensor

    def __init__(self, lmax: int, channels: int, eps: float = SHARP_EPS) -> None:
        super().__init__()
        self.eps = eps
        self.weight = torch.nn.Parameter(torch.ones(lmax + 1, channels))
        self.bias = torch.nn.Parameter(torch.zeros(channels))
        degree = torch.zeros(dim(lmax), lmax + 1)
        for l in range(lmax + 1):
            degree[component_slice(l), l] = 1
        self.register_buffer("degree", degree, persistent=False)  # zeros and ones, exact in every dtype

    def forward(self, x: Float[Tensor, "n d c"]) -> Float[Tensor, "n d c"]:
        """The normalised features of the degrees 0, 1, ... whose components x has."""
        d = x.shape[1]
        degree = self.degree[:d, : round(d**0.5)]
        x = torch.cat([x[:, :1] - x[:, :1].mean(-1, keepdim=True), x[:, 1:]], 1)
        mean_square = x.square().mean(-1) @ degree / degree.sum(0)
        scale = (mean_square + self.eps).rsqrt() @ degree.T
        z = x * scale.unsqueeze(-1) * (degree @ self.weight[: degree.shape[1]])
        z[:, 0] += self.bias
        return z
