"""Wrong implementations, one per mistake that is easy to make.

Every one must fail the assertion that `test_mutants.py` feeds it to. Several pass others, which is why there is more
than one assertion.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from math import comb
from typing import Any

import numpy as np

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3 import irreps, rotation
from tdn_theory.theory import bounds, cost, equivariance, rank, universality
from tests import reference

# Wigner matrices: (lmax, R) -> D


def transposed(lmax: int, matrix: np.ndarray) -> np.ndarray:
    """`D(R)^T = D(R^-1)`: commutes with every coupling tensor, but D(R) D(S) is D(SR)."""
    return np.swapaxes(rotation.wigner_D(lmax, matrix), -1, -2)


def trivial(lmax: int, matrix: np.ndarray) -> np.ndarray:
    """The identity: a representation under which every map is equivariant."""
    return np.broadcast_to(np.eye(irreps.dim(lmax)), (*matrix.shape[:-2], irreps.dim(lmax), irreps.dim(lmax)))


def permuted_axes(lmax: int, matrix: np.ndarray) -> np.ndarray:
    """Axes in another order, (y, z, x) for (x, y, z): a representation, but of other rotations."""
    cycle = np.eye(3)[[1, 2, 0]]
    return rotation.wigner_D(lmax, cycle @ matrix @ cycle.T)


def transposed_top_degree(lmax: int, matrix: np.ndarray) -> np.ndarray:
    """Right but for the highest degree, which is transposed."""
    result = rotation.wigner_D(lmax, matrix).copy()
    top = irreps.component_slice(lmax)
    result[..., top, top] = np.swapaxes(result[..., top, top], -1, -2).copy()
    return result


def approximate_wigner(lmax: int, matrix: np.ndarray) -> np.ndarray:
    """Right to 1e-6."""
    return rotation.wigner_D(lmax, matrix) * (1 + 1e-6)


WIGNERS = [transposed, trivial, permuted_axes, transposed_top_degree, approximate_wigner]

# Tensors: CouplingTensor -> M[k, i, j]


def zero(tensor: CouplingTensor) -> np.ndarray:
    """Nothing, equivariantly."""
    return np.zeros_like(tensor.array)


def swapped_inputs(tensor: CouplingTensor) -> np.ndarray:
    """Exchange x and y: odd paths change sign, and the product stays equivariant with the same norm."""
    return tensor.array.transpose(0, 2, 1)


def swapped_output(tensor: CouplingTensor) -> np.ndarray:
    """Exchange k and i: likewise."""
    return tensor.array.transpose(1, 0, 2)


def cyclic(tensor: CouplingTensor) -> np.ndarray:
    """k, i, j shifted: the weight of a path goes to another one."""
    return tensor.array.transpose(1, 2, 0)


def wrong_normalisation(tensor: CouplingTensor) -> np.ndarray:
    """The other normalisation of the blocks."""
    other = "component" if tensor.normalization == "norm" else "norm"
    return CouplingTensor(tensor.coupling, tensor.weights, other).array


def one_path_scaled(tensor: CouplingTensor) -> np.ndarray:
    """One path 1 % too heavy."""
    weights = np.array(tensor.weights)
    weights[-1] *= 1.01
    return CouplingTensor(tensor.coupling, weights, tensor.normalization).array


def weights_exchanged(tensor: CouplingTensor) -> np.ndarray:
    """Path weights of the right length in the wrong order."""
    return CouplingTensor(tensor.coupling, tensor.weights[::-1], tensor.normalization).array


def _noise(tensor: CouplingTensor) -> np.ndarray:
    noise = np.random.default_rng(5).standard_normal(tensor.array.shape)
    return noise / np.linalg.norm(noise) * np.linalg.norm(tensor.array)


def approximate(tensor: CouplingTensor) -> np.ndarray:
    """Relative error 1e-6, brought back to the right norm: what a fit that has not converged looks like."""
    result = tensor.array + 1e-6 * _noise(tensor)
    return result * (np.linalg.norm(tensor.array) / np.linalg.norm(result))


def barely_approximate(tensor: CouplingTensor) -> np.ndarray:
    """Relative error 1e-10."""
    result = tensor.array + 1e-10 * _noise(tensor)
    return result * (np.linalg.norm(tensor.array) / np.linalg.norm(result))


NOT_EQUIVARIANT = [approximate, barely_approximate]
WRONG_NORM = [zero, wrong_normalisation, one_path_scaled]
EQUIVARIANT_BUT_OTHER = [swapped_inputs, swapped_output, cyclic, weights_exchanged]

# Spectra: (CouplingTensor, mode) -> singular values


def _squares(tensor: CouplingTensor, mode: int, factor: Callable[[irreps.Path, int], float]) -> np.ndarray:
    """One number for each slot of the mode."""
    squares = np.zeros(len(tensor.coupling.modes[mode]))
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        slot = (path.z, path.x, path.y)[mode]
        squares[slot] += weight**2 * factor(path, tensor.coupling.modes[mode][slot].l)
    return squares


def _spectrum(squares: np.ndarray, tensor: CouplingTensor, mode: int) -> np.ndarray:
    return np.sort(np.sqrt(np.repeat(squares, [irrep.dim for irrep in tensor.coupling.modes[mode]])))[::-1]


def next_mode(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """Modes off by one: invisible at weights 1 and unit norm, where all three spectra agree."""
    return tensor.singular_values((0, 1, 2)[(mode + 1) % 3])


def ascending(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """The right numbers from small to large."""
    return tensor.singular_values((0, 1, 2)[mode])[::-1]


def without_multiplicity(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """sigma^2 = N_l instead of N_l / (2l+1)."""
    return _spectrum(_squares(tensor, mode, lambda path, degree: tensor.block_norm(path) ** 2), tensor, mode)


def without_normalisation(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """Blocks taken for unit-norm ones whatever they are: invisible for unit-norm tensors."""
    return _spectrum(_squares(tensor, mode, lambda path, degree: 1 / (2 * degree + 1)), tensor, mode)


def without_weights(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """Weights forgotten: invisible at weights 1."""
    return CouplingTensor(tensor.coupling, normalization=tensor.normalization).singular_values((0, 1, 2)[mode])


def copies_apart(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """Every slot on its own: right where no irrep occurs twice in a mode."""
    squares = _squares(tensor, mode, lambda path, degree: tensor.block_norm(path) ** 2 / (2 * degree + 1))
    return _spectrum(squares, tensor, mode)


def copies_added(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """The trace of an irrep's Gram matrix as its only singular value: of all copies together, right for one."""
    squares = _squares(tensor, mode, lambda path, degree: tensor.block_norm(path) ** 2 / (2 * degree + 1))
    slots = tensor.coupling.modes[mode]
    total = [
        squares[[other == irrep for other in slots]].sum() * (slots.index(irrep) == n) for n, irrep in enumerate(slots)
    ]
    return _spectrum(np.array(total), tensor, mode)


