"""TAB1, scaled: forces learnt against time; errors, symmetry and speed of all networks after it, and their table."""

from statistics import fmean
from typing import Any

from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogLocator, NullFormatter

from figures._style import COLUMN, EXACT, error_axis, figure

LOOKS = {
    "TDN, exact": ("#000000", "o", "-"),
    "TDN, cubature": ("#009E73", "s", "-"),
    "TDN, CP of the atlas": ("#0072B2", "^", "-"),
    "TDN, CP as released": ("#D55E00", "D", "-"),
    "TDN, CP as released, direct": ("#D55E00", "d", ":"),
    "Equiformer": ("#CC79A7", "v", ":"),
    "SchNet": ("#E69F00", "P", "--"),
    "NequIP": ("#56B4E9", "X", "--"),
    "MACE": ("0.5", "p", "--"),
}
"""Dotted: direct forces. Dashed: conservative ones of other people's networks."""

IN_THE_PAPER = {"TDN": "TDN, CP as released, direct", "Equiformer": "Equiformer", "SchNet": "SchNet"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    found = {name: [run for run in values["networks"] if run["model"] == name] for name in LOOKS}
    runs = {name: same for name, same in found.items() if same}
    fig, (curves, errors, speed) = figure(2 * COLUMN + 0.3, 3.4, panels=3)
    rotations = {
        name: fmean(run["rotation"]["forces_rotation"]["value"] for run in same) for name, same in runs.items()
    }
    broken = [error for error in rotations.values() if error > EXACT]
    exact = error_axis(speed, min(broken, default=1e-2) / 4, max(broken, default=1e-2) * 4)
    for name, same in runs.items():
        colour, marker, line = LOOKS[name]
        points = list(zip(*(run["curve"] for run in same), strict=True))
        seconds = [fmean(point["seconds"] for point in equal) for equal in points]
        forces = [fmean(point["forces_rmse"] for point in equal) for equal in points]
        label = f"{name}: {_row(same)}"
        curves.plot(seconds, forces, line, color=colour, marker=marker, markersize=2.5, label=label)
        for run in same:
            x, y = run["test"]["energy_mae"], run["test"]["forces_rmse"]
            bars = {"xerr": x["standard_error"], "yerr": y["standard_error"], "elinewidth": 0.5}
            errors.errorbar(x["value"], y["value"], **bars, color=colour, marker=marker)
        rates = [run["training_structures_per_second"] for run in same]
        height = rotations[name] if rotations[name] > EXACT else exact
        speed.plot(fmean(rates), height, marker, color=colour, fillstyle="none" if line == ":" else "full")
    for place, (claimed, name) in enumerate(IN_THE_PAPER.items()):
        paper = values["paper"][claimed]
        label = "on PubChemQCR in the paper" if not place else None
        errors.plot(
            paper["energy_mae"], paper["forces_rmse"], LOOKS[name][1], color="0.7", fillstyle="none", label=label
        )
    constant = next(iter(runs.values()))[0]["constant_per_element"]["value"]
    errors.axvline(constant, color="0.6", linewidth=0.6, linestyle=":", label="constants per element")
    curves.set_yscale("log")
    curves.set_xlabel("processor time of training (s)")
    curves.set_ylabel("force RMSE, validation (meV/Å)")
    errors.set_xscale("log")
    errors.set_yscale("log")
    errors.set_xlabel("energy MAE, test (meV/atom)")
    errors.set_ylabel("force RMSE, test (meV/Å)")
    errors.legend(fontsize=5.5, loc="lower right")
    _plain(curves.yaxis, (1, 1.5, 2, 3, 5, 7))
    _plain(errors.xaxis, (1, 2, 5))
    _plain(errors.yaxis, (1, 2, 5))
    speed.set_xlabel("structures trained per second")
    speed.set_ylabel("error of forces under rotations")
    title = "network: parameters, test energy MAE (meV/atom), test force RMSE (meV/Å), structures predicted per second"
    fig.legend(loc="outside lower center", ncols=2, fontsize=6, title=title, title_fontsize=6, handles=curves.lines)
    return fig


def _plain(axis: Axis, steps: tuple[float, ...]) -> None:
    """Label these multiples of powers of ten, without exponents."""
    axis.set_major_locator(LogLocator(subs=steps))
    axis.set_major_formatter("{x:g}")
    axis.set_minor_formatter(NullFormatter())


def _row(runs: list[dict[str, Any]]) -> str:
    """A row of the table."""
    energy, forces = (fmean(run["test"][key]["value"] for run in runs) for key in ("energy_mae", "forces_rmse"))
    rate = fmean(run["inference_structures_per_second"] for run in runs)
    return f"{runs[0]['parameters'] / 1e3:.0f} k, {energy:.1f}, {forces:.0f}, {rate:.0f}"
