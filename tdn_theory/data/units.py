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

RYDBERG = HARTREE / 2
"""eV per Rydberg."""

ENERGIES: Mapping[str, float] = {
    "eV": 1.0,
    "meV": 1e-3,
    "Hartree": HARTREE,
    "Rydberg": RYDBERG,
    "kcal/mol": KCAL_PER_MOL,
    "kJ/mol": KJ_PER_MOL,
}
"""Units of energy by name, in eV."""
LENGTHS: Mapping[str, float] = {"Angstrom": 1.0, "Bohr": BOHR, "nm": 10.0}
"""Units of length by name, in Angstrom."""
PRESSURES: Mapping[str, float] = {"GPa": GPA, "kbar": 0.1 * GPA, "bar": 1e-4 * GPA, "Pa": 1e-9 * GPA}
"""Units of stress with names of their own, in eV/Angstrom^3; any energy/length^3 is one as well."""
DIPOLES: Mapping[str, float] = {"e Angstrom": 1.0, "e Bohr": BOHR, "Debye": DEBYE}
"""Units of dipole moments, in e Angstrom."""

USUAL: Mapping[str, str] = {
    "ev": "eV",
    "mev": "meV",
    "hartree": "Hartree",
    "ha": "Hartree",
    "eh": "Hartree",
    "rydberg": "Rydberg",
    "ry": "Rydberg",
    "kcal_per_mol": "kcal/mol",
    "kj_per_mol": "kJ/mol",
    "angstrom": "Angstrom",
    "a": "Angstrom",
    "å": "Angstrom",
    "ang": "Angstrom",
    "bohr": "Bohr",
    "a0": "Bohr",
    "nm": "nm",
    "gpa": "GPa",
    "kbar": "kbar",
    "bar": "bar",
    "pa": "Pa",
    "debye": "Debye",
    "d": "Debye",
    "e*angstrom": "e Angstrom",
    "ea": "e Angstrom",
    "e*bohr": "e Bohr",
}
"""Other usual spellings, in small letters. `meV` and `MeV` differ by 10^9, so a capital M is no spelling of any."""


def _factor(kind: str, name: str, known: Mapping[str, float]) -> float:
    plain = name if name in known or name.startswith("M") else USUAL.get(name.lower(), name)
    if plain not in known:
        raise ValueError(f"no unit of {kind} {name!r}; known units are {', '.join(known)}")
    return known[plain]


def energy_unit(name: str) -> float:
    """Factor to eV of a unit of energy.

    Raises:
        ValueError: No such unit; the message lists those there are.

    >>> round(energy_unit("Hartree"), 4), energy_unit("Ha") == energy_unit("hartree") == HARTREE
    (27.2114, True)
    """
    return _factor("energy", name, ENERGIES)


def length_unit(name: str) -> float:
    """Factor to Angstrom of a unit of length.

    Raises:
        ValueError: No such unit; the message lists those there are.
    """
    return _factor("length", name, LENGTHS)


def dipole_unit(name: str) -> float:
    """Factor to e Angstrom of a unit of dipole moments.

    Raises:
        ValueError: No such unit; the message lists those there are.
    """
    return _factor("dipole", name, DIPOLES)


def force_unit(name: str) -> float:
    """Factor to eV/Angstrom of a unit of force, written energy/length.

    Raises:
        ValueError: Not of that form, or no such unit of energy or of length.

    >>> round(force_unit("Hartree/Bohr"), 4)
    51.4221
    >>> round(force_unit("kcal/mol/A"), 6)
    0.043364
    """
    energy, slash, length = name.rpartition("/")
    if not slash:
        raise ValueError(f"no unit of force {name!r}; write energy/length, e.g. 'eV/Angstrom' or 'Hartree/Bohr'")
    return energy_unit(energy) / length_unit(length)


def stress_unit(name: str) -> float:
    """Factor to eV/Angstrom^3 of a unit of stress: GPa, kbar, bar, Pa, or energy/length^3.

    Raises:
        ValueError: It is neither; the message says what to write.

    >>> round(stress_unit("GPa"), 7), stress_unit("eV/Angstrom^3"), round(stress_unit("Ha/Bohr^3") / stress_unit("GPa"))
    (0.0062415, 1.0, 29421)
    """
    energy, slash, length = name.rpartition("/")
    if slash and length.endswith("^3"):
        return energy_unit(energy) / length_unit(length.removesuffix("^3")) ** 3
    if slash:
        raise ValueError(f"no unit of stress {name!r}; write GPa, kbar, or energy/length^3, e.g. 'eV/Angstrom^3'")
    return _factor("stress", name, PRESSURES)
