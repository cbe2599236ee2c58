"""Errors on molecules never seen, against how many molecules were trained on, and for how long.

The molecules are those of `data.molecules`: relaxations of compounds of PubChem at the level of GFN2-xTB.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import torch

from tdn_theory.experiments.measuring import single_thread
from tdn_theory.experiments.potentials.compound_files import Molecules, data_of, relax_all
from tdn_theory.experiments.potentials.fitting import LOSS, NETWORK, OPTIMIZER, TINY, fit
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import TrainConfig
from tdn_theory.training.evaluation import as_json, evaluate

BATCH = 32


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        molecules: Which molecules.
        trainings: Compounds trained on, and steps of training.
        seeds: Seeds of weights and batches.
        network: Changes of the network.
    """

    molecules: Molecules
    trainings: tuple[tuple[int, int], ...]
    seeds: int
    network: dict[str, Any]


SIZES = {
    Preset.SMALLEST: Size(Molecules(8, 2, 5, 5), ((40, 1), (60, 1)), 1, {**TINY, "lmax": 1}),
    Preset.QUICK: Size(Molecules(24, 40, 50, 100), ((50, 300), (200, 300)), 1, {"lmax": 1}),
    Preset.HOURS: Size(
        Molecules(24, 40, 100, 500),
        ((250, 4000), (1000, 4000), (4000, 1000), (4000, 4000), (4000, 16_000)),
        3,
        {"lmax": 1},
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train on few and on many molecules, and test on others."""
    relax_all(size.molecules, max(count for count, _ in size.trainings), jobs.workers)
    plan = [
        {
            "count": count,
            "steps": steps,
            "molecules": asdict(size.molecules),
            "network": size.network,
            "seed": s,
            "device": jobs.device,
        }
        for s in range(seed, seed + size.seeds)
        for count, steps in size.trainings
    ]
    return {
        "network": {**NETWORK, **size.network},
        "batch": BATCH,
        "rows": jobs.map(measure, plan, "trainings on more and more molecules"),
    }


def measure(
    count: int, steps: int, molecules: dict[str, Any], network: dict[str, Any], seed: int, device: str
) -> dict[str, Any]:
    """Train one potential, and test it.

    Args:
        count: Compounds to train on.
        steps: Steps of training, of `BATCH` snapshots each, rounded to whole epochs.
        molecules: A `Molecules`.
        network: Changes of the network.
        seed: Seed of weights and batches.
        device: `cpu`, `cuda` or `cuda:1`.
    """
    data = data_of(Molecules(**molecules), count)
    model = {**NETWORK, **network}
    config = TrainConfig(data, model, loss=LOSS, optimizer=OPTIMIZER, batch_size=BATCH, seed=seed, device=device)
    with single_thread():
        trained = fit(config, steps)
        unseen = trained.splits.test
        graphs = Graphs(unseen, trained.potential.config.cutoff, torch.float64)
        found = evaluate(trained.potential, graphs, BATCH)
    return {
        "compounds": count,
        "steps": steps,
        **trained.row(),
        "test": as_json(found.metrics),
        "test_structures": len(unseen),
        "energy_rmse_of_constants": trained.rmse_of_constants(unseen),
    }


STUDY = Study(
    "learning_curve",
    "Errors on molecules never seen against the number of molecules trained on",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
