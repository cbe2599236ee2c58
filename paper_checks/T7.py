"""T7: path-weight sharing keeps equivariance."""

from __future__ import annotations

from dataclasses import asdict

from tdn_theory.preset import Preset
from tdn_theory.theory import proofs
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = "Sharing one weight set among all paths (PS, PS-Linear) does not break equivariance."


def check(preset: Preset, seed: int) -> Verdict:
    """Prove that channel mixing commutes with rotations, and that a bias is allowed on l = 0 alone."""
    degrees = range(1, 3 if preset is Preset.QUICK else 5)
    steps = [step for lmax in degrees for step in proofs.weight_sharing(lmax)]
    evidence = {"proof": [asdict(step) for step in steps]}
    if proofs.failed(steps):
        return Verdict("T7", STATEMENT, Outcome.REFUTED, f"not true: {proofs.failed(steps)}", evidence)
    summary = (
        f"(W (x) 1)(1 (x) D) = (1 (x) D)(W (x) 1) for a symbolic W, exactly, for L <= {max(degrees)}; a bias is "
        "invariant on l = 0 and on no other degree, as the paper has it. With an approximate product the error is "
        "scaled by |w|, neither made nor mended"
    )
    return Verdict("T7", STATEMENT, Outcome.VERIFIED, summary, evidence)
