"""Density functional theory of molecules as an ASE calculator (pyscf)."""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from jaxtyping import Float

from tdn_theory.data.units import BOHR, HARTREE


class KohnSham(Calculator):
    """Energies, forces and dipole moments of neutral closed-shell molecules, on one thread.

    Restricted Kohn-Sham with Cartesian basis functions and density fitting. Forces are exact derivatives of the
    energies, the responses of the fitting basis and of the integration grid included.

    Args:
        xc: Functional.
        basis: Basis set.
        grid_level: Level of the integration grid in pyscf, 0 to 9.
    """

    implemented_properties = ["energy", "forces", "dipole"]  # noqa: RUF012 # ASE wants a list

    def __init__(self, xc: str = "b3lyp", basis: str = "6-31g*", grid_level: int = 2):
        super().__init__()
        self._xc, self._basis, self._grid_level = xc, basis, grid_level
        self._density: np.ndarray | None = None  # of the last geometry: the first guess for the next

    def calculate(self, atoms: Any = None, properties: Any = ("energy",), system_changes: Any = all_changes) -> None:
        """Compute all properties of `atoms`; called by ASE.

        Raises:
            ImportError: pyscf is not installed.
            ValueError: The number of electrons is odd, or the self-consistent field does not converge.
        """
        super().calculate(atoms, properties, system_changes)
        field = self._solve(atoms)
        gradient = field.nuc_grad_method()
        gradient.grid_response = True
        self.results = {
            "energy": float(field.e_tot) * HARTREE,
            "forces": -gradient.kernel() * HARTREE / BOHR,
            "dipole": field.dip_moment(unit="AU", verbose=0) * BOHR,
        }

    def polarizability(self, atoms: Atoms, strength: float = 2e-3) -> Float[np.ndarray, "3 3"]:
        """Polarizability volume, Angstrom^3: central differences of the dipole in six weak electric fields.

        Args:
            atoms: Molecule.
            strength: Strength of the fields, atomic units.

        Raises:
            ImportError: pyscf is not installed.
            ValueError: The number of electrons is odd, or the self-consistent field does not converge.
        """

        def dipole(field: np.ndarray) -> np.ndarray:
            return self._solve(atoms, field).dip_moment(unit="AU", verbose=0)

        rows = [dipole(strength * axis) - dipole(-strength * axis) for axis in np.eye(3)]
        tensor = np.array(rows) / (2 * strength)
        return (tensor + tensor.T) / 2 * BOHR**3

    def _solve(self, atoms: Atoms, electric_field: np.ndarray | None = None) -> Any:
        """Self-consistent field, if wanted in a homogeneous electric field (atomic units)."""
        try:
            from pyscf import dft, gto, lib
        except ImportError as error:
            raise ImportError("density functional theory needs pyscf: pip install 'tdn-theory[make-data]'") from error
        if atoms.numbers.sum() % 2:
            raise ValueError(
                f"{atoms.get_chemical_formula()} has an odd number of electrons; give a closed-shell molecule"
            )
        lib.num_threads(1)
        geometry = list(zip(atoms.numbers.tolist(), (atoms.positions / BOHR).tolist(), strict=True))
        molecule = gto.M(atom=geometry, unit="Bohr", basis=self._basis, cart=True, verbose=0)
        field = dft.RKS(molecule, xc=self._xc).density_fit()
        field.chkfile = None
        field._chkfile.close()  # else the garbage collector finds it open, and warns
        field.grids.level = self._grid_level
        if electric_field is not None:
            # electrons have charge -1: their potential is +r.F
            core = field.get_hcore() + np.einsum("x,xij->ij", electric_field, molecule.intor("int1e_r"))
            field.get_hcore = lambda *_: core
        guess = self._density
        field.kernel(dm0=guess if guess is not None and guess.shape == (molecule.nao, molecule.nao) else None)
        if not field.converged:
            raise ValueError(f"the self-consistent field of {atoms.get_chemical_formula()} does not converge")
        self._density = np.asarray(field.make_rdm1())
        return field
