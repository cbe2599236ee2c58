"""The product of edges against its definition: gathered, multiplied, weighted and summed edge by edge."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tdn_theory.nn.edge_product import EdgeProduct, YFirstProduct
from tdn_theory.nn.kernels.rows import Rows
from tdn_theory.nn.spec import ProductSpec
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses
from tests.nn import reference

NODES, CHANNELS = 3, 2
SOURCE, TARGET = [0, 1, 1, 0], [0, 0, 2, 2]
"""Node 1 has no edge that leads to it, node 2 none that comes from it."""


@pytest.mark.parametrize("method", ["exact", "per_path"])
@pytest.mark.parametrize(("slots", "inputs"), [(slice(None), 4), (slice(1, 2), 4), (slice(None), 1)])
def test_couple_is_the_sum_over_edges(method, slots, inputs, rng):
    spec = ProductSpec("0e+1o x 0e+1o -> 0e+1o", CHANNELS, method=method, weights="external")
    product = YFirstProduct(spec).double()
    x, other = (rng.standard_normal((NODES, inputs, CHANNELS)) for _ in range(2))
    y, w = rng.standard_normal((4, 4)), rng.standard_normal((4, *spec.weight_shape))
    ends = {"rows": SOURCE, "other_rows": TARGET, "into": TARGET}
    tensors = reference.path_tensors(spec.tensor)
    wanted = np.zeros((NODES, 4, CHANNELS))
    for e, (s, t) in enumerate(zip(SOURCE, TARGET, strict=True)):
        pair = np.zeros((4, CHANNELS))
        pair[:inputs] = x[s] + other[t]
        for number, tensor in enumerate(tensors):
            weight = w[e, number, :, 0] if spec.per_path else w[e, :, 0]
            wanted[t] += np.einsum("kij,iu,j,u->ku", tensor, pair, y[e], weight)
    found = product.couple(
        product.prepare(torch.tensor(y)),
        torch.tensor(x),
        torch.tensor(w),
        slots,
        other=torch.tensor(other),
        **{name: Rows(torch.tensor(rows), NODES) for name, rows in ends.items()},
    )
    assert_close(found, wanted[:, 1:] if slots.start else wanted, 1e-13, f"{product}, {slots}, {inputs}")


def test_networks_take_products_with_harmonics_only():
    for options in ({"mode": "uuu"}, {"channels": (2, 3)}, {"weights": "internal"}):
        spec = ProductSpec(1, **({"channels": 2, "weights": "external"} | options))
        with refuses(ValueError, str(spec), "'uvu'", "(c, 1)", "external"):
            YFirstProduct(spec)


def test_an_order_of_operations_says_how_it_multiplies():
    with pytest.raises(TypeError, match="abstract"):
        EdgeProduct(ProductSpec(1, 2, weights="external"))  # pyright: ignore[reportAbstractUsage]
