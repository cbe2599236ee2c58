"""Tensor products of features with channels: every method behind one signature (E1 to E4).

A feature is a tensor of shape (..., d, channels): components first, channels last, so that every contraction over
components is a matrix product with contiguous rows. `from_e3nn` and `to_e3nn` convert from and to e3nn's flattened
layout.
"""

from __future__ import annotations

import torch
from jaxtyping import Shaped
from torch import Tensor

from tdn_theory.coupling import CouplingLike, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.nn.forms import CLASSES
from tdn_theory.nn.planner import Form, Plan
from tdn_theory.nn.plans import Plans
from tdn_theory.nn.precision import without_autocast
from tdn_theory.nn.spec import Method, Mode, ProductSpec, WeightSource
from tdn_theory.nn.spec_module import SpecModule


class TensorProduct(SpecModule):
    """The layer of a product `z = w M (x (x) y)` of features with channels; `ProductSpec` says which there are.

    Shapes: x (..., d1, u), y (..., d2, v), z (..., d3, w), with equal leading axes (edges), the channels of each being
    those of the mode. Weights have the shape `weight_shape`; external ones may have the leading axes of x in front, for
    weights of every edge.

    Dtypes: float32, float64, and bfloat16 or float16, which are computed in float32 and rounded once at the end, also
    under autocast. (On a GPU, matrix units compute as `torch.set_float32_matmul_precision` says, by default in
    float32.) The coupling tensor and the factors never have less than float32, and are made anew from float64 when the
    module moves to double.

    Attributes:
        weight: The internal weights, if there are any.

    Args:
        coupling: As of `ProductSpec`, like `channels`, `mode` and `method`.
        channels: One number for every distinct letter of the mode, in order; or one for features with harmonics.
        mode: Which channels meet.
        method: `exact`, `per_path`, `cp`, `cubature`, or the `CPFactors` to use.
        weights: `internal`: a parameter, drawn from the normal distribution with variance 1 / (channels summed over).
            `external`: given to `forward`. `none`: all ones (not for modes that make new channels).
        form: Contraction order; None lets the planner choose, see `explain()`.
        fused: Run the product as one kernel. On CPU these are loops of y-first and sparse products, compiled by a C
            compiler for the first product and kept for later runs; under `torch.compile` and in second derivatives,
            plain torch operations run. On a GPU they are Triton kernels of y-first products with one channel of y, and
            of CP products. None does so where there is a C compiler that works and the loop is faster, by rates
            measured once for the machine and not for very few edges, or where there is Triton.

    Raises:
        TypeError: `coupling` is none of these.
        ValueError: An option is unknown, or options do not fit together.
        LookupError: `cp` is asked for, and no factors are known; the message says how to fit them.

    >>> product = TensorProduct(1, 8)
    >>> product
    TensorProduct(0+1 x 0+1 -> 0+1, 5 paths, uvu 8x1, exact, internal weights (8, 1))
    >>> product(torch.ones(10, 4, 8), torch.ones(10, 4, 1)).shape
    torch.Size([10, 4, 8])
    """

    weight: torch.nn.Parameter | None

    def __init__(
        self,
        coupling: CouplingLike | CouplingTensor,
        channels: int | tuple[int, ...],
        *,
        mode: Mode = "uvu",
        method: Method | CPFactors = "exact",
        weights: WeightSource = "internal",
        form: Form | None = None,
        fused: bool | None = None,
    ) -> None:
        spec = ProductSpec(coupling, channels, mode=mode, method=method, weights=weights)
        super().__init__(spec)
        self.weight_source = weights
        d1, d2, _ = spec.coupling.dims
        u, v, _ = spec.sizes
        self._wanted = {"x": (d1, u), "y": (d2, v)}
        self._swapped = spec.swapped
        self._plans = Plans(spec.normal, form, fused)
        self._typed = None
        for name in sorted({chosen.form for chosen in self._plans.by_device.values()}):
            made = CLASSES[name](spec.normal)
            self.add_module(name, made)
            self._typed = name if made.dtype is not None else self._typed
        self.weight = torch.nn.Parameter(torch.empty(self.weight_shape)) if weights == "internal" else None
        self.reset_parameters()

    def reset_parameters(self) -> None:
        """Draw the internal weights: normal, with variance 1 / (number of channels summed over)."""
        if self.weight is not None:
            torch.nn.init.normal_(self.weight, std=self.spec.summed**-0.5)

    def explain(self, device: str = "cpu") -> str:
        """The product, the contraction order used on a device type (`cpu` or `cuda`), and why."""
        return f"{self}\n{self.plan(device).explain()}"

    def plan(self, device: str = "cpu") -> Plan:
        """The planner's choice for a device type (`cpu` or `cuda`)."""
        return self._plans.by_device[device]

    @without_autocast
    def forward(
        self,
        x: Shaped[Tensor, "*e d1 u"],
        y: Shaped[Tensor, "*e d2 v"],
        weights: Shaped[Tensor, "..."] | None = None,
    ) -> Shaped[Tensor, "*e d3 w"]:
        """The product of x and y, see the class.

        Args:
            x: Features of shape (..., d1, u).
            y: Features of shape (..., d2, v), with the leading axes of x.
            weights: External weights, of shape `weight_shape` or (..., *weight_shape).

        Returns:
            Features of shape (..., d3, w), in the dtype of x.

        Raises:
            ValueError: A shape is wrong, or weights are given or missing against what the constructor said.
            TypeError: x and y differ in dtype, or are wider than the module.
        """
        edges = x.shape[:-2]
        for (name, wanted), value in zip(self._wanted.items(), (x, y), strict=True):
            if value.shape[-2:] != wanted or value.shape[:-2] != edges:
                raise ValueError(
                    f"{name} has shape {tuple(value.shape)}; it must be (..., {wanted[0]}, {wanted[1]}): components, "
                    f"then channels, behind the leading axes {tuple(edges)} of x"
                )
        w = self._checked_weights(weights, edges)
        dtype = self._compute_dtype(x, y)
        if len(edges) == 1 and x.dtype == dtype:  # nothing to do, which takes time too
            return self._contract(x, y, w)
        kept = x.dtype if self._plans.one_kernel(x) else dtype
        z = self._contract(
            x.reshape(-1, *x.shape[-2:]).to(kept),
            y.reshape(-1, *y.shape[-2:]).to(dtype),
            w,
        )
        return z.reshape(*edges, *z.shape[-2:]).to(x.dtype)

    def _contract(self, x: Tensor, y: Tensor, w: Tensor | None) -> Tensor:
        """The product of x (e, d1, u) and y (e, d2, v), of the dtype that is computed in."""
        if w is not None:
            w = w.reshape(-1, *self.weight_shape).to(y.dtype)
        if self._swapped:
            x, y = y, x
            if w is not None:
                w = w.transpose(-2, -1) if self.mode == "uvv" else w.transpose(-3, -2)
        chosen = self._plans.of(x)
        return getattr(self, chosen.form).contract(x, y, w, chosen.fused)

    def _checked_weights(self, weights: Tensor | None, edges: torch.Size) -> Tensor | None:
        if self.weight_source != "external":
            if weights is not None:
                raise ValueError(
                    f"weights are given, but this product has weights={self.weight_source!r}; make it with 'external'"
                )
            return self.weight
        shape = self.weight_shape
        if weights is None or tuple(weights.shape) not in (shape, (*edges, *shape)):
            given = "missing" if weights is None else f"of shape {tuple(weights.shape)}"
            raise ValueError(f"weights are {given}; they must have shape {shape} or {(*edges, *shape)}")
        return weights

    def _compute_dtype(self, x: Tensor, y: Tensor) -> torch.dtype:
        if x.dtype != y.dtype or not x.dtype.is_floating_point:
            raise TypeError(f"x and y have dtypes {x.dtype} and {y.dtype}; they must be equal, and floating point")
        own = torch.promote_types(x.dtype, torch.float32) if self._typed is None else getattr(self, self._typed).dtype
        if torch.promote_types(x.dtype, own) != own:
            raise TypeError(
                f"x has dtype {x.dtype}, wider than the module's {own}; move the module first: module.to({x.dtype})"
            )
        return own
