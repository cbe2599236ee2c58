"""The structures of a run: read, and split by molecule or trajectory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from tdn_theory.data.extxyz import read_extxyz
from tdn_theory.data.pubchemqcr import Trajectories, read_pubchemqcr
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.splits import split_by_group
from tdn_theory.data.structure import Structure
from tdn_theory.training.config import DataConfig


@dataclass(frozen=True)
class Splits:
    """Three sets without a common group, unless files of their own are given for them.

    Attributes:
        train: To fit to.
        validation: To choose the weights and the learning rate by.
        test: To report.
    """

    train: Sequence[Structure]
    validation: Sequence[Structure]
    test: Sequence[Structure]


def load(config: DataConfig) -> Splits:
    """Read the files of `config`, and split off what has no files of its own.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: A package that reads the files is missing; the message names the extra.
        ValueError: A setting is missing or superfluous for the source, or there is too little to split.
    """
    validation = 0.0 if config.validation_files else config.validation
    test = 0.0 if config.test_files else config.test
    fractions = (1 - validation - test, validation, test)
    rest = read(config, config.files)
    if isinstance(rest, Trajectories):
        train, *parts = rest.split(fractions, config.split_seed)
    else:
        train, *parts = split_by_group(rest, fractions, config.split_seed)
    files = (config.validation_files, config.test_files)
    return Splits(train, *(read(config, own) if own else part for own, part in zip(files, parts, strict=True)))


def read(config: DataConfig, files: Sequence[str]) -> Sequence[Structure]:
    """The structures of `files`, or those shipped with the package; each is its own group if a split may cut groups.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: A package that reads the files is missing; the message names the extra.
        ValueError: A setting is missing or superfluous for the source.
    """
    if config.source == "relaxations":
        if files:
            raise ValueError(f"source 'relaxations' is shipped with the package, but files {list(files)} are given")
        return _with_groups(relaxations(), config)
    if not files:
        raise ValueError(f"source {config.source!r} needs data.files")
    if config.source == "pubchemqcr":
        if config.split == "structure":
            raise ValueError("data.split is 'structure', but pubchemqcr files are split by trajectory: leave it out")
        return read_pubchemqcr([Path(file) for file in files], config.stages)
    keys = {name: getattr(config, name) for name in ("energy_key", "energy_unit", "length_unit")}
    missing = [f"data.{name}" for name, value in keys.items() if value is None]
    if missing:
        raise ValueError(f"source 'extxyz' needs {', '.join(missing)}: the files themselves do not say")
    more = {name: getattr(config, name) for name in ("forces_key", "force_unit", "group_key")}
    return _with_groups([structure for file in files for structure in read_extxyz(Path(file), **keys, **more)], config)


def _with_groups(structures: list[Structure], config: DataConfig) -> list[Structure]:
    if config.split == "group":
        return structures
    return [replace(structure, group=f"{structure.group} {number}") for number, structure in enumerate(structures)]
