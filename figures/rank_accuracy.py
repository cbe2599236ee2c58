"""Accuracy of trained potentials against the rank of their product, and what imperfect symmetry costs (O2)."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks
from tdn_theory.paper import EXCHANGED

SYSTEMS = {"relaxations": ("#0072B2", "o"), "ethanol": ("#D55E00", "s"), "aspirin": ("#009E73", "^")}
SHIFT = {"relaxations": -0.1, "ethanol": 0.0, "aspirin": 0.1}
"""Beside each other, so that error bars do not hide each other."""

PAPER = {name: EXCHANGED["TDN"]["CP"][name] / EXCHANGED["TDN"]["e3nn paths"][name] for name in ("energy", "forces")}
"""TAB5, L = 2, R = 28: error with CP and shared path weights over that without."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record: the lowest degree of it."""
    values = record["values"]
    lmax = min(row["lmax"] for row in values["summary"])
    fig, axes = figure(2 * COLUMN + 0.2, 3.2, panels=3)
    for axis, name in zip(axes, ("energy", "forces"), strict=False):
        for error, filled in (("rmse", True), ("turned_rmse", False)):
            for system, own in _systems(values, lmax):
                numbers = [row["ratio_to_exact"][f"{name}_{error}"] for row in own]
                _draw(axis, system, own, numbers, 1.0, filled)
        axis.axhline(1, color="0.6", linewidth=0.6)
        axis.axhline(PAPER[name], color="#CC79A7", linewidth=0.8, linestyle="--")
        axis.set_ylabel(f"rms error of {name}, relative to exact")
    right = axes[2]
    for system, own in _systems(values, lmax):
        _draw(right, system, own, [row["forces_share"] for row in own], 100.0, True)
    right.set_ylabel("share of force loss due to symmetry (%)")
    right.set_yscale("symlog", linthresh=0.1)
    right.set_ylim(bottom=0)
    for axis in axes:
        axis.axvline(values["paper_rank"][str(lmax)], color="0.85", linewidth=4, zorder=0)
        axis.set_xlabel(f"CP terms $R$, $L={lmax}$")
    for axis in axes[:2]:
        axis.set_yscale("log")
        plain_ticks(axis.yaxis, (0.8, 0.9, 1, 1.2, 1.5, 2, 3, 4, 6, 8))
    left, middle = axes[:2]
    for system, _ in _systems(values, lmax):
        colour, marker = SYSTEMS[system]
        left.plot([], [], color=colour, marker=marker, label=system)
    left.legend(loc="lower center", bbox_to_anchor=(0.5, 1))  # there is no room among the data
    middle.plot([], [], "o-", color="0.3", label="as they lie")
    middle.plot([], [], "o:", color="0.3", markerfacecolor="white", label="all orientations")
    middle.plot([], [], "*", color="0.3", markersize=7, label="exact")
    middle.plot([], [], "D", color="0.3", label="cubature (even paths)")
    middle.plot([], [], "--", color="#CC79A7", label="paper, TAB5 ($L=2$)")
    middle.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=6)
    return fig


def _systems(values: dict[str, Any], lmax: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows of each system, by number of terms."""
    rows = [row for row in values["summary"] if row["lmax"] == lmax]
    return [
        (system, sorted((r for r in rows if r["system"] == system), key=lambda r: (r["terms"], r["method"])))
        for system in values["systems"]
    ]


def _draw(
    axis: Any, system: str, rows: list[dict[str, Any]], numbers: list[dict[str, Any]], scale: float, filled: bool
) -> None:
    colour, marker = SYSTEMS[system]
    style = {"color": colour, "markerfacecolor": colour if filled else "white", "elinewidth": 0.7}
    line = [n for n, row in enumerate(rows) if row["method"] != "cubature"]
    places = [row["terms"] + SHIFT[system] for row in rows]
    heights = [scale * number["mean"] for number in numbers]
    bars = [scale * (number["standard_error"] or 0) for number in numbers]
    axis.plot([places[n] for n in line], [heights[n] for n in line], "-" if filled else ":", color=colour)
    for n, row in enumerate(rows):
        shape = {"cubature": "D", "exact": "*"}.get(row["method"], marker)
        size = 7 if shape == "*" else 3.5
        axis.errorbar(places[n], heights[n], bars[n], marker=shape, markersize=size, linestyle="", **style)
