"""Which low-rank formats can compress the paper's tensor M: CP, Tucker form and tensor train against M itself (O8)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.store import Store
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.theory.formats import fewest_numbers, fit_tucker, tucker_bracket, tucker_numbers


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        degrees: Maximal degrees L.
        fitted: Degrees up to which Tucker forms are fitted, at every core rank.
    """

    degrees: tuple[int, ...]
    fitted: int


SIZES = {
    Preset.SMALLEST: Size((1, 2), fitted=1),
    Preset.QUICK: Size((1, 2, 3, 4, 5, 6), fitted=4),
    Preset.FULL: Size((1, 2, 3, 4, 5, 6), fitted=6),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Numbers and errors of every format, for every L; nothing is random."""
    del seed
    plan = [{"lmax": lmax, "fit": lmax <= size.fitted} for lmax in size.degrees]
    return {"rows": jobs.map(compare, plan, "formats")}


def compare(lmax: int, fit: bool) -> dict[str, Any]:
    """One tensor in all formats.

    Args:
        lmax: Maximal degree L.
        fit: Whether to fit Tucker forms.
    """
    tensor, rank = CouplingTensor(lmax), quadratic(lmax)
    d, M = tensor.d, tensor.array
    entries = [entry for entry in Store().entries() if entry.tensor == tensor and entry.rank <= rank]
    best = Store().best(tensor, rank)
    tucker = []
    for r in range(1, d + 1):
        bracket = tucker_bracket(tensor, (r, r, r))
        found = fit_tucker(tensor, (r, r, r)) if fit and r < d else None
        tucker.append(
            {
                "core": r,
                "numbers": tucker_numbers(tensor.coupling.shape, (r, r, r)),
                "low": bracket.low,
                "high": bracket.high,
                "fitted": None if found is None else float(np.linalg.norm(M - found) / tensor.norm),
            }
        )
    trains = [fewest_numbers(tensor, best.residual, middle)[0] for middle in (0, 1, 2)]
    return {
        "L": lmax,
        "dense": M.size,
        "nonzeros": int(np.count_nonzero(M)),
        "rank": rank,
        "cp": [
            {"rank": entry.rank, "numbers": 3 * d * entry.rank, "error": entry.residual}
            for entry in sorted(entries, key=lambda entry: (entry.rank, -entry.residual))
        ],
        "error": best.residual,
        "fewest": {"Tucker": fewest_numbers(tensor, best.residual)[0], "tensor train": min(trains)},
        "tucker": tucker,
    }


STUDY = Study(
    "formats",
    "Error of CP, Tucker form and tensor train of M against the numbers that they hold",
    Cost.COMPUTED,
    SIZES,
    run,
)
