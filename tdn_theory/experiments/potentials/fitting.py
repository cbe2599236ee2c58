"""Small potentials that are trained alike, with other products: on which molecules, how long, and what is kept of it.

The shipped relaxations are split by molecule: none that is tested on was trained on. A system of rMD17 is one molecule,
split by frame as is usual, 950 to train on, 50 to validate with and 1,000 to test on: errors say how a product does on
that molecule, and nothing of others. Rows of records say which (`split`).
"""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple, TypeVar

import numpy as np
import torch

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.store import Store
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.decompositions.rank_sweep import best_name
from tdn_theory.files import read_json, sha256
from tdn_theory.nn.potential import Potential
from tdn_theory.training.config import DataConfig, LossConfig, OptimizerConfig, ScheduleConfig, Term, TrainConfig
from tdn_theory.training.loop import MODEL, train
from tdn_theory.training.reference import baseline_errors
from tdn_theory.training.sources import Splits, load

T = TypeVar("T")

RMD17 = "TDN_THEORY_RMD17"
"""Environment variable: the folder with `ethanol_train_01.xyz` and so on (revised MD17, extended XYZ); else `rmd17`."""

UNITS_OF_RMD17 = {
    "energy_key": "Energy",
    "energy_unit": "eV",
    "forces_key": "forces",
    "force_unit": "eV/Angstrom",
    "length_unit": "Angstrom",
}


class System(NamedTuple):
    """What is trained on.

    Attributes:
        data: Settings of `DataConfig`; files of rMD17 are named without their folder.
        batch_size: Structures per step: the fewer, the larger the molecules.
    """

    data: Mapping[str, Any]
    batch_size: int


SYSTEMS: Mapping[str, System] = {
    "relaxations": System({"source": "relaxations", "split": "group"}, 16),
    **{
        name: System(
            {
                "source": "extxyz",
                "files": (f"{name}_train_01.xyz",),
                "test_files": (f"{name}_test_01.xyz",),
                "split": "structure",
                **UNITS_OF_RMD17,
            },
            size,
        )
        for name, size in {"ethanol": 8, "aspirin": 4, "malonaldehyde": 8, "salicylic": 4, "uracil": 8}.items()
    },
}

NETWORK = {"channels": 32, "layers": 2, "heads": 4, "cutoff": 4.5, "basis": "bessel", "basis_size": 8}
"""The cutoff, in Angstrom, is the paper's (TAB1)."""
TINY = {"channels": 4, "layers": 1, "heads": 2, "basis_size": 4}
"""Changes of `NETWORK` for the smallest runs."""

LOSS = LossConfig(energy=Term(3.0, "mae"), forces=Term(1.0, "norm"))
OPTIMIZER = OptimizerConfig(learning_rate=2e-3, clip=1.0)
WARMUP = 0.1
"""Fraction of the training over which the learning rate rises; then it falls as a cosine."""

VALIDATION, TEST = 0.05, 0.25
"""Fractions of the molecules, or of the training frames of one, which has test frames of its own."""


def present(systems: Iterable[str]) -> list[str]:
    """Those of the systems whose files are there: the shipped one is, the others where `$TDN_THEORY_RMD17` says."""
    return [system for system in systems if all(file.is_file() for file in _files(system))]


def _files(system: str) -> list[Path]:
    """Files of a system, there or not; none for the shipped one."""
    data = SYSTEMS[system].data
    return [_place(file) for file in (*data.get("files", ()), *data.get("test_files", ()))]


def _place(file: str) -> Path:
    return Path(os.environ.get(RMD17, "rmd17")) / file


def products(lmax: int, ranks: Sequence[int]) -> list[dict[str, Any]]:
    """Model settings of CP products of these ranks, of the cubature product, and of the exact one, for one L.

    A CP product of as many terms as make it exact is the exact one over again, to roundoff, so it is not among them.
    """
    cp = [{"lmax": lmax, "method": "cp", "rank": rank} for rank in ranks]
    return [*cp, {"lmax": lmax, "method": "cubature", "rank": None}, {"lmax": lmax, "method": "exact", "rank": None}]


def inputs(system: str, product: Mapping[str, Any]) -> dict[str, str | None]:
    """What a job reads from outside the package: the name of a stored CP solution, and the checksum of files of data.

    As parameters of jobs, so that new ones make the job new.
    """
    solution = best_name(product["lmax"], product["rank"]) if product["method"] == "cp" else None
    files = _files(system)
    return {"solution": solution, "data": sha256(b"".join(file.read_bytes() for file in files)) if files else None}


