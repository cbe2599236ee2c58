"""From and to e3nn's layout of features."""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor

from tdn_theory.so3.irreps import Irreps, irreps_dim, parse_irreps


def from_e3nn(features: Shaped[Tensor, "*e flat"], irreps: str | Irreps) -> Shaped[Tensor, "*e d c"]:
    """From e3nn's flattened layout of `c x l1 + c x l2 + ...` (channel by channel) to components first, channels last.

    Args:
        features: Shape (..., c d).
        irreps: Irreps of one channel, `"0e+1o"` for e3nn's `"8x0e+8x1o"`; all have the same number c of channels.

    Returns:
        Shape (..., d, c).

    Raises:
        ValueError: The last axis is not a multiple of d.
    """
    irreps = parse_irreps(irreps) if isinstance(irreps, str) else irreps
    d = irreps_dim(irreps)
    channels, rest = divmod(features.shape[-1], d)
    if rest:
        raise ValueError(
            f"the last axis has length {features.shape[-1]}; it must be a multiple of d = {d}: all irreps equally often"
        )
    parts = features.split([channels * irrep.dim for irrep in irreps], -1)
    return torch.cat(
        [part.unflatten(-1, (channels, irrep.dim)).mT for part, irrep in zip(parts, irreps, strict=True)], -2
    )


def to_e3nn(features: Shaped[Tensor, "*e d c"], irreps: str | Irreps) -> Shaped[Tensor, "*e flat"]:
    """The inverse of `from_e3nn`.

    Raises:
        ValueError: The axis of components does not have the length d of `irreps`.
    """
    irreps = parse_irreps(irreps) if isinstance(irreps, str) else irreps
    if features.shape[-2] != irreps_dim(irreps):
        raise ValueError(
            f"features have shape {tuple(features.shape)}; the axis before the last must have length d = "
            f"{irreps_dim(irreps)}"
        )
    parts = features.split([irrep.dim for irrep in irreps], -2)
    return torch.cat([part.mT.flatten(-2) for part in parts], -1)
