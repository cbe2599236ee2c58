"""Levenberg-Marquardt on the non-equivariant part alone, with path weights free.

What a product layer needs is that its tensor T commutes with rotations, not that it equals one particular equivariant
tensor. With P the orthogonal projection on the span of the path tensors C_p of the paths in use, minimise

    f(theta) = ||(I - P) T||^2 / 2 + tau^2 ||P (T - M)||^2 / 2 + mu ||theta||^2 / 2,      T = [[A, B, C]],

first along falling `mu` with `tau = 1`, which is ordinary fitting of M, then along falling `tau`, at last with `mu =
tau = 0`. As `tau` falls the path weights `<T, C_p>` become free: variable projection on the weights. The anchor at M
keeps paths alive and picks one of the equivalent solutions, since scaling a degree in a mode, `w_p -> s_l3 t_l1 u_l2
w_p`, changes neither rank nor equivariance. If a path dies nevertheless, the tensor near M that has this rank does not
exist near the start; the solver stops and says so.

With `E = T - M` and `E_tau = E - (1 - tau) P E` the objective is `||E_tau||^2 / 2`, and since `P^2 = P`

    gradient       J^T (I - (1 - tau) P) E_tau,
    Gauss-Newton   J^T J - (1 - tau^2) V V^T,      V = J^T [vec C_p]  (one column per path),

a downdate of the ordinary CP matrix by as many columns as there are paths.

Symmetric decompositions. Let G be a group of `symmetry.py`. Factors made of G-orbits of terms are a linear function
`theta = Lambda phi` of the orbits' representatives; the gradient is `Lambda^T`, the Gauss-Newton matrix `Lambda^T H
Lambda`. Since residual and gradient are invariant, one representative speaks for its orbit: only the rows of H that
belong to representatives are formed, times the orbit's length. Equations and unknowns both shrink by about `|G|`, and
the few short orbits can make a symmetric decomposition possible below the rank that counting allows in general.

Sources: Golub and Pereyra, SIAM J. Numer. Anal. 10 (1973) 413 (variable projection); Ballard, Ikenmeyer, Landsberg and
Ryder, J. Pure Appl. Algebra 223 (2019) 3205 (symmetric decompositions). The combination is ours.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace
from typing import Protocol, runtime_checkable

import numpy as np
from jaxtyping import Float
from scipy.linalg import cho_factor, cho_solve

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors, khatri_rao
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.levenberg_marquardt import _DenseLinearisation, _Linearisation, _minimise, _Problem
from tdn_theory.cp.solvers.solver import check_rank, check_tensor_not_zero, random_start
from tdn_theory.cp.symmetry import OrbitType, orbit_types
from tdn_theory.so3.irreps import Path, component_slice

Array = np.ndarray

ALIVE = 0.02
"""A path whose weight falls below this fraction of the anchor's counts as dead."""


