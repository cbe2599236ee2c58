"""Proofs that a numerical decomposition is a true one.

Newton-Kantorovich certificates (`prove_decomposition`). The stored factors solve `T(theta) = sum_c w_c M_c` up to
rounding, with `T(theta) = [[A, B, C]]` and `M_c` the path tensors, or sums of path tensors that a symmetry exchanges.
Proven is this: there are real factors, within `radius` of the stored ones in the Euclidean norm, and real weights in
the stated intervals (or the given ones, if weights are fixed), that solve the equation exactly, for the exact algebraic
`M_c`. Such a tensor is exactly equivariant (T3), and a weight bounded away from zero is a path that is alive. Nothing
is said about uniqueness: solutions come in families.

The system. Unknowns x = (phi, free weights), `theta = Lambda phi` with Lambda an isometry onto the factors that are
invariant under a finite group G of signed permutations of the components (see `symmetry.py`); G trivial means no
restriction. Since G acts by signed permutations, float64 factors `Lambda phi` are exactly invariant, all entries of an
orbit being equal up to signs; the rounding of Lambda itself, entries `+-1 / sqrt n`, is among the bounds below. The
residual `F(x) = T - sum w M` lies in S, so the equations are its coordinates there, one per orbit of entries. Without
this restriction, the Brent-type equations of a symmetric solution are usually dependent; within it they are
independent, and that is not assumed but proven below.

A mask for each mode. Components of a mode that are zero in all terms stay zero, and so does the tensor there; they are
left out, of the unknowns as of the equations. So a single path, or slots that no path in use has, need no proof of
their own, and modes may have different dimensions.

The argument. Let J = F'(x_0), B any matrix with `J B ~ 1`, and look for `x = x_0 + B y`. The map `y -> y - F(x_0 + B
y)` is continuous and sends the ball `|y| <= r` into itself when

    epsilon + delta r + q (beta r)^2 + c (beta r)^3 <= r,
    epsilon >= |F(x_0)|,  delta >= |1 - J B|,  beta >= |B|,  q = the longest vector in theta_0,  c = 3^(-3/2),

so Brouwer's theorem gives a zero. The last two terms bound what is nonlinear in F: with h the change of theta, `|[[dA,
dB, C]]| <= |dA| |dB| max_r |C_r|` and so on. No interval library is needed: every bound above is computed in float64
with its rounding errors added, by the standard model of summation in any order, `|fl(sum of n products) - exact| <=
gamma_n sum |products|`, `gamma_n = n u / (1 - n u)` (Higham, Accuracy and Stability, 2002, ch. 3). Entries of float64
path tensors are within `COUPLING_ERROR` of the exact algebraic numbers: one correctly rounded division and square root,
and a basis change of at most eight terms (a test compares them with exact arithmetic).

Certificates of cubature rules (`prove_cubature`) use the same argument on the moments; see there. Those of matrix
algorithms are integer arithmetic (`MatrixAlgorithm.check`) plus the theorem in
`constructions/matrix_multiplication.py`.

Sources: Rump, Acta Numerica 19 (2010) 287 (verification methods); Breiding and Timme, LNCS 10931 (2018) 458 (certified
zeros). The use of symmetry and the bounds are ours.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import isqrt
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float
from scipy.linalg import qr

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solvers.solver import check_tensor_not_zero
from tdn_theory.cp.symmetry import Group, action, group, mode_action
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import Path

if TYPE_CHECKING:
    from tdn_theory.cp.constructions.cubature import CubatureRule

UNIT = 2.0**-53
COUPLING_ERROR = 4e-15
"""Bound on the error of an entry of a float64 path tensor of unit norm, up to L = `COUPLING_LMAX`."""

COUPLING_LMAX = 8


class ProofError(ValueError):
    """The numbers do not prove the claim. It may still be true."""


@dataclass(frozen=True)
class Certificate:
    """What was proven.

    Attributes:
        kind: Kind of proof.
        statement: The theorem, in words.
        radius: Distance of the true factors from the stored ones, at most; for a theorem, that of what it starts from:
            seeds and weights of a cubature rule, or a matrix algorithm, whose integers are true themselves.
        weights: For each path that is alive, an interval (low, high) that holds its exact weight, and not zero. For a
            theorem its closed form says which paths these are.
        numbers: The bounds behind it.
    """

    kind: str
    statement: str
    radius: float
    weights: Mapping[Path, tuple[float, float]] = field(default_factory=dict)
    numbers: Mapping[str, float] = field(default_factory=dict)


def gamma(n: int) -> float:
    """Higham's constant of a sum of n products, with room for the rounding of its own use."""
    return 1.01 * (n + 2) * UNIT


