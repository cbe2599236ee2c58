"""Options that say what an extended XYZ file calls its labels, and in which units they are."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields
from typing import TYPE_CHECKING, Annotated, Any

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
VirialKey = Annotated[str | None, typer.Option(help="Name of the virial, minus volume times stress.")]
GroupKey = Annotated[str | None, typer.Option(help="Name of what belongs together; else the formula.")]
WeightKey = Annotated[str | None, typer.Option(help="Name of the weight in the loss.")]
IgnoreOption = Annotated[list[str] | None, typer.Option(help="What may have any value: charge, spin.")]
MissingOption = Annotated[str, typer.Option(help="Frames that lack a label: refuse, or read them without.")]


def keys_of(options: Mapping[str, Any], **defaults: str) -> Keys:
    """The keys that options give.

    Args:
        options: Of a command, by the names of the settings of `Keys`; others do not matter.
        defaults: Settings where an option is not given.

    Raises:
        ValueError: One that is needed is missing; the message names the option.
    """
    from tdn_theory.data.extxyz import Keys

    given = {field.name: options.get(field.name) for field in fields(Keys)}
    given = {**defaults, **{name: value for name, value in given.items() if value is not None}}
    needed = {"--energy-key": "energy_key", "--energy-unit": "energy_unit", "--length-unit": "length_unit"}
    lacking = [option for option, name in needed.items() if name not in given]
    if lacking:
        raise ValueError(f"an extended XYZ file needs {', '.join(lacking)}: the file itself does not say")
    return Keys(**{**given, "ignore": tuple(given.get("ignore", ()))})
