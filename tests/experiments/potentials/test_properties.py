"""Dipoles and polarizabilities: the record has what is asked for, and the figure is drawn from it."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from figures import properties as figure
from tdn_theory.data.structure import Structure
from tdn_theory.evidence import Training
from tdn_theory.experiments.potentials import properties
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.training.sources import Splits


def test_properties(tmp_path: Path) -> None:
    record = json.loads(json.dumps(properties.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    values = record["values"]
    assert Training.of(values["rows"]) == Training(seeds=1, fall=None, unseen=True)
    rows = {row["method"]: row for row in values["summary"]}
    for label in properties.LABELS:
        assert rows["exact"][label]["relative_change"]["mean"] < 1e-10 < rows["cp"][label]["relative_change"]["mean"]
        assert rows["cubature"][label]["relative_change"]["mean"] < 1e-10
        assert rows["exact"][label]["rmse_ratio_to_exact"]["mean"] == 1
    assert len(figure.plot(record).axes) == 2


def test_without_network() -> None:
    """Isotropic polarizabilities that add up over elements are found exactly; a dipole's baseline is its size."""
    structures = []
    for numbers in ([8, 1, 1], [1, 1], [8, 8], [8, 1]):
        volume = sum({1: 0.6, 8: 0.9}[z] for z in numbers)
        positions = 1.1 * np.arange(3 * len(numbers)).reshape(-1, 3)
        structures.append(
            Structure(np.array(numbers), positions, polarizability=volume * np.eye(3), dipole=np.array([0.3, 0, 0.4]))
        )
    splits = Splits(structures[:3], [], structures[3:])
    assert properties.without_network(splits, "polarizability") < 1e-12
    assert properties.without_network(splits, "dipole") == pytest.approx(0.5 / np.sqrt(3))
