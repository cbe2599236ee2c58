"""After short trainings networks at R = 7L^2 err as those with the exact product, at lower rank forces are worse (O2).

Filled: molecules as they lie; open: in all orientations. Diamonds: cubature, even paths only. Right: the share of
the force loss that is lack of symmetry. Means over seeds, bars are standard errors; the grey bar is the paper's R =
7L^2.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks

SYSTEMS = {
    "relaxations": ("#0072B2", "o"),
    "ethanol": ("#D55E00", "s"),
    "aspirin": ("#009E73", "^"),
    "malonaldehyde": ("#CC79A7", "v"),
    "salicylic": ("#E69F00", "P"),
    "uracil": ("#56B4E9", "X"),
}
SHIFT = {system: 0.1 * (number - 1) for number, system in enumerate(SYSTEMS)}
"""Beside each other, so that error bars do not hide each other."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record: the lowest degree of it."""
    values = record["values"]
    lmax = min(row["lmax"] for row in values["summary"])
    fig, (forces, energy, share) = figure(2 * COLUMN + 0.2, 2.6, panels=3)
    for axis, name in ((forces, "forces"), (energy, "energy")):
        for error, filled in (("rmse", True), ("turned_rmse", False)):
            for system, own in _systems(values, lmax):
                _draw(axis, system, own, [row["ratio_to_exact"][f"{name}_{error}"] for row in own], filled)
        axis.axhline(1, color="0.6", linewidth=0.6, zorder=0)
        axis.set_yscale("log")
        plain_ticks(axis.yaxis, (0.8, 0.9, 1, 1.2, 1.5, 2, 3, 4, 6, 8))
        axis.set_ylabel("rms error / with the exact product")
        axis.set_title(name, loc="left")
    for system, own in _systems(values, lmax):
        numbers = [row["forces_share"] for row in own]
        _draw(share, system, own, [{k: 100 * (n[k] or 0) for k in ("mean", "standard_error")} for n in numbers], True)
    share.set_yscale("symlog", linthresh=0.1)
    share.set_ylim(bottom=0)
    share.set_ylabel("share of force loss (%)")
    share.set_title("lack of symmetry", loc="left")
    starts = [
        (own[0]["ratio_to_exact"]["forces_turned_rmse"]["mean"], system) for system, own in _systems(values, lmax)
    ]
    for axis in (forces, energy, share):
        axis.axvline(values["paper_rank"][str(lmax)], color="0.85", linewidth=4, zorder=0)
        axis.set_xlabel(f"CP terms $R$, $L={lmax}$")
    for height, system in starts:
        below = system == "ethanol"  # above it is the line of aspirin
        forces.annotate(
            system,
            (min(row["terms"] for row in values["summary"] if row["lmax"] == lmax), height),
            (4, -38 if below else 4),
            textcoords="offset points",
            color=SYSTEMS[system][0],
            fontsize=7,
        )
    return fig


def _systems(values: dict[str, Any], lmax: int) -> list[tuple[str, list[dict[str, Any]]]]:
    """Rows of each system, by number of terms."""
    rows = [row for row in values["summary"] if row["lmax"] == lmax]
    return [
        (system, sorted((r for r in rows if r["system"] == system), key=lambda r: (r["terms"], r["method"])))
        for system in values["systems"]
    ]


def _draw(axis: Axes, system: str, rows: list[dict[str, Any]], numbers: list[dict[str, Any]], filled: bool) -> None:
    colour, marker = SYSTEMS[system]
    style = {"color": colour, "markerfacecolor": colour if filled else "white", "elinewidth": 0.7}
    places = [row["terms"] + SHIFT[system] for row in rows]
    line = [n for n, row in enumerate(rows) if row["method"] != "cubature"]
    axis.plot([places[n] for n in line], [numbers[n]["mean"] for n in line], "-" if filled else ":", color=colour)
    for n, row in enumerate(rows):
        shape = "D" if row["method"] == "cubature" else marker
        axis.errorbar(
            places[n], numbers[n]["mean"], numbers[n]["standard_error"] or 0.0, marker=shape, linestyle="", **style
        )
