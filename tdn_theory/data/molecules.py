"""A set of PubChemQCR's kind that any machine can make: GFN2-xTB relaxations of compounds of PubChem.

The wheel `chemicals` (MIT) lists 71,347 compounds of PubChem with their SMILES. Taken are neutral molecules of one
piece, closed shell, of PubChemQCR's elements and without isotopes. Each is relaxed from an ETKDG geometry, every step
is a snapshot with energy and forces, and what is written is PubChemQCR's LMDB, a trajectory for each compound under its
number in PubChem. The level is GFN2-xTB (Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652, 2019) where
theirs is B3LYP/6-31G*: the set has their molecules, geometries and format, not their energies.
"""

from __future__ import annotations

import csv
import random
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from importlib.metadata import version
from importlib.util import find_spec
from itertools import islice
from pathlib import Path
from typing import NamedTuple

from joblib import Parallel, delayed

from tdn_theory.data.archive import read_archive, write_archive
from tdn_theory.data.first_geometry import first_geometry
from tdn_theory.data.pubchemqcr import write_pubchemqcr
from tdn_theory.data.relaxations import LARGEST_FORCE
from tdn_theory.data.structure import Structure
from tdn_theory.files import read_json, sha256, write_json
from tdn_theory.provenance import provenance

ELEMENTS = ("H", "C", "N", "O", "F", "P", "S", "Cl")
"""Those of PubChemQCR."""
FMAX = 0.05
"""A relaxation ends when no atom feels a larger force, eV/Angstrom."""
UNIT = 20
"""Compounds in a unit of work."""


class Compound(NamedTuple):
    """A compound.

    Attributes:
        number: In PubChem.
        smiles: As PubChem writes it.
    """

    number: str
    smiles: str


def compounds(most_atoms: int, count: int, seed: int = 0) -> list[Compound]:
    """Some of the usable compounds, in random order.

    Args:
        most_atoms: Only molecules of at most so many atoms, hydrogen included, and of at least two.
        count: How many; the first ones of one random order, so that more of them contain fewer.
        seed: Seed of that order.

    Raises:
        ImportError: chemicals or rdkit is not installed.
        ValueError: There are fewer.
    """
    spec = find_spec("chemicals")  # found, not imported: it is the table that is wanted
    if spec is None or spec.origin is None:
        raise ImportError("the compounds come with chemicals: pip install 'tdn-theory[make-data]'")
    table = Path(spec.origin).parent / "Identifiers" / "chemical identifiers pubchem large.tsv"
    with table.open(newline="", encoding="utf-8") as stream:
        rows = [(row[0], row[2], row[4]) for row in csv.reader(stream, delimiter="\t")]
    order = random.Random(seed)
    order.shuffle(rows)
    found = []
    for number, formula, smiles in rows:
        if len(found) == count:
            break
        if _atoms(formula) <= most_atoms and usable(smiles):
            found.append(Compound(number, smiles))
    if len(found) < count:
        raise ValueError(f"{len(found)} usable compounds have at most {most_atoms} atoms; {count} were asked for")
    return found


def _atoms(formula: str) -> float:
    """Number of atoms of a formula such as `C7H9N5`; infinite if it has other elements, a charge or one atom only."""
    parts = re.findall(r"([A-Z][a-z]?)(\d*)", formula)
    if "".join(element + number for element, number in parts) != formula:
        return float("inf")
    if any(element not in ELEMENTS for element, _ in parts):
        return float("inf")
    atoms = sum(int(number or 1) for _, number in parts)
    return atoms if atoms > 1 else float("inf")


def usable(smiles: str) -> bool:
    """Whether a SMILES is of one neutral molecule, closed shell, of `ELEMENTS` and without isotopes.

    Raises:
        ImportError: rdkit is not installed.
    """
    from rdkit import Chem, rdBase

    with rdBase.BlockLogs():
        parsed = Chem.MolFromSmiles(smiles)
    if parsed is None or "." in smiles:
        return False
    return not any(
        atom.GetSymbol() not in ELEMENTS or atom.GetIsotope() or atom.GetNumRadicalElectrons()
        for atom in parsed.GetAtoms()
    ) and not Chem.GetFormalCharge(parsed)


