"""Cubature rules and the products they give, against the definitions."""

import re

import numpy as np
import pytest
from scipy.integrate import lebedev_rule

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.constructions.cubature import (
    CubatureRule,
    Recipe,
    bracket,
    bracket_weights,
    cubature,
    find_rule,
    gaunt,
    gaunt_weights,
    lebedev,
    product_degree,
    rule,
)
from tdn_theory.so3.harmonics import spherical_harmonics
from tests.assertions import refuses

SIZES = {3: 6, 5: 12, 6: 18, 7: 22, 8: 28, 9: 32, 12: 58, 15: 82, 18: 122, 21: 156}


@pytest.mark.parametrize("degree", SIZES)
def test_rules_are_exact_positive_and_small(degree):
    found = rule(degree)
    assert found.degree == degree
    assert len(found.points) == SIZES[degree]
    assert found.weights.min() > 0
    np.testing.assert_allclose(np.linalg.norm(found.points, axis=1), np.ones(SIZES[degree]), rtol=0, atol=1e-14)
    # the moments once more, with scipy's Lebedev rule as the judge of the mean over the sphere
    points, weights = lebedev_rule(2 * degree + 1 if 2 * degree + 1 <= 31 else 47)
    judge = spherical_harmonics(found.degree, points.T, "component")
    mean = judge.T @ weights / weights.sum()
    np.testing.assert_allclose(
        found.weights @ spherical_harmonics(found.degree, found.points, "component"), mean, rtol=0, atol=1e-13
    )


@pytest.mark.parametrize("lmax", [1, 2, 3, 4])
def test_cubature_factors_are_equivariant_with_the_paths_promised(lmax):
    for which in ("even", "all"):
        factors = cubature(lmax, which)
        tensor = CouplingTensor(lmax).project(factors.array)
        np.testing.assert_allclose(factors.array, np.array(tensor.array), rtol=0, atol=1e-12 * tensor.norm)
        for path, weight in zip(tensor.paths, tensor.weights, strict=True):
            if which == "all" or path.even:
                assert abs(weight) > 0.9, path
            else:
                assert abs(weight) < 1e-12, path


@pytest.mark.parametrize("lmax", [1, 2, 3, 4, 6])
@pytest.mark.parametrize(("product", "closed_form"), [(gaunt, gaunt_weights), (bracket, bracket_weights)])
def test_path_weights_in_closed_form(lmax, product, closed_form):
    tensor = CouplingTensor(lmax).project(product(lmax, rule(3 * lmax)).array)
    weights = closed_form(lmax)
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        np.testing.assert_allclose(abs(weight), weights.get(path, 0.0), rtol=0, atol=1e-13 * tensor.norm)
    even = [path for path in tensor.paths if path.even]
    assert list(weights) == (even if product is gaunt else [path for path in tensor.paths if path not in even])


def test_gaunt_factors_are_the_mean_of_three_harmonics():
    points, weights = lebedev_rule(15)
    Y = spherical_harmonics(2, points.T, "component")
    mean = np.einsum("q,qk,qi,qj->kij", weights / weights.sum(), Y, Y, Y)
    np.testing.assert_allclose(gaunt(2, rule(6)).array, mean, rtol=0, atol=1e-13)


UNEQUAL = ["0e+1o x 0e+1o+2e+3o -> 0e+1o", "0+2 x 1+1+3 -> 3+0", "3o x 2e -> 1o"]


@pytest.mark.parametrize("text", UNEQUAL)
@pytest.mark.parametrize(("product", "closed_form"), [(gaunt, gaunt_weights), (bracket, bracket_weights)])
def test_products_of_unequal_slots(text, product, closed_form):
    """Parity apart, which the bracket does not have: it makes pseudovectors of vectors."""
    coupling = Coupling.of(re.sub("[eo]", "", text))
    factors = product(coupling, rule(product_degree(coupling)))
    assert factors.dims == coupling.dims
    tensor = CouplingTensor(coupling).project(factors.array)
    np.testing.assert_allclose(factors.array, tensor.array, rtol=0, atol=1e-12)
    weights = closed_form(coupling)
    for path, weight in zip(tensor.paths, tensor.weights, strict=True):
        np.testing.assert_allclose(abs(weight), weights.get(path, 0.0), rtol=0, atol=1e-12)
    assert set(weights) == {path for path in coupling.paths if path.even == (product is gaunt)}


def test_pairs_of_antipodes_count_even_polynomials_alone():
    """At degree 15, 120 conditions instead of 256: 41 pairs have 123 unknowns, of which rotations take 3."""
    found = rule(15)
    points = found.points
    assert all(np.abs(points + p).max(axis=1).min() < 1e-15 for p in points)
    assert sum(2 * l + 1 for l in range(0, 15, 2)) == 3 * len(found.seeds) - 3 == 120
    assert len(find_rule(7, Recipe("C1*i", 11, (), 0)).points) == 22
    with refuses(ValueError, "degree 7", "more points"):
        find_rule(7, Recipe("C1*i", 10, (), 0))


def test_bracket_is_the_poisson_bracket():
    # {f, g} = q . (grad f x grad g) by finite differences of homogeneous extensions of degree 0
    rng = np.random.default_rng(0)
    q = rng.normal(size=3)
    q /= np.linalg.norm(q)
    h = 1e-5
    gradient = np.stack(
        [(spherical_harmonics(2, q + h * e) - spherical_harmonics(2, q - h * e)) / (2 * h) for e in np.eye(3)]
    )
    expected = np.einsum("a,abc,bi,cj->ij", q, _levi_civita(), gradient, gradient)
    # the product's output as a function on the sphere, f g in and out in the harmonics' own expansion
    out = np.einsum("k,kij->ij", spherical_harmonics(4, q), bracket(4, rule(12)).array)[:9, :9]
    np.testing.assert_allclose(out, expected, rtol=0, atol=1e-7)


def _levi_civita():
    tensor = np.zeros((3, 3, 3))
    for a in range(3):
        tensor[a, (a + 1) % 3, (a + 2) % 3], tensor[a, (a + 2) % 3, (a + 1) % 3] = 1, -1
    return tensor


def test_lebedev_is_scipys_rule():
    points, weights = lebedev_rule(15)
    ours = lebedev(15)
    assert ours.group == "O*i"
    order = np.lexsort(np.round(points, 8))
    other = np.lexsort(np.round(ours.points.T, 8))
    np.testing.assert_allclose(ours.points[other], points.T[order], rtol=0, atol=1e-12)
    np.testing.assert_allclose(ours.weights[other], weights[order] / weights.sum(), rtol=0, atol=1e-14)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: gaunt(3, rule(6)), ("degree 9", "L=3")),
        (lambda: rule(25), ("no recipe", "24", "lebedev")),
        (lambda: lebedev(4), ("degree 4", "odd")),
        (lambda: cubature(2, "odd"), ("'odd'", "'even'")),
        (lambda: find_rule(6, Recipe("C1", 8, (), 0)), ("degree 6", "more points")),
        (lambda: CubatureRule(3, "O*i", np.array([[2.0, 0, 0]]), np.ones(1) / 6), ("seed 0", "sphere", "length")),
    ],
)
def test_refusals_teach(call, words):
    with refuses(ValueError, *words):
        call()
