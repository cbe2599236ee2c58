"""Accuracy of trained potentials against the rank of their product, for several molecular systems (O2).

Forces are direct, as in the paper (TAB1): a product that is not equivariant then makes forces that do not turn with the
molecule. The frames of a molecule that tumbles little, as aspirin in rMD17, nearly have one orientation, to which a
product without symmetry can adapt; so errors are given for structures as they lie and in all orientations (`twirl`).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.measuring import mean_and_error, single_thread
from tdn_theory.experiments.potentials import setup as small
from tdn_theory.experiments.potentials.symmetry_error import twirl
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset

FORCES = "direct"


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ranks: Ranks of CP products, per L; 7 L^2 is among them.
        steps: Steps of training.
        seeds: Seeds; each is another split, other initial weights and other batches.
        tested: Test structures, at most.
        rotations: Rotations of each test structure.
        network: Changes of the network.
    """

    ranks: dict[int, tuple[int, ...]]
    steps: int
    seeds: int
    tested: int
    rotations: int
    network: dict[str, Any]


QUICK = Size(ranks={1: (3, 5, 7)}, steps=120, seeds=3, tested=100, rotations=5, network={})
"""So short that errors are still falling: this compares products, and is no record of accuracy."""

FULL = Size(
    ranks={1: (2, 3, 4, 5, 6, 7), 2: (7, 10, 15, 20, 23, 26, 28, 29)},
    steps=20_000,
    seeds=5,
    tested=1000,
    rotations=16,
    network={"channels": 64, "layers": 3, "heads": 8},
)

ERRORS = ("energy_rmse", "forces_rmse", "energy_turned_rmse", "forces_turned_rmse")
"""Of the components: meV/atom, meV/Angstrom."""

SYMMETRY = ("energy_share", "forces_share", "energy_change", "forces_change")
"""Shares of the mean square error; root mean square of what a rotation changes, meV/atom and meV/Angstrom."""


def run(preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train and test every product on every system that is present, and compare with the exact product, seed by seed.

    Args:
        preset: Quick: L = 1, `QUICK`. Full: L = 1 and 2, `FULL`, meant for a GPU.
        seed: First seed.
        units: Where finished units are kept.
    """
    size = FULL if preset is Preset.FULL else QUICK
    systems = small.present(small.SYSTEMS)
    plan = [
        {
            "table": small.settings(system, {**size.network, **product, "forces": FORCES}, s, jobs.device),
            "steps": size.steps,
            "tested": size.tested,
            "rotations": size.rotations,
            "system": system,
            "inputs": small.inputs(system, product),
        }
        for s in range(seed, seed + size.seeds)
        for system in systems
        for lmax, ranks in size.ranks.items()
        for product in small.products(lmax, ranks)
    ]
    rows = jobs.map(measure, plan, "accuracy against rank")
    return {
        "systems": systems,
        "left_out": sorted(set(small.SYSTEMS) - set(systems)),
        "forces": FORCES,
        "steps": size.steps,
        "network": {**small.NETWORK, **size.network},
        "paper_rank": {str(lmax): quadratic(lmax) for lmax in size.ranks},
        "rows": rows,
        "summary": summarize(rows),
    }


def measure(
    table: dict[str, Any], steps: int, tested: int, rotations: int, system: str, inputs: dict[str, str | None]
) -> dict[str, Any]:
    """Train one potential and test it.

    Args:
        table: Of `settings`.
        steps: Steps of training.
        tested: Test structures, at most.
        rotations: Rotations of each test structure.
        system: Its name.
        inputs: What it reads.
    """
    with single_thread():
        potential, splits = small.fit(table, steps)
        chosen = splits.test[:tested]
        found = twirl(potential, chosen, rotations, table["seed"])
    row: dict[str, Any] = {
        "system": system,
        **{name: table["model"][name] for name in ("lmax", "method", "rank")},
        "terms": small.terms(potential),
        **inputs,
        "seed": table["seed"],
        "device": table["device"],
        "training_structures": len(splits.train),
        "test_structures": len(chosen),
        "parameters": sum(parameter.numel() for parameter in potential.parameters()),
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
