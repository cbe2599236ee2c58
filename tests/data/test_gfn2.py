"""Thermal trajectories: reproducible, warm, with labels that belong together."""

import numpy as np
import pytest

from tdn_theory.data.gfn2 import gfn2_trajectory
from tdn_theory.data.relaxations import relaxations
from tdn_theory.data.structure import Structure
from tdn_theory.testing.assertions import assert_close
from tests.assertions import refuses

pytest.importorskip("tblite", reason="needs the extra gfn2")


@pytest.fixture(scope="module")
def start() -> Structure:
    return next(s for s in reversed(relaxations()) if len(s) <= 5)


def test_trajectories_depend_on_the_seed_only(start: Structure):
    first, again, other = (list(gfn2_trajectory(start, 4, seed=seed)) for seed in (0, 0, 1))
    assert_close([s.positions for s in first], [s.positions for s in again], 0.0, "gfn2_trajectory(seed=0)")
    assert np.abs(first[-1].positions - other[-1].positions).max() > 1e-3
    assert_close(first[0].positions, start.positions, 0.0, "first snapshot")
    assert all(s.labels == ("energy", "forces", "dipole") and s.group == start.group for s in first)
    drift = [s.positions.T @ start.to_ase().get_masses() for s in (first[0], first[-1])]
    assert_close(drift[1], drift[0], 1e-8, "centre of mass")


def test_energies_change_by_the_work_of_the_forces(start: Structure):
    for a, b in zip(*(list(gfn2_trajectory(start, 8, interval=1))[n:] for n in (0, 1)), strict=False):
        assert a.forces is not None
        assert b.forces is not None
        work = -float(((a.forces + b.forces) / 2 * (b.positions - a.positions)).sum())
        assert_close(b.energy, (a.energy or 0.0) + work, 2e-3 + 0.02 * abs(work), "energy")


def test_cold_is_still(start: Structure):
    first, second = gfn2_trajectory(start, 2, temperature=1e-3, interval=1)
    assert np.abs(second.positions - first.positions).max() < 0.01


def test_bad_requests_are_refused(start: Structure):
    crystal = Structure(np.array([6]), np.zeros((1, 3)), 3 * np.eye(3), np.array([True] * 3))
    with refuses(ValueError, "periodic", "molecule"):
        next(gfn2_trajectory(crystal, 1))
    for arguments in ({"snapshots": 0}, {"snapshots": 1, "interval": 0}, {"snapshots": 1, "temperature": 0.0}):
        with refuses(ValueError, "at least 1", "positive"):
            next(gfn2_trajectory(start, **arguments))
