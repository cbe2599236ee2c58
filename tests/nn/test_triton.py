"""The Triton kernel of the message step against plain torch in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradgradcheck

from tdn_theory.nn.kernels.rows import Rows
from tests.nn.triton_reference import CUDA, DEVICE, ENDS, EPS, agree, fused, inputs, plain, plain_cp, random

pytestmark = pytest.mark.usefixtures("triton_kernels")
needs_cuda = pytest.mark.skipif(not CUDA, reason="needs a GPU")


@pytest.mark.parametrize("dtype", EPS, ids=str)
@pytest.mark.parametrize("ends", ENDS)
def test_values_and_gradients(ends, dtype):
    """Below 16 components of x, from there on, and no multiple of 16; channels that fill no block."""
    shapes = [(4, 4, 5)] if dtype != torch.float32 else [(9, 1, 3), (17, 18, 33)]
    for d3, d1, c in shapes:
        tensors, rows = inputs(ends, d3, d1, c, dtype)
        agree(tensors, rows, d3 * d1 * c + 3, f"{ends}, {d3} x {d1}, {c} channels, {dtype}")


@pytest.mark.parametrize("ends", ["edges", "gathered and summed"])
@pytest.mark.parametrize(("edges", "nodes"), [(0, 2), (0, 0)])
def test_empty(ends, edges, nodes):
    tensors, rows = inputs(ends, 4, 4, 3, torch.float32, edges, nodes)
    agree(tensors, rows, 1, f"{edges} edges, {nodes} nodes")


def test_more_channels_than_a_block():
    tensors, rows = inputs("gathered and summed", 3, 16, 130, torch.float32)
    agree(tensors, rows, 3 * 16 * 130, "130 channels")


def test_strides():
    """Matrices that are parts and transposed, features with channels first, one row for all edges, shared weights."""
    G = random(3, 9, 8, dtype=torch.float32).mT[:, 2:5, :4]
    x = random(3, 6, 9, dtype=torch.float32).mT[:, :4]
    w = random(6, dtype=torch.float32).expand(3, 6)
    agree([G, w, x], (None, None, None), 4 * 6, "strides")
    agree([G, w, x[:1].expand(3, 4, 6)], (None, None, None), 4 * 6, "one row for all")
    from tdn_theory.nn.kernels.message import couple

    torch.testing.assert_close(couple(G, None, x), torch.bmm(G, x), rtol=1e-5, atol=1e-6)


def test_second_derivatives():
    tensors, rows = inputs("both ends", 3, 2, 2, torch.float64, edges=1)
    leaves = [tensor.requires_grad_() for tensor in tensors]
    # without tolerance, results have to be the same bit by bit in every call
    assert gradgradcheck(lambda *some: fused(some, rows), leaves, fast_mode=True, nondet_tol=0.0)


def test_second_derivatives_are_those_of_plain_torch():
    """Some arguments alone, so that gradients of others are not asked for."""
    tensors, rows = inputs("both ends", 4, 4, 3, torch.float64)
    for wanted in ([1], [3], [0, 2]):
        found = []
        for function in (fused, plain):
            leaves = [tensor.detach().requires_grad_(place in wanted) for place, tensor in enumerate(tensors)]
            some = [leaves[place] for place in wanted]
            z = function(leaves, rows)
            first = torch.autograd.grad(z.sin().sum(), some, create_graph=True)
            found.append([*first, *torch.autograd.grad(sum((part**2).sum() for part in first), some)])
        for got, reference in zip(*found, strict=True):
            torch.testing.assert_close(got, reference, rtol=1e-12, atol=1e-12)


def test_operators_are_registered_as_torch_wants_them():
    from tdn_theory.nn.kernels import message

    tensors, rows = inputs("gathered and summed", 3, 2, 2, torch.float64)
    ends = [part for end in rows for part in (() if end is None else (end.index, *end.sorted()))]
    arguments = (*(tensor.requires_grad_() for tensor in tensors), None, *ends[:3], None, None, None, *ends[3:])
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(message._couple, arguments, test_utils=checks)
    g = random(4, 3, 2)
    torch.library.opcheck(message._couple_backward, (g, *arguments, [True, True, False, False]), test_utils=checks)


# --- memory


@pytest.mark.skipif(CUDA, reason="is about the interpreter; the same on a GPU is below")
def test_offsets_beyond_32_bits(monkeypatch):
    """Tables whose rows are 2^30 numbers apart, which fits 32 bits; what lies between them is never touched."""
    from triton.runtime.interpreter import GridExecutor

    from tdn_theory.nn.kernels.cp import cp_product
    from tdn_theory.nn.kernels.message import couple

    monkeypatch.setattr(GridExecutor, "_restore_args_dev", lambda *_: None)  # would copy the tables onto themselves
    torch.use_deterministic_algorithms(False)  # would fill them

    def far_apart(values: torch.Tensor) -> torch.Tensor:
        apart = 2**30 + 64
        try:
            memory = torch.empty(2 * apart + values[0].numel(), dtype=values.dtype)
        except RuntimeError:
            pytest.skip("the system does not promise 9 GB that are not used")
        table = memory.as_strided(values.shape, (apart, *values.stride()[1:]))
        return table.copy_(values)

    G, x, w = (random(3, *shape, dtype=torch.float32) for shape in ((4, 4), (4, 3), (3,)))
    wanted = plain([G, w, x], (None, None, None))
    for tensors in ((far_apart(G), w, x), (G, far_apart(w), x), (G, w, far_apart(x))):
        torch.testing.assert_close(couple(*tensors), wanted, rtol=1e-5, atol=1e-5)
    A, B, C = (random(4, 5, dtype=torch.float32, seed=n) for n in range(3))
    torch.testing.assert_close(cp_product(A, B, C, far_apart(x), x), plain_cp(A, B, C, x, x), rtol=1e-5, atol=1e-4)


@needs_cuda
def test_more_than_2_to_31_numbers():
    """The last edges of a table of 4.3 GB, and of the result."""
    edges, d, c = 2**31 // (16 * 128) + 5, 16, 128
    if torch.cuda.mem_get_info()[0] < 20 * 2**30:
        pytest.skip("needs 20 GB of GPU memory")
    torch.use_deterministic_algorithms(False)
    from tdn_theory.nn.kernels.cp import cp_product
    from tdn_theory.nn.kernels.message import couple

    x = torch.zeros(edges, d, c, dtype=torch.bfloat16, device=DEVICE)
    x[-3:] = random(3, d, c, dtype=torch.bfloat16)
    G = random(1, d, d, dtype=torch.float32).expand(edges, d, d)
    z = couple(G, None, x)
    torch.testing.assert_close(z[-3:].float(), torch.matmul(G[0], x[-3:].float()), rtol=2.0**-7, atol=1e-3)
    assert not z[:-3].any()
    del z
    A = random(d, 3, dtype=torch.float32)
    z = cp_product(A, A, A, x, x)
    torch.testing.assert_close(z[-3:].float(), plain_cp(A, A, A, *[x[-3:].float()] * 2), rtol=2.0**-6, atol=1e-2)


@needs_cuda
@pytest.mark.parametrize("lmax", range(1, 7))
def test_many_edges(lmax):
    """Every degree, on a graph with isolated nodes and one node with very many edges; the same in every run."""
    d, edges, nodes = (lmax + 1) ** 2, 20_001, 1_000
    generator = torch.Generator().manual_seed(0)
    source, target = (torch.randint(0, nodes // 2, (edges,), generator=generator) for _ in range(2))
    target[:5000] = 7
    rows = (Rows(source.to(DEVICE), nodes), None, Rows(target.sort()[0].to(DEVICE), nodes, ascending=True))
    tensors = [random(edges, d, d, dtype=torch.float32), random(edges, 96, dtype=torch.float32, seed=1)]
    tensors.append(random(nodes, d, 96, dtype=torch.float32, seed=2))
    agree(tensors, rows, d * d * 5000, f"L = {lmax}")
    assert torch.equal(fused(tensors, rows), fused(tensors, rows))
