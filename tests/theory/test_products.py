"""What theory takes for a product, and that it refuses what is none."""

from __future__ import annotations

from collections.abc import Callable

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.nn import TensorProduct
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory import equivariance
from tdn_theory.theory.products import as_tensor
from tests.assertions import refuses

MACE = "0e+1o+2e x 0e+1o+2e+3o -> 0e+1o+2e"


class Scaled(torch.nn.Module):
    """A bilinear module with a parameter."""

    def __init__(self, tensor: np.ndarray) -> None:
        super().__init__()
        self.tensor = torch.nn.Parameter(torch.tensor(tensor, dtype=torch.float32))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kij,...i,...j->...k", self.tensor, x, y)


@given(st.data(), strategies.couplings(), st.sampled_from([1e-200, 1.0, 1e200]))
@settings(max_examples=25)
def test_all_ways_in(data: st.DataObject, coupling: Coupling, scale: float) -> None:
    """The tensor, factors, functions of arrays and of tensors, of batches and of single vectors: all the same."""
    factors = data.draw(strategies.factors(coupling.shape).filter(lambda f: f.condition < 100))
    wanted = scale * factors.array
    tensor = torch.from_numpy(wanted.copy())
    single = np.vectorize(lambda x, y: np.einsum("kij,i,j->k", wanted, x, y), signature="(i),(j)->(k)")
    for product in (
        wanted,
        CPFactors(scale * factors.A, factors.B, factors.C),
        lambda x, y: scale * factors(x, y),
        lambda x, y: torch.einsum("kij,...i,...j->...k", tensor, x, y),
        single,
    ):
        found, known = as_tensor(product, coupling)
        assert known == coupling
        assert_close(found, wanted, 1e-13 * np.linalg.norm(factors.array) * scale, "as_tensor(product)")


def test_a_product_brings_its_coupling() -> None:
    tensor = CouplingTensor(MACE)
    for product in (tensor, TensorProduct(MACE, 1), TensorProduct(tensor, 4, method="per_path")):
        array, coupling = as_tensor(product)
        assert coupling == tensor.coupling
        assert np.array_equal(array, tensor.array)
    assert as_tensor(np.zeros((9, 9, 9)))[1] == Coupling.of(2)
    assert as_tensor(np.zeros((9, 9, 9)), "0e+1o+2e")[1] == Coupling.of("0e+1o+2e")


def test_modules_keep_their_precision() -> None:
    """Read in float32, the tensor is right to its last digit; in half precision nothing can be told."""
    tensor = CouplingTensor(MACE)
    found, _ = as_tensor(Scaled(tensor.array), MACE)
    assert_close(found, tensor.array, 2.0**-24, "as_tensor(module)")
    with refuses(ValueError, "unit roundoff", "double"):
        as_tensor(Scaled(tensor.array).bfloat16(), MACE)


def test_an_exact_product_of_a_network_has_no_error() -> None:
    """One definition: the layer says of itself what theory says of it, on parts of a cube, too."""
    for coupling in (2, MACE, "0+1 x 0+1+2 -> 1"):
        for method in ("exact", "cubature"):
            product = TensorProduct(coupling, 3, method=method)
            assert_close(equivariance.rms_error_relative_to_output(product), product.equivariance_error, 1e-13, method)
            assert equivariance.rms_error_relative_to_output(product) < 1e-12
    noisy = TensorProduct("0e+1o", 2, method=CPFactors(*np.random.default_rng(0).standard_normal((3, 4, 5))))
    assert equivariance.rms_error_relative_to_output(noisy) == noisy.equivariance_error > 0.1


RNG = np.random.default_rng(0)
T = CouplingTensor(1).array


def plain(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    return np.einsum("kij,...i,...j->...k", T, x, y)


NOT_BILINEAR: dict[str, Callable] = {
    "constant": lambda x, y: plain(x, y) + 1e-6,
    "linear in x alone": lambda x, y: plain(x, y) + 1e-6 * x,
    "quadratic in x": lambda x, y: plain(x, y) + 1e-6 * x * x * y,
    "even": lambda x, y: np.abs(plain(x, y)),
    "normalised": lambda x, y: plain(x, y) / (1 + 1e-6 * np.sum(x * x, axis=-1, keepdims=True)),
    "right at unit vectors": lambda x, y: plain(x, y) + 1e-6 * (x**3 - x) * y,
    "random": lambda x, y: plain(x, y) + 1e-6 * RNG.standard_normal(x.shape),
}


@pytest.mark.parametrize("name", NOT_BILINEAR)
def test_what_is_not_bilinear_is_refused(name: str) -> None:
    with refuses(ValueError, "not bilinear", "rounding explains"):
        as_tensor(NOT_BILINEAR[name], 1)


def test_errors_teach() -> None:
    with refuses(ValueError, "give its coupling", "'0e+1o+2e'"):
        as_tensor(plain)
    with refuses(ValueError, "(4, 4, 9)", "give its coupling"):
        as_tensor(np.zeros((4, 4, 9)))
    with refuses(ValueError, "(4, 4, 4)", "(9, 4, 4)"):
        as_tensor(T, "0+1 x 0+1 -> 0+1+2")
    with refuses(ValueError, "function returns shape (3, 16)", "components last"):
        as_tensor(lambda x, y: np.zeros((3, len(x))), 1)
    with refuses(ValueError, "NaN"):
        as_tensor(lambda x, y: np.full_like(x, np.nan), 1)
    with refuses(TypeError, "dtype"):
        as_tensor("0e+1o")
    with refuses(TypeError, "complex", "real"):
        as_tensor(T * 1j)
