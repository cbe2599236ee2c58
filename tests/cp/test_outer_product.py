"""T2's decomposition is exact to the last bit."""

import numpy as np
from hypothesis import given

from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.testing.strategies import coupling_tensors


@given(coupling_tensors(max_lmax=3))
def test_outer_product_reproduces_the_tensor(tensor):
    factors = outer_product(tensor)
    assert factors.rank == tensor.dims[0] * tensor.dims[1]
    np.testing.assert_array_equal(factors.array, tensor.array)
