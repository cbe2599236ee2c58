"""The drawing that TAB5 and TAB9 share: time, errors and equivariance of networks with different products."""

from statistics import fmean, stdev
from typing import Any

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from figures._style import figure

LOOK = {
    "e3nn paths": ("#000000", "o", "e3nn, weights per path"),
    "fused paths": ("#56B4E9", "^", "exact, weights per path"),
    "CP": ("#D55E00", "s", "CP $7L^2$, weights shared"),
    "cubature": ("#CC79A7", "v", "cubature, weights shared"),
    "exact": ("#009E73", "D", "exact, weights shared"),
}


def draw(values: dict[str, Any]) -> Figure:
    """Minutes per epoch over those of the network's own products, errors after training, errors under rotation."""
    fig, (pace, energy, forces, rotation) = figure(7.1, 2.8, panels=4)
    paper = values["paper"]
    networks = [entry["network"] for entry in values["pace"]]
    for place, entry in enumerate(values["pace"]):
        own = entry["seconds_per_step"]["e3nn paths"]
        for number, (product, times) in enumerate(entry["seconds_per_step"].items()):
            ratios = sorted(t / o for t, o in zip(times, own, strict=True))
            middle = ratios[len(ratios) // 2]
            spread = [[middle - ratios[0]], [ratios[-1] - middle]]
            pace.errorbar(place + _shift(number), middle, spread, **_style(product), linestyle="none")
        for product, row in paper.get(entry["network"], {}).items():
            ratio = row["minutes_per_epoch"] / paper[entry["network"]]["e3nn paths"]["minutes_per_epoch"]
            pace.plot(place + 0.38, ratio, color=LOOK[product][0], marker="x", linestyle="none")
    for axis, name in ((energy, "energy_mae"), (forces, "forces_rmse")):
        _means(axis, values["learned"], networks, lambda row, n=name: row["test"][n]["value"])
    for network in networks:
        for product, row in paper.get(network, {}).items():
            for axis, key in ((energy, "energy"), (forces, "forces")):
                axis.plot(networks.index(network) + 0.38, row[key], color=LOOK[product][0], marker="x")
    _means(rotation, values["learned"], networks, lambda row: row["rotation"]["forces_rotation"]["value"])
    labels = (
        "time per epoch / with e3nn",
        "energy MAE (meV/atom)",
        "force RMSE (meV/Å)",
        "relative force error, rotated",
    )
    for axis, label in zip((pace, energy, forces, rotation), labels, strict=True):
        if axis is rotation:
            axis.set_yscale("log")
        else:
            axis.set_ylim(bottom=0)
        axis.set_xticks(range(len(networks)), networks)
        axis.set_xlim(-0.5, len(networks) - 0.4)
        axis.set_xlabel("network")
        axis.set_ylabel(label)
    used = {product for entry in values["pace"] for product in entry["seconds_per_step"]}
    handles = [
        pace.plot([], [], color=c, marker=m, linestyle="none", label=text)[0]
        for product, (c, m, text) in LOOK.items()
        if product in used
    ]
    handles += pace.plot([], [], color="0.4", marker="x", linestyle="none", label="the paper's, on PubChemQCR-S")
    fig.legend(handles=handles, loc="outside lower center", ncols=3)
    return fig


def _means(axis: Axes, learned: list[dict[str, Any]], networks: list[str], value: Any) -> None:
    """Means over seeds with standard errors; filled for the shipped relaxations, open for rMD17."""
    for number, product in enumerate(LOOK):
        for place, network in enumerate(networks):
            for system in dict.fromkeys(row["system"] for row in learned):
                own = (network, product, system)
                found = [value(r) for r in learned if (r["network"], r["product"], r["system"]) == own]
                if found:
                    error = stdev(found) / len(found) ** 0.5 if len(found) > 1 else 0.0
                    fill: dict[str, Any] = {} if system == "relaxations" else {"markerfacecolor": "none"}
                    where = place + _shift(number)
                    axis.errorbar(where, fmean(found), error, **_style(product), **fill, linestyle="none")


def _shift(number: int) -> float:
    return 0.14 * (number - 2)


def _style(product: str) -> dict[str, Any]:
    colour, marker, _ = LOOK[product]
    return {"color": colour, "marker": marker}
