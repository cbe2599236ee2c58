"""The structures of a run: read, and split by molecule or trajectory."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Bool

from tdn_theory.data.archive import ArchiveReader
from tdn_theory.data.ase_files import AseReader
from tdn_theory.data.aselmdb import AseLmdbReader
from tdn_theory.data.catalyst_lmdb import CatalystLmdbReader
from tdn_theory.data.catalyst_text import CatalystTextReader
from tdn_theory.data.catalysts import shards
from tdn_theory.data.cp2k import Cp2kReader
from tdn_theory.data.deepmd import read_deepmd
from tdn_theory.data.extxyz import ISOLATED_ATOM, ExtxyzReader, Keys
from tdn_theory.data.kept import kept
from tdn_theory.data.packed import Packed, pack
from tdn_theory.data.pubchemqcr import PubChemQCRReader, split_by_trajectory
from tdn_theory.data.reader import Reader
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.splits import split_by_group
from tdn_theory.data.structure import Structure
from tdn_theory.training.config import DataConfig

CATALYSTS: Mapping[str, tuple[Reader, tuple[str, ...]]] = {
    "is2re": (CatalystLmdbReader("relaxed energy"), (".lmdb",)),
    "s2ef": (CatalystLmdbReader("frame"), (".lmdb",)),
    "s2ef-text": (CatalystTextReader(), (".extxyz", ".extxyz.xz")),
    "aselmdb": (AseLmdbReader(), (".aselmdb",)),
}
"""Readers of the sources of OC20 and OC22, and what the names of shards end in."""

UNLABELLED: Mapping[str, Reader] = dict.fromkeys(("is2re", "s2ef"), CatalystLmdbReader("positions"))
"""Readers of sources whose test sets are released without labels."""


class Splits:
    """Three sets without a common group, unless files of their own are given for them.

    Args:
        train: To fit to.
        validation: To choose the weights and the learning rate by.
        test: To report.
        atom_energies: Energies of single atoms by atomic number, eV, as far as they are known; none of these atoms is
            in a set.
    """

    def __init__(
        self,
        train: Sequence[Structure],
        validation: Sequence[Structure],
        test: Sequence[Structure],
        atom_energies: Mapping[int, float] | None = None,
    ):
        self.train, self.validation, self.test = pack(train), pack(validation), pack(test)
        self.atom_energies = dict(atom_energies or {})


def load(config: DataConfig, say: Callable[[str], None] = lambda line: None) -> Splits:
    """Read the files of `config`, and split off what has no files of its own.

    Args:
        config: Files, how to read them, and fractions.
        say: Called with a line where reading takes time or something was left out.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: A package that reads the files is missing; the message names the extra.
        ValueError: A setting is missing or superfluous for the source, or there is too little to split.
    """
    validation = 0.0 if config.validation_files else config.validation
    test = 0.0 if config.test_files else config.test
    fractions = (1 - validation - test, validation, test)
    atoms: dict[int, float] = {}
    split = split_by_trajectory if config.source == "pubchemqcr" else split_by_group
    train, *parts = split(_without_atoms(read(config, config.files, say), atoms), fractions, config.split_seed)
    files = (config.validation_files, config.test_files)
    validation, test = (
        _without_atoms(read(config, own, say), atoms) if own else part for own, part in zip(files, parts, strict=True)
    )
    if config.atom_energies:
        from ase.data import atomic_numbers

        atoms |= {atomic_numbers[element]: energy for element, energy in config.atom_energies.items()}
    train, validation, test = _weighted((train, validation, test), config.weights)
    return Splits(train, validation, test, atoms)


def _weighted(sets: Sequence[Packed], weights: Mapping[str, float]) -> Sequence[Packed]:
    """The same sets with weights by `config_type`."""
    if not weights:
        return sets
    types = [structures.text("config_type") for structures in sets]
    present = set().union(*types)
    strangers = sorted(weights.keys() - present)
    if strangers:
        there = ", ".join(sorted(present - {""})) or "none"
        raise ValueError(f"data.weights names {', '.join(strangers)}, but the config_types in the files are: {there}")
    return [
        structures.weighted(np.array([weights.get(name, 1.0) for name in own]))
        for structures, own in zip(sets, types, strict=True)
    ]


def _without_atoms(structures: Packed, atoms: dict[int, float]) -> Packed:
    """All but isolated atoms, whose energies are added to `atoms`."""
    if ISOLATED_ATOM not in structures.texts["config_type"]:
        return structures
    isolated = _isolated(structures)
    for structure in structures.select(np.flatnonzero(isolated)):
        if structure.energy is not None:
            atoms.setdefault(int(structure.numbers[0]), structure.energy)
    return structures.select(np.flatnonzero(~isolated))


def _isolated(structures: Packed) -> Bool[np.ndarray, " n"]:
    kind = structures.texts["config_type"].index(ISOLATED_ATOM)
    return (structures.column("atoms") == 1) & (structures.column("config_type") == kind)


def unlabelled(config: DataConfig, files: Sequence[str], say: Callable[[str], None] = lambda line: None) -> Packed:
    """The structures of `files`, which need no labels where the source has test sets without.

    Raises:
        FileNotFoundError: A file does not exist.
        ImportError: A package that reads the files is missing; the message names the extra.
        ValueError: A setting is missing or superfluous for the source, or there are no files.
    """
    if config.source not in UNLABELLED or not files:
        return read(config, files, say)
    paths = [shard for file in files for shard in shards(Path(file), *CATALYSTS[config.source][1])]
    return kept(UNLABELLED[config.source], paths, say)


def read(config: DataConfig, files: Sequence[str], say: Callable[[str], None] = lambda line: None) -> Packed:
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
        found = pack(relaxations())
    else:
        if not files:
            raise ValueError(f"source {config.source!r} needs data.files")
        paths = [Path(file) for file in files]
        if config.source in CATALYSTS:
            paths = [shard for path in paths for shard in shards(path, *CATALYSTS[config.source][1])]
        if config.source == "deepmd":
            found = pack([structure for path in paths for structure in read_deepmd(path)])
        else:
            found = kept(_reader(config, given), paths, say)
    if config.split == "group":
        return found
    return found.regrouped([f"{group} {number}" for number, group in enumerate(found.groups)])


def _reader(config: DataConfig, given: Mapping[str, Any]) -> Reader:
    if config.source == "pubchemqcr":
        if config.split == "structure":
            raise ValueError("data.split is 'structure', but pubchemqcr files are split by trajectory: leave it out")
        return PubChemQCRReader(config.stages)
    if config.source in CATALYSTS:
        return CATALYSTS[config.source][0]
    if config.source == "ase":
        return AseReader(config.ignore)
    if config.source == "npz":
        return ArchiveReader()
    if config.source == "cp2k":
        return Cp2kReader()
    missing = [f"data.{name}" for name in ("energy_key", "energy_unit", "length_unit") if given[name] is None]
    if missing:
        raise ValueError(f"source 'extxyz' needs {', '.join(missing)}: the files themselves do not say")
    return ExtxyzReader(Keys(**given))
