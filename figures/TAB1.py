"""Scaled down, networks with an exact product and with a CP one are about as accurate after equal times.

Only the CP ones break symmetry. Errors are of molecules not trained on, bars are standard errors over molecules.
Last: validation error against time of training (dotted: direct forces; dashed: other packages), still falling. The
paper's errors are of another dataset and are not shown.
"""

from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, EXACT, error_axis, figure, name_rows, plain_ticks

LOOKS = {
    "TDN, exact": ("#000000", "-"),
    "TDN, cubature": ("#009E73", "-"),
    "TDN, CP of the atlas": ("#0072B2", "-"),
    "TDN, CP as released": ("#D55E00", "-"),
    "TDN, CP as released, direct": ("#D55E00", ":"),
    "Equiformer": ("#CC79A7", ":"),
    "SchNet": ("#E69F00", "--"),
    "NequIP": ("#56B4E9", "--"),
    "MACE": ("0.5", "--"),
}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    found = {name: [run for run in record["values"]["networks"] if run["model"] == name] for name in LOOKS}
    runs = {name: same for name, same in found.items() if same}
    fig, (forces, energy, rotation, curves) = figure(2 * COLUMN + 0.3, 2.5, panels=4)
    for axis in (forces, energy, rotation):
        name_rows(axis, list(runs) if axis is forces else [""] * len(runs))
        axis.set_ylabel(" ")
    exact = error_axis(rotation, 1e-3, 1, "x")
    for place, (name, same) in enumerate(runs.items()):
        colour, line = LOOKS[name]
        face = "none" if line == ":" else colour
        for run in same:
            for axis, key in ((forces, "forces_rmse"), (energy, "energy_mae")):
                error = run["test"][key]
                style = {"marker": "o", "color": colour, "markerfacecolor": face, "elinewidth": 0.8}
                axis.errorbar(error["value"], place, xerr=error["standard_error"] or 0.0, **style)
        change = fmean(run["rotation"]["forces_rotation"]["value"] for run in same)
        rotation.plot(change if change > EXACT else exact, place, "o", color=colour, markerfacecolor=face)
        points = list(zip(*(run["curve"] for run in same), strict=True))
        seconds, errors = ([fmean(p[key] for p in equal) for equal in points] for key in ("seconds", "forces_rmse"))
        curves.plot(seconds, errors, line, color=colour)
    for axis in (forces, energy):
        axis.set_xlim(left=0)
    curves.set_yscale("log")
    plain_ticks(curves.yaxis, (300, 400, 500, 700, 1000, 1500, 2000))
    forces.set_title("test forces", loc="left")
    forces.set_xlabel("RMSE (meV/Å)")
    energy.set_title("test energy", loc="left")
    energy.set_xlabel("MAE (meV/atom)")
    rotation.set_title("forces, rotated", loc="left")
    rotation.set_xlabel("relative change")
    curves.set_title("validation forces", loc="left")
    curves.set_xlabel("time of training (s)")
    curves.set_ylabel("RMSE (meV/Å)")
    return fig
