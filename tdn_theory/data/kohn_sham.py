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

    def polarizability(self, atoms: Atoms) -> Float[np.ndarray, "3 3"]:
        """Polarizability volume, Angstrom^3: the derivative of the dipole by an electric field, at field zero.

        By coupled perturbed Kohn-Sham equations. With `h` the position operator between occupied orbitals i and
        virtual ones a, and `X` the first-order change of the orbitals in a field, `alpha_xy = -4 sum_ai h_x,ai X_y,ai`
        for closed shells (Frisch, Head-Gordon and Pople, Chem. Phys. 141 (1990) 189).

        Args:
            atoms: Molecule.

        Raises:
            ImportError: pyscf is not installed.
            ValueError: The number of electrons is odd, or the self-consistent field does not converge.
        """
        field = self._solve(atoms)
        from pyscf.scf import cphf

        occupied, virtual = field.mo_coeff[:, field.mo_occ > 0], field.mo_coeff[:, field.mo_occ == 0]
        position = virtual.T @ field.mol.intor("int1e_r") @ occupied
        response = field.gen_response(hermi=1)

        def coupling(change: np.ndarray) -> np.ndarray:
            half = 2 * virtual @ change.reshape(-1, *position.shape[1:]) @ occupied.T
            return virtual.T @ response(half + half.transpose(0, 2, 1)) @ occupied

        change = cphf.solve(coupling, field.mo_energy, field.mo_occ, position)[0]
        tensor = -4 * np.einsum("xai,yai->xy", position, change)
        return (tensor + tensor.T) / 2 * BOHR**3

    def _solve(self, atoms: Atoms) -> Any:
        """Self-consistent field."""
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
        guess = self._density
        field.kernel(dm0=guess if guess is not None and guess.shape == (molecule.nao, molecule.nao) else None)
        if not field.converged:
            raise ValueError(f"the self-consistent field of {atoms.get_chemical_formula()} does not converge")
        self._density = np.asarray(field.make_rdm1())
        return field
