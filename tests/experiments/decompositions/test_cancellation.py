"""Errors in low precision follow the cancellation of the terms."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import numpy as np
import pytest

from tdn_theory import checkout
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.experiments.decompositions import cancellation
from tdn_theory.experiments.decompositions.cancellation import UNITS, dense_errors, product_errors
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.testing.assertions import assert_close


def cancelling(size: float) -> CPFactors:
    """Exact factors at L = 1 with two more terms, of norm `size` times the tensor's, that cancel up to 1 / size."""
    exact = atlas.best(1).factors
    rng = np.random.default_rng(0)
    a, b, c = (direction / np.linalg.norm(direction) for direction in rng.standard_normal((3, 4)))
    large = size * np.linalg.norm(exact.array)
    pair = [(large * a, b, c), (-(large * a + a), b, c)]
    return CPFactors(
        *(np.column_stack([old, *(term[n] for term in pair)]) for n, old in enumerate((exact.A, exact.B, exact.C)))
    )


@pytest.mark.parametrize("size", [1e1, 1e3])
def test_errors_are_units_times_condition(size):
    """Within the roundings of inputs, factors and sums; and not much below, since nothing else cancels."""
    factors = cancelling(size)
    found = product_errors(factors, 0)
    for precision, unit in UNITS.items():
        assert 0.02 < found[precision] / (unit * factors.condition) < 4
    assert found["mixed"] < 2 * UNITS["bfloat16"]


def test_reference():
    """Written out for one precision, from the definition."""
    factors = atlas.best(1).factors
    x, y = cancellation._inputs(4, 0).numpy()
    A, B, C = (part.astype(np.float32) for part in (factors.A, factors.B, factors.C))
    exact = np.einsum("kij,ni,nj->nk", factors.array, x, y)
    single = ((x.astype(np.float32) @ B) * (y.astype(np.float32) @ C)) @ A.T
    wanted = np.linalg.norm(single - exact) / np.linalg.norm(exact)
    assert_close(product_errors(factors, 0)["float32"] / wanted, 1.0, 0.3, "another order of sums")
    assert dense_errors(CouplingTensor(1), 0)["float32"] < 4 * UNITS["float32"]


def test_record_and_figure(tmp_path: Path) -> None:
    record = json.loads(json.dumps(cancellation.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    rows = record["values"]["rows"]
    assert {row["kind"] for row in rows} == {"exact tensor", "stored", "atlas", "no ridge"}
    grown = [row for row in rows if row["kind"] == "no ridge"]
    assert [(row["solver"], row["iterations"]) for row in grown] == [
        (solver, iterations) for solver in ("Levenberg-Marquardt", "ALS") for iterations in (5, 10)
    ]
    figure = checkout.load("figures", "cancellation").plot(record)
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)
    matplotlib.pyplot.close(figure)
