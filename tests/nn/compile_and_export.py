"""Run by test_compile.py in an interpreter of its own, where no import hook wraps the functions that torch traces."""

import shutil
import sys
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import replace

import torch
from e3nn import o3
from torch._dynamo.eval_frame import _debug_get_cache_entry_list

from tdn_theory.experiments.networks.variants import random_batch
from tdn_theory.nn import Potential, PotentialConfig, TensorProduct, convert
from tdn_theory.nn.convolution import Convolution
from tdn_theory.nn.export import INPUTS, export_gradient, export_potential

CASES = [
    ("0e+1o", (4, 1), "uvu", "exact", None),
    ("0e+1o", (4, 1), "uvu", "exact", "dense"),
    ("0e+1o x 1o -> 0e+1o", (2, 4), "uvv", "per_path", None),
    ("0e+1o x 1o -> 0e+1o", (4, 3), "uuw", "per_path", "sparse"),
    ("0e+1o", (4, 2, 3), "uvw", "cubature", "factored"),
]


def inputs(edges: int, dims: tuple[int, ...], channels: tuple[int, ...], mode: str) -> list[torch.Tensor]:
    sizes = dict(zip(dict.fromkeys(mode), channels, strict=True))
    return [torch.randn(edges, d, sizes[letter]) for d, letter in zip(dims, mode[:2], strict=True)]


def gradients(product, values: list[torch.Tensor]) -> list[torch.Tensor]:
    leaves = [value.clone().requires_grad_() for value in values]
    out = product(*leaves)
    return [out.detach(), *torch.autograd.grad(out.sin().sum(), leaves)]


def agree(got, wanted, where: str) -> None:
    for one, other in zip(got, wanted, strict=True):
        error = float((one - other).detach().abs().max())
        if not error <= 1e-5 * float(other.detach().abs().max()):
            sys.exit(f"off by {error:.1e} [{where}]")


def graphs() -> None:
    """Under torch.compile, in one graph, for two numbers of edges; exported with any number of them."""
    for number, (coupling, channels, mode, method, form) in enumerate(CASES):
        torch._dynamo.reset()
        product = TensorProduct(coupling, channels, mode=mode, method=method, form=form, fused=number % 2 == 0)
        plain = TensorProduct(coupling, channels, mode=mode, method=method, form=form)
        plain.load_state_dict(product.state_dict())
        dims = product.coupling.dims[:2]
        compiled = torch.compile(product, fullgraph=True, backend="aot_eager")
        edges = torch.export.Dim("edges")
        exported = torch.export.export(
            product, tuple(inputs(5, dims, channels, mode)), dynamic_shapes=({0: edges}, {0: edges})
        )
        for count in (5, 7):
            values = inputs(count, dims, channels, mode)
            agree(gradients(compiled, values), gradients(plain, values), f"{product}, {form}, compiled")
            agree([exported.module()(*values)], [plain(*values)], f"{product}, {form}, exported")


def potentials() -> None:
    """Forces of a potential, with its paths together and one by one, under torch.compile, in one graph.

    Its guards look at no array of numpy: they would do so at every call.
    """
    for method in ("exact", "per_path"):
        torch._dynamo.reset()
        config = PotentialConfig((1, 6, 7, 8), 1, 4, 1, 2, forces="direct", basis_size=4, method=method)
        potential = Potential(config)
        compiled = torch.compile(potential, fullgraph=True, backend="aot_eager")
        graph = random_batch(2, 6, 3, config.cutoff, 0)
        agree([compiled(graph)["forces"]], [potential(graph)["forces"]], f"potential, {method}, compiled")
        guards = str(_debug_get_cache_entry_list(Potential.forward.__code__)[0].guard_manager)
        if "numpy" in guards or "edges" not in guards:
            sys.exit(f"potential, {method}: guards look at arrays of numpy, or are not there to be read")


