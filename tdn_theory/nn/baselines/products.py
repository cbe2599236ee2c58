"""The product of the network in the orders of operations that others use; what they compute is the same."""

from __future__ import annotations

from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.baselines import o3
from tdn_theory.nn.bilinear import factored
from tdn_theory.nn.edge_product import EdgeProduct, YFirstProduct
from tdn_theory.nn.forms import Factored
from tdn_theory.nn.layout import from_e3nn, to_e3nn
from tdn_theory.nn.spec import ProductSpec


class E3nnPaths(EdgeProduct):
    """e3nn's `o3.TensorProduct`, one path after the other.

    Features are turned into e3nn's layout and back, which takes some per cent of the time.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        shared: One set of weights for all paths (E4), or one for each.

    Raises:
        ImportError: e3nn is not installed.
    """

    def __init__(self, lmax: int, channels: int, shared: bool) -> None:
        method = "exact" if shared else "per_path"
        super().__init__(ProductSpec(lmax, channels, method=method, weights="external"))
        self.shared = shared
        self.parts = torch.nn.ModuleDict()
        self._part(lmax + 1, slice(0, lmax + 1))

    def multiply(
        self, prepared: Float[Tensor, "e d2"], x: Float[Tensor, "e i u"], weights: Float[Tensor, "e *w"], slots: slice
    ) -> Float[Tensor, "e k u"]:
        """See `EdgeProduct`."""
        inputs = round(x.shape[1] ** 0.5)
        degrees = slice(*slots.indices(len(self.coupling.z))[:2])
        part = self._part(inputs, degrees).to(x)
        flat = to_e3nn(x, self.coupling.x[:inputs])
        wanted = self.coupling.z[degrees]
        if self.shared:
            return from_e3nn(part(flat, prepared), wanted) * weights.mT
        chosen = weights[:, self._paths(inputs, degrees)].flatten(1)
        return from_e3nn(part(flat, prepared, chosen), wanted)

    def _paths(self, inputs: int, degrees: slice) -> list[int]:
        wanted = range(degrees.start, degrees.stop)
        return [n for n, path in enumerate(self.coupling.paths) if path.x < inputs and path.z in wanted]

    def _part(self, inputs: int, degrees: slice) -> torch.nn.Module:
        """e3nn's product of the first degrees of x into those asked for, made at its first call."""
        name = f"{inputs} to {degrees.start} {degrees.stop}"
        if name not in self.parts:
            paths = [self.coupling.paths[number] for number in self._paths(inputs, degrees)]
            instructions = [(p.x, p.y, p.z - degrees.start, "uvu", not self.shared) for p in paths]
            channels = self.channels[0]
            x, z = ([(channels, (l, 1)) for l in some] for some in (range(inputs), range(degrees.start, degrees.stop)))
            y = [(1, (l, 1)) for l in range(len(self.coupling.y))]
            plain = {"irrep_normalization": "none", "path_normalization": "none"}
            self.parts[name] = o3().TensorProduct(
                x, y, z, instructions, shared_weights=False, internal_weights=False, **plain
            )
        return self.parts[name]


class TiedPaths(EdgeProduct):
    """Every path by itself, y first, as in method `per_path`, but with one set of weights for all.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
    """

    def __init__(self, lmax: int, channels: int) -> None:
        super().__init__(ProductSpec(lmax, channels, weights="external"))
        self.paths = YFirstProduct(ProductSpec(lmax, channels, method="per_path", weights="external"))

    def prepare(self, y: Float[Tensor, "e d2"]) -> Float[Tensor, "e 1 all"]:
        """The matrices of all paths."""
        return self.paths.prepare(y)

    def multiply(
        self,
        prepared: Float[Tensor, "e 1 all"],
        x: Float[Tensor, "e i u"],
        weights: Float[Tensor, "e *w"],
        slots: slice,
    ) -> Float[Tensor, "e k u"]:
        """See `EdgeProduct`."""
        tied = weights.unsqueeze(1).expand(-1, len(self.coupling.paths), -1, -1)
        return self.paths.multiply(prepared, x, tied, slots)


class CPOrder(EdgeProduct):
    """The CP product of rank 7 L^2 with its factors as operands.

    Args:
        lmax: Maximal degree L.
        channels: Number of channels.
        order: `released`: as one `torch.einsum` of factors, features and harmonics, whose order opt_einsum chooses
            where it is installed. `naive`: `A ((B^T x) * (C^T y))`, as the paper has it (E3).
    """

    def __init__(self, lmax: int, channels: int, order: Literal["released", "naive"]) -> None:
        super().__init__(ProductSpec(lmax, channels, method="cp", weights="external"))
        self.form = Factored(self.spec)
        self.order = order

    def multiply(
        self, prepared: Float[Tensor, "e d2"], x: Float[Tensor, "e i u"], weights: Float[Tensor, "e *w"], slots: slice
    ) -> Float[Tensor, "e k u"]:
        """See `EdgeProduct`."""
        A, B, C = self.form.A[self.form.components(slots)], self.form.B[: x.shape[1]], self.form.C
        if self.order == "naive":
            return factored(A, B, C, x, prepared.unsqueeze(2)) * weights.mT
        return torch.einsum("kr,ir,jr,eiu,evj->eku", A, B, C, x, prepared.unsqueeze(1)) * weights.mT