@dataclass(frozen=True)
class EquivariantLevenbergMarquardt:
    """Levenberg-Marquardt solver for exactly equivariant tensors near a given one, see the module.

    Attributes:
        rank: Number of terms R.
        seed: Seed of the Gaussian start, and of the choice of orbits.
        symmetry: Group of the decomposition, see `symmetry.group`; `"C1"` for none.
        orbits: Names of the orbit types to use, whose lengths sum to the rank; if empty they are drawn at random.
        free: Whether path weights are released (true) or stay those of the tensor (false).
        ridge: First value of `mu`, in units of `(||M||^2 / d)^(2/3)`; it falls tenfold per stage down to 1e-6 units.
        release: Factor by which `tau` falls per stage, from 1 down to 1e-3, then 0.
        stage_iterations: Iterations per stage.
        max_iterations: Iterations of the last stage.
        max_seconds: Wall time after which the solver stops.
        stall: A stage ends when ten iterations together lower f by less than this fraction.
    """

    rank: int
    seed: int = 0
    symmetry: str = "C1"
    orbits: tuple[str, ...] = ()
    free: bool = True
    ridge: float = 1e-2
    release: float = 0.6
    stage_iterations: int = 30
    max_iterations: int = 500
    max_seconds: float = float("inf")
    stall: float = 1e-3

    def __post_init__(self) -> None:
        check_rank(self.rank)
        if not 0 < self.release < 1:
            raise ValueError(f"release is {self.release!r}; it must lie between 0 and 1, e.g. 0.6")

    def solve(self, tensor: CouplingTensor, start: CPFactors | None = None) -> CPSolution:
        """Decompose an equivariant tensor whose paths in use are those of `tensor`, starting from its weights.

        Args:
            tensor: The anchor; its paths of zero weight stay at zero.
            start: Factors of this rank to start from instead of random ones, without symmetry; e.g. those of an exact
                decomposition less a few terms, which the stages then try to do without.

        Returns:
            The solution. Its `tensor` has the weights that were found, and its residual is relative to that tensor, so
            it measures the non-equivariant part alone. `made_by["dead"]` lists the paths that died.

        Raises:
            ValueError: The tensor is zero, there is no way to make up the rank from orbits of this group, or `start`
                has another shape or comes with a symmetry.
        """
        check_tensor_not_zero(tensor)
        began = time.perf_counter()
        deadline = began + self.max_seconds
        rng = np.random.default_rng(self.seed)
        layout = self._layout(tensor, rng)
        phi = layout.start(tensor, rng)
        if start is not None:
            if start.A.shape != (tensor.d, self.rank) or not isinstance(layout, _Free):
                raise ValueError(
                    f"start has (d, R) = {start.A.shape}; it must be {(tensor.d, self.rank)}, and symmetry 'C1' "
                    f"(given {self.symmetry!r})"
                )
            phi = np.stack([start.A, start.B, start.C]).ravel()
        unit = (tensor.norm**2 / tensor.d) ** (2 / 3)
        stages = [(self.ridge * 10.0**-k, 1.0) for k in range(9) if self.ridge * 10.0**-k >= 0.99e-6]
        if self.free:
            steps = int(np.ceil(np.log(1e-3) / np.log(self.release)))
            stages += [(1e-6 * 2.0**-k, self.release**k) for k in range(1, steps + 1)]
        iterations, dead = 0, []
        for mu, tau in stages:
            problem = _Anchored(tensor, layout, tau)
            phi, used, _ = _minimise(problem, phi, mu * unit, self.stage_iterations, deadline, self.stall)
            iterations += used
            dead = problem.dead(phi)
            if tau < 1 and dead:
                break
        status = Status.STALLED
        if not dead:
            problem = _Anchored(tensor, layout, 0.0 if self.free else 1.0)
            phi, used, status = _minimise(problem, phi, 0.0, self.max_iterations, deadline, self.stall)
            iterations += used
            dead = problem.dead(phi)
        factors = CPFactors(*(layout.expand(phi) * _used(tensor)[:, :, None]))
        found = tensor
        if self.free:
            weights = tensor.project(factors.array).weights
            found = CouplingTensor(
                tensor.lmax,
                tuple(w if anchor else 0.0 for w, anchor in zip(weights, tensor.weights, strict=True)),
                tensor.normalization,
            )
        solution = CPSolution.of(found, factors, status, self, iterations, began)
        made_by = solution.made_by | {"orbits": list(layout.names), "dead": [list(path) for path in dead]}
        return replace(solution, made_by=made_by)

    def _layout(self, tensor: CouplingTensor, rng: np.random.Generator) -> _Layout:
        if self.symmetry == "C1":
            return _Free(tensor.d, self.rank)
        types = orbit_types(self.symmetry, tensor.lmax)
        if self.orbits:
            known = {t.name: t for t in types}
            unknown = [name for name in self.orbits if name not in known]
            if unknown:
                raise ValueError(f"no orbit type {unknown[0]!r} of {self.symmetry}; there are {sorted(known)}")
            chosen = [known[name] for name in self.orbits]
            if sum(t.length for t in chosen) != self.rank:
                raise ValueError(
                    f"orbits have {sum(t.length for t in chosen)} terms; they must have rank = {self.rank}"
                )
            return _Orbits(chosen)
        chosen, rest = [], self.rank
        while rest:
            fitting = [t for t in types if t.length <= rest]
            if not fitting:
                raise ValueError(f"{self.rank} terms cannot be made up from orbits of {self.symmetry} at {tensor}")
            # long orbits have most unknowns per choice; of one length, freer ones are likelier
            odds = np.array([t.length * (t.freedom + 0.1) ** 2 for t in fitting])
            chosen.append(fitting[rng.choice(len(fitting), p=odds / odds.sum())])
            rest -= chosen[-1].length
        return _Orbits(chosen)