def prove_decomposition(factors: CPFactors, tensor: CouplingTensor, fixed: bool, symmetry: str = "C1") -> Certificate:
    """Prove that exact factors of an equivariant tensor lie near these.

    Args:
        factors: The stored factors.
        tensor: Says which paths are in use (nonzero weight), with normalisation `"norm"`; with `fixed`, their weights
            are exact.
        fixed: Whether the weights are those of `tensor` (true) or free, to be found with the factors (false).
        symmetry: Name of a group under which the set of terms is invariant, see `symmetry.group`.

    Returns:
        The certificate, with an interval for each weight in use.

    Raises:
        ProofError: A term is zero, the set of terms does not have this symmetry, or the bounds do not close.
        ValueError: The symmetry is not one of signed permutations, or exchanges modes of different irreps, the tensor
            is zero or not in the norm normalisation, or a degree is above `COUPLING_LMAX`.
    """
    coupling = tensor.coupling
    highest = max(irrep.l for mode in coupling.modes for irrep in mode)
    if highest > COUPLING_LMAX:
        raise ValueError(
            f"{tensor} has degree {highest}; the error of path tensors is bounded up to degree {COUPLING_LMAX}: "
            "show COUPLING_ERROR for more degrees first"
        )
    if tensor.normalization != "norm" or tensor.dims != factors.dims:
        raise ValueError(
            f"{tensor} must have (d1, d2, d3) = {factors.dims} and unit-norm paths; give normalization='norm' and the "
            "same irreps"
        )
    check_tensor_not_zero(tensor)
    balanced = factors.balance()
    given, stored = ([f.A, f.B, f.C] for f in (factors, balanced))
    if not all(np.any(factor, axis=0).all() for factor in stored):
        raise ProofError("a term is zero; leave it out")
    # components in which all terms are zero stay so, and the tensor is zero there, exactly: they are left out
    masks = [np.any(factor != 0, axis=1) for factor in stored]
    _check_components(tensor, masks)
    signs = _SignedAction.of(group(symmetry), coupling, masks)
    whole = np.vstack([factor[mask] for factor, mask in zip(stored, masks, strict=True)])
    theta, spread = signs.symmetrise(whole)
    classes, directions = signs.path_classes(tensor)
    entries, lengths = signs.entries()
    root = np.sqrt(lengths)
    indices = np.unravel_index(entries, signs.shape)
    A, B, C = (theta[mode] for mode in signs.modes)
    k, i, j = indices

    weights = np.array([tensor.weights[c[0]] if fixed else 0.0 for c in classes])
    columns = np.stack([root * m.reshape(-1)[entries] for m in directions], axis=1)
    value = root * np.sum(A[k] * B[i] * C[j], axis=1)
    if not fixed:
        weights = np.linalg.lstsq(columns, value, rcond=None)[0]
    residual = value - columns @ weights
    size = root * np.sum(np.abs(A[k]) * np.abs(B[i]) * np.abs(C[j]), axis=1) + np.abs(columns) @ np.abs(weights)
    # an entry belongs to one path at most
    rounding = gamma(factors.rank + len(weights) + 6) * size + COUPLING_ERROR * root * np.abs(weights).max()
    epsilon = 1.01 * float(np.linalg.norm(np.abs(residual) + rounding))

    # dT at the entries for each unknown: a column of spread changes all terms of one orbit
    jacobian = np.zeros((len(entries), spread.shape[2]))
    products = (B[i] * C[j], A[k] * C[j], A[k] * B[i])
    for mode, index, product in zip(signs.modes, indices, products, strict=True):
        for component, block in enumerate(spread[mode]):
            rows = index == component
            jacobian[rows] += product[rows] @ block
    jacobian *= root[:, None]
    longest = max(float(np.linalg.norm(theta[mode], axis=0).max()) for mode in signs.modes) * 1.0001
    jacobian_error = gamma(3 * factors.rank + 6) * float(root.max()) * longest**2 * 3 * factors.rank
    if not fixed:
        jacobian = np.hstack([jacobian, -columns])
        jacobian_error += COUPLING_ERROR * float(root.max())
    jacobian_error *= np.sqrt(jacobian.size)  # of the matrix, in the Frobenius norm
    inverse = _right_inverse(jacobian)
    product = jacobian @ inverse
    beta = _norm_bound(inverse)
    delta = float(np.linalg.norm(product - np.eye(len(product))))
    delta += (
        gamma(jacobian.shape[1]) * float(np.linalg.norm(jacobian)) * float(np.linalg.norm(inverse))
        + jacobian_error * beta
    )
    delta *= 1.01
    r = _radius(epsilon, delta, longest, 3**-1.5, beta)
    radius = beta * r
    intervals = {}
    for c, weight in zip(classes, weights, strict=True):
        slack = 0.0 if fixed else 1.01 * (radius + 4 * UNIT * abs(weight))
        intervals |= {tensor.paths[p]: (float(weight) - slack, float(weight) + slack) for p in c}
    if min(min(abs(low), abs(high)) if low * high > 0 else 0.0 for low, high in intervals.values()) == 0:
        raise ProofError("a path in use is not proven to be alive: its weight's interval holds zero")
    # columns of the solution, scaled back as the balance scaled those of the factors
    unbalance = max(
        float(np.max(np.linalg.norm(before, axis=0) / np.linalg.norm(after, axis=0)))
        for before, after in zip(given, stored, strict=True)
    )
    kept = "their stored values" if fixed else "real numbers in the stated intervals"
    return Certificate(
        "Newton-Kantorovich",
        f"exact real factors of rank {factors.rank} exist within the radius of the stored ones; their tensor is the "
        f"sum of the {len(intervals)} path tensors in use, the weights being {kept}",
        1.01 * unbalance * (radius + float(np.linalg.norm(theta - whole))),
        intervals,
        {
            "epsilon": epsilon,
            "delta": delta,
            "beta": beta,
            "equations": float(len(entries)),
            "unknowns": float(jacobian.shape[1]),
        },
    )


