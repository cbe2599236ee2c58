"""What makes products fast is one set of weights for all paths, with CP or without (E3, T6).

Times over those of e3nn's product of the same shape, 128 channels and 1024 edges, medians of rounds on one thread;
right: the times themselves where both inputs have channels. The paper's speed-ups are of a GPU and are not shown
here; the check compares them.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, label_ends, plain_ticks

LINES = {
    "exact, fused": ("#009E73", "exact, shared"),
    "cp, released order": ("#D55E00", "CP $7L^2$, shared"),
    "per path": ("#0072B2", "exact, per path"),
    "cuequivariance": ("0.45", "cuEquivariance"),
}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, middle, right) = figure(2 * COLUMN + 0.3, 2.6, panels=3)
    shapes = [u for u in values["units"] if (u["mode"], u["channels"], u["edges"]) == ("uvu", 128, 1024)]
    for axis, direction, title in ((left, "forward", "forward"), (middle, "forward_backward", "forward + backward")):
        ends = []
        for method, (colour, label) in LINES.items():
            points = [(u["L"], u["methods"]) for u in shapes if method in u["methods"] and "e3nn" in u["methods"]]
            ratios = [m["e3nn"][direction]["median"] / m[method][direction]["median"] for _, m in points]
            if points:
                axis.plot([lmax for lmax, _ in points], ratios, "o-", color=colour)
                ends.append((ratios[-1], label, colour))
        axis.axhline(1, color="0.7", linewidth=0.6)
        axis.set_yscale("log")
        axis.set_ylim(0.8, 600)
        plain_ticks(axis.yaxis, (1, 3, 10, 30, 100, 300))
        axis.set_ylabel("times faster than e3nn" if axis is left else " ")
        axis.set_title(title, loc="left")
        label_ends(axis, ends)
    both = [u for u in values["units"] if u["mode"] == "uuu"]
    ends = []
    for method, colour, label in (("exact, fused", "#009E73", "exact"), ("cp", "#D55E00", "CP $7L^2$")):
        points = [(u["L"], 1e3 * u["methods"][method]["forward"]["median"]) for u in both if method in u["methods"]]
        right.plot([p[0] for p in points], [p[1] for p in points], "o-", color=colour)
        ends.append((points[-1][1], label, colour))
    right.set_yscale("log")
    plain_ticks(right.yaxis, (3, 10, 30, 100, 300))
    right.set_ylabel("time, forward (ms)")
    right.set_title("channels in both inputs", loc="left")
    label_ends(right, ends)
    for axis in (left, middle, right):
        axis.set_xlabel("maximal degree $L$")
    return fig
