"""Tests of the tests: every assertion passes on the right thing and fails on each wrong one, in the promised form."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.so3 import rotation
from tdn_theory.testing.assertions import assert_close, assert_equivariant, assert_representation, assert_same_product
from tdn_theory.theory import bounds, cost, equivariance, rank, universality
from tests import reference
from tests.assertions import (
    assert_any_weights_bound,
    assert_bounds_atlas,
    assert_invariants,
    assert_jacobian,
    assert_kruskal_limit,
    assert_mean_square,
    assert_modular_rank,
    assert_pair_bound,
    assert_projection,
    assert_rank_bound,
    assert_reach,
    assert_relative_error,
    assert_spectrum,
    assert_supremum,
    assert_truncation_bound,
    refuses,
)
from tests.meta import mutants
from tests.theory import test_cost

LMAX = 2
FULL = CouplingTensor(LMAX)
RNG = np.random.default_rng(2)
WEIGHTED = CouplingTensor(LMAX, tuple(RNG.uniform(0.5, 2, 15)), "component")
UNEQUAL = CouplingTensor("1o+0e+1o x 0e+1o+2e -> 2e+1o+1o+1e+0o", RNG.uniform(0.5, 2, 15), "component")
FIRST, SECOND = rotation.haar_rotations(2, RNG)
FAILS = r"got .*, but should be .*\[.*\]"


def name(function: Callable) -> str:
    return function.__name__


def product_of(array: np.ndarray):
    return lambda x, y: np.einsum("kij,ni,nj->nk", array, x, y, optimize=True)


@pytest.mark.parametrize("tensor", [FULL, WEIGHTED, UNEQUAL], ids=repr)
def test_the_right_thing_passes(tensor: CouplingTensor) -> None:
    assert_representation(rotation.wigner_D, LMAX, FIRST, SECOND)
    assert_equivariant(product_of(tensor.array), tensor.coupling, norm=tensor.norm)
    assert_same_product(product_of(tensor.array), tensor.array)
    assert_spectrum(CouplingTensor.singular_values, tensor)
    assert_projection(lambda array: tensor.project(array).array, tensor.coupling)
    assert_projection(lambda array: reference.haar_average(array, tensor.coupling), tensor.coupling)


@pytest.mark.parametrize("wigner_D", mutants.WIGNERS, ids=name)
def test_wrong_wigner_matrices(wigner_D: Callable) -> None:
    """By the test of representations, and by the test of products, which includes it."""
    with pytest.raises(AssertionError, match=FAILS):
        assert_representation(wigner_D, LMAX, FIRST, SECOND)
    with pytest.raises(AssertionError, match=FAILS):
        assert_equivariant(product_of(FULL.array), LMAX, norm=FULL.norm, wigner_D=wigner_D)


@pytest.mark.parametrize("wigner_D", [mutants.transposed, mutants.trivial, mutants.permuted_axes], ids=name)
def test_commuting_is_not_enough(wigner_D: Callable) -> None:
    """These commute with M as the right D does: only the tie to the rotation tells them apart."""
    matrix = wigner_D(LMAX, FIRST)
    turned = np.einsum("lk,kij,ai,bj->lab", matrix, FULL.array, matrix, matrix, optimize=True)
    assert_close(turned, FULL.array, 1e-13, "D M (D (x) D)^T")


@pytest.mark.parametrize("tensor", [FULL, WEIGHTED, UNEQUAL], ids=repr)
@pytest.mark.parametrize("mutant", mutants.NOT_EQUIVARIANT, ids=name)
def test_products_that_are_not_equivariant(mutant: Callable, tensor: CouplingTensor) -> None:
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\[product\(D x, D y\)\]"):
        assert_equivariant(product_of(mutant(tensor)), tensor.coupling, norm=tensor.norm)
    with pytest.raises(AssertionError, match=FAILS):
        assert_same_product(product_of(mutant(tensor)), tensor.array)


@pytest.mark.parametrize("tensor", [FULL, WEIGHTED, UNEQUAL], ids=repr)
@pytest.mark.parametrize("mutant", mutants.WRONG_NORM, ids=name)
def test_products_of_the_wrong_norm(mutant: Callable, tensor: CouplingTensor) -> None:
    """Equivariant all of them, the zero product first: so `assert_equivariant` asks for the norm as well."""
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\[norm of the tensor of product\]"):
        assert_equivariant(product_of(mutant(tensor)), tensor.coupling, norm=tensor.norm)
    with pytest.raises(AssertionError, match=FAILS):
        assert_same_product(product_of(mutant(tensor)), tensor.array)


@pytest.mark.parametrize("mutant", mutants.EQUIVARIANT_BUT_OTHER, ids=name)
def test_other_equivariant_products(mutant: Callable) -> None:
    """Equivariant, and the first two of the right norm: only the comparison with the definition catches them."""
    weighted = CouplingTensor(LMAX, WEIGHTED.weights)
    wrong = mutant(weighted)
    assert_equivariant(product_of(wrong), LMAX, norm=weighted.norm)
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\[tensor of product\]"):
        assert_same_product(product_of(wrong), weighted.array)


@pytest.mark.parametrize("mutant", [mutants.swapped_inputs, mutants.swapped_output], ids=name)
def test_swapped_modes_of_the_full_tensor(mutant: Callable) -> None:
    """At weights 1 the odd paths give them away; without odd paths M is symmetric, and there is nothing to catch."""
    with pytest.raises(AssertionError, match=FAILS):
        assert_same_product(product_of(mutant(FULL)), FULL.array)
    even = CouplingTensor.even(LMAX)
    assert_same_product(product_of(mutant(even)), even.array)


def test_a_zero_norm_is_refused() -> None:
    """Nobody can ask for the zero product."""
    with refuses(ValueError, "norm is 0.0", "every map that is zero is equivariant"):
        assert_equivariant(product_of(mutants.zero(FULL)), LMAX, norm=0.0)


def test_wrong_products_of_any_features() -> None:
    """Inversion is asked for: the same tensor with one irrep of the wrong parity is not equivariant."""
    wrong = Coupling.of("1o+0e+1o x 0e+1o+2e -> 2e+1o+1o+1o+0o")
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\[product\(D x, D y\)\]"):
        assert_equivariant(product_of(UNEQUAL.array), wrong, norm=UNEQUAL.norm)


@pytest.mark.parametrize("mutant", mutants.SPECTRA, ids=name)
@pytest.mark.parametrize("tensor", [WEIGHTED, UNEQUAL], ids=repr)
def test_wrong_spectra(mutant: Callable, tensor: CouplingTensor) -> None:
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\[singular_values"):
        assert_spectrum(mutant, tensor)


@pytest.mark.parametrize("mutant", mutants.COPIES, ids=name)
def test_wrong_spectra_of_copies(mutant: Callable) -> None:
    """Right where every irrep occurs once, so that only couplings with copies catch them."""
    assert_spectrum(mutant, WEIGHTED)
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\[singular_values"):
        assert_spectrum(mutant, UNEQUAL)


@pytest.mark.parametrize("mutant", mutants.PROJECTIONS, ids=name)
def test_wrong_projections(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\["):
        assert_projection(lambda array: mutant(WEIGHTED, array), LMAX)


@pytest.mark.parametrize("mutant", mutants.OF_SLOTS, ids=name)
def test_wrong_projections_of_any_features(mutant: Callable) -> None:
    """Right for the paper's features."""
    assert_projection(lambda array: mutant(FULL, array), LMAX)
    with pytest.raises(AssertionError, match=r"got .*, but should be .*\["):
        assert_projection(lambda array: mutant(UNEQUAL, array), UNEQUAL.coupling)


