"""Equiformer keeps the physical contract and has the paper's size; other orders of operations change no result."""

from __future__ import annotations

import builtins

import numpy as np
import pytest
import torch

from tdn_theory.data.structure import Structure
from tdn_theory.experiments.networks.variants import ELEMENTS
from tdn_theory.nn import ProductSpec, TensorProduct, YFirstProduct, from_e3nn, to_e3nn
from tdn_theory.nn.baselines.equiformer import DepthwiseProduct, Equiformer
from tdn_theory.nn.baselines.products import CPOrder, E3nnPaths, TiedPaths
from tdn_theory.paper import NETWORKS
from tdn_theory.testing.assertions import assert_close
from tdn_theory.testing.potential import Model, PotentialContract
from tests.assertions import refuses

SETTINGS = {"channels": 8, "layers": 1, "heads": 2, "cutoff": 4.0, "basis_size": 8}


@pytest.fixture(scope="module", autouse=True)
def double():
    """The coefficients in e3nn's products have the default dtype, whatever the module is moved to."""
    torch.set_default_dtype(torch.float64)
    yield
    torch.set_default_dtype(torch.float32)


class TestEquiformer(PotentialContract):
    conservative = False
    cutoff = SETTINGS["cutoff"]

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Model:
        return Equiformer(cls.elements, 2, **SETTINGS)

    def test_the_cutoff_is_smooth(self, model: Model):
        """It is not, as published: an edge begins with the full weight that the softmax gives it."""
        inside, outside = (
            self.properties(model, Structure(np.array([1, 6, 8]), np.array([[0, 0, 0], [1.1, 0, 0], [0, 0, r]])))
            for r in (self.cutoff - 1e-9, self.cutoff + 1e-9)
        )
        assert abs(inside["energy"] - outside["energy"]) > 1e-6


@pytest.mark.parametrize("lmax", [1, 2, 3])
def test_equiformer_has_the_size_of_the_paper(lmax):
    model = Equiformer(ELEMENTS, lmax, layers=1)
    whole, block = (sum(p.numel() for p in part.parameters()) for part in (model, model.blocks[0]))
    assert abs((whole + 5 * block) / 1e6 / NETWORKS[lmax]["Equiformer"]["parameters"] - 1) < 0.015


def test_depthwise_product_has_an_output_for_every_path():
    product = DepthwiseProduct(2, 3, internal=False)
    assert [entry.mul for entry in product.irreps_out] == [3 * 3, 3 * 6, 3 * 6]
    torch.manual_seed(0)
    x, y, w = torch.randn(5, 9, 3), torch.randn(5, 9), torch.randn(5, product.weight_numel)
    found = product(to_e3nn(x, "0e+1e+2e"), y, w)
    # the sum over the paths of a degree, whose normalisation of sqrt(2l+1) is e3nn's
    reference = TensorProduct(2, 3, method="per_path", weights="external")
    order = sorted(range(15), key=lambda n: reference.coupling.paths[n][2])
    paths = torch.empty(5, 15, 3, 1)
    paths[:, order] = w.view(5, 15, 3, 1)
    wanted = reference(x, y.unsqueeze(-1), paths)
    summed = [
        part.unflatten(1, (-1, 3, 2 * l + 1)).sum(1).mT / (2 * l + 1) ** 0.5
        for l, part in enumerate(found.split([9, 54, 90], 1))
    ]
    assert_close(torch.cat(summed, 1), wanted, 1e-12, "sum over paths of the depthwise product")


ORDERS = {
    "e3nn": (lambda lmax, channels: E3nnPaths(lmax, channels, shared=False), "per_path"),
    "e3nn, shared": (lambda lmax, channels: E3nnPaths(lmax, channels, shared=True), "exact"),
    "tied": (TiedPaths, "exact"),
    "released": (lambda lmax, channels: CPOrder(lmax, channels, "released"), "cp"),
    "naive": (lambda lmax, channels: CPOrder(lmax, channels, "naive"), "cp"),
}
"""Orders of operations, and the method of the product that each must agree with."""


@pytest.mark.parametrize("name", ORDERS)
def test_orders_of_operations_agree(name):
    """For all of x or its scalars only, and for all degrees of z or one."""
    torch.manual_seed(0)
    lmax, channels, edges = 2, 4, 7
    make, method = ORDERS[name]
    product = make(lmax, channels)
    reference = YFirstProduct(ProductSpec(lmax, channels, method=method, weights="external"))
    assert product.weight_shape == reference.weight_shape
    x, y = torch.randn(edges, 9, channels, requires_grad=True), torch.randn(edges, 9)
    w = torch.randn(edges, *product.weight_shape, requires_grad=True)
    for inputs in (9, 1):
        for degrees in (slice(None), slice(1, 2)):
            results = []
            for some in (product, reference):
                z = some.couple(some.prepare(y), x[:, :inputs], w, degrees)
                results.append([z, *torch.autograd.grad(z.sin().sum(), (x, w))])
            for got, wanted in zip(*results, strict=True):
                assert_close(got.detach(), wanted.detach(), 1e-12, f"{name}, {inputs}, {degrees}")


@pytest.mark.parametrize("name", ORDERS)
def test_a_call_is_the_product_of_every_edge(name):
    """Not of something else that the order of operations happens to take: one row of the result for each edge."""
    torch.manual_seed(0)
    make, method = ORDERS[name]
    product, reference = make(1, 8), TensorProduct(1, 8, method=method, weights="external")
    x, y, w = torch.randn(16, 4, 8), torch.randn(16, 4, 1), torch.randn(16, *product.weight_shape)
    assert_close(product(x, y, w), reference(x, y, w), 1e-12, name)


def test_layouts_are_inverse():
    x = torch.randn(3, 9, 4)
    assert torch.equal(from_e3nn(to_e3nn(x, "0e+1e+2e"), "0e+1e+2e"), x)


def test_errors_teach(monkeypatch):
    with refuses(ValueError, "3 heads", "8 channels"):
        Equiformer((1, 8), 1, channels=8, heads=3)
    with refuses(ValueError, "(0,)", "118"):
        Equiformer((0,), 1)
    model = Equiformer((1, 8), 1, **SETTINGS)
    with refuses(ValueError, "does not know C", "H, O"):
        model(TestEquiformer().graph(Structure(np.array([6]), np.zeros((1, 3)))))
    real = builtins.__import__

    def without(name, *rest):
        if name.startswith("e3nn"):
            raise ImportError(name)
        return real(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with refuses(ImportError, "tdn-theory[benchmark]"):
        Equiformer((1, 8), 1)
