"""T4: N-linear maps have the same CP form, shown for three inputs."""

from __future__ import annotations

from dataclasses import asdict

from tdn_theory.preset import Preset
from tdn_theory.theory import proofs
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = "An N-linear equivariant map is an (N+1)-way tensor with the same CP form."


def check(preset: Preset, seed: int) -> Verdict:
    """Build a 4-way equivariant tensor from M, prove its equivariance, and rebuild it from CP terms."""
    degrees = range(1, 3 if preset is Preset.QUICK else 5)
    steps = [step for lmax in degrees for step in proofs.three_inputs(lmax)]
    evidence = {"proof": [asdict(step) for step in steps]}
    if proofs.failed(steps):
        return Verdict("T4", STATEMENT, Outcome.REFUTED, f"not true: {proofs.failed(steps)}", evidence)
    summary = (
        f"For L <= {max(degrees)} the 4-way tensor of (x y) m commutes with all generators, exactly, and is a sum of "
        "at most d^3 rank-one terms; the argument (one term per tuple of input components) does not see the number "
        "of inputs"
    )
    return Verdict("T4", STATEMENT, Outcome.VERIFIED, summary, evidence)
