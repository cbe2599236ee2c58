"""Theorem 3.1 and the sharper bounds: valid everywhere, ordered, and constructive."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from scipy.integrate import lebedev_rule

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_bound, assert_close
from tdn_theory.theory import bounds, equivariance
from tdn_theory.theory.products import as_tensor
from tests.assertions import assert_truncation_bound, refuses

CORES = [bounds.theorem_core, bounds.square_root_core, bounds.best_core]


@given(st.integers(0, 10**40), st.integers(1, 6))
def test_integer_root(n: int, degree: int) -> None:
    root = bounds.integer_root(n, degree)
    assert root**degree <= n < (root + 1) ** degree


@given(strategies.coupling_tensors(0, 2), st.integers(1, 90))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_cores(tensor: CouplingTensor, rank: int) -> None:
    """Each core belongs to a decomposition of at most `rank` terms whose residual is bounded; and they are ordered."""
    for core in CORES:
        assert_truncation_bound(core, tensor, rank)
    tails = [bounds.tail(tensor, core(tensor, rank)) for core in CORES]
    assert tails[2] <= tails[1] + 1e-12 <= tails[0] + 2e-12


@given(st.data(), strategies.coupling_tensors(0, 2))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_truncation_obeys_the_bounds(data: st.DataObject, tensor: CouplingTensor) -> None:
    """The decomposition in T1's proof: T1 and its sharper forms are never violated, for any vectors of length C."""
    rank = data.draw(st.integers(1, 7 * max(tensor.dims)))
    d1, d2, _ = tensor.dims
    x, y = data.draw(strategies.features(d1)), data.draw(strategies.features(d2))
    matrix = data.draw(strategies.group_elements(tensor.coupling))
    radius = max(float(np.linalg.norm(x)), float(np.linalg.norm(y)))
    for core, bound in zip(
        CORES, (bounds.theorem_bound, bounds.square_root_bound, bounds.best_core_bound), strict=True
    ):
        factors = bounds.truncation(tensor, core(tensor, rank))
        assert factors.rank <= rank
        residual = float(np.linalg.norm(factors.array - tensor.array))
        allowed = bounds.core_bound(tensor, core(tensor, rank))
        assert_bound(allowed / 2, residual, tensor.norm, "core_bound / 2")
        found = float(equivariance.equivariance_error(factors, matrix, x, y, tensor.coupling))
        assert_bound(bound(tensor, rank, radius), found, tensor.norm * radius**2, bound.__name__)


@given(st.data(), strategies.coupling_tensors(0, 2))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_chain_holds_for_every_decomposition(data: st.DataObject, tensor: CouplingTensor) -> None:
    shape, matrix = tensor.array.shape, data.draw(strategies.group_elements(tensor.coupling))
    multiple, noise = data.draw(strategies.perturbations(shape))
    product = data.draw(st.one_of(st.just(multiple * tensor.array + noise), strategies.factors(shape)))
    x, y = data.draw(strategies.features(shape[1])), data.draw(strategies.features(shape[2]))
    chain = bounds.chain(product, tensor)
    scale = float(np.linalg.norm(as_tensor(product, tensor.coupling)[0])) + tensor.norm
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    found = float(equivariance.equivariance_error(product, matrix, x, y, tensor.coupling))
    assert_bound(chain.certified * lengths, found, scale * lengths, "chain.certified")
    assert_bound(chain.non_equivariant, chain.certified - 1e-9 * scale, scale, "chain.non_equivariant")
    assert_bound(chain.residual, chain.non_equivariant, scale, "chain.residual")


@pytest.mark.parametrize(("lmax", "rank"), [(1, 1), (1, 3), (1, 5), (1, 7), (1, 8), (2, 4), (2, 9), (2, 16)])
def test_fits_obey_the_bounds(lmax: int, rank: int) -> None:
    """Fitted decompositions are close to best: they satisfy all three bounds at the worst error found."""
    tensor = CouplingTensor(lmax)
    factors = LevenbergMarquardt(rank, max_iterations=60).solve(tensor).factors
    worst = equivariance.supremum_search(factors, starts=1, sweeps=5).value
    for bound in (bounds.theorem_bound, bounds.square_root_bound, bounds.best_core_bound):
        assert_bound(bound(tensor, rank), worst, tensor.norm, bound.__name__)


