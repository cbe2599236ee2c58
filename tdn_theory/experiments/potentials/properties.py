"""Dipole moments and polarizabilities against rank: accuracy, and equivariance of what is predicted (O4).

Trained on the shipped relaxations at L = 2, the least degree with a polarizability; the network predicts the dipole as
charges and atomic dipoles (l = 1), the polarizability as traces (l = 0) and traceless parts (l = 2).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tdn_theory.cp.schedules import quadratic
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.measuring import mean_and_error, single_thread
from tdn_theory.experiments.potentials import setup as small
from tdn_theory.experiments.potentials.symmetry_error import twirl
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.training.sources import Splits

SYSTEM = "relaxations"
LMAX = 2
LABELS = ("dipole", "polarizability")
"""In e Angstrom and Angstrom^3."""

LOSS = {
    "energy": {"weight": 0},
    "forces": {"weight": 0},
    "dipole": {"weight": 1.0, "form": "norm"},
    "polarizability": {"weight": 0.2, "form": "norm"},
}


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ranks: Ranks of CP products.
        steps: Steps of training.
        seeds: Seeds; each is another split, other initial weights and other batches.
        rotations: Rotations of each test structure.
        network: Changes of the network.
    """

    ranks: tuple[int, ...]
    steps: int
    seeds: int
    rotations: int
    network: dict[str, Any]


QUICK = Size(ranks=(10, 20, 28), steps=200, seeds=3, rotations=6, network={})
"""So short that errors are still falling: this compares products, and is no record of accuracy."""

FULL = Size(
    ranks=(7, 10, 15, 20, 23, 26, 28, 29),
    steps=20_000,
    seeds=5,
    rotations=16,
    network={"channels": 64, "layers": 3, "heads": 8},
)


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test every product.

    Args:
        preset: Quick: `QUICK`. Full: `FULL`, meant for a GPU.
        seed: First seed.
        units: Where finished units are kept.
    """
    size = FULL if preset is Preset.FULL else QUICK
    network = {**size.network, "forces": "none", "outputs": list(LABELS)}
    plan = [
        {
            "table": small.settings(SYSTEM, {**network, **product}, s, jobs.device, loss=LOSS),
            "steps": size.steps,
            "rotations": size.rotations,
            "inputs": small.inputs(SYSTEM, product),
        }
        for s in range(seed, seed + size.seeds)
        for product in small.products(LMAX, size.ranks)
    ]
    rows = jobs.map(measure, plan, "dipoles and polarizabilities")
    return {
        "lmax": LMAX,
        "steps": size.steps,
        "network": {**small.NETWORK, **size.network},
        "paper_rank": quadratic(LMAX),
        "rows": rows,
        "summary": summarize(rows),
    }


def measure(table: dict[str, Any], steps: int, rotations: int, inputs: dict[str, str | None]) -> dict[str, Any]:
    """Train one potential and test it; errors are root mean squares of components.

    Args:
        table: Of `settings`.
        steps: Steps of training.
        rotations: Rotations of each test structure.
        inputs: What it reads.
    """
    with single_thread():
        potential, splits = small.fit(table, steps)
        found = twirl(potential, splits.test, rotations, table["seed"])
    return {
        **{name: table["model"][name] for name in ("method", "rank")},
        "terms": small.terms(potential),
        **inputs,
        "seed": table["seed"],
        "device": table["device"],
        "parameters": sum(parameter.numel() for parameter in potential.parameters()),
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
