"""Exact factors of a coupling: entries of the atlas, parts of them, and what was fitted."""

from pathlib import Path

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor, error_relative_to_output
from tdn_theory.cp.known import least_exact
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tests.assertions import refuses

RANKS = {
    "0e+1o x 0e+1o+2e+3o -> 0e+1o": 9,
    "0+1 x 0+1+2+3 -> 0+1": 12,
    "0e+1o+2e x 0e+1o+2e+3o -> 0e+1o+2e+3o": 28,
    "0e+1o+2e": 17,
    "0e+1o+2e x 0e+1o+2e+3o -> 0e+1o": 22,  # a part of the one to 0e+1o+2e
    "2e+0e x 3o+1o -> 1o": 22,  # in any order
    "3 x 1+2 -> 2+3": 53,  # the other 13 of 66 terms are zero there
    "0 x 0+1+2 -> 0+1+2": 9,
    "0o x 0e+1o -> 0o+1e": 4,
    "0o+0e+1o+1e x 0e+1o -> 0o+0e+1o+1e": 14,
    "0o+1e x 0e+1o -> 0o+1e": 6,  # its paths are those of even degrees alone: a part of L = 1, even
    "2e x 2e -> 2e": 10,
    # modes exchanged
    "2 x 1 -> 2": 8,
    "0e+1o x 0e+1o+2e+3o -> 0e+1o+2e+3o": 22,
    "0+1 x 0+1+2+3 -> 0+1+2+3": 31,
    "0+1+2+3 x 0+1+2 -> 0+1+2": 41,
    # slots without a path: those of 0o, 1e and 2o
    "0e+1o+2e+0o+1e+2o x 0e+1o+2e -> 0e": 9,
    "0e+1o+2e+0o+1e+2o x 0e+1o+2e -> 0e+1o": 22,
    "0+1+2 x 0+1+2+3 -> 0+1+2+3": 60,
    "0+1+2+3+4 x 0+1+2+3+4 -> 0+1": 49,
}


@pytest.mark.parametrize(("text", "rank"), RANKS.items())
def test_the_least_is_found_and_exact(text: str, rank: int, tmp_path: Path) -> None:
    tensor = CouplingTensor(text)
    factors = least_exact(tensor, Store(tmp_path))
    assert factors.rank == rank
    found = tensor.project(factors.array)
    assert error_relative_to_output(factors.array, found.array) < EXACT
    assert np.abs(found.weights).min() > 1e-3
    np.testing.assert_allclose(np.linalg.norm(factors.array), tensor.norm, rtol=1e-12)


def test_what_is_fitted_counts(tmp_path: Path) -> None:
    """Two scalars of each kind: nothing in the atlas, and four products of scalars."""
    tensor = CouplingTensor("0e+0e x 0e+0e -> 0e+0e")
    store = Store(tmp_path)
    with refuses(LookupError, "0e+0e x 0e+0e -> 0e+0e", 'tdn-theory cp fit "0e+0e x 0e+0e -> 0e+0e" --rank'):
        least_exact(tensor, store)
    solution = LevenbergMarquardt(1).solve(tensor)  # all weights one: (x1 + x2) (y1 + y2), twice
    assert solution.exact
    store.save(solution)
    assert least_exact(tensor, store).rank == 1
    worse = LevenbergMarquardt(3).solve(tensor)
    store.save(worse)
    assert least_exact(tensor, store).rank == 1


def test_weights_are_not_replaced_in_silence(tmp_path: Path) -> None:
    for tensor in (
        CouplingTensor("0e+1o x 0e+1o -> 0e", (1.0, 2.0)),
        CouplingTensor("0e+1o x 0e+1o -> 0e", (1.0, 0.0)).alive,
    ):
        with refuses(ValueError, "weight 1", "method 'exact'"):
            least_exact(tensor, Store(tmp_path))
