"""Real spherical harmonics."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import lebedev_rule
from scipy.special import eval_legendre

from tdn_theory.so3 import irreps, rotation
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import EPS, assert_close, tolerance
from tests import reference
from tests.assertions import refuses

NORMALIZATIONS = {
    "norm": lambda l: 1.0,
    "component": lambda l: 2 * l + 1,
    "integral": lambda l: (2 * l + 1) / (4 * np.pi),
}
LMAX = 6
ATOL = tolerance(LMAX)


@pytest.mark.parametrize("normalization", NORMALIZATIONS)
def test_equals_e3nn(o3, normalization: str) -> None:
    """Random vectors of all lengths, poles and axes. Components are of size up to sqrt(2l+1) = 3.6."""
    import torch

    rng = np.random.default_rng(0)
    vectors = np.concatenate(
        [rng.standard_normal((50, 3)) * 10.0 ** rng.uniform(-3, 3, (50, 1)), np.eye(3), -np.eye(3)]
    )
    wanted = o3.spherical_harmonics(list(range(LMAX + 1)), torch.as_tensor(vectors), True, normalization).numpy()
    assert_close(spherical_harmonics(LMAX, vectors, normalization), wanted, 1e-12, "spherical_harmonics(6, v)")


@given(strategies.axes())
def test_equals_the_definition(direction: np.ndarray) -> None:
    """Legendre functions times cos and sin.

    They lose digits near the poles, where they use 1 - y^2, known to eps: the error grows with the slope, at most about
    l^2, over the sine. So the comparison keeps a sine of 1e-3 away from the poles, or is exactly there.
    """
    sine = float(np.hypot(direction[0], direction[2]))
    if sine > 1e-3 or sine == 0:
        got = spherical_harmonics(LMAX, direction, "integral")
        for l in range(LMAX + 1):
            error = 1e-14 + 8 * EPS / max(sine, 1e-3) * l * l
            wanted = reference.spherical_harmonics(l, direction)
            assert_close(got[irreps.component_slice(l)], wanted, error, f"Y^{l}({direction})")


@given(strategies.vectors(), strategies.rotations())
def test_equivariance(vector: np.ndarray, matrix: np.ndarray) -> None:
    """`Y(R v) = D(R) Y(v)`."""
    got = spherical_harmonics(LMAX, matrix @ vector, "norm")
    assert_close(got, rotation.wigner_D(LMAX, matrix) @ spherical_harmonics(LMAX, vector, "norm"), 4 * ATOL, "Y(R v)")


@given(strategies.nonzero_vectors(), st.sampled_from(sorted(NORMALIZATIONS)))
def test_norm(vector: np.ndarray, normalization) -> None:
    values = spherical_harmonics(LMAX, vector, normalization)
    for l in range(LMAX + 1):
        squared = float(np.sum(values[irreps.component_slice(l)] ** 2))
        wanted = NORMALIZATIONS[normalization](l)
        assert_close(squared, wanted, 2 * ATOL * wanted, f"||Y^{l}({vector})||^2")


@given(strategies.nonzero_vectors(), strategies.nonzero_vectors())
def test_addition_theorem(first: np.ndarray, second: np.ndarray) -> None:
    """`Y^l(u) . Y^l(v) = P_l(u . v)`."""
    one, two = (spherical_harmonics(LMAX, v, "norm") for v in (first, second))
    # directions by another route than the code's; scaled first, since 1e200 squared overflows
    cosine = float(np.dot(*(v / np.abs(v).max() / np.linalg.norm(v / np.abs(v).max()) for v in (first, second))))
    for l in range(LMAX + 1):
        part = irreps.component_slice(l)
        # P_l has slope up to l(l+1)/2, and the cosine an error of 4 eps
        assert_close(
            one[part] @ two[part], eval_legendre(l, cosine), ATOL + 2 * l * (l + 1) * EPS, f"Y^{l}(u) . Y^{l}(v)"
        )


@given(strategies.nonzero_vectors())
def test_parity_and_length(vector: np.ndarray) -> None:
    """`Y^l(-v) = (-1)^l Y^l(v)` bit for bit; the length of v does not matter."""
    values = spherical_harmonics(LMAX, vector)
    signs = np.repeat([(-1.0) ** l for l in range(LMAX + 1)], [2 * l + 1 for l in range(LMAX + 1)])
    assert np.array_equal(spherical_harmonics(LMAX, -vector), signs * values)
    assert_close(spherical_harmonics(LMAX, 2.0**20 * vector), values, 4 * ATOL, "Y(2^20 v)")


def test_orthonormal_on_the_sphere() -> None:
    """By a Lebedev rule of degree 13 >= 2 * 6; its nodes and weights are good to about 1e-14."""
    nodes, weights = lebedev_rule(13)
    values = spherical_harmonics(LMAX, nodes.T, "integral")
    assert_close(np.einsum("n,na,nb->ab", weights, values, values), np.eye(49), 1e-12, "integral of Y Y")


def test_zero_vector() -> None:
    """No direction: degree 0 as ever, nothing else, and no warning."""
    for normalization, scale in NORMALIZATIONS.items():
        values = spherical_harmonics(2, np.zeros((2, 3)), normalization)
        assert_close(values, [[np.sqrt(scale(0))] + 8 * [0.0]] * 2, EPS, "Y(0)")


def test_degree_one_is_the_direction() -> None:
    vector = np.array([1.0, -2.0, 2.0])
    assert_close(spherical_harmonics(1, vector, "norm"), [1.0, 1 / 3, -2 / 3, 2 / 3], 2 * EPS, "Y(v)")
    assert_close(spherical_harmonics(2, np.array([0.0, 1.0, 0.0]), "norm"), [1, 0, 1, 0, 0, 0, 1, 0, 0], EPS, "Y(pole)")


def test_shapes() -> None:
    assert spherical_harmonics(2, np.ones((4, 5, 3))).shape == (4, 5, 9)
    assert spherical_harmonics(0, np.ones((4, 3))).shape == (4, 1)
    assert spherical_harmonics(2, np.ones((0, 3))).shape == (0, 9)
    assert spherical_harmonics(2, np.ones(3)).shape == (9,)


@pytest.mark.parametrize(
    ("vectors", "error", "fragment"),
    [
        (np.ones(4), ValueError, "shape (4,); the last axis must have length 3"),
        (np.array(1.0), ValueError, "shape (); the last axis must have length 3"),
        (np.array([np.nan, 0, 0]), ValueError, "NaN or infinite components; they must be finite"),
        (np.array([np.inf, 0, 0]), ValueError, "NaN or infinite components; they must be finite"),
        (np.array([1j, 0, 0]), TypeError, "complex128; they must be real"),
    ],
)
def test_bad_vectors(vectors: np.ndarray, error, fragment: str) -> None:
    with refuses(error, fragment):
        spherical_harmonics(2, vectors)


def test_bad_arguments() -> None:
    with refuses(ValueError, "normalization is 'l2'", "component", "integral", "norm"):
        spherical_harmonics(2, np.ones(3), "l2")  # type: ignore
    with refuses(ValueError, "lmax (L) is -1"):
        spherical_harmonics(-1, np.ones(3))
