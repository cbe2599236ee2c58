"""Ranks of paths: bounds from below, what is found, and which of it is proven."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import numpy as np
import pytest

from figures import path_ranks as figure
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.experiments.decompositions.path_ranks import STUDY, _paths, lower_bounds, search
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.so3.irreps import component_slice, paths
from tdn_theory.theory.rank import flattening_bound


def test_record_and_figure(tmp_path: Path) -> None:
    """The cross product takes five terms, and no fewer."""
    record = json.loads(json.dumps(STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    (row,) = record["values"]["rows"]
    assert (row["coupling"], row["lower"], row["found"], row["proven"]) == ("1 x 1 -> 1", 5, 5, 5)
    assert row["below"]["R"] == 4
    assert row["below"]["residual"] > 0.1
    assert [(a["R"], a["residual"] < 1e-12) for a in row["attempts"]] == [(4, False), (5, True)]
    picture = figure.plot(record)
    (axis,) = picture.axes
    drawn = {line.get_label(): np.asarray(line.get_xdata()).tolist() for line in axis.lines}
    assert drawn["proven lower bound"] == [5] == drawn["least known, proven"]
    assert drawn["least known, numerical"] == [] == drawn["near, terms diverge"]
    matplotlib.pyplot.close(picture)


def test_what_is_not_proven_is_drawn_open() -> None:
    row = {"coupling": "1 x 2 -> 3", "generic": 9, "lower": 8, "found": 9, "proven": None}
    row["below"] = {"R": 8, "residual": 1e-3, "condition": 1e6}
    picture = figure.plot({"values": {"rows": [row]}})
    drawn = {line.get_label(): np.asarray(line.get_xdata()).tolist() for line in picture.axes[0].lines}
    assert (drawn["least known, proven"], drawn["least known, numerical"], drawn["near, terms diverge"]) == (
        [],
        [9],
        [8],
    )
    matplotlib.pyplot.close(picture)


def test_every_path_is_there_once() -> None:
    """Up to the order of its degrees, and without those that have a scalar."""
    texts = [CouplingTensor(text).paths[0].degrees for text in _paths(4)]
    wanted = {tuple(sorted(path)) for path in paths(4) if min(path) > 0}
    assert sorted(tuple(sorted(degrees)) for degrees in texts) == sorted(wanted)
    assert all(l1 == l2 or len({l1, l2, l3}) == 3 for l1, l2, l3 in texts)


@pytest.mark.parametrize(("l1", "l2"), [(0, 3), (1, 1), (1, 2), (2, 2)])
def test_all_outputs_take_all_products(l1: int, l2: int) -> None:
    outputs = "+".join(str(l) for l in range(abs(l1 - l2), l1 + l2 + 1))
    tensor = CouplingTensor(f"{l1} x {l2} -> {outputs}")
    assert flattening_bound(tensor) == outer_product(tensor).rank == (2 * l1 + 1) * (2 * l2 + 1)


@pytest.mark.parametrize(("l1", "l2"), [(1, 1), (1, 3), (2, 2), (2, 3)])
def test_all_even_outputs_take_as_many_terms_as_they_have_components(
    l1: int, l2: int, rng: np.random.Generator
) -> None:
    """Values at points determine the product of two harmonics, and each value is a product of values."""
    degrees = list(range(abs(l1 - l2), l1 + l2 + 1, 2))
    tensor = CouplingTensor(f"{l1} x {l2} -> {'+'.join(map(str, degrees))}")
    d3 = tensor.dims[2]
    harmonics = spherical_harmonics(l1 + l2, rng.standard_normal((d3, 3)))
    x, y = (harmonics[:, component_slice(l)].T for l in (l1, l2))
    z = np.concatenate([harmonics[:, component_slice(l)].T for l in degrees])
    product = CPFactors(np.linalg.inv(z).T, x, y).array
    found = tensor.project(product)
    assert np.linalg.norm(product - found.array) < 1e-9 * np.linalg.norm(product)
    assert np.abs(found.weights).min() > 1e-3
    assert flattening_bound(tensor) == d3


def test_bounds_of_a_path_are_of_all_orders_of_its_degrees() -> None:
    """2 x 2 -> 3: the best is that of a degree 2 as output, two of whose components are left out."""
    found = lower_bounds("2 x 2 -> 3", power=1, seed=0)
    assert found["bounds"] == {"flattening": 7, "Koszul": 8, "substitution": 8, "substitution, Koszul": 10}
    assert (found["border_lower"], found["lower"]) == (10, 10)
    stretched = lower_bounds("1 x 2 -> 3", power=1, seed=0)
    assert (stretched["border_lower"], stretched["lower"]) == (7, 8)


def test_symmetric_terms_are_tried() -> None:
    """2 x 2 -> 2 with ten terms: those found first have dependent equations, symmetric ones have not."""
    row = search("2 x 2 -> 2", starts=2, iterations=300, seed=0)
    assert (row["found"], row["proven"]) == (10, 10)
    assert [a["R"] for a in row["attempts"]] == [10, 9, 10, 9]
    assert row["below"]["condition"] > 1e3
    assert search("1 x 2 -> 3", starts=1, iterations=50, seed=0)["proven"] is None
