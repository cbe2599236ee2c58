"""Multiply-adds, bytes and parameters of every way to evaluate the product (E4, T6)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from tdn_theory.cp.schedules import quadratic
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import paths
from tdn_theory.study import Cost, Study
from tdn_theory.theory.cost import (
    CONNECTIONS,
    METHODS,
    UNSHARED,
    Channels,
    Connection,
    Method,
    cost,
    crossover,
    growth,
)
from tdn_theory.theory.universality import scaling_dimension

CHANNELS = 128

SIZES = {Preset.SMALLEST: {"largest": 4}, Preset.QUICK: {"largest": 12}, Preset.FULL: {"largest": 12}}
"""Largest L."""


def run(size: Mapping[str, int], seed: int, jobs: Jobs) -> dict[str, Any]:
    """Costs per edge with 128 channels, exponents of L + 1, and from which L on CP is cheaper.

    Args:
        size: Size of the run.
        seed: Unused: nothing is random.
        jobs: Where finished parts are kept.
    """
    rows = jobs.map(costs, [{"lmax": lmax} for lmax in range(1, size["largest"] + 1)], "counting multiply-adds")
    work = {
        connection: {
            method: {row["L"]: row[connection][method] for row in rows if method in row[connection]}
            for method in METHODS
            if any(method in row[connection] for row in rows)
        }
        for connection in ("uvu", "uuu")
    }
    return {
        "channels": CHANNELS,
        "rows": rows,
        "exponents": {c: {m: growth(w, max(w) // 2) for m, w in methods.items()} for c, methods in work.items()},
        "cp_is_cheaper_from": {
            c: {m: crossover(methods["cp"], w) for m, w in methods.items() if m != "cp"} for c, methods in work.items()
        },
    }


def costs(lmax: int) -> dict[str, Any]:
    """Multiply-adds per edge by connection and method, CP at R = 7 L^2; and the maps that networks reach with them.

    Those are counted as the dimension of all path weights that arise when each irrep of x, y and z has a weight, as by
    the linear layers around a product (`universality.scaling_dimension`): with weights per path it is their number.
    """
    row: dict[str, Any] = {"L": lmax, "R": quadratic(lmax)}
    for connection in ("uvu", "uuu"):
        channels = Channels.of(connection, CHANNELS)
        row[connection] = {
            m: cost(m, lmax, channels, rank=quadratic(lmax) if m == "cp" else None).multiply_adds
            for m in methods_of(connection, lmax)
        }
    row["table"] = table(lmax)
    row["reach"] = {"weights per path": len(paths(lmax)), "one product": scaling_dimension(lmax)}
    return row


def methods_of(connection: Connection, lmax: int) -> list[Method]:
    """Methods that there are: rotation needs harmonics for y, and matrices an even L; the cubature's rank is CP's."""
    missing = {"cubature", *["matrix"] * (lmax % 2), *["rotated"] * (connection != "uvu")}
    return [method for method in METHODS if method not in missing]


def table(lmax: int) -> list[dict[str, Any]]:
    """Multiply-adds, bytes and parameters per edge of every method and connection, with weights shared and per path."""
    rows = []
    for connection in CONNECTIONS:
        channels = Channels.of(connection, CHANNELS)
        for method in methods_of(connection, lmax):
            for shared in (True, False) if method in UNSHARED else (True,):
                found = cost(method, lmax, channels, rank=quadratic(lmax) if method == "cp" else None, shared=shared)
                rows.append({"connection": connection, "method": method, "shared": shared, **asdict(found)})
    return rows


STUDY = Study(
    "cost",
    "Multiply-adds of every method against L, for the network's product and with channels in both inputs (E3, T6)",
    Cost.COMPUTED,
    SIZES,
    run,
)
