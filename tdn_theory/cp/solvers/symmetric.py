"""Levenberg-Marquardt on symmetric forms of even products: `sum_r v_r o v_r o v_r`, with path weights free.

A tensor of even paths does not change when modes are exchanged, if paths of the same degrees in another order have the
same weight: path tensors of even `l1 + l2 + l3` are symmetric. Cubature's forms are of this kind, `v_r` being the
harmonics at a point, and so are the three rings (`constructions.rings`). With one vector to a term for three there are
a third of the unknowns, and the normal equations have a closed form. For each class c of paths of the same degrees, T_c
is the tensor of the weights given, of unit norm, and w_c their length. With `S = sum_r v_r o v_r o v_r`, minimise

    f(v) = ||S - sum_c u_c T_c||^2 / 2 + tau^2 sum_free (u_c - w_c)^2 / 2 + mu ||v||^2 / 2,      u_c = <S, T_c>,

u_c being w_c for the classes that hold a scalar, one for each slot: scaling the slots changes no rank, so this loses
nothing, and the sum cannot vanish. Other classes are anchored by tau, which falls to 0, as the ridge mu does; both keep
terms from diverging on the way. Every term has the factor 3 of its three modes,

    gradient       3 E'(v_r, v_r, .),
    J^T J          3 (v_r . v_s)^2 I + 6 (v_r . v_s) v_s v_r^T,

and the weights are projected out as in `equivariant`: E' is `S - T` with the parts along free T_c times tau^2, and
`(1 - tau^2) K^T K` is subtracted, where `K_c = 3 T_c(v_r, v_r, .)`.

Under a group of rotations, and inversion, an orbit is one vector, kept by a stabiliser, and its images. One vector
speaks for its orbit: only its rows of `J^T J` are formed, times the orbit's length.

The derivation is ours; for sources see `equivariant`.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, replace

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.levenberg_marquardt import Formed, ridge_unit
from tdn_theory.cp.solvers.minimise import minimise
from tdn_theory.cp.solvers.solver import at_unit_scale, check_rank, check_tensor_not_zero, with_weights_found
from tdn_theory.cp.symmetry import IDENTITY, group, mode_action

Array = np.ndarray

DEAD = 0.05
"""A class of paths whose weight falls below this fraction of the anchor's counts as dead."""


@dataclass(frozen=True)
class SymmetricLevenbergMarquardt:
    """Solver for exact symmetric forms with weights near those given, see the module.

    Attributes:
        rank: Number of terms R.
        seed: Seed of the Gaussian start, and of the choice of orbits.
        symmetry: Group of the form, of rotations, perhaps with inversion, as in `symmetry.group`: "C1*i", "D2". There
            are as many orbits of full length as fit, and shorter ones, drawn at random, for the rest.
        anchors: Values of `tau^2`, one stage each, before the last stage without anchor.
        ridge: `mu` of these stages, in units of `ridge_unit(M)`.
        stage_iterations: Iterations per stage.
        max_iterations: Iterations of the last stage.
        max_seconds: Wall time after which the solver stops.
        stall: A stage ends when ten iterations together lower f by less than this fraction.
    """

    rank: int
    seed: int = 0
    symmetry: str = "C1"
    anchors: tuple[float, ...] = (0.3, 0.03)
    ridge: float = 1e-4
    stage_iterations: int = 60
    max_iterations: int = 500
    max_seconds: float = float("inf")
    stall: float = 2e-2

    def __post_init__(self) -> None:
        check_rank(self.rank)
        if not all(0 < anchor <= 1 for anchor in self.anchors):
            raise ValueError(f"anchors are {self.anchors}; each must be above 0 and at most 1, e.g. (0.3, 0.03)")

    def solve(self, tensor: CouplingTensor) -> CPSolution:
        """Decompose an equivariant tensor whose paths in use are those of `tensor`, starting near its weights.

        Args:
            tensor: The anchor, invariant under all exchanges of modes, with paths that hold a scalar.

        Returns:
            The solution. Its `tensor` has the weights that were found, and its residual is relative to that tensor.
            `made_by["dead"]` lists the paths that died, `made_by["orbits"]` the lengths of the orbits.

        Raises:
            ValueError: The tensor is zero, not symmetric, or no path in use holds a scalar; there is no such group, it
                exchanges modes, or its orbits cannot make up the rank.
        """
        check_tensor_not_zero(tensor)
        _check_symmetric(tensor)
        began = time.perf_counter()
        deadline = began + self.max_seconds
        rng = np.random.default_rng(self.seed)
        unit, scale = at_unit_scale(tensor)
        layout = _Orbits(self.symmetry, unit, self.rank, rng)
        phi = layout.start(unit, rng)
        stages = [(anchor, self.ridge * ridge_unit(unit), self.stage_iterations) for anchor in self.anchors]
        iterations, status = 0, Status.STALLED
        for anchor, mu, most in [*stages, (0.0, 0.0, self.max_iterations)]:
            problem = _Anchored(unit, layout, anchor)
            phi, used, status = minimise(problem, phi, mu, most, deadline, self.stall)
            iterations += used
        V = scale * layout.vectors(phi).T
        factors = CPFactors(V, V, V)
        found = with_weights_found(tensor, factors)
        dead = [
            list(path)
            for path, w, anchor in zip(tensor.paths, found.weights, tensor.weights, strict=True)
            if abs(w) < DEAD * abs(anchor)
        ]
        solution = CPSolution.of(found, factors, status, self, iterations, began)
        return replace(solution, made_by=solution.made_by | {"orbits": layout.lengths.tolist(), "dead": dead})


