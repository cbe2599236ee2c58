"""T1: Theorem 3.1 is true, and says nothing at any rank below d^2."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.decompositions.rank_sweep import best_solution
from tdn_theory.preset import Preset
from tdn_theory.theory import bounds, equivariance, proofs
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "For a best rank-R approximation, eps <= 2 C^2 sqrt(sum_n sum_{k > R_T} sigma_k^(n)^2) with R_T = floor(R^(1/3))."
)


def check(preset: Preset, seed: int) -> Verdict:
    """Compare T1 with the trivial bound 2 ||M||, with sharper ones, and with the largest errors found."""
    degrees = range(1, 3 if preset is Preset.QUICK else 5)
    steps = [step for lmax in degrees for step in proofs.theorem_3_1(lmax)]
    rows = [_row(lmax, preset, seed) for lmax in range(1, 7)]
    evidence = {"proof": [asdict(step) for step in steps], "rows": rows}
    if proofs.failed(steps):
        summary = f"steps of the proof fail: {proofs.failed(steps)}"
        return Verdict("T1", STATEMENT, Outcome.UNDECIDED, summary, evidence)
    violated = [row["L"] for row in rows if row["largest_error_found"] > row["theorem_bound"]]
    if violated:
        return Verdict(
            "T1", STATEMENT, Outcome.REFUTED, f"an error above the bound was found at L = {violated}", evidence
        )
    ratios = [row["theorem_bound"] / row["trivial_bound"] for row in rows]
    empty = all(row["first_rank_below_trivial"] > row["d"] ** 2 for row in rows)
    summary = (
        f"True: each step of the proof holds exactly for L <= {max(degrees)}, and no error found for L <= 6 exceeds "
        "it. But at R = 7 L^2 it is "
        f"{min(ratios):.2f} to {max(ratios):.2f} times what ||M - Mhat|| <= ||M|| gives for nothing"
    )
    if empty:
        summary += ", and it first falls below that at a rank above d^2, where an exact decomposition exists (T2)"
    factor = max(row["certified_bound"] / row["largest_error_found"] for row in rows)
    summary += (
        ": M's spectrum is flat. A bound from the decomposition itself, 2 |N| with N its non-equivariant part, "
        f"is within a factor {factor:.2f} of the largest error found"
    )
    return Verdict("T1", STATEMENT, Outcome.QUALIFIED if empty else Outcome.VERIFIED, summary, evidence)


def _row(lmax: int, preset: Preset, seed: int) -> dict[str, Any]:
    tensor, rank = CouplingTensor(lmax), quadratic(lmax)
    solution = best_solution(lmax, rank)
    chain = bounds.chain(solution.factors, tensor)
    starts = 2 if preset is Preset.QUICK else 8
    witness = equivariance.supremum_search(solution.factors, seed, starts=starts)
    useful = next(r for r in range(1, tensor.d + 1) if bounds.tail(tensor, (r, r, r)) < tensor.norm**2)
    return {
        "L": lmax,
        "d": tensor.d,
        "R": rank,
        "R_T": bounds.theorem_core(tensor, rank)[0],
        "theorem_bound": bounds.theorem_bound(tensor, rank),
        "square_root_bound": bounds.square_root_bound(tensor, rank),
        "best_core": list(bounds.best_core(tensor, rank)),
        "best_core_bound": bounds.best_core_bound(tensor, rank),
        "trivial_bound": chain.trivial,
        "residual_bound": chain.residual,
        "non_equivariant_bound": chain.non_equivariant,
        "certified_bound": chain.certified,
        "largest_error_found": witness.value,
        "first_rank_below_trivial": useful**3,
        "relative_residual": solution.residual,
        "status": solution.status.value,
    }
