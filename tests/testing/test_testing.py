"""What users get for their tests: right things pass, wrong ones are refuted, and the messages say how."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.data.graph import Graph
from tdn_theory.nn import TensorProduct
from tdn_theory.so3.quadrature import rotation_quadrature
from tdn_theory.so3.rotation import haar_rotations, wigner_D
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_bound_holds, assert_close, assert_equivariant, assert_same_product
from tdn_theory.testing.potential import NEEDS, PotentialContract
from tdn_theory.testing.tolerances import Tolerances
from tdn_theory.theory.equivariance import (
    equivariance_error,
    injective_norm_bound,
    non_equivariant_part,
    supremum_bound,
    supremum_search,
)
from tdn_theory.theory.witness import witness
from tests.assertions import refuses


@pytest.mark.parametrize("degree", [0, 1, 2, 3, 4, 6, 7])
def test_quadrature_is_exact_to_its_degree_and_not_beyond(degree: int) -> None:
    rotations, weights = rotation_quadrature(degree)
    average = np.einsum("n,nij->ij", weights, wigner_D(degree, rotations))
    wanted = np.zeros_like(average)
    wanted[0, 0] = 1
    assert_close(average, wanted, 1e-13, "average of D")
    above = np.abs(np.einsum("n,nij->ij", weights, wigner_D(2 * degree + 2, rotations))[1:, 1:]).max()
    assert above > 1e-3
    with refuses(ValueError, "200", "131"):
        rotation_quadrature(200)


@given(strategies.coupling_tensors(0, 2), strategies.seeds())
@settings(max_examples=15)
def test_the_witness_proves_what_it_says(tensor: CouplingTensor, seed: int) -> None:
    """Its value is an error that occurs, at least half of what the certified bound allows for |N| that is known."""
    array = np.random.default_rng(seed).standard_normal(tensor.array.shape)
    found = witness(array, tensor.coupling, seed)
    again = equivariance_error(array, found.rotation, found.x, found.y, tensor.coupling)
    assert_close(found.value, again, 1e-12 * float(np.linalg.norm(array)), "witness")
    assert found.value <= supremum_bound(array, coupling=tensor.coupling).value
    N = non_equivariant_part(array, tensor.coupling)
    assert found.value >= 0.6 * injective_norm_bound(N)  # the relaxation is up to 1.5 times too large


@pytest.mark.parametrize("lmax", [1, 2])
def test_the_witness_is_near_the_best_that_is_known(lmax: int) -> None:
    d = (lmax + 1) ** 2
    for seed in range(3):
        array = np.random.default_rng(seed).standard_normal((d, d, d))
        assert witness(array).value > 0.8 * supremum_search(array, starts=2).value


def test_equivariant_products_of_every_kind_pass() -> None:
    tensor = CouplingTensor(1)
    layer = TensorProduct(tensor, 1)
    for product in (tensor, tensor.array, lambda x, y: np.einsum("kij,ni,nj->nk", tensor.array, x, y)):
        assert_equivariant(product, 1)
        assert_equivariant(product, 1, norm=tensor.norm)
        assert_same_product(product, tensor.array)
    assert_equivariant(layer, 1)
    assert_equivariant(Single(tensor.array), 1)


class Single(torch.nn.Module):
    """A product in single precision."""

    def __init__(self, array: np.ndarray, spoil: float = 0.0) -> None:
        super().__init__()
        spoilt = array.copy()
        spoilt[1, 2, 3] += spoil
        self.register_buffer("tensor", torch.tensor(spoilt, dtype=torch.float32))

    def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        return torch.einsum("kij,ni,nj->nk", self.tensor, x, y)


def test_products_that_are_not_equivariant_fail() -> None:
    array = CouplingTensor(1).array
    wrong = array.copy()
    wrong[1, 2, 3] += 1e-9
    with pytest.raises(AssertionError, match="should be"):
        assert_equivariant(wrong, 1)
    with pytest.raises(AssertionError, match="should be"):
        assert_equivariant(Single(array, 1e-2), 1)
    with pytest.raises(AssertionError, match="not zero"):
        assert_equivariant(np.zeros((4, 4, 4)), 1)
    with pytest.raises(AssertionError, match="norm of the tensor"):
        assert_equivariant(array, 1, norm=1.0)


def test_right_bounds_hold_and_wrong_ones_are_refuted() -> None:
    """Twice the injective norm bounds; half of it does not, and the message shows where."""

    @given(strategies.factors((4, 4, 4)))
    @settings(max_examples=20)
    def right(factors: CPFactors) -> None:
        assert_bound_holds(lambda product: supremum_bound(product).value, factors)

    right()

    @given(strategies.factors((4, 4, 4)))
    def wrong(factors: CPFactors) -> None:
        assert_bound_holds(lambda product: supremum_bound(product).value / 3, factors)

    with pytest.raises(AssertionError, match=r"which occurs.* at rotation = .*, x = .*, y = "):
        wrong()
    with pytest.raises(AssertionError, match="which occurs"):
        assert_bound_holds(0.1, np.random.default_rng(0).standard_normal((4, 4, 4)))


def test_tolerances_are_a_ladder() -> None:
    for dtype in ("float32", "float64"):
        rungs = Tolerances.of(dtype)
        steps = [rungs.rounding, rungs.reordered, rungs.product, rungs.derivative]
        assert steps == sorted(steps)
        assert steps[-1] < 1e-2
    with refuses(TypeError, "int64", "float32"):
        Tolerances.of("int64")


def test_sums_in_another_order_agree_to_the_rung() -> None:
    rng = np.random.default_rng(0)
    for dtype in (np.float32, np.float64):
        terms = rng.random(1000).astype(dtype)
        one, other = (np.add.accumulate(t)[-1] for t in (terms, terms[::-1]))
        assert abs(one - other) <= Tolerances.of(dtype).reordered * abs(one)


def repulsion(graph: Graph) -> dict[str, torch.Tensor]:
    """`sum (1 - r/4)^4` over pairs within 4 Angstrom, with its forces."""
    positions = graph.positions.clone().requires_grad_()
    vectors = positions[graph.source] - positions[graph.target]
    lengths = torch.linalg.vector_norm(vectors, dim=1)
    energy = ((1 - lengths / 4) ** 4).new_zeros(graph.count)
    energy = energy.index_add(0, graph.batch[graph.target], 10 * (1 - lengths / 4) ** 4)
    (gradient,) = torch.autograd.grad(energy.sum(), positions)
    return {"energy": energy.detach(), "forces": -gradient}


class TestRepulsion(PotentialContract):
    """Molecules only."""

    periodic, parity = False, True

    @pytest.fixture
    def model(self):
        return repulsion


def test_flags_choose_the_tests() -> None:
    class Direct(PotentialContract):
        conservative = smooth = False

    assert {name for name in dir(PotentialContract) if name.startswith("test_") and getattr(Direct, name) is None} == {
        *NEEDS["conservative"],
        *NEEDS["smooth"],
        *NEEDS["parity"],
    }


def test_a_chiral_potential_has_no_parity() -> None:
    def chiral(graph: Graph) -> dict[str, torch.Tensor]:
        a, b, c = (graph.positions[k] - graph.positions[3] for k in range(3))
        return {"energy": torch.linalg.det(torch.stack([a, b, c]))[None]}

    with pytest.raises(AssertionError, match="inverted"):
        PotentialContract().test_inversion(chiral)


def test_haar_rotations_are_averaged_too() -> None:
    """The weights are those of the Haar measure: a polynomial in R of degree 4 agrees with sampling."""
    rotations, weights = rotation_quadrature(4)
    sample = haar_rotations(20000, np.random.default_rng(0))

    def f(R: np.ndarray) -> np.ndarray:
        return R[:, 0, 0] ** 2 * R[:, 1, 2] ** 2 + R[:, 0, 1] ** 4

    assert_close(weights @ f(rotations), f(sample).mean(), 6 * f(sample).std() / np.sqrt(20000), "average")
