"""Rank schedules (E5)."""

import pytest

from tdn_theory.cp import schedules
from tests.assertions import refuses

TABLE = {
    "(L+1)^4": [16, 81, 256, 625, 1296, 2401],
    "16 ln^2(L+1)": [8, 19, 31, 41, 51, 61],
    "7L": [7, 14, 21, 28, 35, 42],
    "7L^2": [7, 28, 63, 112, 175, 252],
}


@pytest.mark.parametrize("name", TABLE)
def test_values_of_the_paper(name):
    assert [schedules.PAPER_SCHEDULES[name](lmax) for lmax in range(1, 7)] == TABLE[name]


def test_the_released_logarithm_truncates_to_nothing():
    assert schedules.log_squared_released(1) == 0


@pytest.mark.parametrize("name", TABLE)
def test_bad_degree(name):
    with refuses(ValueError, "-1", ">= 0"):
        schedules.PAPER_SCHEDULES[name](-1)
    with refuses(TypeError, "1.5", "integer"):
        schedules.PAPER_SCHEDULES[name](1.5)
