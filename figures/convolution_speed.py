"""The convolution of one loop over nodes is faster than e3nn's in every direction, eager or compiled.

Medians of rounds on one thread, weights for every path. Of double backward the compiled e3nn has no time.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks

DIRECTIONS = {"forward": "forward", "backward": "forward + backward", "double_backward": "forward + double backward"}
DTYPES = {"float32": "-", "float64": "--"}
RIVALS = {"e3nn": ("#0072B2", "o", "eager"), "e3nn compiled": ("#D55E00", "s", "compiled")}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    jobs = record["values"]["jobs"]
    fig, axes = figure(2 * COLUMN + 0.3, 2.6, panels=3)
    for axis, (direction, title) in zip(axes, DIRECTIONS.items(), strict=True):
        for dtype, style in DTYPES.items():
            for rival, (colour, marker, label) in RIVALS.items():
                some = [
                    job for job in jobs if job["dtype"] == dtype and job["threads"] == 1 and rival in job[direction]
                ]
                ratios = [job[direction][rival]["median"] / job[direction]["ours"]["median"] for job in some]
                text = f"e3nn, {label}, {dtype}"
                axis.plot([job["L"] for job in some], ratios, style, color=colour, marker=marker, label=text)
        axis.axhline(1, color="0.3", linewidth=0.8)
        axis.set_yscale("log")
        axis.set_ylim(0.8, 100)
        plain_ticks(axis.yaxis, (1, 2, 5, 10, 20, 50, 100))
        plain_ticks(axis.xaxis, (1, 2, 3))
        axis.set_xlabel("maximal degree $L$")
        axis.set_ylabel("times faster than e3nn")
        axis.set_title(title)
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=6)
    return fig