def test_closeness() -> None:
    """NaN is not close to anything, shapes must agree, and the message names the worst entry."""
    with pytest.raises(AssertionError, match=r"got nan, but should be 1 .*\[f\(x\)\]"):
        assert_close(np.array([0.0, np.nan]), np.array([5.0, 1.0]), 10.0, "f(x)")
    with pytest.raises(AssertionError, match=r"got shape \(1,\), but should be \(2,\) \[f\(x\)\]"):
        assert_close(np.zeros(1), np.zeros(2), 1.0, "f(x)")
    with pytest.raises(
        AssertionError, match=r"got 2, but should be 1 at \(1, 0\), off by 1.0e\+00 where 1.0e-01 is allowed"
    ):
        assert_close(np.array([[1.0], [2.0]]), np.ones((2, 1)), 0.1, "f(x)")
    with pytest.raises(AssertionError, match=r"it should mention 'pass e.g. 3'"), refuses(ValueError, "pass e.g. 3"):
        CouplingTensor(-1)
    with pytest.raises(pytest.fail.Exception, match="DID NOT RAISE"), refuses(ValueError):
        CouplingTensor(1)


def noisy(tensor: CouplingTensor) -> np.ndarray:
    return tensor.array + 0.3 * np.random.default_rng(3).standard_normal(tensor.array.shape)


