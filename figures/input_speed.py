"""Reading, graphs and batches cost little beside a step of the model, and sets start in seconds the second time.

Processor times: of a structure, from file to batch; of starts of large sets, all processes together.
"""

from typing import Any

from matplotlib.figure import Figure

from figures._style import COLUMN, figure, plain_ticks

PARTS = {
    "read": "#0072B2",
    "graph": "#0072B2",
    "batch": "#0072B2",
    "step, direct forces": "#999999",
    "step, conservative forces": "#999999",
}
STARTS = {"first": "#CC79A7", "second": "#000000"}


def plot(record: dict[str, Any]) -> Figure:
    """Draw the figure from its record."""
    values = record["values"]
    fig, (left, right) = figure(2 * COLUMN, 2.2, panels=2)
    times = [1e3 * values["per_structure"][name] for name in PARTS]
    left.barh(list(PARTS), times, color=list(PARTS.values()))
    left.set_xscale("log")
    plain_ticks(left.xaxis, (0.01, 0.1, 1, 10, 100))
    left.invert_yaxis()
    left.set_ylabel("input side and model")
    left.set_xlabel("processor time per structure\nof 20 atoms (ms)")
    for place, (name, colour) in enumerate(STARTS.items()):
        for number, start in enumerate(values["starts"]):
            seconds = start[name]["seconds"] + start[name]["seconds_of_workers"]
            label = None if number else f"{name} start"
            right.barh(number + 0.4 * place - 0.2, seconds, 0.4, color=colour, label=label)
    labels = [f"{start['structures']:,} of {start['atoms']}\n{start['source']}" for start in values["starts"]]
    right.set_yticks(range(len(labels)), labels)
    right.invert_yaxis()
    right.set_ylabel("structures, atoms, files")
    right.set_xlabel("processor time of a start,\nall processes (s)")
    fig.legend(*right.get_legend_handles_labels(), loc="outside upper right", ncols=2)
    return fig
