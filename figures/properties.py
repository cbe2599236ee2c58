"""Dipole moments and polarizabilities against rank: accuracy, and equivariance of the predictions (O4)."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from figures._style import COLUMN, EXACT, error_axis, figure

LABELS = {"dipole": ("#0072B2", "o"), "polarizability": ("#D55E00", "s")}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    rows = sorted(values["summary"], key=lambda row: (row["terms"], row["method"]))
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.7, panels=2)
    for label, (colour, marker) in LABELS.items():
        baseline = rows[0][label]["without_network"]["mean"]
        for error, filled in (("rmse", True), ("turned_rmse", False)):
            _draw(left, rows, label, error, 1 / baseline, colour, marker, filled)
        left.plot([], [], color=colour, marker=marker, label=label)
    left.plot([], [], "o:", color="0.3", markerfacecolor="white", label="all orientations")
    left.plot([], [], "*", color="0.3", markersize=7, label="exact")
    left.plot([], [], "D", color="0.3", label="cubature (even paths)")
    left.set_ylim(bottom=0)
    left.set_ylabel("rms error, relative to no network")
    left.legend(loc="best")
    line = error_axis(right, 1e-5, 3)
    for label, (colour, marker) in LABELS.items():
        _draw(right, rows, label, "relative_change", 1.0, colour, marker, True, line)
    right.set_ylabel("relative change under rotation (rms)")
    for axis in (left, right):
        axis.axvline(values["paper_rank"], color="0.85", linewidth=4, zorder=0)
        axis.set_xlabel(f"CP terms $R$, $L={values['lmax']}$")
        axis.xaxis.set_major_locator(MaxNLocator(integer=True))
    return fig


def _draw(
    axis: Axes,
    rows: list[dict[str, Any]],
    label: str,
    name: str,
    scale: float,
    colour: str,
    marker: str,
    filled: bool,
    line: float | None = None,
) -> None:
    """Means over seeds with standard errors; what is roundoff on `line`."""
    numbers = [row[label][name] for row in rows]
    heights = [line if line is not None and n["mean"] < EXACT else scale * n["mean"] for n in numbers]
    bars = [scale * (n["standard_error"] or 0) if n["mean"] >= EXACT else 0.0 for n in numbers]
    places = [row["terms"] for row in rows]
    joined = [n for n, row in enumerate(rows) if row["method"] != "cubature"]
    axis.plot([places[n] for n in joined], [heights[n] for n in joined], "-" if filled else ":", color=colour)
    for n, row in enumerate(rows):
        shape = {"cubature": "D", "exact": "*"}.get(row["method"], marker)
        axis.errorbar(
            places[n],
            heights[n],
            bars[n],
            marker=shape,
            markersize=7 if shape == "*" else 3.5,
            color=colour,
            markerfacecolor=colour if filled else "white",
            elinewidth=0.7,
            linestyle="",
        )
