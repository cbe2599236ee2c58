"""An audit tells exact models from spoilt ones: their errors lie on either side of the threshold.

One mark for each random model, exact, and spoilt to about ten times the floor of roundoff; error of the forces under
rotations, over that floor.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    first = min(row["seed"] for row in values["rows"])
    fig, (axis,) = figure(COLUMN, 2.8)
    for key, label, marker in (("exact_ratio", "exact", "o"), ("spoilt_ratio", "spoilt", "s")):
        for dtype, colour in (("float32", "#D55E00"), ("float64", "#0072B2")):
            rows = [row for row in values["rows"] if row["dtype"] == dtype]
            sizes = [row[key] for row in rows]
            axis.semilogy(
                [1 + row["seed"] - first for row in rows], sizes, marker, color=colour, label=f"{label}, {dtype}"
            )
    axis.axhline(values["threshold"], color="0.3", linewidth=1)
    axis.text(1, values["threshold"], "threshold", color="0.3", fontsize=7, va="bottom")
    axis.set_xlabel("number of the random model")
    axis.set_ylabel("error of forces / floor")
    fig.legend(loc="outside upper center", ncols=2)
    return fig
