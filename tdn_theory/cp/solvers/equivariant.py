"""Levenberg-Marquardt on the non-equivariant part alone, with path weights free.

What a product layer needs is that its tensor T commutes with rotations, not that it equals one particular equivariant
tensor. With P the orthogonal projection on the span of the path tensors C_p of the paths in use, minimise

    f(theta) = ||(I - P) T||^2 / 2 + tau^2 ||P (T - M)||^2 / 2 + mu ||theta||^2 / 2,      T = [[A, B, C]],

first along falling `mu` with `tau = 1`, which is ordinary fitting of M, then along falling `tau`, at last with `mu =
tau = 0`. As `tau` falls the path weights `<T, C_p>` become free: variable projection on the weights. The anchor at M
keeps paths alive and picks one of the equivalent solutions, since scaling a slot of a mode, `w_p -> s_z t_x u_y
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

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors, khatri_rao
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.levenberg_marquardt import CPProblem, Formed, normal_matrix, ridge_unit
from tdn_theory.cp.solvers.minimise import minimise
from tdn_theory.cp.solvers.solver import (
    at_unit_scale,
    check_rank,
    check_start,
    check_tensor_not_zero,
    random_start,
    with_weights_found,
)
from tdn_theory.cp.symmetry import OrbitType, orbit_types
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import Path

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
        ridge: First value of `mu`, in units of `ridge_unit(M)`; it falls tenfold per stage down to 1e-6 units.
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
            ValueError: The tensor is zero, there is no way to make up the rank from orbits of this group, the group
                exchanges modes of different irreps, or `start` has another shape or comes with a symmetry.
        """
        check_tensor_not_zero(tensor)
        began = time.perf_counter()
        deadline = began + self.max_seconds
        rng = np.random.default_rng(self.seed)
        unit, scale = at_unit_scale(tensor)
        layout = self._layout(unit, rng)
        if start is None:
            phi = layout.start(unit, rng)
        else:
            check_start(start, tensor, self.rank)
            if not isinstance(layout, _Free):
                raise ValueError(f"a start is given with symmetry {self.symmetry!r}; it is taken with 'C1' only")
            phi = CPProblem.join([start.A / scale, start.B / scale, start.C / scale])
        stages = [(self.ridge * 10.0**-k, 1.0) for k in range(9) if self.ridge * 10.0**-k >= 0.99e-6]
        if self.free:
            steps = int(np.ceil(np.log(1e-3) / np.log(self.release)))
            stages += [(1e-6 * 2.0**-k, self.release**k) for k in range(1, steps + 1)]
        iterations, dead = 0, []
        for mu, tau in stages:
            problem = _Anchored(unit, layout, tau)
            mu *= ridge_unit(unit)
            phi, used, _ = minimise(problem, phi, mu, self.stage_iterations, deadline, self.stall)
            iterations += used
            dead = problem.dead(phi)
            if tau < 1 and dead:
                break
        status = Status.STALLED
        if not dead:
            problem = _Anchored(unit, layout, 0.0 if self.free else 1.0)
            phi, used, status = minimise(problem, phi, 0.0, self.max_iterations, deadline, self.stall)
            iterations += used
            dead = problem.dead(phi)
        parts = zip(layout.expand(phi), _used(tensor), strict=True)
        factors = CPFactors(*(scale * factor * used[:, None] for factor, used in parts))
        found = with_weights_found(tensor, factors) if self.free else tensor
        solution = CPSolution.of(found, factors, status, self, iterations, began)
        made_by = solution.made_by | {"orbits": list(layout.names), "dead": [list(path) for path in dead]}
        return replace(solution, made_by=made_by)

    def _layout(self, tensor: CouplingTensor, rng: np.random.Generator) -> _Layout:
        if self.symmetry == "C1":
            return _Free(tensor, self.rank)
        types = orbit_types(self.symmetry, tensor.coupling.modes)
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
            return _Orbits(tensor, chosen)
        chosen, rest = [], self.rank
        while rest:
            fitting = [t for t in types if t.length <= rest]
            if not fitting:
                raise ValueError(f"{self.rank} terms cannot be made up from orbits of {self.symmetry} at {tensor}")
            # long orbits have most unknowns per choice; of one length, freer ones are likelier
            odds = np.array([t.length * (t.freedom + 0.1) ** 2 for t in fitting])
            chosen.append(fitting[rng.choice(len(fitting), p=odds / odds.sum())])
            rest -= chosen[-1].length
        return _Orbits(tensor, chosen)