def _check_components(tensor: CouplingTensor, masks: list[Bool[np.ndarray, "_"]]) -> None:
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        for name, mask, part in zip("ABC", masks, tensor.coupling.where(path), strict=True):
            if weight and not mask[part].all():
                raise ProofError(
                    f"path {path} is in use, but factor {name} is zero at some of its components; set its weight to "
                    "zero"
                )


def _right_inverse(jacobian: Float[np.ndarray, "m n"]) -> Float[np.ndarray, "n m"]:
    try:
        gram = np.linalg.inv(jacobian @ jacobian.T)
    except np.linalg.LinAlgError as error:
        raise ProofError(
            "the equations are dependent at this point; give the symmetry of the terms, or another solution"
        ) from error
    inverse = jacobian.T @ gram
    return 2 * inverse - inverse @ (jacobian @ inverse)  # one Newton step: the Gram matrix has the squared condition


def _norm_bound(matrix: np.ndarray) -> float:
    """An upper bound of the spectral norm."""
    absolute = np.abs(matrix)
    return 1.01 * min(float(np.linalg.norm(matrix)), float(np.sqrt(absolute.sum(0).max() * absolute.sum(1).max())))


def _radius(epsilon: float, delta: float, q: float, c: float, beta: float) -> float:
    """A radius r with `epsilon + delta r + q (beta r)^2 + c (beta r)^3 <= r`.

    Raises:
        ProofError: There is none.
    """
    if delta < 0.5:
        r = 4 * epsilon
        if 1.0001 * (epsilon + delta * r + q * (beta * r) ** 2 + c * (beta * r) ** 3) <= r:
            return r
    raise ProofError(
        f"the bounds do not close (residual {epsilon:.1e}, |1 - J B| {delta:.1e}, |B| {beta:.1e}): the residual is too "
        "large, or the equations are dependent at this point; polish the factors, give their symmetry, or find another "
        "solution"
    )


