"""The cost model against programs that compute the product and count their multiplications."""

from __future__ import annotations

from collections.abc import Callable
from math import isqrt

import numpy as np
import pytest

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory import cost
from tdn_theory.theory.cost import Channels
from tests.assertions import refuses


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


UNEQUAL = "0e+1o+1o x 1o+0e+2e -> 1o+0e"
"""An order of its own, copies, and three dimensions."""


def dense(coupling: CouplingLike) -> Bilinear:
    M = CouplingTensor(coupling).array
    return lambda count, x, y: count.matmul(M.reshape(len(M), -1), count.outer(x, y).ravel())


def by_path(coupling: CouplingLike, outputs: list[np.ndarray]) -> Bilinear:
    """Every block on its own; `outputs` holds those of the last call."""
    coupling = Coupling.of(coupling)

    def product(count: Counter, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = np.zeros(coupling.dims[2])
        outputs.clear()
        for path in coupling.paths:
            k, i, j = coupling.where(path)
            block = clebsch_gordan(*path.degrees)
            part = count.matmul(block.reshape(len(block), -1), count.outer(x[i], y[j]).ravel())
            outputs.append(part)
            z[k] += part
        return z

    return product


def sparse(coupling: CouplingLike) -> Bilinear:
    M = CouplingTensor(coupling).array

    def product(count: Counter, x: np.ndarray, y: np.ndarray) -> np.ndarray:
        z = np.zeros(len(M))
        for k, i, j in np.argwhere(M):
            count.multiplications += 2
            z[k] += M[k, i, j] * x[i] * y[j]
        return z

    return product


def channels_of(connection: cost.Connection) -> Channels:
    return Channels.of("uvw", 3, 2, 4) if connection == "uvw" else Channels.of(connection, 3)


def inputs(coupling: CouplingLike, channels: Channels) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    rng, (d1, d2, _) = np.random.default_rng(1), Coupling.of(coupling).dims
    shape = (channels.u, channels.v, channels.w) if channels.connection == "uvw" else (channels.u,)
    x, y = rng.standard_normal((channels.u, d1)), rng.standard_normal((channels.v, d2))
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


def wanted(coupling: CouplingLike, channels: Channels, M: np.ndarray) -> np.ndarray:
    x, y, weights = inputs(coupling, channels)
    products = {(u, v): np.einsum("kij,i,j->k", M, x[u], y[v]) for u, v in pairs(channels)}
    return mix(Counter(), channels, products, weights)


@pytest.mark.parametrize("coupling", [0, 1, 2, UNEQUAL])
@pytest.mark.parametrize("connection", cost.CONNECTIONS)
@pytest.mark.parametrize("method", ["dense", "per_path", "sparse"])
def test_pairwise_methods(method: cost.Method, connection: cost.Connection, coupling: CouplingLike) -> None:
    channels, count = channels_of(connection), Counter()
    x, y, weights = inputs(coupling, channels)
    product = {"dense": dense(coupling), "per_path": by_path(coupling, []), "sparse": sparse(coupling)}[method]
    z = mix(count, channels, {(u, v): product(count, x[u], y[v]) for u, v in pairs(channels)}, weights)
    assert_close(z, wanted(coupling, channels, CouplingTensor(coupling).array), 1e-12, method)
    assert cost.cost(method, coupling, channels).multiply_adds == count.multiplications


@pytest.mark.parametrize("coupling", [0, 1, 2, UNEQUAL])
@pytest.mark.parametrize("connection", cost.CONNECTIONS)
def test_y_first(connection: cost.Connection, coupling: CouplingLike) -> None:
    channels, count = channels_of(connection), Counter()
    x, y, weights = inputs(coupling, channels)
    M = CouplingTensor(coupling).array
    matrices = []
    for v in range(channels.v):
        matrix = np.zeros(M.shape[:2])
        for k, i, j in np.argwhere(M):
            count.multiplications += 1
            matrix[k, i] += M[k, i, j] * y[v, j]
        matrices.append(matrix)
    z = mix(count, channels, {(u, v): count.matmul(matrices[v], x[u]) for u, v in pairs(channels)}, weights)
    assert_close(z, wanted(coupling, channels, M), 1e-12, "y_first")
    assert cost.cost("y_first", coupling, channels).multiply_adds == count.multiplications


@pytest.mark.parametrize("connection", cost.CONNECTIONS)
@pytest.mark.parametrize(
    ("method", "coupling"), [("cp", 0), ("cp", 1), ("cp", UNEQUAL), ("cubature", 2), ("matrix", 0), ("matrix", 2)]
)
def test_transformed_methods(method: cost.Method, coupling: CouplingLike, connection: cost.Connection) -> None:
    """Into another space, multiply there (R numbers, or n x n matrices), mix, and back."""
    channels, count = channels_of(connection), Counter()
    x, y, weights = inputs(coupling, channels)
    shape = Coupling.of(coupling).shape
    n, R = isqrt(shape[0]), shape[0] if method == "matrix" else 7
    factors = CPFactors(*(np.random.default_rng(mode).standard_normal((d, R)) for mode, d in enumerate(shape)))

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
    assert_close(z, wanted(coupling, channels, tensor), 1e-9, method)
    rank = None if method == "matrix" else R
    assert cost.cost(method, coupling, channels, rank=rank).multiply_adds == count.multiplications


@pytest.mark.parametrize("coupling", [1, 2, UNEQUAL])
@pytest.mark.parametrize("connection", cost.CONNECTIONS)
@pytest.mark.parametrize("method", cost.UNSHARED)
def test_weights_per_path(method: cost.Method, connection: cost.Connection, coupling: CouplingLike) -> None:
    channels, count = channels_of(connection), Counter()
    x, y, _ = inputs(coupling, channels)
    if method == "y_first":
        count.multiplications += channels.v * int(np.count_nonzero(CouplingTensor(coupling).array))
    for u, v in pairs(channels):
        outputs: list[np.ndarray] = []
        if method == "per_path":
            by_path(coupling, outputs)(count, x[u], y[v])
        elif method == "sparse":
            sparse(coupling)(count, x[u], y[v])
            outputs = [np.zeros(2 * path.l3 + 1) for path in Coupling.of(coupling).paths]
        else:
            for path in Coupling.of(coupling).paths:
                _, i, j = Coupling.of(coupling).where(path)
                outputs.append(count.matmul(clebsch_gordan(*path.degrees) @ y[v, j], x[u, i]))
        for part in outputs:
            for _ in range(channels.w if connection == "uvw" else 1):
                count.times(part, 1.0)
    found = cost.cost(method, coupling, channels, shared=False)
    assert found.multiply_adds == count.multiplications
    assert found.parameters == len(Coupling.of(coupling).paths) * channels.mixings
    assert cost.cost(method, coupling, channels).parameters == channels.mixings


def test_bytes() -> None:
    """x, y, z and weights once per edge, coefficients once, four bytes each; twice the kept numbers in between."""
    channels = Channels.of("uvu", 8)
    found = cost.cost("cp", 1, channels, edges=10, rank=7)
    assert found.bytes == 4 * (10 * (17 * 4 + 8) + 3 * 7 * 4)
    assert found.intermediate_bytes == 2 * 4 * 10 * (7 * 9 + 7 * 8 + 8 * 4)
    assert found.intensity == found.multiply_adds / found.bytes
    assert cost.cost("cp", 1, channels, edges=10, rank=7, bytes_per_number=2).bytes == found.bytes / 2
    assert cost.cost("dense", 1, channels, edges=10).multiply_adds == 10 * cost.cost("dense", 1, channels).multiply_adds


@pytest.mark.parametrize("coupling", [*range(4), UNEQUAL])
def test_path_sums(coupling: CouplingLike) -> None:
    sums, paths = cost.path_sums(coupling), Coupling.of(coupling).paths
    assert sums.nonzeros == np.count_nonzero(CouplingTensor(coupling).array)
    assert sums.blocks == sum(clebsch_gordan(*path.degrees).size for path in paths)
    assert sums.inputs == sum((2 * p.l1 + 1) * (2 * p.l2 + 1) for p in paths)
    assert sums.matrices == sum((2 * p.l1 + 1) * (2 * p.l3 + 1) for p in paths)
    assert (sums.inputs == sums.matrices) == (coupling != UNEQUAL)


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
    with refuses(ValueError, "has no L", "0..L"):
        cost.cost("matrix", UNEQUAL, uvu)
    with refuses(ValueError, "u is 0", "at least 1"):
        Channels.of("uvu", 0)
    with refuses(ValueError, "connection is 'uvv'", "uvu"):
        Channels.of("uvv", 4)
    with refuses(ValueError, "'uvu'", "'uvw' only"):
        Channels.of("uvu", 4, 2)
