"""The exact numbers: by exact identities (no floats, no tolerance), and as the measure of the float64 ones.

Degrees up to 3, up to 6 with the environment variable TDN_FULL=1 (a minute).
"""

from __future__ import annotations

import os

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from scipy.spatial.transform import Rotation

from tdn_theory.so3 import clebsch_gordan, exact, irreps, rotation
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import EPS, assert_close, tolerance
from tests.assertions import refuses

FULL = pytest.mark.skipif(os.environ.get("TDN_FULL") != "1", reason="degrees 4..6 take a minute: set TDN_FULL=1")
DEGREES = [pytest.param(l, marks=FULL if l > 3 else ()) for l in range(7)]


def paths_of_degree(l: int) -> list[irreps.Path]:
    """The paths with largest degree l."""
    return [path for path in irreps.paths(l) if max(path) == l]


def dense(sparse: exact.SparseTensor, shape: tuple[int, ...]) -> np.ndarray:
    """Nearest float64 array: 30 digits first, then one rounding."""
    array = np.zeros(shape)
    for index, value in sparse.items():
        array[index] = float(value.evalf(30))
    return array


def numeric(matrix: sympy.MatrixBase) -> np.ndarray:
    return np.array(matrix.evalf(30).tolist(), dtype=complex)


def contract(block: exact.SparseTensor, matrix: sympy.MatrixBase, mode: int, into: dict, sign: int) -> None:
    """Add sign * sum_a block[.. a ..] X[a, b] to into[.. b ..]; for the output (mode 0) with X[b, a]."""
    for index, value in block.items():
        line = matrix[:, index[0]] if mode == 0 else matrix[index[mode], :]
        for b, entry in enumerate(line):
            if entry != 0:
                target = (*index[:mode], b, *index[mode + 1 :])
                into[target] = into.get(target, sympy.Integer(0)) + sign * entry * value


@pytest.mark.parametrize("l", DEGREES)
def test_intertwines(l: int) -> None:
    """`X C = C (X (x) 1 + 1 (x) X)` identically, for all three generators and all paths."""
    for path in paths_of_degree(l):
        block = exact.clebsch_gordan(*path)
        one, two, three = (exact.generators(degree) for degree in path)
        for axis in range(3):
            difference: dict = {}
            contract(block, three[axis], 0, difference, 1)
            contract(block, one[axis], 1, difference, -1)
            contract(block, two[axis], 2, difference, -1)
            left = {index: value for index, value in difference.items() if value != 0}
            assert not left, f"got {left}, but should be empty [X_{axis} C - C (X (x) 1 + 1 (x) X) of {path}]"


@pytest.mark.parametrize("l", DEGREES)
def test_blocks(l: int) -> None:
    """Unit norm, entries +-sqrt(p/q); the float64 block is right to 4 eps (a root, the change of basis, a norm)."""
    for path in paths_of_degree(l):
        block = exact.clebsch_gordan(*path)
        squares = [value**2 for value in block.values()]
        assert all(square.is_Rational and square > 0 for square in squares), path
        assert sum(squares) == 1, path
        floats = clebsch_gordan.clebsch_gordan(*path)
        assert_close(floats, dense(block, floats.shape), 4 * EPS, f"clebsch_gordan{tuple(path)}")
        assert set(zip(*(axis.tolist() for axis in np.nonzero(floats)), strict=True)) == set(block), path


@pytest.mark.parametrize("l", DEGREES)
def test_orderings(l: int) -> None:
    """Cyclic exchanges change nothing, swapping x and y multiplies by (-1)^(l1+l2+l3)."""
    for path in paths_of_degree(l):
        l1, l2, l3 = path
        block = exact.clebsch_gordan(l1, l2, l3)
        sign = (-1) ** sum(path)
        assert {(i, j, k): v for (k, i, j), v in block.items()} == dict(exact.clebsch_gordan(l2, l3, l1)), path
        assert {(k, j, i): sign * v for (k, i, j), v in block.items()} == dict(exact.clebsch_gordan(l2, l1, l3)), path


@pytest.mark.parametrize("l", DEGREES)
def test_real_basis(l: int) -> None:
    basis = exact.real_basis(l)
    assert (basis.H * basis).expand() == sympy.eye(2 * l + 1)
    assert_close(clebsch_gordan.real_basis(l), numeric(basis), EPS, f"real_basis({l})")


@pytest.mark.parametrize("l", DEGREES)
def test_generators(l: int) -> None:
    """Real, antisymmetric, [X_x, X_y] = X_z cyclically, X.X = -l(l+1), and equal to the float64 ones."""
    x, y, z = exact.generators(l)
    for a, b, c in ((x, y, z), (y, z, x), (z, x, y)):
        assert all(entry.is_real for entry in a)
        assert (a + a.T).is_zero_matrix
        assert (a * b - b * a).expand() == c
    assert (x * x + y * y + z * z).expand() == -l * (l + 1) * sympy.eye(2 * l + 1)
    floats = rotation.generators(l)[:, l * l :, l * l :]
    assert_close(floats, np.array([numeric(a).real for a in (x, y, z)]), max(l, 1) * tolerance(l), f"generators({l})")


