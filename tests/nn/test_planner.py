"""What the planner chooses, and the rates of the processor that it chooses by."""

from __future__ import annotations

from dataclasses import asdict, astuple, replace

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode

from tdn_theory.files import read_json, write_json
from tdn_theory.nn import TensorProduct
from tdn_theory.nn import rates as module
from tdn_theory.nn.kernels import compiler, loops
from tdn_theory.nn.planner import H100, Rates, Shapes, plan

needs_compiler = pytest.mark.skipif(not compiler.available(), reason="needs a C compiler")

# shapes of L = 2, one tensor
FAST_LOOPS = Rates(7e10, 5e10, 1e10, 9e10, 4e10, 8e10, 16)
SLOW_LOOPS = replace(FAST_LOOPS, loop=1e10, terms=1e8)


def shapes(mode: str, v: int, *, u: int = 64, rank: int | None = None, fused: bool | None = None) -> Shapes:
    return Shapes(mode, ((9, 9, 9, 137),), u, v, u, rank, fused)


@pytest.mark.parametrize("u", [1, 8, 64, 256])
@pytest.mark.parametrize(
    ("mode", "v", "rank", "form"),
    [
        ("uvu", 1, None, "y_first"),
        ("uvu", 8, None, "sparse"),
        ("uvu", 1, 28, "y_first"),
        ("uuu", 1, None, "sparse"),
        ("uvw", 1, None, "y_first"),
    ],
)
def test_the_loops_are_used_where_they_are_faster(mode, v, rank, form, u):
    chosen = plan(shapes(mode, v, u=u, rank=rank), "cpu", FAST_LOOPS)
    assert chosen.form == form
    assert chosen.fused == (mode != "uvw")  # mode uvw has no loop
    assert plan(shapes(mode, v, u=u, rank=rank, fused=False), "cpu", FAST_LOOPS).fused is False


def test_plain_torch_is_used_where_the_loops_are_slower():
    assert plan(shapes("uvu", 1), "cpu", FAST_LOOPS).fused
    assert not plan(shapes("uvu", 1), "cpu", SLOW_LOOPS).fused
    assert plan(shapes("uuu", 1), "cpu", SLOW_LOOPS).form == "dense"
    asked = plan(shapes("uvu", 1, fused=True), "cpu", SLOW_LOOPS, "y_first")
    assert asked.fused
    assert asked.forced


def test_fewer_channels_than_a_vector_has_take_no_less_time():
    one, sixteen = (plan(shapes("uuu", 1, u=u, fused=True), "cpu", FAST_LOOPS, "sparse").costs[0] for u in (1, 16))
    assert one.flops == sixteen.flops / 16
    without_bytes = replace(FAST_LOOPS, bandwidth=1e30, vector=1e30)
    assert one.seconds(without_bytes) == pytest.approx(sixteen.seconds(without_bytes))


def test_gpus_are_planned_by_the_rates_of_one():
    chosen = plan(shapes("uuu", 1, rank=28, fused=True), "cuda", H100)
    assert (chosen.form, chosen.fused) == ("factored", True)


@needs_compiler
@pytest.mark.parametrize("channels", [(64, 1), (64, 8)])
@pytest.mark.parametrize("method", ["exact", "per_path"])
def test_few_edges_are_left_to_plain_torch(channels, method, monkeypatch):
    """The loops run from some number of edges on, and always where they are asked for; results are the same."""
    product = TensorProduct(1, channels, method=method)
    asked = TensorProduct(1, channels, method=method, fused=True)
    asked.load_state_dict(product.state_dict())
    called = []
    call = loops.call
    monkeypatch.setattr(loops, "call", lambda *some: (called.append(some), call(*some)))
    for edges, fused in ((0, False), (1, False), (7, False), (8, True), (200, True)):
        x, y = torch.ones(edges, 4, channels[0]), torch.ones(edges, 4, channels[1])
        called.clear()
        z = product(x, y)
        assert bool(called) == fused, edges
        torch.testing.assert_close(z, asked(x, y))
        assert called


# --- rates


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty folder of the user, and rates as in a new process."""
    monkeypatch.setattr(compiler, "user_cache_path", lambda _: tmp_path)
    module._rates.cache_clear()
    yield tmp_path / "kernels"
    module._rates.cache_clear()


def kept(cache):
    (path,) = cache.glob("rates-*.json")
    return path


def not_measured(with_loops: bool, threads: int) -> Rates:
    pytest.fail("measured again")


@needs_compiler
def test_rates_are_measured_once_for_a_machine(cache, monkeypatch):
    measured = module.rates(True)
    assert all(value > 0 for value in astuple(measured))
    assert read_json(kept(cache)) == asdict(measured)
    module._rates.cache_clear()
    monkeypatch.setattr(module, "_measure", not_measured)
    assert module.rates(True) == measured


@needs_compiler
@pytest.mark.parametrize("broken", [b"", b"{", b"[]", b'{"loop": 1e9}', "negative", "no number"])
def test_broken_rates_are_measured_anew(cache, broken):
    content = asdict(module.rates(True))
    path = kept(cache)
    if isinstance(broken, bytes):
        path.write_bytes(broken)
    else:
        write_json(path, content | {"loop": -1.0 if broken == "negative" else "fast"})
    module._rates.cache_clear()
    measured = module.rates(True)
    assert min(astuple(measured)) > 0
    assert read_json(path) == asdict(measured)


@needs_compiler
def test_rates_that_cannot_be_kept_are_measured_once_in_a_process(tmp_path, monkeypatch, cache):
    (tmp_path / "file").touch()
    monkeypatch.setattr(compiler, "user_cache_path", lambda _: tmp_path / "file")  # no folder can be made there
    measured = module.rates(True)
    monkeypatch.setattr(module, "_measure", not_measured)
    assert module.rates(True) == measured


def test_without_loops_nothing_is_compiled(cache, monkeypatch):
    monkeypatch.setattr(loops, "_library", lambda: pytest.fail("compiled"))
    measured = module.rates(False)
    assert measured.loop == measured.batched


@needs_compiler
def test_modes_of_torch_do_not_touch_the_measurement(cache):
    with FakeTensorMode(), torch.autocast("cpu"), torch.device("meta"):
        assert all(value > 0 for value in astuple(module.rates(True)))
