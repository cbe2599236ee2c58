"""Products whose tensor is a part of a cube's: which rows of the cube's CP factors decompose them."""

from __future__ import annotations

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.cubature import gaunt, lebedev
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3.irreps import Irreps, component_slice


def whole(tensor: CouplingTensor) -> CouplingTensor:
    """The smallest tensor of degrees 0..L that has this one as a part; its CP factors, `cut`, decompose it.

    Raises:
        ValueError: A degree occurs twice in x, y or z, weights differ from 1, or the paths are neither all that the
            degrees allow nor the even ones of them.
    """
    coupling = tensor.coupling
    lmax = max(irrep.l for irreps in coupling.modes for irrep in irreps)
    if all(len({irrep.l for irrep in irreps}) == len(irreps) for irreps in coupling.modes):
        every, even = CouplingTensor(lmax), CouplingTensor.even(lmax)
        for found in (even, every) if coupling.parity else (every, even):
            if np.array_equal(found.array[np.ix_(*map(_rows, coupling.modes))], tensor.array):
                return found
        if coupling.cube:  # any path weights, if nothing is cut
            return CouplingTensor(lmax, dict(zip(tensor.paths, tensor.block_weights, strict=True)))
    raise ValueError(
        f"{tensor} is no part of one whole coupling tensor, so no CP factors are known: it needs each degree at most "
        "once in x, y and z, and all paths that the degrees allow with weight 1, or the even ones of them; use method "
        "'exact'"
    )


def cut(factors: CPFactors, tensor: CouplingTensor) -> CPFactors:
    """Factors of the whole tensor, cut to the components of this one.

    Raises:
        ValueError: The factors have another size than the whole tensor, or there is none.
    """
    parent = whole(tensor)
    if factors.dims != parent.dims:
        raise ValueError(
            f"{factors} does not fit; {tensor} needs factors of its own irreps, with (d1, d2, d3) = {tensor.dims}, "
            f"or of {parent}, with d = {parent.d}"
        )
    z, x, y = map(_rows, tensor.coupling.modes)
    return CPFactors(factors.A[z], factors.B[x], factors.C[y])


def cubature(tensor: CouplingTensor) -> CPFactors:
    """The Gaunt tensor by the first positive Lebedev rule of degree >= 3L, with the norm of all even unit paths, cut.

    Raises:
        ValueError: The tensor has no even path, or is not a part of a whole one.
    """
    lmax = whole(tensor).lmax
    if not any(path.even for path in tensor.paths):
        raise ValueError(f"{tensor} has odd paths only, of which the cubature product has none: it would be zero")
    degree = max(3, 3 * lmax)
    while True:
        try:
            rule = lebedev(degree)
        except ValueError:
            if degree > 131:  # the largest there is
                raise
        else:
            if rule.seed_weights.min() > 0:
                break
        degree += 1
    factors = gaunt(lmax, rule)
    scale = CouplingTensor.even(lmax).norm / np.linalg.norm(factors.array)
    return cut(CPFactors(factors.A * scale, factors.B, factors.C), tensor)


def _rows(irreps: Irreps) -> list[int]:
    """Components that these irreps occupy in features of degrees 0..L."""
    parts = (component_slice(irrep.l) for irrep in irreps)
    return [row for part in parts for row in range(part.start, part.stop)]
