"""All solvers through their one interface, and the algebra of Levenberg-Marquardt against its definition."""

import numpy as np
import pytest
from hypothesis import given, settings

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import EXACT, CPSolution, Status, best, is_exact
from tdn_theory.cp.solvers.als import AlternatingLeastSquares
from tdn_theory.cp.solvers.levenberg_marquardt import CPProblem, Formed, Iterative, LevenbergMarquardt, normal_matrix
from tdn_theory.cp.solvers.sampled_adamw import SampledAdamW
from tdn_theory.testing.assertions import assert_close
from tdn_theory.testing.strategies import coupling_tensors, seeds
from tests.assertions import refuses

SOLVERS = [
    LevenbergMarquardt(3, max_iterations=30),
    LevenbergMarquardt(3, max_iterations=30, linear_solver="cg"),
    AlternatingLeastSquares(3, max_sweeps=200),
    SampledAdamW(3, steps=300, learning_rate=1e-2),
]


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_every_solver_is_deterministic_and_honest(solver):
    tensor = CouplingTensor(1)
    first, second = solver.solve(tensor), solver.solve(tensor)
    np.testing.assert_array_equal(first.factors.array, second.factors.array)
    assert first.factors.rank == solver.rank
    direct = np.linalg.norm(first.factors.array - tensor.array) / tensor.norm
    assert first.residual == pytest.approx(direct, rel=1e-12)
    # rank 3 cannot do better than the three largest singular values allow, and must do better than nothing
    tail = np.sqrt(np.sum(tensor.singular_values(0)[3:] ** 2)) / tensor.norm
    assert tail <= first.residual < 0.9
    assert first.made_by["solver"] == type(solver).__name__
    assert first.made_by["settings"]["rank"] == 3
    assert {"seed", "commit", "versions", "time", "seconds"} <= first.made_by.keys()


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_seeds_matter(solver):
    other = type(solver)(**{**solver.__dict__, "seed": 1})
    tensor = CouplingTensor(1)
    assert not np.array_equal(solver.solve(tensor).factors.array, other.solve(tensor).factors.array)


@pytest.mark.parametrize("linear_solver", ["cholesky", "cg"])
def test_levenberg_marquardt_finds_exact_decompositions(linear_solver):
    tensor = CouplingTensor(1)
    found = best(
        [LevenbergMarquardt(8, seed=s, ridge=1e-3, linear_solver=linear_solver).solve(tensor) for s in range(3)]
    )
    assert found.residual <= 1e-14
    assert found.status is Status.CONVERGED
    assert found.factors.condition < 100


MACE = "0e+1o+2e x 0e+1o+2e+3o -> 0e+1o"


@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_every_solver_takes_any_coupling(solver):
    """Three different dimensions; bounded from below by the spectra of all three unfoldings."""
    tensor = CouplingTensor(MACE)
    solution = solver.solve(tensor)
    assert solution.factors.dims == tensor.dims == (9, 16, 4)
    assert solution.residual == pytest.approx(np.linalg.norm(solution.factors.array - tensor.array) / tensor.norm)
    tails = [np.linalg.norm(tensor.singular_values(mode)[3:]) / tensor.norm for mode in (0, 1, 2)]
    assert max(tails) <= solution.residual < 1


@pytest.mark.parametrize("exponent", [-201, -67, 67, 201])
@pytest.mark.parametrize("solver", SOLVERS, ids=lambda s: type(s).__name__)
def test_every_solver_takes_any_scale(solver, exponent):
    """2^603 is 1e181; factors of 8^n M are 2^n times those of M, up to the roundoff of a few operations."""
    one, scaled = CouplingTensor(1), CouplingTensor(1, (8.0**exponent,) * 5)
    found, wanted = solver.solve(scaled), solver.solve(one)
    assert found.residual == pytest.approx(wanted.residual, rel=1e-12)
    assert found.status is wanted.status
    for name in "ABC":
        unscaled = getattr(found.factors, name) / 2.0**exponent
        np.testing.assert_allclose(unscaled, getattr(wanted.factors, name), rtol=1e-13)


@pytest.mark.parametrize("light", [1e-13, 1e-200])
def test_a_decomposition_that_ignores_a_path_is_not_exact(light):
    """One term for weights (1, light, ...) has a residual of roundoff; it takes six at least."""
    tensor = CouplingTensor(1, (1.0, light, light, light, light))
    solution = LevenbergMarquardt(1, ridge=0).solve(tensor)
    assert solution.residual <= EXACT
    assert not solution.exact
    assert solution.status is Status.UNRESOLVED
    assert "scale slots" in solution.status.message
    others = [CPSolution(tensor, solution.factors, Status.UNRESOLVED, residual) for residual in (1e-13, 1e-14)]
    assert best(others).residual == 1e-14  # by residual: none is exact


def test_a_light_path_that_is_there_is_exact():
    """Weights that differ by 1e-5 are resolved: exact means every path, to six digits."""
    weights = (1.0, 1e-5, 1.0, 1e-5, 1.0)
    exact = best([LevenbergMarquardt(8, seed=s, ridge=1e-3).solve(CouplingTensor(1)) for s in range(3)])
    scales = np.repeat([1.0, 1e-5], [1, 3])[:, None]
    tensor = CouplingTensor(1, {(0, 0, 0): 1.0, (1, 1, 0): 1e-5, (0, 1, 1): 1.0, (1, 0, 1): 1e-5, (1, 1, 1): 1e-5})
    factors = CPFactors(exact.factors.A, scales * exact.factors.B, exact.factors.C)
    assert is_exact(tensor, factors.relative_residual(tensor.array))
    assert not is_exact(tensor, 1e-11)
    assert not is_exact(CouplingTensor(1, weights), 5e-12 / 2)