COPIES = [copies_apart, copies_added]
SPECTRA = [next_mode, ascending, without_multiplicity, without_normalisation, without_weights]

# Projections: (CouplingTensor, T) -> tensor


def halved(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """Self-adjoint, but not idempotent."""
    return tensor.project(array).array / 2


def twice_divided(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """w_p = <T, C_p> / ||C_p||^3: right for unit-norm blocks only."""
    found = tensor.project(array)
    weights = [w / found.block_norm(path) for path, w in zip(found.paths, found.weights, strict=True)]
    return CouplingTensor(tensor.coupling, tuple(weights), tensor.normalization).array


def one_path_lost(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """An orthogonal projection onto equivariant tensors, but not all of them."""
    found = tensor.project(array)
    return CouplingTensor(tensor.coupling, (*found.weights[:-1], 0.0), tensor.normalization).array


def even_only(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """The projection of the part symmetric in x and y."""
    return tensor.project((array + array.transpose(0, 2, 1)) / 2).array


def identity(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """An orthogonal projection that keeps coupling tensors, and everything else."""
    return array


def support(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """An orthogonal projection that keeps coupling tensors, onto all tensors with their sparsity."""
    return np.where(CouplingTensor(tensor.coupling).array != 0, array, 0.0)


def oblique(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """Idempotent, keeps coupling tensors, has equivariant values, but is not orthogonal."""
    rest = array - tensor.project(array).array
    return tensor.project(array).array + rest[0, 0, 1] * CouplingTensor(tensor.coupling).array


def rotations_alone(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """The projection on what commutes with rotations: inversion is forgotten."""
    x, y, z = (
        tuple(irreps.Irrep(irrep.l) for irrep in mode)
        for mode in (tensor.coupling.x, tensor.coupling.y, tensor.coupling.z)
    )
    return CouplingTensor(Coupling(x, y, z)).project(array).array


def first_copies(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """Each irrep of the output taken once, as if a feature had every degree once."""
    found, z = tensor.project(array), tensor.coupling.z
    kept = {p: w for p, w in zip(found.paths, found.weights, strict=True) if z.index(z[p.z]) == p.z}
    return CouplingTensor(tensor.coupling, kept, tensor.normalization).array


OF_SLOTS = [rotations_alone, first_copies]


def swapped_projection(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """The projection of the tensor with x and y exchanged."""
    return tensor.project(array.transpose(0, 2, 1)).array


PROJECTIONS = [halved, twice_divided, one_path_lost, even_only, identity, support, oblique, swapped_projection]


# Equivariance errors: (T, coupling) -> mean square; -> supremum; cores of truncation bounds


def mean_square_halved(array: np.ndarray, coupling: CouplingLike) -> float:
    """One of the two equal terms forgotten."""
    return equivariance.mean_square_error(array, coupling) / 2


def mean_square_of_everything(array: np.ndarray, coupling: CouplingLike) -> float:
    """Twice the squared norm of T itself, not of its non-equivariant part."""
    return 2 * float(np.linalg.norm(array)) ** 2


def mean_square_of_even_paths(array: np.ndarray, coupling: CouplingLike) -> float:
    """The projection of other paths than all."""
    found = CouplingTensor(coupling).project(array)
    even = {path: weight for path, weight in zip(found.paths, found.weights, strict=True) if path.even}
    return 2 * float(np.linalg.norm(array - CouplingTensor(coupling, even).array)) ** 2


MEAN_SQUARES = [mean_square_halved, mean_square_of_everything, mean_square_of_even_paths]


def mean_square_of_rotations_alone(array: np.ndarray, coupling: CouplingLike) -> float:
    """Inversion forgotten: what it forbids counts as equivariant."""
    return 2 * float(np.linalg.norm(array - rotations_alone(CouplingTensor(coupling), array))) ** 2


def relative_to_the_target(array: np.ndarray, coupling: CouplingLike) -> float:
    """Divided by the norm of the paper's tensor: a small product looks equivariant."""
    size = float(np.abs(array).max())  # without it the square would be out of range
    return size * float(np.sqrt(equivariance.mean_square_error(array / size, coupling))) / CouplingTensor(coupling).norm


def relative_to_the_equivariant_part(array: np.ndarray, coupling: CouplingLike) -> float:
    """Divided by `||P T||`: unbounded."""
    unit = array / np.abs(array).max()
    return float(np.sqrt(equivariance.mean_square_error(unit, coupling))) / CouplingTensor(coupling).project(unit).norm


def relative_without_the_two(array: np.ndarray, coupling: CouplingLike) -> float:
    """The relative size of the non-equivariant part."""
    unit = array / np.abs(array).max()
    return float(np.linalg.norm(equivariance.non_equivariant_part(unit, coupling)) / np.linalg.norm(unit))


RELATIVE_ERRORS = [relative_to_the_target, relative_to_the_equivariant_part, relative_without_the_two]


def supremum_without_two(array: np.ndarray, coupling: CouplingLike) -> float:
    """The injective norm itself: the triangle inequality has two terms."""
    return equivariance.supremum_bound(array, coupling=coupling).value / 2


def supremum_of_entries(array: np.ndarray, coupling: CouplingLike) -> float:
    """Twice the largest entry of N: a lower bound on the injective norm taken for an upper one."""
    return 2 * float(np.abs(equivariance.non_equivariant_part(array, coupling)).max())


def supremum_of_the_mean(array: np.ndarray, coupling: CouplingLike) -> float:
    """The root mean square over unit vectors: errors are larger than that somewhere."""
    _, d1, d2 = array.shape
    return float(np.sqrt(equivariance.mean_square_error(array, coupling) / (d1 * d2)))


SUPREMA = [supremum_without_two, supremum_of_entries, supremum_of_the_mean]


def core_of_the_whole_rank(tensor: CouplingTensor, rank: int) -> tuple[int, int, int]:
    """R in every mode: an R x R x R core has more than R terms."""
    k, i, j = tensor.array.shape
    return min(rank, k), min(rank, i), min(rank, j)


def core_rounded_up(tensor: CouplingTensor, rank: int) -> tuple[int, int, int]:
    """The square root rounded up."""
    size, (k, i, j) = bounds.integer_root(rank - 1, 2) + 1, tensor.array.shape
    return min(size, k), min(size, i), min(size, j)


CORES = [core_of_the_whole_rank, core_rounded_up]


# Ranks of matrices modulo a prime


def rank_in_floats(matrix: np.ndarray) -> int:
    """The rank by numpy, with a coarse tolerance: small pivots are lost."""
    return int(np.linalg.matrix_rank(matrix, tol=3.0))


def rank_without_exchanges(matrix: np.ndarray) -> int:
    """Elimination down the diagonal: a zero pivot ends it, though other rows could take its place."""
    A = matrix.copy()
    found = 0
    for n in range(min(A.shape)):
        if A[n, n] == 0:
            break
        A[n + 1 :] -= np.outer(A[n + 1 :, n] / A[n, n], A[n])
        found += 1
    return found


def rank_modulo_two(matrix: np.ndarray) -> int:
    """A proven lower bound, but for an unlucky prime."""
    A = np.rint(matrix).astype(int) % 2
    found = 0
    for column in range(A.shape[1]):
        rows = np.flatnonzero(A[found:, column]) + found
        if rows.size:
            A[[found, rows[0]]] = A[[rows[0], found]]
            others = np.flatnonzero(A[:, column])
            A[others[others > found]] ^= A[found]
            found += 1
    return found


MODULAR_RANKS = [rank_in_floats, rank_without_exchanges, rank_modulo_two]

# Lower bounds on ranks: T -> bound, for one step of Koszul flattening with p = 1


def koszul_rank(T: np.ndarray) -> int:
    """The rank of the flattening itself, not divided by that of a rank-one term."""
    return rank._koszul(T, reference.ungraded(T), 1, 0) * comb(2, 1)


def koszul_plus_one(T: np.ndarray) -> int:
    """A step of substitution without one."""
    return rank._koszul(T, reference.ungraded(T), 1, 0) + 1


def koszul_without_signs(T: np.ndarray) -> int:
    """Symmetric instead of exterior powers: a rank-one term has rank 3 then, not 2."""
    size = 3
    projection = np.random.default_rng(0).integers(0, 100, (size, len(T))).astype(float)
    slices = np.einsum("sa,abc->sbc", projection, T)
    matrix = np.zeros((3, T.shape[1], size, T.shape[2]))
    for a in range(size):
        for b in range(size):
            if a != b:
                matrix[3 - a - b, :, b] += slices[a]
    return -(-int(np.linalg.matrix_rank(matrix.reshape(3 * T.shape[1], -1))) // 2)


def sum_of_flattenings(T: np.ndarray) -> int:
    """The three unfoldings' ranks together."""
    return sum(rank.modular_rank(np.moveaxis(T, mode, 0).reshape(len(T), -1)) for mode in range(3))


RANK_BOUNDS = [koszul_rank, koszul_plus_one, koszul_without_signs, sum_of_flattenings]

# The same on coupling tensors


def as_many_steps_as_components(tensor: CouplingTensor) -> int:
    """Substitution credited with a term for every component, none of which it takes away."""
    return tensor.d + rank.koszul_bound(tensor, 1)


def generic_rank(tensor: CouplingTensor) -> int:
    """What counting parameters suggests, as if M were generic: no lower bound at all."""
    return -(-(tensor.d**3) // (3 * tensor.d - 2))


def half_of_the_flattening(tensor: CouplingTensor) -> int:
    """True, and of no use: weaker than what a single unfolding gives."""
    return rank.flattening_bound(tensor) // 2


COUPLING_BOUNDS = [as_many_steps_as_components, generic_rank, half_of_the_flattening]

# Of couplings with any weights


def substitution_of_all_components(coupling: Coupling) -> int:
    """One term for every component that is left out, and one for the last one as well."""
    return rank.any_weights_bound(coupling) + 1


def a_matrix_of_full_rank(coupling: Coupling) -> int:
    """What is left after the substitution is taken to be generic."""
    d3, *others = coupling.shape
    return d3 - 1 + min(others)


def no_substitution(coupling: Coupling) -> int:
    """True, and of no use."""
    del coupling
    return 1


ANY_WEIGHTS_BOUNDS = [substitution_of_all_components, a_matrix_of_full_rank, no_substitution]

# Closed formulas


def _of_pairs(of_pair: Callable[[int, int], int], left: bool) -> Callable[..., int]:
    def mutant(*dims: int) -> int:
        dims = dims if len(dims) == 3 else dims * 3
        found = []
        for mode, slices in enumerate(dims):
            m, n = sorted(dims[:mode] + dims[mode + 1 :])
            found.append(slices // 2 * of_pair(m, n) + (slices % 2 * m if left else 0))
        return min(found)

    return mutant


def pairs_without_the_last_slice(*dims: int) -> int:
    """The slice left over for odd d forgotten."""
    return _of_pairs(lambda m, n: min(m + n // 2, 2 * m), left=False)(*dims)


def pairs_at_their_least(*dims: int) -> int:
    """A pair of slices taken for n terms: the typical rank of an m x n x 2 tensor, not the largest."""
    return _of_pairs(lambda m, n: min(n, 2 * m), left=True)(*dims)


def pairs_of_any_width(*dims: int) -> int:
    """Ranks of pairs, m + floor(n / 2), however wide: right for equal dimensions, more than m n at others."""
    return _of_pairs(lambda m, n: m + n // 2, left=True)(*dims)


PAIR_BOUNDS = [pairs_without_the_last_slice, pairs_at_their_least, pairs_of_any_width]


def kruskal_without_the_two(d: int) -> int:
    """3d >= 2R."""
    return 3 * d // 2


def kruskal_rounded_up(d: int) -> int:
    """(3d - 2) / 2 rounded up."""
    return -(-(3 * d - 2) // 2)


KRUSKAL_LIMITS = [kruskal_without_the_two, kruskal_rounded_up]

# Costs: the arguments of cost.cost -> Cost

RIGHT_COST = cost.cost


def _of_work(change: Callable[..., int]) -> Callable[..., cost.Cost]:
    def mutant(
        method: cost.Method,
        coupling: CouplingLike,
        channels: cost.Channels,
        edges: int = 1,
        rank: int | None = None,
        **options: Any,
    ) -> cost.Cost:
        right = RIGHT_COST(method, coupling, channels, edges, rank, **options)
        more = edges * change(method, coupling, channels, rank, options.get("shared", True))
        return replace(right, multiply_adds=right.multiply_adds + more)

    mutant.__name__ = change.__name__
    return mutant


@_of_work
def weights_forgotten(method, coupling, channels, rank, shared):
    return -channels.mixings * (Coupling.of(coupling).dims[2] if shared else cost.path_sums(coupling).outputs)


@_of_work
def one_multiplication_per_coefficient(method, coupling, channels, rank, shared):
    return -channels.pairs * cost.path_sums(coupling).nonzeros if method == "sparse" else 0


@_of_work
def outer_product_forgotten(method, coupling, channels, rank, shared):
    sums = cost.path_sums(coupling)
    d1, d2, _ = Coupling.of(coupling).dims
    return -channels.pairs * {"dense": d1 * d2, "per_path": sums.inputs}.get(method, 0)


@_of_work
def y_contracted_for_every_pair(method, coupling, channels, rank, shared):
    return (channels.pairs - channels.v) * cost.path_sums(coupling).nonzeros if method == "y_first" else 0


@_of_work
def transformed_back_before_mixing(method, coupling, channels, rank, shared):
    """For `uvw` the mixing happens in the R terms, and only W channels are transformed back."""
    return (channels.pairs - channels.w) * Coupling.of(coupling).dims[2] * (rank or 0) if method == "cp" else 0


@_of_work
def the_same_d_for_all(method, coupling, channels, rank, shared):
    """Factors of x and y as tall as those of z: invisible for the paper's features."""
    d1, d2, d3 = Coupling.of(coupling).dims
    return (channels.u * (d3 - d1) + channels.v * (d3 - d2)) * (rank or 0) if method == "cp" else 0


@_of_work
def matrices_for_outer_products(method, coupling, channels, rank, shared):
    """The matrices that take x to z counted as outer products of x and y: invisible for the paper's features."""
    sums = cost.path_sums(coupling)
    return channels.pairs * (sums.inputs - sums.matrices) if method == "y_first" and not shared else 0


@_of_work
def products_of_terms_forgotten(method, coupling, channels, rank, shared):
    return -channels.pairs * (rank or 0) if method == "cp" else 0


def one_parameter_per_path(method, coupling, channels, edges=1, rank=None, **options):
    """Parameters of all channels together."""
    right = RIGHT_COST(method, coupling, channels, edges, rank, **options)
    return replace(right, parameters=1 if options.get("shared", True) else cost.path_sums(coupling).paths)


def single_precision_always(method, coupling, channels, edges=1, rank=None, **options):
    """Four bytes whatever is asked for."""
    return RIGHT_COST(method, coupling, channels, edges, rank, **options | {"bytes_per_number": 4})


def constants_for_every_edge(method, coupling, channels, edges=1, rank=None, **options):
    """Factors read again for every edge."""
    right = RIGHT_COST(method, coupling, channels, edges, rank, **options)
    return replace(right, bytes=edges * RIGHT_COST(method, coupling, channels, 1, rank, **options).bytes)


COSTS = [
    weights_forgotten,
    one_multiplication_per_coefficient,
    outer_product_forgotten,
    y_contracted_for_every_pair,
    transformed_back_before_mixing,
    products_of_terms_forgotten,
    the_same_d_for_all,
    matrices_for_outer_products,
    one_parameter_per_path,
    single_precision_always,
    constants_for_every_edge,
]

# Universality: invariants of scalings, Jacobians, and what is reached


def one_invariant_lost(coupling: CouplingLike) -> list[dict[irreps.Path, int]]:
    return universality.scaling_invariants(coupling)[1:]


def one_invariant_twice(coupling: CouplingLike) -> list[dict[irreps.Path, int]]:
    """The right number, not independent."""
    found = universality.scaling_invariants(coupling)
    return [*found[1:], found[-1]] if len(found) > 1 else [*found, *found]


def weights_themselves(coupling: CouplingLike) -> list[dict[irreps.Path, int]]:
    """Independent and as many, but scalings change them."""
    return [{path: 1} for path in Coupling.of(coupling).paths[: len(universality.scaling_invariants(coupling))]]


def exponents_without_signs(coupling: CouplingLike) -> list[dict[irreps.Path, int]]:
    return [
        {path: abs(power) for path, power in powers.items()} for powers in universality.scaling_invariants(coupling)
    ]


INVARIANTS = [one_invariant_lost, one_invariant_twice, weights_themselves, exponents_without_signs]


def jacobian_without_one_factor(factors: CPFactors) -> np.ndarray:
    """Derivative by A and B; C is taken for constant."""
    result = universality.jacobian(factors).copy()
    result[:, factors.A.size + factors.B.size :] = 0
    return result


def jacobian_of_swapped_inputs(factors: CPFactors) -> np.ndarray:
    d1, d2, d3 = factors.dims
    swapped = universality.jacobian(CPFactors(factors.A, factors.C, factors.B))
    return swapped.reshape(d3, d2, d1, -1).transpose(0, 2, 1, 3).reshape(d1 * d2 * d3, -1)


def jacobian_by_terms(factors: CPFactors) -> np.ndarray:
    """Unknowns in the order (term, component)."""
    right, R = universality.jacobian(factors), factors.rank
    ends = np.cumsum([factors.A.size, factors.B.size])
    parts = np.split(right, ends, axis=1)
    return np.hstack([part.reshape(len(part), -1, R).transpose(0, 2, 1).reshape(len(part), -1) for part in parts])


JACOBIANS = [jacobian_without_one_factor, jacobian_of_swapped_inputs, jacobian_by_terms]


def _rank_of(matrix: np.ndarray) -> int:
    return int(np.linalg.matrix_rank(matrix, tol=1e-8 * np.linalg.norm(matrix, 2)))


def reach_by_projection(factors: CPFactors) -> universality.Reach:
    """All first-order changes projected on path space, those that break equivariance included."""
    J = universality.jacobian(factors.balance())
    basis = universality._path_basis(Coupling.of(irreps.lmax_of(factors.d)))
    return replace(universality.reach(factors), dimension=_rank_of(basis.T @ J))


def reach_by_rank(factors: CPFactors) -> universality.Reach:
    """All first-order changes, at most the number of paths."""
    right = universality.reach(factors)
    return replace(right, dimension=min(right.paths, _rank_of(universality.jacobian(factors.balance()))))


def reach_by_scaling(factors: CPFactors) -> universality.Reach:
    """Only the orbit of scalings, which is always reached."""
    right = universality.reach(factors)
    return replace(right, dimension=right.scaling)


def reach_of_all_paths(factors: CPFactors) -> universality.Reach:
    """Paths counted whose weight is zero."""
    right = universality.reach(factors)
    return replace(right, alive=right.paths)


REACHES = [reach_by_projection, reach_by_rank, reach_by_scaling, reach_of_all_paths]