def _check_symmetric(tensor: CouplingTensor) -> None:
    array = np.asarray(tensor.array)
    off = max(
        np.abs(array - array.transpose(order)).max() if len(set(array.shape)) == 1 else np.inf
        for order in ((1, 2, 0), (0, 2, 1))
    )
    odd = any(weight and not path.even for path, weight in zip(tensor.paths, tensor.weights, strict=True))
    if odd or off > 1e-12 * np.abs(array).max():
        raise ValueError(
            f"{tensor} changes under an exchange of modes; give even paths, and those of the same degrees one weight "
            "of unit-norm blocks, e.g. CouplingTensor.even(L)"
        )
    if not any(0 in path.degrees for path, w in zip(tensor.paths, tensor.weights, strict=True) if w):
        raise ValueError(f"no path of {tensor} in use holds a scalar, whose weights fix the scale; give one")


class _Orbits:
    """Vectors by orbits under a group; the unknowns phi are coefficients of one vector of each."""

    def __init__(self, name: str, tensor: CouplingTensor, rank: int, rng: np.random.Generator) -> None:
        whole = group(name)
        if any(element.permutation != IDENTITY for element in whole.elements):
            raise ValueError(f"symmetry is {name!r}; it must be of rotations and inversion: they exchange no modes")
        actions = [mode_action(tensor.coupling.z, element.matrix) for element in whole.elements]
        types = []
        for subgroup, _ in whole.subgroups:
            values, vectors = np.linalg.eigh(sum(actions[g] for g in subgroup) / len(subgroup))
            basis = vectors[:, values > 0.5]  # of what the subgroup keeps
            images, covered = [], set[int]()
            for g, action in enumerate(actions):
                if g not in covered:
                    images.append(action @ basis)
                    covered |= {int(whole.table[g, s]) for s in subgroup}
            if basis.shape[1]:
                types.append(np.array(images))
        chosen = [types[0]] * (rank // len(types[0]))
        while missing := rank - sum(map(len, chosen)):
            fitting = [images for images in types if len(images) <= missing]
            if not fitting:
                raise ValueError(f"{rank} terms cannot be made up from orbits of {name} at {tensor}")
            chosen.append(fitting[rng.integers(len(fitting))])
        self.images = chosen
        self.lengths = np.array(list(map(len, chosen)))
        self.first = np.cumsum(self.lengths) - self.lengths
        self.ends = np.cumsum([images.shape[2] for images in chosen])

    def parts(self) -> list[tuple[slice, slice, Array]]:
        """Unknowns, terms and images of each orbit."""
        return [
            (slice(e - images.shape[2], e), slice(f, f + len(images)), images)
            for e, f, images in zip(self.ends, self.first, self.images, strict=True)
        ]

    def start(self, tensor: CouplingTensor, rng: np.random.Generator) -> Array:
        """Gaussian vectors, all as long, whose tensor has the expected norm of `tensor`."""
        phi = rng.normal(size=int(self.ends[-1]))
        length = (tensor.norm / np.sqrt(self.lengths.sum())) ** (1 / 3)
        for unknowns, _, _ in self.parts():
            phi[unknowns] *= length / np.linalg.norm(phi[unknowns])
        return phi

    def vectors(self, phi: Array) -> Float[Array, "R d"]:
        return np.concatenate([images @ phi[unknowns] for unknowns, _, images in self.parts()])

    def pull(self, rows: Float[Array, "... orbits d"]) -> Float[Array, "... n"]:
        """`Lambda^T` of an invariant gradient, given by the first vector of each orbit."""
        parts = zip(self.parts(), self.lengths, strict=True)
        return np.concatenate(
            [length * (rows[..., n, :] @ images[0]) for n, ((_, _, images), length) in enumerate(parts)], axis=-1
        )


class _Anchored:
    """The problem of the module's objective at one `tau^2`."""

    def __init__(self, tensor: CouplingTensor, layout: _Orbits, anchor: float) -> None:
        self.layout, self.anchor, self.norm = layout, anchor, tensor.norm
        self.target = np.asarray(tensor.array)
        of_class: dict[tuple[int, ...], Array] = {}
        for path, weight in zip(tensor.paths, tensor.weights, strict=True):
            if weight and 0 not in path.degrees:
                where = tensor.coupling.where(path)
                of_class.setdefault(tuple(sorted(path)), np.zeros_like(self.target))[where] = self.target[where]
        d = len(self.target)
        self.free = np.array([part / np.linalg.norm(part) for part in of_class.values()]).reshape(-1, d, d, d)

    def _release(self, array: Array, factor: float) -> Array:
        """`array` without `factor` times its parts along the free classes."""
        flat = self.free.reshape(len(self.free), array.size)
        return array - factor * (flat.T @ (flat @ array.ravel())).reshape(array.shape)

    def residual(self, theta: Array) -> Float[Array, "d d d"]:
        V = self.layout.vectors(theta)
        d = V.shape[1]
        S = V.T @ (V[:, :, None] * V[:, None, :]).reshape(len(V), -1)
        return self._release(S.reshape(d, d, d) - self.target, 1 - np.sqrt(self.anchor))

    def gradient(self, theta: Array, residual: Float[Array, "d d d"]) -> Array:
        inner = self._release(residual, 1 - np.sqrt(self.anchor))
        return self.layout.pull(_contracted(inner[None], self.layout.vectors(theta)[self.layout.first])[0])

    def linearise(self, theta: Array, residual: Float[Array, "d d d"]) -> Formed:
        V = self.layout.vectors(theta)
        first = V[self.layout.first]
        gram = first @ V.T
        matrix = np.zeros((len(theta), len(theta)))
        for unknowns, terms, images in self.layout.parts():
            g = gram[:, terms]
            along = np.einsum("rb,cbk->rck", first, images)
            rows = 3 * np.einsum("rc,cak->rak", g**2, images)
            rows += 6 * np.einsum("rc,ca,rck->rak", g, V[terms], along, optimize=True)
            matrix[:, unknowns] = self.layout.pull(rows.transpose(2, 0, 1)).T
        columns = self.layout.pull(_contracted(self.free, first))
        return Formed(matrix - (1 - self.anchor) * (columns.T @ columns))


def _contracted(tensors: Float[Array, "n d d d"], vectors: Float[Array, "r d"]) -> Float[Array, "n r d"]:
    """`3 T(v, v, .)` of each symmetric tensor and vector."""
    half = np.einsum("nabc,rc->nrab", tensors, vectors, optimize=True)
    return 3 * np.einsum("nrab,rb->nra", half, vectors, optimize=True)
