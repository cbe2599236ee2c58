"""Levenberg-Marquardt for the CP problem, with ridge continuation.

Minimises `f(A, B, C) = ||[[A, B, C]] - M||_F^2 / 2 + mu (||A||^2 + ||B||^2 + ||C||^2) / 2`, first along a falling
sequence of `mu`, then with `mu = 0`. The ridge keeps terms from diverging against each other while the fit is still
poor (the swamps and border-rank escapes of plain fitting) and makes the scaling of the three vectors of a term unique.

Gauss-Newton matrix. Write `S_A = A^T A` etc. and `G_A = S_B * S_C` (entrywise), cyclically. The Jacobian maps (dA, dB,
dC) to `[[dA,B,C]] + [[A,dB,C]] + [[A,B,dC]]`, so with `<[[a,b,c]], [[a',b',c']]> = sum_rs
(a_r.a'_s)(b_r.b'_s)(c_r.c'_s)`

    (J^T J)_{AA} = I (x) G_A,
    (J^T J)_{AB}[(k,r),(i,s)] = A[k,s] B[i,r] S_C[r,s],
    (J^T J v)_A = dA G_A + A (S_C * (dB^T B) + S_B * (dC^T C)),

and cyclically. Small problems form it and factorise `J^T J + (mu + lambda) I` by Cholesky. Large ones never form it: a
product costs O(R^2 d), and conjugate gradients are preconditioned by the diagonal blocks `I (x) (G + (mu + lambda)
I)`.

Sources: Tomasi and Bro, Comput. Stat. Data Anal. 50 (2006) 1700 (LM for CP); Sorber, Van Barel and De Lathauwer, SIAM
J. Optim. 23 (2013) 695 (structured products, block preconditioner). The derivation above is ours.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors, khatri_rao
from tdn_theory.cp.solution import CPSolution
from tdn_theory.cp.solvers.minimise import minimise
from tdn_theory.cp.solvers.solver import (
    at_unit_scale,
    check_rank,
    check_start,
    check_tensor_not_zero,
    random_start,
)

Array = np.ndarray

DENSE_LIMIT = 1000
"""Number of unknowns up to which the normal equations are formed (beyond, conjugate gradients are faster)."""

LOOSE = 0.1
"""Forcing term of the inner conjugate gradients far from a solution."""


@dataclass(frozen=True)
class LevenbergMarquardt:
    """Levenberg-Marquardt solver, see the module.

    Attributes:
        rank: Number of terms R.
        seed: Seed of the Gaussian start.
        ridge: First value of `mu`, in units of `ridge_unit(M)`, which makes it independent of the scale of M; it falls
            tenfold per stage down to 1e-6 of these units, then to 0. With 0 there is no continuation.
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
        unit, scale = at_unit_scale(tensor)
        if start is None:
            start, ridge = random_start(unit, self.rank, np.random.default_rng(self.seed)), self.ridge
        else:
            check_start(start, tensor, self.rank)
            start, ridge = CPFactors(start.A / scale, start.B / scale, start.C / scale), 0.0
        problem = CPProblem(unit.array, self.rank, self._dense(sum(tensor.dims)))
        theta = problem.join([start.A, start.B, start.C])
        deadline = began + self.max_seconds

        iterations = 0
        while ridge >= 0.99e-6:
            mu = ridge * ridge_unit(unit)
            theta, used, _ = minimise(problem, theta, mu, self.stage_iterations, deadline, self.stall)
            iterations += used
            ridge /= 10
        theta, used, status = minimise(problem, theta, 0.0, self.max_iterations, deadline, self.stall)
        factors = CPFactors(*(scale * factor for factor in problem.split(theta)))
        return CPSolution.of(tensor, factors, status, self, iterations + used, began)

    def _dense(self, components: int) -> bool:
        unknowns = components * self.rank
        return self.linear_solver == "cholesky" or (self.linear_solver == "auto" and unknowns <= DENSE_LIMIT)


def ridge_unit(tensor: CouplingTensor) -> float:
    """`(||M||^2 / d)^(2/3)`, d being the geometric mean of d1, d2, d3."""
    return (tensor.norm**2 / float(np.cbrt(np.prod(tensor.dims)))) ** (2 / 3)


class CPProblem:
    """Residual, gradient and damped Gauss-Newton steps of the CP problem for one tensor.

    The unknowns theta are the entries of A, B and C one after the other.
    """

    def __init__(self, tensor: Float[Array, "d3 d1 d2"], rank: int, dense: bool) -> None:
        """Decompose `tensor` in `rank` terms; `dense` forms the normal equations."""
        self.tensor, self.rank, self.dense = np.asarray(tensor), rank, dense
        self.norm = float(np.linalg.norm(tensor))
        self._ends = np.cumsum([d * rank for d in tensor.shape[:2]])

    def split(self, theta: Float[Array, " n"]) -> list[Float[Array, "_ R"]]:
        """A, B and C, as views."""
        return [part.reshape(-1, self.rank) for part in np.split(theta, self._ends)]

    @staticmethod
    def join(parts: Sequence[Float[Array, "_ R"]]) -> Float[Array, " n"]:
        """The vector of A, B and C."""
        return np.concatenate([part.ravel() for part in parts])

    def residual(self, theta: Float[Array, " n"]) -> Float[Array, "d3 d1 d2"]:
        """`[[A, B, C]] - M`."""
        A, B, C = self.split(theta)
        return (A @ khatri_rao(B, C).T).reshape(self.tensor.shape) - self.tensor

    def gradient(self, theta: Float[Array, " n"], residual: Float[Array, "d3 d1 d2"]) -> Float[Array, " n"]:
        """`J^T r`."""
        A, B, C = self.split(theta)
        return self.join(
            [
                residual.reshape(len(A), -1) @ khatri_rao(B, C),
                residual.transpose(1, 0, 2).reshape(len(B), -1) @ khatri_rao(A, C),
                residual.transpose(2, 0, 1).reshape(len(C), -1) @ khatri_rao(A, B),
            ]
        )

    def linearise(self, theta: Float[Array, " n"], residual: Float[Array, "d3 d1 d2"]) -> Iterative | Formed:
        """The Gauss-Newton matrix at theta."""
        if self.dense:
            return Formed(normal_matrix(self.split(theta)))
        forcing = float(np.clip(np.sqrt(np.linalg.norm(residual) / self.norm), 1e-2, LOOSE))
        return Iterative(self.split(theta), forcing)


