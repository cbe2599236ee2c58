"""What is known about the CP rank of the paper's tensor: proven lower bounds, best decompositions, theorems."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.store import Store
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.theory import proofs, rank


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        effort: Exterior power p of the Koszul flattening, and steps of border substitution, by L.
    """

    effort: Mapping[int, tuple[int, int]]


SIZES = {
    Preset.SMALLEST: Size({1: (1, 1), 2: (2, 1)}),
    Preset.QUICK: Size({1: (1, 1), 2: (3, 1), 3: (3, 2), 4: (2, 3), 5: (2, 5), 6: (2, 5)}),  # a minute in all
    Preset.FULL: Size({1: (1, 1), 2: (3, 1), 3: (5, 2), 4: (5, 3), 5: (4, 3), 6: (4, 3)}),  # minutes; more steps lose
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """One row per L: lower bounds, least exact ranks (proven, numerical, with free weights), 7 L^2 and d^2.

    `lower` bounds the rank of M itself, whose weights are all 1; `lower_any_weights` that of every equivariant tensor
    with all paths alive, which are those that `free_weights` is the least known rank of.

    Args:
        size: Size of the run.
        seed: Seed of the projections.
        jobs: Where finished parts are kept.
    """
    plan = [{"lmax": lmax, "power": p, "steps": steps, "seed": seed} for lmax, (p, steps) in size.effort.items()]
    rows = jobs.map(lower_bound, plan, "bounding ranks from below")
    entries = atlas.entries()
    for row in rows:  # not kept as jobs: the store and the atlas may grow
        tensor = CouplingTensor(row["L"])
        known = rank.best_known(tensor, Store(), entries)
        proven = next(bound for bound in known if bound.proven)
        row |= {
            "exact_known": proven.rank,
            "exact_known_source": proven.source,
            "best_found": known[0].rank,
            "free_weights": atlas.best(row["L"]).rank,
            "lower_any_weights": row["lower_bounds"].get("real_rank", rank.any_weights_bound(row["L"])),
            "theorem": rank.pair_bound(tensor.d),
            "paper": quadratic(tensor.lmax),
            "outer_product": tensor.d**2,
            "generic": -(-(tensor.d**3) // (3 * tensor.d - 2)),
            "kruskal_limit": rank.kruskal_limit(tensor.d),
        }
    return {"rows": rows}


def lower_bound(lmax: int, power: int, steps: int, seed: int) -> dict[str, Any]:
    """Flattening, Koszul, and Koszul after border substitution; at L = 1 a bound on the real rank as well."""
    tensor = CouplingTensor(lmax)
    found = {
        "flattening": rank.flattening_bound(tensor),
        "koszul": rank.koszul_bound(tensor, power, seed),
        "border_substitution": rank.border_substitution_bound(tensor, power, steps, seed),
    }
    if lmax == 1 and not proofs.failed(proofs.seven_terms()):
        found["real_rank"] = 7
    return {
        "L": lmax,
        "d": tensor.d,
        "power": power,
        "steps": steps,
        "lower_bounds": found,
        "lower": max(found.values()),
    }


STUDY = Study(
    "rank_table",
    "Proven lower bounds on the rank of M, the best decompositions known, and the ranks the paper uses (T2, T5)",
    Cost.COMPUTED,
    SIZES,
    run,
)
