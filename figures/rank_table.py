"""The rank of M is open from L = 2 on, and so is that of the best path weights, which is lower (T2, T5).

The grey is what is open, between what is proven from below and the least that is proven exact.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure

PAPER = {"outer_product": ("#000000", "D", "-", "T2: $d^2$"), "paper": ("#009E73", "o", "-", "paper: $7L^2$")}
PANELS = (
    (
        "$M$ itself: all weights 1",
        ("lower", "exact_known"),
        {
            **PAPER,
            "theorem": ("#CC79A7", "v", "-", "slices in pairs"),
            "exact_known": ("#D55E00", "s", "-", "least proven"),
            "generic": ("0.6", "", ":", "generic tensor"),
            "lower": ("#0072B2", "^", "-", "proven lower bound"),
        },
    ),
    (
        "some equivariant product, all paths alive",
        ("lower_any_weights", "free_weights"),
        {
            **PAPER,
            "free_weights": ("#56B4E9", "P", "-", "least proven"),
            "lower_any_weights": ("#0072B2", "^", "-", "lower bound, any weights"),
        },
    ),
)
"""Title, what the rank lies between, and what is drawn how."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    rows = record["values"]["rows"]
    fig, axes = figure(2 * COLUMN + 0.2, 2.8, panels=2)
    degrees = [row["L"] for row in rows]
    for axis, (title, (low, high), looks) in zip(axes, PANELS, strict=True):
        for key, (colour, marker, line, label) in looks.items():
            axis.plot(degrees, [row[key] for row in rows], color=colour, marker=marker, linestyle=line, label=label)
        axis.fill_between(degrees, [row[low] for row in rows], [row[high] for row in rows], color="0.9", linewidth=0)
        axis.set_yscale("log")
        axis.set_ylim(4, 20 * max(row["outer_product"] for row in rows))  # room for the legend
        axis.set_xticks(degrees)
        axis.set_xlabel("maximal degree $L$")
        axis.set_ylabel("CP rank $R$")
        axis.set_title(title, loc="left")
        axis.legend(loc="upper left", ncols=2)
    return fig
