"""Thermal trajectories of molecules with the tight-binding method GFN2-xTB: any number of snapshots in seconds.

Bannwarth, Ehlert, Grimme, J. Chem. Theory Comput. 15, 1652 (2019), as implemented in tblite.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from tdn_theory.data.structure import Structure

STEP = 0.5
"""Time step, fs."""
RELAXATION = 50.0
"""Time in which the thermostat corrects the kinetic energy, fs."""


def gfn2_trajectory(
    start: Structure, snapshots: int, temperature: float = 500.0, interval: int = 20, seed: int = 0
) -> Iterator[Structure]:
    """Dynamics at a temperature on the GFN2-xTB surface; yields snapshots with energy, forces and dipole.

    Velocities are rescaled stochastically (Bussi, Donadio, Parrinello, J. Chem. Phys. 126, 014101, 2007).

    Args:
        start: First geometry; a neutral, closed-shell molecule. Its group is that of the snapshots, its labels are not
            used.
        snapshots: How many; the first one is `start` itself.
        temperature: Kelvin; the velocities begin at that temperature, with total momentum zero.
        interval: Steps between snapshots.
        seed: Seed of velocities and thermostat.

    Raises:
        ImportError: tblite is not installed.
        ValueError: The structure is periodic, or a number is out of its range.
    """
    try:
        from tblite.ase import TBLite
    except ImportError as error:
        raise ImportError("GFN2-xTB needs tblite: pip install 'tdn-theory[gfn2]'") from error
    from ase import units
    from ase.md.bussi import Bussi

    if start.pbc.any():
        raise ValueError(f"{start} is periodic; give a molecule")
    if snapshots < 1 or interval < 1 or not temperature > 0:
        raise ValueError(
            f"snapshots={snapshots}, interval={interval}, temperature={temperature}; "
            "snapshots and interval must be at least 1, the temperature positive"
        )
    generator = np.random.default_rng(seed)
    atoms = start.to_ase()
    atoms.calc = TBLite(method="GFN2-xTB", verbosity=0)
    thermal = np.sqrt(units.kB * temperature / atoms.get_masses())[:, None] * generator.standard_normal((len(atoms), 3))
    atoms.set_velocities(thermal - atoms.get_masses() @ thermal / atoms.get_masses().sum())
    dynamics = Bussi(atoms, STEP * units.fs, temperature_K=temperature, taut=RELAXATION * units.fs, rng=generator)
    for number in range(snapshots):
        if number:
            dynamics.run(interval)
        atoms.get_forces()
        yield Structure.from_ase(atoms, start.group)
