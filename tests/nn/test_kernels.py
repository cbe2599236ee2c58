"""The compiled loops against the plain torch forms, on shapes that no vector length divides, and without a compiler."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from tdn_theory.coupling import CouplingTensor
from tdn_theory.nn import TensorProduct
from tdn_theory.nn.kernels import compiler, loops
from tests.assertions import refuses

needs_compiler = pytest.mark.skipif(not compiler.available(), reason="needs a C compiler")
EPS = {torch.float32: 2.0**-23, torch.float64: 2.0**-52}
# full blocks of four vectors, whole vectors, single channels, and mixtures of the three, for either length of a vector
CHANNELS = (1, 7, 8, 16, 17, 64, 131)


def random(*shape: int, dtype: torch.dtype, seed: int = 0) -> torch.Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64).to(dtype)


def within(got: torch.Tensor, wanted: torch.Tensor, size: torch.Tensor, terms: int, name: str) -> None:
    """Sums of n products are off by at most about n eps times the sum of absolute values, in either order."""
    error = (got.double() - wanted.double()).abs()
    limit = 2 * (terms + 2) * EPS[got.dtype] * size.double()
    assert (error <= limit).all(), f"off by {float(error.max()):.1e} [{name}]"


@needs_compiler
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_scaled_matrices(channels, dtype):
    for edges, (d3, d1), shared in itertools.product((0, 1, 5), ((1, 1), (4, 4), (9, 4), (3, 7)), (False, True)):
        name = f"{edges} edges, {d3} x {d1}, {channels} channels, shared weights {shared}"
        G, x = random(edges, d3, d1, dtype=dtype), random(edges, d1, channels, dtype=dtype, seed=1)
        w, g = (
            random(1 if shared else edges, 1, channels, dtype=dtype, seed=2),
            random(edges, d3, channels, dtype=dtype),
        )
        wanted, size = torch.bmm(G.double(), x.double()) * w, torch.bmm(G.abs(), x.abs()) * w.abs()
        within(loops.scaled_matrices(G, x, w), wanted, size, d1 + 1, f"forward, {name}")
        h, h_size = torch.bmm(G.mT.double(), g.double()), torch.bmm(G.mT.abs(), g.abs())
        dx, dw = loops.scaled_matrices_backward(G, x, w, g)
        within(dx, h * w, h_size * w.abs(), d3 + 1, f"dx, {name}")
        within(dw, (h * x).sum(1, keepdim=True), (h_size * x.abs()).sum(1, keepdim=True), d3 * d1, f"dw, {name}")


@needs_compiler
def test_matrices_may_be_parts_and_features_views():
    whole, x = random(6, 9, 9, dtype=torch.float64), random(6, 20, 5, dtype=torch.float64).mT[:, :4]
    w = random(6, 20, 1, dtype=torch.float64).mT
    for G in (whole[:, 2:5, :4], whole.mT[:, 2:5, :4]):
        wanted = torch.bmm(G, x) * w
        torch.testing.assert_close(loops.scaled_matrices(G, x, w), wanted, rtol=1e-13, atol=1e-13)


@needs_compiler
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_sparse(channels, dtype):
    rng = np.random.default_rng(0)
    empty_row = rng.standard_normal((3, 4, 2)) * (rng.random((3, 4, 2)) < 0.4)
    empty_row[1] = 0
    for M, edges in itertools.product((CouplingTensor(2).array, empty_row, np.zeros((2, 1, 3))), (0, 1, 5)):
        x, y = (
            random(edges, M.shape[1], channels, dtype=dtype),
            random(edges, M.shape[2], channels, dtype=dtype, seed=1),
        )
        einsum = ("kij,eiu,eju->eku", torch.tensor(M))
        wanted, size = (
            torch.einsum(*einsum, x.double(), y.double()),
            torch.einsum(einsum[0], einsum[1].abs(), x.double().abs(), y.double().abs()),
        )
        within(loops.SparseTensor(M).product(x, y), wanted, size, M[0].size + 2, f"{M.shape}, {edges} edges")


@needs_compiler
def test_threads_share_the_edges_and_change_nothing(monkeypatch):
    monkeypatch.setattr(compiler, "BYTES_PER_THREAD", 1)
    G, x, w = (random(*shape, dtype=torch.float32) for shape in ((7, 4, 4), (7, 4, 33), (7, 1, 33)))
    before = torch.get_num_threads()
    results = []
    try:
        for threads in (1, 2, 3, 16):
            torch.set_num_threads(threads)
            results.append((loops.scaled_matrices(G, x, w), *loops.scaled_matrices_backward(G, x, w, x)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, first) for some in results for one, first in zip(some, results[0], strict=True))


@needs_compiler
@pytest.mark.parametrize(("mode", "form", "channels"), [("uvu", "y_first", (17, 1)), ("uuu", "sparse", (17,))])
def test_products_are_those_of_plain_torch(mode, form, channels):
    """Values, first and second derivatives."""
    options = {"mode": mode, "form": form, "weights": "external"}
    fused, plain = (TensorProduct(2, channels, **options, fused=choice).double() for choice in (True, False))
    values = [random(5, 9, 17, dtype=torch.float64), random(5, 9, 17 if mode == "uuu" else 1, dtype=torch.float64)]
    values.append(random(5, *channels, dtype=torch.float64, seed=3))
    results = []
    for product in (fused, plain):
        leaves = [value.clone().requires_grad_() for value in values]
        z = product(*leaves)
        first = torch.autograd.grad(z.sin().sum(), leaves, create_graph=True)
        second = torch.autograd.grad(sum((part**2).sum() for part in first), leaves)
        once = torch.autograd.grad(product(*leaves).sin().sum(), leaves)
        with torch.no_grad():
            results.append([product(*values), z.detach(), *(part.detach() for part in first), *second, *once])
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)


@needs_compiler
def test_libraries_are_kept(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "user_cache_path", lambda _: tmp_path)
    source = "void kept_for_the_test(void) {}  // real"
    compiler.library(source, torch.float32)
    (made,) = (tmp_path / "kernels").iterdir()
    stamp = made.stat().st_mtime_ns
    compiler.library.cache_clear()
    compiler.library(source, torch.float32)
    assert made.stat().st_mtime_ns == stamp
    compiler.library(source, torch.float64)
    assert len(list((tmp_path / "kernels").iterdir())) == 2


def test_a_failing_compiler_is_reported(tmp_path, monkeypatch):
    monkeypatch.setattr(compiler, "user_cache_path", lambda _: tmp_path)
    monkeypatch.setattr(compiler, "_compiler", lambda: ("false",))
    with refuses(RuntimeError, "false", "fused=False"):
        compiler.library("int never_compiled;", torch.float32)


def test_without_a_compiler_plain_torch_runs(monkeypatch):
    monkeypatch.setattr(compiler, "_compiler", lambda: None)
    product = TensorProduct(1, 4)
    assert "plain torch" in product.explain()
    assert not product.plan().fused
    with refuses(RuntimeError, "need a C compiler", "fused=False"):
        compiler.library("int no_compiler;", torch.float32)
