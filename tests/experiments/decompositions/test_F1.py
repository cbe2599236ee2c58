"""The exact product of seven terms, term by term, and its picture."""

from __future__ import annotations

import json

import matplotlib.pyplot
import numpy as np
import pytest

from figures.F1 import mollweide, plot
from tdn_theory.coupling import CouplingTensor
from tdn_theory.experiments.decompositions.F1 import STUDY
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset


@pytest.fixture(scope="module")
def record(tmp_path_factory) -> dict:
    jobs = Jobs(tmp_path_factory.mktemp("jobs"))
    return json.loads(json.dumps(STUDY.record(Preset.SMALLEST, 0, jobs), allow_nan=False))


def test_the_terms_are_those_of_an_equivariant_product(record):
    values = record["values"]
    A, B, C = (np.array(values[name]) for name in "ABC")
    product = sum(A[:, r][:, None, None] * B[:, r][:, None] * C[:, r] for r in range(7))
    assert np.abs(product - CouplingTensor(1, tuple(values["weights"])).array).max() < 1e-12
    np.testing.assert_allclose([np.linalg.norm(B, axis=0), np.linalg.norm(C, axis=0)], 1, rtol=1e-12)
    lengths = np.linalg.norm(A, axis=0).round(9)
    assert (np.diff(lengths) <= 0).all()


def test_only_the_whole_sum_is_equivariant(record):
    values = record["values"]
    assert values["R"] == len(values["errors_of_terms"]) == len(values["errors_of_sums"]) == 7
    assert min(values["errors_of_terms"]) > 1
    assert min(values["errors_of_sums"][:-1]) > 0.1
    assert values["errors_of_sums"][-1] < 1e-12
    assert values["errors_of_sums"][0] == pytest.approx(values["errors_of_terms"][0], rel=1e-12)


def test_a_map_shows_the_function():
    a = np.array([0.3, 0.5, -0.2, 0.7])  # scalar, y, z, x
    shown = mollweide(a)
    middle, side = shown.shape[0] // 2, shown.shape[1] // 4
    at = {0: a[3], side: a[1], -side: -a[1], 2 * side: -a[3]}
    for east, component in at.items():
        assert shown[middle, 2 * side + east] == pytest.approx(a[0] + 3**0.5 * component, rel=1e-12)
    assert shown[-1, 2 * side] == pytest.approx(a[0] + 3**0.5 * a[2], rel=1e-12)
    assert np.isnan(shown[0, 0])


def test_the_picture_draws_every_term(record):
    picture = plot(record)
    maps, errors = picture.axes
    assert len(maps.images) == 21
    assert errors.lines[-1].get_ydata()[:-1].tolist() == record["values"]["errors_of_sums"][:-1]
    matplotlib.pyplot.close(picture)
