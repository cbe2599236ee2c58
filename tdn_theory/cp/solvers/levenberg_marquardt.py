"""Levenberg-Marquardt for the CP problem, with ridge continuation.

Minimises `f(A, B, C) = ||[[A, B, C]] - M||_F^2 / 2 + mu (||A||^2 + ||B||^2 + ||C||^2) / 2`, first along a falling
sequence of `mu`, then with `mu = 0`. The ridge keeps terms from diverging against each other while the fit is still
poor (the swamps and border-rank escapes of plain fitting) and makes the scaling of the three vectors of a term unique.

Gauss-Newton matrix. Write `S_A = A^T A` etc. and `G_A = S_B * S_C` (entrywise), cyclically. The Jacobian maps (dA, dB,
dC) to `[[dA,B,C]] + [[A,dB,C]] + [[A,B,dC]]`, so with `<[[a,b,c]], [[a',b',c']]> = sum_rs
(a_r.a'_s)(b_r.b'_s)(c_r.c'_s)`

    (J^T J)_{AA} = I_d (x) G_A,
    (J^T J)_{AB}[(k,r),(i,s)] = A[k,s] B[i,r] S_C[r,s],
    (J^T J v)_A = dA G_A + A (S_C * (dB^T B) + S_B * (dC^T C)),

and cyclically. Small problems form it and factorise `J^T J + (mu + lambda) I` by Cholesky. Large ones never form it: a
product costs O(R^2 d), and conjugate gradients are preconditioned by the diagonal blocks `I_d (x) (G + (mu + lambda)
I)`.

Sources: Tomasi and Bro, Comput. Stat. Data Anal. 50 (2006) 1700 (LM for CP); Sorber, Van Barel and De Lathauwer, SIAM
J. Optim. 23
(2013) 695 (structured products, block preconditioner); Nielsen, IMM-REP-1999-05 (damping rule). The derivation above is
ours.
"""

from __future__ import annotations

import time
from collections import deque
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.linalg import LinAlgError, cho_factor, cho_solve

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors, khatri_rao
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.solver import check_rank, check_tensor_not_zero, random_start

Array = np.ndarray

DENSE_LIMIT = 1000
"""Number of unknowns up to which the normal equations are formed (beyond, conjugate gradients are faster)."""

LOOSE = 0.1
"""Forcing term of the inner conjugate gradients far from a solution."""

