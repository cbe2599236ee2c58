"""Errors under rotations: their variance over SO(3), its degrees, and the worst rotation.

What a calculator says of a structure turned by R, turned back, is a function f(R) on SO(3); of an equivariant one it is
constant. Its variance is averaged over the nodes of a quadrature that is exact for the entries of D^l up to a stated
degree, so the variance of an f of half that degree is exact. The power in degree l,

    P_l = (2l+1) int int f(R) f(S) chi_l(R^-1 S) dR dS,    chi_l the character, sum over l >= 1 of P_l = Var f,

says how finely the error depends on the orientation. The nodes are turned by a random rotation from both sides, since
errors of a network are often symmetric under the rotations of the cube, as are those of the nodes.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from ase import Atoms
from jaxtyping import Float
from scipy.optimize import minimize
from scipy.spatial.transform import Rotation

from tdn_theory.audit.prediction import predict, transformed, turned_back
from tdn_theory.so3.quadrature import rotation_quadrature
from tdn_theory.so3.rotation import haar_rotations

SEARCH = 24
"""Evaluations of the search for the worst rotation."""
START = 0.3
"""Size of its first steps, radians."""


def turned_quadrature(
    degree: int, rng: np.random.Generator
) -> tuple[Float[np.ndarray, "n 3 3"], Float[np.ndarray, " n"]]:
    """Nodes of `rotation_quadrature`, turned from both sides at random, and weights."""
    nodes, weights = rotation_quadrature(degree)
    before, after = haar_rotations(2, rng)
    return before @ nodes @ after, weights


def rotation_errors(calculator: Any, atoms: Atoms, degree: int, seed: int) -> dict[str, Any]:
    """Variance over SO(3), its degrees, and the worst rotation found from the worst node.

    Args:
        calculator: Any calculator of ASE.
        atoms: A structure.
        degree: Of the quadrature.
        seed: Of its orientation.

    Returns:
        `squares`: per property, mean square over rotations and components of `f - mean f`; `powers`: of `squares`, the
        part in each degree l = 1 .. degree/2; `worst`: `rotation` at which the forces (the energy, if there are none)
        are farthest from the mean, and root mean square errors of all properties there.
    """
    nodes, weights = turned_quadrature(degree, np.random.default_rng(seed))
    values = [turned_back(predict(calculator, transformed(atoms, node)), node) for node in nodes]
    means, squares, powers = {}, {}, {}
    characters = {l: _characters(l, np.einsum("iab,jab->ij", nodes, nodes)) for l in range(1, degree // 2 + 1)}
    for name in values[0]:
        f = np.array([value[name].ravel() for value in values])
        means[name] = weights @ f
        f = f - means[name]
        squares[name] = float(weights @ (f**2).mean(1))
        gram = f @ f.T / f.shape[1]
        powers[name] = [
            max(0.0, float((2 * l + 1) * weights @ (gram * chi) @ weights)) for l, chi in characters.items()
        ]
    name = "forces" if "forces" in means else "energy"

    def errors(rotation: Float[np.ndarray, "3 3"]) -> dict[str, float]:
        found = turned_back(predict(calculator, transformed(atoms, rotation)), rotation)
        return {key: float(np.sqrt(np.mean((found[key].ravel() - means[key]) ** 2))) for key in means}

    sizes = [np.mean((value[name].ravel() - means[name]) ** 2) for value in values]
    worst = nodes[int(np.argmax(sizes))]
    best: tuple[float, np.ndarray, dict[str, float]] = (-1.0, worst, {})

    def objective(vector: np.ndarray) -> float:
        nonlocal best
        rotation = Rotation.from_rotvec(vector).as_matrix() @ worst
        found = errors(rotation)
        if found[name] > best[0]:
            best = (found[name], rotation, found)
        return -found[name] / (np.sqrt(max(sizes)) or 1.0)

    simplex = np.concatenate([np.zeros((1, 3)), START * np.eye(3)])
    minimize(objective, np.zeros(3), method="Nelder-Mead", options={"maxfev": SEARCH, "initial_simplex": simplex})
    return {"squares": squares, "powers": powers, "worst": {"rotation": best[1].tolist(), **best[2]}}


def _characters(l: int, traces: Float[np.ndarray, "n n"]) -> Float[np.ndarray, "n n"]:
    """`chi_l = 1 + 2 sum_m cos(m t)` of rotations by t, of trace `1 + 2 cos t`."""
    angle = np.arccos(np.clip((traces - 1) / 2, -1, 1))
    return 1 + 2 * np.sum([np.cos(m * angle) for m in range(1, l + 1)], axis=0)
