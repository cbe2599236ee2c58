"""What the benchmarks of products share: other packages' products, the released code's order, factors, and layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np

from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.schedules import quadratic
from tdn_theory.so3.irreps import dim, paths

if TYPE_CHECKING:
    import torch
    from torch import Tensor


def adopted_factors(lmax: int) -> CPFactors:
    """Factors of the adopted rank 7 L^2; times do not depend on their values, which are random."""
    return CPFactors(*np.random.default_rng(0).standard_normal((3, dim(lmax), quadratic(lmax))))


def released_order(lmax: int, dtype: torch.dtype) -> Callable[[Tensor, Tensor, Tensor], Tensor]:
    """The CP product as the released code has it, one einsum of features, harmonics and weights of shape (e, c, 1)."""
    import torch

    found = adopted_factors(lmax)
    A, B, C = (torch.tensor(factor, dtype=dtype) for factor in (found.A, found.B, found.C))

    def product(x: Tensor, y: Tensor, w: Tensor) -> Tensor:  # torch asks opt_einsum for the order
        return torch.einsum("kr,ir,jr,eiu,ejv->eku", A, B, C, x, y) * w.mT

    return product


def instructions(lmax: int) -> list[tuple[int, int, int, str, bool]]:
    """e3nn's instructions for all paths, with weights of their own."""
    return [(path.x, path.y, path.z, "uvu", True) for path in paths(lmax)]


def flat(lmax: int, channels: int, nodes: int, edges: int, dtype: torch.dtype) -> list[Tensor]:
    """Random features of nodes, harmonics of edges, and weights of all paths, as the other packages lay them out."""
    import torch

    widths = (nodes, dim(lmax) * channels), (edges, dim(lmax)), (edges, len(instructions(lmax)) * channels)
    return [torch.randn(*shape, dtype=dtype) for shape in widths]


def e3nn(lmax: int, channels: int) -> Any:
    """Product of all paths by e3nn, each with its weights.

    Raises:
        ImportError: e3nn is not installed.
    """
    from e3nn import o3

    features, harmonics = ([(count, (l, 1)) for l in range(lmax + 1)] for count in (channels, 1))
    options = {"shared_weights": False, "internal_weights": False}
    return o3.TensorProduct(features, harmonics, features, instructions(lmax), **options)


def cuequivariance(lmax: int, channels: int, like: Tensor) -> Any:
    """Product of all paths by cuEquivariance, for features of the type and on the device of `like`.

    Raises:
        ImportError: It is not installed.
    """
    import cuequivariance as cue  # pyright: ignore[reportMissingImports]
    import cuequivariance_torch as cuet  # pyright: ignore[reportMissingImports]

    degrees = range(lmax + 1)
    features, harmonics = (cue.Irreps("SO3", "+".join(f"{n}x{l}" for l in degrees)) for n in (channels, 1))
    options = {"layout": cue.ir_mul, "shared_weights": False, "internal_weights": False, "dtype": like.dtype}
    return cuet.ChannelWiseTensorProduct(
        features,
        harmonics,
        [irrep for _, irrep in features],
        **options,
        device=like.device,
        method="uniform_1d" if like.is_cuda else "naive",
    )
