"""Converted networks of other people, whole, as programs of torch.export and AOTInductor: energies and gradients.

Run with the name of the package in an interpreter of its own: see test_compile.py.
"""

from __future__ import annotations

import copy
import shutil
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from tdn_theory.experiments.comparisons.other_networks import default_dtype
from tdn_theory.nn import convert
from tdn_theory.nn.export import export_gradient
from tdn_theory.testing.assertions import assert_close

NODES, EDGES = torch.export.Dim("nodes"), torch.export.Dim("edges")


def check(
    network: torch.nn.Module, given: tuple[Tensor, ...], other: tuple[Tensor, ...], sizes: Any, error: float, aot: bool
) -> None:
    """The program of the converted network gives for another structure what the network gave, and its gradient."""
    first = other[0].clone().requires_grad_()
    energies = network(first, *other[1:])
    wanted = energies.detach(), torch.autograd.grad(energies.sum(), first)[0]
    convert(network)
    program = export_gradient(network, given, sizes)
    runs = [program.module()]
    if aot and any(map(shutil.which, ("g++", "clang++"))):
        with tempfile.TemporaryDirectory() as folder:
            options = {"aot_inductor.compile_wrapper_opt_level": "O0"}  # in half the time
            path = str(Path(folder) / "network.pt2")
            package = torch._inductor.aoti_compile_and_package(program, package_path=path, inductor_configs=options)
            runs.append(torch._inductor.aoti_load_package(package))
    for run in runs:
        with torch.no_grad():
            found = run(*other)
        for got, part in zip(found, wanted, strict=True):
            assert_close(got.numpy(), part.numpy(), error * float(part.abs().max()), "exported")


def edges_of(positions: Tensor, cutoff: float) -> Tensor:
    near = (torch.cdist(positions, positions) < cutoff) & ~torch.eye(len(positions), dtype=torch.bool)
    return torch.nonzero(near).T


def nequip() -> None:
    """All of it, from positions on."""
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    class Energies(torch.nn.Module):
        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, positions, types, edges):
            found = self.model({"pos": positions, "atom_types": types, "edge_index": edges})
            return found["atomic_energy"].squeeze(1)

    def inputs(atoms: int) -> tuple[Tensor, ...]:
        positions = 3 * torch.rand(atoms, 3)
        return positions, torch.arange(atoms) % 2, edges_of(positions, 4.0)

    with default_dtype(torch.float64):
        set_global_state()
        torch.manual_seed(0)
        model = NequIPGNNModel(
            seed=0, model_dtype="float64", r_max=4.0, type_names=["H", "O"], num_layers=3, l_max=2, parity=True,
            num_features=8, avg_num_neighbors=3.0, radial_mlp_width=8, do_derivatives=False,
        )  # fmt: skip
        check(Energies(model), inputs(7), inputs(9), ({0: NODES}, {0: NODES}, {1: EDGES}), 1e-13, aot=True)


def mace() -> None:
    """From positions on. e3nn 0.4 is told to script none of its parts, which torch.export refuses."""
    torch.serialization.add_safe_globals([slice])
    import e3nn
    from mace import modules

    class Energies(torch.nn.Module):
        def __init__(self, model: torch.nn.Module) -> None:
            super().__init__()
            self.model = model

        def forward(self, positions, elements, edges):
            atoms, shifts = torch.zeros(positions.shape[0], dtype=torch.long), torch.zeros(edges.shape[1], 3)
            ends = torch.stack((atoms.new_zeros(()), atoms.new_zeros(()) + positions.shape[0]))
            names = {"positions": positions, "node_attrs": elements, "edge_index": edges, "batch": atoms, "ptr": ends}
            names |= {"shifts": shifts, "unit_shifts": shifts, "cell": torch.eye(3)}
            return self.model(names, compute_force=False)["node_energy"]

    def inputs(atoms: int) -> tuple[Tensor, ...]:
        positions = 3 * torch.rand(atoms, 3)
        elements = torch.nn.functional.one_hot(torch.arange(atoms) % 2, 2)
        return positions, elements.to(positions.dtype), edges_of(positions, 5.0)

    before = e3nn.get_optimization_defaults()
    e3nn.set_optimization_defaults(jit_script_fx=False)
    try:
        with default_dtype(torch.float64):
            torch.manual_seed(0)
            block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
            model = modules.MACE(
                r_max=5.0, num_bessel=8, num_polynomial_cutoff=6, max_ell=3, correlation=3,
                interaction_cls=block, interaction_cls_first=block, num_interactions=2, num_elements=2,
                hidden_irreps=e3nn.o3.Irreps("8x0e+8x1o"), MLP_irreps=e3nn.o3.Irreps("8x0e"),
                gate=torch.nn.functional.silu, atomic_energies=np.zeros(2), avg_num_neighbors=3, atomic_numbers=[1, 8],
            )  # fmt: skip
            check(Energies(model), inputs(7), inputs(9), ({0: NODES}, {0: NODES}, {1: EDGES}), 1e-13, aot=True)
    finally:
        e3nn.set_optimization_defaults(**before)


def sevenn() -> None:
    """All but the sum over atoms. It takes AOTInductor a minute, and nothing that NequIP's has not."""
    from ase.build import bulk

    from tdn_theory.experiments.potentials import sevennet

    model = copy.deepcopy(sevennet.pretrained("7net-0"))

    class Energies(torch.nn.Module):
        def __init__(self) -> None:
            super().__init__()
            steps = [
                step for name, step in model.named_children() if name not in ("reduce_total_enegy", "force_output")
            ]
            self.steps = torch.nn.ModuleList(steps)

        def forward(self, vectors, types, edges):
            data = {"edge_vec": vectors, "x": types, "atomic_numbers": types, "edge_index": edges}
            data |= {"batch": torch.zeros_like(types), "num_atoms": types.new_zeros(1) + types.shape[0]}
            for step in self.steps:
                data = step(data)
            return data["atomic_energy"].squeeze(1)

    def inputs(name: str, structure: str, length: float) -> tuple[Tensor, ...]:
        atoms = bulk(name, structure, length, cubic=structure != "fcc")
        atoms.rattle(0.1, seed=0)
        graph = sevennet.collated([sevennet.graph_of(model, atoms)])
        return graph["edge_vec"], model._preprocess(graph)["x"], graph["edge_index"]

    given, other = inputs("SiC", "zincblende", 4.3), inputs("NaCl", "rocksalt", 5.6)
    check(Energies(), given, other, ({0: EDGES}, {0: NODES}, {1: EDGES}), 1e-5, aot=False)


if __name__ == "__main__":
    warnings.simplefilter("ignore")  # the packages have their own
    {"nequip": nequip, "mace": mace, "sevenn": sevenn}[sys.argv[1]]()
