"""Where Triton kernels run, and what all of them share."""

from __future__ import annotations

from functools import cache
from importlib.util import find_spec

import torch
from torch import Tensor


@cache
def installed() -> bool:
    """Whether Triton can be imported; it comes with torch for CUDA on Linux."""
    return find_spec("triton") is not None


def runs_on(tensor: Tensor) -> bool:
    """Whether Triton kernels run where the tensor is."""
    return tensor.is_cuda and installed()


def dot_precision(dtype: torch.dtype) -> str:
    """How matrix units multiply, by `torch.set_float32_matmul_precision`, as `tl.dot` names it.

    `highest`, torch's default, is exact float32 without matrix units (`ieee`); `high` is `tf32`; `medium` is `bf16`.
    Sums are always in float32. Float64 is exact.
    """
    setting = torch.get_float32_matmul_precision()
    return "ieee" if dtype == torch.float64 else {"highest": "ieee", "high": "tf32", "medium": "bf16"}[setting]


def padded(size: int, least: int) -> int:
    """The least power of two that is at least `size` and `least`: tiles have such lengths."""
    return max(least, 1 << (size - 1).bit_length())


def rows(x: Tensor, unit: bool = True) -> Tensor:
    """The tensor, copied unless offsets within a row of its first axis fit 32 bits.

    Args:
        x: Any tensor.
        unit: Its last axis also has to lie in one piece.
    """
    reach = sum((size - 1) * stride for size, stride in zip(x.shape[1:], x.stride()[1:], strict=True))
    return x if reach < 2**31 and (x.stride(-1) == 1 or not unit) else x.contiguous()
