"""The potential as a model of TorchSim, which relaxes and simulates many structures at once."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.data.graph import build_graph, collate
from tdn_theory.data.structure import Structure
from tdn_theory.nn.potential import Potential


class TorchSimModel(torch.nn.Module):
    """A model with TorchSim's `ModelInterface`. Units are those of TorchSim's metal units: eV, Angstrom.

    Neighbours are looked for at every call. The stress is there if forces are conservative, and NaN for structures
    without a volume.

    Attributes:
        potential: What predicts.
        device: Its device.
        dtype: Its dtype; energies are computed in float64 and handed over in it.
        compute_forces: Whether there are forces.
        compute_stress: Whether there is a stress.
        memory_scales_with: What TorchSim sizes batches by.

    Args:
        potential: The potential; it is set to evaluation.
    """

    memory_scales_with = "n_atoms_x_density"

    def __init__(self, potential: Potential) -> None:
        super().__init__()
        self.potential = potential.eval()
        self.compute_forces = potential.config.forces != "none"
        self.compute_stress = potential.config.forces == "conservative"

    @property
    def device(self) -> torch.device:
        """Where the potential is."""
        return next(self.potential.parameters()).device

    @property
    def dtype(self) -> torch.dtype:
        """In what the potential computes."""
        return next(self.potential.parameters()).dtype

    def forward(self, state: Any, **_: Any) -> dict[str, Float[Tensor, "..."]]:
        """Properties of all structures of a state.

        Args:
            state: A `SimState` of TorchSim, or a dictionary of its fields; cell vectors are columns.

        Returns:
            `energy` (g,), `forces` (n, 3) and `stress` (g, 3, 3), as far as the potential has them.

        Raises:
            ValueError: The potential does not know an element; the message names it.
        """
        given = SimpleNamespace(**state) if isinstance(state, Mapping) else state
        graphs = []
        periodic = np.broadcast_to(torch.as_tensor(given.pbc).cpu().numpy(), 3)
        for number, cell in enumerate(given.cell.detach().mT.double().cpu().numpy()):
            atoms = given.system_idx == number
            structure = Structure(
                given.atomic_numbers[atoms].cpu().numpy(),
                given.positions[atoms].detach().double().cpu().numpy(),
                cell if periodic.any() else None,
                periodic,
            )
            graphs.append(build_graph(structure, self.potential.config.cutoff, self.dtype))
        with torch.no_grad():
            found = self.potential(collate(graphs).to(self.device))
        return {name: value.to(self.dtype) for name, value in found.items()}
