"""Accuracy of trained potentials against the rank of their product, for several molecular systems (O2).

In minutes forces are direct, as in the paper (TAB1): a product that is not equivariant then makes forces that do not
turn with the molecule. In hours they are conservative, as those of the potentials with published errors (`PUBLISHED`).
The frames of a molecule that tumbles little, as aspirin in rMD17, nearly have one orientation, to which a product
without symmetry can adapt; so errors are given for structures as they lie and in all orientations (`symmetry_error`).
The shipped relaxations are tested on molecules that were not trained on, those of rMD17 on other frames of the one
molecule that was.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch

from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.measuring import mean_and_error, single_thread
from tdn_theory.experiments.potentials.fitting import (
    NETWORK,
    SYSTEMS,
    TINY,
    configuration,
    fit,
    inputs,
    present,
    products,
    spread,
)
from tdn_theory.experiments.potentials.symmetry_error import BATCH, symmetry_errors
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.training.batches import Graphs
from tdn_theory.training.evaluation import as_json, evaluate

PUBLISHED = {
    "aspirin": {"energy": 2.2, "forces": 6.6},
    "ethanol": {"energy": 0.4, "forces": 2.1},
    "malonaldehyde": {"energy": 0.8, "forces": 4.1},
    "salicylic": {"energy": 0.9, "forces": 3.1},
    "uracil": {"energy": 0.5, "forces": 2.1},
}
"""MACE's mean absolute errors on rMD17, meV and meV/Angstrom, after the same 950 + 50 frames (arXiv 2206.07697)."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        systems: Systems of `SYSTEMS`; those whose files are not there are left out.
        forces: Forces of the potentials, `direct` or `conservative`.
        ranks: Ranks of CP products, per L; 7 L^2 is among them.
        steps: Steps of training.
        seeds: Seeds; each is another split, other initial weights and other batches.
        tested: Test structures, at most.
        rotations: Rotations of each test structure.
        network: Changes of the network.
        structures: Structures of each part of the split, at most; None: all.
    """

    systems: tuple[str, ...]
    forces: str
    ranks: dict[int, tuple[int, ...]]
    steps: int
    seeds: int
    tested: int
    rotations: int
    network: dict[str, Any]
    structures: int | None = None


SIZES = {
    Preset.SMALLEST: Size(
        ("relaxations", "ethanol"), "direct", {1: (3, 7)}, 1, 2, tested=3, rotations=2, network=TINY, structures=24
    ),
    # so short that errors are still falling
    Preset.QUICK: Size(
        ("relaxations", "ethanol", "aspirin"), "direct", {1: (3, 5, 7)}, 120, 3, tested=100, rotations=5, network={}
    ),
    Preset.HOURS: Size(tuple(SYSTEMS), "conservative", {2: (15, 28)}, 4000, 3, tested=1000, rotations=2, network={}),
    Preset.FULL: Size(  # meant for a GPU
        tuple(SYSTEMS),
        "conservative",
        {1: (2, 3, 4, 5, 6, 7), 2: (7, 10, 15, 20, 23, 26, 28, 29)},
        steps=200_000,
        seeds=5,
        tested=1000,
        rotations=16,
        network={"channels": 64, "layers": 3, "heads": 8},
    ),
}

ERRORS = ("energy_rmse", "forces_rmse", "energy_turned_rmse", "forces_turned_rmse")
"""Of the components: meV/atom, meV/Angstrom."""

SYMMETRY = ("energy_share", "forces_share", "energy_change", "forces_change")
"""Shares of the mean square error; root mean square of what a rotation changes, meV/atom and meV/Angstrom."""


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test every product on every system that is present; compare with the exact product, seed by seed."""
    systems = present(size.systems)
    plan = [
        {
            "system": system,
            "model": {**size.network, **product, "forces": size.forces},
            "seed": s,
            "device": jobs.device,
            "steps": size.steps,
            "structures": size.structures,
            "tested": size.tested,
            "rotations": size.rotations,
            "inputs": inputs(system, product),
        }
        for s in range(seed, seed + size.seeds)
        for system in systems
        for lmax, ranks in size.ranks.items()
        for product in products(lmax, ranks)
    ]
    rows = jobs.map(measure, plan, "accuracy against rank")
    return {
        "systems": systems,
        "left_out": sorted(set(size.systems) - set(systems)),
        "forces": size.forces,
        "published": {system: PUBLISHED[system] for system in systems if system in PUBLISHED},
        "steps": size.steps,
        "network": {**NETWORK, **size.network},
        "paper_rank": {str(lmax): quadratic(lmax) for lmax in size.ranks},
        "rows": rows,
        "summary": summarize(rows),
    }


def measure(
    system: str,
    model: dict[str, Any],
    seed: int,
    device: str,
    steps: int,
    structures: int | None,
    tested: int,
    rotations: int,
    inputs: dict[str, str | None],
) -> dict[str, Any]:
    """Train one potential and test it.

    Args:
        system: One of `SYSTEMS`.
        model: Settings of the potential.
        seed: Of split, weights, batches and rotations.
        device: `cpu`, `cuda` or `cuda:1`.
        steps: Steps of training.
        structures: Structures of each part of the split, at most.
        tested: Test structures, at most.
        rotations: Rotations of each test structure.
        inputs: What it reads.
    """
    with single_thread():
        trained = fit(configuration(system, model, seed, device), steps, structures)
        chosen = spread(trained.splits.test, tested)
        found = symmetry_errors(trained.potential, chosen, rotations, seed)
        plain = evaluate(trained.potential, Graphs(chosen, trained.potential.config.cutoff, torch.float64), BATCH)
    row: dict[str, Any] = {
        "system": system,
        **{name: model[name] for name in ("lmax", "method", "rank")},
        **inputs,
        **trained.row(),
        "test": as_json(plain.metrics),
        "test_structures": len(chosen),
        "energy_rmse_of_constants": trained.rmse_of_constants(chosen),
    }
    for name in ("energy", "forces"):
        row[f"{name}_rmse"] = 1e3 * found[name].rmse
        row[f"{name}_turned_rmse"] = 1e3 * found[name].turned_rmse
        row[f"{name}_share"] = found[name].share
        row[f"{name}_change"] = 1e3 * found[name].rms_change
    return row


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds with standard errors, also of the errors over those of the exact product, seed by seed."""
    exact = {(r["system"], r["lmax"], r["seed"]): r for r in rows if r["method"] == "exact"}
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["system"], row["lmax"], row["method"], row["rank"]), []).append(row)
    summary = []
    for (system, lmax, method, rank), own in found.items():
        pairs = [(row, exact[system, lmax, row["seed"]]) for row in own]
        summary.append(
            {
                "system": system,
                "lmax": lmax,
                "method": method,
                "rank": rank,
                "terms": own[0]["terms"],
                **{name: mean_and_error([row[name] for row in own]) for name in (*ERRORS, *SYMMETRY)},
                "ratio_to_exact": {
                    name: mean_and_error([row[name] / best[name] for row, best in pairs]) for name in ERRORS
                },
            }
        )
    return summary


STUDY = Study(
    "rank_accuracy",
    "Accuracy of trained potentials against the rank of their product, on unseen molecules and within single ones, "
    "and what imperfect symmetry costs (O2)",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
