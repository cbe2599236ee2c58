"""The cost model against programs that compute the product and count their multiplications."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import component_slice, dim, paths
from tdn_theory.theory import cost
from tdn_theory.theory.cost import Channels
from tests.assertions import assert_close, refuses


class Counter:
    """Multiplies, and counts."""

    def __init__(self) -> None:
        self.multiplications = 0

    def matmul(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        """(a, b) times (b, c) or (b,): a b c multiplications."""
        self.multiplications += left.size * (right.shape[1] if right.ndim == 2 else 1)
        return left @ right

    def outer(self, left: np.ndarray, right: np.ndarray) -> np.ndarray:
        self.multiplications += left.size * right.size
        return np.outer(left, right)

    def times(self, left: np.ndarray, right: np.ndarray | float) -> np.ndarray:
        self.multiplications += np.asarray(left).size
        return left * right


Bilinear = Callable[[Counter, np.ndarray, np.ndarray], np.ndarray]


def dense(lmax: int) -> Bilinear:
    M = CouplingTensor(lmax).array.reshape(dim(lmax), -1)
    return lambda count, x, y: count.matmul(M, count.outer(x, y).ravel())


def by_path(lmax: int, weights: np.ndarray, outputs: list[np.ndarray]) -> Bilinear:
    """Every block on its own; appends the path outputs instead of adding them up if `outputs` is wanted."""

    def product(count: Counter, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = np.zeros(dim(lmax))
        outputs.clear()
        for path in paths(lmax):
            pair = count.outer(x[component_slice(path.l1)], y[component_slice(path.l2)]).ravel()
            part = count.matmul(clebsch_gordan(*path).reshape(2 * path.l3 + 1, -1), pair)
            outputs.append(part)
            z[component_slice(path.l3)] += part
        return z

    return product


def sparse(lmax: int) -> Bilinear:
    M = CouplingTensor(lmax).array

    def product(count: Counter, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = np.zeros(len(M))
        for k, i, j in np.argwhere(M):
            count.multiplications += 2
            z[k] += M[k, i, j] * x[i] * y[j]
        return z

    return product


def channels_of(connection: cost.Connection) -> Channels:
    return Channels.of("uvw", 3, 2, 4) if connection == "uvw" else Channels.of(connection, 3)


def inputs(lmax: int, channels: Channels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng = np.random.default_rng(lmax)
    shape = (channels.u, channels.v, channels.w) if channels.connection == "uvw" else (channels.u,)
    x, y = rng.standard_normal((channels.u, dim(lmax))), rng.standard_normal((channels.v, dim(lmax)))
    return x, y, rng.standard_normal(shape)


def pairs(channels: Channels) -> list[tuple[int, int]]:
    if channels.connection == "uvw":
        return [(u, v) for u in range(channels.u) for v in range(channels.v)]
    return [(u, 0 if channels.connection == "uvu" else u) for u in range(channels.u)]


def mix(
    count: Counter, channels: Channels, products: dict[tuple[int, int], np.ndarray], weights: np.ndarray
) -> np.ndarray:
    """Shared weights on the outputs of the pairs of channels."""
    if channels.connection != "uvw":
        return np.array([count.times(products[u, v], weights[u]) for u, v in pairs(channels)])
    mixed = [[count.times(products[u, v], weights[u, v, w]) for u, v in pairs(channels)] for w in range(channels.w)]
    return np.sum(mixed, axis=1)


def wanted(lmax: int, channels: Channels, M: np.ndarray) -> np.ndarray:
    x, y, weights = inputs(lmax, channels)
    products = {(u, v): np.einsum("kij,i,j->k", M, x[u], y[v]) for u, v in pairs(channels)}
    return mix(Counter(), channels, products, weights)


@pytest.mark.parametrize("lmax", [0, 1, 2])
@pytest.mark.parametrize("connection", cost.CONNECTIONS)
@pytest.mark.parametrize("method", ["dense", "per_path", "sparse"])
def test_pairwise_methods(method: cost.Method, connection: cost.Connection, lmax: int) -> None:
    channels, count = channels_of(connection), Counter()
    x, y, weights = inputs(lmax, channels)
    product = {"dense": dense(lmax), "per_path": by_path(lmax, weights, []), "sparse": sparse(lmax)}[method]
    z = mix(count, channels, {(u, v): product(count, x[u], y[v]) for u, v in pairs(channels)}, weights)
    assert_close(z, wanted(lmax, channels, CouplingTensor(lmax).array), 1e-12, method)
    assert cost.cost(method, lmax, channels).multiply_adds == count.multiplications


@pytest.mark.parametrize("lmax", [0, 1, 2])
@pytest.mark.parametrize("connection", cost.CONNECTIONS)
def test_y_first(connection: cost.Connection, lmax: int) -> None:
    channels, count = channels_of(connection), Counter()
    x, y, weights = inputs(lmax, channels)
    M = CouplingTensor(lmax).array
    matrices = []
    for v in range(channels.v):
        matrix = np.zeros((dim(lmax),) * 2)
        for k, i, j in np.argwhere(M):
            count.multiplications += 1
            matrix[k, i] += M[k, i, j] * y[v, j]
        matrices.append(matrix)
    z = mix(count, channels, {(u, v): count.matmul(matrices[v], x[u]) for u, v in pairs(channels)}, weights)
    assert_close(z, wanted(lmax, channels, M), 1e-12, "y_first")
    assert cost.cost("y_first", lmax, channels).multiply_adds == count.multiplications


@pytest.mark.parametrize("connection", cost.CONNECTIONS)
@pytest.mark.parametrize(("method", "lmax"), [("cp", 0), ("cp", 1), ("cubature", 2), ("matrix", 0), ("matrix", 2)])
def test_transformed_methods(method: cost.Method, lmax: int, connection: cost.Connection) -> None:
    """Into another space, multiply there (R numbers, or n x n matrices), mix, and back."""
    channels, count = channels_of(connection), Counter()
    x, y, weights = inputs(lmax, channels)
    n, R = lmax + 1, dim(lmax) if method == "matrix" else 7
    factors = CPFactors(*np.random.default_rng(1).standard_normal((3, dim(lmax), R)))

    def multiply(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        if method == "matrix":
            return count.matmul(left.reshape(n, n), right.reshape(n, n)).ravel()
        return count.times(left, right)

    inner_x = np.array([count.matmul(factors.B.T, channel) for channel in x])
    inner_y = np.array([count.matmul(factors.C.T, channel) for channel in y])
    products = {(u, v): multiply(inner_x[u], inner_y[v]) for u, v in pairs(channels)}
    if connection == "uvw":
        z = np.array([count.matmul(factors.A, c) for c in mix(count, channels, products, weights)])
    else:
        z = mix(count, channels, {pair: count.matmul(factors.A, c) for pair, c in products.items()}, weights)
    tensor = factors.array
    if method == "matrix":
        unit = np.eye(n * n).reshape(n * n, n, n)
        structure = np.einsum("pab,qbc,rac->rpq", unit, unit, unit).reshape(R, R, R)
        tensor = np.einsum("rpq,kr,ip,jq->kij", structure, factors.A, factors.B, factors.C, optimize=True)
    assert_close(z, wanted(lmax, channels, tensor), 1e-9, method)
    rank = None if method == "matrix" else R
    assert cost.cost(method, lmax, channels, rank=rank).multiply_adds == count.multiplications


@pytest.mark.parametrize("lmax", [1, 2])
@pytest.mark.parametrize("connection", cost.CONNECTIONS)
@pytest.mark.parametrize("method", cost.UNSHARED)
def test_weights_per_path(method: cost.Method, connection: cost.Connection, lmax: int) -> None:
    channels, count = channels_of(connection), Counter()
    x, y, _ = inputs(lmax, channels)
    if method == "y_first":
        count.multiplications += channels.v * int(np.count_nonzero(CouplingTensor(lmax).array))
    for u, v in pairs(channels):
        outputs: list[np.ndarray] = []
        if method == "per_path":
            by_path(lmax, np.ones(1), outputs)(count, x[u], y[v])
        elif method == "sparse":
            sparse(lmax)(count, x[u], y[v])
            outputs = [np.zeros(2 * path.l3 + 1) for path in paths(lmax)]
        else:
            for path in paths(lmax):
                block = clebsch_gordan(*path) @ y[v, component_slice(path.l2)]
                outputs.append(count.matmul(block, x[u, component_slice(path.l1)]))
        for part in outputs:
            for _ in range(channels.w if connection == "uvw" else 1):
                count.times(part, 1.0)
    found = cost.cost(method, lmax, channels, shared=False)
    assert found.multiply_adds == count.multiplications
    assert found.parameters == len(paths(lmax)) * channels.mixings
    assert cost.cost(method, lmax, channels).parameters == channels.mixings


def test_bytes() -> None:
    """x, y, z and weights once per edge, coefficients once, four bytes each; twice the kept numbers in between."""
    channels = Channels.of("uvu", 8)
    found = cost.cost("cp", 1, channels, edges=10, rank=7)
    assert found.bytes == 4 * (10 * (17 * 4 + 8) + 3 * 7 * 4)
    assert found.intermediate_bytes == 2 * 4 * 10 * (7 * 9 + 7 * 8 + 8 * 4)
    assert found.intensity == found.multiply_adds / found.bytes
    assert cost.cost("cp", 1, channels, edges=10, rank=7, bytes_per_number=2).bytes == found.bytes / 2
    assert cost.cost("dense", 1, channels, edges=10).multiply_adds == 10 * cost.cost("dense", 1, channels).multiply_adds


@pytest.mark.parametrize("lmax", range(4))
def test_path_sums(lmax: int) -> None:
    sums = cost.path_sums(lmax)
    assert sums.nonzeros == np.count_nonzero(CouplingTensor(lmax).array)
    assert sums.blocks == sum(clebsch_gordan(*path).size for path in paths(lmax))
    assert sums.inputs == sum((2 * p.l1 + 1) * (2 * p.l3 + 1) for p in paths(lmax))


def test_growth_and_crossover() -> None:
    assert cost.growth({l: 5 * (l + 1) ** 4 for l in range(1, 9)}, 4) == pytest.approx(4.0)
    assert cost.crossover({1: 3, 2: 3}, {1: 2, 2: 2}) is None
    assert cost.crossover({1: 1, 2: 3, 3: 1}, {1: 2, 2: 2, 3: 2}) == 3


def test_errors_teach() -> None:
    uvu = Channels.of("uvu", 4)
    with refuses(ValueError, "method is 'fft'", "y_first"):
        cost.cost("fft", 1, uvu)
    with refuses(ValueError, "rank is None", "'cp'"):
        cost.cost("cp", 1, uvu)
    with refuses(ValueError, "rank is 7", "'dense'"):
        cost.cost("dense", 1, uvu, rank=7)
    with refuses(ValueError, "'cp'", "shared"):
        cost.cost("cp", 1, uvu, rank=7, shared=False)
    with refuses(ValueError, "L is 3", "even L"):
        cost.cost("matrix", 3, uvu)
    with refuses(ValueError, "u is 0", "at least 1"):
        Channels.of("uvu", 0)
    with refuses(ValueError, "connection is 'uvv'", "uvu"):
        Channels.of("uvv", 4)
    with refuses(ValueError, "'uvu'", "'uvw' only"):
        Channels.of("uvu", 4, 2)
