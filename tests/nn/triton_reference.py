"""The Triton kernels in plain torch, inputs for them, and how far the two may differ."""

from __future__ import annotations

import torch

from tdn_theory.nn.kernels.rows import Rows

CUDA = torch.cuda.is_available()
DEVICE = "cuda" if CUDA else "cpu"
# The interpreter cuts bfloat16 off, where a GPU rounds.
EPS = {torch.float32: 2.0**-23, torch.float64: 2.0**-52, torch.bfloat16: 2.0**-8 if CUDA else 2.0**-7}


def random(*shape: int, dtype: torch.dtype = torch.float64, seed: int = 0) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return values.to(DEVICE, dtype)


# Two edges between three nodes: two nodes without an edge that arrives, one with two.
SOURCE, TARGET = [2, 0], [1, 1]
ENDS = ["edges", "gathered and summed", "both ends"]


def inputs(ends: str, d3: int, d1: int, c: int, dtype: torch.dtype, edges: int = 2, nodes: int = 3):
    """Tensors G, w, x and perhaps x', and the rows of x, x' and z; the matrices are in float32 at least."""
    source, target = (torch.tensor(part[:edges], dtype=torch.int64, device=DEVICE) for part in (SOURCE, TARGET))
    sources, targets = Rows(source, nodes), Rows(target, nodes, ascending=True)
    x_rows = sources if "gathered" in ends or ends == "both ends" else None
    other_rows = targets if ends == "both ends" else None
    z_rows = targets if "summed" in ends else None
    wide = torch.promote_types(dtype, torch.float32)
    tensors = [random(edges, d3, d1, dtype=wide), random(edges, c, dtype=dtype, seed=1)]
    tensors.append(random(edges if x_rows is None else nodes, d1, c, dtype=dtype, seed=2))
    if other_rows is not None:
        tensors.append(random(nodes, d1, c, dtype=dtype, seed=3))
    return tensors, (x_rows, other_rows, z_rows)


def fused(tensors, rows):
    from tdn_theory.nn.kernels.message import couple

    G, w, x, *other = tensors
    return couple(G, w, x, rows[0], other[0] if other else None, rows[1], rows[2])


def plain(tensors, rows):
    G, w, x, *other = tensors
    x = x if rows[0] is None else x[rows[0].index]
    if other:
        x = x + other[0][rows[1].index]
    z = torch.einsum("eki,eiu,eu->eku", G, x, w)
    return z if rows[2] is None else z.new_zeros(rows[2].count, *z.shape[1:]).index_add(0, rows[2].index, z)


def with_gradients(function, tensors, g):
    leaves = [tensor.detach().requires_grad_() for tensor in tensors]
    z = function(leaves)
    return [z.detach(), *torch.autograd.grad(z, leaves, g.to(z.dtype))]


def agree(tensors, rows, terms: int, name: str) -> None:
    """Sums of n products are off by at most about n eps times the sum of absolute values; one rounding at the end."""
    doubled = [tensor.detach().double() for tensor in tensors]
    g = random(*plain(doubled, rows).shape, dtype=tensors[2].dtype, seed=4)
    got = with_gradients(lambda leaves: fused(leaves, rows), tensors, g)
    wanted = with_gradients(lambda leaves: plain(leaves, rows), doubled, g)
    sizes = with_gradients(lambda leaves: plain(leaves, rows), [tensor.abs() for tensor in doubled], g.abs())
    for part, one, other, size in zip(("z", "dG", "dw", "dx", "dx'"), got, wanted, sizes, strict=False):
        limit = (2 * (terms + 4) * EPS[torch.promote_types(one.dtype, torch.float32)] + EPS[one.dtype]) * size
        error = (one.double() - other).abs()
        assert (error <= limit).all(), f"{part} is off by {float(error.max()):.1e} [{name}]"  # NaN fails, too


def cp_inputs(dtype: torch.dtype, edges: int = 2, c: int = 70, rank: int = 37):
    wide = torch.promote_types(dtype, torch.float32)
    A, B, C = (random(d, rank, dtype=wide, seed=d) for d in (4, 3, 9))
    return A, B, C, random(edges, 3, c, dtype=dtype, seed=1), random(edges, 9, c, dtype=dtype, seed=2)


def plain_cp(A, B, C, x, y):
    return torch.matmul(A, torch.matmul(B.T, x) * torch.matmul(C.T, y))
