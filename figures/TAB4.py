"""TDN is faster and smaller than Equiformer, and faster still with an exact product in the place of CP.

Medians and quartiles of rounds, one molecule at a time; crosses and dashes are the paper's numbers, on its machines.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks

LOOK = {
    "Equiformer": ("#000000", "o"),
    "TDN, as published": ("#D55E00", "s"),
    "TDN, exact": ("#009E73", "D"),
}
TICKS = (0.05, 0.1, 0.2, 0.5, 1, 2, 5, 10, 20, 50, 100, 200, 500)
PAPER_NAMES = {"Equiformer": "Equiformer", "TDN": "TDN, as published"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    paper, rows = values["paper"], values["rows"]
    fig, (throughput, speedup, size) = figure(2 * COLUMN + 0.3, 2.9, panels=3)
    inference = [row for row in rows if row["task"] == "inference"]
    degrees = [row["L"] for row in inference]
    where = "cpu" if inference[0]["device"] == "cpu" else "gpu"
    for name, (colour, marker) in LOOK.items():
        for task, style in (("inference", "-"), ("training", ":")):
            own = [row for row in rows if row["task"] == task]
            label = name if task == "inference" else None
            points = [row["networks"][name]["samples_per_second"] for row in own]
            throughput.plot([row["L"] for row in own], points, style, color=colour, marker=marker, label=label)
            if name != "Equiformer":
                _ratios(speedup, [(row["L"], row["speedups"][name]) for row in own], style, colour, marker)
        size.plot(
            degrees, [row["networks"][name]["parameters"] / 1e6 for row in inference], color=colour, marker=marker
        )
    for theirs, name in PAPER_NAMES.items():
        style = {"color": LOOK[name][0], "marker": "x", "linestyle": "none", "markersize": 5}
        label = f"the paper's, {where.upper()}" if theirs == "TDN" else None
        throughput.plot(degrees, [paper[str(l)][theirs][where] for l in degrees], **style, label=label)
        size.plot(degrees, [paper[str(l)][theirs]["parameters"] for l in degrees], **style)
    for device, marker in (("cpu", "x"), ("gpu", "+")):
        ratios = [paper[str(l)]["TDN"][device] / paper[str(l)]["Equiformer"][device] for l in degrees]
        label = f"the paper's, {device.upper()}"
        speedup.plot(degrees, ratios, color="0.45", marker=marker, linestyle="--", linewidth=0.6, label=label)
    speedup.legend()
    speedup.axhline(1, color="0.7", linewidth=0.6)
    labels = ("samples / s", "times faster than Equiformer", "parameters (millions)")
    for axis, label in zip((throughput, speedup, size), labels, strict=True):
        axis.set_yscale("log")
        plain_ticks(axis.yaxis, TICKS)
        axis.set_xticks(degrees)
        axis.set_xlabel("maximal degree $L$")
        axis.set_ylabel(label)
    throughput.set_title("solid: inference; dotted: training", fontsize=7)
    handles, names = throughput.get_legend_handles_labels()
    fig.legend(handles, names, loc="outside lower center", ncols=4)
    return fig


def _ratios(axis: Axes, points: list[tuple[int, dict[str, float]]], style: str, colour: str, marker: str) -> None:
    middle = [ratio["median"] for _, ratio in points]
    below = [ratio["median"] - ratio["quartile1"] for _, ratio in points]
    above = [ratio["quartile3"] - ratio["median"] for _, ratio in points]
    axis.errorbar([l for l, _ in points], middle, [below, above], linestyle=style, color=colour, marker=marker)
