"""Levenberg-Marquardt iterations: least squares with a ridge, by damped Gauss-Newton steps.

Minimises `f(theta) = ||r(theta)||^2 / 2 + mu ||theta||^2 / 2` over a vector of unknowns. What is solved, and how its
linear systems are, is the problem's business.

Source: Nielsen, IMM-REP-1999-05 (damping rule).
"""

from __future__ import annotations

import time
from collections import deque
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError

from tdn_theory.cp.solution import Status

Array = np.ndarray

ROUNDOFF = 4e-16
"""Relative residual at which float64 leaves nothing to gain."""


@runtime_checkable
class Linearisation(Protocol):
    """The Gauss-Newton matrix at one point."""

    def step(self, gradient: Float[Array, " n"], damping: float) -> Float[Array, " n"]:
        """The damped step `-(J^T J + damping I)^-1 gradient`."""
        ...


@runtime_checkable
class Problem(Protocol):
    """A least-squares problem."""

    @property
    def norm(self) -> float:
        """What residuals are relative to."""
        ...

    def residual(self, theta: Float[Array, " n"]) -> Float[Array, "..."]:
        """r, in any shape."""
        ...

    def gradient(self, theta: Float[Array, " n"], residual: Float[Array, "..."]) -> Float[Array, " n"]:
        """`J^T r`."""
        ...

    def linearise(self, theta: Float[Array, " n"], residual: Float[Array, "..."]) -> Linearisation:
        """The Gauss-Newton matrix at theta."""
        ...


def minimise(
    problem: Problem, theta: Float[Array, " n"], mu: float, max_iterations: int, deadline: float, stall: float
) -> tuple[Float[Array, " n"], int, Status]:
    """Iterate at one ridge.

    Args:
        problem: The problem.
        theta: Where to start.
        mu: The ridge.
        max_iterations: Iterations at most.
        deadline: `time.perf_counter()` after which no iteration begins.
        stall: Stop as stalled when ten iterations together lower f by less than this fraction.

    Returns:
        The point, the iterations used, and how it ended.
    """
    damping, growth = 0.1, 2.0
    residual = problem.residual(theta)

    def objective(residual: Float[Array, "..."], theta: Float[Array, " n"]) -> float:
        return 0.5 * float(np.vdot(residual, residual)) + 0.5 * mu * float(np.vdot(theta, theta))

    f = objective(residual, theta)
    recent: deque[float] = deque([f], maxlen=11)
    for iteration in range(max_iterations):
        if np.linalg.norm(residual) <= ROUNDOFF * problem.norm:
            return theta, iteration, Status.CONVERGED
        if time.perf_counter() > deadline:
            return theta, iteration, Status.BUDGET
        gradient = problem.gradient(theta, residual) + mu * theta
        if np.linalg.norm(gradient) <= 1e-9 * np.linalg.norm(residual):
            return theta, iteration, Status.CONVERGED
        model = problem.linearise(theta, residual)
        while True:
            if damping > 1e12:
                return theta, iteration, Status.CONVERGED if mu == 0 else Status.STALLED
            try:
                step = model.step(gradient, mu + damping)
            except LinAlgError:
                damping *= 4
                continue
            trial_residual = problem.residual(theta + step)
            trial = objective(trial_residual, theta + step)
            predicted = 0.5 * float(damping * np.vdot(step, step) - np.vdot(gradient, step))
            gain = (f - trial) / predicted if predicted > 0 else -1.0
            if gain > 1e-4:
                theta, residual, f = theta + step, trial_residual, trial
                damping = max(damping * max(1 / 3, 1 - (2 * min(gain, 1.0) - 1) ** 3), 1e-15)
                growth = 2.0
                break
            damping, growth = damping * growth, growth * 2
        recent.append(f)
        if len(recent) == recent.maxlen and recent[0] - f < stall * recent[0]:
            return theta, iteration + 1, Status.STALLED
    return theta, max_iterations, Status.BUDGET
