"""Exact, O(3)-equivariant factors of Gaunt tensors from cubature rules on the sphere.

Let L1, L2, L3 be the largest degrees of x, y and z. With points q and weights w_q of a rule that integrates all
polynomials of degree `t = L1 + L2 + L3` exactly (3L for the paper's features),

    T[k, i, j] = sum_q w_q Y_k(q) Y_i(q) Y_j(q) = mean of Y_k Y_i Y_j over the sphere,

which is equivariant because the mean over the sphere is invariant. R is the number of points. All paths with `l1 + l2 +
l3` even are alive, with weights `sqrt((2 l1+1)(2 l2+1)(2 l3+1)) (l1 l2 l3; 0 0 0)` up to signs (harmonics of component
normalisation): the 3j symbol at m = 0 vanishes for odd sums only. Rotations and inversion both are symmetries: this is
the product of MACE- and NequIP-like networks.

Antisymmetric paths. On the tangent plane at q with orthonormal basis (e_1, e_2), the Poisson bracket `q . (grad f x
grad g) = d_1 f d_2 g - d_2 f d_1 g` is an equivariant product whose paths have odd `l1 + l2 + l3`, and a polynomial of
degree below that of `f g`, so the same rule gives it two terms per point. Both together make all paths alive with `R =
3 N`. The weights of the bracket are, up to signs, those above times `sqrt(l1 (l1+1) l2 (l2+1))`, with the 3j symbol
at m = (1, -1, 0): in spin-weighted harmonics d_1 + i d_2 takes Y_l to `sqrt(l (l+1))` times the one of spin 1, and the
bracket is the part of `(d_1 - i d_2) f (d_1 + i d_2) g` that is odd in the exchange of the spins, which odd sums alone
have.

How few points. A rule of N points has 3N unknowns for `(t+1)^2` conditions, less 3 rotations: `N >= ((t+1)^2 + 3) / 3`
for rules without symmetry. Invariance under a finite group (Sobolev) counts invariant conditions and orbits instead.
Pairs of antipodes integrate odd polynomials to zero by themselves. For odd t that leaves the even degrees up to t - 1,
`t (t+1) / 2` conditions for N / 2 pairs of 3 unknowns, hence `N >= (t (t+1) + 6) / 3`: 82 instead of 87 at t = 15, 156
instead of 163 at t = 21. For even t it loses. `RULES` holds the recipe of one rule per degree, found by Gauss-Newton on
the moments; all weights turned out positive:

    degree t       3    5    6    7    8    9   12   15   18   21   24
    points         6   12   18   22   28   32   58   82  122  156  210
    Lebedev's      6   14   26   26   38   38   86   86  146  170  302   (the least strong enough with positive weights)

The first is the octahedron, the second the icosahedron, the sixth the icosahedron and its dual (classical). That of
degree 7 has 11 pairs, no more than the sixth powers whose sum is `(x^2 + y^2 + z^2)^3` (Reznick). With more symmetry
than the inversion counting allows no fewer: mirrors and axes included, 82 and 156 are the least for all groups of
`symmetry.py`.

Sources: Lebedev, Zh. Vychisl. Mat. Mat. Fiz. 16 (1976) 293; McLaren, Math. Comp. 17 (1963) 361; Reznick, Mem. AMS 463
(1992); Hardin and Sloane, Discrete Comput. Geom. 15 (1996) 429; Ahrens and Beylkin, Proc. R. Soc. A 465 (2009) 3103.
The rules of degrees 6 to 8 and from 12 on were computed here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from math import prod
from types import MappingProxyType
from typing import Literal

import numpy as np
from jaxtyping import Float, Int
from scipy.spatial.transform import Rotation

from tdn_theory.coupling import Coupling
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.symmetry import action, group
from tdn_theory.extras import named
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.so3.irreps import Irreps, Path, check_degree
from tdn_theory.so3.rotation import generators


@dataclass(frozen=True, eq=False)
class CubatureRule:
    """A rule on the unit sphere, invariant under a finite group, for means over the sphere.

    Attributes:
        degree: Degree of the polynomials it integrates exactly.
        group: Name of the group, see `symmetry.group`.
        seeds: One point of each orbit, unit vectors.
        seed_weights: Weight of each point of the orbit.

    Raises:
        ValueError: A seed is not a unit vector.
    """

    degree: int
    group: str
    seeds: Float[np.ndarray, "orbits 3"]
    seed_weights: Float[np.ndarray, " orbits"]

    def __post_init__(self) -> None:
        off = np.abs(np.linalg.norm(self.seeds, axis=1) - 1)
        if off.max(initial=0.0) > 1e-12:
            raise ValueError(f"seed {int(off.argmax())} is off the sphere by {off.max():.1e}; divide it by its length")

    def __repr__(self) -> str:
        """Number of points and degree."""
        return f"CubatureRule({len(self.points)} points, degree {self.degree}, {self.group})"

    def orbit(self, number: int) -> Float[np.ndarray, "n 3"]:
        """Points of one orbit."""
        points: list[np.ndarray] = []
        for element in group(self.group).elements:
            point = element.matrix @ self.seeds[number]
            if all(np.abs(point - other).max() > 1e-6 for other in points):
                points.append(point)
        return np.array(points)

    @property
    def points(self) -> Float[np.ndarray, "N 3"]:
        """All points, orbit by orbit."""
        return np.concatenate([self.orbit(o) for o in range(len(self.seeds))])

    @property
    def weights(self) -> Float[np.ndarray, " N"]:
        """Their weights, which sum to 1."""
        return np.concatenate([np.full(len(self.orbit(o)), w) for o, w in enumerate(self.seed_weights)])

    @property
    def defect(self) -> float:
        """Largest error of a mean of an orthonormal harmonic of degree at most `degree`."""
        harmonics = spherical_harmonics(self.degree, self.points, "component")
        moments = self.weights @ harmonics
        moments[0] -= 1
        return float(np.abs(moments).max())


def lebedev(degree: int) -> CubatureRule:
    """The Lebedev rule of this odd degree, from scipy, by its orbits under the octahedral group.

    Raises:
        ValueError: scipy has no such rule.
    """
    from scipy.integrate import lebedev_rule

    try:
        points, weights = lebedev_rule(degree)
    except (ValueError, NotImplementedError) as error:
        raise ValueError(
            f"no Lebedev rule of degree {degree!r}; degrees are odd: 3, 5, ..., 31, then 35, 41, ..."
        ) from error
    rule = CubatureRule(degree, "O*i", points.T, weights / weights.sum())
    left, seeds = list(range(len(rule.seeds))), []
    while left:
        seeds.append(left[0])
        orbit = rule.orbit(left[0])
        left = [n for n in left if np.abs(orbit - rule.seeds[n]).max(axis=1).min() > 1e-6]
    return CubatureRule(degree, "O*i", rule.seeds[seeds], rule.seed_weights[seeds])


@dataclass(frozen=True)
class Recipe:
    """How a rule is found: Gauss-Newton from a random start.

    Attributes:
        group: Group of the rule.
        generic: Number of orbits of full length.
        special: One point of each orbit whose position the group fixes.
        seed: Seed of the start.
    """

    group: str
    generic: int
    special: tuple[tuple[float, float, float], ...]
    seed: int


GOLDEN = (1 + 5**0.5) / 2
RULES: dict[int, Recipe] = {
    3: Recipe("O*i", 0, ((1, 0, 0),), 0),
    5: Recipe("T*i", 0, ((0, 1, GOLDEN),), 0),
    6: Recipe("C1", 18, (), 0),
    7: Recipe("C1*i", 11, (), 0),
    8: Recipe("C1", 28, (), 0),
    9: Recipe("T*i", 0, ((1, 1, 1), (0, 1, GOLDEN), (0, GOLDEN, 1 / GOLDEN)), 0),
    12: Recipe("C1", 58, (), 1),
    15: Recipe("C1*i", 41, (), 2),
    18: Recipe("D2", 30, ((0, 0, 1),), 1),
    21: Recipe("C1*i", 78, (), 7),
    24: Recipe("D2", 52, ((0, 0, 1),), 1),
}
"""Recipes by degree."""


@lru_cache(maxsize=16)
def rule(degree: int) -> CubatureRule:
    """The rule of this degree or more with the fewest points known to the package, computed by its recipe.

    Raises:
        ValueError: There is no recipe.

    >>> rule(6)
    CubatureRule(18 points, degree 6, C1)
    """
    strong = [known for known in RULES if known >= check_degree(degree, "degree")]
    if not strong:
        raise ValueError(f"no recipe for degree {degree}; the highest is {max(RULES)}, and lebedev(degree) has more")
    return find_rule(min(strong), RULES[min(strong)])


def find_rule(degree: int, recipe: Recipe, iterations: int = 400) -> CubatureRule:
    """Solve the invariant moment equations by Levenberg-Marquardt.

    Unknowns are the relative changes of the weights, and a rotation vector for each seed. Rotating a point by omega
    changes its harmonics by `omega . X Y`, X the generators. Directions that break a point's own symmetry do not change
    invariant moments to first order, so damping leaves special points where they are.

    Raises:
        ValueError: The iterations did not converge: no such rule near this start; try another seed, or more points.
    """
    whole = group(recipe.group)
    rng = np.random.default_rng(recipe.seed)
    generic = rng.normal(size=(recipe.generic, 3))
    seeds = np.concatenate([generic, np.array(recipe.special, float).reshape(-1, 3)])
    seeds /= np.linalg.norm(seeds, axis=1, keepdims=True)
    start = CubatureRule(degree, recipe.group, seeds, np.ones(len(seeds)))
    lengths = np.array([len(start.orbit(o)) for o in range(len(seeds))], float)
    weights = rng.uniform(0.5, 1.5, len(seeds)) / lengths.sum()
    average = np.mean([action(degree, e.matrix) for e in whole.elements], axis=0)
    values, vectors = np.linalg.eigh((average + average.T) / 2)
    invariant = vectors[:, values > 0.5]
    target = invariant[0]
    X = generators(degree)
    moving = recipe.generic

    def moments(seeds: np.ndarray, weights: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        harmonics = spherical_harmonics(degree, seeds, "norm")
        return invariant.T @ (harmonics.T @ (lengths * weights)) - target, harmonics

    defect, harmonics = moments(seeds, weights)
    damping = 1e-2
    for _ in range(iterations):
        columns = [(invariant.T @ harmonics.T) * (lengths * weights)]
        if moving:
            turned = np.einsum("aij,qj->aqi", X, harmonics[:moving])
            turned = np.einsum("ie,aqi->eqa", invariant, turned) * (lengths * weights)[:moving, None]
            columns.append(turned.reshape(len(defect), -1))
        jacobian = np.hstack(columns)
        normal = jacobian.T @ jacobian
        while damping < 1e8:
            step = -np.linalg.solve(normal + damping * np.diag(np.diag(normal) + 1e-12), jacobian.T @ defect)
            new_weights = weights * (1 + np.clip(step[: len(weights)], -0.9, 5))
            new_seeds = seeds.copy()
            if moving:
                new_seeds[:moving] = Rotation.from_rotvec(step[len(weights) :].reshape(moving, 3)).apply(seeds[:moving])
                new_seeds /= np.linalg.norm(new_seeds, axis=1, keepdims=True)
            trial, new_harmonics = moments(new_seeds, new_weights)
            if trial @ trial < defect @ defect:
                seeds, weights, defect, harmonics = new_seeds, new_weights, trial, new_harmonics
                damping = max(damping / 4, 1e-14)
                break
            damping *= 4
        if damping >= 1e8:
            break
    found = CubatureRule(degree, recipe.group, seeds, weights)
    if found.defect > 1e-12:
        raise ValueError(f"no rule of degree {degree} found from {recipe}; try another seed, or more points")
    return found


def gaunt(coupling: int | str | Coupling, rule: CubatureRule) -> CPFactors:
    """Factors of the mean of `Y_k Y_i Y_j` (harmonics of component normalisation), one term per point.

    Args:
        coupling: Degrees of z, x and y; L for the paper's features.
        rule: The rule.

    Raises:
        ValueError: The degree of the rule is below the sum of the largest degrees of x, y and z.
    """
    coupling = _strong_enough(coupling, rule)
    harmonics = spherical_harmonics(_highest(coupling), rule.points, "component").T
    z, x, y = (harmonics[_components(irreps)] for irreps in coupling.modes)
    return CPFactors(z * rule.weights, x, y)


def bracket(coupling: int | str | Coupling, rule: CubatureRule) -> CPFactors:
    """Factors of the mean of `Y_k {Y_i, Y_j}`, the Poisson bracket on the sphere, two terms per point.

    Args:
        coupling: Degrees of z, x and y; L for the paper's features.
        rule: The rule.

    Raises:
        ValueError: The degree of the rule is below the sum of the largest degrees of x, y and z.
    """
    coupling = _strong_enough(coupling, rule)
    harmonics, first, second = _tangential(_highest(coupling), rule.points)
    z, x, y = (_components(irreps) for irreps in coupling.modes)
    out = harmonics[z] * rule.weights
    return CPFactors(np.hstack([out, -out]), np.hstack([first[x], second[x]]), np.hstack([second[y], first[y]]))


@lru_cache(maxsize=16)
def gaunt_weights(coupling: int | str | Coupling) -> Mapping[Path, float]:
    """`|w_p|` of `gaunt` in closed form (module docstring), for the paths whose weight is not zero: the even ones.

    The symbol is computed exactly, and the weight rounded to float64.

    >>> [tuple(path) for path in gaunt_weights(1)]
    [(0, 0, 0), (1, 1, 0), (0, 1, 1), (1, 0, 1)]
    """
    with named():
        from sympy import sqrt
        from sympy.physics.wigner import wigner_3j

    known = Coupling.of(coupling).complete.paths
    exact = {p: sqrt(prod(2 * l + 1 for l in p.degrees)) * wigner_3j(*p.degrees, 0, 0, 0) for p in known}
    return MappingProxyType({path: abs(float(weight)) for path, weight in exact.items() if weight != 0})


@lru_cache(maxsize=16)
def bracket_weights(coupling: int | str | Coupling) -> Mapping[Path, float]:
    """`|w_p|` of `bracket` in closed form (module docstring), for the paths whose weight is not zero.

    The symbol is computed exactly, and the weight rounded to float64.

    >>> [tuple(path) for path in bracket_weights(1)]
    [(1, 1, 1)]
    """
    with named():
        from sympy import sqrt
        from sympy.physics.wigner import wigner_3j

    def squared_factors(path: Path) -> int:
        return path.l1 * (path.l1 + 1) * path.l2 * (path.l2 + 1) * prod(2 * l + 1 for l in path.degrees)

    odd = [path for path in Coupling.of(coupling).complete.paths if not path.even]
    exact = {p: sqrt(squared_factors(p)) * wigner_3j(*p.degrees, 1, -1, 0) for p in odd}
    return MappingProxyType({path: abs(float(weight)) for path, weight in exact.items() if weight != 0})


def _tangential(
    lmax: int, points: Float[np.ndarray, "N 3"]
) -> tuple[Float[np.ndarray, "d N"], Float[np.ndarray, "d N"], Float[np.ndarray, "d N"]]:
    """Harmonics, and their derivatives along an oriented orthonormal basis of each tangent plane."""
    harmonics = spherical_harmonics(lmax, points, "component").T
    # rounded, so that components that are equal but for rounding choose the same axis on every machine
    helper = np.eye(3)[np.argmin(np.round(np.abs(points), 6), axis=1)]
    first = np.cross(points, helper)
    first /= np.linalg.norm(first, axis=1, keepdims=True)
    second = np.cross(points, first)
    # moving q along e turns it about q x e
    along = np.einsum("aij,jq->aiq", generators(lmax), harmonics)
    d1 = np.einsum("aiq,qa->iq", along, np.cross(points, first))
    d2 = np.einsum("aiq,qa->iq", along, np.cross(points, second))
    return harmonics, d1, d2


def _components(irreps: Irreps) -> Int[np.ndarray, " d"]:
    """Where the components of these irreps are among harmonics of all degrees."""
    return np.concatenate([np.arange(irrep.l**2, (irrep.l + 1) ** 2) for irrep in irreps])


def _highest(coupling: Coupling) -> int:
    return max(irrep.l for irreps in coupling.modes for irrep in irreps)


def _strong_enough(coupling: int | str | Coupling, rule: CubatureRule) -> Coupling:
    coupling = Coupling.of(coupling)
    if rule.degree < product_degree(coupling):
        raise ValueError(
            f"{rule} is too weak for {coupling.label}: products of three harmonics need degree "
            f"{product_degree(coupling)}"
        )
    return coupling


def product_degree(coupling: Coupling) -> int:
    """Degree of the products `Y_k Y_i Y_j`: the sum of the largest degrees of x, y and z."""
    return sum(max(irrep.l for irrep in irreps) for irreps in coupling.modes)


def cubature(coupling: int | str | Coupling, paths: Literal["even", "all"] = "even") -> CPFactors:
    """Exact factors from the smallest rule: even paths with N terms, or all paths with 3N.

    Args:
        coupling: Degrees of z, x and y; L for the paper's features.
        paths: Which paths are to be alive.

    Raises:
        ValueError: There is no recipe for this degree, or `paths` is neither `"even"` nor `"all"`.

    >>> cubature(1), cubature(1, "all"), cubature("0e+1o+2e x 0e+1o+2e+3o -> 0e+1o+2e")
    (CPFactors(R=6, d=4), CPFactors(R=18, d=4), CPFactors(R=22, 9 x 16 -> 9))
    """
    if paths not in ("even", "all"):
        raise ValueError(f"paths is {paths!r}; it must be 'even' or 'all'")
    coupling = Coupling.of(coupling)
    smallest = rule(product_degree(coupling))
    even = gaunt(coupling, smallest)
    if paths == "even":
        return even
    odd = bracket(coupling, smallest)
    return CPFactors(*(np.hstack([getattr(even, name), getattr(odd, name)]) for name in "ABC"))
