"""What is said when atoms are of an element that a potential, or a table of energies, does not know."""

from __future__ import annotations

from collections.abc import Iterable


def check_elements(numbers: Iterable[int], known: Iterable[int], who: str) -> None:
    """Refuse unknown elements.

    Args:
        numbers: Atomic numbers.
        known: Those allowed.
        who: Who knows them.

    Raises:
        ValueError: An element is unknown; the message names it, and those that are known.

    >>> check_elements([1, 1, 17], (1, 6, 8), "the potential")
    Traceback (most recent call last):
    ...
    ValueError: the potential does not know Cl, only H, C, O; train on structures that have them
    """
    known = list(known)
    strangers = sorted(set(numbers) - set(known))
    if strangers:
        from ase.data import chemical_symbols

        names, allowed = (", ".join(chemical_symbols[z] for z in some) for some in (strangers, known))
        raise ValueError(f"{who} does not know {names}, only {allowed}; train on structures that have them")
