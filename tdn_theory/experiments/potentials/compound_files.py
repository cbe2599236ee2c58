"""Files of relaxed compounds (`data.molecules`) to train on, to validate with and to test on, made where they lack.

The same compounds validate and test all trainings; more compounds to train on contain the fewer.
"""

from __future__ import annotations

from dataclasses import dataclass

from platformdirs import user_cache_path

from tdn_theory.data.archive import write_archive
from tdn_theory.data.molecules import Compound, compounds, finished, make
from tdn_theory.files import sha256
from tdn_theory.training.config import DataConfig

CACHE = user_cache_path("tdn-theory") / "molecules"
"""Where relaxations are kept; 5,000 take half an hour."""


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


def relax_all(kind: Molecules, count: int, workers: int = 1) -> None:
    """Relax all compounds that are not kept yet.

    Args:
        kind: Which molecules.
        count: Compounds to train on.
        workers: Processes.

    Raises:
        ImportError: chemicals, rdkit or tblite is not installed.
        ValueError: There are not so many compounds.
    """
    list(make(_chosen(kind, count), kind.snapshots, CACHE, workers))


def data_of(kind: Molecules, count: int) -> DataConfig:
    """Archives in the user's cache, as data of a training; made if they are not there.

    Args:
        kind: Which molecules.
        count: Compounds to train on.

    Raises:
        ImportError: chemicals, rdkit or tblite is not installed.
        ValueError: There are not so many compounds.
    """
    chosen, tested = _chosen(kind, count), kind.validation + kind.test
    parts = chosen[tested:], chosen[: kind.validation], chosen[kind.validation : tested]
    places = [CACHE / f"{sha256(repr((part, kind)).encode())[:16]}.npz" for part in parts]
    if not all(file.with_suffix(".json").exists() for file in places):
        list(make(chosen, kind.snapshots, CACHE))
        structures = finished(chosen, kind.snapshots, CACHE).structures
        for part, file in zip(parts, places, strict=True):
            numbers = {compound.number for compound in part}
            write_archive(file, [s for s in structures if s.group in numbers], {"compounds": len(part)})
    train, validation, test = ((str(file),) for file in places)
    return DataConfig("npz", train, validation_files=validation, test_files=test)


def _chosen(kind: Molecules, count: int) -> list[Compound]:
    """Compounds that validate, then those that test, then those to train on."""
    return compounds(kind.most_atoms, kind.validation + kind.test + count)
