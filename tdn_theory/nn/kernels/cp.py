"""The CP product of features with channels on both sides as one Triton kernel, on matrix units.

    z_ku = sum_r A_kr (sum_i B_ir x_iu) (sum_j C_jr y_ju)

Columns are the channels of all edges; the factors are the same for all of them, so all three steps are products of
small matrices with tall ones. One program makes one block of columns and runs through the rank in steps: nothing of
the size (rank, channels) leaves the processor, x and y are read once and z is written once.

Roofline, per column: 2R(d1 + d2 + d3) flops and, in float32, 4(d1 + d2 + d3) bytes: R/2 flops per byte, which is 4, 14,
32 and 56 at R = 7 L^2, L = 1..4. An H100 has 20 flops per byte in float32, 150 in tf32 and 300 in bfloat16, so the
kernel is bound by memory up to L = 2 without matrix units, L = 5 with tf32 and L = 6 with bfloat16: this is where CP
may pay, since the tensor itself has no use for them. The operands are rounded as `torch.set_float32_matmul_precision`
says (`highest`: not at all); sums are in float32. The inner factors p_r q_r are rounded too, once.

The derivatives are products of the same form with the factors exchanged,

    dx_iu = sum_r B_ir (A^T g)_ru (C^T y)_ru,      dy_ju = sum_r C_jr (A^T g)_ru (B^T x)_ru,

so any order of them exists.
"""

from __future__ import annotations

from typing import Any, no_type_check

import torch
import triton
import triton.language as tl
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.kernels.gpu import dot_precision, padded, rows

COLUMNS = 128
"""Columns of one program."""
RANKS = 32
"""Terms of one step."""


def cp_product(
    A: Float[Tensor, "d3 R"],
    B: Float[Tensor, "d1 R"],
    C: Float[Tensor, "d2 R"],
    x: Float[Tensor, "e d1 u"],
    y: Float[Tensor, "e d2 u"],
) -> Float[Tensor, "e d3 u"]:
    """`A ((B^T x) * (C^T y))`, differentiable in x and y any number of times. The factors are constants.

    Args:
        A: Factor of z, float32 or float64: sums are made in this precision.
        B: Factor of x.
        C: Factor of y.
        x: Features, of any floating-point type up to that of the factors, in which z is returned.
        y: Features of the same type.
    """
    return _cp(A, B, C, x, y)


@triton.jit
@no_type_check
def _cp_kernel(
    z,
    A,
    B,
    C,
    x,
    y,
    columns,
    x_e,
    x_i,
    y_e,
    y_j,
    CHANNELS: tl.constexpr,
    D1: tl.constexpr,
    D2: tl.constexpr,
    D3: tl.constexpr,
    RANK: tl.constexpr,
    I_PAD: tl.constexpr,
    J_PAD: tl.constexpr,
    K_PAD: tl.constexpr,
    COLUMNS: tl.constexpr,
    RANKS: tl.constexpr,
    REAL: tl.constexpr,
    OPERAND: tl.constexpr,
    FACTOR: tl.constexpr,
    PRECISION: tl.constexpr,
):
    column = (tl.program_id(0).to(tl.int64) * COLUMNS + tl.arange(0, COLUMNS))[None, :]
    e, u = column // CHANNELS, column % CHANNELS
    inside = column < columns
    i = tl.arange(0, I_PAD)
    j = tl.arange(0, J_PAD)
    k = tl.arange(0, K_PAD)
    left = tl.load(x + e * x_e + i[:, None] * x_i + u, mask=(i < D1)[:, None] & inside, other=0).to(OPERAND).to(FACTOR)
    right = tl.load(y + e * y_e + j[:, None] * y_j + u, mask=(j < D2)[:, None] & inside, other=0).to(OPERAND).to(FACTOR)
    total = tl.zeros([K_PAD, COLUMNS], REAL)
    for begin in range(0, RANK, RANKS):
        r = begin + tl.arange(0, RANKS)
        term = (r < RANK)[:, None]
        factor = (
            tl.load(B + i[None, :] * RANK + r[:, None], mask=(i < D1)[None, :] & term, other=0).to(OPERAND).to(FACTOR)
        )
        p = tl.dot(factor, left, input_precision=PRECISION, out_dtype=REAL)
        factor = (
            tl.load(C + j[None, :] * RANK + r[:, None], mask=(j < D2)[None, :] & term, other=0).to(OPERAND).to(FACTOR)
        )
        q = tl.dot(factor, right, input_precision=PRECISION, out_dtype=REAL)
        factor = tl.load(A + k[:, None] * RANK + r[None, :], mask=(k < D3)[:, None] & (r < RANK)[None, :], other=0)
        total = tl.dot(
            factor.to(OPERAND).to(FACTOR),
            (p * q).to(OPERAND).to(FACTOR),
            total,
            input_precision=PRECISION,
            out_dtype=REAL,
        )
    place = z + e * (D3 * CHANNELS) + k[:, None] * CHANNELS + u
    tl.store(place, total, mask=(k < D3)[:, None] & inside)


@torch.library.custom_op(
    "tdn_theory::cp_product",
    mutates_args=(),
    schema="(Tensor A, Tensor B, Tensor C, Tensor x, Tensor y) -> Tensor",
)
def _cp(A, B, C, x, y):
    edges, _, channels = x.shape
    z = x.new_empty(edges, A.shape[0], channels)
    if z.numel() == 0:
        return z
    x, y = rows(x), rows(y)
    A, B, C = (factor.contiguous() for factor in (A, B, C))
    sizes = D1, D2, D3 = x.shape[1], y.shape[1], A.shape[0]
    real = tl.float64 if A.dtype == torch.float64 else tl.float32
    precision = dot_precision(A.dtype)  # asked for here, since it is no part of a graph
    half = precision == "bf16"
    operand = tl.bfloat16 if half else real  # the interpreter, on CPU, multiplies numbers that are only rounded to it
    with torch.cuda.device_of(z):
        _cp_kernel[(triton.cdiv(edges * channels, COLUMNS),)](  # pyright: ignore[reportIndexIssue]
            z, A, B, C, x, y, edges * channels, *x.stride()[:2], *y.stride()[:2],
            CHANNELS=channels, D1=D1, D2=D2, D3=D3, RANK=A.shape[1],
            **{name: padded(size, 16) for name, size in zip(("I_PAD", "J_PAD", "K_PAD"), sizes, strict=True)},
            COLUMNS=COLUMNS, RANKS=RANKS, REAL=real, OPERAND=operand, FACTOR=real if x.is_cpu else operand,
            PRECISION="tf32" if half else precision, num_warps=8 if max(sizes) > 32 else 4, num_stages=1,
            enable_fp_fusion=True,
        )  # fmt: skip
    return z


@_cp.register_fake
def _(A, B, C, x, y):
    return x.new_empty(x.shape[0], A.shape[0], x.shape[2])


def _setup(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    ctx.save_for_backward(*inputs)


def _gradients(ctx: Any, g: Tensor) -> tuple[Tensor | None, ...]:
    A, B, C, x, y = ctx.saved_tensors
    *_, needs_x, needs_y = ctx.needs_input_grad
    dx = _cp(B, A, C, g, y) if needs_x else None
    dy = _cp(C, A, B, g, x) if needs_y else None
    return None, None, None, dx, dy


_cp.register_autograd(_gradients, setup_context=_setup)
