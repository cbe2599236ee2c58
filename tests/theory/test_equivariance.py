"""The equivariance error: definitions, exact mean square, and the certified supremum."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.schedules import PAPER_SCHEDULES
from tdn_theory.so3 import exact, irreps
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_bound, assert_close
from tdn_theory.theory import equivariance
from tdn_theory.theory.products import as_tensor
from tests import reference
from tests.assertions import assert_mean_square, assert_relative_error, assert_supremum, refuses

Z = 5.0
"""Standard errors that Monte Carlo may be off: 6e-7 of all runs, if normal; runs are the same every time."""


def random_factors(lmax: int, rank: int, seed: int = 0) -> CPFactors:
    return CPFactors(*np.random.default_rng(seed).standard_normal((3, irreps.dim(lmax), rank)))


ANY = st.one_of(strategies.lmaxes(0, 2).map(Coupling.of), strategies.couplings())
"""The paper's features, and any other ones."""


@given(st.data(), ANY)
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_per_sample(data: st.DataObject, coupling: Coupling) -> None:
    """By factors and by the tensor, as the definition says."""
    d1, d2, _ = coupling.dims
    matrix = data.draw(strategies.group_elements(coupling))
    factors = data.draw(strategies.factors(coupling.shape))
    x, y = data.draw(strategies.features(d1)), data.draw(strategies.features(d2))
    wanted = reference.equivariance_error(factors.array, coupling, matrix, x, y)
    terms = np.prod([np.linalg.norm(f, axis=0) for f in (factors.A, factors.B, factors.C)], axis=0).sum()
    atol = 1e-13 * float(terms * np.linalg.norm(x) * np.linalg.norm(y))
    for product in (factors, factors.array):
        assert_close(equivariance.equivariance_error(product, matrix, x, y, coupling), wanted, atol, "eps")


def test_batches(rng: np.random.Generator) -> None:
    factors = random_factors(2, 7)
    rotations = haar_rotations(6, rng).reshape(2, 3, 3, 3)
    x, y = rng.standard_normal((2, 2, 3, 9))
    batch = equivariance.equivariance_error(factors, rotations, x, y)
    single = [
        equivariance.equivariance_error(factors, rotations[a, b], x[a, b], y[a, b]) for a in range(2) for b in range(3)
    ]
    assert_close(batch.ravel(), single, 1e-11, "eps of a batch")


def test_approximation_error(rng: np.random.Generator) -> None:
    tensor, factors = CouplingTensor(2), random_factors(2, 7)
    x, y = rng.standard_normal((2, 4, 9))
    product = np.einsum("kij,ni,nj->nk", tensor.array, x, y)
    wanted = np.linalg.norm(factors(x, y) - product, axis=1) / np.linalg.norm(product, axis=1)
    assert_close(equivariance.approximation_error(factors, tensor, x, y), wanted, 1e-12, "approximation_error")
    assert np.all(equivariance.approximation_error(tensor.array, tensor, x, y) == 0)
    assert_close(equivariance.relative_rms_approximation_error(np.zeros((9, 9, 9)), tensor), 1.0, 1e-15, "relative rms")


@pytest.mark.parametrize("lmax", [1, 2])
def test_relative_error(lmax: int) -> None:
    """A property of the product alone: between 0 (equivariant) and sqrt 2 (no equivariant part)."""
    array = random_factors(lmax, 5).array
    relative = equivariance.rms_error_relative_to_output
    assert_relative_error(relative, array, lmax)
    assert relative(CouplingTensor(lmax).array) < 1e-14
    assert_close(relative(equivariance.non_equivariant_part(array)), np.sqrt(2), 1e-12, "no equivariant part")
    assert relative(random_factors(lmax, 5)) == relative(array)


@pytest.mark.parametrize("lmax", range(1, 7))
@pytest.mark.parametrize("schedule", PAPER_SCHEDULES)
def test_exact_mean_square_agrees_with_monte_carlo(lmax: int, schedule: str) -> None:
    factors = random_factors(lmax, PAPER_SCHEDULES[schedule](lmax), seed=lmax)
    found = equivariance.monte_carlo(factors, 1000, seed=lmax)
    assert_close(found.mean_square, equivariance.mean_square_error(factors), Z * found.mean_square_se, "monte_carlo")
    assert found.mean <= np.sqrt(equivariance.mean_square_error(factors)) + Z * found.mean_se


