"""The compiled loops against the plain torch forms, for all vectors and for shapes that none divides; bad compilers."""

from __future__ import annotations

import ctypes
import errno
import itertools
import platform

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


# processor, bytes of its widest vector, the name of that in /proc/cpuinfo
PROCESSORS = {
    "x86_64": (("x86-64", 16, "sse2"), ("haswell", 32, "avx2"), ("skylake-avx512", 64, "avx512f")),
    "aarch64": (("armv8-a", 16, "asimd"),),
}


@pytest.fixture(params=PROCESSORS.get(platform.machine(), (("native", None, ""),)), ids=lambda one: one[0])
def vectors(request, monkeypatch):
    """The loops are those for another processor, if this one has its vectors; its compiler must know the other, too."""
    march, size, feature = request.param
    library = loops.library(march)
    assert size is None or ctypes.c_int32.in_dll(library, "widest").value == size
    if feature not in compiler.processor().split():
        pytest.skip(f"compiled, but this processor has no {feature}")
    monkeypatch.setattr(loops, "_library", lambda: library)


@needs_compiler
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_scaled_matrices(channels, dtype, vectors):
    for edges, (d3, d1), shared in itertools.product((0, 1, 5), ((1, 1), (4, 4), (25, 4), (3, 7)), (False, True)):
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
@pytest.mark.parametrize("channels", [1, 5])
def test_operands_may_be_parts_and_views(channels):
    whole, x = random(6, 9, 9, dtype=torch.float64), random(6, channels, 20, dtype=torch.float64)
    parts = (whole[:, 2:5, :4], whole.mT[:, 2:5, :4], whole[:1, 2:5, :4].expand(6, -1, -1))
    features = (x.mT[:, :4], x.mT.contiguous()[:, 3:7], x[:, :, :1].mT.expand(-1, 4, -1))
    scales = (random(6, channels, 2, dtype=torch.float64).mT[:, 1:], random(2, channels, dtype=torch.float64)[None, 1:])
    gradients = random(6, 8, channels, dtype=torch.float64), random(6, channels, 8, dtype=torch.float64).mT
    for G, x, w, g in itertools.product(parts, features, scales, (gradient[:, 2:5] for gradient in gradients)):
        torch.testing.assert_close(loops.scaled_matrices(G, x, w), torch.bmm(G, x) * w, rtol=1e-13, atol=1e-13)
        h = torch.bmm(G.mT, g)
        dx, dw = loops.scaled_matrices_backward(G, x, w, g)
        torch.testing.assert_close(dx, h * w, rtol=1e-13, atol=1e-13)
        torch.testing.assert_close(dw, (h * x).sum(1, keepdim=True), rtol=1e-13, atol=1e-13)


@needs_compiler
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("channels", CHANNELS)
def test_sparse(channels, dtype, vectors):
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
    monkeypatch.setattr(loops, "BYTES_PER_THREAD", 1)
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
    values = [random(5, 9, size, dtype=torch.float64) for size in (17, 17 if mode == "uuu" else 1)]
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


# --- compilers and folders that do not do what they should

ANSWER = "int answer(void) { return 42; }"


def answer(library: ctypes.CDLL) -> int:
    return library.answer()


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder of the user for what is kept."""
    monkeypatch.setattr(compiler, "user_cache_path", lambda _: tmp_path)
    return tmp_path / "kernels"


def no_compiler(monkeypatch) -> None:
    monkeypatch.setattr(compiler.subprocess, "run", lambda *some, **options: pytest.fail("compiled again"))


@needs_compiler
def test_libraries_are_kept(cache, monkeypatch):
    assert answer(compiler.library(ANSWER)) == 42
    assert len(list(cache.iterdir())) == 1
    compiler.library(ANSWER.replace("42", "43"))
    assert len(list(cache.iterdir())) == 2
    no_compiler(monkeypatch)
    assert answer(compiler.library(ANSWER)) == 42


@needs_compiler
@pytest.mark.parametrize("damage", [lambda whole: whole[:4096], lambda whole: b"", lambda whole: whole + b"more"])
def test_damaged_libraries_are_made_anew(cache, damage, monkeypatch):
    compiler.library(ANSWER)
    (path,) = cache.iterdir()
    whole = path.read_bytes()
    path.unlink()  # this process has it mapped
    path.write_bytes(damage(whole))
    assert answer(compiler.library(ANSWER)) == 42
    no_compiler(monkeypatch)
    assert answer(compiler.library(ANSWER)) == 42


@needs_compiler
def test_libraries_of_a_folder_from_which_nothing_may_run(cache, monkeypatch):
    compiler.library(ANSWER)
    no_compiler(monkeypatch)

    def load(path: str):
        if path.startswith(str(cache)):
            raise OSError("failed to map segment from shared object")
        return loaded(path)

    loaded = ctypes.CDLL
    monkeypatch.setattr(compiler.ctypes, "CDLL", load)
    assert answer(compiler.library(ANSWER)) == 42
    assert len(list(cache.iterdir())) == 1


def full_disk(path, content):
    raise OSError(errno.ENOSPC, "No space left on device")


@needs_compiler
@pytest.mark.parametrize("trouble", ["a file", "no home", "full disk"])
def test_nothing_can_be_kept(tmp_path, monkeypatch, trouble):
    monkeypatch.chdir(tmp_path)
    if trouble == "full disk":
        monkeypatch.setattr(compiler, "write_bytes", full_disk)
    (tmp_path / "file").touch()
    folder = compiler.Path("~/.cache") if trouble == "no home" else tmp_path / "file"  # no folder can be made there
    monkeypatch.setattr(compiler, "user_cache_path", lambda _: folder)
    assert answer(compiler.library(ANSWER)) == 42
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.fixture
def fresh_loops(cache):
    """The loops are compiled as in a new process, before and after the test."""
    for function in (loops._library, loops.failure, loops.usable):
        function.cache_clear()
    yield
    for function in (loops._library, loops.failure, loops.usable):
        function.cache_clear()


def broken_compiler(monkeypatch) -> None:
    monkeypatch.setattr(compiler, "_compiler", lambda: ("/bin/false",))


def no_temporary_folder(monkeypatch) -> None:
    def refuse(*some, **options):
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(compiler.tempfile, "TemporaryDirectory", refuse)


@needs_compiler
@pytest.mark.parametrize("trouble", [broken_compiler, no_temporary_folder])
def test_plain_torch_runs_after_one_warning_where_loops_were_not_asked_for(fresh_loops, monkeypatch, trouble):
    trouble(monkeypatch)
    with pytest.warns(UserWarning, match="plain torch operations run") as caught:
        product = TensorProduct(1, 4)
    TensorProduct(1, 4)
    assert len(caught) == 1
    assert not product.plan().fused
    x, y = random(200, 4, 4, dtype=torch.float32), random(200, 4, 1, dtype=torch.float32)
    assert product(x, y).shape == (200, 4, 4)
    TensorProduct(1, 4, fused=False)(x, y)
    asked = TensorProduct(1, 4, fused=True)
    with refuses(RuntimeError, "compile", "fused=False"):
        asked(x, y)


def test_without_a_compiler_plain_torch_runs(fresh_loops, monkeypatch):
    monkeypatch.setattr(compiler, "_compiler", lambda: None)
    product = TensorProduct(1, 4)
    assert "plain torch" in product.explain()
    assert not product.plan().fused
    with refuses(RuntimeError, "need a C compiler", "fused=False"):
        compiler.library("int no_compiler;")
