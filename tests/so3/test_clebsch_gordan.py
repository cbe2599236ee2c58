"""The float64 Clebsch-Gordan coefficients: against e3nn, against the definition, and by their properties."""

from __future__ import annotations

from itertools import permutations
from time import process_time

import numpy as np
import pytest
import scipy.linalg
from hypothesis import given

from tdn_theory.so3 import clebsch_gordan as module
from tdn_theory.so3 import irreps, rotation
from tdn_theory.so3.clebsch_gordan import clebsch_gordan, real_basis
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import EPS, assert_close, tolerance
from tests import reference
from tests.assertions import refuses


def test_equals_e3nn(o3) -> None:
    """All 175 paths with degrees up to 6, signs included."""
    for path in irreps.paths(6):
        wanted = o3.wigner_3j(*path).numpy().transpose(2, 0, 1)
        assert_close(clebsch_gordan(*path), wanted, 1e-12, f"clebsch_gordan{tuple(path)}")


@pytest.mark.parametrize("path", irreps.paths(4), ids=str)
def test_equals_the_definition(path: irreps.Path) -> None:
    """Eigenvectors of J^2, whose eigenvalues differ by at least 2 where it has norm l(l+1): errors of l^2 eps."""
    atol = 8 * max(1, path.l1 + path.l2) ** 2 * EPS
    assert_close(clebsch_gordan(*path), reference.clebsch_gordan(*path), atol, f"clebsch_gordan{tuple(path)}")


@pytest.mark.parametrize("path", [(12, 12, 12), (12, 11, 12), (12, 1, 11), (9, 12, 4), (12, 12, 0)])
def test_any_degree(path: tuple[int, int, int]) -> None:
    """The definition again at L = 12, orthogonality and the generators."""
    l3 = path[2]
    block = clebsch_gordan(*path)
    assert_close(block, reference.clebsch_gordan(*path), 8 * 24**2 * EPS, f"clebsch_gordan{path}")
    assert_close(np.einsum("kij,lij->kl", block, block), np.eye(2 * l3 + 1) / (2 * l3 + 1), tolerance(12), "C C^T")
    parts = [rotation.generators(l)[:, l * l :, l * l :] for l in path]
    inner = np.einsum("kij,gia->gkaj", block, parts[0]) + np.einsum("kij,gja->gkia", block, parts[1])
    # generators of degree l have norm l: both sides are sums of l-sized terms
    assert_close(np.einsum("gkl,lij->gkij", parts[2], block), inner, 12 * tolerance(12), f"generators on {path}")


@pytest.mark.parametrize("path", irreps.paths(2), ids=str)
def test_null_space_is_one_dimensional(path: irreps.Path) -> None:
    """T3: the maps that commute with all rotations are the multiples of one tensor, the one we have, up to sign."""
    l1, l2, l3 = path
    one, two, three = (rotation.generators(l)[:, l * l :, l * l :] for l in path)
    eye1, eye2, eye3 = (np.eye(2 * l + 1) for l in path)
    action = [
        np.kron(np.kron(z, eye1), eye2) + np.kron(np.kron(eye3, x), eye2) + np.kron(np.kron(eye3, eye1), y)
        for x, y, z in zip(one, two, three, strict=True)
    ]
    kernel = scipy.linalg.null_space(np.concatenate(action), rcond=1e-10)
    assert kernel.shape[1] == 1
    assert_close(abs(float(kernel[:, 0] @ clebsch_gordan(l1, l2, l3).ravel())), 1.0, 1e-13, "|<kernel, C>|")


@given(strategies.paths(6), strategies.rotations())
def test_equivariance(path: irreps.Path, matrix: np.ndarray) -> None:
    block = clebsch_gordan(*path)
    first, second, third = (rotation.wigner_d(l, matrix) for l in path)
    turned = np.einsum("kij,ia,jb->kab", block, first, second, optimize=True)
    assert_close(turned, np.einsum("kl,lab->kab", third, block), tolerance(max(path)), f"D on {path}")


@given(strategies.paths(6))
def test_orthogonality(path: irreps.Path) -> None:
    """Contracting any two modes gives delta / (2l+1); in particular the norm is 1."""
    block = clebsch_gordan(*path)
    for mode, l in enumerate((path.l3, path.l1, path.l2)):
        unfolding = np.moveaxis(block, mode, 0).reshape(2 * l + 1, -1)
        assert_close(
            unfolding @ unfolding.T, np.eye(2 * l + 1) / (2 * l + 1), 8 * (2 * l + 1) * EPS, f"{path}, mode {mode}"
        )
    assert_close(np.linalg.norm(block), 1.0, 8 * EPS, f"norm of {path}")


