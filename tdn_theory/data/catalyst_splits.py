"""Splits of catalysts by what is new in a system: nothing (ID), its adsorbate, its catalyst, or both (OC20).

Some adsorbates and some compositions are held out. A system with neither of them is trained on, or tests in
distribution; the others test out of distribution, by which of the two they have:

    | | adsorbate trained on | held out |
    |---|---|---|
    | composition trained on | `train`, `id` | `ood_ads` |
    | held out | `ood_cat` | `ood_both` |
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

import numpy as np
from jaxtyping import Int64

from tdn_theory.data.structure import Structure

PARTS = ("train", "id", "ood_ads", "ood_cat", "ood_both")


def adsorbate(structure: Structure) -> str:
    """The formula of the atoms with tag 2, in Hill's order; empty if there are none.

    Raises:
        ValueError: The structure has no tags.
    """
    return _formula(structure.numbers[_tags(structure) == 2])


def composition(structure: Structure) -> str:
    """The elements of the catalyst, the atoms of other tags than 2, in alphabetical order, as `Cu-Pt`.

    Raises:
        ValueError: The structure has no tags.
    """
    from ase.data import chemical_symbols

    numbers = structure.numbers[_tags(structure) != 2]
    return "-".join(sorted({chemical_symbols[number] for number in numbers}))


def split_catalysts(
    adsorbates: Sequence[str],
    compositions: Sequence[str],
    held_out: tuple[float, float] = (0.2, 0.2),
    in_distribution: float = 0.1,
    seed: int = 0,
    new_elements: bool = True,
) -> dict[str, Int64[np.ndarray, " s"]]:
    """Numbers of the systems in each of `PARTS`.

    Args:
        adsorbates: Adsorbate of each system.
        compositions: Composition of the catalyst of each system.
        held_out: Fractions of the adsorbates and of the compositions that are held out, at least one of each; of a
            fraction 0 nothing is, and there are no parts for it.
        in_distribution: Fraction of the systems with neither of them that tests, at least one.
        seed: Seed of both choices, which depends on the names and the number of systems alone.
        new_elements: Whether held out compositions may have elements that no other one has; if not, fewer are held out
            where need be.

    Raises:
        ValueError: A fraction is not between 0 and 1, or a part would be empty.
    """
    right = all(0 <= fraction < 1 for fraction in held_out) and any(held_out) and 0 < in_distribution < 1
    if not right or len(adsorbates) != len(compositions):
        raise ValueError(
            f"held_out={held_out}, in_distribution={in_distribution}, {len(adsorbates)} adsorbates, "
            f"{len(compositions)} compositions; fractions must be between 0 and 1, and every system have both names"
        )
    rng = np.random.default_rng(seed)
    new = []
    for names, fraction in zip((adsorbates, compositions), held_out, strict=True):
        known = sorted(set(names))
        count = max(1, round(fraction * len(known))) if fraction else 0
        order = rng.permutation(known).tolist()
        chosen = order[:count] if new_elements or names is adsorbates else _of_known_elements(order, count)
        new.append(np.isin(np.array(names), chosen))
    new_adsorbate, new_composition = new
    rest = rng.permutation(np.flatnonzero(~new_adsorbate & ~new_composition))
    tested = max(1, round(in_distribution * len(rest)))
    found = {
        "train": np.sort(rest[tested:]),
        "id": np.sort(rest[:tested]),
        "ood_ads": np.flatnonzero(new_adsorbate & ~new_composition),
        "ood_cat": np.flatnonzero(~new_adsorbate & new_composition),
        "ood_both": np.flatnonzero(new_adsorbate & new_composition),
    }
    for fraction, alone in zip(held_out, ("ood_ads", "ood_cat"), strict=True):
        if not fraction:
            found = {name: numbers for name, numbers in found.items() if name not in (alone, "ood_both")}
    empty = [name for name, numbers in found.items() if not len(numbers)]
    if empty:
        raise ValueError(
            f"{len(adsorbates)} systems of {len(set(adsorbates))} adsorbates on {len(set(compositions))} compositions "
            f"leave nothing for {', '.join(empty)}; give more systems, or hold out other fractions"
        )
    return found


def _of_known_elements(compositions: Sequence[str], count: int) -> list[str]:
    """The first of the compositions, at most so many, without which the others still have all elements."""
    chosen = list[str]()
    for name in compositions:
        held = {*chosen, name}
        if len(held) <= count and _elements(held) <= _elements(set(compositions) - held):
            chosen.append(name)
    return chosen


def _elements(compositions: Iterable[str]) -> set[str]:
    return {element for composition in compositions for element in composition.split("-")}


def _tags(structure: Structure) -> np.ndarray:
    if structure.tags is None:
        raise ValueError(f"{structure} has no tags, which say what the adsorbate is; give them (2 of the adsorbate)")
    return structure.tags


def _formula(numbers: np.ndarray) -> str:
    from ase.formula import Formula
    from ase.symbols import Symbols

    return str(Formula(str(Symbols(numbers))).format("hill")) if len(numbers) else ""
