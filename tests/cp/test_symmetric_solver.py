"""The solver for symmetric forms: its algebra against finite differences, and what it finds."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.symmetric import SymmetricLevenbergMarquardt, _Anchored, _Orbits
from tdn_theory.cp.symmetry import action, group
from tdn_theory.experiments.decompositions.symmetric_forms import anchor
from tdn_theory.theory.equivariance import rms_error_relative_to_output
from tests.assertions import refuses
from tests.cp.derivatives import assert_derivatives

CASES = [("C1", 4, 2), ("C1*i", 5, 2), ("D2", 7, 2), ("C3", 5, 3)]


def problems(tau_squared: float) -> Iterator[tuple[_Anchored, np.ndarray]]:
    for symmetry, rank, lmax in CASES:
        tensor, rng = anchor(lmax, "drawn", 0), np.random.default_rng(1)
        layout = _Orbits(symmetry, tensor, rank, rng)
        yield _Anchored(tensor, layout, tau_squared), layout.start(tensor, rng)


@pytest.mark.parametrize("tau_squared", [1.0, 0.3, 0.0])
def test_gradient_and_matrix_are_those_of_the_residual(tau_squared: float) -> None:
    for problem, phi in problems(tau_squared):
        assert_derivatives(problem, phi, atol_of_matrix=1e-6)


def test_the_residual_is_that_of_the_definition() -> None:
    problem, phi = next(problems(1.0))
    V = problem.layout.vectors(phi)
    expected = sum(np.multiply.outer(np.multiply.outer(v, v), v) for v in V) - np.asarray(anchor(2, "drawn", 0).array)
    np.testing.assert_allclose(problem.residual(phi), expected, rtol=0, atol=1e-12)


@pytest.mark.parametrize(("symmetry", "rank", "lmax"), CASES)
def test_orbits_are_invariant(symmetry: str, rank: int, lmax: int) -> None:
    rng = np.random.default_rng(0)
    tensor = CouplingTensor.even(lmax)
    layout = _Orbits(symmetry, tensor, rank, rng)
    V = layout.vectors(layout.start(tensor, rng))
    assert len(V) == rank
    for element in group(symmetry).elements:
        moved = V @ action(lmax, element.matrix).T
        assert max(np.abs(V - v).sum(axis=1).min() for v in moved) < 1e-9


@pytest.mark.parametrize(("lmax", "rank", "seed"), [(1, 6, 0), (2, 17, 0), (3, 32, 0)])
def test_known_ranks_are_found(lmax: int, rank: int, seed: int) -> None:
    solution = SymmetricLevenbergMarquardt(rank, seed).solve(anchor(lmax, "cubature", seed))
    assert solution.residual <= EXACT
    assert solution.made_by["dead"] == []
    A, B, C = solution.factors.A, solution.factors.B, solution.factors.C
    np.testing.assert_allclose(A, B, rtol=1e-12, atol=0)
    np.testing.assert_allclose(A, C, rtol=1e-12, atol=0)
    assert rms_error_relative_to_output(solution.factors, solution.tensor.coupling) < 1e-12


def test_five_terms_are_too_few_at_the_lowest_degree() -> None:
    """Six is the rank there."""
    solution = SymmetricLevenbergMarquardt(5).solve(anchor(1, "cubature", 0))
    assert solution.residual > 1e-2


def test_scale_does_not_matter() -> None:
    tensor = anchor(2, "cubature", 0)
    large = CouplingTensor(2, tuple(8.0**5 * w for w in tensor.weights))
    one, other = (SymmetricLevenbergMarquardt(17, seed=3).solve(t) for t in (tensor, large))
    np.testing.assert_array_equal(32 * one.factors.A, other.factors.A)


def test_bad_input() -> None:
    solver = SymmetricLevenbergMarquardt(6)
    with refuses(ValueError, "changes under an exchange of modes", "CouplingTensor.even"):
        solver.solve(CouplingTensor(1))
    with refuses(ValueError, "changes under an exchange of modes"):
        solver.solve(CouplingTensor(2, {(1, 1, 2): 1.0, (0, 0, 0): 1.0}))
    with refuses(ValueError, "holds a scalar"):
        solver.solve(CouplingTensor(2, {(2, 2, 2): 1.0}))
    with refuses(ValueError, "exchange no modes"):
        SymmetricLevenbergMarquardt(6, symmetry="C1*Z3").solve(CouplingTensor.even(1))
    with refuses(ValueError, "no group"):
        SymmetricLevenbergMarquardt(6, symmetry="C17").solve(CouplingTensor.even(1))
    with refuses(ValueError, "above 0 and at most 1"):
        SymmetricLevenbergMarquardt(6, anchors=(0.0,))
