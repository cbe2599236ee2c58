"""Run by test_triton.py in an interpreter of its own: the kernels under torch.compile and torch.export."""

import os
import sys

import torch

if not torch.cuda.is_available():
    os.environ["TRITON_INTERPRET"] = "1"  # before a kernel is defined

from tdn_theory.nn import TensorProduct
from tdn_theory.nn.kernels import gpu
from tdn_theory.nn.kernels.message import couple
from tdn_theory.nn.kernels.rows import Rows

DEVICE = "cuda" if torch.cuda.is_available() else "cpu"
gpu.runs_on = lambda tensor: True


class Message(torch.nn.Module):
    """Features of sources and targets, summed at targets."""

    def forward(self, G, w, x, source, target):
        sources, targets = Rows(source, x.shape[0]), Rows(target, x.shape[0], ascending=True)
        return couple(G, w, x, sources, x.sin(), targets, targets)


def random(*shape: int) -> torch.Tensor:
    return torch.randn(shape, device=DEVICE, requires_grad=True)


def message_inputs(edges: int, nodes: int = 3) -> list[torch.Tensor]:
    target = torch.arange(edges, device=DEVICE) * nodes // edges
    return [random(edges, 4, 4), random(edges, 3), random(nodes, 4, 3), target.flip(0), target]


def product_inputs(edges: int) -> list[torch.Tensor]:
    return [random(edges, 4, 3), random(edges, 4, 1)]


def cp_inputs(edges: int) -> list[torch.Tensor]:
    return [random(edges, 4, 3), random(edges, 4, 3)]


def agree(got, wanted, where: str) -> None:
    for one, other in zip(got, wanted, strict=True):
        error = float((one - other).detach().abs().max())
        if not error <= 1e-5 * float(other.detach().abs().max()):
            sys.exit(f"off by {error:.1e} [{where}]")


def gradients(function, values: list[torch.Tensor]) -> list[torch.Tensor]:
    leaves = [value.detach().requires_grad_(value.requires_grad) for value in values]
    z = function(*leaves)
    return [z.detach(), *torch.autograd.grad(z.sin().sum(), [leaf for leaf in leaves if leaf.requires_grad])]


def graphs() -> None:
    """In one graph, for two numbers of edges; exported with any number of them."""
    torch.manual_seed(0)
    edges = torch.export.Dim("edges", min=2)
    one, none = {0: edges}, None
    cases = [
        (Message(), message_inputs, (one, one, none, one, one)),
        (TensorProduct(1, 3, form="y_first", fused=True), product_inputs, (one, one)),
        (TensorProduct(1, 3, mode="uuu", method="cp", fused=True), cp_inputs, (one, one)),
    ]
    for module, inputs, shapes in cases:
        torch._dynamo.reset()
        name = type(module).__name__
        module.to(DEVICE)
        compiled = torch.compile(module, fullgraph=True, backend="aot_eager", dynamic=True)
        exported = torch.export.export(module, tuple(inputs(5)), dynamic_shapes=shapes).module()
        for count in (5, 3):
            values = inputs(count)
            agree(gradients(compiled, values), gradients(module, values), f"{name}, compiled")
            agree([exported(*values)], [module(*values)], f"{name}, exported")


if __name__ == "__main__":
    graphs()
