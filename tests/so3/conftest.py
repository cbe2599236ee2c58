"""e3nn, the convention that so3 follows, in float64."""

from __future__ import annotations

import warnings
from collections.abc import Iterator
from types import ModuleType

import pytest


@pytest.fixture
def o3() -> Iterator[ModuleType]:
    """`e3nn.o3`, with torch's default dtype, in which e3nn builds its constants, float64 while the test runs."""
    import torch

    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # e3nn's import uses deprecated parts of torch
        from e3nn import o3

    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    try:
        yield o3
    finally:
        torch.set_default_dtype(before)
