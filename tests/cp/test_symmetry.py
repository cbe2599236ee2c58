"""Groups, and orbits of terms."""

import numpy as np
import pytest

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.symmetry import action, group, orbit_types
from tests.assertions import refuses

ORDERS = {"C1": 1, "C2*Z3": 6, "D2": 4, "D3*S3": 36, "T": 12, "O*i": 48, "I": 60, "T~": 12, "T*Z3": 36}


def image(g, lmax, array):
    """The action on tensors, from the definition on rank-one terms."""
    D = action(lmax, g.matrix)
    return np.einsum("ka,ib,jc,abc->kij", D, D, D, array.transpose(g.permutation))


@pytest.mark.parametrize("name", ORDERS)
def test_orders(name):
    assert len(group(name)) == ORDERS[name]
    table = group(name).table
    assert all(sorted(row) == list(range(len(table))) for row in table.tolist())


@pytest.mark.parametrize("name", ["C2*Z3", "D2*S3", "T*Z3", "T~", "O*Z2"])
def test_the_papers_tensor_is_invariant(name):
    array = np.array(CouplingTensor(2).array)
    for g in group(name).elements:
        np.testing.assert_allclose(image(g, 2, array), array, rtol=0, atol=1e-12)


def test_even_tensors_are_invariant_under_inversion_and_the_others_are_not():
    g = group("C1*i").elements[1]
    even, full = np.array(CouplingTensor.even(2).array), np.array(CouplingTensor(2).array)
    np.testing.assert_allclose(image(g, 2, even), even, rtol=0, atol=1e-14)
    assert np.abs(image(g, 2, full) - full).max() > 0.1


@pytest.mark.parametrize("name", ["C1*Z3", "C2*Z2", "T"])
def test_orbits_are_invariant(name, rng):
    for orbit in orbit_types(name, 1):
        phi = rng.normal(size=orbit.basis.shape[2])
        terms = (orbit.spread @ phi).transpose(1, 2, 0)
        array = np.array(CPFactors(*terms).array)
        for g in group(name).elements:
            np.testing.assert_allclose(image(g, 1, array), array, rtol=0, atol=1e-9)
        assert len(group(name)) % orbit.length == 0


def test_invariants_are_counted(rng):
    whole = group("C2*Z3")
    projected = [sum(image(g, 1, t) for g in whole.elements).ravel() for t in rng.normal(size=(64, 4, 4, 4))]
    assert whole.invariants(1) == np.linalg.matrix_rank(np.array(projected))


def test_an_unknown_group_is_refused():
    with refuses(ValueError, "'X7'", "'T~'"):
        group("X7")
