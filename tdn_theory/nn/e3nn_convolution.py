"""The convolutions of NequIP, SevenNet and MACE, each with the call that the network makes."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from itertools import accumulate
from math import prod
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Int, Shaped
from torch import Tensor

from tdn_theory.nn.convolution import Convolution, ConvolutionPath, Slot
from tdn_theory.so3.clebsch_gordan import clebsch_gordan


class StandIn(torch.nn.Module):
    """A module in the place of an `e3nn.o3.TensorProduct`, or of one that holds it.

    It has what others ask a product for. Its checkpoints are those of the module that it stands for, which keeps the
    parameters that this one uses: each loads those of the other.

    Attributes:
        original: The module that it stands for. It is no part of this one.
        irreps_in1: e3nn's irreps of the features.
        irreps_in2: e3nn's irreps of the harmonics.
        irreps_out: e3nn's irreps of the result.
        instructions: e3nn's instructions.
        weight_numel: Weights of an edge.
        internal_weights: Whether the weights are the module's own.
        shared_weights: Whether e3nn's product was made for one row of weights for all edges.
        output_mask: Which numbers of the result are not always zero.
        right: e3nn's method: the matrix of the product for given harmonics.
        weight_view_for_instruction: e3nn's method.
        weight_views: e3nn's method.

    Args:
        product: The product.
        original: The module that it stands for; None for the product.
    """

    original: torch.nn.Module

    def __init__(self, product: Any, original: torch.nn.Module | None = None) -> None:
        super().__init__()
        self.__dict__["original"] = product if original is None else original  # not registered
        self.irreps_in1, self.irreps_in2 = product.irreps_in1, product.irreps_in2
        self.irreps_out = product.irreps_out
        self.instructions: Sequence[Any] = product.instructions
        self.weight_numel: int = product.weight_numel
        self.internal_weights: bool = product.internal_weights
        self.shared_weights: bool = product.shared_weights
        self.register_buffer("output_mask", product.output_mask, persistent=False)
        self.right = product.right
        self.weight_view_for_instruction, self.weight_views = product.weight_view_for_instruction, product.weight_views

    def _apply(self, fn, recurse: bool = True):
        super()._apply(fn, recurse)
        self.original._apply(fn, recurse)
        self._share()
        return self

    def _share(self) -> None:
        """Use the parameters of the original, which may have been replaced."""
        for name in self._parameters:
            self._parameters[name] = cast(torch.nn.Parameter, getattr(self.original, name))

    def state_dict(self, *args: Any, **options: Any) -> Any:  # pyright: ignore[reportIncompatibleMethodOverride]
        """That of the original."""
        return self.original.state_dict(*args, **options)

    def _load_from_state_dict(
        self, state_dict, prefix, local_metadata, strict, missing_keys, unexpected_keys, error_msgs
    ) -> None:
        given = {name.removeprefix(prefix): state_dict.pop(name) for name in [*state_dict] if name.startswith(prefix)}
        try:
            assign = local_metadata.get("assign_to_params_buffers", False)
            found = self.original.load_state_dict(given, strict=False, assign=assign)
        except RuntimeError as error:
            error_msgs.append(str(error))
            return
        self._share()
        if strict:
            missing_keys.extend(prefix + name for name in found.missing_keys)
            unexpected_keys.extend(prefix + name for name in found.unexpected_keys)
        for name, child in self.named_children():  # what does the work is in no checkpoint
            state_dict.update(child.state_dict(prefix=f"{prefix}{name}."))

    def checked_weights(self, weight: Tensor | Sequence[Tensor] | None) -> Tensor | None:
        """Weights in one row; e3nn allows a list by instruction.

        Raises:
            ValueError: They are missing, though the product has some, or are not as many as it has.
        """
        if weight is not None and not isinstance(weight, Tensor):
            sizes = [prod(ins.path_shape) for ins in self.instructions if ins.has_weight]
            rows = () if self.shared_weights else (-1,)
            weight = torch.cat([part.reshape(*rows, size) for part, size in zip(weight, sizes, strict=True)], -1)
        if self.weight_numel and (weight is None or weight.shape[-1] != self.weight_numel):
            given = "missing" if weight is None else f"of shape {tuple(weight.shape)}"
            raise ValueError(f"weights are {given}; they must have shape (..., {self.weight_numel})")
        return weight


class E3nnConvolution(StandIn):
    """Gather, an `e3nn.o3.TensorProduct` of mode `uvu` with weights of every edge, and sum, as one `Convolution`.

    Attributes:
        convolution: What does the work.

    Args:
        product: The product.
        original: The module that it stands for; None for the product.

    Raises:
        ValueError: The product has other modes, several channels of harmonics, paths without weights, or weights of its
            own.
    """

    def __init__(self, product: Any, original: torch.nn.Module | None = None) -> None:
        super().__init__(product, original)
        self.convolution = e3nn_convolution(product)
        self.train(product.training)

    def convolve(
        self,
        x: Shaped[Tensor, "m x"],
        y: Shaped[Tensor, "e y"],
        weight: Shaped[Tensor, "#e w"],
        source: Int[Tensor, " e"],
        target: Int[Tensor, " e"],
    ) -> Shaped[Tensor, "m z"]:
        """The convolution of features in e3nn's layout, with a row of the result for each row of x."""
        return self.convolution(x, y, weight, source, target, x.shape[0])