def _used(tensor: CouplingTensor) -> list[Float[Array, " d"]]:
    """1 at the components of each mode whose slot some path in use has, else 0. Iterations keep zeros at zero."""
    used = [np.zeros(d) for d in tensor.coupling.shape]
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        if weight != 0:
            for mode, part in zip(used, tensor.coupling.where(path), strict=True):
                mode[part] = 1
    return used


@runtime_checkable
class _Layout(Protocol):
    """How the unknowns phi make the factors, linearly: `(A, B, C) = Lambda phi`."""

    names: tuple[str, ...]
    rank: int

    def start(self, tensor: CouplingTensor, rng: np.random.Generator) -> Array: ...

    def expand(self, phi: Array) -> list[Array]:
        """A, B and C."""
        ...

    def pull(self, gradient: list[Array]) -> Array:
        """`Lambda^T` of an invariant gradient."""
        ...

    def pull_all(self, directions: list[Array]) -> Array:
        """`Lambda^T` of any directions, counted by the first axis."""
        ...

    def matrix(self, factors: list[Array]) -> Array:
        """`Lambda^T J^T J Lambda`; only the upper triangle counts."""
        ...


class _Free:
    """No symmetry: phi is A, B and C one after the other."""

    names: tuple[str, ...] = ()

    def __init__(self, tensor: CouplingTensor, rank: int) -> None:
        self.rank = rank
        self._problem = CPProblem(tensor.array, rank, dense=True)

    def start(self, tensor: CouplingTensor, rng: np.random.Generator) -> Array:
        start = random_start(tensor, self.rank, rng)
        parts = zip((start.A, start.B, start.C), _used(tensor), strict=True)
        return CPProblem.join([factor * used[:, None] for factor, used in parts])

    def expand(self, phi: Array) -> list[Array]:
        return self._problem.split(phi)

    def pull(self, gradient: list[Array]) -> Array:
        return CPProblem.join(gradient)

    def pull_all(self, directions: list[Array]) -> Array:
        return np.hstack([part.reshape(len(part), -1) for part in directions])

    def matrix(self, factors: list[Array]) -> Array:
        return normal_matrix(factors)


class _Orbits:
    """Orbits of terms under a group; phi holds the coefficients of their representatives."""

    def __init__(self, tensor: CouplingTensor, types: list[OrbitType]) -> None:
        self.types = types
        self.names = tuple(t.name for t in types)
        self.modes = np.split(np.arange(sum(tensor.dims)), np.cumsum(tensor.coupling.shape)[:2])
        self.ends = np.cumsum([t.basis.shape[1] for t in types])
        self.last = np.cumsum([t.length for t in types])
        self.rank = int(self.last[-1])

    def _parts(self) -> list[tuple[OrbitType, slice, slice]]:
        """Each orbit with its unknowns and its terms."""
        return [
            (t, slice(e - t.basis.shape[1], e), slice(f - t.length, f))
            for t, e, f in zip(self.types, self.ends, self.last, strict=True)
        ]

    def start(self, tensor: CouplingTensor, rng: np.random.Generator) -> Array:
        phi = rng.normal(size=int(self.ends[-1]))
        size = np.sqrt(3) * (tensor.norm / np.sqrt(self.last[-1])) ** (1 / 3)
        used = np.concatenate(_used(tensor))
        for t, unknowns, _ in self._parts():
            kept = ((t.basis @ phi[unknowns]) * used) @ t.basis
            phi[unknowns] = kept * size / np.linalg.norm(kept)
        return phi

    def expand(self, phi: Array) -> list[Array]:
        whole = np.concatenate([(t.spread @ phi[x]).T for t, x, _ in self._parts()], axis=1)
        return [whole[mode] for mode in self.modes]

    def pull(self, gradient: list[Array]) -> Array:
        whole = np.vstack(gradient)
        return np.concatenate([t.length * (whole[:, f.start] @ t.basis) for t, _, f in self._parts()])

    def pull_all(self, directions: list[Array]) -> Array:
        whole = np.concatenate(directions, axis=1)
        parts = [np.einsum("pkn,nkx->px", whole[..., f], t.spread, optimize=True) for t, _, f in self._parts()]
        return np.concatenate(parts, axis=1)

    def matrix(self, factors: list[Array]) -> Array:
        grams = [factor.T @ factor for factor in factors]
        count = sum(map(len, factors))
        result = np.zeros((self.ends[-1], self.ends[-1]))
        for number, (t, x, f) in enumerate(self._parts()):
            first = f.start
            rows = np.zeros((count, count, self.rank))  # of J^T J: the representative's unknowns against all
            for m, mode in enumerate(self.modes):
                rows[mode, mode] = grams[m - 1][first] * grams[m - 2][first]
                for n, other in enumerate(self.modes):
                    if n != m:
                        partner = factors[n][:, first][None, :, None]
                        rows[mode[:, None], other] = factors[m][:, None, :] * partner * grams[3 - m - n][first]
            left = t.length * np.tensordot(t.basis, rows, (0, 0))
            for u, y, g in self._parts()[number:]:
                part = left[..., g].transpose(0, 2, 1).reshape(left.shape[0], -1)
                result[x, y] = part @ u.spread.reshape(part.shape[1], -1)
        return result


