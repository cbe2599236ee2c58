"""Replace the tensor products of other people's e3nn models: NequIP, MACE, or anything built of e3nn's.

With method `exact` the outputs stay the same: weights, paths and normalisation are taken over, only the order of the
operations changes. With any other method the weights of all paths become one set (E4): that is a new model, to be
trained.
"""

from __future__ import annotations

import statistics
import time
from collections import Counter
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from math import prod, sqrt
from typing import Any, cast

import numpy as np
import torch
from jaxtyping import Shaped
from torch import Tensor

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.known import least_exact
from tdn_theory.cp.store import Store
from tdn_theory.nn.e3nn_convolution import ChannelProduct, StandIn, in_place_of, sign
from tdn_theory.nn.kernels import loops
from tdn_theory.nn.parts import whole
from tdn_theory.nn.product import TensorProduct
from tdn_theory.nn.spec import METHODS, MODES, Method, Mode
from tdn_theory.so3.irreps import Irrep, slot_slices

Key = tuple[Mode, bool, bool, int, int, int]
"""What one `TensorProduct` has in common: connection mode, whether there are weights, whether it stays exact beside
paths that share weights, and the channels of x, y and z."""


@dataclass(frozen=True)
class Conversion:
    """What `convert` did.

    Attributes:
        replaced: Names of the modules replaced, with the products that stand for each of them now.
        left: Names of the modules left as they were, with the reason.
        shared: Whether path weights are shared now, which makes the model a new one.
        equivariance_error: Largest `TensorProduct.equivariance_error` among the new products, relative to their
            outputs; 0 for exact ones.
    """

    replaced: dict[str, tuple[str, ...]]
    left: dict[str, str]
    shared: bool
    equivariance_error: float
    _model: torch.nn.Module = field(repr=False)
    _before: dict[str, Any] = field(repr=False)

    def undo(self) -> None:
        """Give the model its e3nn modules back, with the weights, the dtype and the device that it has now.

        Raises:
            ValueError: Path weights are shared now: the weights mean something else to e3nn's products.
        """
        if self.shared:
            raise ValueError(
                "path weights are shared, so e3nn's products would give other outputs with them; train a model without "
                "conversion, or convert with method 'exact'"
            )
        self._put(self._before)

    def times(self, call: Callable[[], object], rounds: int = 5) -> tuple[float, float]:
        """Seconds of a call with e3nn's modules in the model, and with those that stand for them, which stay.

        Both take turns, after one call each that is not counted, and medians are given.

        Args:
            call: What is timed, e.g. `lambda: model(batch)` or a step of training.
            rounds: How often each is timed.

        Raises:
            ValueError: There is no round.
        """
        if rounds < 1:
            raise ValueError(f"rounds is {rounds}; it must be at least 1")
        after = {place: _get(self._model, place) for place in self._before}
        seconds: tuple[list[float], list[float]] = [], []
        try:
            for _ in range(rounds + 1):
                for some, modules in zip(seconds, (self._before, after), strict=True):
                    self._put(modules)
                    start = time.perf_counter()
                    call()
                    some.append(time.perf_counter() - start)
        finally:
            self._put(after)
        before, now = (statistics.median(some[1:]) for some in seconds)
        return before, now

    def _put(self, modules: dict[str, Any]) -> None:
        for place, value in modules.items():
            _set(self._model, place, value)

    def __str__(self) -> str:
        lines = [f"replaced {len(self.replaced)}, left {len(self.left)} tensor products"]
        lines += [f"  {name}: {product}" for name, products in self.replaced.items() for product in products]
        lines += [f"  {name}: left, {reason}" for name, reason in self.left.items()]
        lines.append(
            "path weights are shared now: this is a new model, train it before use"
            if self.shared
            else "the outputs are those of before, up to rounding"
        )
        lines.append(f"relative equivariance error of a product: {self.equivariance_error:.1e}")
        return "\n".join(lines)


