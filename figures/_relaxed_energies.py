"""The drawing that TAB2 and TAB3 share: errors by what is new in a test, shares within 0.02 eV, learning curves."""

from statistics import fmean
from typing import Any

from matplotlib.figure import Figure

from figures._style import figure, name_rows

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
MARKERS = {"id": ("o", "ID"), "ood_ads": ("s", "OOD-ads"), "ood_cat": ("^", "OOD-cat"), "ood_both": ("D", "OOD-both")}


def draw(values: dict[str, Any]) -> Figure:
    """For each source errors and shares; then the validation losses of the first one."""
    summary = values["summary"]
    sources = list(dict.fromkeys(row["source"] for row in summary))
    models = list(dict.fromkeys(row["model"] for row in summary))
    seeds = len({run["seed"] for run in values["networks"]})
    fig, axes = figure(7.1, 1.1 + 0.24 * len(models), panels=2 * len(sources) + 1)
    for axis in axes[:-1]:
        name_rows(axis, models if axis is axes[0] else [""] * len(models))
    for source, error, share in zip(sources, axes[0:-1:2], axes[1:-1:2], strict=True):
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
            axis.set_xlim(left=0)
            axis.set_ylabel(" ")
        error.set_title(source, loc="left")
        error.set_xlabel("MAE (eV)")
        share.set_xlabel("within 0.02 eV (%)")
    for part in [part for part in MARKERS if part in summary[0]["mae"]]:
        axes[0].plot([], [], MARKERS[part][0], color="0.3", label=MARKERS[part][1], markersize=2.5)
    fig.legend(*axes[0].get_legend_handles_labels(), loc="outside lower center", ncols=4, fontsize=6)
    _curves(axes[-1], values, sources[0], models)
    axes[-1].set_title(f"{seeds} seed{'s' * (seeds > 1)}", loc="left")
    return fig


def _curves(axis: Any, values: dict[str, Any], source: str, models: list[str]) -> None:
    """Validation losses, means over seeds."""
    for model in models:
        own = [run["validation"] for run in values["networks"] if (run["source"], run["model"]) == (source, model)]
        curve = [fmean(losses) for losses in zip(*own, strict=True)]
        colour, line = LOOK[model]
        axis.plot([100 * (k + 1) / len(curve) for k in range(len(curve))], curve, line, color=colour)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("share of training (%)")
    axis.set_ylabel(f"validation MAE (eV), {source}")
