"""Rotation error through the layers of a network, beside bounds from single layers, and far away (O5)."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_MARKERS, EXACT, error_axis, figure

RANK_COLOURS = {10: "#D55E00", 20: "#E69F00", 28: "#0072B2"}
"""At L = 2."""
PAPER_COLOURS = {1: "#CC79A7", 2: "#0072B2", 3: "#009E73"}
"""At the paper's rank, by L."""

LOOKS = {"before": (":", "white"), "after": ("-", None)}
"""Line and marker, before and after training."""

LEAST = 1e-3
"""Errors are shown from here on."""

NOISE = 1e-8
"""Ratios to interactions below this are roundoff: interactions become small themselves."""


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, middle, right) = figure(2 * COLUMN + 0.3, 3.3, panels=3)
    _against_depth(left, values)
    _layers(middle, values)
    _long_range(right, values)
    styles = {
        "s-": "bound by layers",
        "o-": "measured",
        "v-": "made by the block itself",
        "-": "trained",
        ":": "untrained",
        "--": "error of the energy / interaction",
    }
    for style, label in styles.items():
        middle.plot([], [], style, color="0.3", label=label)
    fig.legend(*middle.get_legend_handles_labels(), loc="outside lower center", ncols=3, fontsize=6.5)
    return fig


def _against_depth(axis: Any, values: dict[str, Any]) -> None:
    """All ranks at L = 2, the paper's ones at the others; names stand at the ends of the lines."""
    paper = {int(lmax): rank for lmax, rank in values["paper_rank"].items()}
    floor = error_axis(axis, LEAST, 3)
    for row in values["untrained"]:
        at_paper = row["rank"] == paper[row["L"]]
        if row["L"] != 2 and not at_paper:
            continue
        colour = PAPER_COLOURS[row["L"]] if at_paper else RANK_COLOURS.get(row["rank"], "#000000")
        numbers = row["errors"]["features"]
        height = _line(axis, row["depths"], numbers, floor, colour, DEGREE_MARKERS[row["L"]], "-")
        name = "exact" if row["rank"] is None else f"$L={row['L']}$, {row['rank']}"
        axis.annotate(name, (row["depths"][-1] + 0.3, height), color=colour, fontsize=6, va="center")
        if at_paper and row["L"] == 2:
            height = _line(axis, row["depths"], row["errors"]["conservative"], floor, colour, "", ":")
            axis.annotate("forces", (row["depths"][-1] + 0.3, 1.1 * height), color=colour, fontsize=6, va="bottom")
    axis.set_xlim(0.5, values["depth"] + 3.6)
    axis.set_xticks(range(1, values["depth"] + 1, 2))
    axis.set_xlabel("blocks")
    axis.set_ylabel("rotation error, relative (rms)")
    axis.set_title("untrained: $L$, $R$", loc="left")


def _layers(axis: Any, values: dict[str, Any]) -> None:
    """Measured errors of features, bounds, and what each block adds."""
    axis.set_yscale("log")
    for row in values["layers"]:
        if row["method"] == "exact":
            continue
        colour, (style, face) = RANK_COLOURS[row["rank"]], LOOKS[row["when"]]
        for key, marker, first in (("error", "o", 0), ("own", "v", 1), ("bound", "s", 0)):
            numbers = [entry[key] for entry in row["layers"][first:]]
            axis.errorbar(
                range(first, len(row["layers"])),
                [number["mean"] for number in numbers],
                [number["standard_error"] or 0.0 for number in numbers],
                color=colour,
                marker=marker,
                linestyle=style,
                markerfacecolor=face or colour,
                markersize=2.5,
                elinewidth=0.6,
            )
    axis.set_xlabel("block (0: embedding), $L=2$")
    axis.set_ylabel("rotation error of features, relative")
    axis.set_title("layer by layer", loc="left")


def _long_range(axis: Any, values: dict[str, Any]) -> None:
    """Rotation errors of the interaction and of the energy, relative to the interaction."""
    floor = error_axis(axis, LEAST, 1e4)
    for row in values["layers"]:
        colour, (style, face) = RANK_COLOURS.get(row["rank"], "#000000"), LOOKS[row["when"]]
        places = [entry["distance"] for entry in row["long_range"]]
        heights, low, high = _powers([entry["log10_interaction_error"] for entry in row["long_range"]], floor)
        axis.errorbar(
            places,
            heights,
            [low, high],
            color=colour,
            marker="o",
            linestyle=style,
            markerfacecolor=face or colour,
            markersize=2.5,
            elinewidth=0.6,
        )
        if row["when"] == "after" and row["rank"] is not None:
            heights, _, _ = _powers([entry["log10_energy_error"] for entry in row["long_range"]], floor)
            axis.plot(places, heights, "--", color=colour)
            axis.plot([], [], color=colour, label=f"$R={row['rank']}$")
    axis.set_xlabel("distance of two waters (Å), $L=2$")
    axis.set_ylabel("rotation error / interaction")
    axis.set_title("long range", loc="left")
    axis.legend(fontsize=6.5, loc="upper left")


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


def _line(
    axis: Any, places: list[int], numbers: list[dict[str, Any]], floor: float, colour: str, marker: str, style: str
) -> float:
    """Means over seeds with standard errors, roundoff on the line `exact`; returns the last height."""
    shown = [number["mean"] > EXACT for number in numbers]
    heights = [number["mean"] if real else floor for number, real in zip(numbers, shown, strict=True)]
    bars = [(number["standard_error"] or 0.0) if real else 0.0 for number, real in zip(numbers, shown, strict=True)]
    axis.errorbar(places, heights, bars, color=colour, marker=marker, linestyle=style, markersize=2.5, elinewidth=0.6)
    return heights[-1]
