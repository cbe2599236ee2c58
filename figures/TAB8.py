"""TAB8: accuracy and equivariance on the n-body system against the rank of the product, beside the paper's table."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, EXACT, error_axis, figure, plain_ticks

OURS, NETWORK, PAPER = "#0072B2", "#009E73", "#D55E00"
LEAST = 1e-3
"""Errors are shown from here on."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.9, panels=2)
    rows = {row["kind"]: [r for r in values["rows"] if r["kind"] == row["kind"]] for row in values["rows"]}
    cp, exact = rows["cp"], rows["exact"][0]
    paper = [(int(rank), row) for rank, row in values["paper"].items() if rank.isdigit()]

    epochs = values["protocol"]["epochs"]
    trained = [row for row in cp if row["trained_as"] == "cp"]
    _points(left, trained, "test_mse", "o-", OURS, f"CP, {epochs} epochs")
    again = [row for row in cp if row["trained_as"] == "exact"]
    if again:
        _points(left, again, "test_mse", "o", OURS, None, hollow=True)
    _points(left, rows["atlas"], "test_mse", "*", "#000000", "exact, all paths")
    _points(left, rows["atlas, even paths"], "test_mse", "D", "#CC79A7", "exact, even paths")
    mean, error = exact["test_mse"]["mean"], exact["test_mse"]["standard_error"] or 0.0
    left.axhspan(mean - error, mean + error, color="0.85", linewidth=0)
    left.axhline(mean, color="0.4", linewidth=0.8, label="exact, without CP")
    left.plot([r for r, _ in paper], [row["mse"] for _, row in paper], "x--", color=PAPER, label="paper, 5000 epochs")
    left.axhline(
        values["paper"]["without CP"]["mse"], color=PAPER, linewidth=0.8, linestyle=":", label="paper, without CP"
    )
    left.set_yscale("log")
    heights = [row["test_mse"]["mean"] for row in values["rows"]] + [row["mse"] for _, row in paper]
    left.set_ylim(0.8 * min(heights), 2.6 * max(heights))  # room for the legend
    plain_ticks(left.yaxis, (0.003, 0.005, 0.01, 0.02, 0.03, 0.05))
    left.set_ylabel("test mean square error")
    left.legend(fontsize=6, ncols=2, loc="upper center")
    if again:
        left.set_title("hollow: the exact product again, not trained twice", loc="left", fontsize=6.5)

    floor = error_axis(right, LEAST, 3)
    ranks = [row["rank"] for row in cp]
    right.plot(ranks, [_height(row["rms_error"], floor) for row in cp], "o-", color=OURS, label="product, exact rms")
    _points(right, trained, "rotation_error", "s-", NETWORK, "trained network")
    for row in (*again, *rows["atlas"], *rows["atlas, even paths"]):
        right.plot(row["rank"], _height(row["rotation_error"]["mean"], floor), "s", color=NETWORK)
    for kind, marker, colour in (("atlas", "*", "#000000"), ("atlas, even paths", "D", "#CC79A7")):
        right.plot([row["rank"] for row in rows[kind]], [floor] * len(rows[kind]), marker, color=colour)
    given = [(r, row["error"]) for r, row in paper]
    right.plot(*zip(*given[:-1], strict=True), "x--", color=PAPER, label="paper")
    right.plot(*given[-1], "v", color=PAPER, label="paper, below")
    right.set_ylabel("relative equivariance error")
    right.legend(fontsize=6, loc="center right")
    for axis in (left, right):
        axis.set_xscale("log")
        axis.set_xticks([10, 15, 20, 28, 40, 81], ["10", "15", "20", "28", "40", "81"])
        axis.minorticks_off()
        axis.set_xlabel("CP terms $R$, $L=2$")
    return fig


def _height(value: float, floor: float) -> float:
    """Roundoff is drawn on the line `exact`."""
    return value if value > EXACT else floor


def _points(
    axis: Any, rows: list[dict[str, Any]], key: str, style: str, colour: str, label: str | None, hollow: bool = False
) -> None:
    """Means over seeds with standard errors."""
    axis.errorbar(
        [row["rank"] for row in rows],
        [row[key]["mean"] for row in rows],
        [row[key]["standard_error"] or 0.0 for row in rows],
        fmt=style,
        color=colour,
        label=label,
        elinewidth=0.7,
        markersize=6 if style == "*" else 3.5,
        markerfacecolor="white" if hollow else colour,
    )