class _Anchored:
    """The problem of the module's objective at one `tau`, in the unknowns phi."""

    def __init__(self, tensor: CouplingTensor, layout: _Layout, tau: float) -> None:
        self.layout, self.tau = layout, tau
        self.plain = CPProblem(tensor.array, layout.rank, dense=True)
        self.norm = self.plain.norm
        used = [(p, w) for p, w in zip(tensor.paths, tensor.block_weights, strict=True) if w != 0]
        self.paths = [path for path, _ in used]
        self.anchors = np.array([weight for _, weight in used])
        self.where = [tensor.coupling.where(path) for path in self.paths]
        self.blocks = [clebsch_gordan(*path.degrees) for path in self.paths]

    def dead(self, phi: Array) -> list[Path]:
        """Paths whose weight is below `ALIVE` times the anchor's."""
        array = CPFactors(*self.layout.expand(phi)).array
        weights = np.array([np.vdot(array[where], block) for where, block in zip(self.where, self.blocks, strict=True)])
        return [p for p, w, a in zip(self.paths, weights, self.anchors, strict=True) if abs(w) < ALIVE * abs(a)]

    def _release(self, array: Array, factor: float) -> Array:
        """`(I - factor P) array`."""
        result = array.copy()
        for where, block in zip(self.where, self.blocks, strict=True):
            result[where] -= factor * np.vdot(array[where], block) * block
        return result

    def residual(self, theta: Array) -> Float[Array, "d3 d1 d2"]:
        factors = CPProblem.join(self.layout.expand(theta))
        return self._release(self.plain.residual(factors), 1 - self.tau)

    def gradient(self, theta: Array, residual: Float[Array, "d3 d1 d2"]) -> Array:
        factors = CPProblem.join(self.layout.expand(theta))
        inner = self.plain.gradient(factors, self._release(residual, 1 - self.tau))
        return self.layout.pull(self.plain.split(inner))

    def linearise(self, theta: Array, residual: Float[Array, "d3 d1 d2"]) -> Formed:
        factors = self.layout.expand(theta)
        matrix = self.layout.matrix(factors)
        if self.tau < 1:
            V = [np.zeros((len(self.paths), *factor.shape)) for factor in factors]
            for n, ((k, i, j), block) in enumerate(zip(self.where, self.blocks, strict=True)):
                A, B, C = factors[0][k], factors[1][i], factors[2][j]
                V[0][n, k] = block.reshape(len(A), -1) @ khatri_rao(B, C)
                half = np.tensordot(block, A, ((0,), (0,)))
                V[1][n, i] = np.einsum("ijr,jr->ir", half, C)
                V[2][n, j] = np.einsum("ijr,ir->jr", half, B)
            columns = self.layout.pull_all(V)
            matrix = matrix - (1 - self.tau**2) * (columns.T @ columns)
        return Formed(matrix)
