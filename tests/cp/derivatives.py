"""Gradient and Gauss-Newton matrix of a least-squares problem, against finite differences of its residual."""

from __future__ import annotations

import numpy as np

from tdn_theory.cp.solvers.minimise import Problem


def assert_derivatives(problem: Problem, phi: np.ndarray, atol_of_matrix: float) -> None:
    """Of the matrix the upper triangle counts."""
    h = 1e-6
    columns = [
        (problem.residual(phi + h * e) - problem.residual(phi - h * e)).ravel() / (2 * h) for e in np.eye(len(phi))
    ]
    jacobian = np.stack(columns, axis=1)
    residual = problem.residual(phi)
    np.testing.assert_allclose(problem.gradient(phi, residual), jacobian.T @ residual.ravel(), rtol=0, atol=1e-7)
    matrix = np.triu(problem.linearise(phi, residual).matrix)
    np.testing.assert_allclose(matrix, np.triu(jacobian.T @ jacobian), rtol=0, atol=atol_of_matrix)
