"""Certificates prove what is true, and nothing else."""

from dataclasses import replace

import numpy as np
import pytest

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.certificate import (
    COUPLING_ERROR,
    COUPLING_LMAX,
    ProofError,
    _exact_moments,
    _SignedAction,
    prove_cubature,
    prove_decomposition,
)
from tdn_theory.cp.constructions.cubature import GOLDEN, Recipe, find_rule, lebedev, rule
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.symmetry import group
from tdn_theory.so3 import exact
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import paths
from tests.assertions import refuses

FREE = EquivariantLevenbergMarquardt(7, symmetry="C2*Z3", orbits=("S1+--", "S2-+-", "S2--+")).solve(CouplingTensor(1))
FIXED = EquivariantLevenbergMarquardt(8, seed=1, symmetry="C2", free=False).solve(CouplingTensor(1))


def moved(factors, size):
    """Factors at a distance from the exact ones, and not exact themselves."""
    rng = np.random.default_rng(0)
    return CPFactors(*(f + size * rng.normal(size=f.shape) for f in (factors.A, factors.B, factors.C)))


def test_path_tensors_are_as_accurate_as_the_proofs_assume():
    for lmax in (1, 2, 3):
        array = np.zeros(((lmax + 1) ** 2,) * 3)
        for index, value in exact.coupling_tensor(lmax).items():
            array[index] = float(value.evalf(30))
        assert np.abs(array - CouplingTensor(lmax).array).max() + 2e-16 < COUPLING_ERROR


def test_path_tensors_of_high_degree_are_as_accurate():
    """Exchanges of modes move entries and change signs; so one order of the degrees is enough."""
    ordered = [path for path in paths(COUPLING_LMAX) if path.l1 <= path.l2 <= path.l3]
    assert max(map(largest_error, ordered)) + 2e-16 < COUPLING_ERROR


def largest_error(path):
    array = np.zeros(clebsch_gordan(*path).shape)
    for index, value in exact.clebsch_gordan(*path).items():
        array[index] = float(value.evalf(30))
    return np.abs(array - clebsch_gordan(*path)).max()


def test_no_proof_beyond_the_degrees_whose_path_tensors_are_bounded():
    with refuses(ValueError, "degree 9", "COUPLING_ERROR"):
        prove_decomposition(CPFactors(np.ones((1, 19)), np.eye(19), np.eye(19)), CouplingTensor("9 x 9 -> 0"), True)


def test_nothing_is_said_about_zeros():
    padded = CPFactors(*(np.pad(f, ((0, 0), (0, 1))) for f in (FIXED.factors.A, FIXED.factors.B, FIXED.factors.C)))
    with refuses(ProofError, "a term is zero", "leave it out"):
        prove_decomposition(padded, CouplingTensor(1), True)
    with refuses(ValueError, "is zero", "nonzero weight"):
        prove_decomposition(FIXED.factors, CouplingTensor(1, {}), True)


def test_free_weights_are_enclosed():
    certificate = prove_decomposition(FREE.factors, CouplingTensor(1), False, "C2*Z3")
    assert certificate.radius < 1e-10
    for path, weight in zip(FREE.tensor.paths, FREE.tensor.weights, strict=True):
        low, high = certificate.weights[path]
        assert 0.9 < low <= weight + 1e-14
        assert weight - 1e-14 <= high < 1.1


def test_fixed_weights_are_exact():
    certificate = prove_decomposition(FIXED.factors, CouplingTensor(1), True, "C2")
    assert certificate.radius < 1e-10
    assert set(certificate.weights.values()) == {(1.0, 1.0)}
    # no symmetry is needed here, only more equations
    assert prove_decomposition(FIXED.factors, CouplingTensor(1), True).numbers["equations"] == 64


def test_the_radius_covers_the_distance_to_the_solution():
    exact_certificate = prove_decomposition(FIXED.factors, CouplingTensor(1), True)
    start = moved(FIXED.factors, 1e-7)
    certificate = prove_decomposition(start, CouplingTensor(1), True)
    solver = EquivariantLevenbergMarquardt(8, free=False, ridge=1e-7)
    solution = solver.solve(CouplingTensor(1), start)
    gap = np.linalg.norm(
        np.stack([start.balance().A, start.balance().B, start.balance().C])
        - np.stack([solution.factors.A, solution.factors.B, solution.factors.C])
    )
    assert solution.residual < 1e-14
    assert exact_certificate.radius < gap < certificate.radius


