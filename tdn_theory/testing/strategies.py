"""Hypothesis strategies: degrees, paths, rotations, vectors, features, couplings, tensors.

Every edge case that breaks equivariant code has a branch of its own: rotations about the poles, half turns, turns by
almost nothing, the zero vector, vectors along an axis, tiny and huge vectors, path weights that vanish.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from itertools import permutations, product
from typing import Any

import hypothesis.extra.numpy as hnp
import hypothesis.strategies as st
import numpy as np
from scipy.spatial.transform import Rotation

from tdn_theory.coupling import NORMALIZATIONS, Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.data.structure import LABELS, Structure
from tdn_theory.so3 import irreps
from tdn_theory.so3.irreps import Irrep
from tdn_theory.testing.assertions import annotations_unchecked

Draw = Callable[..., Any]
"""`hypothesis.strategies.DrawFn`, of which checkers of annotations cannot tell at run time whether something is one."""


def lmaxes(min_value: int = 0, max_value: int = 4) -> st.SearchStrategy[int]:
    """Maximal degrees L."""
    return st.integers(min_value, max_value)


def paths(max_degree: int = 4) -> st.SearchStrategy[irreps.Path]:
    """Admissible paths l1 x l2 -> l3."""
    return st.sampled_from(irreps.paths(max_degree))


def seeds() -> st.SearchStrategy[int]:
    """Seeds of random generators."""
    return st.integers(0, 2**32 - 1)


def axes() -> st.SearchStrategy[np.ndarray]:
    """Unit vectors, the coordinate axes among them."""
    general = hnp.arrays(float, 3, elements=st.floats(-1, 1)).filter(lambda v: np.linalg.norm(v) > 1e-3)
    return st.one_of(
        st.sampled_from([sign * axis for axis in np.eye(3) for sign in (1.0, -1.0)]),
        general.map(lambda v: v / np.linalg.norm(v)),
    )


def angles() -> st.SearchStrategy[float]:
    """Rotation angles: any, quarter and half turns, almost nothing, almost a half turn."""
    return st.one_of(
        st.floats(-np.pi, np.pi),
        st.sampled_from([0.0, np.pi / 2, np.pi]),
        st.integers(3, 16).map(lambda n: 10.0**-n),
        st.integers(3, 16).map(lambda n: np.pi - 10.0**-n),
    )


def rotations() -> st.SearchStrategy[np.ndarray]:
    """Rotation matrices: the 24 of the cube (exact in floats), about the coordinate axes, half turns, tiny, general."""
    return st.one_of(
        st.sampled_from(CUBE_ROTATIONS),
        axes().map(lambda n: 2 * np.outer(n, n) - np.eye(3)),
        st.tuples(axes(), angles()).map(lambda pair: Rotation.from_rotvec(pair[1] * pair[0]).as_matrix()),
    )


def quaternions(bound: int = 4) -> st.SearchStrategy[tuple[int, int, int, int]]:
    """Nonzero integer quaternions, which stand for the rational rotations."""
    component = st.integers(-bound, bound)
    return st.tuples(component, component, component, component).filter(any)


def vectors() -> st.SearchStrategy[np.ndarray]:
    """Vectors of space: zero, along an axis, tiny, huge, general."""
    general = hnp.arrays(float, 3, elements=st.floats(-10, 10))
    return st.one_of(st.just(np.zeros(3)), nonzero_vectors(), general)


def nonzero_vectors() -> st.SearchStrategy[np.ndarray]:
    """Vectors with a direction, of lengths 1e-200 to 1e200."""
    length = st.one_of(st.floats(0.1, 10), st.sampled_from([1e-200, 1e-9, 1e9, 1e200]))
    return st.tuples(axes(), length).map(lambda pair: pair[1] * pair[0])


def features(d: int) -> st.SearchStrategy[np.ndarray]:
    """Features of d components; entries are zero or large enough for their squares not to underflow."""
    return hnp.arrays(float, d, elements=st.floats(-10, 10).map(lambda x: x if abs(x) > 1e-100 else 0.0))


def cube(lmax: int) -> tuple[int, int, int]:
    """Shape of the tensors of the paper's features."""
    d = irreps.dim(lmax)
    return d, d, d


def tensors(shape: tuple[int, int, int]) -> st.SearchStrategy[np.ndarray]:
    """Tensors without any symmetry, normally distributed."""
    return seeds().map(lambda seed: np.random.default_rng(seed).standard_normal(shape))


def weights(count: int) -> st.SearchStrategy[tuple[float, ...]]:
    """Path weights, some of them zero; zero weights are exact, all others at least 1e-3 in magnitude."""
    weight = st.one_of(st.just(0.0), st.just(1.0), st.floats(1e-3, 3), st.floats(-3, -1e-3))
    return st.lists(weight, min_size=count, max_size=count).map(tuple)


