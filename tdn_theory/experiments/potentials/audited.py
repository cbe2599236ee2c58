"""What the study `audits` audits: potentials of packages, networks with random weights, spoilt ones.

Every function makes a calculator of ASE. The spoilt ones are a network of this package, exact, even and in double
precision, that is wrong in one thing each.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any, cast

import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.stress import full_3x3_to_voigt_6_stress

from tdn_theory.data.graph import Graph, build_graph
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.comparisons.other_networks import NETWORKS
from tdn_theory.nn.potential import Potential, PotentialConfig

ELEMENTS = (1, 6, 8, 14)
CONFIG = PotentialConfig(elements=ELEMENTS, lmax=2, channels=16, layers=2, heads=2, cutoff=4.0)
"""Of all networks with random weights."""
SHIFTS, SCALE = [-1.0, -0.7, -0.4, -0.8], 7.0
"""Energies per element, eV, and the unit of what a network gives, eV and eV/Angstrom."""
FAULTS = ("transposed harmonics", "float16 coefficients", "cutoff not smooth", "sign of the stress", "missing images")


class GraphCalculator(Calculator):
    """A function of graphs as a calculator of ASE.

    Args:
        model: Graph -> properties, as `Potential`.
        dtype: Of the graphs.
        change: What is done to a graph first, if anything.
        after: What is done to the results, if anything.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - as ASE has it

    def __init__(
        self,
        model: Callable[[Graph], dict[str, torch.Tensor]],
        dtype: torch.dtype,
        change: Callable[[Graph], Graph] = lambda graph: graph,
        after: Callable[[dict[str, np.ndarray], Atoms], dict[str, np.ndarray]] = lambda found, atoms: found,
    ) -> None:
        super().__init__()
        self.model, self.dtype, self.change, self.after = model, dtype, change, after

    def calculate(self, atoms: Atoms | None = None, properties=("energy",), system_changes=all_changes) -> None:
        """Predict everything at once."""
        super().calculate(atoms, properties, system_changes)
        given = cast(Atoms, self.atoms)
        graph = self.change(build_graph(Structure.from_ase(given.copy()), CONFIG.cutoff, self.dtype))
        values = {name: value.detach().double().numpy() for name, value in self.model(graph).items()}
        found: dict[str, np.ndarray] = {"energy": np.asarray(values["energy"][0]), "forces": values["forces"]}
        if "stress" in values and given.pbc.all():
            found["stress"] = full_3x3_to_voigt_6_stress(values["stress"][0])
        self.results = self.after(found, given)


def tdn(seed: int = 0, dtype: str = "float64", **changes: Any) -> GraphCalculator:
    """This package's potential with random weights.

    Args:
        seed: Of the weights.
        dtype: `float32` or `float64`.
        **changes: Of `CONFIG`.
    """
    return GraphCalculator(network(seed, dtype, **changes), getattr(torch, dtype))


def network(seed: int, dtype: str, **changes: Any) -> Potential:
    """The network of `tdn`."""
    potential = Potential(replace(CONFIG, **changes), seed).to(getattr(torch, dtype)).eval()
    potential.set_reference(SHIFTS, SCALE)
    return potential


def other(name: str, seed: int = 0, dtype: str = "float64") -> GraphCalculator:
    """SchNet, NequIP or MACE from their packages, with random weights."""
    made = NETWORKS[name](CONFIG, 10.0, seed, getattr(torch, dtype)).eval()
    made.set_reference(SHIFTS, SCALE)
    return GraphCalculator(made, getattr(torch, dtype))


def sevennet() -> Any:
    """SevenNet-0, with the weights that its package brings along."""
    from sevenn.calculator import SevenNetCalculator  # pyright: ignore[reportMissingImports]

    return SevenNetCalculator("7net-0", device="cpu")


def chgnet() -> Any:
    """CHGNet, with the weights that its package brings along."""
    from chgnet.model.dynamics import CHGNetCalculator  # pyright: ignore[reportMissingImports]

    return CHGNetCalculator(use_device="cpu")


def spoilt(fault: str) -> GraphCalculator:
    """The exact network with one of `FAULTS`.

    * `transposed harmonics`: components of degree 2 come in the opposite order.
    * `float16 coefficients`: the coupling tensor is rounded to half precision.
    * `cutoff not smooth`: pairs below 3.2 Angstrom bind by a constant.
    * `sign of the stress`: it is that of a pressure.
    * `missing images`: of several images of a neighbour only the nearest is seen.

    Raises:
        ValueError: It is none of these.
    """
    right = network(0, "float64", method="cubature")
    change: Callable[[Graph], Graph] = lambda graph: graph  # noqa: E731
    after: Callable[[dict[str, np.ndarray], Atoms], dict[str, np.ndarray]] = lambda found, atoms: found  # noqa: E731
    if fault == "transposed harmonics":
        right.harmonics.register_forward_hook(lambda module, given, Y: torch.cat([Y[:, :4], Y[:, 4:].flip(1)], dim=1))
    elif fault == "float16 coefficients":
        right = network(0, "float64", method="exact")
        for buffer in right.product.buffers():
            if buffer.is_floating_point():
                buffer.copy_(buffer.half().double())
    elif fault == "cutoff not smooth":
        after = _bound
    elif fault == "sign of the stress":
        after = _compressed
    elif fault == "missing images":
        change = nearest_images
    else:
        raise ValueError(f"fault is {fault!r}; it must be one of {', '.join(FAULTS)}")
    return GraphCalculator(right, torch.float64, change, after)


def _bound(found: dict[str, np.ndarray], atoms: Atoms) -> dict[str, np.ndarray]:
    graph = build_graph(Structure.from_ase(atoms.copy()), 3.2, torch.float64)
    return {**found, "energy": np.asarray(found["energy"] - 0.05 * len(graph.source))}


def _compressed(found: dict[str, np.ndarray], atoms: Atoms) -> dict[str, np.ndarray]:
    return {name: -value if name == "stress" else value for name, value in found.items()}


def nearest_images(graph: Graph) -> Graph:
    """Of all edges between two atoms only the shortest, and none of an atom with itself."""
    lengths = torch.linalg.vector_norm(graph.vectors, dim=1)
    kept: dict[tuple[int, int], int] = {}
    for edge, pair in enumerate(zip(graph.source.tolist(), graph.target.tolist(), strict=True)):
        if pair[0] != pair[1] and (pair not in kept or lengths[edge] < lengths[kept[pair]]):
            kept[pair] = edge
    edges = torch.tensor(sorted(kept.values()), dtype=torch.long)
    return replace(graph, **{name: getattr(graph, name)[edges] for name in ("source", "target", "offsets")})