def _used(tensor: CouplingTensor) -> Float[Array, "3 d"]:
    """1 at the components of each mode whose degree some path in use has, else 0. Iterations keep zeros at zero."""
    used = np.zeros((3, tensor.d))
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        if weight != 0:
            for mode, l in enumerate((path.l3, path.l1, path.l2)):
                used[mode, component_slice(l)] = 1
    return used


@runtime_checkable
class _Layout(Protocol):
    """How the unknowns phi make the factors theta, linearly."""

    names: tuple[str, ...]

    def start(self, tensor: CouplingTensor, rng: np.random.Generator) -> Array: ...

    def expand(self, phi: Array) -> Array:
        """`theta = Lambda phi`, shape (3, d, R)."""
        ...

    def pull(self, gradient: Array) -> Array:
        """`Lambda^T` of an invariant gradient."""
        ...

    def pull_all(self, directions: Array) -> Array:
        """`Lambda^T` of any directions, one per row."""
        ...

    def matrix(self, theta: Array) -> Array:
        """`Lambda^T J^T J Lambda`; only the upper triangle counts."""
        ...


class _Free:
    """No symmetry: phi is theta."""

    names: tuple[str, ...] = ()

    def __init__(self, d: int, rank: int) -> None:
        self.shape = (3, d, rank)

    def start(self, tensor: CouplingTensor, rng: np.random.Generator) -> Array:
        return (random_start(tensor.d, self.shape[2], tensor.norm, rng) * _used(tensor)[:, :, None]).ravel()

    def expand(self, phi: Array) -> Array:
        return phi.reshape(self.shape)

    def pull(self, gradient: Array) -> Array:
        return gradient.ravel()

    def pull_all(self, directions: Array) -> Array:
        return directions.reshape(len(directions), -1)

    def matrix(self, theta: Array) -> Array:
        return _DenseLinearisation(theta).matrix


class _Orbits:
    """Orbits of terms under a group; phi holds the coefficients of their representatives."""

    def __init__(self, types: list[OrbitType]) -> None:
        self.types = types
        self.names = tuple(t.name for t in types)
        self.ends = np.cumsum([t.basis.shape[2] for t in types])
        self.last = np.cumsum([t.length for t in types])

    def _parts(self) -> list[tuple[OrbitType, slice, slice]]:
        """Each orbit with its unknowns and its terms."""
        return [
            (t, slice(e - t.basis.shape[2], e), slice(f - t.length, f))
            for t, e, f in zip(self.types, self.ends, self.last, strict=True)
        ]

    def start(self, tensor: CouplingTensor, rng: np.random.Generator) -> Array:
        phi = rng.normal(size=int(self.ends[-1]))
        size = np.sqrt(3) * (tensor.norm / np.sqrt(self.last[-1])) ** (1 / 3)
        for t, unknowns, _ in self._parts():
            kept = np.tensordot((t.basis @ phi[unknowns]) * _used(tensor), t.basis, 2)
            phi[unknowns] = kept * size / np.linalg.norm(kept)
        return phi

    def expand(self, phi: Array) -> Array:
        return np.concatenate([(t.spread @ phi[x]).transpose(1, 2, 0) for t, x, _ in self._parts()], axis=2)

    def pull(self, gradient: Array) -> Array:
        parts = [t.length * np.tensordot(gradient[:, :, f.start], t.basis, 2) for t, _, f in self._parts()]
        return np.concatenate(parts)

    def pull_all(self, directions: Array) -> Array:
        parts = [np.einsum("pmkn,nmkx->px", directions[..., f], t.spread, optimize=True) for t, _, f in self._parts()]
        return np.concatenate(parts, axis=1)

    def matrix(self, theta: Array) -> Array:
        grams = np.einsum("mkr,mks->mrs", theta, theta, optimize=True)
        _, d, rank = theta.shape
        component = np.arange(d)
        result = np.zeros((self.ends[-1], self.ends[-1]))
        for number, (t, x, f) in enumerate(self._parts()):
            first = f.start
            rows = np.zeros((3, d, 3, d, rank))  # of J^T J: the representative's unknowns against all
            for m in range(3):
                others = np.prod([grams[n, first] for n in range(3) if n != m], axis=0)
                rows[m, component, m, component, :] = others
                for n in range(3):
                    if n != m:
                        partner = theta[n, :, first][None, :, None]
                        rows[m, :, n] = theta[m][:, None, :] * partner * grams[3 - m - n, first]
            left = t.length * np.tensordot(t.basis, rows, ((0, 1), (0, 1)))
            for u, y, g in self._parts()[number:]:
                part = left[..., g].transpose(0, 3, 1, 2).reshape(left.shape[0], -1)
                result[x, y] = part @ u.spread.reshape(part.shape[1], -1)
        return result