@dataclass(frozen=True, eq=False)
class _SignedAction:
    """A group acting by signed permutations of the n components of a term and permutations of its modes.

    A term is one vector: its factors one after the other, at the components that are not zero in all terms.
    """

    whole: Group
    modes: tuple[slice, slice, slice]
    matrices: tuple[tuple[np.ndarray, ...], ...]  # for each element and mode; exact, entries -1, 0, 1
    parts: tuple[dict[int, slice], ...]  # for each mode: the components of the slots that are not zero

    @classmethod
    def of(cls, whole: Group, coupling: Coupling, masks: list[Bool[np.ndarray, "_"]]) -> _SignedAction:
        ends = np.cumsum([0, *(mask.sum() for mask in masks)]).tolist()
        modes = slice(ends[0], ends[1]), slice(ends[1], ends[2]), slice(ends[2], ends[3])
        parts = []
        for mask, slots in zip(masks, coupling.slices, strict=True):
            starts = [int(mask[: slot.start].sum()) for slot in slots]
            parts.append(
                {
                    n: slice(a, a + s.stop - s.start)
                    for n, (a, s) in enumerate(zip(starts, slots, strict=True))
                    if mask[s].all()
                }
            )
        matrices = []
        for element in whole.elements:
            found = []
            for mode, source in enumerate(element.permutation):
                if coupling.modes[mode] != coupling.modes[source] or (masks[mode] != masks[source]).any():
                    raise ValueError(
                        f"{whole.name} exchanges modes of {coupling} that differ; use a group that does not"
                    )
                matrix = mode_action(coupling.modes[mode], element.matrix)[np.ix_(masks[mode], masks[mode])]
                rounded = np.rint(matrix)
                if np.abs(matrix - rounded).max() > 1e-9 or (np.abs(rounded).sum(axis=1) != 1).any():
                    raise ValueError(
                        f"{whole.name} does not act by signed permutations on {coupling}; "
                        "use C1, C2 or D2, with *Z3, *Z2, *S3 or *i"
                    )
                found.append(rounded)
            matrices.append(tuple(found))
        return cls(whole, modes, tuple(matrices), tuple(parts))

    @property
    def shape(self) -> tuple[int, int, int]:
        """Shape of the tensors at these components."""
        k, i, j = (mode.stop - mode.start for mode in self.modes)
        return k, i, j

    def image(self, g: int, term: Float[np.ndarray, "n *rest"]) -> Float[np.ndarray, "n *rest"]:
        permutation = self.whole.elements[g].permutation
        return np.concatenate([D @ term[self.modes[p]] for D, p in zip(self.matrices[g], permutation, strict=True)])

    def symmetrise(
        self, theta: Float[np.ndarray, "n R"]
    ) -> tuple[Float[np.ndarray, "n R"], Float[np.ndarray, "n R m"]]:
        """Find the orbits among the terms, and replace them by exact ones.

        Returns:
            Factors whose terms are exact orbits, and the isometry from the unknowns to the factors.
        """
        n, R = theta.shape
        result, columns, left = np.empty_like(theta), [], list(range(R))
        while left:
            first = theta[:, left[0]]
            stabiliser, where, orbit = [], {}, []
            for g in range(len(self.whole)):
                found = self._among(theta, left, self.image(g, first))
                if found is None:
                    raise ProofError(
                        f"the terms are not invariant under {self.whole.name}: an image of term {left[0]} is missing"
                    )
                r, chi = found
                if r == left[0]:
                    stabiliser.append((g, chi))
                if r not in where:
                    where[r] = (g, chi)
                    orbit.append(r)
            # exact representative space: signed sums of unit vectors over the stabiliser, with disjoint supports
            basis: list[np.ndarray] = []
            seen = np.zeros(n, bool)
            for component in range(n):
                if seen[component]:
                    continue
                unit = np.zeros(n)
                unit[component] = 1
                total = sum(chi * self.image(g, unit) for g, chi in stabiliser)
                seen |= sum(np.abs(self.image(g, unit)) for g, _ in stabiliser) > 0
                if np.any(total):
                    basis.append(np.sign(total) / np.sqrt(np.count_nonzero(total)))
            representative = np.transpose(basis) @ (np.array(basis) @ first)
            for r in orbit:
                g, chi = where[r]
                result[:, r] = chi * self.image(g, representative)
            for b in basis:
                column = np.zeros((n, R))
                for r in orbit:
                    g, chi = where[r]
                    column[:, r] = chi * self.image(g, b)
                columns.append(column / np.sqrt(len(orbit)))
            left = [r for r in left if r not in where]
        if np.abs(result - theta).max() > 1e-9 * np.abs(theta).max():
            raise ProofError(f"the terms are not invariant under {self.whole.name}")
        return result, np.stack(columns, axis=2)

    def _among(
        self, theta: Float[np.ndarray, "n R"], left: list[int], image: Float[np.ndarray, " n"]
    ) -> tuple[int, Float[np.ndarray, " n"]] | None:
        """Which of the terms `left` has the vectors of `image` up to scale, and the signs, for each component."""
        for r in left:
            cosines = [
                image[mode] @ theta[mode, r] / (np.linalg.norm(image[mode]) * np.linalg.norm(theta[mode, r]))
                for mode in self.modes
            ]
            if np.all(np.abs(np.abs(cosines) - 1) < 1e-9) and np.prod(np.sign(cosines)) > 0:
                return r, np.repeat(np.sign(cosines), self.shape)
        return None

    def entries(self) -> tuple[np.ndarray, np.ndarray]:
        """One entry (flat index) of each orbit of entries that carries an invariant tensor, and the orbits' lengths."""
        size = int(np.prod(self.shape))
        least, length = np.arange(size), np.zeros(size)
        alive = np.ones(size, bool)
        signed = np.arange(1, size + 1).reshape(self.shape).astype(float)
        for g in range(len(self.whole)):
            moved = self._move(g, signed).reshape(-1)
            least = np.minimum(least, np.abs(moved) - 1)
            length += np.abs(moved) == np.arange(1, size + 1)
            alive &= moved != -np.arange(1.0, size + 1)
        first = np.flatnonzero((least == np.arange(size)) & alive)
        return first, len(self.whole) / length[first]

    def _move(self, g: int, tensor: Float[np.ndarray, "k i j"]) -> Float[np.ndarray, "k i j"]:
        permutation = self.whole.elements[g].permutation
        return np.einsum("ka,ib,jc,abc->kij", *self.matrices[g], tensor.transpose(permutation), optimize=True)

    def path_classes(self, tensor: CouplingTensor) -> tuple[list[list[int]], list[Float[np.ndarray, "k i j"]]]:
        """Sets of paths in use that the group exchanges, and the sum of the path tensors of each set."""
        permutations = {e.permutation for e in self.whole.elements}
        classes: dict[tuple[int, int, int], list[int]] = {}
        for n, (path, weight) in enumerate(zip(tensor.paths, tensor.weights, strict=True)):
            if weight != 0:
                slots = (path.z, path.x, path.y)
                images = [(slots[p[0]], slots[p[1]], slots[p[2]]) for p in permutations]
                classes.setdefault(min(images), []).append(n)
        directions = []
        for members in classes.values():
            if len({tensor.weights[n] for n in members}) > 1:
                raise ValueError(
                    f"{self.whole.name} exchanges paths of different weights; give the tensor symmetric weights"
                )
            total = np.zeros(self.shape)
            for n in members:
                path = tensor.paths[n]
                where = tuple(part[s] for part, s in zip(self.parts, (path.z, path.x, path.y), strict=True))
                total[where] = clebsch_gordan(*path.degrees)
            for g in range(len(self.whole)):
                if np.abs(self._move(g, total) - total).max() > 1e-12:
                    raise ValueError(
                        f"the path tensors in use are not invariant under {self.whole.name}; choose another symmetry"
                    )
            directions.append(total)
        return list(classes.values()), directions