def normal_matrix(factors: Sequence[Float[Array, "_ R"]]) -> Float[Array, "n n"]:
    """`J^T J` of the CP problem at (A, B, C)."""
    grams = [factor.T @ factor for factor in factors]
    starts = np.cumsum([0, *(factor.size for factor in factors)])
    matrix = np.zeros((starts[-1], starts[-1]))
    for m, left in enumerate(factors):
        rows = slice(starts[m], starts[m + 1])
        for n, right in enumerate(factors):
            columns = slice(starts[n], starts[n + 1])
            if m == n:
                matrix[rows, columns] = np.kron(np.eye(len(left)), grams[m - 1] * grams[m - 2])
            else:
                block = np.einsum("ks,ir,rs->kris", left, right, grams[3 - m - n], optimize=True)
                matrix[rows, columns] = block.reshape(left.size, right.size)
    return matrix


class Iterative:
    """`J^T J` at one point as an operator, and damped steps by preconditioned conjugate gradients.

    `forcing` is the relative size, in the preconditioned norm, to which the linear residual is reduced. Far from a
    solution tighter solves than `LOOSE`, or more than 20 products, take twice as long and end no lower, and single
    precision is enough; near a solution tighter ones save iterations.
    """

    def __init__(self, factors: Sequence[Float[Array, "_ R"]], forcing: float) -> None:
        """Linearise at `factors` = (A, B, C)."""
        loose = forcing == LOOSE
        self.forcing = forcing
        self.max_products = 20 if loose else 100
        self.dtype = np.float32 if loose else np.float64
        self.factors = [factor.astype(self.dtype) for factor in factors]
        self.grams = [factor.T @ factor for factor in self.factors]
        SA, SB, SC = self.grams
        self.diagonal = [SB * SC, SA * SC, SA * SB]
        self._ends = np.cumsum([factor.size for factor in factors[:2]])

    def _split(self, v: Float[Array, " n"]) -> list[Float[Array, "_ R"]]:
        return [part.reshape(-1, len(self.grams[0])) for part in np.split(v, self._ends)]

    def product(self, v: Float[Array, " n"], damping: float) -> Float[Array, " n"]:
        """`J^T J v + damping v`."""
        SA, SB, SC = self.grams
        parts = self._split(v)
        XA, XB, XC = (part.T @ factor for part, factor in zip(parts, self.factors, strict=True))
        cross = [SC * XB + SB * XC, SC * XA + SA * XC, SB * XA + SA * XB]
        rows = zip(parts, self.diagonal, self.factors, cross, strict=True)
        return CPProblem.join([part @ G + factor @ K for part, G, factor, K in rows]) + self.dtype(damping) * v

    def step(self, gradient: Float[Array, " n"], damping: float) -> Float[Array, " n"]:
        """The damped step."""
        identity = np.eye(len(self.grams[0]), dtype=self.dtype)
        # Explicit inverses: a preconditioner needs no last digits, and products are faster than triangular solves.
        inverses = [
            cho_solve(cho_factor(G + self.dtype(damping) * identity, check_finite=False), identity)
            for G in self.diagonal
        ]

        def precondition(residual: Float[Array, " n"]) -> Float[Array, " n"]:
            return CPProblem.join([part @ G for part, G in zip(self._split(residual), inverses, strict=True)])

        residual = -gradient.astype(self.dtype)
        step = np.zeros_like(residual)
        direction = z = precondition(residual)
        size = first = float(np.vdot(residual, z))
        for _ in range(self.max_products):
            image = self.product(direction, damping)
            length = self.dtype(size / float(np.vdot(direction, image)))
            step += length * direction
            residual -= length * image
            z = precondition(residual)
            size, before = float(np.vdot(residual, z)), size
            if size <= self.forcing**2 * first:
                break
            direction = z + self.dtype(size / before) * direction
        return step


class Formed:
    """A Gauss-Newton matrix that is given, its upper triangle at least, and damped steps by Cholesky."""

    def __init__(self, matrix: Float[Array, "n n"]) -> None:
        """Take `matrix`."""
        self.matrix = matrix

    def step(self, gradient: Float[Array, " n"], damping: float) -> Float[Array, " n"]:
        """The damped step."""
        matrix = self.matrix.copy()
        matrix.flat[:: len(matrix) + 1] += damping
        factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
        return -cho_solve(factor, gradient, check_finite=False)
