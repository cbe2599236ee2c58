"""The drawing that TAB5 and TAB9 share: time, errors and equivariance of networks with different products."""

from collections.abc import Callable
from statistics import fmean, median, stdev
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import EXACT, error_axis, figure, name_rows

LOOK = {
    "e3nn paths": ("#000000", "e3nn, weights per path"),
    "fused paths": ("#56B4E9", "exact, weights per path"),
    "CP": ("#D55E00", "CP, $R=7L^2$"),
    "cubature": ("#CC79A7", "cubature"),
    "exact": ("#009E73", "exact"),
}
"""Colours and names; where nothing is said, weights are shared."""


def _name(network: str, product: str) -> str:
    """Of a row; the CP products of NequIP and MACE are the least exact ones of their irreps."""
    return f"{network}: {'exact CP' if product == 'CP' and network != 'TDN' else LOOK[product][1]}"


def draw(values: dict[str, Any]) -> Figure:
    """Time per epoch over that with the network's own products, errors after training, errors under rotation."""
    learned = values["learned"]
    rows = [(entry["network"], product) for entry in values["pace"] for product in entry["seconds_per_step"]]
    systems = list(dict.fromkeys(row["system"] for row in learned))
    fig, axes = figure(7.1, 0.9 + 0.19 * len(rows), panels=4)
    pace, forces, energy, rotation = axes
    for axis in axes:
        name_rows(axis, [_name(network, product) if axis is pace else "" for network, product in rows])
    _paces(pace, values, rows)
    _means(forces, learned, rows, systems, lambda run: run["test"]["forces_rmse"])
    _means(energy, learned, rows, systems, lambda run: run["test"]["energy_mae"])
    error_axis(rotation, 1e-4, 1, "x")
    _means(rotation, learned, rows, systems, lambda run: run["rotation"]["forces_rotation"])
    epochs = ", ".join(dict.fromkeys(str(row["epochs"]) for row in learned))
    seeds = len({row["seed"] for row in learned})
    trained = f"{epochs} epochs, {seeds} seed{'s' * (seeds > 1)}"
    units = ("over e3nn", f"RMSE (meV/Å)\n{trained}", f"MAE (meV/atom)\n{trained}", "relative change, rms")
    titles = ("time per epoch", "test forces", "test energy", "forces, rotated")
    for axis, unit, title in zip(axes, units, titles, strict=True):
        axis.set_xlabel(unit)
        axis.set_ylabel(" ")
        axis.set_title(title, loc="left", fontsize=7)
        if axis is not rotation:
            axis.set_xlim(left=0)
    return fig


def _paces(axis: Axes, values: dict[str, Any], rows: list[tuple[str, str]]) -> None:
    """Median of the rounds and their range; crosses are the paper's, on its GPU and its data."""
    times = {entry["network"]: entry["seconds_per_step"] for entry in values["pace"]}
    for place, (network, product) in enumerate(rows):
        own = times[network]
        ratios = [t / o for t, o in zip(own[product], own["e3nn paths"], strict=True)]
        middle = median(ratios)
        spread = [[middle - min(ratios)], [max(ratios) - middle]]
        axis.errorbar(middle, place, xerr=spread, marker="o", color=LOOK[product][0])
        given = values["paper"].get(network, {})
        if product in given and product != "e3nn paths":
            ratio = given[product]["minutes_per_epoch"] / given["e3nn paths"]["minutes_per_epoch"]
            axis.plot(ratio, place - 0.4, "x", color="0.4")
            axis.annotate("paper", (ratio, place - 0.4), (4, 0), textcoords="offset points", va="center", fontsize=6)


def _means(
    axis: Axes,
    learned: list[dict[str, Any]],
    rows: list[tuple[str, str]],
    systems: list[str],
    metric: Callable[[dict[str, Any]], dict[str, Any]],
) -> None:
    """Means over seeds with standard errors, of one seed that over test molecules; the second system is drawn open."""
    for place, (network, product) in enumerate(rows):
        for number, system in enumerate(systems):
            own = (network, product, system)
            found = [metric(run) for run in learned if (run["network"], run["product"], run["system"]) == own]
            if not found:
                continue
            numbers = [one["value"] for one in found]
            several = len(found) > 1
            error = stdev(numbers) / len(numbers) ** 0.5 if several else found[0]["standard_error"]
            exact = axis.get_xscale() == "log" and fmean(numbers) < EXACT
            where, bar = (axis.get_xticks()[0], 0.0) if exact else (fmean(numbers), error or 0.0)
            face = LOOK[product][0] if number == 0 else "none"
            shift = 0.0 if len(systems) == 1 else 0.2 * (2 * number - 1)
            axis.errorbar(where, place + shift, xerr=bar, marker="o", color=LOOK[product][0], markerfacecolor=face)
