"""Proofs of `tdn_theory.theory.proofs` as jobs, and their steps as records keep them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict
from typing import Any

from tdn_theory.jobs import Jobs
from tdn_theory.theory import proofs


def prove(proof: str, lmax: int) -> dict[str, Any]:
    """Steps of one proof at one L.

    Args:
        proof: Name of a function of `proofs` that takes L.
        lmax: Maximal degree L.
    """
    return {"steps": [asdict(step) for step in getattr(proofs, proof)(lmax)]}


def prove_all(names: Iterable[str], largest: int, jobs: Jobs) -> list[dict[str, Any]]:
    """Steps of proofs at L = 1, .., `largest`."""
    plan = [{"proof": name, "lmax": lmax} for name in names for lmax in range(1, largest + 1)]
    return [step for found in jobs.map(prove, plan, "proofs") for step in found["steps"]]
