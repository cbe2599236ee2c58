"""Forces under rotations: what is measured is right, wrong dynamics are caught, and the figure is drawn."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from scipy.spatial.transform import Rotation

from figures import force_consistency as force_figure
from tdn_theory.data.graph import build_graph, collate
from tdn_theory.data.structure import Structure
from tdn_theory.evidence import Training
from tdn_theory.experiments.potentials import force_consistency
from tdn_theory.experiments.potentials.fitting import TINY
from tdn_theory.experiments.potentials.force_consistency import SIZES
from tdn_theory.experiments.potentials.symmetry_error import predict
from tdn_theory.jobs import Jobs
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.preset import Preset
from tdn_theory.testing.assertions import assert_close

LITTLE = SIZES[Preset.SMALLEST].measures


def water(seed: int = 0) -> Structure:
    rng = np.random.default_rng(seed)
    positions = np.array([[0.0, 0, 0.1], [0, 0.76, -0.5], [0, -0.76, -0.5], [2.4, 0.3, 0.2]])
    return Structure(np.array([8, 1, 1, 6]), positions + 0.05 * rng.normal(size=(4, 3)), group="water and carbon")


def potential(**changes: Any) -> Potential:
    """An untrained one in double precision."""
    return Potential(PotentialConfig(**{"elements": (1, 6, 8), "cutoff": 4.5, **TINY, **changes})).double().eval()


def test_force_consistency(tmp_path: Path) -> None:
    study = force_consistency.STUDY
    record = json.loads(json.dumps(study.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    values = record["values"]
    assert Training.of(values["rows"]) == Training(seeds=1, fall=None, unseen=True)
    rows = {(row["forces"], row["method"]): row for row in values["summary"]}
    every = {("conservative", m) for m in ("cp", "cubature", "exact")} | {("direct", m) for m in ("cp", "exact")}
    assert rows.keys() == every
    low = rows["conservative", "cp"]
    for kind in ("relaxation", "rattled", "dynamics"):
        assert low[f"{kind}_low"]["mean"] <= low[f"{kind}_median"]["mean"] <= low[f"{kind}_largest"]["mean"]
        for key in (("conservative", "cubature"), ("conservative", "exact"), ("direct", "exact")):
            assert rows[key][f"{kind}_relative"]["mean"] < 1e-10 < low[f"{kind}_relative"]["mean"]
    for name in ("relaxed_energy_spread", "relaxed_distance", "angular_momentum", "dynamics_distance"):
        assert rows["conservative", "exact"][name]["mean"] < 1e-3 * low[name]["mean"], name
    assert len(force_figure.plot(record).axes) == 3


def test_exponential() -> None:
    vectors = np.random.default_rng(0).normal(size=(5, 3))
    found = force_consistency._exponential(torch.tensor(vectors)).numpy()
    assert_close(found, Rotation.from_rotvec(vectors).as_matrix(), 1e-13, "exp")


@pytest.mark.parametrize("forces", ["direct", "conservative"])
def test_gradient_on_rotations(forces: str) -> None:
    """Against central differences, whose error at step h is h^2 times a third derivative, plus roundoff / h."""
    model = potential(method="cp", rank=3, forces=forces)
    graph = collate([build_graph(water(), 4.5, torch.float64)] * 2)
    straight = predict(model, graph)["forces"]
    turns = torch.tensor(Rotation.random(2, rng=np.random.default_rng(1)).as_matrix())
    evaluate = force_consistency._error_and_gradient
    gradient = evaluate(model, graph, straight, turns)[1]
    step, differences = 1e-5, []
    for axis in torch.eye(3, dtype=torch.float64):
        moved = [force_consistency._exponential(s * step * axis.expand(2, 3)) @ turns for s in (1, -1)]
        up, down = (evaluate(model, graph, straight, m)[0] for m in moved)
        differences.append((up - down) / (2 * step))
    expected = torch.stack(differences, dim=1).numpy()
    assert np.abs(expected).max() > 0
    assert_close(gradient.numpy(), expected, 1e-6 * np.abs(expected).max(), "gradient")


def test_the_worst_rotation_is_worse_than_random_ones() -> None:
    """Than all of 64, after a search from 16 others that never falls."""
    model = potential(method="cp", rank=5, forces="direct")
    sampled = force_consistency.worst_rotations(model, [water()], 64, 0, seed=1)
    assert sampled["found"] == sampled["largest_random"]
    searched = force_consistency.worst_rotations(model, [water()], 16, 30, seed=0)
    assert searched["found"][0] >= searched["largest_random"][0] >= searched["random"][0] > 0
    assert searched["found"][0] > sampled["largest_random"][0]


def test_dynamics_conserve_energy() -> None:
    """An invariant potential: the fluctuation of velocity Verlet falls fourfold with half the time step."""
    model = potential()
    model.set_reference([0.0, 0.0, 0.0], 20.0)
    found = {}
    for step in (0.5, 0.25):
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(force_consistency, "TIME_STEP", step)
            found[step], frames = force_consistency.run_copies(model, water(), replace(LITTLE, time=4.0), seed=0)
        assert max(found[step]["angular_momentum"]) < 1e-9
        assert max(found[step]["distances"]) < 1e-9
        assert not np.array_equal(frames[0].positions, frames[-1].positions)
    ratio = found[0.5]["fluctuation"][0] / found[0.25]["fluctuation"][0]
    assert 3 < ratio < 5


def test_wrong_dynamics_are_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    """Copies whose velocities are not turned with them go elsewhere."""
    model = potential()
    union = force_consistency._union

    def not_turned(single: Any, copies: int) -> Any:
        together = union(single, copies)
        together.set_velocities = lambda _: None  # stays with those that were copied
        return together

    monkeypatch.setattr(force_consistency, "_union", not_turned)
    found, _ = force_consistency.run_copies(model, water(), replace(LITTLE, time=2.0), seed=0)
    assert max(found["distances"]) > 1e-4


def test_molecules_are_different_ones() -> None:
    """Of each the structure with the greatest force, and the largest molecules first."""
    structures = [
        Structure(np.full(n, 6), np.arange(3.0 * n).reshape(n, 3), forces=np.full((n, 3), float(k)), group=name)
        for k, (name, n) in enumerate([("CO", 3), ("CO", 3), ("C", 2), ("CCO", 5)])
    ]
    assert force_consistency._largest(structures, 2) == [structures[3], structures[1]]
    assert force_consistency._calmest(structures) is structures[3]