# Cubature. Unknowns x: the weight w_o of each orbit, and a rotation vector omega_o of its seed v_o in the tangent
# directions that the seed's stabiliser in G leaves free. The moments `F(x) = sum_o n_o w_o Pi Y(exp(omega_o) v_o) -
# e_0`, Pi the average over G and Y the orthonormal harmonics of degrees <= t, lie in the space S of G-invariants. G
# consists of signed permutation matrices, so orbits are exact.
#
# Coordinates on S without computing S: evaluate at points u_1..u_m, m = dim S (by characters),
#
#     (E F)_s = <F, Y(u_s)> = sum_q w_q K(u_s . q) - 1,      K(z) = sum_{l<=t} (2l+1) P_l(z).
#
# The Gram matrix `Gamma_ss' = mean over g of K(u_s . g u_s')` is that of the functionals E on S. With any matrix N such
# that `|N Gamma N^T - 1| <= eta < 1`, Gamma is nonsingular, the m functionals are independent on S, so N E F = 0 proves
# F = 0, and `|N E F| <= sqrt(1 + eta) |F|`.
#
# Rotations act on harmonics by exp(omega . X), |omega . X Y_l| <= |omega| l |Y_l|, so with h = (dw, omega) everything
# beyond first order is at most
#
#     sum_o n_o (|dw_o| k_1 |omega_o| + |w_o| k_2 |omega_o|^2 / 2) <= q |h|^2,     k_p^2 = sum_l (2l+1) l^(2p),
#     q = max n_o k_1 / 2 + max n_o |w_o| k_2 / 2.
#
# E F(x_0) cancels to rounding, so it is evaluated in integers scaled by 2^SHIFT; Legendre's recursion amplifies errors
# of one unit by less than 3^t. A seed may lie a rounding error off the fixed space of its stabiliser: invariant moments
# change by its square, below 1e-25, which is added.