class _Anchored(_Problem):
    """Residual, gradient and damped steps of the module's objective at one `tau`."""

    def __init__(self, tensor: CouplingTensor, layout: _Layout, tau: float) -> None:
        super().__init__(np.asarray(tensor.array), dense=True)
        self.layout, self.tau = layout, tau
        unit = CouplingTensor(tensor.lmax).array
        self.paths = [(p, w) for p, w in zip(tensor.paths, tensor.weights, strict=True) if w != 0]
        self.anchors = np.array([w * tensor.block_norm(p) for p, w in self.paths])
        self.where = [(component_slice(p.l3), component_slice(p.l1), component_slice(p.l2)) for p, _ in self.paths]
        self.blocks = [unit[where] for where in self.where]

    def dead(self, phi: Array) -> list[Path]:
        """Paths whose weight is below `ALIVE` times the anchor's."""
        array = CPFactors(*self.layout.expand(phi)).array
        weights = np.array([np.vdot(array[where], block) for where, block in zip(self.where, self.blocks, strict=True)])
        return [p for (p, _), w, a in zip(self.paths, weights, self.anchors, strict=True) if abs(w) < ALIVE * abs(a)]

    def _release(self, array: Array, factor: float) -> Array:
        """`(I - factor P) array`."""
        result = array.copy()
        for where, block in zip(self.where, self.blocks, strict=True):
            result[where] -= factor * np.vdot(array[where], block) * block
        return result

    def residual(self, theta: Array) -> Float[Array, "d d d"]:
        return self._release(super().residual(self.layout.expand(theta)), 1 - self.tau)

    def gradient(self, theta: Array, residual: Float[Array, "d d d"]) -> Array:
        inner = self._release(residual, 1 - self.tau)
        return self.layout.pull(super().gradient(self.layout.expand(theta), inner))

    def linearise(self, theta: Array, residual: Float[Array, "d d d"]) -> _Linearisation:
        factors = self.layout.expand(theta)
        matrix = self.layout.matrix(factors)
        if self.tau < 1:
            V = np.zeros((len(self.paths), *factors.shape))
            for n, ((k, i, j), block) in enumerate(zip(self.where, self.blocks, strict=True)):
                A, B, C = factors[0, k], factors[1, i], factors[2, j]
                V[n, 0, k] = block.reshape(len(A), -1) @ khatri_rao(B, C)
                half = np.tensordot(block, A, ((0,), (0,)))
                V[n, 1, i] = np.einsum("ijr,jr->ir", half, C)
                V[n, 2, j] = np.einsum("ijr,ir->jr", half, B)
            columns = self.layout.pull_all(V)
            matrix = matrix - (1 - self.tau**2) * (columns.T @ columns)
        return _Formed(matrix)


class _Formed(_Linearisation):
    """Damped steps with a Gauss-Newton matrix whose upper triangle is given."""

    def __init__(self, matrix: Float[Array, "n n"]) -> None:
        self.matrix = matrix

    def step(self, gradient: Float[Array, " n"], damping: float) -> Float[Array, " n"]:
        matrix = self.matrix.copy()
        matrix.flat[:: len(matrix) + 1] += damping
        factor = cho_factor(matrix, overwrite_a=True, check_finite=False)
        return -cho_solve(factor, gradient, check_finite=False)
