"""Proofs on wrong tensors: every step fails where its label speaks of what is wrong.

`MAY_HOLD` lists each step that holds of a wrong tensor, and why it does; whatever is not listed must fail. All steps
hold of the right one.
"""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction

import numpy as np
import pytest

from tdn_theory.so3.irreps import dim
from tdn_theory.theory import proofs
from tdn_theory.theory.proofs import Index, Surd, Tensor

PROOFS: dict[Callable, int] = {
    proofs.equivariance: 2,
    proofs.orthogonality: 2,
    proofs.spectrum: 2,
    proofs.schur: 2,
    proofs.outer_product: 2,
    proofs.theorem_3_1: 2,
    proofs.three_inputs: 1,
    proofs.weight_sharing: 2,
    lambda lmax, M: proofs.seven_terms(M): 1,
}
NAMES = [getattr(proof, "__name__", "").replace("<lambda>", "seven_terms") for proof in PROOFS]

PATH = (1, 1, 1)
"""(l1, l2, l3) of the block that is flipped or taken away."""


def negative(value: Surd) -> Surd:
    return {root: -c for root, c in value.items()}


def in_block(index: Index) -> bool:
    k, i, j = index
    return tuple(int(component**0.5) for component in (i, j, k)) == PATH


def zero(M: Tensor, lmax: int) -> Tensor:
    return {}


def random(M: Tensor, lmax: int) -> Tensor:
    values = np.random.default_rng(0).integers(1, 9, (dim(lmax),) * 3)
    return {(k, i, j): {1: Fraction(int(value))} for (k, i, j), value in np.ndenumerate(values)}


def flipped_entry(M: Tensor, lmax: int) -> Tensor:
    """One whose sign the Gram matrices of all three unfoldings see at L = 2."""
    index = (8, 7, 7) if lmax == 2 else next(index for index in M if in_block(index))
    return {**M, index: negative(M[index])}


def flipped_block(M: Tensor, lmax: int) -> Tensor:
    return {index: negative(value) if in_block(index) else value for index, value in M.items()}


def dead_path(M: Tensor, lmax: int) -> Tensor:
    return {index: value for index, value in M.items() if not in_block(index)}


WRONG = (zero, random, flipped_entry, flipped_block, dead_path)

NO_TENSOR = "its label has no M: it is about generators, vectors, channels or degrees"
ANY_TENSOR = "true of every tensor, as T2 has it"
EQUIVARIANT = "it is equivariant, as every sum of blocks with any weights is, 0 and -1 included; E2's step fails"
SQUARES = "its singular values are those of M: squares do not see the sign of a block"
ITS_OWN = "its unfoldings have the components as singular vectors, and the sigma_k are its own; E2's step fails"
ALONE = "in its block the flipped entry is alone along i and along j, and squares do not see signs"
SAME_LINE = "-C_p spans what C_p spans"
UNSEEN = "the squared length does not see this sign"
FREE_WEIGHTS = "w111 stands for any weight that is not zero"
OFF_AXIS = "x on the axis meets no entry with the flipped sign, and q no entry of this block"