ROUNDOFF = 4e-16
"""Relative residual at which float64 leaves nothing to gain."""


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Levenberg-Marquardt solver, see the module.

    Attributes:
        rank: Number of terms R.
        seed: Seed of the Gaussian start.
        ridge: First value of `mu`, in units of `(||M||^2 / d)^(2/3)`, which makes it independent of the scale of M; it
            falls tenfold per stage down to 1e-6 of these units, then to 0. With 0 there is no continuation.
        stage_iterations: Iterations per ridge stage.
        max_iterations: Iterations without ridge.
        max_seconds: Wall time after which the solver stops.
        stall: The solver stops as stalled when ten iterations together lower f by less than this fraction.
        linear_solver: `"cholesky"`, `"cg"`, or `"auto"`: Cholesky up to `DENSE_LIMIT` unknowns.
    """

    rank: int
    seed: int = 0
    ridge: float = 1e-2
    stage_iterations: int = 40
    max_iterations: int = 500
    max_seconds: float = float("inf")
    stall: float = 1e-3
    linear_solver: Literal["auto", "cholesky", "cg"] = "auto"

    def __post_init__(self) -> None:
        check_rank(self.rank)
        if not 0 <= self.ridge < float("inf"):
            raise ValueError(f"ridge is {self.ridge}; it must be finite and >= 0 (0 for no continuation)")
        if self.linear_solver not in ("auto", "cholesky", "cg"):
            raise ValueError(f"linear_solver is {self.linear_solver!r}; it must be 'auto', 'cholesky' or 'cg'")

    def solve(self, tensor: CouplingTensor, start: CPFactors | None = None) -> CPSolution:
        """Decompose `tensor`.

        Args:
            tensor: A nonzero coupling tensor.
            start: Factors of this rank to start from instead of random ones (then without ridge stages).

        Returns:
            The solution; its status is `STALLED` at a plateau, `CONVERGED` at a stationary point.

        Raises:
            ValueError: The tensor is zero, or `start` has another shape.
        """
        check_tensor_not_zero(tensor)
        began = time.perf_counter()
        rng = np.random.default_rng(self.seed)
        if start is not None and start.A.shape != (tensor.d, self.rank):
            raise ValueError(f"start has (d, R) = {start.A.shape}; it must be {(tensor.d, self.rank)}")
        theta = (
            random_start(tensor.d, self.rank, tensor.norm, rng)
            if start is None
            else np.stack([start.A, start.B, start.C])
        )
        problem = _Problem(np.asarray(tensor.array), self._dense(tensor.d))
        deadline = began + self.max_seconds

        iterations = 0
        unit = (tensor.norm**2 / tensor.d) ** (2 / 3)
        mu = self.ridge
        while start is None and mu >= 0.99e-6:
            theta, used, _ = _minimise(problem, theta, mu * unit, self.stage_iterations, deadline, self.stall)
            iterations += used
            mu /= 10
        theta, used, status = _minimise(problem, theta, 0.0, self.max_iterations, deadline, self.stall)
        return CPSolution.of(tensor, CPFactors(*theta), status, self, iterations + used, began)

    def _dense(self, d: int) -> bool:
        unknowns = 3 * d * self.rank
        return self.linear_solver == "cholesky" or (self.linear_solver == "auto" and unknowns <= DENSE_LIMIT)


class _Problem:
    """Residual, gradient and damped Gauss-Newton steps of the CP problem for one tensor; theta has shape (3, d, R)."""

    def __init__(self, tensor: Float[Array, "d d d"], dense: bool) -> None:
        self.tensor = tensor
        self.norm = float(np.linalg.norm(tensor))
        self.dense = dense

    def residual(self, theta: Float[Array, "3 d R"]) -> Float[Array, "d d d"]:
        A, B, C = theta
        return (A @ khatri_rao(B, C).T).reshape(self.tensor.shape) - self.tensor

    def gradient(self, theta: Float[Array, "3 d R"], residual: Float[Array, "d d d"]) -> Float[Array, "3 d R"]:
        A, B, C = theta
        d = len(A)
        return np.stack(
            [
                residual.reshape(d, -1) @ khatri_rao(B, C),
                residual.transpose(1, 0, 2).reshape(d, -1) @ khatri_rao(A, C),
                residual.transpose(2, 0, 1).reshape(d, -1) @ khatri_rao(A, B),
            ]
        )

    def linearise(self, theta: Float[Array, "3 d R"], residual: Float[Array, "d d d"]) -> _Linearisation:
        if self.dense:
            return _DenseLinearisation(theta)
        return _Linearisation(theta, float(np.clip(np.sqrt(np.linalg.norm(residual) / self.norm), 1e-2, LOOSE)))


class _Linearisation:
    """`J^T J` at one point as an operator, and damped steps by preconditioned conjugate gradients.

    `forcing` is the relative size, in the preconditioned norm, to which the linear residual is reduced. Far from a
    solution tighter solves than `LOOSE`, or more than 20 products, take twice as long and end no lower, and single
    precision is enough; near a solution tighter ones save iterations.
    """

    def __init__(self, theta: Float[Array, "3 d R"], forcing: float) -> None:
        loose = forcing == LOOSE
        self.forcing = forcing
        self.max_products = 20 if loose else 100
        self.theta = theta.astype(np.float32 if loose else np.float64)
        self.grams = np.matmul(self.theta.transpose(0, 2, 1), self.theta)
        SA, SB, SC = self.grams
        self.diagonal = np.stack([SB * SC, SA * SC, SA * SB])

    def product(self, v: Float[Array, "3 d R"], damping: float) -> Float[Array, "3 d R"]:
        SA, SB, SC = self.grams
        XA, XB, XC = np.matmul(v.transpose(0, 2, 1), self.theta)
        cross = np.stack([SC * XB + SB * XC, SC * XA + SA * XC, SB * XA + SA * XB])
        return v @ self.diagonal + self.theta @ cross + damping * v

    def step(self, gradient: Float[Array, "3 d R"], damping: float) -> Float[Array, "3 d R"]:
        dtype = self.theta.dtype
        identity = np.eye(self.diagonal.shape[1], dtype=dtype)
        # Explicit inverses: a preconditioner needs no last digits, and products are faster than triangular solves.
        inverses = np.stack(
            [cho_solve(cho_factor(G + damping * identity, check_finite=False), identity) for G in self.diagonal]
        )

        step = np.zeros_like(self.theta)
        residual = -gradient.astype(dtype)
        direction = z = residual @ inverses
        size = first = float(np.vdot(residual, z))
        for _ in range(self.max_products):
            image = self.product(direction, damping)
            length = size / float(np.vdot(direction, image))
            step += length * direction
            residual -= length * image
            z = residual @ inverses
            size, before = float(np.vdot(residual, z)), size
            if size <= self.forcing**2 * first:
                break
            direction = z + size / before * direction
        return step


class _DenseLinearisation(_Linearisation):
    """The same with `J^T J` formed, and steps by Cholesky."""

    def __init__(self, theta: Float[Array, "3 d R"]) -> None:
        super().__init__(theta, forcing=0.0)
        _, d, R = theta.shape
        matrix = np.zeros((3, d, R, 3, d, R))
        component = np.arange(d)
        for m in range(3):
            matrix[m, component, :, m, component, :] = self.diagonal[m]
            for n in range(3):
                if m != n:
                    matrix[m, :, :, n] = np.einsum(
                        "ks,ir,rs->kris", theta[m], theta[n], self.grams[3 - m - n], optimize=True
                    )
        self.matrix = matrix.reshape(3 * d * R, 3 * d * R)

    def step(self, gradient: Float[Array, "3 d R"], damping: float) -> Float[Array, "3 d R"]:
        matrix = self.matrix.copy()
        matrix.flat[:: len(matrix) + 1] += damping
        factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
        return -cho_solve(factor, gradient.ravel(), check_finite=False).reshape(gradient.shape)


def _minimise(
    problem: _Problem, theta: Float[Array, "*unknowns"], mu: float, max_iterations: int, deadline: float, stall: float
) -> tuple[Float[Array, "*unknowns"], int, Status]:
    """LM iterations at one ridge `mu`; returns the point, the iterations used, and how it ended."""
    damping, growth = 0.1, 2.0
    residual = problem.residual(theta)

    def objective(residual: Float[Array, "d d d"], theta: Float[Array, "*unknowns"]) -> float:
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
