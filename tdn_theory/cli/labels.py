"""Options that say what an extended XYZ file calls its labels, and in which units they are."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

if TYPE_CHECKING:
    from tdn_theory.data.extxyz import Keys

EnergyKey = Annotated[str | None, typer.Option(help="Name of the energy in the XYZ file.")]
EnergyUnit = Annotated[str | None, typer.Option(help="Its unit, e.g. eV.")]
ForcesKey = Annotated[str | None, typer.Option(help="Name of the forces.")]
ForceUnit = Annotated[str | None, typer.Option(help="Their unit, e.g. eV/Angstrom.")]
StressKey = Annotated[str | None, typer.Option(help="Name of the stress.")]
StressUnit = Annotated[str | None, typer.Option(help="Its unit, e.g. GPa.")]
LengthUnit = Annotated[str | None, typer.Option(help="Unit of positions, e.g. Angstrom.")]
MissingOption = Annotated[str, typer.Option(help="Frames that lack a label: refuse, or read them without.")]


def keys_of(
    energy_key: str | None,
    energy_unit: str | None,
    length_unit: str | None,
    forces_key: str | None,
    force_unit: str | None,
    stress_key: str | None,
    stress_unit: str | None,
    missing: str,
) -> Keys:
    """The keys that the options of these names give.

    Raises:
        ValueError: One that is needed is missing; the message names the option.
    """
    from tdn_theory.data.extxyz import Keys

    if energy_key is None or energy_unit is None or length_unit is None:
        needed = {"--energy-key": energy_key, "--energy-unit": energy_unit, "--length-unit": length_unit}
        lacking = [option for option, value in needed.items() if value is None]
        raise ValueError(f"an extended XYZ file needs {', '.join(lacking)}: the file itself does not say")
    return Keys(energy_key, energy_unit, length_unit, forces_key, force_unit, stress_key, stress_unit, missing=missing)
