"""Adsorbates on oxides, relaxed with the tight-binding method GFN1-xTB: systems of the kind of OC22, in seconds each.

As in OC22 energies are total ones and nothing is fixed. Oxides are rock salt, two layers of (100), of one metal or with
a quarter of its atoms from a second, strained by up to 3 %; the lower layer is tagged 0, the upper one 1. Every slab is
relaxed bare and with every adsorbate. Cells are small, the Brillouin zone is sampled at its centre alone, and spins are
paired: no substitute for data.

Grimme, Bannwarth, Shushkov, J. Chem. Theory Comput. 13, 1989 (2017), as implemented in tblite. Its GFN2-xTB does not
converge for MgO with water, for one.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace
from importlib.metadata import version
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tdn_theory.data.catalyst_sets import System, numbered, read_systems, write_parts, write_systems
from tdn_theory.data.catalyst_splits import composition, split_catalysts
from tdn_theory.data.structure import Structure
from tdn_theory.files import read_json, sha256
from tdn_theory.provenance import provenance

if TYPE_CHECKING:
    from ase import Atoms

LATTICE = {
    "Mg": 4.21,
    "Mn": 4.44,
    "Fe": 4.33,
    "Co": 4.26,
    "Zn": 4.28,
    "Cd": 4.69,
}
"""Lattice constants of the metals' rock salt oxides, Angstrom."""
ADSORBATES = {
    "": [],
    "H": [("H", 0.0, 0.0, 0.0)],
    "C": [("C", 0.0, 0.0, 0.0)],
    "N": [("N", 0.0, 0.0, 0.0)],
    "O": [("O", 0.0, 0.0, 0.0)],
    "CO": [("C", 0.0, 0.0, 0.0), ("O", 0.0, 0.0, 1.14)],
    "OH": [("O", 0.0, 0.0, 0.0), ("H", 0.6, 0.0, 0.75)],
    "H2O": [("O", 0.0, 0.0, 0.0), ("H", 0.76, 0.0, 0.59), ("H", -0.76, 0.0, 0.59)],
}
"""Atoms of each adsorbate: the element, and its place (Angstrom) above a metal atom; the first one binds."""
OXYGEN = 8
FMAX = 0.15
"""A relaxation ends when no atom feels a larger force, eV/Angstrom."""
STEPS = 60
"""A relaxation that takes more steps is left out."""
LOWEST = -250.0
"""eV per atom: below it no atom's valence electrons bind; the self-consistent field has converged to nothing real."""


