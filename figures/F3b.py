"""CP at R = 7L^2 is much nearer to equivariant than Theorem 3.1 says, whose bound exceeds the trivial one (E6, T1).

Left: mean over random rotations and normal inputs (bars: standard errors), and the exact root mean square. Right:
bounds for unit inputs.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, EXACT, SCHEDULE_COLOURS, SCHEDULE_LABELS, SCHEDULE_MARKERS, error_axis, figure


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.7, panels=2)
    exact = error_axis(left, 1e-2, 40)
    for name, colour in SCHEDULE_COLOURS.items():
        points = [p for p in record["values"]["points"] if p["schedule"] == name]
        degrees = [p["L"] for p in points]
        shown = [p["rms_error"] > EXACT * p["output_rms"] for p in points]
        sampled = [p["sampled_error"] if s else exact for p, s in zip(points, shown, strict=True)]
        spread = [p["sampled_error_se"] if s else 0.0 for p, s in zip(points, shown, strict=True)]
        left.errorbar(
            degrees, sampled, spread, color=colour, marker=SCHEDULE_MARKERS[name], label=SCHEDULE_LABELS[name]
        )
        rms = [p["rms_error"] if s else exact for p, s in zip(points, shown, strict=True)]
        left.plot(degrees, rms, color=colour, marker="_", linestyle="", markersize=9, markeredgewidth=1.2)
    left.plot([], [], color="0.2", marker="_", linestyle="", markersize=9, label="exact root mean square")
    left.set_ylabel(r"equivariance error $\varepsilon$, $x, y\sim N(0,1)$")
    left.set_title("mean over rotations and inputs", loc="left")
    fig.legend(*left.get_legend_handles_labels(), loc="outside upper left", ncols=5, columnspacing=1.2)
    points = [p for p in record["values"]["points"] if p["schedule"] == "7L^2"]
    degrees = [p["L"] for p in points]
    right.plot(degrees, [p["theorem_bound"] for p in points], "k-o", label="Theorem 3.1")
    right.plot(degrees, [p["trivial_bound"] for p in points], color="0.5", linestyle="--", label="trivial bound")
    colour = SCHEDULE_COLOURS["7L^2"]
    right.plot(degrees, [p["supremum_bound"] for p in points], color=colour, marker="v", label="certified supremum")
    per_unit = [p["rms_error"] / (p["L"] + 1) ** 2 for p in points]
    right.plot(degrees, per_unit, color=colour, marker="_", linestyle=":", label="exact root mean square")
    right.set_yscale("log")
    right.set_ylabel(r"$\varepsilon$ for $\|x\|=\|y\|=1$")
    right.set_title(r"bounds at $R=7L^2$", loc="left")
    right.legend(loc="center right", bbox_to_anchor=(1.0, 0.56))
    for axis in (left, right):
        axis.set_xticks(range(1, 7))
        axis.set_xlabel("maximal degree $L$")
    return fig
