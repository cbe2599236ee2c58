"""Real spherical harmonics in torch, differentiable any number of times."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.precision import DoubleBuffers, without_autocast
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import check_lmax


class SphericalHarmonics(DoubleBuffers):
    """Harmonics of degrees 0..lmax with `|Y^l|^2 = 2l+1`, as `so3.harmonics.spherical_harmonics(..., "component")`.

    Degree l+1 is the top coupling of degree l with the unit vector, `Y^(l+1)_k ~ C_kij Y^l_i v_j`: polynomials of the
    unit vector, so nothing is singular at the poles. A zero vector has the harmonics 1, 0, 0, ..., and finite
    derivatives.

    Args:
        lmax: Maximal degree L.

    >>> SphericalHarmonics(2)(torch.eye(3)).shape
    torch.Size([3, 9])
    """

    def __init__(self, lmax: int) -> None:
        super().__init__()
        self.lmax = check_lmax(lmax)
        for l in range(lmax):
            couple = clebsch_gordan(l, 1, l + 1)
            # at the pole (0, 1, 0) only component m = 0 is nonzero: it fixes the factor, sign included
            couple = couple / couple[l + 1, l, 1] * np.sqrt((2 * l + 3) / (2 * l + 1))
            self.register_buffer(f"couple{l}", torch.tensor(couple.reshape(2 * l + 3, -1).T), persistent=False)

    def extra_repr(self) -> str:
        """The maximal degree."""
        return str(self.lmax)

    @without_autocast
    def forward(self, vectors: Float[Tensor, "e 3"]) -> Float[Tensor, "e d"]:
        """Harmonics of the directions of the vectors, (e, (L+1)^2)."""
        unit = vectors / length(vectors, at_zero=1.0).unsqueeze(-1)
        block = torch.ones_like(vectors[:, :1])
        blocks = [block]
        for l in range(self.lmax):
            pairs = (block.unsqueeze(2) * unit.unsqueeze(1)).flatten(1)
            block = pairs @ getattr(self, f"couple{l}").to(vectors.dtype)
            blocks.append(block)
        return torch.cat(blocks, 1) if self.lmax else block


def length(vectors: Float[Tensor, "*e 3"], at_zero: float = 0.0) -> Float[Tensor, "*e"]:
    """`|v|`, with derivative zero, and the value asked for, where v is zero."""
    square = vectors.square().sum(-1)
    zero = square == 0
    root = torch.where(zero, 1.0, square).sqrt()
    return torch.where(zero, at_zero, root)