class Convolved(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.convolution = Convolution.of("0e+1o", 4)

    def forward(self, x, y, w, source, target):
        return self.convolution(x, y, w, source, target, x.shape[0])


def convolutions() -> None:
    """In one graph, with derivatives, for any number of nodes and edges; second derivatives of the exported one."""
    torch._dynamo.reset()
    model = Convolved()

    def inputs(nodes: int, edges: int) -> list[torch.Tensor]:
        sizes = (nodes, 16), (edges, 4), (edges, model.convolution.weight_width)
        ends = [torch.randint(0, nodes, (edges,)) for _ in range(2)]
        return [*(torch.randn(size) for size in sizes), *ends]

    def derivatives(function, values: list[torch.Tensor], second: bool) -> list[torch.Tensor]:
        leaves = [value.clone().requires_grad_() for value in values[:3]]
        out = function(*leaves, *values[3:])
        first = torch.autograd.grad(out.sin().sum(), leaves, create_graph=second)
        more = torch.autograd.grad(sum((part**2).sum() for part in first), leaves) if second else []
        return [out.detach(), *first, *more]

    compiled = torch.compile(model, fullgraph=True, backend="aot_eager")
    nodes, edges = torch.export.Dim("nodes"), torch.export.Dim("edges")
    dynamic = ({0: nodes}, *[{0: edges}] * 4)
    exported = torch.export.export(model, tuple(inputs(3, 5)), dynamic_shapes=dynamic).module()
    for sizes in ((3, 5), (4, 7)):
        values = inputs(*sizes)
        agree(derivatives(compiled, values, False), derivatives(model, values, False), "convolution, compiled")
        agree(derivatives(exported, values, True), derivatives(model, values, True), "convolution, exported")


class ConvertedEnergies(torch.nn.Module):
    """Energies of atoms for vectors of edges, by a converted e3nn product."""

    def __init__(self) -> None:
        super().__init__()
        self.product = o3.TensorProduct(
            "4x0e+4x1o", "1x0e+1x1o", "4x0e", [(0, 0, 0, "uvu", True), (1, 1, 0, "uvu", True)], shared_weights=False
        )

    def forward(self, vectors, features, weights, source, target):
        y = torch.cat([vectors.square().sum(1, keepdim=True), vectors], 1)
        messages = self.product(features.index_select(0, source), y, weights)
        return features.new_zeros(features.shape[0], 4).index_add(0, target, messages).tanh().sum(1)


def check(run: Callable, inputs: tuple[torch.Tensor, ...], wanted: Sequence[torch.Tensor], where: str) -> None:
    with torch.no_grad():
        found = run(*inputs)
    parts = found.values() if isinstance(found, dict) else found
    agree([part.nan_to_num(7.0) for part in parts], wanted, where)


def programs() -> None:
    """Energies and forces of a potential and of a converted model, exported, and compiled where there is a compiler."""
    model = ConvertedEnergies()
    torch._dynamo.reset()

    def inputs(nodes: int, edges: int) -> tuple[torch.Tensor, ...]:
        ends = [torch.randint(0, nodes, (edges,)) for _ in range(2)]
        sizes = (edges, 3), (nodes, 16), (edges, model.product.weight_numel)
        return *(torch.randn(size) for size in sizes), *ends

    nodes, edges = torch.export.Dim("nodes"), torch.export.Dim("edges")
    given = inputs(4, 7)
    vectors = given[0].requires_grad_()
    before = model(vectors, *given[1:])
    wanted = [before, *torch.autograd.grad(before.sum(), vectors)]
    convert(model)
    axes = ({0: edges}, {0: nodes}, {0: edges}, {0: edges}, {0: edges})
    converted = export_gradient(model, inputs(6, 10), axes)
    config = PotentialConfig((1, 8), 1, 2, 1, 1, basis_size=2, outputs=("dipole",))
    potential = Potential(config)
    graph = random_batch(3, 6, 2, config.cutoff, 0)
    graph = replace(graph, numbers=torch.where(graph.numbers % 2 == 0, 8, 1))
    fields = tuple(getattr(graph, name) for name in INPUTS)
    found = potential(graph, of_atoms=True)
    agree(
        [found["energy"]],
        [found["energy"].new_zeros(graph.count).index_add(0, graph.batch, found["energies"])],
        "atoms",
    )
    found = {name: value.nan_to_num(7.0) for name, value in found.items()}
    program = export_potential(potential)
    if "tdn_theory" in str(program.graph):
        sys.exit("the program of a potential needs this package")
    for exported, some, values in ((converted, given, wanted), (program, fields, found.values())):
        check(exported.module(), some, values, "exported")
        if any(map(shutil.which, ("g++", "clang++"))):
            with tempfile.TemporaryDirectory() as folder:
                options = {"aot_inductor.compile_wrapper_opt_level": "O0"}  # in half the time
                path = f"{folder}/model.pt2"
                torch._inductor.aoti_compile_and_package(exported, package_path=path, inductor_configs=options)
                check(torch._inductor.aoti_load_package(path), some, values, "compiled ahead of time")
    try:
        program.module()(fields[0] + 1, *fields[1:])
    except RuntimeError as error:
        if "unknown" in str(error):
            return
    sys.exit("an unknown element is no error")


if __name__ == "__main__":
    torch.manual_seed(0)
    convolutions()
    graphs()
    potentials()
    programs()
