"""The metrics of OC20 and OC22, with standard errors over systems (groups).

Energies are compared per system, not per atom, and forces on atoms that are free to move only.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tdn_theory.data.graph import Graph, batch_indices
from tdn_theory.data.structure import Structure
from tdn_theory.training.batches import Graphs
from tdn_theory.training.metrics import Metric, mean

ENERGY = 0.02
"""An energy is right within this, eV."""
FORCE = 0.03
"""Forces are right if no component is off by this, eV/Angstrom."""
DISTANCES = np.arange(10, 501) / 1000
"""Mean distances of a relaxed structure that count as right, Angstrom: 0.01, 0.011, ..., 0.5."""

UNITS = {
    "system_energy_mae": "eV",
    "EwT": "%",
    "EFwT": "%",
    "free_forces_mae": "eV/Angstrom",
    "forces_cosine": "",
    "forces_magnitude": "eV/Angstrom",
}


def sums(output: Mapping[str, Tensor], graph: Graph) -> dict[str, Float[Tensor, "graphs 2"]]:
    """Of each metric: a sum over what it is the mean of, and how many these are, per structure.

    - `system_energy_mae`: `|E - E*|`, E* being the label;
    - `EwT`: 100 if that is below `ENERGY`;
    - `EFwT`: 100 if it is, and no component of a force on a free atom is off by `FORCE`;
    - `free_forces_mae`: `|F - F*|` of the components of the forces on free atoms;
    - `forces_cosine`: `F . F* / (|F| |F*|)` of free atoms, where neither is 0;
    - `forces_magnitude`: `| |F| - |F*| |` of free atoms.

    Where a label is unknown (NaN, as forces on fixed atoms are), nothing is counted.
    """
    found = {}
    if "energy" not in output or "energy" not in graph.labels:
        return found
    error = (output["energy"] - graph.labels["energy"]).abs()
    known = ~torch.isnan(error)
    near = error < ENERGY
    found["system_energy_mae"] = _rows(error, known)
    found["EwT"] = _rows(100 * near, known)
    if "forces" not in output or "forces" not in graph.labels:
        return found
    forces, wanted = output["forces"].double(), graph.labels["forces"].double()
    free = ~torch.isnan(wanted).any(1)
    difference = (forces - wanted).abs()
    off = torch.zeros_like(error).index_add(0, graph.batch, (difference >= FORCE).any(1).to(error))
    moving = torch.zeros_like(error).index_add(0, graph.batch, free.to(error))
    found["EFwT"] = _rows(100 * (near & (off == 0)), known & (moving > 0))
    sizes, labels = forces.norm(dim=1), wanted.norm(dim=1)
    directed = free & (sizes > 0) & (labels > 0)
    of_atoms = {
        "free_forces_mae": (difference.mean(1), free),
        "forces_cosine": ((forces * wanted).sum(1) / (sizes * labels), directed),
        "forces_magnitude": ((sizes - labels).abs(), free),
    }
    for name, (values, counted) in of_atoms.items():
        found[name] = torch.zeros(graph.count, 2).to(error.device, torch.float64)
        found[name] = found[name].index_add(0, graph.batch, _rows(values, counted))
    return found


def _rows(values: Tensor, counted: Tensor) -> Float[Tensor, "rows 2"]:
    return torch.stack((torch.where(counted, values, 0.0), counted), dim=1).double()


def catalyst_metrics(model: nn.Module, graphs: Graphs, batch_size: int) -> dict[str, Metric]:
    """Metrics of OC20 and OC22 of `model` on `graphs`, as far as there are predictions and labels (`sums`).

    Args:
        model: A potential, in evaluation mode.
        graphs: Structures with labels.
        batch_size: Structures at a time.
    """
    device = next(model.parameters()).device
    rows = {name: np.zeros((len(graphs), 2)) for name in UNITS}
    numbers = batch_indices(len(graphs), batch_size)
    for batch, graph in zip(numbers, graphs.batches(numbers), strict=True):
        graph = graph.to(device)
        with torch.no_grad():
            output = model(graph)
        for name, found in sums(output, graph).items():
            rows[name][batch] = found.cpu().numpy()
    groups = [structure.group for structure in graphs.structures]
    metrics = {name: mean(values[:, 0], values[:, 1], groups, UNITS[name]) for name, values in rows.items()}
    return {name: metric for name, metric in metrics.items() if metric is not None}


def distances_within_threshold(
    predicted: Sequence[Float[np.ndarray, "_ 3"]], relaxed: Sequence[Structure]
) -> Metric | None:
    """ADwT: of predicted relaxed structures, how many of the thresholds `DISTANCES` they are below, in percent.

    What is compared with a threshold is the mean over the free atoms of a structure of the distance from where they
    are to where they should be, by the nearest image: fixed atoms are where they were anyway.

    Args:
        predicted: Positions of each structure, Angstrom.
        relaxed: The relaxed structures.

    Returns:
        None if there is no structure with a free atom.

    Raises:
        ValueError: There are not as many structures, or not as many atoms in one, as there should be.
    """
    shapes = [positions.shape for positions in predicted]
    if shapes != [structure.positions.shape for structure in relaxed]:
        raise ValueError("predicted positions and relaxed structures differ in number or in atoms; give both of each")
    right, counted = np.zeros(len(relaxed)), np.zeros(len(relaxed))
    for number, (positions, structure) in enumerate(zip(predicted, relaxed, strict=True)):
        moved = (positions - structure.positions)[~structure.fixed]
        if structure.cell is not None and structure.pbc.all():
            fractions = np.linalg.solve(structure.cell.T, moved.T).T
            moved = (fractions - np.rint(fractions)) @ structure.cell
        if len(moved):
            right[number] = 100 * np.mean(np.linalg.norm(moved, axis=1).mean() < DISTANCES)
            counted[number] = 1
    return mean(right, counted, [structure.group for structure in relaxed], "%")