def relax(compound: Compound, snapshots: int) -> list[Structure]:
    """Relax a compound; the labelled steps, its first geometry first, with its number as group.

    Args:
        compound: What to relax; its number is the seed of its first geometry.
        snapshots: At most so many steps.

    Raises:
        ImportError: rdkit or tblite is not installed.
        ValueError: No first geometry, or a self-consistent field does not converge.
    """
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError("GFN2-xTB needs tblite: pip install 'tdn-theory[gfn2]'") from error
    from ase.calculators.calculator import CalculationFailed
    from ase.optimize import BFGS

    atoms = first_geometry(compound.smiles, seed=int(compound.number) % 2**31)
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    found = []
    try:
        for _ in islice(BFGS(atoms, logfile=None).irun(FMAX), snapshots):
            found.append(Structure.from_ase(atoms, compound.number))
    except CalculationFailed as error:
        raise ValueError(f"the self-consistent field of {compound.smiles!r} does not converge") from error
    return found


def make(chosen: Sequence[Compound], snapshots: int, folder: Path, workers: int = 1) -> Iterator[Path]:
    """Relax the compounds that `folder` does not hold yet; yields the archive of each unit as it is finished.

    Args:
        chosen: What to relax.
        snapshots: At most so many steps of each.
        folder: Where units are kept; a stopped run goes on there.
        workers: Processes; 1 stays in this one.
    """
    units = list(units_of(chosen, snapshots, folder))
    missing = [(unit, file) for unit, file in units if not file.with_suffix(".json").exists()]
    calls = (delayed(_relax_unit)(unit, snapshots, file) for unit, file in missing)
    yield from Parallel(n_jobs=workers, return_as="generator_unordered")(calls)


def units_of(chosen: Sequence[Compound], snapshots: int, folder: Path) -> Iterator[tuple[tuple[Compound, ...], Path]]:
    """Compounds that are relaxed together, and their archive in `folder`."""
    for unit in (tuple(chosen[first : first + UNIT]) for first in range(0, len(chosen), UNIT)):
        yield unit, folder / f"{sha256(repr((unit, snapshots)).encode())[:16]}.npz"


def _relax_unit(unit: Sequence[Compound], snapshots: int, file: Path) -> Path:
    structures, failed = [], {}
    for compound in unit:
        try:
            structures += relax(compound, snapshots)
        except ValueError as error:
            failed[compound.number] = str(error)
    write_archive(file, structures, {"failed": failed})
    return file


class Relaxed(NamedTuple):
    """What relaxations gave.

    Attributes:
        structures: Snapshots, each with the number of its compound as group.
        failed: Why a compound has none, by its number.
        left_out: Snapshots left out for a force above `LARGEST_FORCE`.
    """

    structures: list[Structure]
    failed: dict[str, str]
    left_out: int


def finished(chosen: Sequence[Compound], snapshots: int, folder: Path) -> Relaxed:
    """What `make` has left in `folder` so far.

    Args:
        chosen: What was to be relaxed.
        snapshots: At most so many steps of each.
        folder: Where units are kept.
    """
    structures, failed = [], {}
    for _, file in units_of(chosen, snapshots, folder):
        if file.with_suffix(".json").exists():
            structures += read_archive(file)
            failed |= read_json(file.with_suffix(".json"))["made_by"]["failed"]
    kept = [s for s in structures if s.forces is not None and abs(s.forces).max() <= LARGEST_FORCE]
    return Relaxed(kept, failed, len(structures) - len(kept))


def collect(chosen: Sequence[Compound], snapshots: int, folder: Path, path: Path) -> dict[str, int]:
    """Write what is finished as one LMDB file, and how it was made beside it (`.json`).

    Args:
        chosen: What was to be relaxed.
        snapshots: At most so many steps of each.
        folder: Where units are kept.
        path: LMDB file to write.

    Returns:
        How many compounds, snapshots and failures there are, and how many snapshots were left out for their forces.
    """
    structures, failed, left_out = finished(chosen, snapshots, folder)
    write_pubchemqcr(path, structures)
    counts = {
        "compounds": len({structure.group for structure in structures}),
        "snapshots": len(structures),
        "failed": len(failed),
        "left_out": left_out,
    }
    made = provenance(None)
    made["versions"] |= {package: version(package) for package in ("ase", "chemicals", "rdkit", "tblite")}
    elements = Counter(number for structure in structures for number in structure.numbers.tolist())
    write_json(
        path.with_suffix(".json"),
        {
            **counts,
            "planned": len(chosen),
            "level": "GFN2-xTB",
            "fmax": FMAX,
            "most_snapshots": snapshots,
            "largest_force": LARGEST_FORCE,
            "atoms": {str(number): elements[number] for number in sorted(elements)},
            "reasons": failed,
            "sha256": sha256(path.read_bytes()),
            **made,
        },
    )
    return counts
