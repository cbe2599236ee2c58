"""The least exact factors known of a coupling: proven in the atlas, or fitted and kept in the store."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import permutations

import numpy as np

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.store import Store
from tdn_theory.so3.irreps import Irreps


def least_exact(tensor: CouplingTensor, store: Store) -> CPFactors:
    """Factors of fewest terms of an exactly equivariant product with all paths of a coupling alive.

    Entries of the atlas have path weights of their own; stored solutions have those of `tensor`. An entry also serves
    the couplings that are a part of its own, in any order of x, y and z: leaving out slots of an exact product leaves
    an exact one, and so does exchanging its modes. What is found is scaled to the norm of `tensor`.

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
    known = [factors for entry in atlas.entries() for factors in parts(entry, coupling)]
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


def parts(entry: atlas.AtlasEntry, coupling: Coupling) -> Iterator[CPFactors]:
    """The factors of an entry, cut to the slots of a coupling, in each order of modes that leaves its paths alive.

    Exchanging modes makes an equivariant tensor of another one: representations by orthogonal matrices are their own
    duals. Slots that no path has get zeros, and terms that are zero after the cut are left out.
    """
    factors = (entry.factors.A, entry.factors.B, entry.factors.C)
    for order in permutations(range(3)):
        chosen = _slots([entry.coupling.modes[mode] for mode in order], coupling)
        if chosen is None:
            continue
        alive = {tuple((path.z, path.x, path.y)[mode] for mode in order) for path in entry.alive}
        z, x, y = chosen
        found = {(i, j, k) for k, a in z.items() for i, b in x.items() for j, c in y.items() if (a, b, c) in alive}
        if found != set(coupling.paths):
            continue
        cut = []
        for mode, wanted, where in zip(order, chosen, coupling.slices, strict=True):
            rows = np.zeros((where[-1].stop, entry.rank))
            for slot, taken in wanted.items():
                rows[where[slot]] = factors[mode][entry.coupling.slices[mode][taken]]
            cut.append(rows)
        used = np.all([np.any(rows != 0, axis=0) for rows in cut], axis=0)
        yield CPFactors(*(rows[:, used] for rows in cut))


def _slots(modes: Sequence[Irreps], coupling: Coupling) -> list[dict[int, int]] | None:
    """Which slots of `modes` to take for those of the modes of a coupling that have a path; none if some are missing.

    Degrees must be the same, and parities are if that is possible.
    """
    chosen = []
    for mode, (have, wanted) in enumerate(zip(modes, coupling.modes, strict=True)):
        left, slots = list(range(len(have))), dict[int, int]()
        for slot in sorted({(path.z, path.x, path.y)[mode] for path in coupling.paths}):
            alike = [n for n in left if have[n].l == wanted[slot].l]
            if not alike:
                return None
            slots[slot] = min(alike, key=lambda n: have[n] != wanted[slot])
            left.remove(slots[slot])
        chosen.append(slots)
    return chosen
