"""Products whose tensor is a part of a cube's: which rows of the cube's CP factors decompose them."""

from __future__ import annotations

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.so3.irreps import Irreps, component_slice


def whole(tensor: CouplingTensor) -> CouplingTensor:
    """The smallest tensor of degrees 0..L that has this one as a part; its CP factors, cut to `rows`, decompose it.

    Raises:
        ValueError: A degree occurs twice in x, y or z, weights differ from 1, or the paths are neither all that the
            degrees allow nor the even ones of them.
    """
    coupling = tensor.coupling
    lmax = max(irrep.l for irreps in coupling.modes for irrep in irreps)
    if all(len({irrep.l for irrep in irreps}) == len(irreps) for irreps in coupling.modes):
        every, even = CouplingTensor(lmax), CouplingTensor.even(lmax)
        for found in (even, every) if coupling.parity else (every, even):
            if np.array_equal(found.array[np.ix_(*map(rows, coupling.modes))], tensor.array):
                return found
        if coupling.cube:  # any path weights, if nothing is cut
            return CouplingTensor(lmax, dict(zip(tensor.paths, tensor.block_weights, strict=True)))
    raise ValueError(
        f"{tensor} is no part of one whole coupling tensor, so no CP factors are known: it needs each degree at most "
        "once in x, y and z, and all paths that the degrees allow with weight 1, or the even ones of them; use method "
        "'exact'"
    )


def rows(irreps: Irreps) -> list[int]:
    """Components that these irreps occupy in features of degrees 0..L."""
    parts = (component_slice(irrep.l) for irrep in irreps)
    return [row for part in parts for row in range(part.start, part.stop)]
