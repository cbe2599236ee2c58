"""Of all ingredients the product makes the network fastest, the more so the higher L.

Times over those of the same network without the ingredient: geometric mean (marker), least and most (line) over all
combinations of the others.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks

TASKS = {"inference": ("#0072B2", "o", -0.16), "training": ("#E69F00", "s", 0.16)}
TICKS = (0.25, 0.5, 1, 2, 5, 10, 20)
SWITCHES = ("PS", "PS-Linear", "only what is read", "torch.compile")
"""Ingredients that are no products."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    found = record["values"]["effects"]
    degrees = sorted({entry["L"] for entry in found})
    names = list(dict.fromkeys(entry["ingredient"] for entry in found))
    heights = {name: place + (0 if name in SWITCHES else 0.6) for place, name in enumerate(names)}
    ends = min(entry["least"] for entry in found), max(entry["most"] for entry in found)
    fig, axes = figure(2 * COLUMN + 0.3, 2.8, panels=len(degrees))
    for axis, lmax in zip(axes, degrees, strict=True):
        for task, (colour, marker, shift) in TASKS.items():
            entries = [entry for entry in found if (entry["L"], entry["task"]) == (lmax, task)]
            means = [entry["mean"] for entry in entries]
            spread = [
                [entry["mean"] - entry["least"] for entry in entries],
                [entry["most"] - entry["mean"] for entry in entries],
            ]
            y = [heights[entry["ingredient"]] + shift for entry in entries]
            axis.errorbar(means, y, xerr=spread, color=colour, marker=marker, linestyle="none", label=task)
        axis.axvline(1, color="0.7", linewidth=0.6)
        axis.set_xscale("log")
        axis.set_xlim(ends[0] / 1.1, ends[1] * 1.1)
        plain_ticks(axis.xaxis, TICKS)
        axis.set_ylim(max(heights.values()) + 0.5, -0.5)
        axis.set_yticks(list(heights.values()), names if axis is axes[0] else [""] * len(names))
        axis.set_title(f"$L={lmax}$")
        axis.set_xlabel("times faster with it")
        axis.set_ylabel("below: products instead of e3nn's" if axis is axes[0] else " ")
    handles, labels = axes[0].get_legend_handles_labels()
    labels = [f"{label}: geometric mean, least and most" for label in labels]
    fig.legend(handles, labels, loc="outside lower center", ncols=2)
    return fig