def convert(
    model: torch.nn.Module, method: Method = "exact", rank: int | None = None, *, fused: bool | None = None
) -> Conversion:
    """Replace the e3nn tensor products in `model`, in place.

    Args:
        model: A module with `e3nn.o3.TensorProduct`s (`FullyConnectedTensorProduct` and others derived from it
            included) in it; e3nn 0.4.4 and later. Not a scripted one: convert before scripting, and use
            `torch.compile` or `torch.export` afterwards.
        method: `exact` (or `per_path`, which means the same here): same outputs. `cp` or `cubature`: products of all
            paths, with one set of weights: the sum of the old ones over paths, divided by the root of their number.
            Outputs of the same irrep all get the sum over paths, scaled so that each keeps the variance that it has for
            inputs and weights of unit variance. The paths of `cubature` are those of even l1 + l2 + l3; those of `cp`
            also the odd ones with the outputs of these. Other odd paths, and products with scalars only, stay exact.
        rank: Rank of the stored CP factors of degrees 0..L to cut for `cp`; None takes the least exact ones known of
            each product's irreps, see `cp.known.least_exact`.
        fused: Whether gather, product and sum become one `Convolution` where the network has them: in NequIP,
            SevenNet and MACE; and other products with weights of every edge the loop that it is made of. None does so
            for method `exact` and models on a CPU with a C compiler that works.

    Returns:
        What was replaced, what was left and why, and the equivariance error of the new products.

    Raises:
        ValueError: The method is unknown, a rank is given without `cp`, `fused` without `exact`, `model` is a tensor
            product itself, or nothing in it can be replaced; the message says what there is.
        TypeError: `model` is scripted.
        LookupError: No CP factors of this rank are stored, or no exact ones known; the message says how to fit them.
    """
    from e3nn import o3

    if method not in METHODS:
        raise ValueError(f"method is {method!r}; it must be one of {METHODS}")
    if rank is not None and method != "cp":
        raise ValueError(f"rank {rank} is given with method {method!r}; only 'cp' has a rank")
    exact = method in ("exact", "per_path")
    if fused and not exact:
        raise ValueError(f"fused=True is given with method {method!r}; a fused convolution is exact: use 'exact'")
    if isinstance(model, o3.TensorProduct):
        raise ValueError(
            "model is a tensor product itself; convert a model that holds it, e.g. torch.nn.Sequential(product)"
        )
    if isinstance(model, torch.jit.ScriptModule):
        raise TypeError("model is scripted, so nothing in it can be replaced; convert it before torch.jit.script")
    if fused is None:
        fused = exact and loops.usable() and all(parameter.is_cpu for parameter in model.parameters())
    replaced: dict[str, tuple[str, ...]] = {}
    left: dict[str, str] = {}
    error = 0.0
    # a module may be in several places, and none is replaced before all products are made, which may fail
    places = list(model.named_modules(remove_duplicate=False))
    convolutions = _convolutions(places) if fused else {}
    inside = {product for product, _ in convolutions.values()}
    found = [(name, m) for name, m in places if isinstance(m, o3.TensorProduct) and m not in inside]
    made: dict[torch.nn.Module, E3nnProduct | ChannelProduct | str] = {}
    for _, module in found:
        if module not in made:
            made[module] = _product(module, method, rank, fused)
    before: dict[str, Any] = {}
    for name, module in found:
        product = made[module]
        if isinstance(product, str):
            left[name] = product
            continue
        before[name] = module
        _set(model, name, product)
        if isinstance(product, ChannelProduct):
            replaced[name] = (str(product.convolution),)
            continue
        replaced[name] = tuple(map(str, product.products))
        error = max(error, *(cast(TensorProduct, part).equivariance_error for part in product.products))
    for name, (_, values) in convolutions.items():
        for place, value in values.items():
            before[place] = _get(model, place)
            _set(model, place, value)
        replaced[name] = tuple(str(value) for value in values.values() if isinstance(value, torch.nn.Module))
    if not replaced:
        raise ValueError(f"nothing was replaced: {_seen(model, left)}")
    shared = any(product.shared for product in made.values() if isinstance(product, E3nnProduct))
    return Conversion(replaced, left, shared, error, model, before)


def _convolutions(places: list[tuple[str, torch.nn.Module]]) -> dict[str, tuple[torch.nn.Module, dict[str, Any]]]:
    """For every place of a convolution the product in it, and what to set in the model."""
    found = {}
    for name, module in places:
        if any(map(_hooked, module.modules())):
            continue
        with suppress(ValueError):  # the product alone may still have one that stands for it
            if (one := in_place_of(name, module)) is not None:
                found[name] = one
    return found


def _hooked(module: torch.nn.Module) -> bool:
    kinds = "_forward_pre_hooks", "_forward_hooks", "_backward_pre_hooks", "_backward_hooks"
    return any(getattr(module, kind) for kind in kinds)


def _product(
    original: torch.nn.Module, method: Method, rank: int | None, fused: bool
) -> E3nnProduct | ChannelProduct | str:
    """What stands for a product, or why nothing does."""
    if _hooked(original):
        return "it has hooks, which would run no more; remove them first"
    if fused:
        with suppress(ValueError):
            return ChannelProduct(original)
    try:
        return E3nnProduct(original, method, rank)
    except ValueError as reason:
        return str(reason)


def _get(model: torch.nn.Module, name: str) -> Any:
    parent, _, child = name.rpartition(".")
    return getattr(model.get_submodule(parent), child, None)


