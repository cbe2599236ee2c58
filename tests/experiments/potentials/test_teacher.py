"""Students and teachers: the student's network is the teacher's, and its error is zero where theory says so."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from tdn_theory import checkout
from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.data.graph import build_graph
from tdn_theory.data.relaxations import relaxations
from tdn_theory.experiments.potentials import teacher as module
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.preset import Preset
from tdn_theory.testing.assertions import assert_close
from tdn_theory.theory.universality import invariant_value, scaling_invariants


@pytest.mark.parametrize("lmax", [1, 2])
def test_teachers(lmax: int) -> None:
    """Of the paper's norm; scaled ones keep the invariants of their entry, random ones do not."""
    norm = CouplingTensor(lmax).norm
    entry = atlas.best(lmax)
    for kind in module.TEACHERS.keys() - {module.PRETRAINED}:
        tensor, known = module.teacher(lmax, kind, 3)
        assert_close(tensor.norm, norm, 1e-12, f"norm of the teacher {kind}")
        other = module.teacher(lmax, kind, 4).tensor
        assert np.abs(other.array - tensor.array).max() > 0.1
        if known is not None:
            assert_close(known.array, tensor.array, 1e-12, f"known factors of {kind}")
            assert known.rank == module.representable_rank(lmax, kind)
    for invariant in scaling_invariants(lmax):
        wanted, scaled, free = (
            invariant_value(lmax, invariant, np.array(t.weights))
            for t in (entry.tensor, module.teacher(lmax, "scaled", 3).tensor, module.teacher(lmax, "random", 3).tensor)
        )
        assert_close(scaled, wanted, 1e-9 * abs(wanted), f"invariant {invariant}")
        assert abs(free - wanted) > 1e-3 * abs(wanted)


def test_a_student_is_the_network_with_its_own_tensor() -> None:
    """The same as a potential made with the student's factors, also after these have changed."""
    config = PotentialConfig(
        **module.NETWORK, channels=8, lmax=1, forces=module.FORCES, basis_size=module.BASIS_SIZE, method="cp"
    )
    one, other = (outer_product(module.teacher(1, "random", seed).tensor) for seed in (0, 1))
    product = module.Learned(1, config.channels, one)
    student = Potential(config, 0, product=product).double()
    graph = build_graph(relaxations()[0], config.cutoff, torch.float64)
    with torch.no_grad():
        for factors in (one, other):
            for parameter, name in zip(product.learned, "ABC", strict=True):
                parameter.copy_(torch.tensor(getattr(factors, name)))
            found, wanted = student(graph), Potential(config, 0, factors).double()(graph)
            for name, value in wanted.items():
                assert_close(found[name], value, 1e-12, name)
    assert set(product.learned) <= set(student.parameters())
    student(graph)["forces"].square().sum().backward()
    assert all(float(parameter.grad.abs().max()) > 0 for parameter in product.learned)


@pytest.mark.parametrize(("kind", "rank", "zero"), [("random", 8, True), ("scaled", 7, True), ("random", 7, False)])
def test_zero_from_the_representable_rank_on(kind: str, rank: int, zero: bool) -> None:
    """Below, training lowers the error, but not to zero."""
    found = module.student(1, kind, rank, 4, 1, 10, 8, 0, "cpu")
    assert (module.representable_rank(1, kind) <= rank) == zero
    assert (found["error"] <= module.ZERO) == zero
    if not zero:
        assert found["error"] > 1e-4
        untrained = module.student(1, kind, rank, 4, 1, 0, 8, 0, "cpu")
        for error in (untrained["error"], untrained["error_before"]):
            assert_close(error, found["error_before"], 1e-12, "error before training")
        assert 1e-4 < found["training_error"] < 0.9 * untrained["training_error"]
        assert found["training_curve"][0] == untrained["training_error"] > found["training_curve"][-1]


def test_record_and_figure(tmp_path: Path) -> None:
    record = json.loads(json.dumps(module.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    assert [(row["L"], row["kind"], row["R"], row["zero"]) for row in record["values"]["summary"]] == [
        (1, "random", 7, 0),
        (1, "random", 8, 1),
        (1, "scaled", 7, 1),
        (1, "scaled, even", 6, 1),
        *((2, kind, 4, 0) for kind in module.RANKS[2]),
    ]
    checkout.load("figures", "teacher").plot(record)
