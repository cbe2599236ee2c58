"""Other networks behind the interface of `Potential`: SchNet, NequIP and MACE from their own packages, and Equiformer.

NequIP and MACE want different versions of e3nn, so each has an environment of its own (`make test-nequip`,
`make test-mace`), in which this package runs as well. Only the network is theirs: graphs, energies per element, loss
and training are those of this package, the same for all. Cutoff, channels and degrees are those of a potential that
they are compared with (SchNet has no degrees, and its authors' 128 features), all else the default of the package.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from tdn_theory.data.graph import Graph
from tdn_theory.experiments.other_process import call_elsewhere
from tdn_theory.nn.baselines import equiformer
from tdn_theory.nn.potential import MAX_NUMBER, PotentialConfig

CHECKOUT = Path(__file__).parents[3]
"""Where the environments are made."""


class OtherNetwork(nn.Module):
    """Energies of somebody else's network, and its forces unless the configuration has none.

    As in `Potential`, `E = b + sum_i (scale e_i + shift_(Z_i))` in float64, `e` being what the network gives. Constants
    of these networks are made in the dtype asked for: one in float64 is another one with copied weights, no `double()`.

    Attributes:
        package: Name that the package of the network is imported by.
        forces: Whether forces are asked for.

    Args:
        config: Elements, cutoff, channels, lmax, and whether there are forces; Equiformer also takes layers and heads.
        neighbors: Mean number of neighbours.
        seed: Seed of the weights.
        dtype: Type of weights and constants.
    """

    package: str
    shifts: Tensor
    scale: Tensor
    offset: Tensor
    index: Tensor

    def __init__(self, config: PotentialConfig, neighbors: float, seed: int, dtype: torch.dtype):
        super().__init__()
        self.forces = config.forces != "none"
        index = torch.full((MAX_NUMBER,), -1)
        index[list(config.elements)] = torch.arange(len(config.elements))
        self.register_buffer("index", index)
        self.register_buffer("shifts", torch.zeros(len(config.elements), dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("offset", torch.zeros((), dtype=torch.float64))
        with torch.random.fork_rng(devices=[]), default_dtype(dtype):
            torch.manual_seed(seed)
            self.network = self.build(config, neighbors, seed, dtype)

    def build(self, config: PotentialConfig, neighbors: float, seed: int, dtype: torch.dtype) -> nn.Module:
        """The network; torch is seeded, and `dtype` is its default."""
        raise NotImplementedError

    def predict(self, graph: Graph, types: Tensor) -> tuple[Tensor, Tensor | None]:
        """Energies (g,) as the network gives them, and its forces (n, 3); `types` (n,) counts the elements from 0."""
        raise NotImplementedError

    def set_reference(self, shifts: Sequence[float], scale: float, offset: float = 0.0) -> None:
        """Energies of elements, energy or force that an output of 1 means, energy of every structure (eV, Angstrom)."""
        self.shifts.copy_(torch.tensor(shifts))
        self.scale.fill_(scale)
        self.offset.fill_(offset)

    def forward(self, graph: Graph) -> dict[str, Tensor]:
        """`energy` (g,), eV, and `forces` (n, 3), eV/Angstrom, if any; in training mode to be differentiated again."""
        types = self.index[graph.numbers]
        with torch.enable_grad():
            energy, forces = self.predict(graph, types)
        shifts = self.offset.repeat(graph.count).index_add(0, graph.batch, self.shifts[types])
        found = {"energy": energy.double() * self.scale + shifts}
        if forces is not None and self.forces:
            found["forces"] = forces * self.scale.to(forces.dtype)
        return found if self.training else {name: value.detach() for name, value in found.items()}


class Equiformer(OtherNetwork):
    """`nn.baselines.equiformer`, the network that the paper compares with, on e3nn's products; direct forces."""

    package = "e3nn"

    def build(self, config: PotentialConfig, neighbors: float, seed: int, dtype: torch.dtype) -> nn.Module:
        """See `OtherNetwork`."""
        size = {"channels": config.channels, "layers": config.layers, "heads": config.heads, "cutoff": config.cutoff}
        return equiformer.Equiformer(
            config.elements,
            config.lmax,
            **size,
            basis_size=config.basis_size,
            neighbors=neighbors,
            forces=self.forces,
            seed=seed,
        )

    def predict(self, graph: Graph, types: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `OtherNetwork`."""
        with torch.set_grad_enabled(self.training):
            out = self.network(graph)
        return out["energy"], out.get("forces")


class SchNet(OtherNetwork):
    """`torch_geometric.nn.SchNet`, six interactions; its neighbours are the edges of the graph."""

    package = "torch_geometric"

    def build(self, config: PotentialConfig, neighbors: float, seed: int, dtype: torch.dtype) -> nn.Module:
        """See `OtherNetwork`."""
        from torch_geometric.nn.models import SchNet  # pyright: ignore[reportMissingImports]

        # edges stand for positions, from which the network would only find the edges
        return SchNet(cutoff=config.cutoff, interaction_graph=lambda edges, batch: edges)

    def predict(self, graph: Graph, types: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `OtherNetwork`."""
        positions = graph.positions.detach().requires_grad_()
        distances = torch.linalg.vector_norm(replace(graph, positions=positions).vectors, dim=1)
        edges = (torch.stack((graph.source, graph.target)), distances)
        energy = self.network(graph.numbers, edges, graph.batch).squeeze(-1)
        if not self.forces:
            return energy, None
        (gradient,) = torch.autograd.grad(energy.sum(), positions, create_graph=self.training)
        return energy, -gradient


class NequIP(OtherNetwork):
    """`nequip.model.NequIPGNNModel`, four layers; it differentiates by itself.

    Attributes:
        parity: Both parities of every degree; False: 0e, 1o, 2e and so on only.
    """

    package = "nequip"
    parity = True

    def build(self, config: PotentialConfig, neighbors: float, seed: int, dtype: torch.dtype) -> nn.Module:
        """See `OtherNetwork`."""
        from ase.data import chemical_symbols
        from nequip.model import NequIPGNNModel  # pyright: ignore[reportMissingImports]
        from nequip.utils.global_state import set_global_state  # pyright: ignore[reportMissingImports]

        set_global_state()
        return NequIPGNNModel(
            seed=seed,
            model_dtype=str(dtype).removeprefix("torch."),
            r_max=config.cutoff,
            type_names=[chemical_symbols[z] for z in config.elements],
            l_max=config.lmax,
            num_features=config.channels,
            parity=self.parity,
            avg_num_neighbors=neighbors,
            per_type_energy_scales=1.0,
            per_type_energy_shifts=0.0,
            do_derivatives=self.forces,
        )

    def predict(self, graph: Graph, types: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `OtherNetwork`. Positions go in as float64, whatever the weights are."""
        out = self.network(
            {
                "pos": graph.positions.double(),
                "atom_types": types,
                "edge_index": torch.stack((graph.target, graph.source)),
                "edge_cell_shift": graph.offsets.double(),
                "cell": graph.cell.double(),
                "batch": graph.batch,
                "num_atoms": torch.bincount(graph.batch, minlength=graph.count),
            }
        )
        forces = out["forces"].to(graph.positions.dtype) if self.forces else None
        return out["total_energy"].squeeze(-1), forces


class MACE(OtherNetwork):
    """`mace.modules.ScaleShiftMACE`, two interactions, correlation 3, harmonics up to degree 3; differentiates too."""

    package = "mace"

    def build(self, config: PotentialConfig, neighbors: float, seed: int, dtype: torch.dtype) -> nn.Module:
        """See `OtherNetwork`."""
        with torch.serialization.safe_globals([slice]):  # e3nn 0.4 keeps its constants in a file with slices
            from e3nn.o3 import Irreps
            from mace import modules  # pyright: ignore[reportMissingImports]

        block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        parities = ("e", "o")
        return modules.ScaleShiftMACE(
            atomic_inter_scale=1.0,
            atomic_inter_shift=0.0,
            r_max=config.cutoff,
            num_bessel=8,
            num_polynomial_cutoff=5,
            max_ell=3,
            interaction_cls=block,
            interaction_cls_first=block,
            num_interactions=2,
            num_elements=len(config.elements),
            hidden_irreps=Irreps([(config.channels, f"{l}{parities[l % 2]}") for l in range(config.lmax + 1)]),
            MLP_irreps=Irreps("16x0e"),
            gate=nn.functional.silu,
            atomic_energies=np.zeros(len(config.elements)),
            avg_num_neighbors=neighbors,
            atomic_numbers=list(config.elements),
            correlation=3,
            radial_MLP=[64, 64, 64],
        )

    def predict(self, graph: Graph, types: Tensor) -> tuple[Tensor, Tensor | None]:
        """See `OtherNetwork`."""
        positions = graph.positions.detach().clone()  # MACE makes what it is given ask for gradients
        shifts = torch.einsum("ea,eax->ex", graph.offsets, graph.cell[graph.batch[graph.target]])
        atoms = torch.bincount(graph.batch, minlength=graph.count)
        data = {
            "positions": positions,
            "node_attrs": nn.functional.one_hot(types, len(self.shifts)).to(positions.dtype),
            "edge_index": torch.stack((graph.source, graph.target)),
            "shifts": -shifts,
            "unit_shifts": -graph.offsets,
            "cell": graph.cell.reshape(-1, 3),
            "batch": graph.batch,
            "ptr": nn.functional.pad(atoms.cumsum(0), (1, 0)),
        }
        out = self.network(data, training=self.training, compute_force=self.forces)
        return out["energy"], out["forces"]


NETWORKS: dict[str, type[OtherNetwork]] = {kind.__name__: kind for kind in (Equiformer, SchNet, NequIP, MACE)}


def installed(network: str) -> bool:
    """Whether this environment has the package of a network."""
    return find_spec(NETWORKS[network].package) is not None


def interpreter(network: str) -> Path | None:
    """The Python that can import the package of a network: this one, or that of the environment made for it, if any."""
    if installed(network):
        return Path(sys.executable)
    package = NETWORKS[network].package
    environment = CHECKOUT / f".venv-{package}"
    return environment / "bin" / "python" if list(environment.glob(f"lib/python*/site-packages/{package}")) else None


def elsewhere(function: Callable[..., dict[str, Any]], network: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Call a function in the environment of the package of a network.

    Args:
        function: At the top level of a module of this package; its result is JSON.
        network: Name in `NETWORKS`.
        arguments: Of the function, as JSON.

    Raises:
        ImportError: The package is installed nowhere.
        RuntimeError: The function failed there; the message is what it said.
    """
    python, package = interpreter(network), NETWORKS[network].package
    if python is None:
        raise ImportError(
            f"{network} needs the package {package}, in this environment or in .venv-{package}: see Makefile"
        )
    return call_elsewhere(function, arguments, python)


@contextmanager
def default_dtype(dtype: torch.dtype) -> Iterator[None]:
    """Within it, new tensors are of this dtype; these packages take constants and weights from there."""
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        yield
    finally:
        torch.set_default_dtype(before)
