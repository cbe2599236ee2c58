"""What a potential says of structures whose labels nobody needs to know, in flat arrays."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import torch

from tdn_theory.data.graph import batch_indices
from tdn_theory.data.structure import Structure
from tdn_theory.nn.potential import Potential
from tdn_theory.training.batches import Graphs


def predictions(
    model: Potential,
    structures: Sequence[Structure],
    batch_size: int,
    progress: Callable[[int], None] = lambda done: None,
) -> dict[str, np.ndarray]:
    """Energies, and forces if the model has any, in the order of the structures.

    Args:
        model: A potential; its device and dtype are used.
        structures: Labels are not looked at.
        batch_size: Structures at a time.
        progress: Called with the number of structures done at a time.

    Returns:
        `sid` and `fid` (structures,), names; `energy` (structures,), eV; with forces `atoms` (structures,), how many
        each has, and `forces` (sum of them, 3), eV/Angstrom, one structure behind the other.

    Raises:
        ValueError: There is no structure, or one has an element that the model does not know.
    """
    if not structures:
        raise ValueError("there is no structure to predict anything of")
    weight = next(model.parameters())
    model.eval()
    graphs = Graphs(structures, model.config.cutoff, weight.dtype)
    found: dict[str, list[np.ndarray]] = {}
    for graph in graphs.batches(batch_indices(len(graphs), batch_size)):
        with torch.no_grad():
            output = model(graph.to(weight.device))
        for name in output.keys() & {"energy", "forces"}:
            found.setdefault(name, []).append(output[name].double().cpu().numpy())
        progress(graph.count)
    packed = graphs.structures
    arrays = {name: np.array(packed.text(name)) for name in ("sid", "fid")}
    arrays |= {name: np.concatenate(parts) for name, parts in found.items()}
    return arrays | ({"atoms": packed.column("atoms")} if "forces" in arrays else {})
