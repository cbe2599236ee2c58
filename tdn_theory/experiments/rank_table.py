"""What is known about the CP rank of the paper's tensor: proven lower bounds, best decompositions, theorems."""

from __future__ import annotations

from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.store import Store
from tdn_theory.experiments.units import Units
from tdn_theory.preset import Preset
from tdn_theory.theory import rank

QUICK_POWERS = {1: 1, 2: 3, 3: 3, 4: 3, 5: 2, 6: 2}
"""Exterior power of the Koszul flattening at each L: a minute in all."""

FULL_POWERS = {1: 1, 2: 3, 3: 4, 4: 4, 5: 3, 6: 3}
"""The same for the full preset: ten minutes."""


def run(preset: Preset, seed: int, units: Units) -> dict[str, Any]:
    """One row per L: lower bound on the border rank, best exact decomposition, theorem, 7 L^2 and d^2."""
    powers = QUICK_POWERS if preset is Preset.QUICK else FULL_POWERS
    plan = [{"lmax": lmax, "power": power, "seed": seed} for lmax, power in powers.items()]
    rows = units.map(lower_bound, plan, "bounding ranks from below")
    for row in rows:  # not kept as units: the store may grow
        tensor = CouplingTensor(row["L"])
        known = rank.best_known(tensor, Store())
        row |= {
            "best_known": known.rank,
            "best_known_source": known.source,
            "best_known_residual": known.residual,
            "theorem": rank.pair_bound(tensor.d),
            "paper": quadratic(tensor.lmax),
            "outer_product": tensor.d**2,
            "generic": -(-(tensor.d**3) // (3 * tensor.d - 2)),
            "kruskal_limit": rank.kruskal_limit(tensor.d),
        }
    return {"rows": rows}


def lower_bound(lmax: int, power: int, seed: int) -> dict[str, Any]:
    """Flattening, Koszul, and Koszul after one step of border substitution; the largest is the bound."""
    tensor = CouplingTensor(lmax)
    found = {
        "flattening": rank.flattening_bound(tensor),
        "koszul": rank.koszul_bound(tensor, power, seed),
        "border_substitution": rank.border_substitution_bound(tensor, power, seed),
    }
    return {"L": lmax, "d": tensor.d, "power": power, "lower_bounds": found, "lower": max(found.values())}
