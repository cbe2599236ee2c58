"""On the n-body system at L = 2; near R = 28 the CP product errs as the exact one, and loses its equivariance error.

Means over seeds, bars are standard errors; hollow: the exact product, not trained again. The paper's test errors are
after many more epochs and are not shown; its equivariance errors are.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, EXACT, error_axis, figure, plain_ticks

CP, WHOLE, EVEN, PAPER = "#0072B2", "#000000", "#CC79A7", "#D55E00"
LEAST = 1e-3
"""Errors are shown from here on."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.6, panels=2)
    rows = {row["kind"]: [r for r in values["rows"] if r["kind"] == row["kind"]] for row in values["rows"]}
    cp, exact = rows["cp"], rows["exact"][0]
    trained = [row for row in cp if row["trained_as"] == "cp"]

    mean, error = exact["test_mse"]["mean"], exact["test_mse"]["standard_error"] or 0.0
    left.axhspan(mean - error, mean + error, color="0.85", linewidth=0)
    left.axhline(mean, color="0.4", linewidth=0.8)
    _points(left, trained, CP, "o-")
    _points(left, [row for row in cp if row["trained_as"] == "exact"], CP, "o", hollow=True)
    _points(left, rows["atlas"], WHOLE, "o")
    _points(left, rows["atlas, even paths"], EVEN, "o")
    left.set_yscale("log")
    heights = [row["test_mse"]["mean"] for row in values["rows"]]
    left.set_ylim(0.8 * min(heights), 1.25 * max(heights))
    plain_ticks(left.yaxis, (0.003, 0.004, 0.005, 0.007, 0.01, 0.015, 0.02, 0.03, 0.05))
    left.set_ylabel("test mean square error")
    epochs = values["protocol"]["epochs"]
    left.set_title(f"accuracy after {epochs} epochs", loc="left")
    for row, text, colour, where in (
        (trained[0], "CP", CP, (5, 3)),
        (rows["atlas"][0], "exact, all paths", WHOLE, (4, -9)),
        (rows["atlas, even paths"][0], "exact, even", EVEN, (-5, -2)),
    ):
        point = (row["rank"], row["test_mse"]["mean"])
        side = "right" if where[0] < 0 else "left"
        left.annotate(text, point, where, textcoords="offset points", color=colour, fontsize=7, ha=side)
    left.annotate("exact product", (80, mean), (0, 4), textcoords="offset points", color="0.3", ha="right", fontsize=7)

    floor = error_axis(right, LEAST, 3)
    right.plot([row["rank"] for row in cp], [_height(row["rms_error"], floor) for row in cp], "o-", color=CP)
    network = [_height(row["rotation_error"]["mean"], floor) for row in trained]
    right.plot([row["rank"] for row in trained], network, "s-", color="#009E73")
    for kind, colour in (("atlas", WHOLE), ("atlas, even paths", EVEN)):
        right.plot([row["rank"] for row in rows[kind]], [floor] * len(rows[kind]), "o", color=colour)
    paper = [(int(rank), row["error"]) for rank, row in values["paper"].items() if rank.isdigit()]
    right.plot(*zip(*paper[:-1], strict=True), "x--", color=PAPER)
    right.plot(*paper[-1], "v", color=PAPER)
    right.annotate(
        "paper: below", paper[-1], (-5, 0), textcoords="offset points", color=PAPER, ha="right", va="center", size=7
    )
    right.set_ylabel("relative equivariance error")
    right.set_title("equivariance", loc="left")
    for row, key, text, colour, where in (
        (trained[-2], "rms_error", "CP product", CP, (5, 4)),
        (trained[0], "rotation_error", "trained network", "#009E73", (0, -11)),
    ):
        height = row[key] if key == "rms_error" else row[key]["mean"]
        right.annotate(text, (row["rank"], height), where, textcoords="offset points", color=colour, fontsize=7)
    right.annotate("paper", paper[-2], (5, 4), textcoords="offset points", color=PAPER, fontsize=7)
    for axis in (left, right):
        axis.set_xscale("log")
        plain_ticks(axis.xaxis, (10, 15, 20, 30, 40, 60, 80))
        axis.set_xlabel("CP terms $R$")
    return fig


def _height(value: float, floor: float) -> float:
    """Roundoff is drawn on the line `exact`."""
    return value if value > EXACT else floor


def _points(axis: Axes, rows: list[dict[str, Any]], colour: str, style: str, hollow: bool = False) -> None:
    """Means over seeds with standard errors."""
    axis.errorbar(
        [row["rank"] for row in rows],
        [row["test_mse"]["mean"] for row in rows],
        [row["test_mse"]["standard_error"] or 0.0 for row in rows],
        fmt=style,
        color=colour,
        elinewidth=0.7,
        markerfacecolor="white" if hollow else colour,
    )