@st.composite
def couplings(draw: Draw, max_degree: int = 2) -> Coupling:
    """Any irreps: unequal slots, with parity or without, missing degrees, copies, one scalar for a whole mode."""
    parities = st.sampled_from([1, -1]) if draw(st.booleans()) else st.just(0)
    some = st.lists(st.builds(Irrep, st.integers(0, max_degree), parities), min_size=1, max_size=3).map(tuple)
    x, y = draw(some), draw(st.one_of(some, st.builds(Irrep, st.just(0), parities).map(lambda scalar: (scalar,))))
    reached = {
        Irrep(l, a.parity * b.parity)
        for a in x
        for b in y
        for l in range(abs(a.l - b.l), a.l + b.l + 1)
        if l <= max_degree
    }
    z = draw(st.lists(st.sampled_from(sorted(reached)), min_size=1, max_size=3).map(tuple))
    z += draw(st.one_of(st.just(()), some.map(lambda list: list[:1])))  # one more, with a path or without
    modes = draw(st.sampled_from([(x, y, z), (y, x, z), (z, y, x), (x, z, y)]))  # admissible is admissible
    with annotations_unchecked():
        return Coupling(*modes)


@st.composite
def coupling_tensors(draw: Draw, min_lmax: int = 0, max_lmax: int = 3, nonzero: bool = False) -> CouplingTensor:
    """Tensors of the paper's features and of any others: all ones, even paths, random weights; both normalisations."""
    coupling = draw(st.one_of(lmaxes(min_lmax, max_lmax), couplings(min(max_lmax, 2))))
    normalization = draw(st.sampled_from(NORMALIZATIONS))
    with annotations_unchecked():  # the checker draws random numbers, which hypothesis does not allow here
        coupling = Coupling.of(coupling)
        kinds = ["ones", "weighted"] + ["even"] * (not nonzero or any(path.even for path in coupling.paths))
        kind = draw(st.sampled_from(kinds))
        known = weights(len(coupling.paths)).filter(lambda w: not nonzero or any(w))
        chosen = draw(known) if kind == "weighted" else None
        if kind == "even":
            return CouplingTensor.even(coupling, normalization)
        return CouplingTensor(coupling, chosen, normalization)


@st.composite
def group_elements(draw: Draw, coupling: Coupling) -> np.ndarray:
    """Rotations, and improper ones where the irreps have parity."""
    return (draw(st.sampled_from([1.0, -1.0])) if coupling.parity else 1.0) * draw(rotations())


def _cube_rotations() -> list[np.ndarray]:
    signed = [
        np.diag(signs) @ np.eye(3)[list(p)] for p in permutations(range(3)) for signs in product([1.0, -1.0], repeat=3)
    ]
    return [matrix for matrix in signed if np.linalg.det(matrix) > 0]


CUBE_ROTATIONS = _cube_rotations()


BOUND_EXAMPLES = 1500 if os.environ.get("TDN_FULL") == "1" else 25
"""Examples per property of a bound; with `TDN_FULL=1` all of them together exceed ten thousand."""


def factors(shape: tuple[int, int, int], max_rank: int = 12) -> st.SearchStrategy[CPFactors]:
    """Normal CP factors of tensors of a shape, of any scale, single and proportional terms among them."""

    def build(seed: int, rank: int, scale: float, repeat: bool) -> CPFactors:
        rng = np.random.default_rng(seed)
        A, B, C = (rng.standard_normal((d, rank)) for d in shape)
        if repeat:
            B[:, -1] = B[:, 0]
        return CPFactors(scale * A, B, C)

    scales = st.sampled_from([1.0, 1e-8, 1e8])
    return st.builds(build, seeds(), st.integers(1, max_rank), scales, st.booleans())


def perturbations(shape: tuple[int, int, int]) -> st.SearchStrategy[tuple[float, np.ndarray]]:
    """A multiple s, and noise of norm 1e-12 to 10: `s M + noise` is at any distance from equivariant."""
    sizes = st.sampled_from([1e-12, 1e-6, 1e-2, 1.0, 10.0])
    noises = st.tuples(tensors(shape), sizes).map(lambda pair: pair[1] * pair[0] / np.linalg.norm(pair[0]))
    return st.tuples(st.floats(-2, 2), noises)


@st.composite
def structures(draw: Draw, max_atoms: int = 5, periodic: bool | None = None, groups: int = 3) -> Structure:
    """Molecules and crystals, periodic in any directions, in small and skewed cells, with any of the labels."""
    rng = np.random.default_rng(draw(seeds()))
    n = draw(st.integers(1, max_atoms))
    pbc = np.zeros(3, bool)
    if periodic is not False:
        pbc = np.array(draw(st.tuples(*[st.booleans()] * 3).filter(lambda flags: any(flags) or periodic is None)))
    cell = None
    if pbc.any():
        lengths = rng.uniform(1.5, 4.0, 3)
        cell = lengths[:, None] * (np.eye(3) + rng.uniform(-0.3, 0.3, (3, 3)))
        cell[~pbc & (rng.random(3) < 0.5)] = 0.0
    sizes = {"energy": (), "forces": (n, 3), "stress": (3, 3), "dipole": (3,), "polarizability": (3, 3)}
    known = draw(st.sets(st.sampled_from(list(LABELS))))
    labels = {name: rng.standard_normal(sizes[name]) for name in LABELS if name in known}
    labels |= {name: labels[name] + labels[name].T for name in ("stress", "polarizability") if name in known}
    positions = draw(st.sampled_from([1.0, 5.0])) * rng.standard_normal((n, 3))
    group = f"group {draw(st.integers(0, groups - 1))}"
    with annotations_unchecked():
        return Structure(rng.choice([1, 6, 7, 8], n), positions, cell, pbc, **labels, group=group)
