"""The course of training as a picture."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tdn_theory.files import write_bytes
from tdn_theory.training.metrics import UNITS

if TYPE_CHECKING:
    from matplotlib.axes import Axes

TRAINING, VALIDATION = "#000000", "#D55E00"
"""Okabe and Ito's palette, safe for colour-blind readers."""

FEW = 20
"""So few epochs are drawn with a mark each."""

MUCH = 5.0
"""Values that differ by more than this factor are drawn on a logarithmic scale."""


def draw_curves(path: Path, history: Sequence[dict[str, Any]], labels: Sequence[str]) -> None:
    """Losses, learning rate and validation errors against epochs, as a PNG file, whole at any moment.

    Args:
        path: File to write.
        history: Rows of all epochs, at least one.
        labels: Labels whose validation errors are drawn, a panel each.
    """
    from matplotlib.figure import Figure

    epochs = [row["epoch"] for row in history]
    losses = [row["validation_loss"] for row in history]
    best = min(range(len(losses)), key=losses.__getitem__)
    shown = [label for label in labels if f"validation_{label}_mae" in history[-1]]
    count = 2 + len(shown)
    figure = Figure(figsize=(3.2 * count, 2.8), dpi=100, layout="constrained")
    loss, rate, *errors = figure.subplots(1, count)
    marker = "." if len(epochs) < FEW else ""
    loss.plot(epochs, [row["training_loss"] for row in history], color=TRAINING, marker=marker, label="training")
    loss.plot(epochs, losses, color=VALIDATION, marker=marker, label="validation")
    loss.plot(epochs[best], losses[best], "o", color=VALIDATION, label=f"least: epoch {epochs[best]}")
    loss.set_title("loss")
    rate.plot(epochs, [row["learning_rate"] for row in history], color=TRAINING, marker=marker)
    rate.set_title("learning rate")
    for panel, label in zip(errors, shown, strict=True):
        for kind, style in (("mae", "-"), ("rmse", ":")):
            values = [row[f"validation_{label}_{kind}"] for row in history]
            panel.plot(epochs, values, style, color=VALIDATION, marker=marker, label=f"validation, {kind.upper()}")
        panel.set_title(f"{label}, {UNITS[label][0]}")
    for panel in (loss, rate, *errors):
        _axes(panel)
        if panel is not rate:
            panel.legend(frameon=False, fontsize="small")
    stream = io.BytesIO()
    figure.savefig(stream, format="png")
    write_bytes(path, stream.getvalue())


def _axes(panel: Axes) -> None:
    """Logarithmic where values differ much; whole epochs."""
    from matplotlib.ticker import LogLocator, MaxNLocator, NullLocator

    values = np.concatenate([np.asarray(line.get_ydata(), float) for line in panel.lines])
    if values.min() > 0 and values.max() > MUCH * values.min():
        panel.set_yscale("log")
        panel.yaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        panel.yaxis.set_minor_locator(NullLocator())
        panel.yaxis.set_major_formatter("{x:g}")
    panel.xaxis.set_major_locator(MaxNLocator(integer=True, min_n_ticks=1))
    panel.set_xlabel("epoch")
    panel.spines[["top", "right"]].set_visible(False)
