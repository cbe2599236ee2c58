"""The layers against their definitions: harmonics, cutoff, radial functions, linear layers, gates, norms."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given

from tdn_theory.nn.baselines.reference import ReferenceGatedLinear, ReferenceReadout
from tdn_theory.nn.harmonics import SphericalHarmonics, length
from tdn_theory.nn.layers import (
    BesselBasis,
    GatedLinear,
    GaussianBasis,
    LayerNorm,
    Linear,
    RadialMLP,
    Readout,
    envelope,
)
from tdn_theory.nn.precision import DoubleBuffers
from tdn_theory.so3 import harmonics, rotation
from tdn_theory.so3.irreps import component_slice, dim
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_close, tolerance

CHANNELS, NODES = 4, 5


def double(*values: float) -> torch.Tensor:
    return torch.tensor(values, dtype=torch.float64)


def features(lmax: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(NODES, dim(lmax), CHANNELS, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def spread(module: torch.nn.Module) -> torch.nn.Module:
    """In double precision, with parameters that are not at their special initial values."""
    generator = torch.Generator().manual_seed(3)
    module.double()
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.add_(0.3 * torch.randn(parameter.shape, generator=generator, dtype=torch.float64))
    return module


def turned(layer: torch.nn.Module, lmax: int, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
    """The layer of rotated features, and the rotated layer of features."""
    R = rotation.haar_rotations(1, np.random.default_rng(0))[0]
    D = torch.tensor(rotation.wigner_D(lmax, R))
    return layer(D @ x), D @ layer(x)


# --- harmonics


@given(strategies.lmaxes(0, 6), st.lists(strategies.vectors(), min_size=1, max_size=4))
def test_harmonics_are_those_of_numpy(lmax, vectors):
    """In double, also after a detour through float32; tiny and huge vectors excepted, whose squares leave the range."""
    kept = [v for v in vectors if not np.any(v) or 1e-100 < np.abs(v).max() < 1e100]
    stacked = np.array(kept).reshape(-1, 3)
    found = SphericalHarmonics(lmax).float().double()(torch.tensor(stacked))
    wanted = harmonics.spherical_harmonics(lmax, stacked, "component")
    assert_close(found, wanted, tolerance(lmax) * (2 * lmax + 1) ** 0.5, f"SphericalHarmonics({lmax})")


@pytest.mark.parametrize("lmax", [1, 3, 6])
def test_harmonics_have_derivatives(lmax):
    module = SphericalHarmonics(lmax).double()
    poles = torch.cat([torch.eye(3), -torch.eye(3)]).double()
    general = torch.randn(3, 3, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    vectors = torch.cat([poles, general]).requires_grad_()
    assert torch.autograd.gradcheck(module, vectors, fast_mode=True)
    assert torch.autograd.gradgradcheck(module, vectors, fast_mode=True)


def test_a_zero_vector_has_finite_derivatives():
    vectors = torch.zeros(2, 3, dtype=torch.float64, requires_grad=True)
    y = SphericalHarmonics(3).double()(vectors)
    assert_close(y.detach(), np.eye(16)[[0, 0]], 0, "harmonics of zero")
    (first,) = torch.autograd.grad(y.sum() + length(vectors).sum(), vectors, create_graph=True)
    (second,) = torch.autograd.grad(first.sum(), vectors)
    assert first.isfinite().all()
    assert second.isfinite().all()


def test_length():
    assert_close(length(double(3, 0, -4).view(1, 3)), [5], 1e-15, "length")
    assert_close(length(torch.zeros(1, 3), at_zero=2.0), [2], 0, "length of zero")


def test_double_buffers_stay_double():
    module = DoubleBuffers()
    module.register_buffer("third", double(1 / 3))
    module.register_buffer("count", torch.tensor([1]))
    module.child = torch.nn.Linear(1, 1)
    for moved in (module.float(), module.bfloat16(), module.to("cpu", torch.float32)):
        assert moved.third.dtype == torch.float64
        assert moved.third[0] == 1 / 3
        assert moved.count.dtype == torch.int64
    assert module.child.weight.dtype == torch.float32
    assert module.to("meta").third.device.type == "meta"


# --- radial functions


def test_envelope_is_the_incomplete_beta_function():
    from scipy.special import betainc

    x = np.linspace(0, 1.2, 50)
    wanted = np.where(x < 1, 1 - betainc(6, 4, np.minimum(x, 1)), 0)
    assert_close(envelope(torch.tensor(3 * x), 3.0), wanted, 1e-14, "envelope")


def test_envelope_has_three_derivatives_that_vanish():
    x = double(4.0, 4.0 - 1e-9).requires_grad_()
    value = envelope(x, 4.0)
    for order in range(4):
        assert_close(value.detach(), [0, 0], 1e-6, f"derivative {order} at the cutoff")
        if order < 3:
            (value,) = torch.autograd.grad(value.sum(), x, create_graph=True)


@pytest.mark.parametrize("basis", [GaussianBasis, BesselBasis])
def test_bases_are_smooth_functions_of_their_own(basis):
    functions = basis(8, 4.0).double()
    distance = torch.linspace(0, 4, 200, dtype=torch.float64, requires_grad=True)
    values = functions(distance)
    assert values.shape == (200, 8)
    assert np.linalg.matrix_rank(values.detach().numpy(), tol=1e-3) == 8
    (slope,) = torch.autograd.grad(values.sum(), distance)
    assert slope.isfinite().all()
    assert torch.autograd.gradgradcheck(functions, distance[1:5].detach().requires_grad_(), fast_mode=True)


def test_bessel_basis():
    r = double(0.5, 2.0)
    wanted = [[2**0.5 * np.sin(k * np.pi * x / 4) / (x / 4) for k in (1, 2, 3)] for x in (0.5, 2.0)]
    assert_close(BesselBasis(3, 4.0).double()(r).detach(), wanted, 1e-6, "BesselBasis(3, 4.0)")


def test_radial_mlp():
    network = RadialMLP(8, 10)
    assert network(torch.randn(3, 8)).shape == (3, 10)
    hidden = [module for module in network if isinstance(module, torch.nn.LayerNorm)]
    assert [module.normalized_shape for module in hidden] == [(64,), (64,)]


# --- linear layers


@pytest.mark.parametrize("shared", [True, False])
@pytest.mark.parametrize("bias", [True, False])
def test_linear_is_its_definition(shared, bias):
    lmax = 2
    layer = spread(Linear(lmax, CHANNELS, 3, bias=bias, shared=shared))
    x = features(lmax)
    weight = layer.weight.detach() if not shared else layer.weight.detach().expand(lmax + 1, -1, -1)
    wanted = np.zeros((NODES, 9, 3))
    for l in range(lmax + 1):
        part = component_slice(l)
        wanted[:, part] = np.einsum("nku,vu->nkv", x[:, part].numpy(), weight[l].numpy())
    if bias:
        wanted[:, 0] += layer.bias.detach().numpy()
    assert_close(layer(x).detach(), wanted, 1e-14 * CHANNELS, str(layer))
    assert_close(layer(x[:, :4]).detach(), wanted[:, :4], 1e-14 * CHANNELS, f"{layer}, degrees 0 and 1")
    assert_close(layer(x[:, 4:], 2).detach(), wanted[:, 4:], 1e-14 * CHANNELS, f"{layer}, degree 2")
    assert_close(layer.scalars(x[:, 0]).detach(), wanted[:, 0], 1e-14 * CHANNELS, f"{layer}, scalars")
    assert_close(*(value.detach() for value in turned(layer, lmax, x)), 1e-13, f"{layer} of rotated features")


@pytest.mark.parametrize("shared", [True, False])
def test_gated_linear_is_its_definition(shared):
    lmax = 2
    layer = spread(GatedLinear(lmax, CHANNELS, 3, shared=shared))
    reference = ReferenceGatedLinear(lmax, CHANNELS, 3, shared=shared).double()
    reference.load_state_dict(layer.state_dict())
    x = features(lmax)
    z = Linear.forward(layer, x)
    gates = torch.sigmoid(z[:, :1, 3:])
    wanted = torch.cat([F.silu(z[:, :1, :3]), gates * z[:, 1:, :3]], 1).detach()
    assert_close(layer(x).detach(), wanted, 1e-14, "GatedLinear")
    assert_close(reference(x).detach(), wanted, 1e-14, "ReferenceGatedLinear")
    assert_close(layer(x[:, :1]).detach(), wanted[:, :1], 1e-14, "GatedLinear, scalars only")
    assert_close(*(value.detach() for value in turned(layer, lmax, x)), 1e-13, "GatedLinear of rotated features")


def test_readout():
    layer = spread(Readout(2, CHANNELS, shared=False))
    reference = ReferenceReadout(2, CHANNELS, shared=False).double()
    reference.load_state_dict(layer.state_dict())
    x = features(2)
    assert_close(layer(x).detach(), reference(x).detach(), 1e-14, "Readout")
    assert_close(layer(x[:, :1]).detach(), reference(x).detach(), 1e-14, "Readout of scalars only")


def test_layer_norm_is_its_definition():
    lmax = 2
    layer = spread(LayerNorm(lmax, CHANNELS))
    x = features(lmax)
    wanted = x.numpy().copy()
    wanted[:, 0] -= wanted[:, 0].mean(-1, keepdims=True)
    weight = layer.weight.detach().numpy()
    for l in range(lmax + 1):
        part = wanted[:, component_slice(l)]
        part *= weight[l] / np.sqrt((part**2).mean((1, 2), keepdims=True) + layer.eps)
    wanted[:, 0] += layer.bias.detach().numpy()
    assert_close(layer(x).detach(), wanted, 1e-13, "LayerNorm")
    assert_close(layer(x[:, :4]).detach(), wanted[:, :4], 1e-13, "LayerNorm, degrees 0 and 1")
    assert_close(*(value.detach() for value in turned(layer, lmax, x)), 1e-12, "LayerNorm of rotated features")


def test_layer_norm_of_nothing_is_finite():
    x = torch.zeros(1, 4, CHANNELS, requires_grad=True)
    z = LayerNorm(1, CHANNELS)(x)
    z.square().sum().backward()
    assert x.grad is not None
    assert x.grad.isfinite().all()
