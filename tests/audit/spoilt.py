"""Small calculators that are right but for one thing."""

from __future__ import annotations

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from ase.calculators.lj import LennardJones
from ase.stress import voigt_6_to_full_3x3_stress

CUTOFF = 4.5


class Exact(Calculator):
    """Lennard-Jones, smooth at the cutoff."""

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - as ASE has it

    def __init__(self, **options):
        super().__init__(**options)
        self.pairs = LennardJones(sigma=1.6, epsilon=0.3, rc=CUTOFF, smooth=True)
        self.calls = 0

    def calculate(self, atoms: Atoms | None = None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        self.calls += 1
        self.results = self.evaluate(self.atoms.copy())

    def evaluate(self, atoms: Atoms) -> dict:
        self.pairs.calculate(atoms, self.implemented_properties)
        results = {name: self.pairs.results[name] for name in ("energy", "forces")}
        if "stress" in self.pairs.results:
            results["stress"] = self.pairs.results["stress"]
        return results


class Single(Exact):
    """In single precision: every value is rounded, at places that are."""

    def evaluate(self, atoms: Atoms) -> dict:
        atoms.positions = atoms.positions.astype(np.float32).astype(float)
        found = super().evaluate(atoms)
        return {name: np.asarray(value, np.float32).astype(float) for name, value in found.items()}


class Anisotropic(Exact):
    """Space is longer along z by a factor; conservative in all."""

    stretch = 1.001

    def evaluate(self, atoms: Atoms) -> dict:
        metric = np.array([1.0, 1.0, self.stretch])
        atoms.set_cell(np.array(atoms.cell) * metric)
        atoms.positions = atoms.positions * metric
        found = super().evaluate(atoms)
        found["forces"] = found["forces"] * metric
        found.pop("stress", None)
        return found


class Broken(Anisotropic):
    stretch = 1.5


class Field(Exact):
    """`E = a sum_i (z_i - mean z)^2`, a quadratic form: degrees 0 and 2 alone."""

    strength = 1e-3

    def evaluate(self, atoms: Atoms) -> dict:
        z = atoms.positions[:, 2] - atoms.positions[:, 2].mean()
        forces = np.zeros_like(atoms.positions)
        forces[:, 2] = -2 * self.strength * z
        return {"energy": self.strength * float(z @ z), "forces": forces}


class Half(Exact):
    """Coefficients along x, y, z were rounded to half precision."""

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        found["forces"] = found["forces"] * np.array([1.0, 1.0 + 2.0**-11, 1.0 - 2.0**-12])
        return found


class Hard(Exact):
    """The cutoff is not smooth."""

    def __init__(self, **options):
        super().__init__(**options)
        self.pairs = LennardJones(sigma=1.6, epsilon=0.3, rc=2.8, smooth=False)


class Compressed(Exact):
    """Stress has the wrong sign."""

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        return {name: -value if name == "stress" else value for name, value in found.items()}


class Blind(Exact):
    """Only the nearest image of each neighbour is seen."""

    implemented_properties = ["energy", "forces"]  # noqa: RUF012

    def evaluate(self, atoms: Atoms) -> dict:
        n = len(atoms)
        energy, forces = 0.0, np.zeros((n, 3))
        for i in range(n):
            for j in range(i):
                vector = atoms.get_distance(i, j, mic=bool(atoms.pbc.any()), vector=True)
                r = float(np.linalg.norm(vector))
                if r < CUTOFF:
                    energy += (1 - r / CUTOFF) ** 4
                    force = 4 * (1 - r / CUTOFF) ** 3 / CUTOFF * vector / r
                    forces[i] -= force
                    forces[j] += force
        return {"energy": energy, "forces": forces}


class Ordered(Exact):
    """The first atom weighs more."""

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        found["forces"] = found["forces"] * (1 + 0.01 * (np.arange(len(atoms)) == 0))[:, None]
        return found


class Anchored(Exact):
    """It matters where the origin is."""

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        found["energy"] += 0.01 * float((atoms.positions**2).sum())
        found["forces"] = found["forces"] - 0.02 * atoms.positions
        return found


class Direct(Exact):
    """Forces are equivariant, but no gradient: longer than they should be, the more the longer they are."""

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        lengths = np.linalg.norm(found["forces"], axis=1, keepdims=True)
        found["forces"] = found["forces"] * (1 + lengths / (1 + lengths))
        return found


class Chiral(Exact):
    """Left and right differ."""

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        a, b, c = (atoms.positions[k] - atoms.positions[3] for k in range(3))
        forces = np.zeros((len(atoms), 3))
        forces[0], forces[1], forces[2] = -np.cross(b, c), -np.cross(c, a), -np.cross(a, b)
        forces[3] = -forces[:3].sum(0)
        return {"energy": found["energy"] + float(np.linalg.det([a, b, c])), "forces": found["forces"] + forces}


class Random(Exact):
    """The same input does not give the same result."""

    generator = np.random.default_rng(0)
    noise = 1e-9

    def evaluate(self, atoms: Atoms) -> dict:
        factor = 1 + self.noise * self.generator.standard_normal()
        return {name: factor * np.asarray(value) for name, value in super().evaluate(atoms).items()}


class Dice(Random):
    noise = 1e-3


class Energies(Exact):
    """No forces."""

    implemented_properties = ["energy"]  # noqa: RUF012

    def evaluate(self, atoms: Atoms) -> dict:
        return {"energy": super().evaluate(atoms)["energy"]}


class Moving(Exact):
    """It changes what it is given."""

    def calculate(self, atoms: Atoms | None = None, properties=("energy",), system_changes=all_changes) -> None:
        super().calculate(atoms, properties, system_changes)
        if atoms is not None:
            atoms.positions += 1.0


class NotANumber(Exact):
    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        found["forces"][0, 0] = np.nan
        return found


class Refusing(Exact):
    """It does not know iron."""

    def evaluate(self, atoms: Atoms) -> dict:
        if "Fe" in atoms.get_chemical_symbols():
            raise RuntimeError("no parameters of Fe")
        return super().evaluate(atoms)


class Dipole(Exact):
    """With a dipole moment, of charges that depend on the number of the element, and a polarizability."""

    implemented_properties = ["energy", "forces", "dipole", "polarizability"]  # noqa: RUF012
    spoil = 0.0

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        charges = atoms.numbers - atoms.numbers.mean()
        places = atoms.positions - atoms.positions.mean(0)
        polarizability = places.T @ places
        polarizability[0, 1] *= 1 + self.spoil
        results = {**found, "dipole": charges @ atoms.positions, "polarizability": polarizability}
        return {name: results[name] for name in self.implemented_properties}


class Skew(Dipole):
    """The polarizability is wrong in one component."""

    spoil = 1e-3


class Square(Exact):
    """The stress is a matrix, as CHGNet's is."""

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        return {name: voigt_6_to_full_3x3_stress(v) if name == "stress" else v for name, v in found.items()}


class Summed(Exact):
    """Large energies of the atoms are added one by one in single precision, and the rest at the end."""

    constant = np.float32(-4.4567)

    def evaluate(self, atoms: Atoms) -> dict:
        found = super().evaluate(atoms)
        total = np.float32(0)
        for _ in atoms:
            total += self.constant
        return {**found, "energy": float(total + np.float32(found["energy"]))}
