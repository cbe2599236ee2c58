"""T5: Kruskal's condition fails at every rank that matters, and uniqueness itself is impossible."""

from __future__ import annotations

from typing import Any

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.solution import best
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.so3.rotation import haar_rotations, wigner_D
from tdn_theory.theory import rank
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = "The rank-R approximation is essentially unique by Kruskal's condition k_A + k_B + k_C >= 2R + 2."


def check(preset: Preset, seed: int) -> Verdict:
    """Show where the condition can hold at all, that it excludes every exact decomposition, and that uniqueness fails.

    Uniqueness is impossible for a reason that has nothing to do with Kruskal: if `sum_r a_r (x) b_r (x) c_r = M`, then
    so is the sum of `D a_r (x) D b_r (x) D c_r` for every rotation. Were the set of terms unique, every rotation would
    permute it; SO(3) is connected, so each term would be invariant by itself, and a_r, b_r, c_r in l = 0. Such terms
    make the path 0x0->0 alone. The same holds for best approximations of M.
    """
    rows = [
        {
            "L": lmax,
            "d": dim(lmax),
            "R": quadratic(lmax),
            "largest_R_for_kruskal": rank.kruskal_limit(dim(lmax)),
            "exact_needs_at_least": rank.koszul_bound(CouplingTensor(lmax), 1, seed),
        }
        for lmax in range(1, 5 if preset is Preset.QUICK else 7)
    ]
    turned = _another_decomposition(seed)
    diverging = _divergence(preset, seed)
    evidence = {"rows": rows, "rotated_decomposition": turned, "fits_at_L1_R7": diverging}
    fails = all(row["R"] > row["largest_R_for_kruskal"] < row["exact_needs_at_least"] for row in rows)
    if not fails or turned["residual"] > 1e-12 or turned["distance"] < 0.1:
        return Verdict("T5", STATEMENT, Outcome.UNDECIDED, "the numbers do not show what they should", evidence)
    last, moved = diverging[-1], turned["distance"]
    summary = (
        "False. The condition needs R <= (3d-2)/2, which 7 L^2 exceeds at every L, and so does every exact "
        f"decomposition (Koszul bound, proven for L <= {len(rows)}). Uniqueness cannot hold: rotating all factors "
        f"gives another decomposition of M (residual {turned['residual']:.0e}, terms moved by {moved:.1f}). At L = 1, "
        f"R = 7 a best approximation does not even seem to exist: the least residual found, {last['residual']:.4f}, "
        f"comes with terms that have grown to {last['condition']:.0f} ||M||; bounded terms reach "
        f"{diverging[0]['residual']:.4f}"
    )
    return Verdict("T5", STATEMENT, Outcome.REFUTED, summary, evidence)


def _another_decomposition(seed: int) -> dict[str, float]:
    """Rotate an exact decomposition at L = 1, R = 8: the tensor stays, the terms move."""
    tensor = CouplingTensor(1)
    factors = best([LevenbergMarquardt(8, seed + n, ridge=1e-3).solve(tensor) for n in range(4)]).factors
    D = wigner_D(1, haar_rotations(1, np.random.default_rng(seed)))[0]
    turned = CPFactors(D @ factors.A, D @ factors.B, D @ factors.C)
    before, after = _terms(factors), _terms(turned)
    distances = np.linalg.norm(before[:, None] - after[None], axis=2)
    return {
        "residual": turned.relative_residual(tensor.array),
        "residual_before": factors.relative_residual(tensor.array),
        "distance": float(distances.min(axis=1).max()),
    }


def _terms(factors: CPFactors) -> np.ndarray:
    return np.einsum("kr,ir,jr->rkij", factors.A, factors.B, factors.C).reshape(factors.rank, -1)


def _divergence(preset: Preset, seed: int) -> list[dict[str, Any]]:
    """Least residual at L = 1, R = 7, and size of its terms, after more and more iterations without any ridge.

    With a ridge the fits end at a stationary point that is worse.
    """
    rows = []
    for iterations in (30, 100, 300, 1000) if preset is Preset.QUICK else (30, 100, 300, 1000, 3000, 10_000):
        found = [
            LevenbergMarquardt(7, seed + n, ridge=0.0, max_iterations=iterations, stall=0.0).solve(CouplingTensor(1))
            for n in range(4)
        ]
        solution = min(found, key=lambda s: s.residual)
        rows.append({"iterations": iterations, "residual": solution.residual, "condition": solution.factors.condition})
    anchored = LevenbergMarquardt(7, seed).solve(CouplingTensor(1))
    return [{"ridge": True, "residual": anchored.residual, "condition": anchored.factors.condition}, *rows]
