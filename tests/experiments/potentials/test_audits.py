"""The studies of audits: every spoilt network is found and named, and the benchmark counts what it should."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from ase.build import bulk

from tdn_theory import checkout
from tdn_theory.audit import sources
from tdn_theory.audit.prediction import predict
from tdn_theory.data.graph import build_graph
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.potentials import audit_benchmark, audited, audits
from tdn_theory.experiments.potentials.moments import Moments
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tests.assertions import refuses

NAMED = {
    "transposed harmonics": "not equivariant under rotations",
    "float16 coefficients": "coefficients in float16",
    "cutoff not smooth": "jumps where a neighbour leaves",
    "sign of the stress": "stress: its sign is the other one",
    "missing images": "two cells are not twice one",
}


@pytest.mark.parametrize("fault", audited.FAULTS)
def test_every_fault_is_found_and_named(fault: str) -> None:
    function, options, _ = audits.CASES[fault]
    found = audits.one(function, options, "", ["silicon"], 2, 0)
    assert found["grade"] != "at roundoff"
    assert NAMED[fault] in found["answer"]


def test_unknown_faults_are_refused() -> None:
    with refuses(ValueError, "'rust'", "missing images"):
        audited.spoilt("rust")


def test_the_record_of_audits(tmp_path: Path) -> None:
    record = json.loads(json.dumps(audits.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    assert [row["name"] for row in record["values"]["rows"]] == list(audits.CASES)[-2:]
    assert record["values"]["missing"] == []
    assert checkout.load("figures", "audits").plot(record).axes


def nobody(function: str, options: dict, package: str, names: list[str], degree: int, seed: int) -> dict:
    """An audit of what is not installed."""
    raise ModuleNotFoundError(f"no module named {function}")


def test_a_package_that_is_not_installed_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audits, "CASES", {"Nobody": ("nobodys", {}, "nobodys")})
    monkeypatch.setattr(audits, "one", nobody)
    values = audits.run(audits.Size(("water",), 2), 0, Jobs(tmp_path))
    assert values == {"rows": [], "missing": [{"name": "Nobody", "reason": "no module named nobodys"}], "costs": []}


def test_what_an_audit_costs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(audited, "sevennet", lambda: Moments(0))
    sources._calculator.cache_clear()
    found = audits.cost(4, 0)
    sources._calculator.cache_clear()
    assert found["atoms"] == 4
    assert found["seconds"] > 0
    assert 0.01 < found["gigabytes"] < 100


def test_stretched_space_is_wrong_in_proportion() -> None:
    atoms = audit_benchmark._structure(np.random.default_rng(0), periodic=True)
    right = predict(Moments(0), atoms)["forces"]
    one, two = (predict(Moments(0, stretch=s), atoms)["forces"] - right for s in (1e-6, 2e-6))
    assert np.abs(one).max() > 0
    assert np.abs(two - 2 * one).max() < 1e-4 * np.abs(two).max()


def test_only_the_nearest_image_of_a_neighbour_is_left() -> None:
    atoms = bulk("Si") * (2, 1, 1)
    graph = build_graph(Structure.from_ase(atoms), 4.0, torch.float64)
    near = audited.nearest_images(graph)
    pairs = list(zip(near.source.tolist(), near.target.tolist(), strict=True))
    assert len(pairs) == len(set(pairs)) < len(graph.source)
    assert all(a != b for a, b in pairs)


def test_the_benchmark(tmp_path: Path) -> None:
    record = json.loads(json.dumps(audit_benchmark.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    values = record["values"]
    assert (values["models"], values["false_alarms"], values["misses"]) == (1, 0, 0)
    assert 0.5 * audit_benchmark.TIMES < values["least_spoilt_ratio"] < 2 * audit_benchmark.TIMES
    assert checkout.load("figures", "audit_benchmark").plot(record).axes
