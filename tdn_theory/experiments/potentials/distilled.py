"""Pretrained potentials with another product, trained for minutes to give back what was lost by it (T8)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from tdn_theory.experiments.measuring import single_thread
from tdn_theory.experiments.potentials.sevennet import (
    DEGREES,
    EDGES,
    collated,
    differences,
    graph_of,
    predict,
    pretrained,
    with_tensor,
)
from tdn_theory.experiments.potentials.small_structures import small_structures
from tdn_theory.experiments.potentials.swapped_products import DYNAMIC, made
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

TRAINING_RATE = 5e-5
"""Step size of Adam at the start; it falls to zero by half a cosine."""

ENERGY_WEIGHT = 10.0
"""Of absolute errors of energies (eV/atom) against those of force components (eV/Angstrom)."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        products: Products (arguments of `made`), by potential.
        seeds: Seeds of displacements and batches, by potential.
        steps: Steps of training.
        share: Share of `small_structures`.
    """

    products: dict[str, tuple[dict[str, Any], ...]]
    seeds: dict[str, int]
    steps: int
    share: float


SIZES = {
    Preset.SMALLEST: Size({"7net-0": ({"kind": "CP", "rank": 15},)}, {"7net-0": 1}, steps=1, share=0.0),
    Preset.QUICK: Size({"7net-0": ({"kind": "CP", "rank": 15},)}, {"7net-0": 1}, steps=20, share=0.1),
    Preset.HOURS: Size({"7net-0": DYNAMIC["7net-0"]}, {"7net-0": 3}, steps=200, share=1.0),
    Preset.FULL: Size(DYNAMIC, {"7net-0": 3, "7net-l3i5": 3}, steps=2000, share=1.0),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Errors of every product in every potential, before and after training."""
    plan = [
        {"potential": potential, "product": product, "steps": size.steps, "share": size.share, "seed": s}
        for potential, products in size.products.items()
        for product in products
        for s in range(seed, seed + size.seeds[potential])
    ]
    return {
        "degrees": {p: DEGREES[p] for p in size.products},
        "rows": jobs.map(train, plan, "potentials trained again"),
    }


def train(potential: str, product: Mapping[str, Any], steps: int, share: float, seed: int) -> dict[str, Any]:
    """Train a potential with another product on what it said with its own, from the best path weights.

    Every second one of `small_structures`, displaced anew at every step, is trained on, the others test: no formula is
    in both. The loss is the mean absolute error of energies, `ENERGY_WEIGHT` times, and of force components.

    Args:
        potential: SevenNet's name of it.
        product: Arguments of `made`.
        steps: Steps of Adam, each on one batch of edges.
        share: Share of `small_structures`.
        seed: Seed of structures and displacements.
    """
    M, _ = made(DEGREES[potential], **product)
    teacher, rng = pretrained(potential), np.random.default_rng(seed)
    with single_thread():
        model = with_tensor(potential, M, rescaled=True)
        kinds = small_structures(share, seed)
        tests = {kind: structures[::2] for kind, structures in kinds.items()}
        before = {kind: differences(s, predict(model, s), predict(teacher, s)) for kind, s in tests.items()}
        source = [atoms for structures in kinds.values() for atoms in structures[1::2]] or tests["molecules"]
        optimiser = torch.optim.Adam(model.parameters(), TRAINING_RATE)
        schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimiser, steps)
        losses = []
        model.train()
        for _ in range(steps):
            graphs, atoms, edges = [], [], 0
            while edges < EDGES:
                atoms.append(source[rng.integers(len(source))].copy())
                atoms[-1].positions += 0.05 * rng.standard_normal((len(atoms[-1]), 3))
                graphs.append(graph_of(model, atoms[-1]))
                edges += len(graphs[-1]["edge_vec"])
            wanted = predict(teacher, atoms)
            found = model(collated(graphs))
            numbers = torch.tensor([len(a) for a in atoms])
            energies = torch.tensor(wanted.energies, dtype=torch.float32)
            forces = torch.tensor(np.concatenate(wanted.forces))
            loss = ((found["inferred_total_energy"].reshape(-1) - energies) / numbers).abs().mean()
            loss = ENERGY_WEIGHT * loss + (found["inferred_force"] - forces).abs().mean()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
            schedule.step()
            losses.append(float(loss.detach()))
        model.eval()
        after = {kind: differences(s, predict(model, s), predict(teacher, s)) for kind, s in tests.items()}
    return {
        "potential": potential,
        "product": dict(product),
        "seed": seed,
        "before": before,
        "after": after,
        "losses": losses,
    }


STUDY = Study(
    "distilled",
    "Pretrained SevenNet potentials with low-rank products, before and after training on what they said before",
    Cost.TRAINED,
    SIZES,
    run,
)