def gaunt(lmax: int) -> CouplingTensor:
    """The product of functions on the sphere, `sum_q w_q Y(q) Y(q) Y(q)`, by a rule that integrates it exactly."""
    nodes, weights = lebedev_rule(9)
    Y = spherical_harmonics(lmax, nodes.T, "integral")
    return CouplingTensor(lmax).project(np.einsum("q,qk,qi,qj->kij", weights, Y, Y, Y, optimize=True))


UNTUNED = {
    "Gaunt": gaunt(2),
    "even paths": CouplingTensor.even(2),
    "component": CouplingTensor(2, normalization="component"),
    "random weights": CouplingTensor(2, np.random.default_rng(0).standard_normal(15)),
    "one path": CouplingTensor(2, {(1, 2, 2): 3.0}),
    "MACE": CouplingTensor("0e+1o+2e x 0e+1o+2e+3o -> 0e+1o"),
    "copies": CouplingTensor("1+0+1 x 0+2 -> 2+1+1", np.random.default_rng(0).standard_normal(11)),
}


@pytest.mark.parametrize("name", UNTUNED)
@pytest.mark.parametrize("rank", [5, 14])
def test_tensors_nobody_tuned_the_bounds_to(name: str, rank: int) -> None:
    """All bounds hold for fits of other tensors; the certified one is within a factor of two of the worst error."""
    tensor = UNTUNED[name]
    factors = LevenbergMarquardt(rank, max_iterations=30).solve(tensor).factors
    worst = equivariance.supremum_search(factors, starts=2, sweeps=10, coupling=tensor.coupling).value
    chain = bounds.chain(factors, tensor)
    scale = tensor.norm
    for bound in (chain.certified, chain.non_equivariant, chain.residual):
        assert_bound(bound, worst, scale, "chain")
    for core in CORES:
        assert_bound(bounds.core_bound(tensor, core(tensor, rank)), worst, scale, core.__name__)
    assert chain.certified <= 2 * worst + 1e-9 * scale
    residual = float(np.linalg.norm(factors.array - tensor.array))
    assert_bound(residual, bounds.residual_lower_bound(tensor, rank), scale, "||M - Mhat||")
    samples = equivariance.monte_carlo(factors, 2000, coupling=tensor.coupling)
    mean_square = equivariance.mean_square_error(factors, tensor.coupling)
    assert_close(samples.mean_square, mean_square, 5 * samples.mean_square_se + 1e-12 * scale, "monte_carlo")


COMPLEX = CouplingTensor(1).array + 0j
TAKES_A_PRODUCT = {
    "chain": lambda: bounds.chain(COMPLEX, CouplingTensor(1)),
    "injective_norm_bound": lambda: equivariance.injective_norm_bound(COMPLEX),
    "mean_square_error": lambda: equivariance.mean_square_error(COMPLEX),
    "monte_carlo": lambda: equivariance.monte_carlo(COMPLEX, 10),
    "non_equivariant_part": lambda: equivariance.non_equivariant_part(COMPLEX),
    "rms_error_relative_to_output": lambda: equivariance.rms_error_relative_to_output(COMPLEX),
    "relative_rms_approximation_error": lambda: equivariance.relative_rms_approximation_error(
        COMPLEX, CouplingTensor(1)
    ),
    "supremum_bound": lambda: equivariance.supremum_bound(COMPLEX),
    "supremum_search": lambda: equivariance.supremum_search(COMPLEX),
}


@pytest.mark.parametrize("name", TAKES_A_PRODUCT)
def test_complex_products_are_refused(name: str) -> None:
    """A real representation has real weights; bounds on coupling tensors meet complex ones in their constructor."""
    with refuses(TypeError, "complex", "real"):
        TAKES_A_PRODUCT[name]()