# fragment of a claim -> wrong tensors of which the step holds, and why; no other step holds
MAY_HOLD: dict[str, tuple[tuple[Callable, ...], str]] = {
    # the path tensors and their space
    "X_a^T = -X_a": (WRONG, NO_TENSOR),
    "[X_x, X_y] = X_z": (WRONG, NO_TENSOR),
    "X_a M = M (X_a": ((zero, flipped_block, dead_path), EQUIVARIANT),
    "sum_ij C_kij C_kij": ((flipped_block,), SQUARES),
    "sum_kj C_kij C_kij": ((flipped_entry, flipped_block), ALONE),
    "sum_ki C_kij C_kij": ((flipped_entry, flipped_block), ALONE),
    "is an orthogonal matrix": ((flipped_block,), SQUARES),
    "= diag(N_l / (2l+1))": ((flipped_block,), SQUARES),
    "dim Hom(V_l1 (x) V_l2, V_l3) <= 1": (WRONG, NO_TENSOR),
    "so that dim >= 1": ((flipped_block,), SAME_LINE),
    "dim Hom(V (x) V, V) = ": ((flipped_block,), SAME_LINE),
    # T2
    "sum_(a,b) M[:,a,b] (x) e_a (x) e_b = M": (WRONG, ANY_TENSOR),
    "R = number of nonzero columns": (WRONG, ANY_TENSOR),
    "so R >= d": ((flipped_block, dead_path), "it still has a path through every degree"),
    # T1
    "D E(x, y) - E(Dx, Dy) is the same": ((zero, flipped_block, dead_path), EQUIVARIANT),
    "(|a| + |b|)^2 - |a - b|^2": (WRONG, NO_TENSOR),
    "|a|^2 |b|^2 - (a.b)^2": (WRONG, NO_TENSOR),
    "||E||^2 |x (x) y|^2": (WRONG, NO_TENSOR),
    "eps <= |D E(x, y)|": ((zero, flipped_block, dead_path), EQUIVARIANT),
    "||M - Q1 Q2 Q3 M||^2 = sum_n": ((zero, flipped_block, dead_path), ITS_OWN),
    "||M - Q1 Q2 Q3 M||^2 <= sum_n": ((zero, flipped_block, dead_path), ITS_OWN),
    "rank of Q1 Q2 Q3 M": ((zero, flipped_block, dead_path), ITS_OWN),
    # T4
    "||M4||^2 = ": ((flipped_entry, flipped_block), UNSEEN),
    "X M4 = M4 (X": ((zero, flipped_block, dead_path), EQUIVARIANT),
    "sum M4[:,i,j,m] (x) e_i": (WRONG, ANY_TENSOR),
    # T7
    "(W (x) 1)(1 (x) X_a)": (WRONG, NO_TENSOR),
    "X_a b = 0": (WRONG, NO_TENSOR),
    # seven terms
    "det L_x = ": ((flipped_block,), FREE_WEIGHTS),
    "x on the axis z": ((flipped_entry, flipped_block), OFF_AXIS),
    "R <= 6: rank L_(u_i)": (WRONG, NO_TENSOR),
    "q has four zero directions": ((flipped_entry, flipped_block, dead_path), OFF_AXIS),
}


@pytest.mark.parametrize("wrong", WRONG, ids=lambda wrong: wrong.__name__)
@pytest.mark.parametrize("proof", PROOFS, ids=NAMES)
def test_a_wrong_tensor_fails(proof: Callable, wrong: Callable) -> None:
    lmax = PROOFS[proof]
    right = proofs.exact_tensor(lmax)
    assert proofs.failed(proof(lmax, right)) == []
    steps = proof(lmax, wrong(right, lmax))
    for step in steps:
        listed = [holds for fragment, (holds, _) in MAY_HOLD.items() if fragment in step.claim]
        assert len(listed) <= 1, f"two entries speak of {step.claim}"
        wanted = bool(listed) and wrong in listed[0]
        assert step.holds == wanted, f"{'holds' if step.holds else 'fails'} on {wrong.__name__}: {step.claim}"
    # A sign in front of a path tensor changes no statement but E2's own; every other wrong tensor breaks every proof,
    # save the one that is about all tensors.
    if wrong is flipped_block:
        assert bool(proofs.failed(steps)) == any("<M, C_p> = 1" in step.claim for step in steps)
    elif proof is proofs.outer_product:
        assert bool(proofs.failed(steps)) == (wrong is not dead_path)
    else:
        assert proofs.failed(steps)


def test_every_entry_of_the_table_is_used() -> None:
    claims = [step.claim for proof, lmax in PROOFS.items() for step in proof(lmax, proofs.exact_tensor(lmax))]
    assert [fragment for fragment in MAY_HOLD if not any(fragment in claim for claim in claims)] == []
