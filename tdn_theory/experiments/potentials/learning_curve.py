"""Errors on molecules never seen, against how many molecules were trained on, and for how long.

The molecules are those of `data.molecules`: relaxations of compounds of PubChem at the level of GFN2-xTB. The same
compounds validate and test all trainings; more compounds to train on contain the fewer.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from platformdirs import user_cache_path

from tdn_theory.data.molecules import Compound, compounds, finished, make
from tdn_theory.data.pubchemqcr import write_pubchemqcr
from tdn_theory.experiments.measuring import single_thread
from tdn_theory.experiments.potentials.fitting import LOSS, NETWORK, OPTIMIZER, TINY, fit
from tdn_theory.files import sha256
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.training.batches import Graphs
from tdn_theory.training.config import DataConfig, TrainConfig
from tdn_theory.training.evaluation import as_json, evaluate

BATCH = 32
CACHE = user_cache_path("tdn-theory") / "molecules"
"""Where relaxations are kept; they take half an hour."""


@dataclass(frozen=True)
class Molecules:
    """Which compounds, and how many steps of their relaxations.

    Attributes:
        most_atoms: Of a compound.
        snapshots: At most so many of each.
        validation: Compounds that validate.
        test: Compounds that test.
    """

    most_atoms: int
    snapshots: int
    validation: int
    test: int


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
    most = max(count for count, _ in size.trainings)
    list(make(_chosen(size.molecules, most), size.molecules.snapshots, CACHE, jobs.workers))
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
    kind = Molecules(**molecules)
    train, validation, test = ((str(file),) for file in _files(kind, count))
    data = DataConfig("pubchemqcr", train, validation_files=validation, test_files=test)
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


def _files(kind: Molecules, count: int) -> list[Path]:
    """LMDB files to train on, to validate with and to test on, in the user's cache; made if they are not there."""
    chosen = _chosen(kind, count)
    tested = kind.validation + kind.test
    parts = chosen[tested:], chosen[: kind.validation], chosen[kind.validation : tested]
    files = [CACHE / f"{sha256(repr((part, kind)).encode())[:16]}.lmdb" for part in parts]
    if not all(file.exists() for file in files):
        list(make(chosen, kind.snapshots, CACHE))
        structures = finished(chosen, kind.snapshots, CACHE).structures
        for part, file in zip(parts, files, strict=True):
            numbers = {compound.number for compound in part}
            write_pubchemqcr(file, [structure for structure in structures if structure.group in numbers])
    return files


def _chosen(kind: Molecules, count: int) -> list[Compound]:
    """Compounds that validate, then those that test, then those to train on."""
    return compounds(kind.most_atoms, kind.validation + kind.test + count)


STUDY = Study(
    "learning_curve",
    "Errors on molecules never seen against the number of molecules trained on",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
