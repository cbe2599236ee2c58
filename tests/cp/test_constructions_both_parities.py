"""Products of features with both parities, against the selection rule of parity."""

import numpy as np
import pytest

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.constructions.both_parities import both_parities, doubled
from tdn_theory.cp.constructions.matrix_multiplication import matrix_multiplication
from tdn_theory.cp.constructions.outer_product import outer_product


@pytest.mark.parametrize("text", ["0+1", "0+1+2", "0+2 x 1+1 -> 1+3", "3 x 2 -> 1"])
def test_each_path_has_the_weight_of_the_same_degrees(text, rng):
    rotations = Coupling.of(text)
    weights = rng.uniform(1, 2, len(rotations.paths))
    factors = outer_product(CouplingTensor(rotations, weights))
    coupling = doubled(rotations)
    given = dict(zip(rotations.paths, weights, strict=True))
    n, m = len(rotations.x), len(rotations.z)
    expected = CouplingTensor(coupling, {p: given[p.x % n, p.y, p.z % m] for p in coupling.paths})
    found = both_parities(factors, rotations)
    assert found.rank == 2 * factors.rank
    np.testing.assert_allclose(found.array, expected.array, rtol=0, atol=1e-15)


def test_parity_selects_half_of_the_paths_of_rotations():
    coupling = doubled(Coupling.of(2))
    assert len(coupling.paths) == 2 * 15
    assert both_parities(matrix_multiplication(2), Coupling.of(2)).dims == coupling.dims == (18, 9, 18)
