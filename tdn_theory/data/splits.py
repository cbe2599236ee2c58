"""Splits by group: a molecule or trajectory is in one part only, so that no part has seen another's."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from tdn_theory.data.structure import Structure


def split_by_group(
    structures: Sequence[Structure], fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> list[list[Structure]]:
    """Split structures so that no group is in two parts; structures keep their order.

    Args:
        structures: What to split; their `group` says what belongs together.
        fractions: Share of the groups in each part, of sum 1. A part of fraction 0 is empty, any other has a group.
        seed: Seed of the choice, which depends on nothing else but the set of groups and the fractions.

    Raises:
        ValueError: A fraction is negative, they do not add up to 1, or there are too few groups.
    """
    shares = np.asarray(fractions, float)
    if not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"fractions are {list(fractions)}; they must not be negative, and add up to 1")
    groups = sorted({structure.group for structure in structures})
    if len(groups) < np.count_nonzero(shares):
        raise ValueError(
            f"{len(groups)} groups cannot fill {np.count_nonzero(shares)} parts without cutting a group "
            f"(the first is {groups[:1]}); give each part files of its own, or name finer groups"
        )
    counts = np.maximum(np.floor(shares * len(groups)).astype(int), shares > 0)
    while counts.sum() < len(groups):
        counts[np.argmax(shares * len(groups) - counts)] += 1
    while counts.sum() > len(groups):
        counts[np.argmax(counts - shares * len(groups) - (counts <= 1) * len(groups))] -= 1
    order = np.random.default_rng(seed).permutation(len(groups))
    part = {
        groups[index]: number
        for number, chosen in enumerate(np.split(order, np.cumsum(counts)[:-1]))
        for index in chosen
    }
    return [[s for s in structures if part[s.group] == number] for number in range(len(shares))]
