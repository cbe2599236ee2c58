"""Ranks at every value of a parameter: against trying all values of a small field, and with roots that are planted."""

from __future__ import annotations

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from tdn_theory.theory import pencils
from tdn_theory.theory.pencils import least_rank
from tests import reference

PRIME = 101


def least_by_trying(blocks: list[tuple[np.ndarray, np.ndarray]]) -> int:
    field = sympy.GF(PRIME)
    return min(sum(reference.exact_rank(A + t * B, field) for A, B in blocks) for t in range(1, PRIME))


def planted(roots: list[int], size: int, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
    """`P diag(t - roots, 1, ..) Q`, P and Q random and triangular, so invertible."""
    n = len(roots)
    A, B = np.eye(size), np.zeros((size, size))
    A[:n, :n], B[:n, :n] = np.diag([-r for r in roots]), np.eye(n)
    P = np.tril(rng.integers(0, PRIME, (size, size)), -1) + np.eye(size)
    Q = np.triu(rng.integers(0, PRIME, (size, size)), 1) + np.eye(size)
    return P @ A % PRIME @ Q % PRIME, P @ B % PRIME @ Q % PRIME


@given(st.integers(0, 2**32), st.integers(1, 3), st.integers(1, 4), st.integers(1, 5), st.integers(1, 3))
def test_no_value_has_less(seed: int, blocks: int, m: int, n: int, inner: int) -> None:
    """Random blocks of low rank, wide and tall."""
    rng = np.random.default_rng(seed)

    def low(rank: int) -> np.ndarray:
        return rng.integers(0, PRIME, (m, rank)) @ rng.integers(0, PRIME, (rank, n)) % PRIME * 1.0

    made = [(low(inner), low(1)) for _ in range(blocks)]
    assert least_rank(made, PRIME, seed) <= least_by_trying(made)


@pytest.mark.parametrize(
    ("roots", "lost"),
    [([[3], [5]], 1), ([[3], [3]], 2), ([[3, 3], [3, 7]], 3), ([[], []], 0), ([[0], [0, 0]], 0), ([[4, 5, 6], [6]], 2)],
)
def test_planted_values(roots: list[list[int]], lost: int) -> None:
    """At the worst value all blocks lose what is planted; zero does not count."""
    rng = np.random.default_rng(0)
    blocks = [planted(own, 5, rng) for own in roots]
    assert least_by_trying(blocks) == 10 - lost
    assert least_rank(blocks, PRIME) == 10 - lost


def test_values_outside_of_the_field_are_covered() -> None:
    """`t^2 = 2` has no solution modulo 101; at its roots outside the rank falls."""
    assert all(t * t % PRIME != 2 for t in range(PRIME))
    A, B = np.array([[0.0, 2.0], [1.0, 0.0]]), np.eye(2)  # det(A + t B) = t^2 - 2
    assert least_by_trying([(A, B)]) == 2
    assert least_rank([(A, B)], PRIME) == 1
    assert least_rank([(A, B), (A, B)], PRIME) == 2


@given(st.integers(0, 2**32), st.integers(1, 6))
def test_the_polynomial_of_a_matrix(seed: int, n: int) -> None:
    X = np.random.default_rng(seed).integers(0, PRIME, (n, n)) * np.random.default_rng(seed + 1).integers(0, 2, (n, n))
    s = sympy.Symbol("s")
    wanted = sympy.Poly((sympy.eye(n) + s * sympy.Matrix(X.tolist())).det(), s, modulus=PRIME).all_coeffs()[::-1]
    found = pencils._reversed_characteristic(X, PRIME)
    assert found.tolist() == [int(c) % PRIME for c in wanted]


def test_largest_multiplicity() -> None:
    def product(*roots: int) -> np.ndarray:
        made = np.ones(1, dtype=np.int64)
        for root in roots:
            made = np.convolve(made, [-root % PRIME, 1]) % PRIME
        return made

    for roots, wanted in (((), 0), ((4,), 1), ((4, 5, 6), 1), ((4, 4, 5), 2), ((7, 7, 7, 9, 9), 3)):
        assert pencils._largest_multiplicity(product(*roots), PRIME) == wanted
    assert pencils._without_root(product(4, 4, 5), 4, PRIME).tolist() == product(5).tolist()