def test_monte_carlo_of_the_approximation_error() -> None:
    """With Mhat = (1 + s) M every sample errs by |s|."""
    tensor = CouplingTensor(2)
    found = equivariance.monte_carlo_approximation(1.25 * tensor.array, tensor, 50)
    assert_close([found.mean, found.mean_square], [0.25, 0.0625], 1e-14, "monte_carlo_approximation")


def test_standard_errors() -> None:
    errors = np.array([1.0, 2.0, 4.0, 5.0])
    found = equivariance.Estimate.of(errors)
    assert (found.n, found.mean, found.mean_square) == (4, 3.0, 11.5)
    assert_close(found.mean_se, np.sqrt(10 / 3 / 4), 1e-15, "mean_se")
    assert_close(found.mean_square_se, errors.__pow__(2).std(ddof=1) / 2, 1e-15, "mean_square_se")


def test_seeds() -> None:
    factors = random_factors(1, 3)
    assert equivariance.monte_carlo(factors, 20, 1) == equivariance.monte_carlo(factors, 20, 1)
    assert equivariance.monte_carlo(factors, 20, 1) != equivariance.monte_carlo(factors, 20, 2)


@given(st.data(), ANY)
@settings(max_examples=10)
def test_exact_mean_square(data: st.DataObject, coupling: Coupling) -> None:
    tensor = data.draw(strategies.tensors(coupling.shape))
    assert_mean_square(lambda array: equivariance.mean_square_error(array, coupling), tensor, coupling)


@given(st.data(), strategies.couplings())
@settings(max_examples=10)
def test_sampling_agrees_for_any_coupling(data: st.DataObject, coupling: Coupling) -> None:
    """Rotations and, where the irreps have parity, improper ones."""
    tensor = data.draw(strategies.tensors(coupling.shape))
    found = equivariance.monte_carlo(tensor, 4000, coupling=coupling)
    wanted = equivariance.mean_square_error(tensor, coupling)
    assert_close(found.mean_square, wanted, 6 * found.mean_square_se + 1e-12, "monte_carlo")


@pytest.mark.parametrize("scale", [1e-200, 1e200])
def test_any_scale(scale: float) -> None:
    """Lengths are right; squares that float64 cannot hold say so."""
    one = random_factors(1, 3)
    array = scale * one.array
    x, y, R = np.ones(4), np.arange(4.0), haar_rotations(1, np.random.default_rng(0))[0]
    for function in (
        lambda product: float(equivariance.equivariance_error(product, R, x, y)),
        lambda product: equivariance.supremum_bound(product).value,
        lambda product: equivariance.supremum_search(product, starts=1, sweeps=3).value,
    ):
        assert_close(function(array) / scale, function(one.array), 1e-6 * function(one.array), "error / scale")
    assert_close(
        equivariance.rms_error_relative_to_output(array), equivariance.rms_error_relative_to_output(one), 1e-12, "rms"
    )
    for function in (equivariance.mean_square_error, lambda product: equivariance.monte_carlo(product, 10)):
        with refuses(ValueError, "mean square", "float64 cannot hold", "scale the tensor"):
            function(array)


def test_parity_forbids_what_rotations_allow() -> None:
    """The cross product of vectors is a pseudovector: into 1o it is equivariant under rotations alone."""
    cross = CouplingTensor("1").array
    assert equivariance.rms_error_relative_to_output(cross, "1") < 1e-14
    assert equivariance.rms_error_relative_to_output(cross, "1o x 1o -> 1e") < 1e-14
    assert_close(equivariance.rms_error_relative_to_output(cross, "1e x 1e -> 1e"), 0.0, 1e-14, "relative error")
    with refuses(ValueError, "no path couples 1o x 1o -> 1o"):
        equivariance.rms_error_relative_to_output(cross, "1o")
    both = np.zeros((4, 3, 3))
    both[1:] = cross
    assert_close(equivariance.rms_error_relative_to_output(both, "1o x 1o -> 0e+1o"), np.sqrt(2), 1e-14, "no part")


