"""Whether the sets of a run can be trained, validated and tested on, before the first step; and what they hold."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

import numpy as np

from tdn_theory.data.elements import check_elements
from tdn_theory.data.packed import Packed
from tdn_theory.data.splits import FAR
from tdn_theory.data.summary import summary
from tdn_theory.training.config import DataConfig
from tdn_theory.training.sources import Splits


def check_labels(splits: Splits, terms: Iterable[str]) -> None:
    """Every term of the loss has labels to learn from.

    Raises:
        ValueError: A term has none in the training set.
    """
    present = splits.train.labels
    for label in terms:
        if label not in present:
            raise ValueError(
                f"[loss.{label}] has a weight, but no structure of the training set has {label}, only "
                f"{', '.join(sorted(present)) or 'no label'}; name it (data.{label}_key), or set the weight to 0"
            )


def check_known_elements(splits: Splits, elements: Sequence[int]) -> None:
    """Validation and test sets have no element that the potential does not know.

    Raises:
        ValueError: One has; the message names the set.
    """
    for name in ("validation", "test"):
        check_elements(getattr(splits, name).elements, elements, f"the {name} set cannot be used: the potential")


def check_places(splits: Splits) -> None:
    """No two atoms of a structure are at the same place; images are not looked at.

    Raises:
        ValueError: Two are; the message names the set and the structure.
    """
    for name in ("train", "validation", "test"):
        structures: Packed = getattr(splits, name)
        found = np.flatnonzero(structures.column("nearest") == 0)
        if len(found):
            raise ValueError(
                f"structure {found[0]} of the {name} set, {structures[found[0]]}, has two atoms at the same place; "
                "remove one of them, or the structure"
            )


def describe(splits: Splits, config: DataConfig, elements: Sequence[int], cutoff: float) -> str:
    """Sizes of the sets, what the training set holds, and what looks wrong, in a few lines.

    Args:
        splits: The sets.
        config: What they were made by.
        elements: Atomic numbers that the potential has.
        cutoff: Of the potential, Angstrom.
    """
    from ase.data import chemical_symbols

    sets = {name: getattr(splits, name) for name in ("train", "validation", "test")}
    sizes = "structures: " + ", ".join(f"{name} {len(structures)}" for name, structures in sets.items())
    found = summary(splits.train, cutoff)
    warnings = list(found.warnings)
    absent = [chemical_symbols[z] for z in elements if chemical_symbols[z] not in found.elements]
    if absent:
        warnings.append(f"no training structure has {', '.join(absent)}, of model.elements: nothing is learnt of them")
    whole, one_source = sum(map(len, sets.values())), not (config.validation_files or config.test_files)
    for name in ("validation", "test"):
        fraction, share = getattr(config, name), len(sets[name]) / whole
        if one_source and fraction and not fraction / FAR <= share <= fraction * FAR:
            warnings.append(
                f"{100 * share:.0f} % of the structures are in the {name} set where data.{name} says "
                f"{100 * fraction:.0f} %, since groups differ in size: name finer groups, or give files"
            )
    return f"{sizes}\n{replace(found, warnings=tuple(warnings))}"