class NequIPConvolution(E3nnConvolution):
    """Stands in for NequIP's `TensorProductScatter`."""

    def forward(self, x: Tensor, edge_attr: Tensor, edge_weight: Tensor, edge_dst: Tensor, edge_src: Tensor) -> Tensor:
        """The convolution."""
        return self.convolve(x, edge_attr, edge_weight, edge_src, edge_dst)


class SevenNetConvolution(E3nnConvolution):
    """Stands in for the product inside SevenNet's `IrrepsScatterGatterFusedConvolution`."""

    def forward(self, x: Tensor, y: Tensor, weight: Tensor, source: Tensor, target: Tensor) -> Tensor:
        """The convolution."""
        return self.convolve(x, y, weight, source, target)


class MACEConvolution(E3nnConvolution):
    """Stands in for `conv_tp` of MACE's interaction blocks that have `conv_fusion` set."""

    def forward(self, x: Tensor, y: Tensor, weight: Tensor, edge_index: Tensor) -> Tensor:
        """The convolution."""
        return self.convolve(x, y, weight, edge_index[0], edge_index[1])


class ChannelProduct(E3nnConvolution):
    """Stands in for the product itself: every edge reads and makes a row of its own."""

    def forward(
        self,
        x: Shaped[Tensor, "*#e dx"],
        y: Shaped[Tensor, "*#e dy"],
        weight: Shaped[Tensor, "..."] | Sequence[Tensor] | None = None,
    ) -> Shaped[Tensor, "*#e dz"]:
        """The product of flattened features, as e3nn's.

        Args:
            x: Shape (..., irreps_in1.dim).
            y: Shape (..., irreps_in2.dim).
            weight: Shape (..., weight_numel) or (weight_numel,), or a list of those of each instruction.

        Raises:
            ValueError: Weights are missing or have another number of entries.
        """
        weight = cast(Tensor, self.checked_weights(weight))
        edges = torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
        x, y = (part.expand(*edges, -1).reshape(-1, part.shape[-1]) for part in (x, y))
        weight = weight.unsqueeze(0) if weight.dim() == 1 else weight.expand(*edges, -1).flatten(0, -2)
        every = torch.arange(x.shape[0], device=x.device)
        return self.convolve(x, y, weight, every, every).reshape(*edges, self.convolution.z_width)


