"""Errors of fits fall slowly with R, then at once; exact products of fewer terms exist (E5, T2).

Left: equivariance error of the best fits of M with R terms; circles are at the paper's R = 7L^2, stars are products
with path weights of their own that are proven exact. Right: the least ranks known to be exact, beside the paper's,
which is not.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, DEGREE_COLOURS, EXACT, error_axis, figure, label_ends


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.8, panels=2)
    exact = error_axis(left, 1e-5, 3)
    for lmax, colour in DEGREE_COLOURS.items():
        best: dict[int, float] = {}
        for p in values["fitted"]:
            if p["L"] == lmax and p["R"] < (lmax + 1) ** 4:
                best[p["R"]] = min(best.get(p["R"], 10.0), p["rms_error"])
        ranks = sorted(best)
        if not ranks:
            continue
        heights = {r: best[r] if best[r] > EXACT else exact for r in ranks}
        left.plot(ranks, list(heights.values()), color=colour)
        adopted = 7 * lmax**2
        if adopted in heights:
            left.plot(adopted, heights[adopted], "o", color=colour, markerfacecolor="white", markersize=5)
        whole = [p["R"] for p in values["atlas"] if p["L"] == lmax and p["paths_alive"] == p["paths"]]
        if whole:
            left.plot(min(whole), exact, "*", color=colour, markersize=9, markeredgewidth=0.3, markeredgecolor="white")
        left.annotate(
            f"$L={lmax}$" if lmax == 1 else str(lmax),
            (ranks[0], best[ranks[0]]),
            ({1: 10, 4: -5, 6: 6}.get(lmax, 0), 4),
            textcoords="offset points",
            color=colour,
            ha="center",
        )
    notes = "circles:\n$R=7L^2$\n\nstars:\nproven exact,\nother path\nweights"
    left.annotate(notes, (0.04, 0.22), xycoords="axes fraction", fontsize=6.5)
    left.set_xscale("log")
    left.set_xlabel("number of terms $R$")
    left.set_ylabel("relative equivariance error (rms)")
    left.set_title("errors fall slowly, then at once", loc="left")
    frontier = values["frontier"]
    degrees = [p["L"] for p in frontier]
    styles: tuple[tuple[str, str, dict[str, Any]], ...] = (
        ("outer_product", "$(L+1)^4$ (T2)", {"color": "0.5", "linestyle": ":"}),
        ("generic", "a random tensor", {"color": "#56B4E9", "linestyle": "-."}),
        ("paper", "paper: $7L^2$, not exact", {"color": "#D55E00", "linestyle": "--"}),
        ("all", "exact, all paths", {"color": "#000000", "marker": "*", "markersize": 8, "markeredgecolor": "white"}),
        ("even", "exact, even paths", {"color": "#009E73", "marker": "o"}),
    )
    right.set_yscale("log")
    right.set_ylim(3.5, 4000)
    for key, _, style in styles:
        right.plot(degrees, [p[key] for p in frontier], **style)
    label_ends(right, [(frontier[-1][key], label, style["color"]) for key, label, style in styles])
    for key, offset in (("all", (-4, 5)), ("even", (4, -10))):
        for p in frontier:
            right.annotate(str(p[key]), (p["L"], p[key]), offset, textcoords="offset points", ha="center", fontsize=6.5)
    right.set_xticks(degrees)
    right.set_xlabel("maximal degree $L$")
    right.set_ylabel("number of terms $R$")
    right.set_title("least numbers of terms known", loc="left")
    return fig