NOISY = [(noisy(tensor), tensor.coupling) for tensor in (FULL, UNEQUAL)]


def searched(coupling: Coupling) -> Callable:
    return lambda array: equivariance.supremum_search(array, coupling=coupling)


def test_the_right_errors_and_bounds_pass() -> None:
    for array, coupling in NOISY:
        assert_mean_square(lambda T, c=coupling: equivariance.mean_square_error(T, c), array, coupling)
        assert_relative_error(lambda T, c=coupling: equivariance.rms_error_relative_to_output(T, c), array, coupling)
        assert_supremum(
            lambda T, c=coupling: equivariance.supremum_bound(T, coupling=c).value, array, searched(coupling), coupling
        )
    for core in (bounds.theorem_core, bounds.square_root_core, bounds.best_core):
        for tensor in (FULL, UNEQUAL):
            assert_truncation_bound(core, tensor, 17)


@pytest.mark.parametrize("mutant", mutants.RELATIVE_ERRORS, ids=name)
@pytest.mark.parametrize(("array", "coupling"), NOISY, ids=["paper", "unequal"])
def test_wrong_relative_errors(array: np.ndarray, coupling: Coupling, mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_relative_error(lambda T: mutant(T, coupling), array, coupling)


@pytest.mark.parametrize("mutant", mutants.MEAN_SQUARES, ids=name)
@pytest.mark.parametrize(("array", "coupling"), NOISY, ids=["paper", "unequal"])
def test_wrong_mean_squares(array: np.ndarray, coupling: Coupling, mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_mean_square(lambda T: mutant(T, coupling), array, coupling)


def test_mean_squares_without_inversion() -> None:
    """Right where the irreps have no parity."""
    (array, coupling), (other, unequal) = NOISY
    assert_mean_square(lambda T: mutants.mean_square_of_rotations_alone(T, coupling), array, coupling)
    with pytest.raises(AssertionError, match=FAILS):
        assert_mean_square(lambda T: mutants.mean_square_of_rotations_alone(T, unequal), other, unequal)


@pytest.mark.parametrize("mutant", mutants.SUPREMA, ids=name)
@pytest.mark.parametrize(("array", "coupling"), NOISY, ids=["paper", "unequal"])
def test_wrong_suprema(array: np.ndarray, coupling: Coupling, mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_supremum(lambda T: mutant(T, coupling), array, searched(coupling), coupling)


@pytest.mark.parametrize("mutant", mutants.CORES, ids=name)
@pytest.mark.parametrize("tensor", [FULL, UNEQUAL], ids=repr)
def test_wrong_cores(tensor: CouplingTensor, mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_truncation_bound(mutant, tensor, 17)


def test_the_right_ranks_pass() -> None:
    assert_modular_rank(rank.modular_rank, 7, 6, 4, seed=0)
    assert_rank_bound(lambda T: rank._koszul(T, reference.ungraded(T), 1, 0), 6, 3, seed=0)
    assert_bounds_atlas(lambda tensor: rank.koszul_bound(tensor, 1), 2)
    assert_any_weights_bound(rank.any_weights_bound, UNEQUAL.coupling, 0)
    assert_pair_bound(rank.pair_bound)
    assert_kruskal_limit(rank.kruskal_limit)
    count_everything()


def for_all(assertion: Callable[..., None], *arguments: tuple) -> None:
    for chosen in arguments:
        assertion(*chosen)


@pytest.mark.parametrize("mutant", mutants.MODULAR_RANKS, ids=name)
def test_wrong_modular_ranks(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        for_all(assert_modular_rank, *((mutant, 7, 6, 4, seed) for seed in range(20)))


@pytest.mark.parametrize("mutant", mutants.RANK_BOUNDS, ids=name)
def test_wrong_rank_bounds(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        for_all(assert_rank_bound, *((mutant, 6, 3, seed) for seed in range(20)))


@pytest.mark.parametrize("mutant", mutants.COUPLING_BOUNDS, ids=name)
def test_wrong_bounds_of_coupling_tensors(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        for_all(assert_bounds_atlas, (mutant, 1), (mutant, 2))


@pytest.mark.parametrize("mutant", mutants.ANY_WEIGHTS_BOUNDS, ids=name)
def test_wrong_bounds_of_any_weights(mutant: Callable) -> None:
    texts = ("2 x 3 -> 1", "0+1 x 1+2 -> 0+2", "0e+1o x 0e+1o+2e -> 0e+1o")
    with pytest.raises(AssertionError, match=FAILS):
        for_all(assert_any_weights_bound, *((mutant, Coupling.of(text), 0) for text in texts))


@pytest.mark.parametrize("mutant", mutants.PAIR_BOUNDS, ids=name)
def test_wrong_pair_bounds(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_pair_bound(mutant)


@pytest.mark.parametrize("mutant", mutants.KRUSKAL_LIMITS, ids=name)
def test_wrong_kruskal_limits(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_kruskal_limit(mutant)


def count_everything() -> None:
    """The tests of the cost model, by programs that count their own multiplications."""
    for connection in cost.CONNECTIONS:
        for coupling in (1, test_cost.UNEQUAL):
            for method in ("dense", "per_path", "sparse"):
                test_cost.test_pairwise_methods(method, connection, coupling)
            for method in cost.UNSHARED:
                test_cost.test_weights_per_path(method, connection, coupling)
            test_cost.test_y_first(connection, coupling)
            test_cost.test_transformed_methods("cp", coupling, connection)
        test_cost.test_transformed_methods("matrix", 2, connection)
    test_cost.test_bytes()


@pytest.mark.parametrize("mutant", mutants.COSTS, ids=name)
def test_wrong_costs(mutant: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(cost, "cost", mutant)
    with pytest.raises(AssertionError):
        count_everything()


def test_the_right_universality_passes() -> None:
    for coupling in (LMAX, UNEQUAL.coupling):
        assert_invariants(universality.scaling_invariants, coupling, seed=0)
    assert_jacobian(universality.jacobian)
    assert_reach(universality.reach)


@pytest.mark.parametrize("mutant", mutants.INVARIANTS, ids=name)
@pytest.mark.parametrize("coupling", [1, 2, UNEQUAL.coupling], ids=str)
def test_wrong_invariants(mutant: Callable, coupling: CouplingLike) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_invariants(mutant, coupling, seed=0)


@pytest.mark.parametrize("mutant", mutants.JACOBIANS, ids=name)
def test_wrong_jacobians(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_jacobian(mutant)


@pytest.mark.parametrize("mutant", mutants.REACHES, ids=name)
def test_wrong_reaches(mutant: Callable) -> None:
    with pytest.raises(AssertionError, match=FAILS):
        assert_reach(mutant)