def _set(model: torch.nn.Module, name: str, value: Any) -> None:
    """Set what may be a module or, as MACE's mark of fused convolutions, something else; None takes it away."""
    parent, _, child = name.rpartition(".")
    if value is None:
        delattr(model.get_submodule(parent), child)
    else:
        setattr(model.get_submodule(parent), child, value)


def _seen(model: torch.nn.Module, left: dict[str, str]) -> str:
    """What a model has where nothing can be replaced."""
    if left:
        return "; ".join(f"{name} is left, {reason}" for name, reason in left.items())
    scripted = [name for name, module in model.named_modules() if isinstance(module, torch.jit.ScriptModule)]
    if scripted:
        return f"{scripted[0]} and {len(scripted) - 1} more modules are scripted; convert before torch.jit.script"
    kinds = Counter(type(module).__name__ for module in model.modules())
    seen = ", ".join(f"{count} {kind}" for kind, count in kinds.most_common(10))
    return f"the model holds no e3nn.o3.TensorProduct, but {seen}"


class E3nnProduct(StandIn):
    """Stands in for an `e3nn.o3.TensorProduct`: same call, same weights, same layout of inputs and outputs.

    Attributes:
        products: The products that do the work, one for each combination of mode and channels.
        shared: Whether one of them has one set of weights for several paths of the original.
        weight: The e3nn module's internal weights, the same parameter, if it had any.

    Raises:
        ValueError: The instructions have no equivalent here; the message says why.
    """

    weight: torch.nn.Parameter | None

    def __init__(self, original: Any, method: Method, rank: int | None) -> None:
        super().__init__(original)
        self.weight = original.weight if self.internal_weights and self.weight_numel else None
        self._groups = [_Group(key, members, original, method, rank) for key, members in _grouped(original, method)]
        self.products = torch.nn.ModuleList([group.product for group in self._groups])
        self.shared = any(group.shared for group in self._groups)
        example = next((p for p in original.parameters()), next(original.buffers(), None))
        if example is not None and example.is_floating_point():
            self.products.to(example.device, example.dtype)
        self._out = [(entry.mul, entry.ir.dim) for entry in original.irreps_out]
        self.train(original.training)

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
            weight: Shape (..., weight_numel) or (weight_numel,), or a list of those of each instruction; None for
                internal ones.

        Raises:
            ValueError: Weights are missing or have another number of entries.
        """
        edges = torch.broadcast_shapes(x.shape[:-1], y.shape[:-1])
        x, y = x.expand(*edges, -1), y.expand(*edges, -1)
        weight = self.checked_weights(self.weight if weight is None else weight)
        terms: list[list[Tensor]] = [[] for _ in self._out]
        for group, product in zip(self._groups, self.products, strict=True):
            group.run(cast(TensorProduct, product), x, y, weight, terms)
        parts = []
        for some, (channels, components) in zip(terms, self._out, strict=True):
            total = some[0] if some else x.new_zeros(*edges, components, channels)
            for term in some[1:]:
                total = total + term
            parts.append(total.mT.flatten(-2))
        return torch.cat(parts, -1)


def _grouped(original: Any, method: Method) -> list[tuple[Key, list[int]]]:
    """Numbers of the instructions that one product can do together: no two of them couple the same slots."""
    apart = _odd(original, method)
    groups: dict[tuple[Key, int], list[int]] = {}
    seen: Counter[tuple[Key, tuple[int, int, int]]] = Counter()
    for number, ins in enumerate(original.instructions):
        entries = original.irreps_in1[ins.i_in1], original.irreps_in2[ins.i_in2], original.irreps_out[ins.i_out]
        sizes = tuple(entry.mul for entry in entries)
        if ins.connection_mode not in MODES:
            raise ValueError(f"it has an instruction of mode {ins.connection_mode!r}; supported are {', '.join(MODES)}")
        if 0 in sizes or ins.path_weight == 0:
            continue
        key = (ins.connection_mode, ins.has_weight, number in apart, *sizes)
        groups.setdefault((key, seen[key, ins[:3]]), []).append(number)
        seen[key, ins[:3]] += 1
    if not groups:
        raise ValueError("it has no instruction that contributes")
    return [(key, members) for (key, _), members in groups.items()]


def _odd(original: Any, method: Method) -> set[int]:
    """Numbers of the instructions that a product of shared weights leaves out."""
    if method in ("exact", "per_path"):
        return set()
    odd, served = {}, set()
    for number, ins in enumerate(original.instructions):
        x, y, z = original.irreps_in1[ins.i_in1], original.irreps_in2[ins.i_in2], original.irreps_out[ins.i_out]
        output = ins.connection_mode, ins.has_weight, x.mul, y.mul, z
        if (x.ir.l + y.ir.l + z.ir.l) % 2:
            odd[number] = output
        else:
            served.add(output)
    return {number for number, output in odd.items() if method == "cubature" or output not in served}


class _Group:
    """Instructions of the same mode and channels, as one product."""

    def __init__(self, key: Key, members: list[int], original: Any, method: Method, rank: int | None) -> None:
        mode, has_weight, apart, u, v, w = key
        instructions = [original.instructions[number] for number in members]
        sides = (original.irreps_in1, original.irreps_in2, original.irreps_out)
        used = [sorted({ins[place] for ins in instructions}) for place in range(3)]
        x, y, z = (
            tuple(Irrep(side[s].ir.l, side[s].ir.p) for s in slots) for side, slots in zip(sides, used, strict=True)
        )
        self.x_slots = [(sides[0].slices()[slot], u) for slot in used[0]]
        self.y_slots = [(sides[1].slices()[slot], v) for slot in used[1]]
        starts = [0]
        for ins in original.instructions:
            starts.append(starts[-1] + (prod(ins.path_shape) if ins.has_weight else 0))
        self.weights = [slice(starts[number], starts[number + 1]) for number in members] if has_weight else []
        degrees = [tuple(side[slot].ir.l for side, slot in zip(sides, ins[:3], strict=True)) for ins in instructions]
        signs = [sign(*path) for path in degrees]
        channels = tuple(dict(zip(mode, (u, v, w), strict=True)).values())
        source = "external" if has_weight else "none"
        self.shared = method in ("cp", "cubature") and not apart and len(members) > 1 and any(irrep.l for irrep in y)
        if not self.shared:
            place_x, place_y, place_z = ({slot: number for number, slot in enumerate(slots)} for slots in used)
            paths = [(place_x[ins[0]], place_y[ins[1]], place_z[ins[2]]) for ins in instructions]
            path_weights = tuple(float(ins.path_weight) * sign for ins, sign in zip(instructions, signs, strict=True))
            tensor = CouplingTensor(Coupling(x, y, z, paths), path_weights)
            # without weights, and for a single path, there is nothing to keep apart
            kind: Method = "per_path" if has_weight else "exact"
            self.product = TensorProduct(tensor, channels, mode=mode, method=kind, weights=source)
            self.outputs = [(slot, number, 1.0) for number, slot in enumerate(used[2])]
            return
        merged = tuple(sorted(set(z)))
        coupling = Coupling(x, y, merged)
        tensor = CouplingTensor.even(coupling) if method == "cubature" else CouplingTensor(coupling)
        factors: Method | CPFactors = "cubature"
        if method == "cp":
            store = Store()
            factors = least_exact(tensor, store) if rank is None else store.best(whole(tensor), rank).factors
        self.product = TensorProduct(tensor, channels, mode=mode, method=factors, weights=source)
        # the variance of an output is the sum of squares of a row of its tensor, over inputs, paths and weights
        rows = np.square(self.product.array).sum((1, 2))
        now = [rows[part].mean() for part in slot_slices(merged)]
        before = dict.fromkeys(used[2], 0.0)
        for ins in instructions:
            before[ins[2]] += ins.path_weight**2 / sides[2][ins[2]].ir.dim
        numbers = [merged.index(irrep) for irrep in z]
        self.outputs = [
            (slot, number, sqrt(before[slot] / now[number])) for slot, number in zip(used[2], numbers, strict=True)
        ]

    def run(
        self, product: TensorProduct, x: Tensor, y: Tensor, weight: Tensor | None, terms: list[list[Tensor]]
    ) -> None:
        """Append the product, components first, to the terms of every output slot."""
        weights = None
        if self.weights and weight is not None:
            pieces = [weight[..., part].unflatten(-1, product.channels) for part in self.weights]
            weights = torch.stack(pieces, -1 - len(product.channels))
            if self.shared:
                weights = weights.sum(-1 - len(product.channels)) / sqrt(len(pieces))
            edges = x.shape[:-1]
            if weights.dim() > len(product.weight_shape):
                weights = weights.expand(*edges, *product.weight_shape)
        z = product(_gather(x, self.x_slots), _gather(y, self.y_slots), weights)
        parts = z.split([irrep.dim for irrep in product.coupling.z], -2)
        for slot, number, scale in self.outputs:
            terms[slot].append(parts[number] if scale == 1.0 else parts[number] * scale)


def _gather(features: Tensor, slots: list[tuple[slice, int]]) -> Tensor:
    """Chosen irreps of e3nn's layout, of equally many channels, as (..., d, channels)."""
    parts = [features[..., part].unflatten(-1, (channels, -1)).mT for part, channels in slots]
    return parts[0] if len(parts) == 1 else torch.cat(parts, -2)
