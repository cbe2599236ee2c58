"""Dipole moments and polarizabilities against rank: accurate from R = 20 on, equivariant only if exact (O4).

Filled: molecules as they lie; open: in all orientations; diamonds: cubature, even paths only. Means over seeds, bars
are standard errors; the grey bar is the paper's R = 7L^2.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, EXACT, error_axis, figure, label_ends

LABELS = {"dipole": ("#0072B2", "o"), "polarizability": ("#D55E00", "s")}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    rows = sorted(values["summary"], key=lambda row: (row["terms"], row["method"]))
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.5, panels=2)
    line = error_axis(right, 1e-5, 3)
    starts = []
    for label, (colour, marker) in LABELS.items():
        baseline = rows[0][label]["without_network"]["mean"]
        for error, filled in (("rmse", True), ("turned_rmse", False)):
            _draw(left, rows, label, error, 1 / baseline, colour, marker, filled)
        _draw(right, rows, label, "relative_change", 1.0, colour, marker, True, line)
        starts.append((rows[-1][label]["rmse"]["mean"] / baseline, label, colour))
    left.set_ylim(bottom=0)
    label_ends(left, starts)
    left.set_ylabel("rms error / without a network")
    left.set_title("accuracy", loc="left")
    right.set_ylabel("relative change under rotation (rms)")
    right.set_title("equivariance", loc="left")
    for axis in (left, right):
        axis.axvline(values["paper_rank"], color="0.85", linewidth=4, zorder=0)
        axis.set_xlabel(f"CP terms $R$, $L={values['lmax']}$")
        axis.set_xticks([row["terms"] for row in rows], [str(row["terms"]) for row in rows])
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
    line: float = 0.0,
) -> None:
    """Means over seeds with standard errors; what is roundoff on `line`, if one is given."""
    numbers = [row[label][name] for row in rows]
    exact = [line > 0 and number["mean"] < EXACT for number in numbers]
    heights = [line if hidden else scale * n["mean"] for hidden, n in zip(exact, numbers, strict=True)]
    bars = [0.0 if hidden else scale * (n["standard_error"] or 0) for hidden, n in zip(exact, numbers, strict=True)]
    places = [row["terms"] for row in rows]
    joined = [n for n, row in enumerate(rows) if row["method"] != "cubature"]
    axis.plot([places[n] for n in joined], [heights[n] for n in joined], "-" if filled else ":", color=colour)
    for n, row in enumerate(rows):
        axis.errorbar(
            places[n],
            heights[n],
            bars[n],
            marker="D" if row["method"] == "cubature" else marker,
            color=colour,
            markerfacecolor=colour if filled else "white",
            elinewidth=0.7,
            linestyle="",
        )