@given(strategies.coupling_tensors(0, 3))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_equivariant_maps_have_no_error(tensor: CouplingTensor) -> None:
    atol = 1e-14 * max(tensor.norm, 1e-300)
    assert_close(equivariance.non_equivariant_part(tensor), np.zeros_like(tensor.array), atol, "N of M")
    assert equivariance.supremum_bound(tensor).value <= 1e-13 * tensor.norm * max(tensor.dims)


@given(st.data(), strategies.coupling_tensors(0, 2))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_only_the_non_equivariant_part_counts(data: st.DataObject, tensor: CouplingTensor) -> None:
    """Adding any equivariant map changes no error (fact 1)."""
    coupling, matrix = tensor.coupling, data.draw(strategies.group_elements(tensor.coupling))
    array = data.draw(strategies.tensors(coupling.shape))
    x, y = (data.draw(strategies.features(d)) for d in coupling.dims[:2])
    rest = equivariance.non_equivariant_part(array, coupling)
    before, after, part = (
        equivariance.equivariance_error(T, matrix, x, y, coupling) for T in (array, array + tensor.array, rest)
    )
    size = float(np.linalg.norm(array) + tensor.norm) * float(np.linalg.norm(x) * np.linalg.norm(y))
    assert_close([after, part], [before, before], 1e-13 * size, "eps")


@given(st.data(), strategies.coupling_tensors(0, 2))
@settings(max_examples=strategies.BOUND_EXAMPLES)
def test_supremum_bound_holds_everywhere(data: st.DataObject, tensor: CouplingTensor) -> None:
    coupling, matrix = tensor.coupling, data.draw(strategies.group_elements(tensor.coupling))
    multiple, noise = data.draw(strategies.perturbations(coupling.shape))
    product = data.draw(st.one_of(st.just(multiple * tensor.array + noise), strategies.factors(coupling.shape)))
    x, y = (data.draw(strategies.features(d)) for d in coupling.dims[:2])
    found = float(equivariance.equivariance_error(product, matrix, x, y, coupling))
    lengths = float(np.linalg.norm(x) * np.linalg.norm(y))
    scale = float(np.linalg.norm(as_tensor(product, coupling)[0])) * lengths
    for relaxation in ("partial_transpose", "unfolding"):
        bound = equivariance.supremum_bound(product, relaxation, coupling).value
        assert_bound(bound * lengths, found, scale, f"supremum_bound(T, {relaxation!r})")


@given(st.data(), ANY)
@settings(max_examples=5)
def test_supremum_bound_against_search(data: st.DataObject, coupling: Coupling) -> None:
    """And, by fact 3, the search finds at least half of it once the injective norm is known well: within two here."""

    def search(array: np.ndarray) -> equivariance.Witness:
        return equivariance.supremum_search(array, starts=2, coupling=coupling)

    def bound(array: np.ndarray) -> float:
        return equivariance.supremum_bound(array, coupling=coupling).value

    tensor = data.draw(strategies.tensors(coupling.shape))
    assert_supremum(bound, tensor, search, coupling)
    assert bound(tensor) <= 2 * search(tensor).value + 1e-12


@pytest.mark.parametrize("lmax", [1, 2, 3])
def test_relaxation_is_tighter(lmax: int) -> None:
    tensor = np.random.default_rng(lmax).standard_normal((irreps.dim(lmax),) * 3)
    tight, loose = (equivariance.injective_norm_bound(tensor, r) for r in ("partial_transpose", "unfolding"))
    assert tight < 0.95 * loose


def test_injective_norm_of_a_rank_one_tensor() -> None:
    a, b, c = np.random.default_rng(0).standard_normal((3, 9))
    wanted = float(np.linalg.norm(a) * np.linalg.norm(b) * np.linalg.norm(c))
    for relaxation in ("partial_transpose", "unfolding"):
        found = equivariance.injective_norm_bound(np.einsum("k,i,j->kij", a, b, c), relaxation)
        assert wanted <= found <= wanted * (1 + 1e-9)


