"""The Triton kernel of the CP product against plain torch in double precision."""

from __future__ import annotations

import pytest
import torch
from torch.autograd import gradgradcheck

from tests.nn.triton_reference import EPS, cp_inputs, plain_cp, random, with_gradients

pytestmark = pytest.mark.usefixtures("triton_kernels")


@pytest.mark.parametrize(
    ("dtype", "precision", "unit"),
    [
        (torch.float32, "highest", 2.0**-23),
        (torch.float32, "high", 2.0**-10),
        (torch.float32, "medium", 2.0**-8),
        (torch.float64, "highest", 2.0**-52),
        (torch.bfloat16, "medium", 2.0**-8),
    ],
    ids=str,
)
def test_cp(dtype, precision, unit):
    """Each operand of a product is rounded to the unit once, five of them one after the other, and sums in float32."""
    from tdn_theory.nn.kernels.cp import cp_product

    A, B, C, x, y = cp_inputs(dtype)
    g = random(2, 4, 70, dtype=dtype, seed=3)
    before = torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision(precision)
    try:
        got = with_gradients(lambda leaves: cp_product(A, B, C, *leaves), [x, y], g)
    finally:
        torch.set_float32_matmul_precision(before)
    doubles = [value.double() for value in (A, B, C, x, y)]
    wanted = with_gradients(lambda leaves: plain_cp(*doubles[:3], *leaves), doubles[3:], g)
    sizes = with_gradients(
        lambda leaves: plain_cp(*(part.abs() for part in doubles[:3]), *leaves),
        [part.abs() for part in doubles[3:]],
        g.abs(),
    )
    terms = A.shape[1] + 9 + 9
    for one, other, size in zip(got, wanted, sizes, strict=True):
        limit = (2 * terms * EPS[torch.promote_types(dtype, torch.float32)] + 6 * unit + EPS[dtype]) * size
        assert ((one.double() - other).abs() <= limit).all()


def test_second_derivatives():
    from tdn_theory.nn.kernels.cp import cp_product

    A, B, C, x, y = cp_inputs(torch.float64, 1, 2, 3)
    leaves = [x.requires_grad_(), y.requires_grad_()]
    assert gradgradcheck(lambda *some: cp_product(A, B, C, *some), leaves, fast_mode=True)


def test_the_operator_is_registered_as_torch_wants_it():
    from tdn_theory.nn.kernels import cp

    A, B, C, x, y = cp_inputs(torch.float64, 1, 3)
    checks = ("test_schema", "test_autograd_registration", "test_faketensor")
    torch.library.opcheck(cp._cp, (A, B, C, x.requires_grad_(), y), test_utils=checks)
