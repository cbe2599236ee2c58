"""Total charge and spin: the energy depends on them, and a function of elements and positions knows nothing of them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np

if TYPE_CHECKING:
    from ase import Atoms

Quantity = Literal["charge", "spin"]

NAMES: Mapping[Quantity, tuple[str, ...]] = {
    "charge": ("charge", "total_charge"),
    "spin": ("spin", "total_spin", "multiplicity", "spin_multiplicity"),
}
"""What files call them, capitals aside. Magnetic moments are none of these: like energies, they are results."""

PLAIN: Mapping[Quantity, tuple[int, ...]] = {"charge": (0,), "spin": (0, 1)}
"""Values of neutral molecules without unpaired electrons: `spin` is their spin, 0, or the multiplicity, 1."""


def check_ignored(ignore: Sequence[str]) -> None:
    """Refuse names of other quantities.

    Raises:
        ValueError: A name is neither `charge` nor `spin`.
    """
    for name in ignore:
        if name not in get_args(Quantity):
            raise ValueError(f"ignore has {name!r}; allowed are {', '.join(map(repr, get_args(Quantity)))}")


def information(atoms: Atoms) -> dict[str, Any]:
    """What is known of atoms by name, columns of a database included."""
    return {**atoms.info.get("key_value_pairs", {}), **atoms.info}


def check_electrons(atoms: Atoms, ignore: Sequence[str]) -> None:
    """Refuse charged or open-shell atoms, whose energy a potential would take for that of the same neutral ones.

    The total charge is also the sum of the initial charges, as calculators of ASE take it.

    Args:
        atoms: As ASE reads them.
        ignore: Quantities that may have any value: `charge`, `spin`.

    Raises:
        ValueError: A quantity that is not ignored has another value than `PLAIN`.

    >>> from ase.build import molecule
    >>> check_electrons(molecule("OH", info={"multiplicity": 2}), ["charge"])
    Traceback (most recent call last):
    ...
    ValueError: multiplicity is 2, but a potential knows elements and positions only: leave such frames out, or, where \
each composition has the same spin in all frames, ignore it (ignore = ['spin'] in [data], --ignore spin)
    """
    known = information(atoms).items()
    given = {key.lower(): (key, value) for key, value in known if value is not None and np.ndim(value) == 0}
    whole = round(float(atoms.get_initial_charges().sum()))  # partial charges add up to it but for their last digits
    given.setdefault("charge", ("the sum of the initial charges", whole))
    for quantity, names in NAMES.items():
        for name in names:
            key, value = given.get(name, (name, PLAIN[quantity][0]))
            if quantity not in ignore and value not in PLAIN[quantity]:
                raise ValueError(
                    f"{key} is {value}, but a potential knows elements and positions only: leave such frames out, or, "
                    f"where each composition has the same {quantity} in all frames, ignore it (ignore = ['{quantity}'] "
                    f"in [data], --ignore {quantity})"
                )
