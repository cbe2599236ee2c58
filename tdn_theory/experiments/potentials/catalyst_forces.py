"""How consistent forces on catalysts are under rotations of atoms and cell (O7), by the audit's measures.

Potentials with the paper's cutoffs and limits of neighbours learn the forces of frames of OC20 and of OC22, where there
are some (`catalyst_sources`), and of the shipped surfaces. On frames of systems that they have not seen the audit turns
positions and cell vectors together, over a quadrature of SO(3), and searches the worst rotation from its worst node.
Forces are those on all atoms, fixed ones as well: what is measured is the network, not its labels. How far the network
is from the labels stands beside it, of atoms that are free to move.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from tdn_theory.audit.prediction import predict
from tdn_theory.audit.rotations import rotation_errors
from tdn_theory.cp.schedules import quadratic
from tdn_theory.data.splits import split_by_group
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.catalyst_sources import checksum, frames, present
from tdn_theory.experiments.decompositions.rank_sweep import best_name
from tdn_theory.experiments.measuring import mean_and_error, single_thread
from tdn_theory.experiments.potentials.fitting import NETWORK, OPTIMIZER, TINY, fit, spread
from tdn_theory.jobs import Jobs
from tdn_theory.nn.calculator import TDNCalculator
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.training.config import DataConfig, LossConfig, Term, TrainConfig
from tdn_theory.training.sources import Splits

LMAX = 1
"""The paper's, on OC20 and OC22."""

GRAPHS: Mapping[str, Mapping[str, Any]] = {
    "OC20": {"cutoff": 5.0, "neighbor_limit": 500, "neighbors": 30},
    "OC22": {"cutoff": 12.0, "neighbor_limit": 20, "neighbors": 20},
    "surfaces": {"cutoff": 5.0, "neighbors": 30},
}
"""By source: cutoff (Angstrom) and limit are the paper's."""

LOSS = LossConfig(energy=Term(), forces=Term(1.0, "norm"))
BATCH = 4
FRACTIONS = (0.5, 0.25, 0.25)
"""Of the systems: to train on, to validate with, to turn. OC20 has four."""

PRODUCTS = ("cp", "exact")
FORCES = ("direct", "conservative")


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        sources: What is trained on, as far as it is there.
        steps: Steps of training.
        seeds: Seeds; each is another split, other weights, batches and rotations.
        turned: Frames that are turned.
        degree: Of the quadrature over rotations.
        network: Changes of the network.
        structures: Structures of each part of the split, at most.
    """

    sources: tuple[str, ...]
    steps: int
    seeds: int
    turned: int
    degree: int
    network: dict[str, Any]
    structures: int


SIZES = {
    Preset.SMALLEST: Size(("surfaces",), steps=1, seeds=1, turned=1, degree=2, network=TINY, structures=4),
    # so short that errors are still falling
    Preset.QUICK: Size(
        tuple(GRAPHS), steps=20, seeds=3, turned=1, degree=3, network={"channels": 16, "heads": 2}, structures=16
    ),
    Preset.HOURS: Size(tuple(GRAPHS), steps=400, seeds=3, turned=2, degree=3, network={}, structures=100),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train on every source that is there, with both products and both kinds of forces, and turn."""
    sources = present(size.sources)
    plan = [
        {
            "source": source,
            "model": {**size.network, "method": product, "forces": forces},
            "seed": s,
            "device": jobs.device,
            "steps": size.steps,
            "structures": size.structures,
            "turned": size.turned,
            "degree": size.degree,
            "inputs": {"solution": best_name(LMAX, quadratic(LMAX)), "data": checksum(source)},
        }
        for s in range(seed, seed + size.seeds)
        for source in sources
        for product in PRODUCTS
        for forces in FORCES
    ]
    rows = jobs.map(measure, plan, "forces on catalysts under rotations")
    return {
        "L": LMAX,
        "paper_rank": quadratic(LMAX),
        "steps": size.steps,
        "network": {**NETWORK, **size.network},
        "graphs": {source: dict(GRAPHS[source]) for source in sources},
        "absent": [source for source in size.sources if source not in sources],
        "rows": rows,
        "summary": summarize(rows),
    }