SHIFT = 200


def prove_cubature(rule: CubatureRule) -> Certificate:
    """Prove that an exact cubature rule of the stated degree and group lies near this one.

    By the theorem in `constructions/cubature.py` its Gaunt and bracket factors are exactly equivariant.

    Raises:
        ProofError: The bounds do not close.
        ValueError: The group of the rule does not consist of signed permutation matrices.
    """
    whole, t = group(rule.group), rule.degree
    matrices = [np.rint(e.matrix) for e in whole.elements]
    if max(np.abs(m - e.matrix).max() for m, e in zip(matrices, whole.elements, strict=True)) > 1e-9:
        raise ValueError(
            f"{rule.group} is not a group of signed permutations; use C1, C2, D2, T or O, with or without '*i'"
        )
    seeds = np.where(np.abs(rule.seeds) < 1e-12, 0.0, rule.seeds)
    stabilisers = [[m for m in matrices if np.abs(m @ v - v).max() < 1e-9] for v in seeds]
    # seeds exactly in the fixed space of their stabilisers, which is spanned by vectors of equal or zero components
    seeds = np.stack([sum(m @ v for m in s) / len(s) for s, v in zip(stabilisers, seeds, strict=True)])
    lengths = np.array([len(matrices) / len(s) for s in stabilisers])
    points = len(rule.points)
    if lengths.sum() != points:  # the rule merges images that are almost equal; the proof would be of another rule
        raise ProofError(f"{rule} has a seed so near a symmetric position that its orbit is not clear; move it there")
    m = whole_invariants(whole, t)
    tests = np.random.default_rng(0).normal(size=(6 * m, 3))
    tests /= np.linalg.norm(tests, axis=1, keepdims=True)
    candidates = sum(_kernel(t, tests @ (g @ tests.T)) for g in matrices)
    tests = tests[qr(candidates, mode="r", pivoting=True)[1][:m]]  # far from dependent

    gram = np.mean([_kernel(t, tests @ (g @ tests.T)) for g in matrices], axis=0)
    values, vectors = np.linalg.eigh((gram + gram.T) / 2)
    if values[0] <= 1e-6:
        raise ProofError("the test points do not determine the invariant polynomials")
    normal = (vectors / np.sqrt(values)).T
    # float64 Legendre recursions on [-1, 1] make a few units of error per step, which grow by at most a factor t
    # afterwards
    kernel_error, slope_error = 1e-15 * (t + 1) ** 4, 1e-15 * (t + 1) ** 6
    eta = float(np.linalg.norm(normal @ gram @ normal.T - np.eye(m)))
    eta += (kernel_error * m + gamma(2 * m) * float(np.abs(gram).sum())) * float(np.linalg.norm(normal)) ** 2
    if eta >= 0.5:
        raise ProofError("the test points determine the invariant polynomials too badly")

    exact = _exact_moments(t, tests, seeds, rule.seed_weights, stabilisers, matrices)
    epsilon = 1.01 * (
        float(np.linalg.norm(normal @ exact)) + gamma(m) * float(np.linalg.norm(normal) * np.linalg.norm(exact)) + 1e-25
    )

    columns = []
    for v, w, n, stabiliser in zip(seeds, rule.seed_weights, lengths, stabilisers, strict=True):
        v = v / np.linalg.norm(v)
        images = [g @ v for g in matrices]
        columns.append(n / len(matrices) * sum(_kernel(t, tests @ p) for p in images))
        # tangent directions e fixed by the stabiliser; moving v along e turns it about v x e, by |e|
        projector = sum(stabiliser) / len(stabiliser) - np.outer(v, v)
        sizes, directions = np.linalg.eigh((projector + projector.T) / 2)
        for e in directions[:, sizes > 0.5].T:
            slope = sum(_kernel(t, tests @ (g @ v), derivative=True) * (tests @ (g @ e)) for g in matrices)
            columns.append(w * n / len(matrices) * slope)
    jacobian = normal @ np.stack(columns, axis=1)
    entry_error = max(
        float(lengths.max()) * kernel_error, float(np.max(lengths * np.abs(rule.seed_weights))) * slope_error
    )
    jacobian_error = (entry_error + gamma(m + 9) * float(np.abs(columns).max())) * np.sqrt(m * jacobian.shape[1])
    jacobian_error *= 1.01 * float(np.sqrt(m) * np.linalg.norm(normal, 2))
    inverse = _right_inverse(jacobian)
    beta = _norm_bound(inverse)
    delta = float(np.linalg.norm(jacobian @ inverse - np.eye(m)))
    delta = 1.01 * (
        delta
        + gamma(jacobian.shape[1]) * float(np.linalg.norm(jacobian) * np.linalg.norm(inverse))
        + jacobian_error * beta
    )
    l = np.arange(t + 1)
    k1, k2 = (float(np.sqrt(np.sum((2 * l + 1) * l ** (2.0 * p)))) for p in (1, 2))
    q = 1.01 * (1 + eta) * (lengths.max() * k1 + float(np.max(lengths * np.abs(rule.seed_weights))) * k2) / 2
    r = _radius(epsilon, delta, q, 0.0, beta)
    return Certificate(
        "cubature, Newton-Kantorovich",
        f"a rule of {points} points, invariant under {rule.group} and exact to degree {t}, exists within the radius "
        "of the stored one; its Gaunt factors are exactly equivariant under rotations and inversion",
        1.01 * (beta * r + float(np.linalg.norm(seeds / np.linalg.norm(seeds, axis=1, keepdims=True) - rule.seeds))),
        {},
        {"epsilon": epsilon, "delta": delta, "beta": beta, "equations": float(m), "unknowns": float(jacobian.shape[1])},
    )


