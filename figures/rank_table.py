"""Proven lower bounds on the rank of M, the best decompositions known, and the ranks the paper uses (T2, T5)."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure

LOOKS = {
    "outer_product": ("#000000", "D", "-", "T2: $d^2$"),
    "theorem": ("#CC79A7", "v", "-", "slices in pairs"),
    "exact_known": ("#D55E00", "s", "-", "all weights 1, proven"),
    "free_weights": ("#56B4E9", "P", "-", "weights free, proven"),
    "generic": ("0.6", "", ":", "generic tensor"),
    "paper": ("#009E73", "o", "-", "paper: $7L^2$"),
    "lower": ("#0072B2", "^", "-", "proven lower bound"),
}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    rows = record["values"]["rows"]
    fig, (axis,) = figure(COLUMN, 2.8)
    degrees = [row["L"] for row in rows]
    for key, (colour, marker, line, label) in LOOKS.items():
        axis.plot(degrees, [row[key] for row in rows], color=colour, marker=marker, linestyle=line, label=label)
    axis.fill_between(
        degrees, [row["lower"] for row in rows], [row["exact_known"] for row in rows], color="0.9", linewidth=0
    )
    axis.set_yscale("log")
    axis.set_ylim(4, 20 * max(row["outer_product"] for row in rows))  # room for the legend
    axis.set_xticks(degrees)
    axis.set_xlabel("maximal degree $L$")
    axis.set_ylabel("CP rank $R$")
    axis.legend(loc="upper left", ncols=2)
    return fig