def test_the_radius_is_that_of_the_factors_given():
    given = FIXED.factors
    scaled = CPFactors(given.A * 2.0**20, given.B / 2.0**20, given.C)  # exactly the same tensor
    balanced, unbalanced = (prove_decomposition(f, CouplingTensor(1), True).radius for f in (given, scaled))
    assert unbalanced == pytest.approx(2.0**20 * balanced, rel=0.1)  # up to roundings of the balance


@pytest.mark.parametrize("size", [1e-2, 0.3])
def test_far_from_a_solution_nothing_is_proven(size):
    with pytest.raises(ProofError):
        prove_decomposition(moved(FIXED.factors, size), CouplingTensor(1), True)


def test_a_wrong_tensor_is_not_proven():
    wrong = CouplingTensor(1, {(0, 0, 0): 1.0, (1, 1, 0): 1.0})
    with pytest.raises(ProofError):
        prove_decomposition(FIXED.factors, wrong, True)


def test_a_best_approximation_that_is_not_exact_is_not_proven():
    stalled = EquivariantLevenbergMarquardt(6, free=False).solve(CouplingTensor(1))
    assert stalled.residual > 1e-3
    with pytest.raises(ProofError):
        prove_decomposition(stalled.factors, CouplingTensor(1), True)


def test_many_terms_make_a_proof_easy():
    certificate = prove_decomposition(outer_product(CouplingTensor(1)), CouplingTensor(1), True)
    assert certificate.radius < 1e-11


def test_a_symmetry_that_is_not_there_is_noticed():
    with pytest.raises(ProofError, match="not invariant under D2"):
        prove_decomposition(FIXED.factors, CouplingTensor(1), True, "D2")
    with refuses(ValueError, "signed permutations", "D2"):
        prove_decomposition(FIXED.factors, CouplingTensor(1), True, "C5")
    with refuses(ValueError, "different weights"):
        prove_decomposition(FREE.factors, CouplingTensor(1, {(0, 1, 1): 2.0, (1, 0, 1): 1.0}), True, "C2*Z3")


@pytest.mark.parametrize("name", ["C1", "C2*Z3", "C1*S3"])
def test_entries_count_the_invariants(name):
    signs = _SignedAction.of(group(name), Coupling.of(2), [np.ones(9, bool)] * 3)
    entries, lengths = signs.entries()
    assert len(entries) == group(name).invariants(2)
    assert lengths.max() <= len(group(name))


@pytest.mark.parametrize("degree", [3, 6, 7, 9, 15, 18])
def test_rules_are_proven(degree):
    certificate = prove_cubature(rule(degree))
    assert certificate.radius < 1e-11


def test_lebedev_rule_is_proven():
    assert prove_cubature(lebedev(15)).numbers["equations"] == 8


def test_wrong_rules_are_not_proven():
    right = rule(6)
    seeds = right.seeds + 1e-2
    with pytest.raises(ProofError):
        prove_cubature(replace(right, seeds=seeds / np.linalg.norm(seeds, axis=1, keepdims=True)))
    with pytest.raises(ProofError):
        prove_cubature(replace(right, degree=7))
    # a rule lies near this one, but not nearer than it does
    assert prove_cubature(replace(rule(1), seed_weights=np.array([0.17]))).radius > 0.17 - 1 / 6


def test_a_rule_is_not_mistaken_for_one_with_points_close_together():
    off = np.array([1, 1e-7, 3e-8])  # 48 images, six groups of eight; the stored rule merges them into six points
    octahedron = rule(1)
    near = replace(octahedron, seeds=off[None] / np.linalg.norm(off), seed_weights=octahedron.seed_weights / 8)
    assert near.weights.sum() < 0.2
    with refuses(ProofError, "symmetric position"):
        prove_cubature(near)


def test_moments_see_components_of_any_size():
    small, one = 2.0**-40 + 2.0**-90, np.eye(3)  # 1 + 3 z - 1 at z = small, but for the length of the seed
    seed, test = np.array([[1.0, small, 0.0]]), np.array([[0.0, 1.0, 0.0]])
    (moment,) = _exact_moments(1, test, seed, np.ones(1), [[one]], [one])
    assert moment == pytest.approx(3 * small / np.hypot(1, small), rel=4e-16, abs=0)


def test_a_rule_of_another_group_is_refused():
    other = find_rule(3, Recipe("D5", 0, ((0, 1, GOLDEN), (1, 0, 0)), 0))
    with refuses(ValueError, "D5", "signed permutations"):
        prove_cubature(other)