def whole_invariants(whole: Group, degree: int) -> int:
    """Dimension of the invariant polynomials on the sphere up to a degree, by characters."""
    return round(sum(float(np.trace(action(degree, e.matrix))) for e in whole.elements) / len(whole))


def _kernel(t: int, z: np.ndarray, derivative: bool = False) -> np.ndarray:
    """`sum_{l<=t} (2l+1) P_l(z)`, or its derivative."""
    before, now = np.zeros_like(z), np.ones_like(z)
    slope_before, slope = np.zeros_like(z), np.zeros_like(z)
    total, slopes = np.ones_like(z), np.zeros_like(z)
    for l in range(t):
        following = ((2 * l + 1) * z * now - l * before) / (l + 1)
        slope_following = ((2 * l + 1) * (now + z * slope) - l * slope_before) / (l + 1)
        before, now, slope_before, slope = now, following, slope, slope_following
        total = total + (2 * l + 3) * now
        slopes = slopes + (2 * l + 3) * slope
    return slopes if derivative else total


def _exact_moments(
    t: int,
    tests: Float[np.ndarray, "m 3"],
    seeds: Float[np.ndarray, "orbits 3"],
    weights: Float[np.ndarray, " orbits"],
    stabilisers: list[list[np.ndarray]],
    matrices: list[np.ndarray],
) -> Float[np.ndarray, " m"]:
    """`E F` at the stored rule, whose points are the seeds over their exact lengths; errors are below 1e-30."""
    one = 1 << SHIFT

    def unit(vector: np.ndarray) -> np.ndarray:
        scaled = np.array([int(x * one) for x in vector.tolist()], dtype=object)  # a power of two: exact
        length = isqrt(sum(int(x) * int(x) for x in scaled))
        return np.array([(int(x) << SHIFT) // length for x in scaled], dtype=object)

    u = np.array([unit(x) for x in tests], dtype=object)
    total = np.array([-one] * len(tests), dtype=object)
    for v, w, stabiliser in zip(seeds, weights, stabilisers, strict=True):
        exact = unit(v)
        images = np.array(
            [[sum(int(a) * int(b) for a, b in zip(row, exact, strict=True)) for row in g] for g in matrices],
            dtype=object,
        )
        z = (u @ images.T) >> SHIFT
        before, now = np.zeros_like(z), np.full_like(z, one)
        kernel = now.copy()
        for l in range(t):
            before, now = now, (((2 * l + 1) * z * now >> SHIFT) - l * before) // (l + 1)
            kernel = kernel + (2 * l + 3) * now
        share = int(float(w) * one)
        total = total + ((kernel.sum(axis=1) * share >> SHIFT) // len(stabiliser))
    return np.array([int(x) / one for x in total])
