"""The default product is seldom slower than the fastest plain torch, and faster where there is much to compute.

One mark for each shape, medians on one thread; dashed: a tenth slower. Right: its time over that of copying what is
read and written.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks

KINDS = {
    "uvu": ("#0072B2", "o", "uvu"),
    "uuu": ("#D55E00", "s", "uuu"),
    "uvu, 8 channels of y": ("#009E73", "^", "uvu, 8 channels of y"),
    "uvu, per path": ("#CC79A7", "v", "uvu, weights per path"),
}
EDGES = {1024: ("-", "o"), 10_000: ("--", "s")}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    units = record["values"]["units"]
    fig, (left, middle, right) = figure(2 * COLUMN + 0.3, 2.8, panels=3)
    directions = (left, "forward", "forward"), (middle, "forward_backward", "forward + backward")
    for axis, direction, title in directions:
        for place, (kind, (colour, marker, label)) in enumerate(KINDS.items()):
            some = [u for u in units if u["kind"] == kind and u["dtype"] == "float32"]
            products = [u["edges"] * (u["L"] + 1) ** 2 * u["channels"] * 1.12**place for u in some]  # side by side
            ratios = [_plain(u[direction]) / u[direction]["default"]["median"] for u in some]
            axis.scatter(products, ratios, s=9, color=colour, marker=marker, label=label, linewidths=0, alpha=0.75)
        axis.axhline(1, color="0.3", linewidth=0.8)
        axis.axhline(1 / 1.1, color="0.6", linewidth=0.6, linestyle="--")
        axis.set_xscale("log")
        axis.set_yscale("log")
        plain_ticks(axis.yaxis, (0.5, 1, 2, 5, 10, 20, 50, 100, 200))
        axis.set_xlabel("numbers in the output")
        axis.set_ylabel("times faster than plain torch")
        axis.set_ylim(bottom=0.5)
        axis.set_title(title)
    for edges, (style, marker) in EDGES.items():
        some = [
            u for u in units if (u["kind"], u["channels"], u["edges"], u["dtype"]) == ("uvu", 128, edges, "float32")
        ]
        for name, colour, label in (("default", "#000000", "default"), ("y_first", "#E69F00", "bmm and scaling")):
            times = [u["forward"][name]["median"] / u["forward"]["copy"]["median"] for u in some]
            text = f"{label}, {edges} edges"
            right.plot([u["L"] for u in some], times, style, color=colour, marker=marker, label=text)
    right.axhline(1, color="0.3", linewidth=0.8)
    right.set_yscale("log")
    right.set_ylim(0.8, 100)
    plain_ticks(right.yaxis, (1, 2, 5, 10, 20, 50))
    right.set_xlabel("maximal degree $L$")
    right.set_ylabel("time over copying the operands")
    right.set_title("uvu, 128 channels, forward")
    right.legend(loc="upper left", fontsize=6)
    handles, labels = left.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=6)
    return fig


def _plain(times: dict[str, dict[str, float]]) -> float:
    return min(summary["median"] for name, summary in times.items() if name not in ("default", "copy"))
