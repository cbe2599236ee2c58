"""The potential as a calculator of ASE: energies, forces, stress and dipoles for relaxation and molecular dynamics."""

from __future__ import annotations

from pathlib import Path
from typing import Any, cast

import ase.optimize
import numpy as np
import torch
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.singlepoint import SinglePointCalculator
from ase.stress import full_3x3_to_voigt_6_stress

from tdn_theory.data.graph import build_graph
from tdn_theory.data.structure import Structure
from tdn_theory.nn.potential import Potential


class TDNCalculator(Calculator):
    """An ASE calculator. Units are those of ASE: eV, Angstrom, e Angstrom.

    It has the stress (six Voigt components, eV/Angstrom^3, positive under tension) if forces are conservative and all
    three directions periodic, and the dipole moment if the potential predicts it and no direction is periodic.

    Args:
        potential: What predicts; it is set to evaluation.
        **options: As for every ASE calculator.

    >>> from ase.build import molecule
    >>> from tdn_theory.nn.potential import Potential, PotentialConfig
    >>> atoms = molecule("H2O")
    >>> atoms.calc = TDNCalculator(Potential(PotentialConfig(elements=(1, 8), channels=8, layers=1)))
    >>> atoms.get_forces().shape
    (3, 3)
    """

    implemented_properties = ["energy", "free_energy", "energies", "forces", "stress", "dipole"]  # noqa: RUF012 - as ASE has it

    def __init__(self, potential: Potential, **options):
        super().__init__(**options)
        self.potential = potential.eval()
        config = potential.config
        found = {"energy", "free_energy", "energies"}
        found |= {"forces"} if config.forces != "none" else set()
        found |= {"stress"} if config.forces == "conservative" else set()
        found |= {"dipole"} & set(config.outputs)
        self.implemented_properties = [name for name in self.implemented_properties if name in found]

    @classmethod
    def load(
        cls, path: Path, device: torch.device | str = "cpu", dtype: torch.dtype | None = None, **options
    ) -> TDNCalculator:
        """A calculator with a saved potential.

        Args:
            path: What `Potential.save` wrote.
            device: Where to compute.
            dtype: float64 for tight relaxations and energy conservation; None for what was saved.
            **options: As for every ASE calculator.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: It is not a saved potential.
        """
        return cls(Potential.load(path).to(device, dtype), **options)

    def calculate(self, atoms: Atoms | None = None, properties=("energy",), system_changes=all_changes) -> None:
        """Predict everything at once, for `atoms`.

        Raises:
            ValueError: The potential does not know an element; the message names it.
        """
        super().calculate(atoms, properties, system_changes)
        atoms = cast(Atoms, self.atoms)
        weight = next(self.potential.parameters())
        structure = Structure.from_ase(atoms)
        graph = build_graph(structure, self.potential.config.cutoff, weight.dtype).to(weight.device)
        with torch.no_grad():
            output = {
                name: value.double().cpu().numpy() for name, value in self.potential(graph, of_atoms=True).items()
            }
        energy = float(output["energy"][0])
        self.results: dict[str, Any] = {"energy": energy, "free_energy": energy, "energies": output["energies"]}
        if "forces" in output:
            self.results["forces"] = output["forces"]
        if "stress" in output and structure.pbc.all():
            self.results["stress"] = full_3x3_to_voigt_6_stress(output["stress"][0])
        if "dipole" in output and not structure.pbc.any():
            self.results["dipole"] = output["dipole"][0]


def relax(atoms: Atoms, fmax: float = 0.01, steps: int = 500, optimizer: str = "BFGS") -> tuple[list[Atoms], bool]:
    """Move `atoms` to a minimum of the energy of their calculator; the cell stays.

    Args:
        atoms: With a calculator; they are moved.
        fmax: It ends when no atom feels a larger force, eV/Angstrom.
        steps: It ends after so many steps at the latest.
        optimizer: Name of a class in `ase.optimize`, e.g. `BFGS`, `LBFGS` or `FIRE`.

    Returns:
        The frames, the first one included, with energies and forces; and whether the forces are below `fmax`.
    """
    frames = []
    chosen = getattr(ase.optimize, optimizer)(atoms, logfile=None)
    for _ in chosen.irun(fmax, steps):
        frame = atoms.copy()
        forces = atoms.get_forces(apply_constraint=False)  # those of fixed atoms are known as well
        frame.calc = SinglePointCalculator(frame, energy=atoms.get_potential_energy(), forces=forces)
        frames.append(frame)
    return frames, bool(np.linalg.norm(atoms.get_forces(), axis=1).max() <= fmax)
