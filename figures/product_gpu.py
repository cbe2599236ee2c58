"""Products on a GPU: speed-ups over e3nn, bandwidth, fused message steps, and CP on matrix units, against L."""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, figure

LINES = {
    "kernel": ("#000000", "D", "exact, one kernel"),
    "plain": ("#009E73", "o", "exact, torch operations"),
    "plain, compiled": ("#56B4E9", "^", "exact, torch.compile"),
    "cp, released order": ("#D55E00", "s", "CP $7L^2$, released order"),
    "cuequivariance": ("#E69F00", "P", "cuEquivariance"),
    "openequivariance": ("#CC79A7", "v", "OpenEquivariance"),
}
PRECISIONS = {
    "highest": ("#000000", "D", "float32"),
    "high": ("#0072B2", "o", "tf32"),
    "medium": ("#D55E00", "s", "bf16"),
}
BASE = "e3nn, fully connected"


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    largest = [u for u in values["units"] if (u["channels"], u["edges"], u["dtype"]) == (128, 100_000, "float32")]
    units = {task: [u for u in largest if u["task"] == task] for task in ("uvu", "message", "uuu")}
    fig, (left, middle, right) = figure(2 * COLUMN + 0.3, 3.0, panels=3)
    for method, (colour, marker, label) in LINES.items():
        draw(left, units["uvu"], BASE, method, "forward", color=colour, marker=marker, label=label)
        both = [u for u in units["uvu"] if method in u["methods"]]
        for direction, style in (("forward", "-"), ("forward_backward", ":")):
            points = [
                (u["L"], 100 * u["methods"][method][direction]["bytes_per_second"] / u["copy_bandwidth"])
                for u in both
                if direction in u["methods"][method]
            ]
            middle.plot(*zip(*points, strict=True), style, color=colour, marker=marker) if points else None
    targets = {int(lmax): ratio for lmax, ratio in values["targets"].items()}
    left.plot(list(targets), list(targets.values()), color="0.6", linestyle="--", marker="x", label="aimed at")
    left.set_yscale("log")
    left.set_title("product with harmonics")
    left.set_ylabel("times faster than e3nn, fully connected")
    middle.set_title("product; dotted: with backward")
    middle.set_ylabel("inputs and outputs, % of copy bandwidth")
    for direction, style in (("forward", "-"), ("forward_backward", ":")):
        label = "message step in one kernel" if direction == "forward" else None
        step = units["message"], "kernel of the product only", "kernel", direction
        draw(right, *step, color="#009E73", marker="^", linestyle=style, label=label)
        for precision, (colour, marker, name) in PRECISIONS.items():
            label = f"CP kernel, {name}" if direction == "forward" else None
            pair = f"exact, one matrix product, {precision}", f"cp kernel, {precision}"
            draw(right, units["uuu"], *pair, direction, color=colour, marker=marker, linestyle=style, label=label)
    right.set_title("fusing; CP on matrix units (uuu)")
    right.set_ylabel("times faster than unfused, than exact")
    right.set_yscale("log")
    right.legend(fontsize=6)
    for axis in (left, middle, right):
        axis.set_xlabel("maximal degree $L$")
    for axis in (left, right):
        axis.axhline(1, color="0.7", linewidth=0.6)
    handles, labels = left.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=6)
    return fig


def draw(axis: Axes, units: list[dict[str, Any]], base: str, method: str, direction: str, **style: Any) -> None:
    """How many times faster `method` is than `base`, where both were timed."""
    timed = [
        (u["L"], u["methods"][base][direction]["median"] / u["methods"][method][direction]["median"])
        for u in units
        if direction in u["methods"].get(base, {}) and direction in u["methods"].get(method, {})
    ]
    if timed:
        axis.plot([lmax for lmax, _ in timed], [ratio for _, ratio in timed], **style)
