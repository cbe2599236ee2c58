"""Errors under rotations over the floor of roundoff: exact random models, and those with ten times the floor."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (axis,) = figure(COLUMN, 2.6)
    for key, label, marker in (("exact_ratio", "exact", "o"), ("spoilt_ratio", "spoilt", "s")):
        for dtype, colour in (("float32", "#D55E00"), ("float64", "#0072B2")):
            rows = [row for row in values["rows"] if row["dtype"] == dtype]
            sizes = [row[key] for row in rows]
            axis.semilogy([row["seed"] for row in rows], sizes, marker, color=colour, label=f"{label}, {dtype}")
    axis.axhline(values["threshold"], color="0.3", linewidth=1)
    axis.set_xlabel("model")
    axis.set_ylabel("error of forces / floor")
    axis.legend(loc="best", fontsize=6)
    return fig
