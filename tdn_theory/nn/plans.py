"""The plans of a product: one for each kind of device, and one for few edges."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from tdn_theory.nn.kernels import gpu, loops
from tdn_theory.nn.planner import H100, Form, Plan, Shapes, few_edges, plan
from tdn_theory.nn.rates import rates
from tdn_theory.nn.spec import ProductSpec


class Plans:
    """How a product is computed, wherever its features are.

    Attributes:
        by_device: The plans, by `cpu`, `cuda`, and `few`, for the fewest edges on a CPU, if they have one of their own.

    Args:
        spec: The product, in normal form.
        form: The form to use; None for the one of least modelled time.
        fused: As of `TensorProduct`.

    Raises:
        ValueError: The form does not exist for this product.
    """

    def __init__(self, spec: ProductSpec, form: Form | None, fused: bool | None) -> None:
        with_loops = loops.usable() if fused is None else fused and loops.failure() is None
        shapes = Shapes.of(spec, None if fused is None and with_loops else bool(fused))
        on_gpu = replace(shapes, fused=gpu.installed() if fused is None else fused)
        cpu_rates = rates(with_loops)
        self.by_device = {"cpu": plan(shapes, "cpu", cpu_rates, form), "cuda": plan(on_gpu, "cuda", H100, form)}
        self._few_edges = 0
        if fused is None and form in (None, "y_first") and spec.mode == "uvu" and self.by_device["cpu"].fused:
            self._few_edges = few_edges(shapes)
            self.by_device["few"] = plan(replace(shapes, fused=False), "cpu", cpu_rates, "y_first")
        plain = spec.mode == "uvu" and spec.sizes[1] == 1 and not spec.per_path
        self._one_kernel = plain and (self.by_device["cuda"].form, self.by_device["cuda"].fused) == ("y_first", True)

    def of(self, features: Tensor) -> Plan:
        """The plan for features of edges."""
        if not features.is_cpu:
            return self.by_device["cuda"]
        few = not torch.compiler.is_compiling() and features.shape[0] < self._few_edges
        return self.by_device["few" if few else "cpu"]

    def one_kernel(self, features: Tensor) -> bool:
        """Whether gather, product and sum are one Triton kernel, which also reads half precision."""
        return self._one_kernel and gpu.runs_on(features)
