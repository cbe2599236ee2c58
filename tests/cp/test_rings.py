"""Seventeen terms in closed form: the proof, what it rests on, and the sum once more in fifty digits."""

from __future__ import annotations

import inspect
from itertools import product

import mpmath
import numpy as np
import pytest
import sympy

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.certificate import ProofError
from tdn_theory.cp.constructions import rings as construction
from tdn_theory.cp.factors import CPFactors
from tdn_theory.so3 import exact
from tests.assertions import refuses


def test_the_identities_hold() -> None:
    construction.check()


@pytest.mark.parametrize(
    "constant", ["195 - 87 * root", "9 - 5 * root", "5 - root", "3 * root - 5", "459 * root - 1023"]
)
def test_other_numbers_are_not_proven(constant: str) -> None:
    """One number off by one, in the source of the check, and an identity fails."""
    source = inspect.getsource(construction.check)
    assert source.count(constant) == 1
    first = constant.split()[0]
    spoilt = source.replace(constant, constant.replace(first, str(int(first) + 1), 1))
    namespace = dict(vars(construction))
    exec(spoilt, namespace)  # the function of this package, with one number changed
    with pytest.raises(ProofError):
        namespace["check"]()


def test_the_factors() -> None:
    """Eleven paths alive, with the weights of the closed form; all terms symmetric."""
    factors = construction.rings()
    tensor = CouplingTensor(2).project(factors.array)
    np.testing.assert_allclose(factors.array, tensor.array, rtol=0, atol=1e-14)
    wanted = construction.ring_weights()
    found = {path: weight for path, weight in zip(tensor.paths, tensor.weights, strict=True) if path in wanted}
    assert len(found) == 11
    np.testing.assert_allclose([abs(w) for w in found.values()], [wanted[path] for path in found], rtol=1e-14)
    assert np.array_equal(factors.A, factors.B)
    assert np.array_equal(factors.A, factors.C)


def test_factors_that_are_others_are_refused() -> None:
    right = construction.rings()
    wrong = CPFactors(right.A, right.B, right.C + 1e-6)
    with refuses(ProofError, "factor C differs"):
        atlas.prove(CouplingTensor(2).coupling, wrong, {"kind": "rings"})


def test_the_sum_in_fifty_digits() -> None:
    """From the statement alone: numbers of the docstring, rings by turning, Clebsch-Gordan coefficients exactly."""
    with mpmath.workdps(60):
        root = mpmath.sqrt(5)
        phi, k = (1 + root) / 2, (3 - root) / 2
        e1 = mpmath.sqrt((195 - 87 * root) / 10)
        e2, e3, length = (9 - 5 * root) / 2, e1 * (5 - root) / 10, mpmath.sqrt(8 * (3 * root - 5) / 25)
        vectors = []
        left = {}
        w = (459 * root - 1023) / 100
        for entry, value in (
            ((0, 0, 0), w), ((0, 2, 2), (1 + k) / 2), ((0, 6, 6), mpmath.mpf(1) / 2),
            ((2, 2, 6), 5 * phi / mpmath.sqrt(12)), ((6, 6, 6), 5 / mpmath.sqrt(12)),
        ):  # fmt: skip
            left[entry] = value
        for r in mpmath.polyroots([1, -e1, e2, -e3], maxsteps=200, extraprec=200):
            slope, square = 3 * r**2 - 2 * e1 * r + e2, r**2 - e1 * r + e2
            z = length / (phi * square + 1)
            assert abs(z**2 - (1 - k * r**2)) < 1e-50
            cube = length / (slope * z**2)
            q1 = mpmath.sign(cube) * abs(cube) ** (mpmath.mpf(1) / 3)
            y = [((1 + k) * square + 1) / 5, phi / 2 * (r - e1), (1 - phi * square) / mpmath.sqrt(12)]
            for n in range(5):
                angle = 2 * mpmath.pi * n / 5
                v = [mpmath.mpf(0)] * 9
                v[0], v[2], v[6] = (q1 * part / (slope * cube) for part in y)
                v[3], v[1] = q1 * mpmath.cos(angle), q1 * mpmath.sin(angle)
                v[7], v[5] = r * v[3], r * v[1]
                v[8], v[4] = q1 * z * mpmath.cos(2 * angle), q1 * z * mpmath.sin(2 * angle)
                vectors.append(v)
        rings = {(a, b, c): mpmath.fsum(v[a] * v[b] * v[c] for v in vectors) for a, b, c in product(range(9), repeat=3)}
        weights = {(0, 0, 0): w, (0, 1, 1): mpmath.sqrt(3) * (1 + k) / 2, (0, 2, 2): root / 2,
                   (1, 1, 2): 5 * phi * mpmath.sqrt(10) / 4, (2, 2, 2): 5 * mpmath.sqrt(210) / 12}  # fmt: skip
        starts = (0, 1, 4)
        signs = {}
        for l3, l1, l2 in product(range(3), repeat=3):
            if (l1 + l2 + l3) % 2 or not abs(l1 - l2) <= l3 <= l1 + l2:
                continue
            block = exact.clebsch_gordan(l1, l2, l3)
            weight = weights[tuple(sorted((l1, l2, l3)))]
            on_axis = {(l3, l1, l2)}
            for index in product(*(range(2 * l + 1) for l in (l3, l1, l2))):
                value = mpmath.mpf(str(sympy.N(block.get(index, 0), 55))) * weight
                where = tuple(starts[l] + i for l, i in zip((l3, l1, l2), index, strict=True))
                if index in on_axis:
                    wanted = left[tuple(sorted(where))]
                    signs[l3, l1, l2] = 1 if abs(value - wanted) < 1e-45 else -1
                    assert abs(signs[l3, l1, l2] * value - wanted) < 1e-45
            for index in product(*(range(2 * l + 1) for l in (l3, l1, l2))):
                where = tuple(starts[l] + i for l, i in zip((l3, l1, l2), index, strict=True))
                if set(where) <= {0, 2, 6}:
                    continue  # the vectors on the axis have their share
                value = mpmath.mpf(str(sympy.N(block.get(index, 0), 55))) * weight * signs[l3, l1, l2]
                assert abs(rings[where] - value) < 1e-45
        for where in product(range(9), repeat=3):
            degrees = [0 if i == 0 else 1 if i < 4 else 2 for i in where]
            if sum(degrees) % 2 and not set(where) <= {0, 2, 6}:
                assert abs(rings[where]) < 1e-45
