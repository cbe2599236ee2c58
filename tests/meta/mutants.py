"""Wrong implementations, one per mistake that is easy to make.

Every one must fail the assertion that `test_mutants.py` feeds it to. Several pass others, which is why there is more
than one assertion.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.so3 import irreps, rotation
from tdn_theory.theory import bounds, equivariance

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
    return CouplingTensor(tensor.lmax, tensor.weights, other).array


def one_path_scaled(tensor: CouplingTensor) -> np.ndarray:
    """One path 1 % too heavy."""
    weights = np.array(tensor.weights)
    weights[-1] *= 1.01
    return CouplingTensor(tensor.lmax, weights, tensor.normalization).array


def weights_exchanged(tensor: CouplingTensor) -> np.ndarray:
    """Path weights of the right length in the wrong order."""
    return CouplingTensor(tensor.lmax, tensor.weights[::-1], tensor.normalization).array


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
    squares = np.zeros(tensor.lmax + 1)
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        degree = (path.l3, path.l1, path.l2)[mode]
        squares[degree] += weight**2 * factor(path, degree)
    return squares


def _spectrum(squares: np.ndarray, multiplicities: list[int] | None = None) -> np.ndarray:
    multiplicities = multiplicities or [2 * l + 1 for l in range(len(squares))]
    return np.sort(np.sqrt(np.repeat(squares, multiplicities)))[::-1]


def next_mode(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """Modes off by one: invisible at weights 1 and unit norm, where all three spectra agree."""
    return tensor.singular_values((0, 1, 2)[(mode + 1) % 3])


def ascending(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """The right numbers from small to large."""
    return tensor.singular_values((0, 1, 2)[mode])[::-1]


def without_multiplicity(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """sigma^2 = N_l instead of N_l / (2l+1)."""
    return _spectrum(_squares(tensor, mode, lambda path, degree: tensor.block_norm(path) ** 2))


def without_normalisation(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """Blocks taken for unit-norm ones whatever they are: invisible for unit-norm tensors."""
    return _spectrum(_squares(tensor, mode, lambda path, degree: 1 / (2 * degree + 1)))


def without_weights(tensor: CouplingTensor, mode: int) -> np.ndarray:
    """Weights forgotten: invisible at weights 1."""
    return CouplingTensor(tensor.lmax, normalization=tensor.normalization).singular_values((0, 1, 2)[mode])


SPECTRA = [next_mode, ascending, without_multiplicity, without_normalisation, without_weights]

# Projections: (CouplingTensor, T) -> tensor


def halved(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """Self-adjoint, but not idempotent."""
    return tensor.project(array).array / 2


def twice_divided(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """w_p = <T, C_p> / ||C_p||^3: right for unit-norm blocks only."""
    found = tensor.project(array)
    weights = [w / found.block_norm(path) for path, w in zip(found.paths, found.weights, strict=True)]
    return CouplingTensor(tensor.lmax, tuple(weights), tensor.normalization).array


def one_path_lost(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """An orthogonal projection onto equivariant tensors, but not all of them."""
    found = tensor.project(array)
    return CouplingTensor(tensor.lmax, (*found.weights[:-1], 0.0), tensor.normalization).array


def even_only(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """The projection of the part symmetric in x and y."""
    return tensor.project((array + array.transpose(0, 2, 1)) / 2).array


def identity(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """An orthogonal projection that keeps coupling tensors, and everything else."""
    return array


def support(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """An orthogonal projection that keeps coupling tensors, onto all tensors with their sparsity."""
    return np.where(CouplingTensor(tensor.lmax).array != 0, array, 0.0)


def oblique(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """Idempotent, keeps coupling tensors, has equivariant values, but is not orthogonal."""
    rest = array - tensor.project(array).array
    return tensor.project(array).array + rest[0, 0, 1] * CouplingTensor(tensor.lmax).array


def swapped_projection(tensor: CouplingTensor, array: np.ndarray) -> np.ndarray:
    """The projection of the tensor with x and y exchanged."""
    return tensor.project(array.transpose(0, 2, 1)).array


PROJECTIONS = [halved, twice_divided, one_path_lost, even_only, identity, support, oblique, swapped_projection]


# Equivariance errors: T -> mean square; T -> supremum; cores of truncation bounds


def mean_square_halved(array: np.ndarray) -> float:
    """One of the two equal terms forgotten."""
    return equivariance.mean_square_error(array) / 2


def mean_square_of_everything(array: np.ndarray) -> float:
    """Twice the squared norm of T itself, not of its non-equivariant part."""
    return 2 * float(np.linalg.norm(array)) ** 2


def mean_square_of_the_even_projection(array: np.ndarray) -> float:
    """The projection of other paths than all."""
    d = len(array)
    rest = array - even_only(CouplingTensor(equivariance.lmax_of(d)), array)
    return 2 * float(np.linalg.norm(rest)) ** 2


MEAN_SQUARES = [mean_square_halved, mean_square_of_everything, mean_square_of_the_even_projection]


def supremum_without_two(array: np.ndarray) -> float:
    """The injective norm itself: the triangle inequality has two terms."""
    return equivariance.supremum_bound(array).value / 2


def supremum_of_entries(array: np.ndarray) -> float:
    """Twice the largest entry of N: a lower bound on the injective norm taken for an upper one."""
    return 2 * float(np.abs(equivariance.non_equivariant_part(array)).max())


def supremum_of_the_mean(array: np.ndarray) -> float:
    """The root mean square over unit vectors: errors are larger than that somewhere."""
    return float(np.sqrt(equivariance.mean_square_error(array))) / len(array)


SUPREMA = [supremum_without_two, supremum_of_entries, supremum_of_the_mean]


def core_of_the_whole_rank(tensor: CouplingTensor, rank: int) -> tuple[int, int, int]:
    """R in every mode: an R x R x R core has more than R terms."""
    size = min(rank, tensor.d)
    return size, size, size


def core_rounded_up(tensor: CouplingTensor, rank: int) -> tuple[int, int, int]:
    """The square root rounded up."""
    size = min(bounds.integer_root(rank - 1, 2) + 1, tensor.d)
    return size, size, size


CORES = [core_of_the_whole_rank, core_rounded_up]
