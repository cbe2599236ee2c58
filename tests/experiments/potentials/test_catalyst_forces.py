"""Forces on catalysts under rotations: exact products are consistent, R = 7 is not, and cells must turn too."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from figures import catalyst_forces as drawing
from tdn_theory.audit import rotations
from tdn_theory.data.structure import Structure
from tdn_theory.evidence import Training
from tdn_theory.experiments.potentials import catalyst_forces
from tdn_theory.experiments.potentials.fitting import TINY
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.preset import Preset
from tdn_theory.so3.rotation import haar_rotations
from tests.data.reference import catalyst


def test_the_record(tmp_path: Path) -> None:
    study = catalyst_forces.STUDY
    sizes = {Preset.SMALLEST: replace(study.sizes[Preset.SMALLEST], sources=("surfaces", "OC20"))}
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDN_THEORY_CATALYSTS", str(tmp_path))
        made = replace(study, sizes=sizes).record(Preset.SMALLEST, 0, Jobs(tmp_path / "jobs"))
    values = json.loads(json.dumps(made, allow_nan=False))["values"]
    assert values["absent"] == ["OC20"]
    assert Training.of(values["rows"]) == Training(seeds=1, fall=None, unseen=True)
    rows = {(row["method"], row["forces"]): row for row in values["summary"]}
    assert len(rows) == 4
    for forces in catalyst_forces.FORCES:
        exact, low = rows["exact", forces], rows["cp", forces]
        assert exact["relative"]["mean"] < 1e-10 < 1e-6 < low["relative"]["mean"] < 0.5
        assert low["spread"]["mean"] < low["worst"]["mean"]
        assert low["error"]["mean"] > 0
        assert low["of_error"]["mean"] == pytest.approx(low["spread"]["mean"] / low["error"]["mean"])
    figure = drawing.plot({"values": values})
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in figure.axes)


def potential(**changes: Any) -> Potential:
    """An untrained one."""
    config = PotentialConfig(**{"elements": (1, 8, 29), "cutoff": 5.0, **TINY, "forces": "direct", **changes})
    return Potential(config).double().eval()


def test_the_spread_by_its_definition() -> None:
    """Against the variance over random rotations, which 150 of them tell to a seventh."""
    model, frame = potential(method="cp", rank=4), catalyst()
    found = catalyst_forces.turn(model, frame, 4, 0)
    values = []
    for turn in haar_rotations(150, np.random.default_rng(1)):
        turned = Structure(frame.numbers, frame.positions @ turn.T, frame.cell @ turn.T, frame.pbc)
        values.append(catalyst_forces.predict(catalyst_forces.TDNCalculator(model), turned.to_ase())["forces"] @ turn)
    deviations = np.array(values) - np.mean(values, axis=0)
    wanted = 1e3 * math.sqrt(np.mean(deviations**2))
    assert abs(found["spread"] - wanted) < wanted / 7
    assert found["worst"] > 0.9 * 1e3 * np.sqrt((deviations**2).mean((1, 2))).max()
    assert found["force"] > found["spread"] > 0
    free = ~frame.fixed
    off = catalyst_forces.predict(catalyst_forces.TDNCalculator(model), frame.to_ase())["forces"] - frame.forces
    assert found["error"] == pytest.approx(1e3 * np.sqrt((off[free] ** 2).mean()))
    assert (found["atoms"], found["formula"]) == (4, "HCu2O")


def test_a_cell_that_stays_behind_is_seen(monkeypatch: pytest.MonkeyPatch) -> None:
    model = potential()
    assert catalyst_forces.turn(model, catalyst(), 2, 0)["spread"] < 1e-9

    def without_cell(atoms: Any, matrix: np.ndarray) -> Any:
        moved = atoms.copy()
        moved.positions = atoms.positions @ matrix.T
        return moved

    monkeypatch.setattr(rotations, "transformed", without_cell)
    found = catalyst_forces.turn(model, replace(catalyst(), cell=4.5 * np.eye(3)), 2, 0)
    assert found["spread"] > 1e-3 * found["force"]


def test_the_summary() -> None:
    def row(seed: int, spreads: list[float]) -> dict[str, Any]:
        frames = [
            {"atoms": n, "force": 10.0, "error": 5.0, "spread": s, "worst": 2 * s, "energy": s}
            for n, s in zip((1, 3), spreads, strict=True)
        ]
        return {"source": "OC20", "method": "cp", "forces": "direct", "seed": seed, "frames": frames}

    (found,) = catalyst_forces.summarize([row(0, [0.0, 2.0]), row(1, [1.0, 1.0])])
    spreads = [math.sqrt(3), 1.0]
    assert found["spread"]["mean"] == pytest.approx(np.mean(spreads), rel=1e-12)
    assert found["relative"]["mean"] == pytest.approx(np.mean(spreads) / 10, rel=1e-12)
    assert found["of_error"]["mean"] == pytest.approx(np.mean(spreads) / 5, rel=1e-12)
    assert (found["worst"]["mean"], found["worst"]["seeds"]) == (3.0, 2)
