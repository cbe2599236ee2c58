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


def keys_of(**given: str | None) -> Keys:
    """The keys that the options name.

    Raises:
        ValueError: One that is needed is missing; the message names the option.
    """
    from tdn_theory.data.extxyz import Keys

    needed = ("energy_key", "energy_unit", "length_unit")
    missing = [f"--{name.replace('_', '-')}" for name in needed if given.get(name) is None]
    if missing:
        raise ValueError(f"an extended XYZ file needs {', '.join(missing)}: the file itself does not say")
    return Keys(**given)  # pyright: ignore[reportArgumentType]
