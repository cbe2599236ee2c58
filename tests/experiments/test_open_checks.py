"""The verdicts on the open checks O2, O3 and O4 follow the numbers of the records."""

from __future__ import annotations

from typing import Any

import pytest

from tdn_theory import checkout
from tdn_theory.verdict import Outcome


def number(mean: float, error: float = 0.01) -> dict[str, float]:
    return {"mean": mean, "standard_error": error, "seeds": 3}


def accuracy(paper: float, scatter: float = 0.01, systems: tuple[str, ...] = ("a", "b", "c")) -> dict[str, Any]:
    """A record in which errors at R = 7 are about `paper` times those of the exact product."""
    names = ("energy_rmse", "forces_rmse", "energy_turned_rmse", "forces_turned_rmse")
    rows, summary = [], []
    for system in systems:
        for method, rank, ratio in (("cp", 3, 2.0), ("cp", 7, paper), ("exact", None, 1.0)):
            common = {"system": system, "lmax": 1, "method": method, "rank": rank}
            ratios = {name: number(ratio) for name in names}
            summary.append({**common, "ratio_to_exact": ratios, "forces_share": number(0.01)})
            for seed in range(3):
                error = 5 * ratio * (1 + scatter * (seed - 1) if rank == 7 else 1)
                rows.append({**common, "seed": seed, **dict.fromkeys(names, error)})
    values = {"systems": list(systems), "left_out": ["d"], "steps": 1, "paper_rank": {"1": 7}}
    return {"preset": "quick", "values": {**values, "summary": summary, "rows": rows}}


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (accuracy(1.01), Outcome.VERIFIED),
        (accuracy(1.2), Outcome.REFUTED),
        (accuracy(1.2, scatter=0.5), Outcome.UNDECIDED),
        (accuracy(1.01, systems=("a",)), Outcome.UNDECIDED),
    ],
    ids=["equal", "worse", "scattered", "one system"],
)
def test_accuracy(record: dict[str, Any], outcome: Outcome) -> None:
    assert checkout.load("paper_checks", "O2").judge(record).outcome is outcome


def forces(worst: float, roundoff: float = 1e-14) -> dict[str, Any]:
    """A record in which the worst rotation at R = 7 changes forces by so many meV/Angstrom."""
    names = ("rms", "relative", "energy_change", "low", "median", "high", "largest")
    every = [f"{kind}_{name}" for kind in ("relaxation", "rattled", "dynamics") for name in names]
    every += ["share", "energy_share", "worst_over_random", "relaxed_energy_spread", "relaxed_distance"]
    every += ["relaxed_steps_spread", "relaxed_converged", "drift", "angular_momentum", "dynamics_distance"]
    rows = [
        {
            "forces": "conservative",
            "lmax": 1,
            "method": method,
            "rank": rank,
            **{name: number(value) for name in every},
            "worst": number(worst),
        }
        for method, rank, value in (("cp", 7, 0.1), ("exact", None, roundoff), ("cubature", None, roundoff))
    ]
    values = {"steps": 1, "paper_rank": {"1": 7}, "measures": {"time": 10.0}, "summary": rows}
    return {"preset": "quick", "values": values}


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (forces(0.5), Outcome.VERIFIED),
        (forces(30.0), Outcome.QUALIFIED),
        (forces(0.5, roundoff=1e-5), Outcome.UNDECIDED),
    ],
    ids=["small", "large", "exact product off"],
)
def test_forces(record: dict[str, Any], outcome: Outcome) -> None:
    assert checkout.load("paper_checks", "O3").judge(record).outcome is outcome


def properties(paper: float, roundoff: float = 1e-14, learnt: bool = True) -> dict[str, Any]:
    """A record in which errors at R = 28 are `paper` times those of the exact product."""
    rows = []
    for method, rank, ratio, change in (
        ("cp", 10, 2.0, 0.2),
        ("cp", 28, paper, 0.01),
        ("exact", None, 1.0, roundoff),
        ("cubature", None, 1.0, roundoff),
    ):
        label = {
            "rmse": number(0.1 if learnt else 0.4),
            "without_network": number(0.3),
            "relative_change": number(change),
            "turned_rmse_ratio_to_exact": number(ratio),
        }
        rows.append({"method": method, "rank": rank, "dipole": label, "polarizability": label})
    return {"preset": "quick", "values": {"steps": 1, "paper_rank": 28, "summary": rows}}


@pytest.mark.parametrize(
    ("record", "outcome"),
    [
        (properties(1.0), Outcome.QUALIFIED),
        (properties(1.3), Outcome.REFUTED),
        (properties(1.0, roundoff=1e-5), Outcome.UNDECIDED),
        (properties(1.0, learnt=False), Outcome.UNDECIDED),
    ],
    ids=["equal", "worse", "exact product off", "nothing learnt"],
)
def test_properties(record: dict[str, Any], outcome: Outcome) -> None:
    assert checkout.load("paper_checks", "O4").judge(record).outcome is outcome
