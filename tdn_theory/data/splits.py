"""Splits by group: a molecule or trajectory is in one part only, so that no part has seen another's."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf

import numpy as np

from tdn_theory.data.packed import Packed, pack
from tdn_theory.data.structure import Structure

TRIES = 200
"""Orders of the groups that are tried where they differ in size."""

FAR = 2.0
"""A part is far from its fraction if it has more than so many times as many structures, or fewer by that factor."""


def split_by_group(
    structures: Sequence[Structure], fractions: Sequence[float] = (0.6, 0.2, 0.2), seed: int = 0
) -> list[Packed]:
    """Split structures so that no group is in two parts; structures keep their order.

    Groups are dealt out at random. Where that gives a part more than `FAR` times its share of the structures, or less,
    since groups differ in size, other orders are tried, and the nearest of `TRIES` is taken.

    Args:
        structures: What to split; their `group` says what belongs together.
        fractions: Share of each part, of sum 1. A part of fraction 0 is empty, any other has a group.
        seed: Seed of the choice, which depends on nothing else but the groups, their sizes and the fractions.

    Raises:
        ValueError: A fraction is negative, they do not add up to 1, or there are too few groups.
    """
    shares = np.asarray(fractions, float)
    if not (shares >= 0).all() or abs(shares.sum() - 1) > 1e-9:
        raise ValueError(f"fractions are {list(fractions)}; they must not be negative, and add up to 1")
    packed = pack(structures)
    numbers, group, sizes = np.unique(packed.column("group"), return_inverse=True, return_counts=True)
    names = [packed.texts["group"][number] for number in numbers.tolist()]
    groups = sorted(range(len(names)), key=names.__getitem__)  # so that the choice does not depend on their order
    if len(groups) < np.count_nonzero(shares):
        raise ValueError(
            f"{len(groups)} groups cannot fill {np.count_nonzero(shares)} parts without cutting a group "
            f"(the first is {[names[number] for number in groups[:1]]}); give each part files of its own, name finer "
            "groups, or choose split = 'structure', where structures of one group are in all parts"
        )
    counts = np.maximum(np.floor(shares * len(groups)).astype(int), shares > 0)
    while counts.sum() < len(groups):
        counts[np.argmax(shares * len(groups) - counts)] += 1
    while counts.sum() > len(groups):
        counts[np.argmax(counts - shares * len(groups) - (counts <= 1) * len(groups))] -= 1
    of_group = sizes[groups]
    rng, best, nearest = np.random.default_rng(seed), np.zeros(0, int), inf
    for _ in range(TRIES):
        part = np.empty(len(groups), int)
        order = rng.permutation(len(groups))
        for number, chosen in enumerate(np.split(order, np.cumsum(counts)[:-1])):
            part[chosen] = number
        distance = _distance(np.bincount(part, of_group, len(shares)), shares)
        if distance < nearest:
            best, nearest = part, distance
        if nearest <= FAR:
            break
    if nearest > FAR:
        dealt = _dealt(of_group, shares)
        if _distance(np.bincount(dealt, of_group, len(shares)), shares) < nearest:
            best = dealt
    part_of = np.empty(len(groups), int)
    part_of[groups] = best
    return [packed.select(np.flatnonzero(part_of[group] == number)) for number in range(len(shares))]


def _distance(sizes: np.ndarray, shares: np.ndarray) -> float:
    """The largest factor by which a part has more or fewer structures than its share."""
    kept = shares > 0
    ratios = sizes[kept] / (shares[kept] * sizes.sum())
    return float(np.maximum(ratios, 1 / np.maximum(ratios, 1e-300)).max())


def _dealt(sizes: np.ndarray, shares: np.ndarray) -> np.ndarray:
    """The part of each group if the largest group left goes to the part that lacks most; none stays empty."""
    part, left = np.empty(len(sizes), int), shares * sizes.sum()
    order = np.argsort(-sizes, kind="stable")
    empty = set(np.flatnonzero(shares > 0).tolist())
    for place, group in enumerate(order):
        allowed = list(empty) if len(order) - place <= len(empty) else np.flatnonzero(shares > 0).tolist()
        part[group] = max(allowed, key=lambda number: left[number])
        left[part[group]] -= sizes[group]
        empty.discard(int(part[group]))
    return part