@given(strategies.quaternions(), strategies.quaternions())
@settings(max_examples=6)
def test_representation(first: tuple[int, ...], second: tuple[int, ...]) -> None:
    """Orthogonal, D(R) D(S) = D(RS), D^1(R) = R: identically."""
    one, two = exact.rational_rotation(*first), exact.rational_rotation(*second)
    assert exact.wigner_d(1, one) == one
    left, right = exact.wigner_d(2, one), exact.wigner_d(2, two)
    assert (left * left.T).expand() == sympy.eye(5)
    assert (left * right).expand() == exact.wigner_d(2, one * two)


@given(strategies.quaternions())
@settings(max_examples=8)
def test_rotation_measures_the_floats(quaternion: tuple[int, int, int, int]) -> None:
    matrix = exact.rational_rotation(*quaternion)
    a, b, c, d = quaternion
    floats = Rotation.from_quat([b, c, d, a]).as_matrix()
    assert_close(floats, numeric(matrix).real, 8 * EPS, f"rotation of {quaternion}")
    got = rotation.wigner_D(2, numeric(matrix).real)
    assert_close(got, numeric(exact.wigner_D(2, matrix)).real, tolerance(2), f"wigner_D(2, R) of {quaternion}")


@pytest.mark.parametrize("l", DEGREES)
def test_wigner_d_measures_the_floats(l: int) -> None:
    """A general rotation and one by 180 degrees."""
    for quaternion in ((1, 2, -1, 3), (0, 1, 2, -2)):
        matrix = exact.rational_rotation(*quaternion)
        got = rotation.wigner_d(l, numeric(matrix).real)
        assert_close(got, numeric(exact.wigner_d(l, matrix)).real, tolerance(l), f"wigner_d({l}, R) of {quaternion}")


@pytest.mark.parametrize("quaternion", [(1, 2, -1, 3), (0, 0, 1, 0), (0, 1, 2, 0)])
def test_equivariance(quaternion: tuple[int, int, int, int]) -> None:
    """`D C = C (D (x) D)` identically up to degree 2; two of the rotations are half turns, with real part 0."""
    matrix = exact.rational_rotation(*quaternion)
    degrees = [exact.wigner_d(l, matrix) for l in range(3)]
    for path in irreps.paths(2):
        first, second, third = (degrees[l] for l in path)
        difference: dict = {}
        half: dict = {}
        contract(exact.clebsch_gordan(*path), third, 0, difference, 1)
        contract(exact.clebsch_gordan(*path), first, 1, half, 1)
        contract(half, second, 2, difference, -1)
        left = {index: value for index, value in difference.items() if sympy.expand(value) != 0}
        assert not left, f"got {left}, but should be empty [D C - C (D (x) D) of {path}]"


@pytest.mark.parametrize("lmax", [1, 2, 3, pytest.param(6, marks=FULL)])
def test_coupling_tensor(lmax: int) -> None:
    """E2 exactly: ||M||^2 is the number of paths, and M is invariant under cyclic exchanges of its modes."""
    tensor = exact.coupling_tensor(lmax)
    assert sum(value**2 for value in tensor.values()) == len(irreps.paths(lmax))
    assert all(tensor[i, j, k] == value for (k, i, j), value in tensor.items())


def test_results_are_read_only() -> None:
    with pytest.raises(TypeError, match="does not support item assignment"):
        exact.clebsch_gordan(1, 1, 1)[0, 0, 0] = 1  # type: ignore
    with pytest.raises(TypeError, match="Cannot set values of"):
        exact.real_basis(1)[0, 0] = 1  # type: ignore


def test_bad_input() -> None:
    exact.clebsch_gordan(1, 1, 1)  # 1.0 equals 1: the cache must not answer for it
    with refuses(TypeError, "degree l is 1.0", "integer >= 0"):
        exact.clebsch_gordan(1, 1.0, 1)  # type: ignore
    with refuses(ValueError, "1x1->3 is not admissible", "0..2"):
        exact.clebsch_gordan(1, 1, 3)
    with refuses(ValueError, "degree l is -1"):
        exact.generators(-1)
    with refuses(ValueError, "lmax (L) is -1"):
        exact.coupling_tensor(-1)
    with refuses(ValueError, "quaternion is 0", "give one that is not zero"):
        exact.rational_rotation(0, 0, 0, 0)
    with refuses(TypeError, "quaternion component is 0.5", "must be an integer", "scale"):
        exact.rational_rotation(1, 0.5, 0, 0)  # type: ignore
    with refuses(ValueError, "shape (2, 2)", "(3, 3)", "rational_rotation"):
        exact.wigner_d(1, sympy.eye(2))
    with refuses(ValueError, "not rational", "rotation.wigner_D for floats"):
        exact.wigner_d(1, sympy.Matrix(np.eye(3).tolist()))
    with refuses(ValueError, "not a rotation", "det R = 1"):
        exact.wigner_D(1, -sympy.eye(3))
