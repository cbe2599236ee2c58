"""The least exact factors known of a coupling: proven in the atlas, or fitted and kept in the store."""

from __future__ import annotations

import numpy as np

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.store import Store


def least_exact(tensor: CouplingTensor, store: Store) -> CPFactors:
    """Factors of fewest terms of an exactly equivariant product with all paths of a coupling alive.

    Entries of the atlas have path weights of their own; stored solutions have those of `tensor`. An entry also serves
    the couplings that are a part of its own: leaving out slots of an exact product leaves an exact one. What is found
    is scaled to the norm of `tensor`.

    Args:
        tensor: All admissible paths of the coupling, with weight 1.
        store: Where fitted solutions are kept; exact ones count.

    Raises:
        ValueError: A path is missing or weighted.
        LookupError: None is known; the message says how to fit one.
    """
    coupling = tensor.coupling
    if set(coupling.paths) != set(coupling.complete.paths) or set(tensor.weights) != {1.0}:
        raise ValueError(
            f"{tensor} has other paths or weights than all admissible ones with weight 1; exact CP factors have path "
            "weights of their own and would replace these: use method 'exact', or give the factors"
        )
    parts = [part(entry, coupling) for entry in atlas.entries()]
    known = [factors for factors in parts if factors is not None]
    if 1 in tensor.dims[:2]:  # with one scalar there is one product for each component of the other input
        known.append(outer_product(tensor))
    fitted = [entry for entry in store.entries(tensor) if entry.exact]
    if fitted:
        known.append(store.load(min(fitted, key=lambda entry: (entry.rank, entry.condition))).factors)
    if not known:
        raise LookupError(
            f"no exact CP factors of {coupling} are known, in the atlas or in the store; fit them with "
            f"'tdn-theory cp fit \"{coupling}\" --rank R', raising R until the residual is roundoff"
        )
    least = min(known, key=lambda factors: factors.rank)
    return CPFactors(least.A * (tensor.norm / np.linalg.norm(least.array)), least.B, least.C)


def part(entry: atlas.AtlasEntry, coupling: Coupling) -> CPFactors | None:
    """The factors of an entry, cut to the slots of a coupling, or none if that does not leave its paths alone alive.

    Terms that are zero after the cut are left out.
    """
    chosen: list[list[int]] = []
    for have, wanted in zip(entry.coupling.modes, coupling.modes, strict=True):
        left, slots = list(range(len(have))), []
        for irrep in wanted:
            alike = sorted((n for n in left if have[n].l == irrep.l), key=lambda n: have[n] != irrep)
            slot = next(iter(alike), None)
            if slot is None:
                return None
            left.remove(slot)
            slots.append(slot)
        chosen.append(slots)
    z, x, y = chosen
    alive = set(entry.alive)
    found = {
        (i, j, k) for i in range(len(x)) for j in range(len(y)) for k in range(len(z)) if (x[i], y[j], z[k]) in alive
    }
    if found != set(coupling.paths):
        return None
    cut = []
    for factor, slices, slots in zip(
        (entry.factors.A, entry.factors.B, entry.factors.C), entry.coupling.slices, chosen, strict=True
    ):
        cut.append(np.concatenate([factor[slices[slot]] for slot in slots]))
    used = np.all([np.any(factor != 0, axis=0) for factor in cut], axis=0)
    return CPFactors(*(factor[:, used] for factor in cut))
