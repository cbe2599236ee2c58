"""What the benchmarks compare are the products they are named after."""

from __future__ import annotations

import numpy as np
import torch
from e3nn import o3

from tdn_theory.experiments.products import contenders
from tdn_theory.so3.irreps import dim, paths
from tdn_theory.testing.assertions import assert_close

LMAX, CHANNELS, EDGES = 2, 3, 5


def test_released_order_is_the_product_of_its_factors() -> None:
    torch.manual_seed(0)
    d = dim(LMAX)
    x, y, w = (torch.randn(EDGES, *shape, dtype=torch.float64) for shape in ((d, CHANNELS), (d, 1), (CHANNELS, 1)))
    found = contenders.released_order(LMAX, torch.float64)(x, y, w)
    tensor = contenders.adopted_factors(LMAX).array
    wanted = np.einsum("kij,eiu,ej,eu->eku", tensor, x, y[..., 0], w[..., 0])
    assert_close(found, wanted, 1e-12 * np.abs(wanted).max(), "released_order(x, y, w)")


def test_e3nn_has_a_weight_for_every_path() -> None:
    """Its product takes the inputs as they are laid out, and is equivariant for any weights."""
    x, y, w = contenders.flat(LMAX, CHANNELS, EDGES, EDGES, torch.float32)
    assert w.shape == (EDGES, len(paths(LMAX)) * CHANNELS)
    product = contenders.e3nn(LMAX, CHANNELS)
    assert product.weight_numel == w.shape[1]
    turn = o3.rand_matrix()
    features, harmonics = (irreps.D_from_matrix(turn) for irreps in (product.irreps_in1, product.irreps_in2))
    turned = product(x @ features.T, y @ harmonics.T, w)
    wanted = product(x, y, w) @ product.irreps_out.D_from_matrix(turn).T
    assert_close(turned, wanted, 1e-4 * float(wanted.abs().max()), "e3nn(D x, D y, w)")
