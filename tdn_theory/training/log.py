"""The course of training for people and programs: CSV, JSON and, if wanted, TensorBoard."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from tdn_theory.files import write_bytes, write_json


class Log:
    """Writes the rows of all epochs to `metrics.csv` and `metrics.json` in a folder.

    Both are written whole each time, from the history that a checkpoint holds, so a resumed run repeats no row.

    Args:
        folder: Where.
        tensorboard: Log to TensorBoard too, in `tensorboard/`.
        written: Epochs that TensorBoard has already.

    Raises:
        ImportError: TensorBoard is asked for, but not installed.
    """

    def __init__(self, folder: Path, tensorboard: bool = False, written: int = 0):
        self.folder = folder
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

    def close(self) -> None:
        """Finish the file of TensorBoard, which nothing can be written to afterwards."""
        if self._writer is not None:
            self._writer.close()