@given(strategies.paths(5), strategies.paths(5))
def test_paths_are_independent(first: irreps.Path, second: irreps.Path) -> None:
    """Two outputs of the same inputs are orthogonal: sum_ij C_kij C'_lij = 0."""
    if first[:2] == second[:2] and first != second:
        overlap = np.einsum("kij,lij->kl", clebsch_gordan(*first), clebsch_gordan(*second))
        assert_close(overlap, np.zeros_like(overlap), 1e-14, f"<{first}, {second}>")


@pytest.mark.parametrize(("l1", "l2"), [(1, 1), (2, 1), (2, 2), (3, 2), (6, 6)])
def test_completeness(l1: int, l2: int) -> None:
    """All outputs of two inputs together are an orthonormal basis of l1 (x) l2."""
    rows = [
        np.sqrt(2 * l3 + 1) * clebsch_gordan(l1, l2, l3).reshape(2 * l3 + 1, -1)
        for l3 in range(abs(l1 - l2), l1 + l2 + 1)
    ]
    unitary = np.concatenate(rows)
    assert_close(unitary.T @ unitary, np.eye((2 * l1 + 1) * (2 * l2 + 1)), tolerance(6), f"{l1} x {l2}")


@given(strategies.paths(5))
def test_permutation_symmetry(path: irreps.Path) -> None:
    """One block for all orderings: cyclic exchanges change nothing, the others multiply by (-1)^(l1+l2+l3)."""
    block = clebsch_gordan(*path).transpose(1, 2, 0)  # modes in the order of the path
    for order in permutations(range(3)):
        odd = order in ((0, 2, 1), (1, 0, 2), (2, 1, 0))
        sign = -1 if odd and not path.even else 1
        other = clebsch_gordan(*(path[mode] for mode in order)).transpose(1, 2, 0)
        if path.l1 == path.l2 or path.l2 == path.l3 or path.l1 == path.l3:
            assert_close(other, sign * block.transpose(order), 8 * EPS, f"{path}, order {order}")
        else:
            assert np.array_equal(other, sign * block.transpose(order))


def test_degree_one_is_vector_calculus() -> None:
    """1 x 1 -> 0 is the dot product over sqrt 3, 1 x 1 -> 1 the cross product over sqrt 6."""
    x, y = np.random.default_rng(0).standard_normal((2, 3))
    assert_close(np.einsum("kij,i,j->k", clebsch_gordan(1, 1, 0), x, y), [x @ y / np.sqrt(3)], 8 * EPS, "1x1->0")
    assert_close(np.einsum("kij,i,j->k", clebsch_gordan(1, 1, 1), x, y), np.cross(x, y) / np.sqrt(6), 8 * EPS, "1x1->1")


@pytest.mark.parametrize("l", range(7))
def test_real_basis(l: int) -> None:
    assert_close(real_basis(l), reference.complex_to_real(l).T, 2 * EPS, f"real_basis({l})")
    assert_close(real_basis(l).conj().T @ real_basis(l), np.eye(2 * l + 1), 2 * EPS, "Q^H Q")


def test_fast_enough() -> None:
    """All of L = 6 in under a second, from cold caches."""
    for cached in (module.clebsch_gordan, module._ascending_block, module.real_basis):
        getattr(cached, "cache_clear")()  # noqa: B009
    start = process_time()
    for path in irreps.paths(6):
        clebsch_gordan(*path)
    assert process_time() - start < 1.0


def test_results_are_read_only() -> None:
    for array in (clebsch_gordan(1, 1, 1), clebsch_gordan(2, 1, 1), real_basis(1)):
        with pytest.raises(ValueError, match="read-only"):
            array[0, 0] = 1


@pytest.mark.parametrize(("path", "allowed"), [((1, 1, 3), "0..2"), ((0, 2, 1), "2..2"), ((2, 3, 0), "1..5")])
def test_inadmissible_path(path: tuple[int, int, int], allowed: str) -> None:
    with refuses(ValueError, f"{path[0]}x{path[1]}->{path[2]}", "not admissible", "|l1-l2| <= l3 <= l1+l2", allowed):
        clebsch_gordan(*path)


@pytest.mark.parametrize(
    ("path", "error"),
    [((-1, 1, 1), ValueError), ((1, 1.0, 1), TypeError), ((1, 1, True), TypeError), ((1, "1", 1), TypeError)],
)
def test_bad_degrees(path, error) -> None:
    clebsch_gordan(1, 1, 1)  # 1.0 and True equal 1: the cache must not answer for them
    with refuses(error, "degree l is", "integer >= 0", "pass e.g. 2"):
        clebsch_gordan(*path)
