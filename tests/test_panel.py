"""What `tdn_theory.explore` shows: it follows its controls, for anything bilinear."""

import sys

import numpy as np
import pytest

import tdn_theory
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.nn import TensorProduct
from tdn_theory.panel import MEASURES, SOLVERS
from tdn_theory.theory.cost import Channels, cost
from tdn_theory.theory.equivariance import mean_square_error

pytestmark = pytest.mark.filterwarnings("error")


def test_a_change_makes_a_decomposition_once():
    panel = tdn_theory.explore(1)
    assert panel.current.solution.factors.rank == 7
    for rank in (8, 7, 8):
        panel.controls["rank R"].value = rank
    assert len(panel.tries) == 2
    assert panel.current.solution.exact == any(try_.solution.exact for try_ in panel.tries.values())
    panel.forget()
    assert [found.solution.factors.rank for found in panel.tries.values()] == [8]


def test_every_solver_and_measure_is_shown():
    panel = tdn_theory.explore(1)
    seen = set()
    for solver in SOLVERS:
        panel.controls["solver"].value = solver
        for measure in MEASURES:
            panel.controls["error"].value = measure
            assert measure in panel._answer.value
            assert f"{panel.error(panel.current):.2e}" in panel._answer.value
            seen.add(panel._picture.value)
    assert len(panel.tries) == len(SOLVERS)
    assert len(seen) == len(SOLVERS) * len(MEASURES)


def test_errors_are_those_of_the_theory():
    panel = tdn_theory.explore(1)
    factors = panel.current.solution.factors
    wanted = np.sqrt(mean_square_error(factors)) / np.linalg.norm(factors.array)
    assert panel.error(panel.current) == pytest.approx(wanted, rel=1e-12)


def test_costs_are_those_of_the_shapes():
    panel = tdn_theory.explore("0e+1o x 0e+1o+2e -> 0e+1o")
    panel.controls["connection"].value = "uuu"
    panel.controls["channels"].value = 16
    panel.controls["edges"].value = 50
    rank = panel.current.solution.factors.rank
    wanted = cost("cp", "0e+1o x 0e+1o+2e -> 0e+1o", Channels.of("uuu", 16), 50, rank)
    assert panel.costs()["cp"] == wanted
    assert f"{wanted.multiply_adds:,}" in panel._answer.value


def test_weights_may_be_set_to_one():
    panel = tdn_theory.explore(CouplingTensor(1, (1.0, 2.0, 0.0, 3.0, 1.0)))
    panel.controls["weights"].value = "all 1"
    assert panel.current.solution.tensor.weights == (1.0, 1.0, 0.0, 1.0, 1.0)


def test_roundoff_of_an_array_makes_no_paths():
    even = CouplingTensor.even(1)
    panel = tdn_theory.explore(even.array)
    panel.controls["weights"].value = "all 1"
    assert panel.current.solution.tensor.weights == even.weights


@pytest.mark.parametrize(
    ("product", "coupling", "rank"),
    [
        (atlas.best(1).factors, None, 7),
        (np.random.default_rng(0).standard_normal((4, 4, 4)), None, 7),
        (np.cross, "1", 3),
        (TensorProduct("0e+1o", 1), None, 4),
    ],
    ids=["factors", "array", "function", "module"],
)
def test_anything_bilinear_is_taken(product, coupling, rank):
    panel = tdn_theory.explore(product, coupling)
    assert panel.current.solution.factors.rank == rank
    assert repr(panel) == f"Panel({panel.tensor})"


@pytest.mark.parametrize(
    ("product", "coupling", "message"),
    [(np.cross, None, "coupling"), (np.zeros((4, 4, 4)), None, "no equivariant part")],
)
def test_what_cannot_be_explored_is_told(product, coupling, message):
    with pytest.raises(ValueError, match=message):
        tdn_theory.explore(product, coupling)


def test_without_widgets_the_message_says_what_to_install(monkeypatch):
    monkeypatch.setitem(sys.modules, "ipywidgets", None)
    monkeypatch.delitem(sys.modules, "tdn_theory.panel")
    with pytest.raises(ImportError, match=r"tdn-theory\[notebooks\]"):
        tdn_theory.explore(1)
