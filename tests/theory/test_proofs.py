"""The proofs run; on what else than the exact tensor they fail is in `tests/meta/test_wrong_tensors.py`, too."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from matplotlib.mathtext import MathTextParser

from tdn_theory.coupling import Coupling
from tdn_theory.so3.irreps import admissible, paths
from tdn_theory.testing import strategies
from tdn_theory.theory import proofs
from tests.assertions import refuses

PROOFS = [
    proofs.equivariance,
    proofs.orthogonality,
    proofs.spectrum,
    proofs.schur,
    proofs.outer_product,
    proofs.theorem_3_1,
    proofs.three_inputs,
    proofs.weight_sharing,
]


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.__name__)
@pytest.mark.parametrize("lmax", [1, 2])
def test_proofs(proof: Callable, lmax: int) -> None:
    steps = proof(lmax)
    assert steps
    assert proofs.failed(steps) == []
    assert all(step.cases > 0 and step.claim for step in steps)


COUPLINGS = ["0e+1o x 0e+1o+2e -> 0e+1o", "1+0 x 0+1+2 -> 1+0", "0e+1o x 0e+1o -> 0e"]


@pytest.mark.parametrize("proof", PROOFS, ids=lambda proof: proof.__name__)
@pytest.mark.parametrize("coupling", COUPLINGS)
def test_proofs_of_other_couplings(proof: Callable, coupling: str) -> None:
    if proof is proofs.three_inputs and coupling == COUPLINGS[2]:
        with refuses(ValueError, "cannot be chained", "those of x"):
            proof(coupling)
        return
    steps = proof(coupling)
    assert proofs.failed(steps) == []
    for step in steps:
        MathTextParser("path").parse(f"${step.latex}$")


@given(strategies.couplings())
@settings(max_examples=10)
def test_proofs_with_copies(coupling: Coupling) -> None:
    """What is claimed where an irrep has several slots; the truncation of T1 is not."""
    for proof in (proofs.equivariance, proofs.orthogonality, proofs.spectrum, proofs.schur, proofs.outer_product):
        assert proofs.failed(proof(coupling)) == []
    if any(len(set(mode)) < len(mode) for mode in coupling.modes):
        with refuses(ValueError, "an irrep twice", "without copies"):
            proofs.theorem_3_1(coupling)


def test_a_swapped_tensor_of_unequal_slots_is_refused() -> None:
    """Inputs exchanged, or a path with the wrong sign: E2's step fails, and the spectrum's does if a copy is lost."""
    coupling = Coupling.of("1+1 x 0+1 -> 1")
    right = proofs.exact_tensor(coupling)
    second = {index: value for index, value in right.items() if index[1] >= 3}
    for wrong in (second, {index: {root: -c for root, c in value.items()} for index, value in right.items()}):
        assert any("M = sum_p C_p" in claim for claim in proofs.failed(proofs.equivariance(coupling, wrong)))
    assert proofs.failed(proofs.spectrum(coupling, second))


def test_inversion_is_checked_where_there_is_parity() -> None:
    """The cross product into 1o commutes with the generators, and not with inversion."""
    coupling = Coupling.of("1o x 1o -> 1e+1o+0e")
    cross = {(k + 3, i, j): value for (k, i, j), value in proofs.exact_tensor("1").items()}
    claims = proofs.failed(proofs.commuting(coupling, cross))
    assert len(claims) == 1
    assert "inversion" in claims[0]


def test_seven_terms() -> None:
    assert proofs.failed(proofs.seven_terms()) == []


@pytest.mark.parametrize("proof", [*PROOFS, lambda lmax: proofs.seven_terms()], ids=lambda proof: proof.__name__)
def test_steps_can_be_printed(proof: Callable) -> None:
    """As formulas, by matplotlib at least."""
    for step in proof(2):
        MathTextParser("path").parse(f"${step.latex}$")


def test_surds() -> None:
    assert proofs.surd(sympy.Integer(0)) == {}
    assert proofs.surd(sympy.sqrt(12)) == {3: Fraction(2)}
    assert proofs.surd(sympy.sqrt(2) / 3 + sympy.Rational(5, 7)) == {2: Fraction(1, 3), 1: Fraction(5, 7)}
    with refuses(ValueError, "square root of a positive integer"):
        proofs.surd(sympy.cbrt(2))
    with refuses(ValueError, "square root of a positive integer"):
        proofs.surd(sympy.I)


def test_products_of_surds() -> None:
    """(sqrt 2 + sqrt 6)(sqrt 3 - sqrt 6) against sympy, and cancellation to nothing."""
    left, right = sympy.sqrt(2) + sympy.sqrt(6), sympy.sqrt(3) - sympy.sqrt(6)
    result: proofs.Surd = {}
    proofs._accumulate(result, proofs.surd(left), proofs.surd(right))
    assert result == proofs.surd(sympy.expand(left * right))
    proofs._accumulate(result, proofs.surd(left), proofs.surd(right), -1)
    assert result == {}


def test_a_swapped_tensor_commutes_but_is_another() -> None:
    """Commuting does not pin the tensor: exchanging the inputs gives an equivariant one, too, but not E2's."""
    swapped = {(k, j, i): value for (k, i, j), value in proofs.exact_tensor(2).items()}
    claims = proofs.failed(proofs.equivariance(2, swapped))
    assert len(claims) == 1
    assert "M = sum_p C_p" in claims[0]


