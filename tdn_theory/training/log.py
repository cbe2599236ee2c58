"""The course of training for people and programs: a picture, CSV, JSON and, if wanted, TensorBoard."""

from __future__ import annotations

import csv
import io
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdn_theory.files import write_bytes, write_json
from tdn_theory.training.curves import draw_curves

BETWEEN = 60.0
"""Seconds between two pictures: to draw one takes longer than an epoch of a small set."""


class Log:
    """Writes the rows of all epochs to `metrics.csv` and `metrics.json` in a folder, and draws them in `curves.png`.

    All are written whole each time, from the history that a checkpoint holds, so a resumed run repeats no row. The
    picture is drawn at most once a minute, and at the end.

    Args:
        folder: Where.
        labels: Labels whose validation errors are drawn.
        tensorboard: Log to TensorBoard too, in `tensorboard/`.
        written: Epochs that TensorBoard has already.

    Raises:
        ImportError: TensorBoard is asked for, but not installed.
    """

    def __init__(self, folder: Path, labels: Sequence[str], tensorboard: bool = False, written: int = 0):
        self.folder, self.labels = folder, labels
        self._history: list[dict[str, Any]] = []
        self._undrawn, self._drew = False, time.monotonic()
        self._writer: Any = None
        self._written = written
        if tensorboard:
            try:
                from torch.utils.tensorboard import SummaryWriter
            except ImportError as error:
                raise ImportError(
                    "tensorboard = true, but it is not installed: pip install 'tdn-theory[tensorboard]'"
                ) from error
            self._writer = SummaryWriter(folder / "tensorboard")

    def write(self, history: Sequence[dict[str, Any]]) -> None:
        """Write the rows of all epochs so far."""
        if not history:
            return
        self._undrawn |= len(history) > len(self._history)
        self._history = list(history)
        if time.monotonic() - self._drew > BETWEEN:
            self._draw()
        stream = io.StringIO()
        writer = csv.DictWriter(stream, list(history[-1]))
        writer.writeheader()
        writer.writerows(history)
        write_bytes(self.folder / "metrics.csv", stream.getvalue().encode())
        write_json(self.folder / "metrics.json", {"epochs": list(history)})
        if self._writer is not None:
            for row in history[self._written :]:
                for name, value in row.items():
                    self._writer.add_scalar(name.replace("_", "/", 1), value, row["epoch"])
            self._writer.flush()
            self._written = len(history)

    def _draw(self) -> None:
        if self._undrawn:
            draw_curves(self.folder / "curves.png", self._history, self.labels)
        self._undrawn, self._drew = False, time.monotonic()

    def close(self) -> None:
        """Draw what has not been drawn, and finish the file of TensorBoard; nothing can be written afterwards."""
        self._draw()
        if self._writer is not None:
            self._writer.close()
            self._writer = None
