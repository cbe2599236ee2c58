"""One arrangement of atoms with what is known about it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Float, Int
from numpy import ndarray

if TYPE_CHECKING:
    from ase import Atoms

LABELS: Mapping[str, tuple[int, ...]] = {
    "energy": (),
    "forces": (3,),
    "stress": (3, 3),
    "dipole": (3,),
    "polarizability": (3, 3),
}
"""What can be known of a structure besides where its atoms are, and its shape: of forces that of each atom's."""


LARGEST = 1e6
"""Coordinates and cell vectors beyond this (Angstrom) are no positions of atoms."""


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms in space, with labels; a label that is not known is None.

    Arrays are copied, checked and made read-only.

    Attributes:
        numbers: Atomic numbers (n,), 1 to 118.
        positions: Positions (n, 3), Angstrom.
        cell: Cell vectors in rows (3, 3), Angstrom; None if there is none.
        pbc: Which of the three directions are periodic (3,).
        energy: Energy, eV.
        forces: Minus the gradient of the energy (n, 3), eV/Angstrom.
        stress: Stress (3, 3), symmetric, eV/Angstrom^3, positive under tension (the sign of ASE).
        dipole: Electric dipole moment (3,), e Angstrom; of charged molecules, about the origin.
        polarizability: Static polarizability volume (3, 3), symmetric, Angstrom^3.
        group: Molecule or trajectory; splits never cut a group.
        config_type: What kind of structure it is, e.g. `bulk` or `surface`, as the field's files call it.
        weight: What its terms of the loss are multiplied with.
        fixed: Atoms that are held in place (n,), by default none. Forces on them may be known, but nobody is asked for
            them: they are neither trained on nor counted.
        tags: Kind of each atom (n,), as in ASE; of a catalyst 0 below the surface, 1 in it, 2 of an adsorbate.
        sid: Name of the system in its data set; empty if it has none.
        fid: Name of the frame of that system; empty if it has none.
        reference_energy: What `energy` is counted from, eV: the total energy is the sum of both.

    Raises:
        ValueError: A shape is wrong, a number is not finite, an atomic number does not exist, or a direction is
            periodic without a cell vector.

    >>> positions = np.array([[0, 0, 0], [0.96, 0, 0], [-0.24, 0.93, 0]])
    >>> Structure(np.array([8, 1, 1]), positions, energy=-2078.6, group="water")
    Structure(H2O, energy, group='water')
    """

    numbers: Int[ndarray, " n"]
    positions: Float[ndarray, "n 3"]
    cell: Float[ndarray, "3 3"] | None = None
    pbc: Bool[ndarray, "3"] = (False, False, False)  # pyright: ignore[reportAssignmentType] # becomes an array below
    energy: float | None = None
    forces: Float[ndarray, "n 3"] | None = None
    stress: Float[ndarray, "3 3"] | None = None
    dipole: Float[ndarray, "3"] | None = None
    polarizability: Float[ndarray, "3 3"] | None = None
    group: str = ""
    config_type: str = ""
    weight: float = 1.0
    fixed: Bool[ndarray, " n"] = None  # pyright: ignore[reportAssignmentType] # becomes an array below
    tags: Int[ndarray, " n"] | None = None
    sid: str = ""
    fid: str = ""
    reference_energy: float | None = None

    def __post_init__(self) -> None:
        numbers = np.array(self.numbers)
        if numbers.ndim != 1 or not numbers.size or numbers.dtype.kind not in "iu":
            raise ValueError(
                f"numbers has shape {numbers.shape} and dtype {numbers.dtype}; it must be (n,) integers with n >= 1"
            )
        if numbers.min() < 1 or numbers.max() > 118:
            raise ValueError(f"numbers holds {numbers.min()} to {numbers.max()}; atomic numbers are 1 to 118")
        pbc = np.array(self.pbc)
        if pbc.shape != (3,) or pbc.dtype != bool:
            raise ValueError(f"pbc is {self.pbc!r}; it must be three truth values, one per cell vector")
        n = len(numbers)
        fixed = np.zeros(n, bool) if self.fixed is None else np.array(self.fixed)
        if fixed.shape != (n,) or fixed.dtype != bool:
            raise ValueError(
                f"fixed has shape {fixed.shape} and dtype {fixed.dtype}; it must be {n} truth values, one per atom"
            )
        whole = {"numbers": numbers.astype(np.int64), "pbc": pbc, "fixed": fixed}
        if self.tags is not None:
            tags = np.array(self.tags)
            if tags.shape != (n,) or tags.dtype.kind not in "iu":
                raise ValueError(
                    f"tags has shape {tags.shape} and dtype {tags.dtype}; it must be {n} integers, one per atom"
                )
            whole["tags"] = tags.astype(np.int64)
        for name, value in whole.items():
            value.setflags(write=False)
            object.__setattr__(self, name, value)
        shapes = {**LABELS, "positions": (n, 3), "cell": (3, 3), "forces": (n, 3), "reference_energy": ()}
        for name, shape in shapes.items():
            given = getattr(self, name)
            if given is not None:
                value = _array(name, given, shape)
                object.__setattr__(self, name, value if shape else float(value))
        if not 0 <= self.weight < np.inf:
            raise ValueError(f"weight is {self.weight}; it must be a finite number >= 0")
        for name in ("positions", "cell"):
            value = getattr(self, name)
            if value is not None and np.abs(value).max() > LARGEST:
                raise ValueError(f"{name} reach {np.abs(value).max():.2g}; they are in Angstrom, at most {LARGEST:g}")
        if pbc.any() and (self.cell is None or np.linalg.matrix_rank(self.cell[pbc]) < pbc.sum()):
            raise ValueError(
                f"pbc is {pbc.tolist()}, but the cell vectors of the periodic directions are not independent; "
                "give a cell of shape (3, 3) in Angstrom, vectors in rows"
            )

    def __len__(self) -> int:
        """Number of atoms."""
        return len(self.numbers)

    def __repr__(self) -> str:
        """Formula, labels and group."""
        parts = [self.formula, *(["periodic"] if self.pbc.any() else []), *self.labels]
        return f"Structure({', '.join(parts)}{f', group={self.group!r}' if self.group else ''})"

    @property
    def labels(self) -> tuple[str, ...]:
        """Names of the labels that are known."""
        return tuple(name for name in LABELS if getattr(self, name) is not None)

    @property
    def formula(self) -> str:
        """Chemical formula in Hill's order."""
        from ase.formula import Formula
        from ase.symbols import Symbols

        return str(Formula(str(Symbols(self.numbers))).format("hill"))

    @classmethod
    def from_ase(cls, atoms: Atoms, group: str = "") -> Structure:
        """A structure from `atoms`, with the labels its calculator holds for exactly this arrangement.

        Atoms of a `FixAtoms` are fixed; their tags, and `sid`, `fid` and `reference_energy` of `atoms.info`, are kept.
        Nothing is calculated: labels come from a finished calculation (or a file read by ASE), in ASE's units, which
        are those of this package. ASE has no common unit of polarizability; it is not taken over.

        Args:
            atoms: Atoms.
            group: Molecule or trajectory.
        """
        calculator = atoms.calc
        current = calculator is not None and not calculator.check_state(atoms)
        results: dict[str, Any] = calculator.results if calculator is not None and current else {}
        labels: dict[str, Any] = {name: results.get(name) for name in ("energy", "forces", "dipole")}
        if results.get("stress") is not None:
            from ase.stress import voigt_6_to_full_3x3_stress

            labels["stress"] = voigt_6_to_full_3x3_stress(results["stress"])
        return cls(
            atoms.numbers,
            atoms.positions,
            np.array(atoms.cell) if atoms.cell.rank else None,
            np.array(atoms.pbc),
            **labels,
            group=group,
            fixed=fixed_atoms(atoms),
            tags=atoms.get_tags() if atoms.has("tags") else None,
            sid=str(atoms.info.get("sid", "")),
            fid=str(atoms.info.get("fid", "")),
            reference_energy=atoms.info.get("reference_energy"),
        )

    def to_ase(self) -> Atoms:
        """ASE atoms; their calculator holds the labels, except the polarizability (`from_ase`)."""
        from ase import Atoms
        from ase.calculators.singlepoint import SinglePointCalculator
        from ase.constraints import FixAtoms
        from ase.stress import full_3x3_to_voigt_6_stress

        atoms = Atoms(self.numbers, self.positions, tags=self.tags, cell=self.cell, pbc=self.pbc)
        if self.fixed.any():
            atoms.set_constraint(FixAtoms(mask=self.fixed))
        named = {"sid": self.sid, "fid": self.fid, "reference_energy": self.reference_energy}
        atoms.info |= {name: value for name, value in named.items() if value not in ("", None)}
        labels = {name: getattr(self, name) for name in self.labels if name != "polarizability"}
        if "stress" in labels:
            labels["stress"] = full_3x3_to_voigt_6_stress(labels["stress"])
        if labels:
            atoms.calc = SinglePointCalculator(atoms, **labels)
        return atoms


def fixed_atoms(atoms: Atoms) -> Bool[ndarray, " n"]:
    """Which atoms of ASE are held in place by a `FixAtoms`."""
    from ase.constraints import FixAtoms

    fixed = np.zeros(len(atoms), bool)
    for constraint in atoms.constraints:
        if isinstance(constraint, FixAtoms):
            fixed[constraint.index] = True
    return fixed


def _array(name: str, given: Any, shape: tuple[int, ...]) -> ndarray:
    value = np.array(given)
    if value.shape != shape:
        raise ValueError(f"{name} has shape {value.shape}; with these atoms it must be {shape}")
    if value.dtype.kind not in "fiu" or not np.isfinite(value).all():
        raise ValueError(f"{name} must be finite real numbers; leave out a label that is not known")
    value = value.astype(np.float64)
    value.setflags(write=False)
    return value
