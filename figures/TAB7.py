"""One tensor for all paths, contracted with the harmonics first, makes the network fast; CP is slower.

Above: one change after the other, from Equiformer; numbers are the factor of each step. Below: other ways. Medians,
lines are quartiles of rounds; crosses are the paper's ratios on its GPU.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks

TASKS = {"inference": ("#0072B2", -0.2), "training": ("#E69F00", 0.2)}
TICKS = (0.5, 1, 2, 5, 10, 20, 50, 100)
IN_PAPER = {
    "paths summed, not side by side": "TDN w/o CP, PS, PS-Linear",
    "PS-Linear": "TDN w/o CP, PS",
    "PS": "TDN w/o CP",
    "CP, released order": "TDN",
}
"""The paper's row that a step, or a branch, is."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    found = values["attribution"]
    degrees = sorted({entry["L"] for entry in found})
    fig, axes = figure(2 * COLUMN + 0.3, 3.6, panels=len(degrees))
    steps, branches = [step["name"] for step in found[0]["steps"]], list(found[0]["branches"])
    compiled = "torch.compile"
    rows = [*steps, *([compiled] if values["compiled"] else []), *branches]
    heights = {name: place + (0.7 if name in branches else 0) for place, name in enumerate(rows)}
    for axis, lmax in zip(axes, degrees, strict=True):
        for task, (colour, shift) in TASKS.items():
            entry = next(e for e in found if (e["L"], e["task"]) == (lmax, task))
            bars, before = [], 1.0
            for name in steps:
                bars.append((name, before, entry["reached"][name]))
                before = entry["reached"][name]["median"]
            for other in values["compiled"]:
                if (other["L"], other["task"]) == (lmax, task):
                    bars.append((compiled, before, {key: before * value for key, value in other["speedup"].items()}))
            for name, start, end in bars:
                y, label = heights[name] + shift, task if name == steps[0] else None
                axis.barh(y, end["median"] - start, 0.36, left=start, color=colour, label=label)
                spread = [[end["median"] - end["quartile1"]], [end["quartile3"] - end["median"]]]
                axis.errorbar(end["median"], y, xerr=spread, color="0.2", linewidth=0.8)
                text = f" ×{end['median'] / start:.2g}"
                axis.text(max(start, end["quartile3"]), y, text, fontsize=5.5, va="center", ha="left")
            for name in branches:
                ratio = entry["branches"][name]
                spread = [[ratio["median"] - ratio["quartile1"]], [ratio["quartile3"] - ratio["median"]]]
                axis.errorbar(
                    ratio["median"], heights[name] + shift, xerr=spread, color=colour, marker="o", linestyle="none"
                )
        paper = values["paper"][str(lmax)]
        for name, theirs in IN_PAPER.items():
            ratio = paper[theirs]["gpu"] / paper["Equiformer"]["gpu"]
            label = "the paper (A100)" if name == steps[0] else None
            axis.plot(ratio, heights[name], color="0.2", marker="x", linestyle="none", label=label)
        axis.axvline(1, color="0.7", linewidth=0.6)
        axis.set_xscale("log")
        axis.set_xlim(right=axis.get_xlim()[1] * 1.5)
        plain_ticks(axis.xaxis, TICKS)
        axis.set_ylim(max(heights.values()) + 0.6, -0.6)
        axis.set_yticks(list(heights.values()), rows if axis is axes[0] else [""] * len(rows))
        axis.set_title(f"$L={lmax}$")
        axis.set_xlabel("times faster than Equiformer")
        axis.set_ylabel("one change after the other; below: other ways" if axis is axes[0] else " ")
    handles, labels = axes[0].get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=3)
    return fig