@dataclass(frozen=True)
class OxideSlab:
    """A slab that is relaxed with every adsorbate, above a metal atom that chance chooses.

    Attributes:
        host: The metal.
        guest: The metal of a quarter of its atoms; the host itself for a pure oxide.
        seed: Seed of strain, places of the guest and of adsorbates, heights and displacements.
    """

    host: str
    guest: str
    seed: int

    @property
    def stem(self) -> str:
        """Name of the files of its systems; another slab has another name."""
        return sha256(repr((self, ADSORBATES, FMAX, STEPS)).encode())[:16]

    def systems(self) -> tuple[list[System], Counter[str]]:
        """Systems before and after relaxation, and how many there are none of, by reason.

        Raises:
            ImportError: tblite is not installed.
        """
        from ase.optimize import BFGS

        calculator, failures = _gfn1()
        rng = np.random.default_rng(self.seed)
        slab = self._slab(rng)
        found, failed = list[System](), Counter[str]()
        for name in ADSORBATES:
            atoms = _with_adsorbate(slab, name, rng)
            atoms.calc = calculator
            try:
                first = _labelled(atoms)
                if not BFGS(atoms, logfile=None).run(FMAX, STEPS):
                    failed[f"not relaxed in {STEPS} steps"] += 1
                    continue
                system = System(first, _labelled(atoms))
            except failures:
                failed["self-consistent field did not converge"] += 1
                continue
            if all(s.energy is not None and s.energy > LOWEST * len(s) for s in system):
                found.append(system)
            else:
                failed["energy of no real state"] += 1
        return found, failed

    def _slab(self, rng: np.random.Generator) -> Atoms:
        from ase.build import bulk, surface

        oxide = bulk(f"{self.host}O", "rocksalt", a=LATTICE[self.host] * rng.uniform(0.97, 1.03), cubic=True)
        slab = surface(oxide, (1, 0, 0), 1, vacuum=6.0, periodic=True)
        metals = np.flatnonzero(slab.numbers != OXYGEN)
        slab.symbols[rng.permutation(metals)[: len(metals) // 4]] = self.guest
        heights = slab.positions[:, 2]
        slab.set_tags((heights > heights.mean()).astype(int))
        return slab


def _with_adsorbate(slab: Atoms, name: str, rng: np.random.Generator) -> Atoms:
    """The slab, all of it displaced a little, with an adsorbate above a metal atom of its surface."""
    from ase import Atoms

    atoms = ADSORBATES[name]
    system = slab.copy()
    molecule = Atoms([atom[0] for atom in atoms], [atom[1:] for atom in atoms] or None)
    molecule.rotate(float(rng.uniform(0, 360)), "z")
    below = rng.choice(np.flatnonzero((slab.get_tags() == 1) & (slab.numbers != OXYGEN)))
    molecule.translate(slab.positions[below] + [0, 0, rng.uniform(1.7, 2.2)])
    molecule.set_tags(np.full(len(molecule), 2))
    system.extend(molecule)
    system.positions += 0.03 * rng.standard_normal(system.positions.shape)
    return system


def plan(count: int, seed: int = 0) -> list[OxideSlab]:
    """Slabs for so many systems or a few more, half of them of one metal.

    Raises:
        ValueError: The number is not positive.
    """
    if count < 1:
        raise ValueError(f"count is {count}; there must be at least one system")
    rng = np.random.default_rng(seed)
    slabs = []
    for number in range(-(-count // len(ADSORBATES))):
        host, other = rng.permutation(list(LATTICE))[:2].tolist()
        slabs.append(OxideSlab(host, host if number % 2 else other, int(rng.integers(2**31))))
    return slabs


def relax_slabs(slabs: Sequence[OxideSlab], work: Path, workers: int = 1) -> Iterator[Path]:
    """Relax the systems of the slabs that `work` does not hold yet; yields every archive, finished ones first.

    Args:
        slabs: What to relax (`plan`).
        work: Where the systems of each slab are kept; a stopped run goes on there.
        workers: Processes.
    """
    from joblib import Parallel, delayed

    files = {slab: work / f"{slab.stem}.npz" for slab in slabs}
    finished = [file for file in files.values() if file.with_suffix(".json").exists()]
    yield from finished
    calls = (delayed(_relax)(slab, file) for slab, file in files.items() if file not in finished)
    yield from Parallel(n_jobs=workers, return_as="generator_unordered")(calls)


def collect(slabs: Sequence[OxideSlab], work: Path, folder: Path, seed: int = 0) -> dict[str, int]:
    """Split what is finished by composition, and write each part as an LMDB file of IS2RE.

    `train.lmdb`, `id.lmdb` and `ood_cat.lmdb` get company of `oxides.npz`, all systems in one archive, and of
    `oxides.json`, which says how they were made.

    Args:
        slabs: What was to be relaxed.
        work: Where the systems of each slab are kept.
        folder: Where to write.
        seed: Seed of the split.

    Returns:
        Systems in each part.

    Raises:
        ImportError: lmdb is not installed.
        ValueError: There are too few systems to split.
    """
    systems, failed, done = list[System](), Counter[str](), 0
    for slab in slabs:
        file = work / f"{slab.stem}.npz"
        if file.with_suffix(".json").exists():
            systems += read_systems(file)
            failed.update(read_json(file.with_suffix(".json"))["made_by"]["failed"])
            done += 1
    systems = numbered(systems)
    first = [system.first for system in systems]
    names = [""] * len(first), [composition(s) for s in first]
    parts = split_catalysts(*names, held_out=(0.0, 0.2), seed=seed, new_elements=False)
    sizes = write_parts(folder, systems, parts)
    made = provenance(seed)
    made["versions"] |= {package: version(package) for package in ("ase", "tblite")}
    how = {"method": "GFN1-xTB", "fmax": FMAX, "steps": STEPS, "slabs": done, "planned": len(slabs)}
    write_systems(folder / "oxides.npz", systems, {**how, "failed": dict(failed), "parts": sizes, **made})
    return sizes


def _relax(slab: OxideSlab, file: Path) -> Path:
    systems, failed = slab.systems()
    write_systems(file, systems, {**asdict(slab), "failed": dict(failed)})
    return file


def _gfn1() -> tuple[object, tuple[type[Exception], ...]]:
    """The calculator, and what it raises where the self-consistent field does not converge."""
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError("GFN1-xTB needs tblite: pip install 'tdn-theory[gfn2]'") from error
    from ase.calculators.calculator import CalculationFailed, InputError

    return TBLite(method="GFN1-xTB", verbosity=0), (CalculationFailed, InputError)


def _labelled(atoms: Atoms) -> Structure:
    atoms.get_forces()
    return replace(Structure.from_ase(atoms), stress=None)
