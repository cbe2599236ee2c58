"""Wigner matrices, generators and Haar sampling."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
import scipy.linalg
from hypothesis import given, settings
from scipy.spatial.transform import Rotation

from tdn_theory.so3 import irreps, rotation
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import EPS, assert_close, assert_representation, tolerance
from tests import reference
from tests.assertions import refuses

RNG = np.random.default_rng(0)


def test_equals_e3nn(o3) -> None:
    """From Euler angles, as e3nn computes D from them (recovered from a matrix they lose half the digits at the poles).

    e3nn exponentiates angle * generator, of norm up to 2 pi l, three times: errors up to about 3 * 2 pi l (2l+1) eps,
    3e-13 at l = 6.
    """
    import torch

    angles = torch.as_tensor(
        np.concatenate([RNG.uniform(0, np.pi, (20, 3)), np.zeros((1, 3)), [[0, np.pi, 0], [1.0, 0, 2.0]]])
    )
    matrices = o3.angles_to_matrix(*angles.T).numpy()
    for l in range(7):
        assert_close(rotation.wigner_d(l, matrices), o3.wigner_D(l, *angles.T).numpy(), 1e-12, f"wigner_d({l}, R)")


@given(strategies.rotations(), strategies.rotations())
def test_representation(first: np.ndarray, second: np.ndarray) -> None:
    """Orthogonal, D^1(R) = R, D(R) D(S) = D(RS)."""
    assert_representation(rotation.wigner_D, 6, first, second)


@given(strategies.rotations())
def test_inverse(matrix: np.ndarray) -> None:
    assert_close(rotation.wigner_D(6, matrix.T), rotation.wigner_D(6, matrix).T, tolerance(6), "D(R^-1)")


@given(strategies.axes(), strategies.angles())
def test_exponential_of_generators(axis: np.ndarray, angle: float) -> None:
    """`exp(angle n . X) = D(exp(angle n . E))` with the generators E of space itself. scipy's expm: norm x eps x d."""
    space = np.cross(np.eye(3), axis).T * -1  # v -> n x v
    assert_close(space @ [1.0, 2.0, 3.0], np.cross(axis, [1.0, 2.0, 3.0]), 8 * EPS, "n x v")
    matrix = rotation.wigner_D(4, scipy.linalg.expm(angle * space))
    wanted = scipy.linalg.expm(angle * np.einsum("a,akl->kl", axis, rotation.generators(4)))
    assert_close(matrix, wanted, 4 * np.pi * tolerance(4), f"D(exp({angle} E))")


@pytest.mark.parametrize("lmax", range(7))
def test_generators(lmax: int) -> None:
    """Antisymmetric, [X_x, X_y] = X_z cyclically, and the Casimir X.X = -l(l+1), terms of size l(l+1)."""
    x, y, z = generators = rotation.generators(lmax)
    atol = tolerance(lmax) * max(1, lmax * (lmax + 1))
    assert_close(generators, -generators.transpose(0, 2, 1), atol, "X")
    for a, b, c in ((x, y, z), (y, z, x), (z, x, y)):
        assert_close(a @ b - b @ a, c, atol, "[X_a, X_b]")
    casimir = np.diag([-float(l * (l + 1)) for l in range(lmax + 1) for _ in range(2 * l + 1)])
    assert_close(x @ x + y @ y + z @ z, casimir, atol, "X.X")


def test_degree_one_is_space() -> None:
    """About axis a by an angle: a x v."""
    v = RNG.standard_normal(3)
    for axis, generator in zip(np.eye(3), rotation.generators(1), strict=True):
        assert_close(generator[1:, 1:] @ v, np.cross(axis, v), 8 * EPS, "X_a v")
        assert np.all(generator[0] == 0)


@given(strategies.lmaxes(0, 4), strategies.rotations())
@settings(max_examples=20)
def test_blocks_and_batches(lmax: int, matrix: np.ndarray) -> None:
    """D is block diagonal with D^l, and a stack of rotations gives the stack of matrices."""
    whole = rotation.wigner_D(lmax, matrix)
    blocks = [rotation.wigner_d(l, matrix) for l in range(lmax + 1)]
    assert_close(whole, scipy.linalg.block_diag(*blocks), tolerance(lmax), "D")
    stack = rotation.wigner_D(lmax, np.array([[matrix, matrix.T]]))
    assert stack.shape == (1, 2, irreps.dim(lmax), irreps.dim(lmax))
    assert_close(stack[0, 0], whole, tolerance(lmax), "D of a stack")
    assert_close(stack[0, 1], whole.T, tolerance(lmax), "D of a stack")


def test_identity_and_empty() -> None:
    assert_close(rotation.wigner_D(6, np.eye(3)), np.eye(49), tolerance(6), "D(1)")
    assert rotation.wigner_D(2, np.zeros((0, 3, 3))).shape == (0, 9, 9)


