"""Groups, and orbits of terms."""

import numpy as np
import pytest
from scipy.linalg import block_diag

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.symmetry import action, group, orbit_types
from tdn_theory.so3.rotation import wigner_d
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
    for orbit in orbit_types(name, Coupling.of(1).modes):
        array = terms(orbit, (4, 8), rng).array
        for g in group(name).elements:
            np.testing.assert_allclose(image(g, 1, array), array, rtol=0, atol=1e-9)
        assert len(group(name)) % orbit.length == 0


def terms(orbit, ends, rng):
    """Random terms of an orbit."""
    whole = (orbit.spread @ rng.normal(size=orbit.basis.shape[1])).T
    return CPFactors(*np.split(whole, ends))


@pytest.mark.parametrize("name", ["D2*Z2", "C3", "C1*i"])
@pytest.mark.parametrize("text", ["1+2 x 1+2 -> 2", "1e+2e x 1e+2e -> 2e+0o", "0o x 0o -> 0e"])
def test_orbits_of_unequal_modes_are_invariant(name, text, rng):
    """By the definition, with the parities of the irreps, or (-1)^l where they have none."""
    coupling = Coupling.of(text)
    d1, _, d3 = coupling.dims
    for orbit in orbit_types(name, coupling.modes):
        T = np.array(terms(orbit, (d3, d3 + d1), rng).array)
        for g in group(name).elements:
            sign = np.sign(np.linalg.det(g.matrix))
            D = []
            for irreps in coupling.modes:
                signs = [1 if sign > 0 else irrep.parity or (-1) ** irrep.l for irrep in irreps]
                blocks = [wigner_d(irrep.l, sign * g.matrix) for irrep in irreps]
                D.append(block_diag(*(s * block for s, block in zip(signs, blocks, strict=True))))
            moved = np.einsum("ka,ib,jc,abc->kij", *D, T.transpose(g.permutation), optimize=True)
            np.testing.assert_allclose(moved, T, rtol=0, atol=1e-9)


def test_modes_that_differ_are_not_exchanged():
    with refuses(ValueError, "modes of 0+1 and 1", "use a group that does not"):
        orbit_types("C2*Z2", Coupling.of("0+1 x 1 -> 1").modes)


def test_invariants_are_counted(rng):
    whole = group("C2*Z3")
    projected = [sum(image(g, 1, t) for g in whole.elements).ravel() for t in rng.normal(size=(64, 4, 4, 4))]
    assert whole.invariants(1) == np.linalg.matrix_rank(np.array(projected))


def test_an_unknown_group_is_refused():
    with refuses(ValueError, "'X7'", "'T~'"):
        group("X7")
