"""T3: the equivariant bilinear maps are the combinations of path tensors."""

from __future__ import annotations

from dataclasses import asdict

from tdn_theory.preset import Preset
from tdn_theory.theory import proofs
from tdn_theory.verdict import Outcome, Verdict

STATEMENT = (
    "Every equivariant bilinear map between multiplicity-free representations is a combination of path tensors (Schur)."
)


def check(preset: Preset, seed: int) -> Verdict:
    """Compute the dimension of every space of intertwiners from the ladder operators, and compare with the paths."""
    degrees = range(1, 4 if preset is Preset.QUICK else 7)
    steps = [step for lmax in degrees for step in proofs.schur(lmax)]
    evidence = {"proof": [asdict(step) for step in steps]}
    if proofs.failed(steps):
        return Verdict("T3", STATEMENT, Outcome.REFUTED, f"not true: {proofs.failed(steps)}", evidence)
    summary = (
        f"dim Hom(V_l1 (x) V_l2, V_l3) is 1 on every path and 0 elsewhere for all degrees up to {max(degrees)}: an "
        "integer linear system bounds it from above, the exact path tensor from below"
    )
    return Verdict("T3", STATEMENT, Outcome.VERIFIED, summary, evidence)
