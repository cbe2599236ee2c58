"""The default dataset: B3LYP/6-31G* relaxations of small organic molecules, shipped with the package, and its maker.

Every molecule is relaxed from ETKDG geometries, the second and third rattled, and every snapshot is labelled at the
level of PubChemQCR (B3LYP/6-31G* with six Cartesian d functions, here with density fitting) with its energy, forces
and dipole moment; some of the smaller ones also with a polarizability. Forces are exact derivatives of the energies:
they include the response of the fitting basis and of the integration grid.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path
from typing import Any

import numpy as np

from tdn_theory.data.archive import read_archive, write_archive
from tdn_theory.data.first_geometry import first_geometry
from tdn_theory.data.structure import Structure
from tdn_theory.files import read_json, sha256
from tdn_theory.provenance import provenance

FOLDER = Path(__file__).parent / "files"
SHIPPED = FOLDER / "relaxations.npz"
"""The shipped dataset."""
MOLECULES = tuple((FOLDER / "molecules.smi").read_text().split())
"""SMILES of the molecules, roughly by size: H, C, N and O; neutral, closed shell, 3 to 12 atoms."""


def relaxations() -> list[Structure]:
    """The shipped snapshots, in the order they were reached; `group` is the SMILES of the molecule.

    Raises:
        DamagedError: The file is not the one that was shipped.
    """
    return read_archive(SHIPPED)


@dataclass(frozen=True)
class Relaxation:
    """How one molecule is relaxed and labelled: restricted Kohn-Sham with Cartesian basis functions, BFGS.

    Attributes:
        smiles: The molecule; neutral, closed shell.
        rattle: Standard deviation of the displacement of each coordinate of the first geometry, Angstrom.
        snapshots: At most so many geometries are labelled and kept.
        fmax: The relaxation ends when no atom feels a larger force, eV/Angstrom.
        xc: Functional.
        basis: Basis set.
        grid_level: Level of the integration grid in pyscf, 0 to 9.
        seed: Seed of the first geometry.

    Raises:
        ValueError: A number is out of its range.
    """

    smiles: str
    rattle: float = 0.0
    snapshots: int = 10
    fmax: float = 0.05
    xc: str = "b3lyp"
    basis: str = "6-31g*"
    grid_level: int = 2
    seed: int = 0

    def __post_init__(self) -> None:
        if self.rattle < 0 or self.snapshots < 1 or self.fmax <= 0:
            raise ValueError(
                f"rattle={self.rattle}, snapshots={self.snapshots}, fmax={self.fmax}; "
                "rattle must not be negative, snapshots be at least 1, fmax be positive"
            )

    @property
    def stem(self) -> str:
        """Name of the files of this relaxation; another configuration has another name."""
        return sha256(repr(self).encode())[:16]

    def run(self) -> Iterator[Structure]:
        """Relax; yields each labelled snapshot, the first geometry first.

        Raises:
            ValueError: No first geometry, or a self-consistent field does not converge.
        """
        from ase.optimize import BFGS

        from tdn_theory.data.kohn_sham import KohnSham

        atoms = first_geometry(self.smiles, self.seed, self.rattle)
        atoms.calc = KohnSham(self.xc, self.basis, self.grid_level)
        relaxation = BFGS(atoms, logfile=None)
        for count, _ in enumerate(relaxation.irun(self.fmax, steps=self.snapshots - 1), start=1):
            yield Structure.from_ase(atoms, self.smiles)
            if count == self.snapshots:
                return


LARGEST_FORCE = 15.0
"""eV/Angstrom; the shipped dataset leaves out the few first geometries that chance has pressed further together."""
STARTS = ((0.0, 8), (0.04, 6), (0.08, 6))
"""Rattle (Angstrom) and number of snapshots of the relaxations of each molecule."""


def plan(seed: int = 0, molecules: Sequence[str] = MOLECULES) -> list[Relaxation]:
    """The relaxations of the dataset: rounds of one start of every molecule, in a random order, the smaller half first.

    So whatever is finished when the time is up has most molecules in it, and all kinds of starts.
    """
    generator = random.Random(seed)
    half = len(molecules) // 2
    units = []
    for round_number in range(len(STARTS)):
        smaller, larger = list(range(half)), list(range(half, len(molecules)))
        generator.shuffle(smaller)
        generator.shuffle(larger)
        for number in smaller + larger:
            start = (round_number + number) % len(STARTS)
            rattle, snapshots = STARTS[start]
            own_seed = 1000 * seed + len(STARTS) * number + start
            units.append(Relaxation(molecules[number], rattle, snapshots, seed=own_seed))
    return units


def make_relaxations(units: Sequence[Relaxation], folder: Path, workers: int = 1) -> Iterator[Path]:
    """Run the relaxations that `folder` does not hold yet, one thread each; yields each archive as it is finished.

    A relaxation that fails leaves an archive of no structures, whose manifest says why.

    Args:
        units: What to run (`plan`).
        folder: Where each relaxation is kept; a stopped run continues there.
        workers: Processes; 1 stays in this one.
    """
    yield from _in_processes(_relax, [(u, folder / f"{u.stem}.npz") for u in units], workers)


def make_polarizabilities(
    units: Sequence[Relaxation], folder: Path, workers: int = 1, max_atoms: int = 8, every: int = 2
) -> Iterator[Path]:
    """Add polarizabilities to every so many snapshots of the smaller molecules among the finished relaxations.

    Args:
        units: What was run.
        folder: Where it is kept; the relaxation with polarizabilities is kept beside the one without.
        workers: Processes; 1 stays in this one.
        max_atoms: Only molecules of at most so many atoms.
        every: Of each relaxation, the first snapshot and every so many from there on.
    """
    finished = [u for u in units if (folder / f"{u.stem}.json").exists()]
    small = [u for u in finished if (s := read_archive(folder / f"{u.stem}.npz")) and len(s[0]) <= max_atoms]
    yield from _in_processes(_polarize, [(u, folder / f"{u.stem}-polarizability.npz", every) for u in small], workers)


def collect(units: Sequence[Relaxation], folder: Path, path: Path) -> None:
    """Write all finished relaxations of `folder` into one archive, with polarizabilities where there are any.

    Snapshots that have a force above `LARGEST_FORCE` are left out.
    """
    structures: list[Structure] = []
    failed = {}
    finished = [unit for unit in units if (folder / f"{unit.stem}.json").exists()]
    for unit in sorted(finished, key=lambda unit: unit.seed):
        plain, richer = folder / f"{unit.stem}.npz", folder / f"{unit.stem}-polarizability.npz"
        structures += read_archive(richer if richer.with_suffix(".json").exists() else plain)
        error = read_json(plain.with_suffix(".json"))["made_by"].get("failed")
        if error:
            failed[f"{unit.smiles}, seed {unit.seed}"] = error
    kept = [s for s in structures if s.forces is not None and np.linalg.norm(s.forces, axis=1).max() <= LARGEST_FORCE]
    level = {name: getattr(units[0], name) for name in ("xc", "basis", "grid_level", "fmax")}
    limit = {"largest_force": LARGEST_FORCE, "left_out": len(structures) - len(kept)}
    counts = {"relaxations": len(finished), "planned": len(units), "failed": failed}
    write_archive(path, kept, {**level, "starts": STARTS, **limit, **counts, **_provenance(None)})


def _in_processes(function: Any, tasks: Sequence[tuple[Any, ...]], workers: int) -> Iterator[Path]:
    """Run `function(unit, path, ...)` where the manifest of `path` does not exist yet."""
    waiting = [task for task in tasks if not task[1].with_suffix(".json").exists()]
    if workers == 1:
        yield from (function(*task) for task in waiting)
        return
    with ProcessPoolExecutor(workers, mp_context=get_context("spawn")) as pool:
        for future in as_completed([pool.submit(function, *task) for task in waiting]):
            yield future.result()


def _relax(unit: Relaxation, path: Path) -> Path:
    made_by: dict[str, Any] = {**asdict(unit), **_provenance(unit.seed)}
    try:
        structures = list(unit.run())
    except ValueError as error:
        structures, made_by["failed"] = [], str(error)
    write_archive(path, structures, made_by)
    return path


def _polarize(unit: Relaxation, path: Path, every: int) -> Path:
    from tdn_theory.data.kohn_sham import KohnSham

    structures = read_archive(path.with_name(f"{unit.stem}.npz"))
    calculator = KohnSham(unit.xc, unit.basis, unit.grid_level)
    for index in range(0, len(structures), every):
        tensor = calculator.polarizability(structures[index].to_ase())
        structures[index] = replace(structures[index], polarizability=tensor)
    write_archive(path, structures, {**asdict(unit), "every": every, **_provenance(unit.seed)})
    return path


def _provenance(seed: int | None) -> dict[str, Any]:
    made = provenance(seed)
    return made | {"versions": made["versions"] | {package: version(package) for package in ("pyscf", "rdkit", "ase")}}
