"""The proofs run, and fail on tensors that do not have the property."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from types import MappingProxyType

import pytest
import sympy
from matplotlib.mathtext import MathTextParser

from tdn_theory.so3 import exact
from tdn_theory.so3.irreps import admissible, paths
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


def test_seven_terms(monkeypatch: pytest.MonkeyPatch) -> None:
    """It needs the exact tensor: with the cross product's sign changed in one place the determinant does not factor."""
    assert proofs.failed(proofs.seven_terms()) == []
    entries = exact.coupling_tensor(1)
    index = next((k, i, j) for k, i, j in entries if min(k, i, j) > 0)
    monkeypatch.setattr(exact, "coupling_tensor", lambda lmax: {**entries, index: -entries[index]})
    assert any("det L_x" in claim for claim in proofs.failed(proofs.seven_terms()))


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


@pytest.mark.parametrize(
    "mutate",
    [
        lambda M: {(i, k, j): v for (k, i, j), v in M.items()} | {(0, 0, 1): {1: Fraction(1)}},
        lambda M: {index: v for n, (index, v) in enumerate(M.items()) if n != 7},
        lambda M: {index: ({3: Fraction(1, 3)} if n == 5 else v) for n, (index, v) in enumerate(M.items())},
    ],
    ids=["extra entry", "missing entry", "wrong entry"],
)
def test_a_wrong_tensor_fails(mutate: Callable, monkeypatch: pytest.MonkeyPatch) -> None:
    wrong = mutate(dict(proofs.coupling(2)))
    assert any(proofs.commutator(wrong, generator) for generator in proofs.generator_matrices(2))
    monkeypatch.setattr(proofs, "coupling", lambda lmax: MappingProxyType(wrong))
    assert proofs.failed(proofs.equivariance(2))
    assert proofs.failed(proofs.theorem_3_1(2)) or proofs.failed(proofs.spectrum(2))


def test_a_swapped_tensor_commutes_but_is_another() -> None:
    """Commuting does not pin the tensor: exchanging the inputs gives an equivariant one, too."""
    swapped = {(k, j, i): value for (k, i, j), value in proofs.coupling(2).items()}
    assert not any(proofs.commutator(swapped, generator) for generator in proofs.generator_matrices(2))
    assert swapped != proofs.coupling(2)


def test_scaled_blocks_fail_the_spectrum(monkeypatch: pytest.MonkeyPatch) -> None:
    doubled = {index: {root: 2 * c for root, c in value.items()} for index, value in proofs.coupling(1).items()}
    monkeypatch.setattr(proofs, "coupling", lambda lmax: doubled)
    assert len(proofs.failed(proofs.spectrum(1))) == 3


def test_intertwiners() -> None:
    assert [proofs.intertwiner_dimension(1, 1, l) for l in range(4)] == [1, 1, 1, 0]
    assert all(proofs.intertwiner_dimension(*path) == admissible(*path) for path in paths(3))


def test_generators_of_another_representation_fail(monkeypatch: pytest.MonkeyPatch) -> None:
    """With one generator negated, neither the brackets nor the commutators hold."""
    x, y, z = proofs.generator_matrices(1)
    negated = {index: {root: -c for root, c in value.items()} for index, value in x.items()}
    monkeypatch.setattr(proofs, "generator_matrices", lambda lmax: (negated, y, z))
    assert any("[X_x, X_y]" in claim for claim in proofs.failed(proofs.equivariance(1)))


def test_rotated_tensor_is_the_tensor() -> None:
    D = exact.wigner_D(1, exact.rational_rotation(1, 2, 3, 1))
    assert proofs._rotated(proofs.coupling(1), D) == dict(proofs.coupling(1))
    assert proofs._rotated(proofs.coupling(1), 2 * D) != dict(proofs.coupling(1))
