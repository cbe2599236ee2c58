"""What a structure costs until it is in a batch, beside a step of the model; and how long starts of large sets take."""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure

PARTS = {"read": "#0072B2", "graph": "#D55E00", "batch": "#009E73"}
STEPS = {"step, conservative forces": "step, energy and its gradient", "step, direct forces": "step, direct forces"}
STARTS = {"first": "#CC79A7", "second": "#000000"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN, 2.2, panels=2)
    parts, begin = values["per_structure"], 0.0
    for name, colour in PARTS.items():
        left.barh("input side", 1e3 * parts[name], left=begin, color=colour, label=name)
        begin += 1e3 * parts[name]
    for name, label in STEPS.items():
        left.barh(label, 1e3 * parts[name], color="0.6")
    left.invert_yaxis()
    left.set_xlabel("processor time per structure of 20 atoms (ms)")
    left.legend(loc="lower right")
    for place, (name, colour) in enumerate(STARTS.items()):
        for number, start in enumerate(values["starts"]):
            seconds = start[name]["seconds"] + start[name]["seconds_of_workers"]
            right.barh(
                number + 0.4 * place - 0.2, seconds, 0.4, color=colour, label=None if number else f"{name} start"
            )
    labels = [f"{start['structures']:,} of {start['atoms']}\n{start['source']}" for start in values["starts"]]
    right.set_yticks(range(len(labels)), labels)
    right.invert_yaxis()
    right.set_xlabel("processor time of a start, all processes (s)")
    right.legend(loc="lower right")
    return fig
