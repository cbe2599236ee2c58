"""Adsorbates on metals, relaxed with ASE's effective medium theory (EMT): systems of the kind of OC20, in seconds.

They exercise what OC20 needs, tags, fixed layers, adsorption energies, relaxed structures and splits by what is new.
Their chemistry is that of EMT, which was made for metals and knows H, C, N and O roughly: no substitute for data.

A slab has three layers of fcc(111) or fcc(100), of one metal or with a quarter of its atoms from a second, strained by
up to 3 %; the lower two layers are fixed. The adsorption energy is

    E(slab with adsorbate) - E(relaxed slab) - sum of the references of the adsorbate's atoms,

and the references are those of relaxed H2, N2, O2 and, for C, of CO less O.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from tdn_theory.data.catalyst_sets import System, numbered, write_parts, write_systems
from tdn_theory.data.catalyst_splits import adsorbate, composition, split_catalysts
from tdn_theory.data.structure import Structure
from tdn_theory.provenance import provenance

if TYPE_CHECKING:
    from ase import Atoms

METALS = ("Al", "Ni", "Cu", "Pd", "Ag", "Pt", "Au")
ADSORBATES = {
    "H": [("H", 0.0, 0.0, 0.0)],
    "C": [("C", 0.0, 0.0, 0.0)],
    "N": [("N", 0.0, 0.0, 0.0)],
    "O": [("O", 0.0, 0.0, 0.0)],
    "CO": [("C", 0.0, 0.0, 0.0), ("O", 0.0, 0.0, 1.15)],
    "NO": [("N", 0.0, 0.0, 0.0), ("O", 0.0, 0.0, 1.15)],
    "OH": [("O", 0.0, 0.0, 0.0), ("H", 0.6, 0.0, 0.75)],
    "NH": [("N", 0.0, 0.0, 0.0), ("H", 0.0, 0.0, 1.02)],
    "CH": [("C", 0.0, 0.0, 0.0), ("H", 0.0, 0.0, 1.1)],
    "CH2": [("C", 0.0, 0.0, 0.0), ("H", 0.9, 0.0, 0.6), ("H", -0.9, 0.0, 0.6)],
}
"""Atoms of each adsorbate: the element, and its place (Angstrom) above the site; the first one binds."""
SITES = {"fcc111": ("ontop", "bridge", "fcc", "hcp"), "fcc100": ("ontop", "bridge", "hollow")}
FMAX = 0.05
"""A relaxation ends when no free atom feels a larger force, eV/Angstrom."""
STEPS = 200
"""A relaxation that takes more steps is left out."""


@dataclass(frozen=True)
class Slab:
    """A slab on which every adsorbate is put once, at a site that chance chooses.

    Attributes:
        host: The metal.
        guest: The metal of a quarter of its atoms; the host itself for a pure slab.
        facet: `fcc111` or `fcc100`.
        seed: Seed of strain, places of the guest, sites, heights and displacements.
    """

    host: str
    guest: str
    facet: str
    seed: int

    def systems(self) -> tuple[list[System], int]:
        """Systems before and after relaxation, with adsorption energies, and how many relaxations did not converge."""
        from ase import Atoms
        from ase.build import add_adsorbate

        rng = np.random.default_rng(self.seed)
        slab = self._slab(rng)
        clean = slab.copy()
        if not _relaxed(clean):
            return [], len(ADSORBATES)
        found = list[System]()
        for atoms in ADSORBATES.values():
            molecule = Atoms([atom[0] for atom in atoms], [atom[1:] for atom in atoms])
            molecule.rotate(float(rng.uniform(0, 360)), "z")
            system = slab.copy()
            add_adsorbate(system, molecule, float(rng.uniform(1.4, 2.0)), str(rng.choice(SITES[self.facet])))
            tags = np.append(slab.get_tags(), np.full(len(molecule), 2))
            system.set_tags(tags)
            system.positions += 0.03 * rng.standard_normal((len(system), 3)) * (tags > 0)[:, None]
            reference = clean.get_potential_energy() + sum(_reference(symbol) for symbol in molecule.symbols)
            first = _labelled(system, reference)
            if _relaxed(system):
                found.append(System(first, _labelled(system, reference)))
        return found, len(ADSORBATES) - len(found)

    def _slab(self, rng: np.random.Generator) -> Atoms:
        from ase import build
        from ase.constraints import FixAtoms
        from ase.data import atomic_numbers, reference_states

        state = reference_states[atomic_numbers[self.host]]
        lattice = state["a"] * rng.uniform(0.97, 1.03)  # pyright: ignore[reportOptionalSubscript]
        slab = getattr(build, self.facet)(self.host, (2, 2, 3), a=lattice, vacuum=7.0, periodic=True)
        slab.symbols[rng.permutation(len(slab))[: len(slab) // 4]] = self.guest
        slab.set_tags((slab.get_tags() == 1).astype(int))  # ASE counts layers from above
        slab.set_constraint(FixAtoms(mask=slab.get_tags() == 0))
        return slab


def plan(count: int, seed: int = 0) -> list[Slab]:
    """Slabs for so many systems or a few more, half of them of one metal.

    Raises:
        ValueError: The number is not positive.
    """
    if count < 1:
        raise ValueError(f"count is {count}; there must be at least one system")
    rng = np.random.default_rng(seed)
    slabs = []
    for number in range(-(-count // len(ADSORBATES))):
        host, other = rng.permutation(METALS)[:2].tolist()
        guest = host if number % 2 else other
        slabs.append(Slab(host, guest, str(rng.choice(list(SITES))), int(rng.integers(2**31))))
    return slabs


def make_surfaces(
    folder: Path, count: int = 500, workers: int = 1, seed: int = 0, progress: Callable[[int], None] = lambda done: None
) -> dict[str, int]:
    """Relax systems, split them by what is new, and write each part as an LMDB file of IS2RE.

    `train.lmdb`, `id.lmdb`, `ood_ads.lmdb`, `ood_cat.lmdb` and `ood_both.lmdb` get company of `surfaces.npz`, all
    systems in one archive, and of `surfaces.json`, which says how they were made.

    Args:
        folder: Where to write.
        count: About how many systems; as many more as the last slab has, and less by what does not converge.
        workers: Processes.
        seed: Seed of everything random.
        progress: Called with the number of systems tried at a time.

    Returns:
        Systems in each part.

    Raises:
        ImportError: lmdb is not installed.
        ValueError: There are too few systems to split.
        OSError: What was written is not what is read.
    """
    from joblib import Parallel, delayed

    systems, failed = list[System](), 0
    tasks = (delayed(slab.systems)() for slab in plan(count, seed))
    for found, unconverged in Parallel(workers, return_as="generator")(tasks):
        systems += found
        failed += unconverged
        progress(len(found) + unconverged)
    systems = numbered(systems)
    first = [system.first for system in systems]
    parts = split_catalysts([adsorbate(s) for s in first], [composition(s) for s in first], seed=seed)
    sizes = write_parts(folder, systems, parts)
    how = {"method": "ASE EMT", "fmax": FMAX, "steps": STEPS, "not_converged": failed, "parts": sizes}
    write_systems(folder / "surfaces.npz", systems, {**how, **provenance(seed)})
    return sizes


@cache
def _reference(symbol: str) -> float:
    """Energy of an atom in its gas: half of H2, N2 or O2; of C, CO less that of O."""
    from ase import Atoms

    pair = Atoms("CO" if symbol == "C" else symbol * 2, [[0, 0, 0], [0, 0, 1.1]])
    if not _relaxed(pair):
        raise ArithmeticError(f"{pair.symbols} does not relax with EMT")
    energy = pair.get_potential_energy()
    return energy - _reference("O") if symbol == "C" else energy / 2


def _relaxed(atoms: Atoms) -> bool:
    """Relax atoms, which get a calculator; whether that converged."""
    from ase.calculators.emt import EMT
    from ase.optimize import BFGS

    atoms.calc = EMT()
    return bool(BFGS(atoms, logfile=None).run(FMAX, STEPS))


def _labelled(atoms: Atoms, reference: float) -> Structure:
    from ase.calculators.emt import EMT

    if atoms.calc is None:
        atoms.calc = EMT()
    atoms.get_forces()
    structure = Structure.from_ase(atoms)
    energy = None if structure.energy is None else structure.energy - reference
    return replace(structure, energy=energy, stress=None, reference_energy=reference)
