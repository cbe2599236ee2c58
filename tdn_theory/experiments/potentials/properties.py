"""Dipole moments and polarizabilities against rank: accuracy, and equivariance of what is predicted (O4).

Trained on the shipped relaxations at L = 2, the least degree with a polarizability, and tested on molecules that were
not trained on; the network predicts the dipole as charges and atomic dipoles (l = 1), the polarizability as traces
(l = 0) and traceless parts (l = 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tdn_theory.cp.schedules import quadratic
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.measuring import mean_and_error, single_thread
from tdn_theory.experiments.potentials.fitting import NETWORK, TINY, configuration, fit, inputs, products
from tdn_theory.experiments.potentials.symmetry_error import symmetry_errors
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.training.config import LossConfig, Term
from tdn_theory.training.sources import Splits

SYSTEM = "relaxations"
LMAX = 2
LABELS = ("dipole", "polarizability")
"""In e Angstrom and Angstrom^3."""

LOSS = LossConfig(energy=Term(), forces=Term(), dipole=Term(1.0, "norm"), polarizability=Term(0.2, "norm"))


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ranks: Ranks of CP products.
        steps: Steps of training.
        seeds: Seeds; each is another split, other initial weights and other batches.
        rotations: Rotations of each test structure.
        network: Changes of the network.
        structures: Structures of each part of the split, at most; None: all.
    """

    ranks: tuple[int, ...]
    steps: int
    seeds: int
    rotations: int
    network: dict[str, Any]
    structures: int | None = None


SIZES = {
    Preset.SMALLEST: Size((10, 28), steps=1, seeds=1, rotations=2, network=TINY, structures=40),
    # so short that errors are still falling
    Preset.QUICK: Size((10, 20, 28), steps=200, seeds=3, rotations=6, network={}),
    Preset.HOURS: Size((10, 15, 20, 28), steps=4000, seeds=3, rotations=6, network={}),
    Preset.FULL: Size(  # meant for a GPU
        (7, 10, 15, 20, 23, 26, 28, 29),
        steps=20_000,
        seeds=5,
        rotations=16,
        network={"channels": 64, "layers": 3, "heads": 8},
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test every product."""
    plan = [
        {
            "model": {**size.network, **product, "forces": "none", "outputs": list(LABELS)},
            "seed": s,
            "device": jobs.device,
            "steps": size.steps,
            "structures": size.structures,
            "rotations": size.rotations,
            "inputs": inputs(SYSTEM, product),
        }
        for s in range(seed, seed + size.seeds)
        for product in products(LMAX, size.ranks)
    ]
    rows = jobs.map(measure, plan, "dipoles and polarizabilities")
    return {
        "lmax": LMAX,
        "steps": size.steps,
        "network": {**NETWORK, **size.network},
        "paper_rank": quadratic(LMAX),
        "rows": rows,
        "summary": summarize(rows),
    }


def measure(
    model: dict[str, Any],
    seed: int,
    device: str,
    steps: int,
    structures: int | None,
    rotations: int,
    inputs: dict[str, str | None],
) -> dict[str, Any]:
    """Train one potential and test it; errors are root mean squares of components.

    Args:
        model: Settings of the potential.
        seed: Of split, weights, batches and rotations.
        device: `cpu`, `cuda` or `cuda:1`.
        steps: Steps of training.
        structures: Structures of each part of the split, at most.
        rotations: Rotations of each test structure.
        inputs: What it reads.
    """
    with single_thread():
        trained = fit(configuration(SYSTEM, model, seed, device, loss=LOSS), steps, structures)
        splits = trained.splits
        found = symmetry_errors(trained.potential, splits.test, rotations, seed)
    return {
        **{name: model[name] for name in ("method", "rank")},
        **inputs,
        **trained.row(),
        **{
            label: {
                "training_structures": _known(splits.train, label),
                "test_structures": _known(splits.test, label),
                "rmse": found[label].rmse,
                "turned_rmse": found[label].turned_rmse,
                "share": found[label].share,
                "relative_change": found[label].relative_change,
                "without_network": without_network(splits, label),
            }
            for label in LABELS
        },
    }


def without_network(splits: Splits, label: str) -> float:
    """Root mean square error of what needs no network.

    That is a dipole of zero, and an isotropic polarizability `sum_z n_z a_z` with least-squares `a_z` per element.
    """
    test = [(s, getattr(s, label)) for s in splits.test if getattr(s, label) is not None]
    if label == "dipole":
        return float(np.sqrt(np.mean([value**2 for _, value in test])))
    train = [(s, getattr(s, label)) for s in splits.train if getattr(s, label) is not None]
    traces = [np.trace(value) / 3 for _, value in train]
    constants = np.linalg.lstsq(np.array([_composition(s) for s, _ in train]), np.array(traces), rcond=None)[0]
    return float(np.sqrt(np.mean([(_composition(s) @ constants * np.eye(3) - value) ** 2 for s, value in test])))


def _composition(structure: Structure) -> np.ndarray:
    return np.bincount(structure.numbers, minlength=119).astype(float)


def _known(structures: Sequence[Structure], label: str) -> int:
    return sum(getattr(structure, label) is not None for structure in structures)


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds with standard errors, also of the errors over those of the exact product, seed by seed."""
    exact = {row["seed"]: row for row in rows if row["method"] == "exact"}
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["method"], row["rank"]), []).append(row)
    summary = []
    for (method, rank), own in found.items():
        entry: dict[str, Any] = {"method": method, "rank": rank, "terms": own[0]["terms"]}
        for label in LABELS:
            numbers = {
                name: mean_and_error([row[label][name] for row in own])
                for name in ("rmse", "turned_rmse", "share", "relative_change", "without_network")
            }
            ratios = {
                f"{name}_ratio_to_exact": mean_and_error(
                    [row[label][name] / exact[row["seed"]][label][name] for row in own]
                )
                for name in ("rmse", "turned_rmse")
            }
            entry[label] = {**numbers, **ratios}
        summary.append(entry)
    return summary


STUDY = Study(
    "properties",
    "Dipole moments and polarizabilities of unseen molecules against rank: accuracy, and equivariance of the "
    "predictions (O4)",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
