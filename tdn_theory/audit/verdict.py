"""Roundoff, approximation or a fault: the rules, in one place.

All errors are root mean squares over a set of structures, so that one whose forces vanish by symmetry (a single atom,
atoms in a line) divides by nothing of its own. An error is compared with its floor, what roundoff or the finite
differences explain, and with the size of the property:

    error <= ROUNDOFF floor         at roundoff
    error >= BROKEN size            broken
    else                            approximate

What must hold of any model at all, whatever its symmetry is made of (permutation, translation, periodic images,
supercells, smoothness), cannot be approximate by design: there, an error above the floor is a fault if it is above
`FAULT` times the size. A model of direct forces is no gradient by design, and that is said as it is: not conservative.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

import numpy as np

ROUNDOFF = 5.0
"""Half of an error of 10 times the floor, which must not be missed; `noise` derives how rarely roundoff reaches it, and
the study `audit_benchmark` counts."""
BROKEN = 0.05
FAULT = 1e-4
REPEAT = 2.0**-20
"""Relative: what the order of sums may change when the same is computed again, in single precision."""
LENGTH = 1.0
"""Angstrom: an energy per atom is compared with the force on an atom times this, since its zero is arbitrary."""
DIFFERENCES = {"inversion": 2, "translation": 2, "permutation": 2, "images": 2, "supercell": 3}
"""How many times the variance of a rounding error the mean square of a difference of two values is that differ by mere
roundoff. Rounding errors of a sum of n terms grow, against the sum, as root n: with twice as many atoms, the energy per
atom has up to twice the variance."""
DESIGN = ("permutation", "translation", "images", "supercell", "smoothness")
UNITS = {
    "energy": "eV/atom",
    "forces": "eV/Å",
    "stress": "eV/Å³",
    "dipole": "e Å",
    "polarizability": "Å³",
}


class Grade(StrEnum):
    """What an error is."""

    ROUNDOFF = "at roundoff"
    APPROXIMATE = "approximate"
    BROKEN = "broken"


MEANINGS = {
    "rotation": "it is not equivariant under rotations",
    "inversion": "it is not equivariant under inversion",
    "translation": "it depends on where the structure is",
    "permutation": "it depends on the order of the atoms",
    "images": "it depends on which periodic images stand for the atoms, or on the basis of the lattice",
    "supercell": "two cells are not twice one: the neighbour list misses periodic images",
    "smoothness": "it jumps where a neighbour leaves through the cutoff",
    "energy gradient": "forces are not minus the gradient of the energy",
    "curl": "forces are no gradient at all: they are not conservative",
    "strain": "stress is not the derivative of the energy with respect to strain",
    "determinism": "the same input gives different results",
}
"""What it means that a check is not at roundoff."""


@dataclass(frozen=True)
class Finding:
    """One error: of one property in one check, over the set.

    Attributes:
        check: A key of `MEANINGS`.
        quantity: `energy`, `forces`, `stress`, `dipole` or `polarizability`.
        error: Root mean square, in the unit of the property; of the energy per atom.
        floor: What roundoff, or the finite difference, explains.
        size: Root mean square of the property itself; None if it vanishes.
        grade: By the rules of this module.
        hint: What the numbers suggest, beyond `MEANINGS`; empty if nothing.
    """

    check: str
    quantity: str
    error: float
    floor: float
    size: float | None
    grade: Grade
    hint: str = ""

    @property
    def relative(self) -> float | None:
        """Error over size; None if the property vanishes on the whole set."""
        return self.error / self.size if self.size else None

    def as_json(self) -> dict[str, Any]:
        """As an object of JSON, with the relative error and the unit."""
        return {**asdict(self), "relative": self.relative, "unit": UNITS[self.quantity]}


def grade(check: str, error: float, floor: float, size: float | None) -> Grade:
    """The grade of an error.

    >>> grade("rotation", 1e-7, 1e-7, 1.0), grade("rotation", 1e-3, 1e-7, 1.0), grade("rotation", 0.5, 1e-7, 1.0)
    (<Grade.ROUNDOFF: 'at roundoff'>, <Grade.APPROXIMATE: 'approximate'>, <Grade.BROKEN: 'broken'>)
    """
    if error <= ROUNDOFF * floor:
        return Grade.ROUNDOFF
    least = FAULT if check in DESIGN else BROKEN
    return Grade.BROKEN if size and error >= least * size else Grade.APPROXIMATE


def findings(parts: Sequence[Mapping[str, Any]]) -> list[Finding]:
    """All errors of an audit.

    Args:
        parts: Of each structure, what was measured: `noise`, `rotations`, `symmetries`, `derivatives`, `smoothness`,
            mean squares, and `atoms`.
    """
    sizes = {
        name: _root([part["symmetries"]["sizes"][name] for part in parts if name in part["symmetries"]["sizes"]])
        for name in UNITS
    }
    sizes["energy"] = LENGTH * sizes["forces"]
    found: list[Finding] = []

    def add(check: str, name: str, error: float, floor: float, hint: str = "") -> None:
        verdict = grade(check, error, floor, sizes[name] or None)
        found.append(
            Finding(
                check, name, error, floor, sizes[name] or None, verdict, hint if verdict is not Grade.ROUNDOFF else ""
            )
        )

    def noise(name: str, own: Sequence[Mapping[str, Any]]) -> float:
        """Root mean square of the rounding errors of a property, of those structures that an error is of."""
        return float(np.hypot(_root([part["noise"]["squares"][name] for part in own]), 2.0**-51 * (sizes[name] + 1)))

    for name in UNITS:
        own = [part for part in parts if name in part["rotations"]["squares"]]
        if own:
            error = _root([part["rotations"]["squares"][name] for part in own])
            add("rotation", name, error, noise(name, own), _precision(error, sizes[name]) if name == "forces" else "")
    for check, times in DIFFERENCES.items():
        for name in UNITS:
            own = [part for part in parts if name in part["symmetries"]["squares"].get(check, {})]
            if own:
                error = _root([part["symmetries"]["squares"][check][name] for part in own])
                add(check, name, error, times**0.5 * noise(name, own))
    for name in ("energy", "forces"):
        own = [part for part in parts if name in part["smoothness"]["squares"]]
        if own:
            rough = _root([part["smoothness"]["noise"][name] for part in own])
            error = _root([part["smoothness"]["squares"][name] for part in own])
            add("smoothness", name, error, 4 * float(np.hypot(noise(name, own), rough)))
    for check, key, name in (
        ("energy gradient", "forces", "forces"),
        ("curl", "curl", "forces"),
        ("strain", "stress", "stress"),
    ):
        own = [part for part in parts if key in part["derivatives"]]
        if own:
            rows = [part["derivatives"][key] for part in own]
            error, floor, size, other = (_root([row[k] for row in rows]) for k in ("error", "floor", "size", "flipped"))
            hint = "its sign is the other one" if other < BROKEN * error else ""
            floor = float(np.hypot(floor, noise(name, own)))
            found.append(
                Finding(check, name, error, floor, size or None, grade(check, error, floor, size or None), hint)
            )
    for name in UNITS:
        error = _root([part["noise"]["repeat"][name] for part in parts if name in part["noise"]["repeat"]])
        if error:
            add("determinism", name, error, REPEAT * sizes[name])
    return found


def summary(found: Sequence[Finding]) -> tuple[Grade, str]:
    """The answer: the worst grade among all findings, and in a sentence for each grade what is behind it.

    Raises:
        ValueError: There are no findings.
    """
    if not found:
        raise ValueError("there are no findings: no structure could be audited; see the messages of the structures")
    said, worst = [], Grade.ROUNDOFF
    for level in (Grade.BROKEN, Grade.APPROXIMATE):
        own = [finding for finding in found if finding.grade is level]
        hints: dict[str, list[str]] = {f.check: [] for f in own}
        for f in own:
            hints[f.check] += [f"{f.quantity}: {f.hint}"] if f.hint else []
        reasons = [MEANINGS[check] + (f" ({'; '.join(given)})" if given else "") for check, given in hints.items()]
        if reasons:
            worst = level if worst is Grade.ROUNDOFF else worst
            sizes = [
                f"{1e3 * f.error:.2g} m{UNITS[f.quantity]} under rotations"
                for f in own
                if f.check == "rotation" and f.quantity in ("energy", "forces")
            ]
            said.append(f"{level.value}: {'; '.join([*sizes, *reasons])}")
    if said:
        return worst, ". ".join(said)
    return Grade.ROUNDOFF, "at roundoff: symmetric and consistent in everything that was tried"


def _root(squares: Sequence[float]) -> float:
    return float(np.sqrt(np.mean(squares))) if len(squares) else 0.0


def _precision(error: float, size: float) -> str:
    """Whether an error has the size of coefficients that were rounded to a lower precision; layers dilute it."""
    if size:
        for name, unit in (("float16", 2.0**-11), ("float32", 2.0**-24)):
            if unit / 256 <= error / size <= 4 * unit:
                return f"of the size of coefficients in {name}"
    return ""
