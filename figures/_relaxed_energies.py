"""The drawing that TAB2 and TAB3 share: errors by what is new in a test, shares within 0.02 eV, learning curves."""

from typing import Any

import numpy as np
from matplotlib.figure import Figure

from figures._style import figure, name_rows, plain_ticks

LOOK = {
    "TDN, exact": ("#009E73", "-"),
    "TDN, cubature": ("#CC79A7", "-"),
    "TDN, CP of the atlas": ("#56B4E9", "-"),
    "TDN, CP as released": ("#D55E00", "-"),
    "Equiformer": ("#000000", "--"),
    "SchNet": ("#0072B2", "--"),
    "NequIP": ("#E69F00", "--"),
    "SevenNet-0's features, linear": ("#999999", "-"),
}
TICKS = [digit * 10.0**k for k in range(-2, 3) for digit in (1, 2, 5)]
MARKERS = {"id": ("o", "ID"), "ood_ads": ("s", "OOD-ads"), "ood_cat": ("^", "OOD-cat"), "ood_both": ("D", "OOD-both")}


def draw(values: dict[str, Any]) -> Figure:
    """For each source a row: errors, shares, and validation losses."""
    summary = values["summary"]
    sources = list(dict.fromkeys(row["source"] for row in summary))
    models = list(dict.fromkeys(row["model"] for row in summary))
    seeds = len({run["seed"] for run in values["networks"]})
    fig, axes = figure(7.1, 0.6 + (0.6 + 0.2 * len(models)) * len(sources), panels=3, rows=len(sources))
    for n, source in enumerate(sources):
        error, share, curves = axes[3 * n : 3 * n + 3]
        name_rows(error, models)
        name_rows(share, [""] * len(models))
        for row in (row for row in summary if row["source"] == source):
            parts = [part for part in MARKERS if part in row["mae"]]
            for axis, key in ((error, "mae"), (share, "EwT")):
                for number, part in enumerate(parts):
                    place = models.index(row["model"]) + 0.5 * (number / (len(parts) - 1) - 0.5)
                    found = row[key][part]
                    axis.errorbar(
                        found["mean"],
                        place,
                        xerr=found["standard_error"] or 0.0,
                        marker=MARKERS[part][0],
                        color=LOOK[row["model"]][0],
                        elinewidth=0.6,
                        markersize=2.5,
                    )
        for axis in (error, share):
            axis.set_ylabel(" ")
        error.set_xscale("log")
        plain_ticks(error.xaxis, TICKS)
        share.set_xlim(left=0)
        error.set_title(f"{source}, {seeds} seed{'s' * (seeds > 1)}", loc="left")
        error.set_xlabel("MAE (eV)")
        share.set_xlabel("within 0.02 eV (%)")
        _curves(curves, values, source, models)
    for part in [part for part in MARKERS if part in summary[0]["mae"]]:
        axes[0].plot([], [], MARKERS[part][0], color="0.3", label=MARKERS[part][1], markersize=2.5)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=6)
    return fig


def _curves(axis: Any, values: dict[str, Any], source: str, models: list[str]) -> None:
    """Validation losses, means over seeds at equal shares of the training: seeds differ in the length of an epoch."""
    shares = np.linspace(0, 100, 101)[1:]
    for model in models:
        own = [run["validation"] for run in values["networks"] if (run["source"], run["model"]) == (source, model)]
        if own and all(own):
            curves = [np.interp(shares, 100 * np.arange(1, len(one) + 1) / len(one), one) for one in own]
            colour, line = LOOK[model]
            axis.plot(shares, np.mean(curves, axis=0), line, color=colour)
    low, high = axis.dataLim.intervaly
    if high > 5 * low > 0:
        axis.set_yscale("log")
        plain_ticks(axis.yaxis, TICKS)
    axis.set_xlabel("share of training (%)")
    axis.set_ylabel("validation MAE (eV)")
