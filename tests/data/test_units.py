"""Units against other people's constants."""

import ase.units
import pytest

from tdn_theory.data import units
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        (units.HARTREE, ase.units.Hartree),
        (units.BOHR, ase.units.Bohr),
        (units.DEBYE, ase.units.Debye),
        (units.KCAL_PER_MOL, ase.units.kcal / ase.units.mol),
        (units.KJ_PER_MOL, ase.units.kJ / ase.units.mol),
        (units.GPA, ase.units.GPa),
    ],
)
def test_constants_are_those_of_ase(ours: float, theirs: float):
    assert_close(ours, theirs, 1e-7 * theirs, "constant")  # the two use different CODATA adjustments


def test_forces_are_energy_per_length():
    assert_close(units.force_unit("Hartree/Bohr"), 51.4220675, 1e-6, "Hartree/Bohr")  # CODATA, eV/Angstrom
    assert_close(units.force_unit("kcal/mol/Angstrom"), units.KCAL_PER_MOL, 0.0, "kcal/mol/Angstrom")
    assert units.force_unit("eV/Angstrom") == 1.0


@pytest.mark.parametrize(
    ("convert", "name", "fragments"),
    [
        (units.energy_unit, "MeV", ("'MeV'", "meV", "Hartree")),
        (units.length_unit, "pm", ("'pm'", "Angstrom", "Bohr")),
        (units.force_unit, "eV", ("'eV'", "energy/length")),
        (units.force_unit, "eV/pm", ("'pm'", "Angstrom")),
        (units.stress_unit, "eV/A", ("'eV/A'", "GPa", "length^3")),
        (units.dipole_unit, "e", ("'e'", "Debye")),
    ],
)
def test_unknown_units_are_refused(convert, name: str, fragments: tuple[str, ...]):
    with refuses(ValueError, *fragments):
        convert(name)
