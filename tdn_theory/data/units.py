"""Units: everything inside the package is in Angstrom, eV and e; these factors lead there.

The constants are CODATA's, as `scipy.constants` has them. A value in unit `u` times its factor is the value inside:
`energy_in_eV = energy_in_Hartree * HARTREE`. Forces are eV/Angstrom, dipoles e Angstrom, polarizability volumes
Angstrom^3, stresses eV/Angstrom^3 with the sign of ASE (positive under tension), masses amu, times fs.
"""

from __future__ import annotations

from collections.abc import Mapping

from scipy import constants

HARTREE = constants.physical_constants["Hartree energy in eV"][0]
"""eV per Hartree."""
BOHR = constants.physical_constants["Bohr radius"][0] * 1e10
"""Angstrom per Bohr radius."""
DEBYE = 1e-21 / constants.c / constants.e * 1e10
"""e Angstrom per Debye."""
KCAL_PER_MOL = constants.calorie * 1e3 / constants.N_A / constants.e
"""eV per (thermochemical) kcal/mol."""
KJ_PER_MOL = 1e3 / constants.N_A / constants.e
"""eV per kJ/mol."""
GPA = 1e9 / constants.e * 1e-30
"""eV/Angstrom^3 per GPa."""

ENERGIES: Mapping[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "Hartree": HARTREE,
    "kcal/mol": KCAL_PER_MOL,
    "kJ/mol": KJ_PER_MOL,
}
"""Units of energy by name, in eV."""
LENGTHS: Mapping[str, float] = {"Angstrom": 1.0, "Bohr": BOHR, "nm": 10.0}
"""Units of length by name, in Angstrom."""


def energy_unit(name: str) -> float:
    """Factor to eV of a unit of energy.

    Raises:
        ValueError: No such unit; the message lists those there are.

    >>> round(energy_unit("Hartree"), 4)
    27.2114
    """
    if name not in ENERGIES:
        raise ValueError(f"no unit of energy {name!r}; known units are {', '.join(ENERGIES)}")
    return ENERGIES[name]


def length_unit(name: str) -> float:
    """Factor to Angstrom of a unit of length.

    Raises:
        ValueError: No such unit; the message lists those there are.
    """
    if name not in LENGTHS:
        raise ValueError(f"no unit of length {name!r}; known units are {', '.join(LENGTHS)}")
    return LENGTHS[name]


def force_unit(name: str) -> float:
    """Factor to eV/Angstrom of a unit of force, written energy/length.

    Raises:
        ValueError: Not of that form, or no such unit of energy or of length.

    >>> round(force_unit("Hartree/Bohr"), 4)
    51.4221
    >>> round(force_unit("kcal/mol/Angstrom"), 6)
    0.043364
    """
    energy, slash, length = name.rpartition("/")
    if not slash:
        raise ValueError(f"no unit of force {name!r}; write energy/length, e.g. 'eV/Angstrom' or 'Hartree/Bohr'")
    return energy_unit(energy) / length_unit(length)
