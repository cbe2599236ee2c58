"""Finite symmetries of coupling tensors, and the orbits of rank-one terms under them.

An element is a pair (orthogonal 3x3 matrix Q, permutation p of the modes k, i, j). It acts on a term `v_0 o v_1 o v_2`
as

    v'_m = D(Q) v_p(m),        D(-R) = (-1)^l D(R) on degree l,

and leaves an equivariant tensor with weights invariant under p alone if `det Q = sign p`, because exchanging two modes
of a path tensor multiplies it by `(-1)^(l1+l2+l3)`; tensors of even paths alone are invariant under all pairs. A sum
over an orbit of terms is an invariant tensor. The orbit is shorter than the group when the term has a stabiliser S: the
vectors of its representative then lie in

    { (v_0, v_1, v_2) : D(Q) v_p(m) = chi_m v_m  for the generators of S },     chi_0 chi_1 chi_2 = 1,  chi_m = +-1,

a linear space, one per choice of the signs.

Modes that are exchanged must have the same irreps; the others may have any. A term is one vector, v_0, v_1 and v_2 one
after the other, of n = d3 + d1 + d2 components, and an element acts on it as a matrix.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import product
from typing import NamedTuple

import numpy as np
from jaxtyping import Float
from scipy.spatial.transform import Rotation

from tdn_theory.so3.irreps import Irrep, Irreps, irreps_dim
from tdn_theory.so3.rotation import representation

Permutation = tuple[int, int, int]
IDENTITY: Permutation = (0, 1, 2)
CYCLE: Permutation = (1, 2, 0)
SWAP: Permutation = (0, 2, 1)
TRANSPOSITION: Permutation = (1, 0, 2)


class Element(NamedTuple):
    """An orthogonal matrix together with a permutation of the modes."""

    matrix: Float[np.ndarray, "3 3"]
    permutation: Permutation

    def after(self, other: Element) -> Element:
        """The product: first `other`, then this one."""
        a, b, c = (other.permutation[m] for m in self.permutation)
        return Element(self.matrix @ other.matrix, (a, b, c))


def mode_action(irreps: Irreps, matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "d d"]:
    """`D(Q)` on a list of irreps; the inversion is the parity, or `(-1)^l` for irreps that have none."""
    return representation(tuple(Irrep(irrep.l, irrep.parity or (-1) ** irrep.l) for irrep in irreps), matrix)


def action(lmax: int, matrix: Float[np.ndarray, "3 3"]) -> Float[np.ndarray, "d d"]:
    """`mode_action` on degrees 0..L."""
    return mode_action(tuple(Irrep(l) for l in range(lmax + 1)), matrix)


def _turn(axis: Sequence[float], order: int) -> Float[np.ndarray, "3 3"]:
    unit = np.array(axis) / np.linalg.norm(axis)
    return Rotation.from_rotvec(2 * np.pi / order * unit).as_matrix()


GOLDEN = (1 + np.sqrt(5)) / 2
_ROTATIONS = {
    "C1": [],
    "C2": [((0, 0, 1), 2)],
    "C3": [((1, 1, 1), 3)],
    "C4": [((0, 0, 1), 4)],
    "C5": [((0, 1, GOLDEN), 5)],
    "D2": [((0, 0, 1), 2), ((1, 0, 0), 2)],
    "D3": [((1, 1, 1), 3), ((1, -1, 0), 2)],
    "D4": [((0, 0, 1), 4), ((1, 0, 0), 2)],
    "D5": [((0, 1, GOLDEN), 5), ((1, 0, 0), 2)],
    "T": [((0, 0, 1), 2), ((1, 1, 1), 3)],
    "O": [((0, 0, 1), 4), ((1, 1, 1), 3)],
    "I": [((0, 0, 1), 2), ((1, 1, 1), 3), ((0, 1, GOLDEN), 5)],
}
_E = np.eye(3)
_EXTENSIONS: dict[str, list[Element]] = {
    "": [],
    "Z3": [Element(_E, CYCLE)],
    "Z2": [Element(-_E, SWAP)],
    "S3": [Element(_E, CYCLE), Element(-_E, SWAP)],
    "i": [Element(-_E, IDENTITY)],
    "t": [Element(_E, TRANSPOSITION)],
}


@dataclass(frozen=True, eq=False)
class Group:
    """A finite group of elements.

    Attributes:
        name: A rotation group and an extension, see `group`.
        elements: All elements, the identity first.
    """

    name: str
    elements: tuple[Element, ...]

    def __repr__(self) -> str:
        """Name and order."""
        return f"Group({self.name}, {len(self.elements)} elements)"

    def __len__(self) -> int:
        return len(self.elements)

    @cached_property
    def table(self) -> np.ndarray:
        """`table[a, b]` is the index of `elements[a].after(elements[b])`."""
        keys = {_key(e): n for n, e in enumerate(self.elements)}
        return np.array([[keys[_key(a.after(b))] for b in self.elements] for a in self.elements])

    def closure(self, generators: Sequence[int]) -> frozenset[int]:
        """Indices of the subgroup that some elements generate."""
        found, new = {0}, {0}
        while new:
            new = {int(self.table[g, x]) for g in generators for x in new} - found
            found |= new
        return frozenset(found)

    @cached_property
    def subgroups(self) -> tuple[tuple[frozenset[int], tuple[int, ...]], ...]:
        """Subgroups of at most two generators up to conjugacy, each with generators."""
        inverse = np.argmax(self.table == 0, axis=1)
        seen: set[frozenset[int]] = set()
        result = []
        for a in range(len(self)):
            for b in range(a + 1):
                subgroup = self.closure((a, b))
                if subgroup in seen:
                    continue
                seen |= {
                    frozenset(int(self.table[self.table[g, s], inverse[g]]) for s in subgroup) for g in range(len(self))
                }
                result.append((subgroup, tuple({a, b} - {0})))
        return tuple(sorted(result, key=lambda s: len(s[0])))

    def invariants(self, lmax: int) -> int:
        """Dimension of the G-invariant tensors of shape (d, d, d), by characters."""
        return round(sum(_character(lmax, e) for e in self.elements) / len(self))


def _key(element: Element) -> tuple[int, ...]:
    return (*element.permutation, *np.rint(element.matrix.ravel() * 1e6).astype(int).tolist())


def _character(lmax: int, element: Element) -> float:
    """Trace on tensors: a cycle of n modes contributes `tr D^n`."""
    matrix = action(lmax, element.matrix)
    fixed = sum(element.permutation[m] == m for m in range(3))
    trace = float(np.trace(matrix))
    if fixed == 3:
        return trace**3
    if fixed == 1:
        return trace * float(np.trace(matrix @ matrix))
    return float(np.trace(matrix @ matrix @ matrix))


@lru_cache(maxsize=64)
def group(name: str) -> Group:
    """A group by name: a rotation group, `*` and an extension, e.g. `"T*Z3"`.

    Rotation groups are C1 .. C5, D2 .. D5, T, O, I. Extensions: `Z3` cyclic exchange of the modes, `Z2` exchange of the
    inputs with inversion, `S3` both, `i` inversion of all modes (even paths), `t` exchange of the output and the first
    input (even paths). With `~` instead of `*`, the threefold rotations of C3 or T come with a cyclic exchange of the
    modes and the others without.

    Raises:
        ValueError: There is no such group.

    >>> group("T*Z3")
    Group(T*Z3, 36 elements)
    """
    twisted = "~" in name
    base, _, extension = name.replace("~", "*").partition("*")
    if base not in _ROTATIONS or extension not in _EXTENSIONS or (twisted and base not in ("C3", "T")):
        raise ValueError(
            f"no group {name!r}; it is one of {sorted(_ROTATIONS)}, then '*' and one of "
            f"{sorted(filter(None, _EXTENSIONS))}; "
            "'C3~' and 'T~' tie threefold rotations to the cyclic exchange of the modes"
        )
    generators = [
        Element(_turn(axis, order), CYCLE if twisted and order == 3 else IDENTITY) for axis, order in _ROTATIONS[base]
    ] + _EXTENSIONS[extension]
    found: dict[tuple[int, ...], Element] = {}
    new = [Element(_E, IDENTITY)]
    while new:
        found |= {_key(e): e for e in new}
        new = [e for e in (g.after(x) for g in generators for x in new) if _key(e) not in found]
    return Group(name, tuple(found.values()))


@dataclass(frozen=True, eq=False)
class OrbitType:
    """Terms with a common stabiliser: what their representative may be, and how it spreads.

    Attributes:
        name: Stabiliser and signs.
        basis: Orthonormal basis of the representative's space, shape (n, m).
        spread: Images of the basis under representatives of the cosets, one for each term of the orbit.
        scalings: Number of scalings of the three vectors that change nothing.
    """

    name: str
    basis: Float[np.ndarray, "n m"]
    spread: Float[np.ndarray, "terms n m"]
    scalings: int

    def __repr__(self) -> str:
        """Length and freedom."""
        return f"OrbitType({self.name}, length {self.length}, freedom {self.freedom})"

    @property
    def length(self) -> int:
        """Number of terms."""
        return len(self.spread)

    @property
    def freedom(self) -> int:
        """Number of essential unknowns."""
        return self.basis.shape[1] - self.scalings


def term_action(modes: tuple[Irreps, Irreps, Irreps], element: Element) -> Float[np.ndarray, "n n"]:
    """The matrix of an element on the vectors of a term, one after the other.

    Args:
        modes: Irreps of the modes k, i, j.
        element: The element.

    Raises:
        ValueError: It exchanges modes of different irreps.
    """
    ends = np.cumsum([0, *map(irreps_dim, modes)])
    result = np.zeros((ends[-1], ends[-1]))
    for mode, source in enumerate(element.permutation):
        if modes[mode] != modes[source]:
            names = " and ".join("+".join(map(str, modes[m])) for m in (mode, source))
            raise ValueError(f"the group exchanges modes of {names}, which differ; use a group that does not")
        rows, columns = (slice(ends[m], ends[m + 1]) for m in (mode, source))
        result[rows, columns] = mode_action(modes[mode], element.matrix)
    return result


@lru_cache(maxsize=32)
def orbit_types(name: str, modes: tuple[Irreps, Irreps, Irreps]) -> tuple[OrbitType, ...]:
    """All orbit types of the group `name` on terms of these modes, ordered by length.

    Args:
        name: A group, see `group`.
        modes: Irreps of the modes k, i, j, as `Coupling.modes`.

    Raises:
        ValueError: There is no such group, or it exchanges modes of different irreps.
    """
    whole = group(name)
    dims = list(map(irreps_dim, modes))
    actions = [term_action(modes, element) for element in whole.elements]
    signs = [s for s in product((1, -1), repeat=3) if s[0] * s[1] * s[2] == 1]
    result = []
    for number, (subgroup, generators) in enumerate(whole.subgroups):
        seen: list[np.ndarray] = []
        for choice in product(signs, repeat=len(generators)):
            constraints = [np.zeros((0, sum(dims)))]
            constraints += [
                actions[index] - np.diag(np.repeat(chi, dims)) for index, chi in zip(generators, choice, strict=True)
            ]
            _, singular, right = np.linalg.svd(np.vstack(constraints), full_matrices=True)
            null = right[np.sum(singular > 1e-8) :].T
            vectors = np.split(null, np.cumsum(dims)[:2])
            if null.shape[1] == 0 or min(map(np.linalg.norm, vectors)) < 1e-8:
                continue
            projector = null @ null.T
            if any(np.abs(projector - other).max() < 1e-8 for other in seen):
                continue
            seen.append(projector)
            cosets, covered = [], set[int]()
            for g in range(len(whole)):
                if g not in covered:
                    cosets.append(g)
                    covered |= {int(whole.table[g, s]) for s in subgroup}
            spread = np.stack([actions[g] @ null for g in cosets])
            moved = {frozenset((m, p)) for s in subgroup for m, p in enumerate(whole.elements[s].permutation) if m != p}
            scalings = {0: 2, 1: 1}.get(len(moved), 0)
            label = "".join("+" if c == 1 else "-" for chi in choice for c in chi)
            result.append(OrbitType(f"S{number}{label}", null, spread, scalings))
    return tuple(sorted(result, key=lambda o: o.length))