def test_rank_two_is_found_for_a_tensor_of_rank_two():
    tensor = CouplingTensor(1, {(0, 0, 0): 1.0})
    assert LevenbergMarquardt(1, ridge=0).solve(tensor).residual <= EXACT


@settings(max_examples=20)
@given(coupling_tensors(max_lmax=1, nonzero=True), seeds())
def test_gradient_and_gauss_newton_matrix_are_the_derivatives_of_the_residual(tensor, seed):
    rng = np.random.default_rng(seed)
    rank = 3
    theta = rng.standard_normal(sum(tensor.dims) * rank)
    problem = CPProblem(tensor.array, rank, dense=True)

    def moved(unit: np.ndarray) -> np.ndarray:
        """Derivative of the residual by one entry, exact: the residual is linear in every entry."""
        return (problem.residual(theta + unit) - problem.residual(theta)).ravel()

    jacobian = np.stack([moved(unit) for unit in np.eye(len(theta))], axis=1)
    scale = np.linalg.norm(jacobian) ** 2
    atol = 1e-13 * scale * (1 + tensor.norm)
    gradient = problem.gradient(theta, problem.residual(theta))
    assert_close(gradient, jacobian.T @ problem.residual(theta).ravel(), atol, "gradient")
    assert_close(normal_matrix(problem.split(theta)), jacobian.T @ jacobian, atol, "J^T J")
    v = rng.standard_normal(theta.shape)
    product = Iterative(problem.split(theta), forcing=0.01).product(v, 0.5)
    assert_close(product, jacobian.T @ (jacobian @ v) + 0.5 * v, 10 * atol, "J^T J v + v/2")


def test_conjugate_gradients_and_cholesky_take_the_same_step(rng):
    factors = [rng.standard_normal((d, 5)) for d in (4, 3, 6)]
    gradient = rng.standard_normal(65)
    iterative = Iterative(factors, forcing=1e-14)
    iterative.max_products = 1000
    dense = Formed(normal_matrix(factors))
    wanted = dense.step(gradient, 0.1)
    # the condition number of J^T J + 0.1 is below 1e5 here, so 1e-14 of the residual leaves 1e-9 of the step
    assert_close(iterative.step(gradient, 0.1), wanted, 1e-9 * np.linalg.norm(wanted), "step")


def test_start_is_used_and_a_solution_stays():
    tensor = CouplingTensor(1)
    found = best([LevenbergMarquardt(8, seed=s, ridge=0).solve(tensor) for s in range(3)])
    again = LevenbergMarquardt(8).solve(tensor, start=found.factors)
    assert again.residual <= 1e-14
    with refuses(ValueError, "R = 8", "R = 7"):
        LevenbergMarquardt(7).solve(tensor, start=found.factors)


def test_als_without_a_limit_of_stalling_spends_its_budget():
    """At the best two terms the residual only wavers by roundoff."""
    for seed in range(3):
        solver = AlternatingLeastSquares(2, seed=seed, max_sweeps=1500, stall=0.0)
        assert solver.solve(CouplingTensor(1)).status is Status.BUDGET


def test_a_spent_budget_is_said():
    assert LevenbergMarquardt(20, max_seconds=0.0).solve(CouplingTensor(2)).status is Status.BUDGET
    assert LevenbergMarquardt(20, ridge=0, max_iterations=2).solve(CouplingTensor(2)).status is Status.BUDGET
    assert AlternatingLeastSquares(20, max_sweeps=10).solve(CouplingTensor(2)).status is Status.BUDGET


def test_diverging_terms_are_called_degenerate():
    """L=1, R=7 has no best approximation: without a ridge the terms run away while the residual creeps down."""
    runs = [
        LevenbergMarquardt(7, seed=seed, ridge=0, stall=1e-8, max_iterations=600).solve(CouplingTensor(1))
        for seed in range(2)
    ]
    assert Status.DEGENERATE in {run.status for run in runs}


def test_best_prefers_small_residuals_and_then_good_condition():
    tensor = CouplingTensor(1)
    factors = CPFactors(*np.ones((3, 4, 1)))

    def made(residual: float) -> CPSolution:
        return CPSolution(tensor, factors, Status.STALLED, residual)

    assert best([made(0.5), made(0.1)]).residual == 0.1
    assert best([made(0.0), made(1e-13)]).residual == 0.0  # both exact and equally conditioned: the first
    with refuses(ValueError, "no solution"):
        best([])


@pytest.mark.parametrize("solver", [LevenbergMarquardt, AlternatingLeastSquares, SampledAdamW])
def test_bad_settings(solver):
    for rank, error in ((0, ValueError), (-3, ValueError), (2.0, TypeError), (True, TypeError)):
        with refuses(error, repr(rank), ">= 1"):
            solver(rank)
    with refuses(ValueError, "zero", "nonzero weight"):
        solver(2).solve(CouplingTensor(1, {}))
    if solver is LevenbergMarquardt:
        start = CPFactors(np.ones((4, 2)), np.ones((9, 2)), np.ones((9, 2)))
        with refuses(ValueError, "(9, 9, 4)", "needs (9, 16, 4)"):
            solver(2).solve(CouplingTensor(MACE), start)


def test_bad_levenberg_marquardt_settings():
    with refuses(ValueError, "-0.1", ">= 0"):
        LevenbergMarquardt(2, ridge=-0.1)
    with refuses(ValueError, "'lu'", "cholesky"):
        LevenbergMarquardt(2, linear_solver="lu")
