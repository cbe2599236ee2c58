"""What a product is: the same in normal form, told apart from others, of even paths for any parity."""

from __future__ import annotations

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.nn.spec import ProductSpec
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses


@pytest.mark.parametrize("method", ["exact", "per_path", "cubature"])
@pytest.mark.parametrize(
    ("mode", "channels", "normal"),
    [
        ("uvu", (3, 2), ("uvu", (3, 2))),
        ("uvv", (3, 2), ("uvu", (2, 3))),
        ("uvw", (1, 3, 2), ("uvw", (3, 1, 2))),
        ("uvw", (3, 1, 2), ("uvw", (3, 1, 2))),
    ],
)
def test_normal_form_is_the_same_product(mode, channels, normal, method):
    spec = ProductSpec("0e+1o x 0e+1o+2e -> 0e+1o", channels, mode=mode, method=method)
    found = spec.normal
    assert (found.mode, found.channels) == normal
    assert found.swapped is False
    axes = (0, 2, 1) if spec.swapped else (0, 1, 2)
    for got, wanted in zip(found.tensors, spec.tensors, strict=True):
        assert_close(got, wanted.transpose(axes), 1e-15, f"{found} of {spec}")


def test_fingerprints_tell_tensors_apart():
    """Of other paths, other path weights, other factors, inputs exchanged; not of other channels."""
    weighted = CouplingTensor(1, {**dict.fromkeys(CouplingTensor(1).paths, 1.0), (1, 1, 1): -1.0})
    different = [
        ProductSpec(1, 2),
        ProductSpec(weighted, 2),
        ProductSpec("0+1", 2, method="cubature"),
        ProductSpec(2, 2),
    ]
    prints = np.array([spec.fingerprint for spec in different])
    assert np.abs(prints[:, None] - prints[None]).max(-1)[~np.eye(4, dtype=bool)].min() > 1e-3
    assert ProductSpec(1, 2).fingerprint == ProductSpec(1, 5, mode="uuu").fingerprint


def test_cubature_serves_irreps_without_parity():
    """`e3nn` writes 0e+1e+2e for them. Its paths are those that the degrees allow, so the parity has to allow them."""
    wanted = ProductSpec("0e+1o+2e", 1, method="cubature").array
    for coupling in (2, "0e+1e+2e", CouplingTensor.even("0e+1e+2e")):
        assert np.array_equal(ProductSpec(coupling, 1, method="cubature").array, wanted)
    with refuses(ValueError, "0e+1e+2o", "'exact'"):
        ProductSpec("0e+1e+2o", 1, method="cubature")
