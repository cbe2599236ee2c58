"""In low precision a CP product errs by the roundoff times the cancellation of its terms (O6).

Left: stored fits, exact products and fits without a ridge, by their condition; factors in float32 take the growth
away. Right: without a ridge Levenberg-Marquardt's terms grow without end. Median and range of seeds.
"""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures._style import COLUMN, figure

KINDS = {
    "stored": ("o", "stored fits"),
    "no ridge": ("^", "fits without ridge, $L=1$, $R=7$"),
    "atlas": ("*", "atlas, exact"),
    "exact tensor": ("s", "no CP: the tensor itself"),
}
PRECISIONS = {"bfloat16": "#D55E00", "mixed": "#009E73", "float32": "#0072B2"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN + 0.2, 3.1, panels=2)
    conditions = np.array([1.0, max(row["condition"] for row in values["rows"])])
    for precision, unit in values["units"].items():
        left.plot(conditions, unit * conditions, "--", color=PRECISIONS[precision], linewidth=0.7)
    for kind, (marker, label) in KINDS.items():
        rows = [row for row in values["rows"] if row["kind"] == kind]
        for precision, colour in PRECISIONS.items():
            left.plot(
                [row["condition"] for row in rows],
                [row[precision] for row in rows],
                marker,
                color=colour,
                markerfacecolor=colour if kind in ("atlas", "exact tensor") else "none",
                markersize=6 if kind == "atlas" else 3.5,
                markeredgewidth=0.6,
            )
        left.plot([], [], marker, color="0.3", label=label)
    for precision, colour in PRECISIONS.items():
        name = {"mixed": "bfloat16, factors in float32"}.get(precision, precision)
        left.plot([], [], "-", color=colour, linewidth=3, label=name)
    left.plot([], [], "--", color="0.3", linewidth=0.7, label="unit roundoff times condition")
    left.set(
        xscale="log",
        yscale="log",
        xlabel=r"condition $\sum_r\|a_r\|\|b_r\|\|c_r\|\,/\,\|\hat M\|$",
        ylabel="relative error of the product (rms)",
    )
    for solver, colour, marker in (("Levenberg-Marquardt", "#0072B2", "o"), ("ALS", "#D55E00", "s")):
        rows = [row for row in values["rows"] if row.get("solver") == solver]
        counts = sorted({row["iterations"] for row in rows})
        found = [[row["condition"] for row in rows if row["iterations"] == count] for count in counts]
        right.plot(counts, [np.median(some) for some in found], color=colour, marker=marker, label=solver)
        right.fill_between(
            counts, [min(some) for some in found], [max(some) for some in found], color=colour, alpha=0.2
        )
    right.set(xscale="log", yscale="log", xlabel="iterations without ridge, $L=1$, $R=7$", ylabel="condition")
    right.legend(title="median, range of seeds", title_fontsize=7)
    fig.legend(*left.get_legend_handles_labels(), loc="outside lower center", ncols=3)
    return fig
