"""A many-body potential of few lines, exactly equivariant whatever its weights: for benchmarks that need many models.

The neighbours of atom i within the cutoff c make moments of degrees 0, 1, 2,

    A = sum_j f(r) (1, n, n n^T),    f(r) = (1 - r/c)^4 sum_k w_k sin(k pi r / c) c / r,    n = (r_j - r_i) / r,

and the energy is `sum_i tanh(sum_l v_l |A_l|^2)`, with random w (of each degree) and v. Forces are its gradient, by
hand.
"""

from __future__ import annotations

from itertools import product

import numpy as np
from ase import Atoms
from ase.calculators.calculator import Calculator, all_changes
from jaxtyping import Float

CUTOFF = 4.0
WAVES = 4


class Moments(Calculator):
    """The potential as a calculator of ASE, for molecules and for cells that are not smaller than half the cutoff.

    Args:
        seed: Of the weights.
        dtype: In which everything is computed: `float32` or `float64`.
        stretch: Space is longer along z by a factor `1 + stretch`; zero for an equivariant one.
    """

    implemented_properties = ["energy", "forces", "stress"]  # noqa: RUF012 - as ASE has it

    def __init__(self, seed: int = 0, dtype: str = "float64", stretch: float = 0.0) -> None:
        super().__init__()
        rng = np.random.default_rng(seed)
        self.dtype = np.dtype(dtype)
        self.waves = rng.standard_normal((3, WAVES)).astype(dtype)
        self.mixture = rng.standard_normal(3).astype(dtype)
        self.metric = np.array([1.0, 1.0, 1.0 + stretch])

    def calculate(self, atoms: Atoms | None = None, properties=("energy",), system_changes=all_changes) -> None:
        """Energy, forces and the stress of what is periodic in all directions."""
        super().calculate(atoms, properties, system_changes)
        given: Atoms = self.atoms  # pyright: ignore[reportAssignmentType] # the base class has set them
        given = given.copy()
        given.wrap()  # so that three cells on every side hold all neighbours
        places = (given.positions * self.metric).astype(self.dtype)
        cell = (np.array(given.cell) * self.metric).astype(self.dtype)
        reach = [range(-3, 4) if periodic else range(1) for periodic in given.pbc]
        offsets = np.array(list(product(*reach)), self.dtype) @ cell
        vectors = places[None, :, None] + offsets[None, None] - places[:, None, None]
        lengths = np.sqrt((vectors**2).sum(-1))
        i, j, o = np.nonzero((lengths < CUTOFF) & (lengths > 1e-3))
        v, r = vectors[i, j, o], lengths[i, j, o]
        energy, gradients = self._evaluate(len(given), i, v, r)
        forces = np.zeros_like(places)
        np.add.at(forces, i, gradients)
        np.add.at(forces, j, -gradients)
        self.results = {"energy": float(energy), "forces": forces.astype(float) * self.metric}
        if given.pbc.all() and np.all(self.metric == 1):
            virial = v.T @ gradients
            self.results["stress"] = _voigt(virial.astype(float)) / given.get_volume()

    def _evaluate(
        self, n: int, i: np.ndarray, v: Float[np.ndarray, "e 3"], r: Float[np.ndarray, " e"]
    ) -> tuple[np.floating, Float[np.ndarray, "e 3"]]:
        """The energy, and its derivatives with respect to the vector of every edge."""
        unit = v / r[:, None]
        k = np.arange(1, WAVES + 1, dtype=self.dtype) * self.dtype.type(np.pi) / self.dtype.type(CUTOFF)
        waves, slopes = np.sin(r[:, None] * k), k * np.cos(r[:, None] * k)
        scale = self.dtype.type(CUTOFF)
        cut = (1 - r / scale) ** 4 * scale / r
        cut_slope = -4 * (1 - r / scale) ** 3 / r - cut / r
        f = cut[:, None] * (waves @ self.waves.T)
        df = cut_slope[:, None] * (waves @ self.waves.T) + cut[:, None] * (slopes @ self.waves.T)
        zeroth, first, second = (np.zeros((n, *shape), self.dtype) for shape in ((), (3,), (3, 3)))
        np.add.at(zeroth, i, f[:, 0])
        np.add.at(first, i, f[:, 1, None] * unit)
        np.add.at(second, i, f[:, 2, None, None] * unit[:, :, None] * unit[:, None, :])
        inside = np.stack([zeroth**2, (first**2).sum(1), (second**2).sum((1, 2))], axis=1) @ self.mixture
        outer = 2 * (1 - np.tanh(inside) ** 2)
        a0, a1, a2 = self.mixture
        turned = np.einsum("eab,eb->ea", second[i], unit)
        along = np.einsum("ea,ea->e", first[i], unit)
        twice = np.einsum("ea,ea->e", turned, unit)
        radial = a0 * zeroth[i] * df[:, 0] + a1 * along * df[:, 1] + a2 * twice * df[:, 2]
        across = a1 * f[:, 1, None] * (first[i] - along[:, None] * unit)
        across = across + 2 * a2 * f[:, 2, None] * (turned - twice[:, None] * unit)
        return np.tanh(inside).sum(), outer[i, None] * (radial[:, None] * unit + across / r[:, None])


def _voigt(matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "6"]:
    symmetric = (matrix + matrix.T) / 2
    return symmetric[[0, 1, 2, 1, 0, 0], [0, 1, 2, 2, 2, 1]]