def e3nn_convolution(original: Any) -> Convolution:
    """The convolution with the paths of an e3nn product.

    Raises:
        ValueError: See `E3nnConvolution`.
    """
    if original.internal_weights:
        raise ValueError("its weights are its own; a convolution takes those of edges")
    sizes = [prod(ins.path_shape) if ins.has_weight else 0 for ins in original.instructions]
    starts = accumulate(sizes, initial=0)
    sides = original.irreps_in1, original.irreps_in2, original.irreps_out
    paths = []
    for ins, start in zip(original.instructions, starts, strict=False):
        x, y, z = (side[slot] for side, slot in zip(sides, ins[:3], strict=True))
        if ins.connection_mode != "uvu" or y.mul != 1 or not ins.has_weight:
            raise ValueError(
                f"its path {x} x {y} -> {z} of mode {ins.connection_mode!r} is not one of mode 'uvu' with weights and "
                "one channel of harmonics"
            )
        if x.mul == 0 or ins.path_weight == 0:
            continue
        first = [side.slices()[slot].start for side, slot in zip(sides, ins[:3], strict=True)]
        degrees = x.ir.l, y.ir.l, z.ir.l
        tensor = clebsch_gordan(*degrees) * (float(ins.path_weight) * sign(*degrees))
        places = Slot(first[0], x.ir.dim, x.mul), first[1], Slot(first[2], z.ir.dim, z.mul)
        paths.append(ConvolutionPath(*places, start, tensor))
    if not paths:
        raise ValueError("it has no instruction that contributes")
    widths = {"x_width": sides[0].dim, "y_width": sides[1].dim, "z_width": sides[2].dim}
    return Convolution(paths, **widths, weight_width=original.weight_numel, by_channel=True)


def sign(l1: int, l2: int, l3: int) -> float:
    """Sign of the installed e3nn's coefficients relative to ours: 0.4.4 has other ones on odd paths.

    Raises:
        ValueError: They differ by more than a sign.
    """
    from e3nn import o3

    theirs = np.asarray(o3.wigner_3j(l1, l2, l3, dtype=torch.float64)).transpose(2, 0, 1)
    overlap = float(np.vdot(theirs, clebsch_gordan(l1, l2, l3)))
    if abs(abs(overlap) - 1) > 1e-6:
        raise ValueError(f"this e3nn couples {l1} x {l2} -> {l3} in another basis than ours (overlap {overlap:.3f})")
    return 1.0 if overlap > 0 else -1.0


def in_place_of(name: str, module: Any) -> tuple[torch.nn.Module, dict[str, Any]] | None:
    """The product inside a module that gathers, multiplies and sums, and what to set in the model instead.

    Such modules are known by their class: NequIP's `TensorProductScatter`, SevenNet's `IrrepsConvolution`, and MACE's
    interaction blocks. Others give None.

    Args:
        name: Name of the module in the model.
        module: The module.

    Raises:
        ValueError: The product has no convolution, see `E3nnConvolution`.
    """
    kind = type(module)
    if (kind.__module__, kind.__name__) == ("nequip.nn._tp_scatter_base", "TensorProductScatter"):
        return module.tp, {name: NequIPConvolution(module.tp, module)}
    if (kind.__module__, kind.__name__) == ("sevenn.nn.convolution", "IrrepsConvolution"):
        # the same module, but for a forward that hands the ends of the edges to the product
        fused = object.__new__(sys.modules[kind.__module__].IrrepsScatterGatterFusedConvolution)
        fused.__dict__ = {
            **module.__dict__,
            "_modules": {**module._modules},
            "_out_dim": module.convolution.irreps_out.dim,
        }
        fused.convolution = SevenNetConvolution(module.convolution)
        return module.convolution, {name: fused}
    if kind.__module__ == "mace.modules.blocks" and "conv_fusion" in kind.forward.__code__.co_consts:
        return module.conv_tp, {f"{name}.conv_tp": MACEConvolution(module.conv_tp), f"{name}.conv_fusion": True}
    return None
