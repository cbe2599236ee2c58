"""No format is short: Tucker form and tensor train need all of M, and CP more numbers than M has nonzeros (O8).

Left: error of the forms by the numbers they hold; the band is between proven bounds of Tucker form, the line is
fitted. Right: numbers that reach the error of CP at R = 7L^2.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure

SHOWN = 4
"""Maximal degree L of the left panel."""
COLOURS = {"CP": "#0072B2", "Tucker": "#D55E00", "M": "#009E73"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    rows = record["values"]["rows"]
    fig, (left, right) = figure(2 * COLUMN + 0.2, 2.8, panels=2)
    row = next((row for row in rows if row["L"] == SHOWN), rows[-1])
    tucker = row["tucker"]
    numbers = [form["numbers"] for form in tucker]
    left.fill_between(
        numbers, [form["low"] for form in tucker], [form["high"] for form in tucker], color=COLOURS["Tucker"], alpha=0.2
    )
    fitted = [form for form in tucker if form["fitted"] is not None]
    left.plot([form["numbers"] for form in fitted], [form["fitted"] for form in fitted], color=COLOURS["Tucker"])
    left.plot([fit["numbers"] for fit in row["cp"]], [fit["error"] for fit in row["cp"]], "o-", color=COLOURS["CP"])
    left.axvline(row["nonzeros"], color=COLOURS["M"])
    left.axvline(row["dense"], color="0.6", linestyle=":")
    fewest, most = min(numbers), row["dense"]
    left.set(xscale="log", xlim=(fewest, 2 * most), ylim=(0, 1.02))
    left.set(xlabel="numbers held", ylabel=r"$\|M-\hat M\|\,/\,\|M\|$", title=f"$L={row['L']}$")
    left.text(row["nonzeros"], 0.03, "M's nonzeros: exact ", color=COLOURS["M"], ha="right", fontsize=7)
    left.text(most, 1.03, "all of M", color="0.4", ha="center", fontsize=7)
    left.text(row["nonzeros"], 0.2, "  CP,\n  best fits", color=COLOURS["CP"], va="center", fontsize=7)
    middle = tucker[len(tucker) // 3]
    left.annotate(
        "Tucker: no fit can be\nbelow the band;\nline: fitted",
        (middle["numbers"], middle["low"]),
        xytext=(0, -6),
        textcoords="offset points",
        color=COLOURS["Tucker"],
        ha="right",
        va="top",
        fontsize=7,
    )
    degrees = [row["L"] for row in rows]
    right.plot(degrees, [row["fewest"]["Tucker"] for row in rows], "s-", color=COLOURS["Tucker"])
    right.plot(degrees, [row["cp"][-1]["numbers"] for row in rows], "o-", color=COLOURS["CP"])
    right.plot(degrees, [row["nonzeros"] for row in rows], "D-", color=COLOURS["M"])
    last = rows[-1]
    for text, height, colour in (
        ("Tucker, tensor train:\nas many as M has", last["fewest"]["Tucker"], COLOURS["Tucker"]),
        ("CP, $R=7L^2$", last["cp"][-1]["numbers"], COLOURS["CP"]),
        ("M's nonzeros", last["nonzeros"], COLOURS["M"]),
    ):
        right.annotate(
            text, (last["L"], height), xytext=(5, 0), textcoords="offset points", color=colour, va="center", fontsize=7
        )
    right.set(
        yscale="log", xlabel="maximal degree $L$", ylabel="numbers for the error of CP at $R=7L^2$", xticks=degrees
    )
    right.set_xlim(degrees[0] - 0.3, degrees[-1] + 0.45 * len(degrees))
    return fig
