"""A CP product's loss of equivariance hardly grows with depth: it is about that of one product (O5).

Left: untrained networks, by number of blocks. Middle: trained, layer by layer (markers), far below what bounds of
single layers allow (thin). Right: at long range the interaction of two waters keeps its own relative error, while
errors of the energy (dashed) drown it. Means over seeds, bars are standard errors.
"""

from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import COLUMN, EXACT, error_axis, figure, label_ends

COLOURS = {10: "#D55E00", 20: "#E69F00", 28: "#0072B2", None: "#000000"}
"""By rank at L = 2; other degrees are grey."""

LEAST = 1e-3
"""Errors are shown from here on."""

NOISE = 1e-8
"""Ratios to interactions below this are roundoff: interactions become small themselves."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    trained = [row for row in values["layers"] if row["when"] == "after"]
    fig, (left, middle, right) = figure(2 * COLUMN + 0.3, 2.6, panels=3)
    _against_depth(left, values)
    _layers(middle, [row for row in trained if row["rank"] is not None])
    _long_range(right, trained)
    return fig


def _name(rank: int | None) -> str:
    return "exact" if rank is None else f"$R={rank}$"


def _line(axis: Axes, places: list[Any], numbers: list[dict[str, Any]], floor: float, **style: Any) -> float:
    """Means with standard errors, roundoff on the line `exact`; returns the last height."""
    heights = [number["mean"] if number["mean"] > EXACT else floor for number in numbers]
    bars = [number["standard_error"] or 0.0 if number["mean"] > EXACT else 0.0 for number in numbers]
    axis.errorbar(places, heights, bars, elinewidth=0.7, markersize=3, **style)
    return heights[-1]


def _against_depth(axis: Axes, values: dict[str, Any]) -> None:
    """All ranks at L = 2, the paper's ones at the others."""
    paper = {int(lmax): rank for lmax, rank in values["paper_rank"].items()}
    floor = error_axis(axis, LEAST, 3)
    ends = []
    for row in values["untrained"]:
        if row["L"] != 2 and row["rank"] != paper[row["L"]]:
            continue
        colour = COLOURS.get(row["rank"], "0.3") if row["L"] == 2 else "0.5"
        height = _line(axis, row["depths"], row["errors"]["features"], floor, color=colour, marker="o")
        name = "exact" if row["rank"] is None else f"$R={row['rank']}$"
        ends.append((height, name if row["L"] == 2 else f"{name}, $L={row['L']}$", colour))
    label_ends(axis, list(dict.fromkeys(ends)))
    axis.set_xticks(range(1, values["depth"] + 1, 2))
    axis.set_xlabel("number of blocks, $L=2$")
    axis.set_ylabel("rotation error of features")
    axis.set_title("untrained", loc="left")


def _layers(axis: Axes, rows: list[dict[str, Any]]) -> None:
    axis.set_yscale("log")
    ends, blocks = [], list(range(len(rows[0]["layers"])))
    for row in rows:
        colour = COLOURS[row["rank"]]
        measured, bound = ([entry[key] for entry in row["layers"]] for key in ("error", "bound"))
        height = _line(axis, blocks, measured, 0.0, color=colour, marker="o")
        ends.append((height, f"{_name(row['rank'])}", colour))
        height = _line(axis, blocks, bound, 0.0, color=colour, linewidth=0.6)
        ends.append((height, "bound", colour))
    label_ends(axis, ends)
    axis.set_xticks(blocks[::2])
    axis.set_xlabel("block (0: embedding)")
    axis.set_ylabel("rotation error of features")
    axis.set_title("trained, by layer", loc="left")


def _long_range(axis: Axes, rows: list[dict[str, Any]]) -> None:
    """Rotation errors relative to the interaction, whose logarithms were averaged."""
    floor = error_axis(axis, LEAST, 1e4)
    ends = []
    for row in rows:
        colour, places = COLOURS[row["rank"]], [entry["distance"] for entry in row["long_range"]]
        heights, low, high = _powers([entry["log10_interaction_error"] for entry in row["long_range"]], floor)
        axis.errorbar(places, heights, [low, high], color=colour, marker="o", markersize=3, elinewidth=0.7)
        ends.append((heights[-1], _name(row["rank"]), colour))
        if row["rank"] is not None:
            heights, _, _ = _powers([entry["log10_energy_error"] for entry in row["long_range"]], floor)
            axis.plot(places, heights, "--", color=colour)
            ends.append((heights[-1], "energy", colour))
    label_ends(axis, ends)
    axis.set_xlabel("distance of two waters (Å)")
    axis.set_ylabel("rotation error / interaction")
    axis.set_title("trained, at long range", loc="left")


def _powers(numbers: list[dict[str, Any]], floor: float) -> tuple[list[float], list[float], list[float]]:
    """Heights and both arms of their error bars, from logarithms; roundoff on the line `exact`."""
    heights, low, high = [], [], []
    for number in numbers:
        mean, error = 10 ** number["mean"], number["standard_error"] or 0.0
        shown = mean > NOISE
        heights.append(mean if shown else floor)
        low.append(mean * (1 - 10**-error) if shown else 0.0)
        high.append(mean * (10**error - 1) if shown else 0.0)
    return heights, low, high
