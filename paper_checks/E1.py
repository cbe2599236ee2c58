"""E1: the Clebsch-Gordan product of every admissible path is equivariant, and exactly the coefficients we compute."""

from __future__ import annotations

import numpy as np
import sympy

from tdn_theory.preset import Preset
from tdn_theory.so3 import clebsch_gordan, exact
from tdn_theory.so3.irreps import Path, paths
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "The product of a path (l1, l2, l3), |l1-l2| <= l3 <= l1+l2, with Clebsch-Gordan coefficients is equivariant."
)


def check(preset: Preset, seed: int) -> Verdict:
    """Prove `X C = C (X (x) 1 + 1 (x) X)` for the exact coefficients, and compare the float64 ones with them."""
    lmax = 2 if preset is Preset.QUICK else 4
    proven = [path for path in paths(lmax) if not defects(path)]
    errors = {str(path): _float_error(path) for path in paths(lmax)}
    worst = max(errors.values())
    evidence = {"lmax": lmax, "proven": [str(p) for p in proven], "float64_errors": errors}
    if len(proven) < len(paths(lmax)):
        failed = sorted(set(paths(lmax)) - set(proven))
        return Verdict("E1", STATEMENT, Outcome.REFUTED, f"not equivariant: {', '.join(map(str, failed))}", evidence)
    summary = (
        f"X C = C(X (x) 1 + 1 (x) X) is identically zero in algebraic numbers for all {len(proven)} paths with L <= "
        f"{lmax} and all "
        f"three generators; the float64 coefficients differ from the exact ones by at most {worst:.1e}"
    )
    return Verdict("E1", STATEMENT, Outcome.VERIFIED, summary, evidence)


def defects(path: Path) -> list[tuple[int, int, int]]:
    """Entries (k, i, j) at which an exact path tensor fails to commute with a generator; none proves equivariance.

    Commuting with the generators means commuting with every rotation, since SO(3) is connected.
    """
    couple = exact.clebsch_gordan(*path)
    failed = []
    for outer, left, right in zip(*(exact.generators(l) for l in (path.l3, path.l1, path.l2)), strict=True):
        total: dict[tuple[int, int, int], sympy.Expr] = {}

        def add(index: tuple[int, int, int], term: sympy.Expr, total: dict = total) -> None:
            total[index] = total.get(index, sympy.Integer(0)) + term

        for (k, i, j), value in couple.items():
            for a in range(outer.rows):
                add((a, i, j), outer[a, k] * value)
            for a in range(left.rows):
                add((k, a, j), -value * left[i, a])
            for a in range(right.rows):
                add((k, i, a), -value * right[j, a])
        failed += [index for index, value in total.items() if sympy.expand(value) != 0]
    return failed


def _float_error(path: Path) -> float:
    found = clebsch_gordan.clebsch_gordan(*path)
    wanted = np.zeros(found.shape)
    for index, value in exact.clebsch_gordan(*path).items():
        wanted[index] = float(value)
    return float(np.abs(found - wanted).max())