def test_trace_is_the_character() -> None:
    """`tr D^l = sin((2l+1) t/2) / sin(t/2)` for the angle t, about any axis."""
    for angle in (0.3, 2.0, 3.1):
        matrix = scipy.linalg.expm(angle * np.array([[0, -0.48, 0.6], [0.48, 0, -0.64], [-0.6, 0.64, 0]]))
        for l in range(7):
            wanted = np.sin((2 * l + 1) * angle / 2) / np.sin(angle / 2)
            assert_close(np.trace(rotation.wigner_d(l, matrix)), wanted, tolerance(l) * 7, f"tr D^{l}({angle})")


def test_peter_weyl() -> None:
    """The Haar average of D^l_ab D^l'_cd is delta / (2l+1), by a quadrature that is exact for degree 4."""
    nodes, weights = reference.haar_quadrature(4)
    matrices = rotation.wigner_D(2, nodes)
    entries = np.concatenate(
        [matrices[:, s, s].reshape(len(nodes), -1) for s in map(irreps.component_slice, range(3))], axis=1
    )
    gram = np.einsum("n,na,nb->ab", weights, entries, entries)
    assert_close(gram, np.diag(np.repeat([1, 1 / 3, 1 / 5], [1, 9, 25])), 1e-14, "mean of D D")


def test_haar_rotations() -> None:
    """Proper rotations, fixed by the generator, with vanishing mean of D^1 and D^2.

    The mean of n entries of variance 1/(2l+1) <= 1/3 has standard deviation <= 0.577 / sqrt(n); six times that is
    the bound.
    """
    count = 4000
    sample = rotation.haar_rotations(count, np.random.default_rng(1))
    assert sample.shape == (count, 3, 3)
    assert np.array_equal(sample, rotation.haar_rotations(count, np.random.default_rng(1)))
    mean = rotation.wigner_D(2, sample).mean(axis=0)
    assert_close(mean, np.diag([1.0] + [0.0] * 8), 6 * 0.577 / np.sqrt(count), "mean of D over Haar rotations")
    assert rotation.haar_rotations(0, RNG).shape == (0, 3, 3)
    assert rotation.haar_rotations(1, RNG).shape == (1, 3, 3)


@pytest.mark.parametrize("count", [-1, 1.5])
def test_bad_count(count) -> None:
    with refuses((ValueError if count == -1 else TypeError), "count of rotations", str(count), "integer >= 0"):
        rotation.haar_rotations(count, RNG)


@pytest.mark.parametrize(
    ("matrix", "error", "fragment"),
    [
        (-np.eye(3), ValueError, "not a proper rotation"),
        (np.diag([1.0, 1.0, -1.0]), ValueError, "det R is not +1"),
        (1.001 * np.eye(3), ValueError, "differs from 1 by 2.0e-03"),
        (np.full((3, 3), np.nan), ValueError, "differs from 1 by nan"),
        (np.eye(2), ValueError, "shape (2, 2); it must be (..., 3, 3)"),
        (np.ones(3), ValueError, "shape (3,); it must be (..., 3, 3)"),
        (1j * np.eye(3), TypeError, "complex128; it must be real"),
    ],
)
def test_bad_rotation(matrix: np.ndarray, error, fragment: str) -> None:
    for function in (rotation.wigner_D, rotation.wigner_d):
        with refuses(error, fragment, "pass"):
            function(1, matrix)


@pytest.mark.parametrize("function", [lambda l: rotation.wigner_D(l, np.eye(3)), rotation.generators])
def test_bad_lmax(function) -> None:
    with refuses(ValueError, "maximal degree lmax (L) is -1"):
        function(-1)
    with refuses(TypeError, "maximal degree lmax (L) is 1.5"):
        function(1.5)


IRREPS = [irreps.parse_irreps(text) for text in ("2e+1o+1o+0o", "0+2+2+1", "3o")]


@given(st.sampled_from(IRREPS), strategies.rotations(), strategies.rotations(), st.booleans())
@settings(max_examples=40)
def test_representations_of_any_irreps(some, first, second, invert) -> None:
    """Blocks on the diagonal in the order of the list, nothing between copies; inversion is the parity."""
    if invert and some[0].parity:
        first = -first
    D = rotation.representation(some, first)
    assert_close(D, reference.representation(some, first), 1e-13, "representation")
    product = rotation.representation(some, first @ second)
    assert_close(D @ rotation.representation(some, second), product, tolerance(3), "D(Q) D(R)")


@pytest.mark.parametrize("some", IRREPS, ids=str)
def test_generators_of_any_irreps(some) -> None:
    """The derivative of the representation at the identity, by a central difference."""
    h = 1e-5
    for axis, generator in zip(np.eye(3), rotation.representation_generators(some), strict=True):
        turned = [rotation.representation(some, Rotation.from_rotvec(s * h * axis).as_matrix()) for s in (1, -1)]
        assert_close(generator, (turned[0] - turned[1]) / (2 * h), 1e-8, "generators")


def test_inversion_needs_parity() -> None:
    assert_close(
        rotation.representation(irreps.parse_irreps("0e+0o+1o"), -np.eye(3)),
        np.diag([1.0, -1, -1, -1, -1]),
        4 * EPS,
        "D(-1)",
    )
    with refuses(ValueError, "no parity", "determinant +1"):
        rotation.representation(irreps.parse_irreps("0+1"), -np.eye(3))