def terms(potential: Potential) -> int:
    """CP terms of a product; of one without CP, the least number with which a stored solution is exact."""
    factors = potential.product.factors
    if factors is not None:
        return factors.rank
    entries = Store().entries(CouplingTensor(potential.config.lmax))
    return min(entry.rank for entry in entries if entry.exact)


def configuration(system: str, model: Mapping[str, Any], seed: int, device: str, **changes: Any) -> TrainConfig:
    """The training of one potential.

    Args:
        system: One of `SYSTEMS`.
        model: Settings of `PotentialConfig`, beyond `NETWORK`.
        seed: Of the split, the initial weights and the batches.
        device: `cpu`, `cuda` or `cuda:1`.
        **changes: Other settings of `TrainConfig`.

    Raises:
        FileNotFoundError: The files of the system are not there; the message names the variable that says where.
    """
    data, batch_size = SYSTEMS[system]
    for file in _files(system):
        if not file.is_file():
            raise FileNotFoundError(f"there is no {file}; set ${RMD17} to the folder with the files of rMD17")
    files = {key: tuple(str(_place(file)) for file in data.get(key, ())) for key in ("files", "test_files")}
    split = {"split_seed": seed, "validation": VALIDATION, "test": TEST}
    settings = {"loss": LOSS, "optimizer": OPTIMIZER, "batch_size": batch_size, "seed": seed, "device": device}
    return TrainConfig(DataConfig(**{**data, **split, **files}), {**NETWORK, **model}, **{**settings, **changes})


def load_some(data: DataConfig, most: int | None) -> Splits:
    """The structures of a training, at most so many of each part, evenly from it; None: all."""
    splits = load(data)
    if most is None:
        return splits
    train, validation, test = (spread(part, most) for part in (splits.train, splits.validation, splits.test))
    return Splits(train, validation, test, splits.atom_energies)


def spread(items: Sequence[T], count: int) -> list[T]:
    """At most so many items, evenly from the list, as from structures, which follow the relaxations."""
    places = np.unique(np.linspace(0, len(items) - 1, min(count, len(items))).round().astype(int))
    return [items[place] for place in places]


@dataclass(frozen=True)
class Fit:
    """A trained potential.

    Attributes:
        potential: Of least validation loss, in double precision on its device.
        splits: The structures.
        config: What was trained.
        validation: Validation loss after every epoch.
    """

    potential: Potential
    splits: Splits
    config: TrainConfig
    validation: list[float]

    def row(self) -> dict[str, Any]:
        """What a record keeps of every training, among it all that `evidence.Training` needs."""
        return {
            "terms": terms(self.potential),
            "seed": self.config.seed,
            "device": self.config.device,
            "split": self.config.data.split,
            "training_structures": len(self.splits.train),
            "validation": self.validation,
            "parameters": sum(parameter.numel() for parameter in self.potential.parameters()),
        }

    def rmse_of_constants(self, structures: Sequence[Structure]) -> float:
        """Root mean square energy error of constants per element, which need no network, meV/atom."""
        elements, constants = self.potential.config.elements, self.potential.shifts.cpu().numpy()
        return 1e3 * float(np.sqrt(np.mean(baseline_errors(constants, elements, structures) ** 2)))


def fit(config: TrainConfig, steps: int, structures: int | None = None, splits: Splits | None = None) -> Fit:
    """Train a potential.

    Args:
        config: Of `configuration`.
        steps: Steps of the optimizer, rounded to whole epochs.
        structures: At most so many in each part of the split; None: all.
        splits: The structures, where the caller has them; by default what `config.data` says.

    Raises:
        ValueError: A setting is not possible.
        ArithmeticError: A loss is not finite.
    """
    splits = load_some(config.data, structures) if splits is None else splits
    epochs = max(1, round(steps / math.ceil(len(splits.train) / config.batch_size)))
    schedule = ScheduleConfig("cosine", warmup=WARMUP * epochs, warmup_factor=0.05)
    with TemporaryDirectory() as folder:
        train(replace(config, epochs=epochs, schedule=schedule, out=folder), splits=splits)
        potential = Potential.load(Path(folder) / MODEL)
        curve = [row["validation_loss"] for row in read_json(Path(folder) / "metrics.json")["epochs"]]
    return Fit(potential.to(config.device, torch.float64).eval(), splits, config, curve)