@given(ANY.flatmap(lambda c: strategies.tensors(c.shape)), st.sampled_from([1e-200, 1e-30, 1.0, 1e30, 1e200]))
@settings(max_examples=10)
def test_injective_norm_scales(tensor: np.ndarray, scale: float) -> None:
    one, other = equivariance.injective_norm_bound(tensor), equivariance.injective_norm_bound(scale * tensor)
    assert_close(other / scale, one, 1e-6 * one, "injective_norm_bound(s T) / s")


@pytest.mark.parametrize("path", irreps.paths(3), ids=str)
def test_block_rounding(path: irreps.Path) -> None:
    """A path tensor is within BLOCK_ROUNDING of a multiple of the exact one, in exact arithmetic."""
    block = clebsch_gordan(*path)
    wanted = {index: value.evalf(40) for index, value in exact.clebsch_gordan(*path).items()}
    assert {tuple(map(int, index)) for index in np.argwhere(block)} == set(wanted)
    scale = sum(float(block[index]) * value for index, value in wanted.items())  # best multiple: unit norm
    squares = sum((float(block[index]) - scale * value) ** 2 for index, value in wanted.items())
    assert squares**0.5 <= equivariance.BLOCK_ROUNDING


def test_rounding_counts_cancelling_terms() -> None:
    """Factors that cancel have a tensor that float64 knows badly, and the bound says so."""
    A, B, C = np.random.default_rng(0).standard_normal((3, 4, 2))
    A[:, 1], B[:, 1], C[:, 1] = -1e8 * A[:, 0], B[:, 0], 1e-8 * C[:, 0]
    plain, large = CPFactors(A, B, C), CPFactors(1e6 * A, B, C)
    assert equivariance.supremum_bound(plain).rounding > 0
    ratio = equivariance.supremum_bound(large).rounding / equivariance.supremum_bound(plain).rounding
    assert_close(ratio, 1e6, 1.0, "rounding")


def test_search_of_nothing() -> None:
    assert equivariance.supremum_search(np.zeros((4, 4, 4))).value == 0.0
    assert equivariance.supremum_bound(np.zeros((4, 4, 4))).value == 0.0


def test_errors_teach(rng: np.random.Generator) -> None:
    tensor, R = np.zeros((4, 4, 4)), np.eye(3)
    with refuses(TypeError, "complex", "real"):
        equivariance.non_equivariant_part(tensor + 0j)
    with refuses(TypeError, "x has dtype complex", "real"):
        equivariance.equivariance_error(tensor, R, np.zeros(4, complex), np.zeros(4))
    with refuses(TypeError, "weight of path", "real number"):
        CouplingTensor(1, (1j, 1.0, 1.0, 1.0, 1.0))
    with refuses(ValueError, "d is 5", "(L+1)^2"):
        equivariance.mean_square_error(np.zeros((5, 5, 5)))
    with refuses(ValueError, "NaN"):
        equivariance.supremum_bound(np.full((4, 4, 4), np.nan))
    with refuses(ValueError, "x has shape (3,)", "d = 4"):
        equivariance.apply(tensor, np.zeros(3), np.zeros(3))
    with refuses(ValueError, "(2, 4)", "(3, 4)", "the same"):
        equivariance.apply(tensor, np.zeros((2, 4)), np.zeros((3, 4)))
    with refuses(ValueError, "samples", "at least 2"):
        equivariance.monte_carlo(tensor, 1)
    with refuses(ValueError, "relaxation is 'tight'", "unfolding"):
        equivariance.supremum_bound(tensor, "tight")
    with refuses(ValueError, "(81, 81, 81)", "unfolding"):
        equivariance.injective_norm_bound(np.ones((81, 81, 81)))
    with refuses(ValueError, "starts is 0", "at least 1"):
        equivariance.supremum_search(tensor, starts=0)
    with refuses(ValueError, "zero", "undefined"):
        equivariance.approximation_error(tensor, CouplingTensor(1), np.zeros(4), np.zeros(4))
    with refuses(ValueError, "nonzero"):
        equivariance.relative_rms_approximation_error(tensor, CouplingTensor(1, (0.0,) * 5))
    with refuses(ValueError, "zero", "without output"):
        equivariance.rms_error_relative_to_output(np.zeros((4, 4, 4)))
    with refuses(ValueError, "(4, 4, 4)", "(9, 9, 9)"):
        equivariance.relative_rms_approximation_error(tensor, CouplingTensor(2))
