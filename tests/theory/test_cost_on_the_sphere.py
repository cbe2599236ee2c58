"""The cost of products by rotation to the pole and on grids: programs that compute them and count multiplications."""

from __future__ import annotations

import numpy as np
import pytest

from tdn_theory.coupling import Coupling, CouplingLike, CouplingTensor
from tdn_theory.cp.constructions import cubature
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.so3.irreps import component_slice, dim, slot_slices
from tdn_theory.so3.rotation import wigner_d
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory import cost
from tdn_theory.theory.cost import Channels
from tests.assertions import refuses
from tests.theory.test_cost import Counter, channels_of, inputs, mix, pairs

POLE = np.array([0.0, 1.0, 0.0])


def about_pole(l: int, angle: float) -> np.ndarray:
    """Rotation about the pole, the axis y: components m and -m turn into each other."""
    return wigner_d(l, np.array([[np.cos(angle), 0, np.sin(angle)], [0, 1, 0], [-np.sin(angle), 0, np.cos(angle)]]))


def to_pole(count: Counter, l: int, direction: np.ndarray) -> np.ndarray:
    """`D = J Z(b) J^T Z(a)`, J the constant rotation by a quarter turn that takes the axis y to the axis x."""
    J = wigner_d(l, np.array([[0.0, 1, 0], [-1, 0, 0], [0, 0, 1]]))
    a, b = -np.arctan2(direction[0], direction[2]), -np.arccos(direction[1])
    count.multiplications += 2 * (2 * 2 * l * (2 * l + 1))  # two for each entry but those of m = 0, for each Z
    return count.matmul(J, about_pole(l, b) @ J.T) @ about_pole(l, a)


@pytest.mark.parametrize("coupling", [0, 1, 2, 3, "0e+1o+2e x 0e+1o+2e+3o -> 0e+1o"])
def test_turned_to_the_pole(coupling: CouplingLike) -> None:
    channels, count = channels_of("uvu"), Counter()
    x, _, weights = inputs(coupling, channels)
    coupling = Coupling.of(coupling)
    direction = np.array([0.3, -0.5, 0.8]) / np.linalg.norm([0.3, -0.5, 0.8])

    def harmonics(of: np.ndarray) -> np.ndarray:
        whole = spherical_harmonics(max(irrep.l for irrep in coupling.y), of)
        return np.concatenate([whole[component_slice(irrep.l)] for irrep in coupling.y])

    D = {l: to_pole(count, l, direction) for l in {irrep.l for irrep in (*coupling.x, *coupling.z)}}
    M = CouplingTensor(coupling).array
    aligned = M @ harmonics(POLE)
    products = {}
    for u in range(channels.u):
        parts = zip(coupling.x, slot_slices(coupling.x), strict=True)
        turned = np.concatenate([count.matmul(D[irrep.l], x[u, part]) for irrep, part in parts])
        z = np.zeros(len(M))
        for k, i in np.argwhere(np.abs(aligned) > 1e-12):
            count.multiplications += 1
            z[k] += aligned[k, i] * turned[i]
        parts = zip(coupling.z, slot_slices(coupling.z), strict=True)
        products[u, 0] = np.concatenate([count.matmul(D[irrep.l].T, z[part]) for irrep, part in parts])
    exact = {(u, 0): M @ harmonics(direction) @ x[u] for u in range(channels.u)}
    assert_close(mix(count, channels, products, weights), mix(Counter(), channels, exact, weights), 1e-9, "rotated")
    assert cost.cost("rotated", coupling, channels).multiply_adds == count.multiplications


