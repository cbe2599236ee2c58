"""What errors under rotations do: relaxed energies and the drift of dynamics, of copies that differ by a rotation."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms, units
from ase.md.velocitydistribution import Stationary
from ase.md.verlet import VelocityVerlet

from tdn_theory.audit.prediction import transformed
from tdn_theory.nn.calculator import relax
from tdn_theory.so3.rotation import haar_rotations

COPIES = 3
FMAX, STEPS = 0.01, 200
"""eV/Angstrom, and most steps, of a relaxation."""
TEMPERATURE, TIME_STEP, TIME = 300.0, 0.5, 50.0
"""K, fs, fs."""


def consequences(calculator: Any, atoms: Atoms, seed: int) -> dict[str, Any]:
    """Relax turned copies, and run each at constant energy.

    Returns:
        Per copy, the first being the structure as it lies: relaxed `energies` less the first, eV/atom, whether
        `converged`, and `drifts`, the slope of the total energy, eV/atom/ps.
    """
    rng = np.random.default_rng(seed)
    n = len(atoms)
    velocities = rng.standard_normal((n, 3)) * np.sqrt(units.kB * TEMPERATURE / atoms.get_masses())[:, None]
    energies, converged, drifts = [], [], []
    for rotation in [np.eye(3), *haar_rotations(COPIES - 1, rng)]:
        copy = transformed(atoms, rotation)
        copy.calc = calculator
        frames, below = relax(copy, FMAX, STEPS)
        energies.append(frames[-1].get_potential_energy() / n)
        converged.append(below)
        moving = transformed(atoms, rotation)
        moving.calc = calculator
        moving.set_velocities(velocities @ rotation.T)
        Stationary(moving)
        dynamics = VelocityVerlet(moving, TIME_STEP * units.fs)
        totals = [moving.get_total_energy() / n for _ in dynamics.irun(round(TIME / TIME_STEP))]
        times = 1e-3 * TIME_STEP * np.arange(len(totals))
        drifts.append(float(np.polyfit(times, totals, 1)[0]))
    return {"energies": [e - energies[0] for e in energies], "converged": converged, "drifts": drifts}