def measure(
    source: str,
    model: dict[str, Any],
    seed: int,
    device: str,
    steps: int,
    structures: int,
    turned: int,
    degree: int,
    inputs: dict[str, str | None],
) -> dict[str, Any]:
    """Train one potential, and turn frames of systems that it has not seen, in double precision.

    Args:
        source: In `GRAPHS`.
        model: Settings of the potential.
        seed: Of split, weights, batches and rotations.
        device: `cpu`, `cuda` or `cuda:1`.
        steps: Steps of training.
        structures: Structures of each part of the split, at most.
        turned: Frames that are turned.
        degree: Of the quadrature.
        inputs: What it reads.
    """
    known = frames(source)
    parts = [spread(part, structures) for part in split_by_group(known, FRACTIONS, seed)]
    settings = {**NETWORK, **GRAPHS[source], **model, "lmax": LMAX}
    settings["elements"] = sorted({int(z) for structure in known for z in structure.numbers})
    config = TrainConfig(
        DataConfig("s2ef"), settings, loss=LOSS, optimizer=OPTIMIZER, batch_size=BATCH, seed=seed, device=device
    )
    with single_thread():
        trained = fit(config, steps, splits=Splits(parts[0], parts[1], parts[2]))
        found = [turn(trained.potential, frame, degree, seed) for frame in spread(parts[2], turned)]
    return {"source": source, **model, **inputs, **trained.row(), "frames": found}


def turn(potential: Any, frame: Structure, degree: int, seed: int) -> dict[str, Any]:
    """The audit's errors of forces on one frame.

    Args:
        potential: In double precision.
        frame: A structure with a cell and forces.
        degree: Of the quadrature over rotations.
        seed: Of its orientation.

    Returns:
        Root mean squares over components: `force` of the forces themselves, `error` from the labels, `spread` over all
        rotations about their mean, `worst` at the worst rotation found, meV/Angstrom; `energy`, spread of the energy,
        meV/atom; `powers`, share of each degree in the variance.
    """
    atoms = frame.to_ase()
    calculator = TDNCalculator(potential)
    forces = predict(calculator, atoms)["forces"]
    errors = rotation_errors(calculator, atoms, degree, seed)
    variance = errors["squares"]["forces"]
    return {
        "formula": frame.formula,
        "atoms": len(frame),
        "force": 1e3 * float(np.sqrt(np.mean(forces**2))),
        "error": 1e3 * float(np.sqrt(np.mean((forces - frame.forces)[~frame.fixed] ** 2))),
        "spread": 1e3 * math.sqrt(variance),
        "worst": 1e3 * errors["worst"]["forces"],
        "energy": 1e3 * math.sqrt(errors["squares"]["energy"]),
        "powers": [power / variance if variance else 0.0 for power in errors["powers"]["forces"]],
    }


def summarize(rows: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds of each source, product and kind of forces: `relative`, `of_error`, `spread`, `worst`, `energy`.

    The spread is relative to the forces (`relative`) and to their error (`of_error`).
    """
    cases = list(dict.fromkeys((row["source"], row["method"], row["forces"]) for row in rows))
    found = []
    for source, method, forces in cases:
        own = [
            row["frames"] for row in rows if (row["source"], row["method"], row["forces"]) == (source, method, forces)
        ]
        seeds = {
            "relative": [_rms(frames, "spread") / _rms(frames, "force") for frames in own],
            "of_error": [_rms(frames, "spread") / _rms(frames, "error") for frames in own],
            "error": [_rms(frames, "error") for frames in own],
            "spread": [_rms(frames, "spread") for frames in own],
            "worst": [max(frame["worst"] for frame in frames) for frames in own],
            "energy": [_rms(frames, "energy") for frames in own],
        }
        means = {name: mean_and_error(values) for name, values in seeds.items()}
        found.append({"source": source, "method": method, "forces": forces, **means})
    return found


def _rms(found: Sequence[Mapping[str, Any]], name: str) -> float:
    """Over frames, each counted with its atoms."""
    weights = [frame["atoms"] for frame in found]
    return math.sqrt(np.average([frame[name] ** 2 for frame in found], weights=weights))


STUDY = Study(
    "catalyst_forces",
    "Forces on catalysts, OC20's and OC22's among them, when atoms and cell are turned: R = 7 and the exact product",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