class Grid:
    """Latitudes and longitudes, about the pole y: x = sin t sin p, y = cos t, z = sin t cos p."""

    def __init__(self, degree: int) -> None:
        nodes, weights = np.polynomial.legendre.leggauss(degree // 2 + 1)
        self.t, self.p = np.arccos(nodes), 2 * np.pi * np.arange(degree + 1) / (degree + 1)
        self.weights = weights[:, None] / (2 * len(self.p))

    def wave(self, m: int, p: np.ndarray | float) -> np.ndarray:
        return np.sin(-m * p) if m < 0 else np.cos(m * p)

    def legendre(self, l: int, m: int, t: np.ndarray) -> np.ndarray:
        p = np.pi / (2 * -m) if m < 0 else 0.0  # where the wave is 1
        points = np.stack([np.sin(t) * np.sin(p), np.cos(t), np.sin(t) * np.cos(p)], -1)
        return spherical_harmonics(l, points, "component")[:, l * l + l + m]

    def slope(self, l: int, m: int, t: np.ndarray) -> np.ndarray:
        h = 1e-5
        return (self.legendre(l, m, t + h) - self.legendre(l, m, t - h)) / (2 * h)

    def rows(self, count: Counter, lmax: int, c: np.ndarray, table) -> np.ndarray:
        found = np.zeros((len(self.t), 2 * lmax + 1))
        for l in range(lmax + 1):
            for m in range(-l, l + 1):
                found[:, lmax + m] += count.times(table(l, m, self.t), c[l * l + l + m])
        return found

    def along(self, count: Counter, lmax: int, rows: np.ndarray) -> np.ndarray:
        return count.matmul(rows, np.array([self.wave(m, self.p) for m in range(-lmax, lmax + 1)]))

    def values(self, count: Counter, lmax: int, c: np.ndarray, derivatives: bool) -> tuple[np.ndarray, ...]:
        """The function; and its derivatives along the meridians and, by 1 / sin t, along the parallels."""
        rows = self.rows(count, lmax, c, self.legendre)
        value = self.along(count, lmax, rows)
        if not derivatives:
            return (value,)
        south = self.along(count, lmax, self.rows(count, lmax, c, self.slope))
        factors = np.arange(-lmax, lmax + 1) / np.sin(self.t)[:, None]
        return value, south, self.along(count, lmax, count.times(rows[:, ::-1], factors))

    def coefficients(self, count: Counter, lmax: int, f: np.ndarray) -> np.ndarray:
        waves = np.array([self.wave(m, self.p) for m in range(-lmax, lmax + 1)])
        rows = count.matmul(f * self.weights, waves.T)
        found = np.zeros(dim(lmax))
        for l in range(lmax + 1):
            for m in range(-l, l + 1):
                found[l * l + l + m] = count.times(self.legendre(l, m, self.t), 1.0) @ rows[:, lmax + m]
        return found


@pytest.mark.parametrize("lmax", [0, 1, 2])
@pytest.mark.parametrize("connection", cost.CONNECTIONS)
@pytest.mark.parametrize("method", ["grid", "bracket"])
def test_on_a_grid(method: cost.Method, connection: cost.Connection, lmax: int) -> None:
    channels, count, grid = channels_of(connection), Counter(), Grid(3 * lmax)
    x, y, weights = inputs(lmax, channels)
    left, right = ([grid.values(count, lmax, c, method == "bracket") for c in side] for side in (x, y))
    products = {}
    for u, v in pairs(channels):
        f, g = left[u], right[v]
        value = count.times(f[0], g[0])
        if method == "bracket":
            value = value + count.times(f[1], g[2]) - count.times(f[2], g[1])
        products[u, v] = grid.coefficients(count, lmax, value)
    rule = cubature.lebedev(3 * lmax + 1 - (3 * lmax) % 2 + 2)
    M = cubature.gaunt(lmax, rule).array
    if method == "bracket":
        odd = cubature.bracket(lmax, rule).array
        f, g = np.eye(dim(lmax))[-2:] if lmax else np.ones((2, 1))
        (_, a, b), (_, c, d) = (grid.values(Counter(), lmax, e, True) for e in (f, g))
        own = grid.coefficients(Counter(), lmax, a * d - b * c)
        M = M + odd * (np.vdot(own, odd @ g @ f) / max(np.vdot(odd @ g @ f, odd @ g @ f), 1e-300))
    exact = {(u, v): np.einsum("kij,i,j->k", M, x[u], y[v]) for u, v in pairs(channels)}
    assert_close(mix(count, channels, products, weights), mix(Counter(), channels, exact, weights), 1e-7, method)
    assert cost.cost(method, lmax, channels).multiply_adds == count.multiplications


def test_rotation_needs_harmonics() -> None:
    with refuses(ValueError, "'uuu'", "use 'uvu'"):
        cost.cost("rotated", 1, Channels.of("uuu", 4))
