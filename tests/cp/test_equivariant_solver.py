"""The equivariance-only solver: its algebra against finite differences, and what it finds."""

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.certificate import prove_decomposition
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import EXACT, Status
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt, _Anchored
from tdn_theory.theory.equivariance import rms_error_relative_to_output
from tests.assertions import refuses
from tests.cp.derivatives import assert_derivatives


def problems(tau):
    one, unequal = CouplingTensor(1), CouplingTensor("1+0+1 x 0+1 -> 1+1", normalization="component")
    pair = CouplingTensor("1+2 x 1+2 -> 2")
    for tensor, symmetry, rank in ((one, "C1", 3), (one, "C2*Z3", 7), (unequal, "C1", 3), (pair, "C2*Z2", 5)):
        rng = np.random.default_rng(0)
        layout = EquivariantLevenbergMarquardt(rank, symmetry=symmetry)._layout(tensor, rng)
        yield _Anchored(tensor, layout, tau), layout.start(tensor, rng)


@pytest.mark.parametrize("tau", [1.0, 0.4, 0.0])
def test_gradient_and_matrix_are_those_of_the_residual(tau):
    for problem, phi in problems(tau):
        assert_derivatives(problem, phi, atol_of_matrix=1e-7)


def test_seven_terms_are_exact_at_the_lowest_degree():
    solution = EquivariantLevenbergMarquardt(7).solve(CouplingTensor(1))
    assert solution.residual <= EXACT
    assert solution.status is Status.CONVERGED
    assert solution.made_by["dead"] == []
    w = dict(zip(solution.tensor.paths, solution.tensor.weights, strict=True))
    assert all(0.9 < abs(x) < 1.1 for x in w.values())
    invariant = w[1, 1, 1] ** 2 * w[0, 0, 0] / (w[0, 1, 1] * w[1, 0, 1] * w[1, 1, 0])
    np.testing.assert_allclose(invariant, 2 / np.sqrt(3), rtol=0, atol=1e-9)


def test_six_terms_lose_a_path():
    solution = EquivariantLevenbergMarquardt(6).solve(CouplingTensor(1))
    assert solution.made_by["dead"]


def test_fixed_weights_stay():
    solver = EquivariantLevenbergMarquardt(8, seed=1, symmetry="C2", free=False)
    solution = solver.solve(CouplingTensor(1))
    assert solution.tensor == CouplingTensor(1)
    assert solution.residual <= EXACT


def test_even_paths_stay_alone():
    solution = EquivariantLevenbergMarquardt(6).solve(CouplingTensor.even(1))
    assert solution.residual <= EXACT
    assert [w == 0 for w in solution.tensor.weights] == [not p.even for p in solution.tensor.paths]


def test_degrees_not_in_use_are_exactly_zero():
    tensor = CouplingTensor(2, {(2, 2, 2): 1.0})
    for settings in ({}, {"symmetry": "C1*S3", "orbits": ("S3++++++",) * 10}):
        factors = EquivariantLevenbergMarquardt(10, free=False, stage_iterations=3, **settings).solve(tensor).factors
        assert not np.any(np.stack([factors.A, factors.B, factors.C])[:, :4])


@pytest.mark.parametrize(
    ("coupling", "rank"),
    [("0+1 x 0+1+2+3 -> 0+1", 12), ("0e+1o x 0e+1o+2e+3o -> 0e+1o", 9), ("0+1+2 x 0+1+2 -> 0", 9), ("1+1 x 0 -> 1", 3)],
)
def test_unequal_slots_are_exact(coupling, rank):
    """Products of real networks, and a scalar output, which takes one term for each component."""
    tensor = CouplingTensor(coupling)
    solutions = (EquivariantLevenbergMarquardt(rank, seed=seed).solve(tensor) for seed in range(8))
    solution = next(s for s in solutions if s.exact and not s.made_by["dead"])
    assert solution.factors.dims == tensor.dims
    assert rms_error_relative_to_output(solution.factors, coupling) < EXACT


@pytest.mark.parametrize("scale", [1e-180, 1e180])
def test_any_scale(scale):
    tensor = CouplingTensor("0e+1o x 0e+1o+2e -> 0e+1o", (scale,) * 5)
    solution = EquivariantLevenbergMarquardt(9, seed=1).solve(tensor)
    assert solution.exact
    assert all(0.01 < abs(w) / scale < 100 for w in solution.tensor.weights)


def test_symmetric_solutions_of_unequal_modes():
    """Symmetric matrices without trace from six squares of linear forms."""
    tensor = CouplingTensor("1 x 1 -> 2")
    solution = EquivariantLevenbergMarquardt(6, symmetry="C1*Z2", orbits=("S1+++",) * 6, free=False).solve(tensor)
    assert solution.exact
    np.testing.assert_allclose(np.abs(solution.factors.B), np.abs(solution.factors.C), rtol=0, atol=1e-12)
    assert prove_decomposition(solution.factors, tensor, True, "C1*Z2").radius < 1e-9
    with refuses(ValueError, "which differ"):
        EquivariantLevenbergMarquardt(9, symmetry="C2*Z2").solve(CouplingTensor("0e+1o x 0e+1o+2e -> 0e+1o"))


def test_a_start_is_used():
    exact = EquivariantLevenbergMarquardt(7).solve(CouplingTensor(1))
    again = EquivariantLevenbergMarquardt(7, ridge=1e-6).solve(exact.tensor, exact.factors)
    assert again.residual <= EXACT
    np.testing.assert_allclose(again.factors.array, exact.factors.array, rtol=0, atol=1e-4)


def test_refusals_teach():
    tensor = CouplingTensor(1)
    with refuses(ValueError, "release", "0.6"):
        EquivariantLevenbergMarquardt(7, release=1.5)
    with refuses(ValueError, "no orbit type 'X'"):
        EquivariantLevenbergMarquardt(7, symmetry="C2", orbits=("X",)).solve(tensor)
    with refuses(ValueError, "rank = 7"):
        EquivariantLevenbergMarquardt(7, symmetry="C2", orbits=("S0",)).solve(tensor)
    with refuses(ValueError, "R = 3", "R = 7"):
        EquivariantLevenbergMarquardt(7).solve(tensor, CPFactors(*np.ones((3, 4, 3))))
