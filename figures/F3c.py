"""F3c: speed-up over e3nn against L, beside the paper's claim; times with channels on both sides (E3, T6)."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure

LINES = {
    "exact": ("#009E73", "o", "exact, y first"),
    "exact, fused": ("#000000", "D", "exact, one fused loop"),
    "cp, released order": ("#D55E00", "s", "CP $7L^2$, released order"),
    "cp": ("#CC79A7", "v", "CP $7L^2$ as $A(B^Tx * C^Ty)$"),
    "per path": ("#56B4E9", "^", "exact, weights per path"),
    "cuequivariance": ("#E69F00", "P", "cuEquivariance (CPU)"),
}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, middle, right) = figure(2 * COLUMN + 0.3, 3.0, panels=3)
    shapes = [u for u in values["units"] if (u["mode"], u["channels"], u["edges"]) == ("uvu", 128, 1024)]
    for axis, direction, title in ((left, "forward", "forward"), (middle, "forward_backward", "forward + backward")):
        for method, (colour, marker, label) in LINES.items():
            points = [(u["L"], u["methods"]) for u in shapes if method in u["methods"] and "e3nn" in u["methods"]]
            ratios = [m["e3nn"][direction]["median"] / m[method][direction]["median"] for _, m in points]
            if points:
                axis.plot([lmax for lmax, _ in points], ratios, color=colour, marker=marker, label=label)
        axis.set_yscale("log")
        axis.set_xlabel("maximal degree $L$")
        axis.set_ylabel("times faster than e3nn's uvu")
        axis.set_title(f"uvu, {title}")
        axis.axhline(1, color="0.7", linewidth=0.6)
    claim = {int(lmax): ratio for lmax, ratio in values["paper_speedups"].items()}
    left.plot(list(claim), list(claim.values()), color="0.6", linestyle="--", marker="x", label="the paper's CP $7L^2$")
    both = [u for u in values["units"] if u["mode"] == "uuu"]
    for method in ("exact", "exact, fused", "cp"):
        colour, marker, _ = LINES[method]
        label = {"exact": "exact", "exact, fused": "exact, one loop", "cp": "CP $7L^2$"}[method]
        for direction, style in (("forward", "-"), ("forward_backward", ":")):
            points = [(u["L"], 1e3 * u["methods"][method][direction]["median"]) for u in both if method in u["methods"]]
            name = label if style == "-" else None
            right.plot([p[0] for p in points], [p[1] for p in points], style, color=colour, marker=marker, label=name)
    right.set_yscale("log")
    right.set_xlabel("maximal degree $L$")
    right.set_ylabel("time (ms); dotted: with backward")
    right.set_title("uuu: channels on both sides")
    right.legend(fontsize=6)
    handles, labels = left.get_legend_handles_labels()
    fig.legend(handles, labels, loc="outside lower center", ncols=4, fontsize=6)
    return fig
