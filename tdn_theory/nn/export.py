"""Potentials as programs that torch.export and AOTInductor know: all operations, those of the forces included.

torch.export keeps some operators whole that autograd takes apart, so it does not see through a derivative. A program is
made in two steps: the energy is exported; then, in a second trace, it is evaluated and differentiated.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import torch
from jaxtyping import Float, Int
from torch import Tensor
from torch.export import Dim, ExportedProgram
from torch.fx.experimental.proxy_tensor import make_fx

from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.structure import Structure
from tdn_theory.nn.potential import Potential, with_forces

INPUTS = ("numbers", "positions", "batch", "source", "target", "offsets", "cell")
"""Inputs of an exported potential: these fields of a `Graph`."""

Sizes = Sequence[dict[int, Any]]
"""For each input the axes whose length may change, as `torch.export` takes them."""


def export_gradient(energies: torch.nn.Module, inputs: tuple[Tensor, ...], sizes: Sizes) -> ExportedProgram:
    """Energies, and the gradient of their sum for the first input, as one program of the same inputs.

    It serves any module that `torch.export` takes, e.g. the energy of a converted model for vectors of edges.

    Args:
        energies: The module; it gives one tensor.
        inputs: Inputs to trace with.
        sizes: Lengths that may change.

    Raises:
        ValueError: A length that may change is equal to another one in `inputs`, or below 2: torch would take it for
            the same, or for a constant.
    """
    _check(inputs, sizes)
    inner = torch.export.export(energies, inputs, dynamic_shapes=tuple(sizes)).module()

    def whole(first: Tensor, *others: Tensor) -> tuple[Tensor, Tensor]:
        with torch.enable_grad():
            first = first.detach().requires_grad_()
            found = inner(first, *others)
            (gradient,) = torch.autograd.grad(found.sum(), first)
        return found.detach(), gradient

    return _program(whole, inputs, sizes)


def export_potential(potential: Potential) -> ExportedProgram:
    """A potential as one program, for any number of atoms, edges and graphs.

    Its inputs are the fields `INPUTS` of a `Graph`, in this order, neighbours included. It gives what the potential
    does, and the `energies` of atoms. An element that the potential does not know is an error when the program runs.
    `torch._inductor.aoti_compile_and_package(program, package_path="potential.pt2")` compiles it.

    Args:
        potential: The potential; it is set to evaluation.
    """
    potential.eval()
    graph = _example(potential).to(next(potential.parameters()).device)
    inputs = tuple(getattr(graph, name) for name in INPUTS)
    atoms, edges, graphs = Dim("atoms"), Dim("edges"), Dim("graphs")
    sizes = [{0: axis} for axis in (atoms, atoms, atoms, edges, edges, edges, graphs)]
    energies = _Energies(potential)
    first = (graph.vectors, potential.index[graph.numbers], *inputs)
    inner = torch.export.export(energies, first, dynamic_shapes=({0: edges}, {0: atoms}, tuple(sizes))).module()

    def whole(*inputs: Tensor) -> dict[str, Tensor]:
        graph = _graph(*inputs)
        elements = potential.index[graph.numbers]
        known = f"an element is unknown; known are {potential.config.elements}"
        torch.ops.aten._assert_async.msg((elements >= 0).all(), known)

        def evaluate(vectors: Tensor) -> dict[str, Tensor]:
            return inner(vectors, elements, *inputs)

        conservative = potential.config.forces == "conservative"
        return with_forces(evaluate, graph) if conservative else evaluate(graph.vectors)

    return _program(whole, inputs, sizes)


class _Energies(torch.nn.Module):
    """A potential for given vectors."""

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential

    def forward(
        self, vectors: Float[Tensor, "e 3"], elements: Int[Tensor, " n"], *inputs: Tensor
    ) -> dict[str, Float[Tensor, "..."]]:
        return self.potential.evaluate(_graph(*inputs), elements, vectors, of_atoms=True)


def _graph(*inputs: Tensor) -> Graph:
    fields = dict(zip(INPUTS, inputs, strict=True))
    return Graph(**fields, count=fields["cell"].shape[0])


def _example(potential: Potential) -> Graph:
    """With numbers of atoms, edges and graphs that differ: torch takes equal ones for the same."""
    config = potential.config
    corners = config.cutoff / 4 * np.eye(4, 3)
    structures = [Structure(np.full(count, config.elements[0]), corners[:count]) for count in (3, 4)]
    dtype = next(potential.parameters()).dtype
    return collate([build_graph(structure, config.cutoff, dtype) for structure in structures])


def _check(inputs: tuple[Tensor, ...], sizes: Sizes) -> None:
    changing, fixed = {}, set()
    for value, axes in zip(inputs, sizes, strict=True):
        for axis, length in enumerate(value.shape):
            if axis in axes:
                changing[axes[axis].__name__] = length
            else:
                fixed.add(length)
    lengths = list(changing.values())
    if min(lengths, default=2) < 2 or len(set(lengths)) < len(lengths) or fixed & set(lengths):
        raise ValueError(
            f"the lengths that may change are {changing} in these inputs, and other lengths are {sorted(fixed)}; give "
            "inputs where they are above 1 and differ from each other and from all others"
        )


def _program(whole: Callable[..., Any], inputs: tuple[Tensor, ...], sizes: Sizes) -> ExportedProgram:
    traced = make_fx(whole, tracing_mode="symbolic", _allow_non_fake_inputs=True)(*inputs)
    return torch.export.export(traced, inputs, dynamic_shapes=tuple(sizes))
