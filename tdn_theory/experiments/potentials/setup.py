"""The small potentials of the experiments on accuracy and forces: which molecules, which products, how long they train.

Splits are within trajectories: the question is what a product does to a potential, not how far it carries over to other
molecules.
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import torch

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.store import Store
from tdn_theory.data.relaxations import SHIPPED
from tdn_theory.experiments.decompositions.rank_sweep import best_name
from tdn_theory.files import sha256
from tdn_theory.nn.potential import Potential
from tdn_theory.training.config import ScheduleConfig, TrainConfig
from tdn_theory.training.loop import MODEL, train
from tdn_theory.training.sources import Splits, load

RMD17 = "TDN_THEORY_RMD17"
"""Environment variable: the folder with `ethanol_train_01.xyz` and so on (revised MD17, extended XYZ); else `rmd17`."""

UNITS_OF_RMD17 = {
    "energy_key": "Energy",
    "energy_unit": "eV",
    "forces_key": "forces",
    "force_unit": "eV/Angstrom",
    "length_unit": "Angstrom",
}

SYSTEMS: dict[str, tuple[dict[str, Any], int]] = {
    "relaxations": ({"source": "relaxations"}, 16),
    "ethanol": ({"source": "extxyz", "files": ["ethanol_train_01.xyz"], **UNITS_OF_RMD17}, 8),
    "aspirin": ({"source": "extxyz", "files": ["aspirin_train_01.xyz"], **UNITS_OF_RMD17}, 4),
}
"""Where the structures of a system come from, and how many are in a batch: the fewer, the larger the molecules."""

NETWORK = {"channels": 32, "layers": 2, "heads": 4, "cutoff": 4.5, "basis": "bessel", "basis_size": 8}
"""The cutoff, in Angstrom, is the paper's (TAB1)."""

TRAINING = {
    "loss": {"energy": {"weight": 3, "form": "mae"}, "forces": {"weight": 1, "form": "norm"}},
    "optimizer": {"learning_rate": 2e-3, "clip": 1},
}

WARMUP = 0.1
"""Fraction of the training over which the learning rate rises; then it falls as a cosine."""

VALIDATION, TEST = 0.05, 0.25
"""Fractions of the structures."""


def present(systems: Iterable[str]) -> list[str]:
    """Those of the systems whose files are there: the shipped one is, the others where `$TDN_THEORY_RMD17` says."""
    return [system for system in systems if all(file.is_file() for file in _located(system))]


def products(lmax: int, ranks: Sequence[int]) -> list[dict[str, Any]]:
    """Model settings of CP products of these ranks, of the cubature product, and of the exact one, for one L.

    A CP product of as many terms as make it exact is the exact one over again, to roundoff, so it is not among them.
    """
    cp = [{"lmax": lmax, "method": "cp", "rank": rank} for rank in ranks]
    return [*cp, {"lmax": lmax, "method": "cubature", "rank": None}, {"lmax": lmax, "method": "exact", "rank": None}]


def inputs(system: str, product: Mapping[str, Any]) -> dict[str, str | None]:
    """What a unit reads: name of the stored CP solution, checksum of the data. As a parameter, new ones make it new."""
    solution = best_name(product["lmax"], product["rank"]) if product["method"] == "cp" else None
    files = _located(system) or [SHIPPED]
    return {"solution": solution, "data": sha256(b"".join(file.read_bytes() for file in files))}


def _located(system: str) -> list[Path]:
    """The files of a system, there or not; none for the shipped one."""
    return [_folder() / file for file in SYSTEMS[system][0].get("files", ())]


def _folder() -> Path:
    return Path(os.environ.get(RMD17, "rmd17"))


def terms(potential: Potential) -> int:
    """CP terms of a product; of one without CP, the least number with which a stored solution is exact."""
    factors = potential.product.factors
    if factors is not None:
        return factors.rank
    entries = Store().entries(CouplingTensor(potential.config.lmax))
    return min(entry.rank for entry in entries if entry.residual <= EXACT)


def settings(system: str, model: Mapping[str, Any], seed: int, device: str, **changes: Any) -> dict[str, Any]:
    """The table of a run's `TrainConfig`, as JSON, for `configuration` and `fit`; a parameter of units.

    Args:
        system: One of `SYSTEMS`.
        model: Settings of `PotentialConfig`, beyond `NETWORK`.
        seed: Of the split, the initial weights and the batches.
        device: `cpu`, `cuda` or `cuda:1`.
        **changes: Replace entries of the top level.
    """
    data, batch_size = SYSTEMS[system]
    split = {"split": "structure", "split_seed": seed, "validation": VALIDATION, "test": TEST}
    return {
        **TRAINING,
        "data": {**data, **split},  # files by name: where they are is no part of a result
        "model": {**NETWORK, **model},
        "batch_size": batch_size,
        "seed": seed,
        "device": device,
        **changes,
    }


def configuration(table: Mapping[str, Any]) -> TrainConfig:
    """The configuration that a table of `settings` stands for on this machine.

    Raises:
        FileNotFoundError: The files of the system are not there; the message names the variable that says where.
        ValueError: A setting is not possible.
    """
    files = [_folder() / file for file in table["data"].get("files", ())]
    for file in files:
        if not file.is_file():
            raise FileNotFoundError(f"there is no {file}; set ${RMD17} to the folder with the files of rMD17")
    return TrainConfig.from_dict({**table, "data": {**table["data"], "files": [str(file) for file in files]}})


def fit(table: Mapping[str, Any], steps: int) -> tuple[Potential, Splits]:
    """Train a potential.

    Args:
        table: Of `settings`.
        steps: Steps of the optimizer, rounded to whole epochs.

    Returns:
        The potential of least validation loss, in double precision on its device, and the structures.

    Raises:
        FileNotFoundError: The files of a system are not there; the message names the variable that says where.
        ValueError: A setting is not possible.
    """
    with TemporaryDirectory() as folder:
        config = configuration({**table, "out": folder})
        splits = load(config.data)
        per_epoch = math.ceil(len(splits.train) / config.batch_size)
        epochs = max(1, round(steps / per_epoch))
        schedule = ScheduleConfig("cosine", warmup=WARMUP * epochs, warmup_factor=0.05)
        train(replace(config, epochs=epochs, schedule=schedule))
        potential = Potential.load(Path(folder) / MODEL)
    return potential.to(config.device, torch.float64).eval(), splits