def test_scaled_blocks_fail_the_spectrum() -> None:
    doubled = {index: {root: 2 * c for root, c in value.items()} for index, value in proofs.exact_tensor(1).items()}
    assert len(proofs.failed(proofs.spectrum(1, doubled))) == 3


def test_intertwiners() -> None:
    assert [proofs.intertwiner_bound(1, 1, l) for l in range(4)] == [1, 1, 1, 0]
    assert all(proofs.intertwiner_bound(*path) == admissible(*path) for path in paths(3))


def test_an_unlucky_prime_shows_more_maps_than_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    """Ranks may fall modulo a prime, never rise: the bound stays one, and T3's proof notices that it is not met."""
    right = proofs.modular_rank
    monkeypatch.setattr(proofs, "modular_rank", lambda matrix: max(right(matrix) - 1, 0))
    assert proofs.intertwiner_bound(1, 1, 1) == 2
    assert proofs.intertwiner_bound(1, 1, 3) == 1
    assert len(proofs.failed(proofs.schur(1))) == 2


def test_sums_of_terms_are_the_definition(rng: np.random.Generator) -> None:
    """`T[k, i, ..] = sum_r A[k, r] B[i, r] ..` of random integer factors, three and four modes, by numpy."""
    for subscripts, modes in (("kr,ir,jr->kij", 3), ("kr,ir,jr,mr->kijm", 4)):
        factors = rng.integers(-2, 3, (modes, 3, 5))
        terms = [
            tuple({c: {1: Fraction(int(v))} for c, v in enumerate(factor[:, r]) if v} for factor in factors)
            for r in range(5)
        ]
        wanted = np.einsum(subscripts, *factors)
        assert proofs.sum_of_terms(terms) == {
            index: {1: Fraction(int(value))} for index, value in np.ndenumerate(wanted) if value
        }


def test_a_lost_or_wrong_term_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """T2 and T4 evaluate their terms: one term less, or one with another vector, is another tensor."""
    right = proofs.fibre_terms

    def lost(tensor: proofs.Tensor, mode: int) -> list[proofs.Term]:
        return right(tensor, mode)[1:]

    def moved(tensor: proofs.Tensor, mode: int) -> list[proofs.Term]:
        (*others, last), *terms = right(tensor, mode)
        return [(*others, {(c + 1) % 4: value for c, value in last.items()}), *terms]

    for wrong in (lost, moved):
        monkeypatch.setattr(proofs, "fibre_terms", wrong)
        assert any("e_a" in claim for claim in proofs.failed(proofs.outer_product(1)))
        assert any("e_m" in claim for claim in proofs.failed(proofs.three_inputs(1)))


def test_weights_of_components_are_not_shared_weights(monkeypatch: pytest.MonkeyPatch) -> None:
    """T7 is about weights that all components share: generators that act across channels do not commute with them."""
    across = {(0, 5): {1: Fraction(1)}, (5, 0): {1: Fraction(-1)}}
    matrices = proofs.generator_matrices(Coupling.of(1).z)
    monkeypatch.setattr(proofs, "generator_matrices", lambda irreps: (across, *matrices[1:]))
    assert any("(W (x) 1)" in claim for claim in proofs.failed(proofs.weight_sharing(1)))


def test_generators_of_another_representation_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one generator negated, neither the brackets nor the commutators hold."""
    x, y, z = proofs.generator_matrices(Coupling.of(1).z)
    negated = {index: {root: -c for root, c in value.items()} for index, value in x.items()}
    monkeypatch.setattr(proofs, "generator_matrices", lambda irreps: (negated, y, z))
    assert any("[X_x, X_y]" in claim for claim in proofs.failed(proofs.equivariance(1)))