def test_complex_weights_are_refused() -> None:
    with refuses(TypeError, "weight of path", "real number"):
        CouplingTensor(1, (1j, 1.0, 1.0, 1.0, 1.0))
    with refuses(TypeError, "weight of path", "real number"):
        CouplingTensor(1, {(1, 1, 1): 1 + 1j})


@given(st.data(), strategies.coupling_tensors(0, 3))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_residual_lower_bound(data: st.DataObject, tensor: CouplingTensor) -> None:
    """No decomposition of that rank is closer; the truncation of one mode alone is exactly that close."""
    k, i, j = tensor.array.shape
    rank = data.draw(st.integers(1, k))
    factors = data.draw(strategies.factors((k, i, j), rank))
    lower = bounds.residual_lower_bound(tensor, rank)
    assert_bound(float(np.linalg.norm(factors.array - tensor.array)), lower, tensor.norm, "||M - Mhat||")
    cut = bounds.truncation(tensor, (rank, i, j))
    squares = tensor.singular_values(0)[rank:] ** 2
    assert_close(np.linalg.norm(cut.array - tensor.array) ** 2, squares.sum(), 1e-12 * tensor.norm**2 + 1e-300, "cut")


def test_theorem_is_empty_at_the_papers_ranks() -> None:
    """1.26 to 1.55 times the trivial bound at R = 7 L^2."""
    ratios = []
    for lmax in range(1, 7):
        tensor = CouplingTensor(lmax)
        ratios.append(bounds.theorem_bound(tensor, quadratic(lmax)) / bounds.trivial_bound(tensor))
    assert_close([min(ratios), max(ratios)], [1.2649, 1.5470], 1e-4, "ratios")
    assert [bounds.theorem_core(CouplingTensor(lmax), quadratic(lmax))[0] for lmax in range(1, 7)] == [1, 3, 3, 4, 5, 6]


def test_full_rank_is_exact() -> None:
    for lmax in (1, 2):
        tensor = CouplingTensor(lmax)
        assert bounds.best_core_bound(tensor, tensor.d**2) == 0.0
        assert bounds.square_root_bound(tensor, tensor.d**2) == 0.0
        assert bounds.theorem_bound(tensor, tensor.d**3) == 0.0
        assert bounds.theorem_bound(tensor, tensor.d**3 - 1) > 0.0


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_any_scale(scale: float) -> None:
    """Bounds are as large as their tensor; a tail, which is a square, says that it has no value."""
    one = CouplingTensor(1)
    tensor = CouplingTensor(1, (scale,) * 5)
    for bound in (bounds.theorem_bound, bounds.square_root_bound, bounds.best_core_bound, bounds.residual_lower_bound):
        assert_close(bound(tensor, 3) / scale, bound(one, 3), 1e-14, bound.__name__)
    assert bounds.best_core(tensor, 7) == bounds.best_core(one, 7)
    found, wanted = (
        bounds.chain(t.array + size * np.eye(64)[5].reshape(4, 4, 4), t) for t, size in ((tensor, scale), (one, 1.0))
    )
    for name in ("certified", "non_equivariant", "residual", "trivial"):
        assert_close(getattr(found, name) / scale, getattr(wanted, name), 1e-9, name)
    with refuses(ValueError, "the tail is the square", "float64 cannot hold"):
        bounds.tail(tensor, (1, 1, 1))


def test_errors_teach() -> None:
    tensor = CouplingTensor(1)
    with refuses(TypeError, "rank is 2.0", "integer"):
        bounds.theorem_bound(tensor, 2.0)
    with refuses(ValueError, "rank is 0", ">= 1"):
        bounds.best_core_bound(tensor, 0)
    with refuses(ValueError, "radius is -1", ">= 0"):
        bounds.theorem_bound(tensor, 1, -1)
    with refuses(ValueError, "core rank is 5", "1..4"):
        bounds.truncation(tensor, (5, 1, 1))
    with refuses(ValueError, "degree of the root is 0"):
        bounds.integer_root(8, 0)
    with refuses(ValueError, "(9, 9, 9)", "(4, 4, 4)"):
        bounds.chain(np.zeros((9, 9, 9)), tensor)
