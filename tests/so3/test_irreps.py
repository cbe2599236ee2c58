"""Degrees, components and paths."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given

from tdn_theory.so3 import irreps
from tdn_theory.testing import strategies
from tests.assertions import refuses


@pytest.mark.parametrize(("lmax", "count"), [(0, 1), (1, 5), (2, 15), (3, 34), (4, 65), (5, 111), (6, 175)])
def test_number_of_paths(lmax: int, count: int) -> None:
    """E2's counts, and the definition: every triple that obeys the triangle inequalities, once."""
    degrees = range(lmax + 1)
    triples = {(a, b, c) for a in degrees for b in degrees for c in degrees if a + b >= c and b + c >= a and c + a >= b}
    assert len(irreps.paths(lmax)) == count
    assert set(irreps.paths(lmax)) == triples


@given(strategies.lmaxes(0, 8))
def test_order_of_paths(lmax: int) -> None:
    assert list(irreps.paths(lmax)) == sorted(irreps.paths(lmax), key=lambda p: (p.l3, p.l1, p.l2))


@given(strategies.lmaxes(0, 12))
def test_slices_tile_the_components(lmax: int) -> None:
    components = np.arange(irreps.dim(lmax))
    parts = [components[irreps.component_slice(l)] for l in range(lmax + 1)]
    assert [len(part) for part in parts] == [2 * l + 1 for l in range(lmax + 1)]
    assert np.array_equal(np.concatenate(parts), components)


@given(strategies.paths(6))
def test_path(path: irreps.Path) -> None:
    assert str(path) == f"{path.l1}x{path.l2}->{path.l3}"
    assert path.even == ((path.l1 + path.l2 + path.l3) % 2 == 0)
    assert irreps.admissible(path.l2, path.l3, path.l1)


@pytest.mark.parametrize("function", [irreps.dim, irreps.paths, irreps.check_lmax])
@pytest.mark.parametrize(
    ("given_value", "error"), [(-1, ValueError), (1.0, TypeError), ("2", TypeError), (True, TypeError)]
)
def test_bad_lmax(function, given_value, error) -> None:
    irreps.paths(1)  # 1.0 and True equal 1: a cache must not answer for them
    with refuses(error, "maximal degree lmax (L)", f"is {given_value!r}", "integer >= 0", "pass e.g. 2"):
        function(given_value)


@pytest.mark.parametrize(("given_value", "error"), [(-3, ValueError), (0.5, TypeError), (None, TypeError)])
def test_bad_degree(given_value, error) -> None:
    with refuses(error, "degree l", f"is {given_value!r}", "integer >= 0"):
        irreps.component_slice(given_value)


def test_numpy_integers_are_integers() -> None:
    with_numpy = irreps.check_degree.__wrapped__ if hasattr(irreps.check_degree, "__wrapped__") else irreps.check_degree
    assert type(with_numpy(np.int64(3))) is int
