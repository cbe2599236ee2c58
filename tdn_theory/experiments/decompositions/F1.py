"""F1: the exactly equivariant CP product of seven terms at L = 1, term by term.

A vector a of components of degree 0 and 1 is a function on the sphere, `sum_k a_k Y_k(q)`. A term reads x with one such
function and y with another, multiplies the two numbers, and adds a third function that many times (E3). Recorded is
which functions these are, and how far from equivariant the terms and their partial sums are.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.theory.equivariance import rms_error_relative_to_output

SIZES = {preset: {"L": 1} for preset in Preset}


def run(size: dict[str, int], seed: int, jobs: Jobs) -> dict[str, Any]:
    """The terms of the least exact product, the longest first, each with unit B and C."""
    entry = atlas.best(size["L"], max_error=1e-12)
    given = entry.factors
    scale = [np.linalg.norm(factor, axis=0) for factor in (given.B, given.C)]
    order = np.argsort(-given.term_lengths.round(9), kind="stable")  # equal lengths differ by roundoff
    A, B, C = (given.A * scale[0] * scale[1])[:, order], (given.B / scale[0])[:, order], (given.C / scale[1])[:, order]
    terms = [CPFactors(A[:, [r]], B[:, [r]], C[:, [r]]) for r in range(given.rank)]
    sums = [CPFactors(A[:, :r], B[:, :r], C[:, :r]) for r in range(1, given.rank + 1)]
    return {
        "L": size["L"],
        "R": given.rank,
        "entry": entry.stem,
        "weights": list(entry.tensor.weights),
        "A": A.tolist(),
        "B": B.tolist(),
        "C": C.tolist(),
        "errors_of_terms": [rms_error_relative_to_output(term) for term in terms],
        "errors_of_sums": [rms_error_relative_to_output(first) for first in sums],
    }


STUDY = Study(
    "F1",
    "The exactly equivariant CP product of seven terms at L = 1: what each term reads and writes (E3)",
    Cost.COMPUTED,
    SIZES,
    run,
)
