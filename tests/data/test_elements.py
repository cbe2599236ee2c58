"""The one place that names unknown elements."""

from tdn_theory.data.elements import check_elements
from tests.assertions import refuses


def test_known_elements_pass():
    check_elements([1, 8, 1], (1, 6, 8), "the table")
    check_elements([], (1,), "the table")


def test_strangers_are_named_once_and_in_order():
    with refuses(ValueError, "the table does not know N, Cl, only H, C;", "train on structures"):
        check_elements([17, 7, 1, 17], (1, 6), "the table")
