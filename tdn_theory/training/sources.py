"""The structures of a run: read, and split by molecule or trajectory."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path

from tdn_theory.data.ase_files import read_ase
from tdn_theory.data.deepmd import read_deepmd
from tdn_theory.data.extxyz import ISOLATED_ATOM, Keys, read_extxyz
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
        atom_energies: Energies of single atoms by atomic number, eV, as far as they are known; none of these atoms is
            in a set.
    """

    train: Sequence[Structure]
    validation: Sequence[Structure]
    test: Sequence[Structure]
    atom_energies: Mapping[int, float] = field(default_factory=dict)


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
    atoms: dict[int, float] = {}
    if isinstance(rest, Trajectories):
        train, *parts = rest.split(fractions, config.split_seed)
    else:
        train, *parts = split_by_group(_without_atoms(rest, atoms), fractions, config.split_seed)
    files = (config.validation_files, config.test_files)
    validation, test = (
        _without_atoms(read(config, own), atoms) if own else part for own, part in zip(files, parts, strict=True)
    )
    if config.atom_energies:
        from ase.data import atomic_numbers

        atoms |= {atomic_numbers[element]: energy for element, energy in config.atom_energies.items()}
    train, validation, test = _weighted((train, validation, test), config.weights)
    return Splits(train, validation, test, atoms)


def _weighted(sets: Sequence[Sequence[Structure]], weights: Mapping[str, float]) -> Sequence[Sequence[Structure]]:
    """The same sets with weights by `config_type`."""
    if not weights:
        return sets
    if any(isinstance(structures, Trajectories) for structures in sets):
        raise ValueError("data.weights are given, but pubchemqcr files have no config_type: leave them out")
    present = {structure.config_type for structures in sets for structure in structures}
    strangers = sorted(weights.keys() - present)
    if strangers:
        there = ", ".join(sorted(present - {""})) or "none"
        raise ValueError(f"data.weights names {', '.join(strangers)}, but the config_types in the files are: {there}")
    return [[replace(s, weight=s.weight * weights.get(s.config_type, 1.0)) for s in structures] for structures in sets]


def _without_atoms(structures: Sequence[Structure], atoms: dict[int, float]) -> Sequence[Structure]:
    """All but isolated atoms, whose energies are added to `atoms`."""
    if isinstance(structures, Trajectories):
        return structures
    for structure in structures:
        if _isolated(structure) and structure.energy is not None:
            atoms.setdefault(int(structure.numbers[0]), structure.energy)
    return [structure for structure in structures if not _isolated(structure)]


def _isolated(structure: Structure) -> bool:
    return len(structure) == 1 and structure.config_type == ISOLATED_ATOM


def read(config: DataConfig, files: Sequence[str]) -> Sequence[Structure]:
    """The structures of `files`, or those shipped with the package; each is its own group if a split may cut groups.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: A package that reads the files is missing; the message names the extra.
        ValueError: A setting is missing or superfluous for the source.
    """
    given = {key.name: getattr(config, key.name) for key in fields(Keys)}
    if config.source != "extxyz":
        read_anyway = ("ignore",) if config.source == "ase" else ()
        defaults = {setting.name: setting.default for setting in fields(config)}
        extra = [name for name, value in given.items() if value != defaults[name] and name not in read_anyway]
        if extra:
            names = ", ".join(f"data.{name}" for name in extra)
            raise ValueError(f"{names} is of extxyz files, but the source is {config.source!r}: leave it out")
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
    if config.source == "ase":
        return _with_groups([structure for file in files for structure in read_ase(Path(file), config.ignore)], config)
    if config.source == "deepmd":
        return _with_groups([structure for file in files for structure in read_deepmd(Path(file))], config)
    missing = [f"data.{name}" for name in ("energy_key", "energy_unit", "length_unit") if given[name] is None]
    if missing:
        raise ValueError(f"source 'extxyz' needs {', '.join(missing)}: the files themselves do not say")
    keys = Keys(**given)
    return _with_groups([structure for file in files for structure in read_extxyz(Path(file), keys)], config)


def _with_groups(structures: list[Structure], config: DataConfig) -> list[Structure]:
    if config.split == "group":
        return structures
    return [replace(structure, group=f"{structure.group} {number}") for number, structure in enumerate(structures)]
