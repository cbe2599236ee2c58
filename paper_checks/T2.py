"""T2: every equivariant bilinear map is a CP form with at most d1 d2 terms, and fewer do."""

from __future__ import annotations

from dataclasses import asdict

from tdn_theory.cp import atlas
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.theory import proofs, rank
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "Every SO(3)-equivariant bilinear map is exactly a CP form with R <= d1 d2; rank <= min(d1 d2, d1 d3, d2 d3)."
)


def check(preset: Preset, seed: int) -> Verdict:
    """Rebuild M exactly from one term per pair of input components; nothing in it needs equivariance."""
    degrees = range(1, 3 if preset is Preset.QUICK else 5)
    steps = [step for lmax in degrees for step in proofs.outer_product(lmax)]
    lower = proofs.seven_terms()
    evidence = {
        "proof": [asdict(step) for step in steps],
        "lower_bound_at_L1": [asdict(step) for step in lower],
        "pairs_of_slices": {str(lmax): rank.pair_bound(dim(lmax)) for lmax in degrees},
    }
    if proofs.failed(steps):
        return Verdict("T2", STATEMENT, Outcome.REFUTED, f"not true: {proofs.failed(steps)}", evidence)
    if proofs.failed(lower):
        return Verdict("T2", STATEMENT, Outcome.UNDECIDED, f"steps fail: {proofs.failed(lower)}", evidence)
    summary = (
        f"The identity holds exactly for L <= {max(degrees)}, and for any tensor, equivariant or not. It is far from "
        "sharp: slices in pairs need at most ceil(d/2) floor(3d/2) terms, 3/4 of d^2, for any tensor; for M far fewer "
        "are known (rank table). At L = 1, fewer than 7 terms with all paths alive are proven "
        f"impossible, and the atlas has {atlas.best(1).rank}"
    )
    return Verdict("T2", STATEMENT, Outcome.VERIFIED, summary, evidence)
