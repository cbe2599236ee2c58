"""Executes notebooks and writes their outputs into them: `python notebooks/run.py [01 05 ...]`, all if none is named.

Needed when code or records that a notebook shows have changed; the tests compare the outputs with a new execution.
"""

import os
import sys
import time
from collections.abc import Awaitable, Callable
from functools import partial
from pathlib import Path
from queue import Empty
from tempfile import TemporaryDirectory
from typing import Any

import nbformat
from nbclient import NotebookClient
from nbformat import NotebookNode

FOLDER = Path(__file__).parent
SECONDS = 600
"""Longest time a cell may take."""


def notebooks(prefixes: list[str] | None = None) -> list[Path]:
    """The notebooks whose names begin with one of `prefixes`, or all, in order."""
    return [p for p in sorted(FOLDER.glob("*.ipynb")) if not prefixes or p.name.startswith(tuple(prefixes))]


def read(path: Path) -> NotebookNode:
    """A notebook with the outputs it was written with."""
    return nbformat.read(path, as_version=4)


def execute(notebook: NotebookNode) -> NotebookNode:
    """The notebook executed from its first cell to its last, in a kernel of its own.

    The kernel does not see the user's own store of decompositions, and has one thread: so everybody gets the same. It
    runs in an empty folder: a notebook is all that somebody else has of it.

    Raises:
        CellExecutionError: A cell fails.
    """
    result = nbformat.from_dict(notebook)
    for number, cell in enumerate(result.cells, start=1):
        cell.id = f"cell-{number}"
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    result.metadata.pop("widgets", None)
    client = NotebookClient(result, timeout=SECONDS, kernel_name="python3", record_timing=False, coalesce_streams=True)

    async def look_again(notebook: NotebookNode) -> None:
        for channel in (client.kc.shell_channel, client.kc.iopub_channel):
            channel.get_msg = partial(message, channel.get_msg)

    client.on_notebook_start = look_again
    with TemporaryDirectory() as store, TemporaryDirectory() as folder:
        client.resources = {"metadata": {"path": folder}}
        client.execute(env={**os.environ, "TDN_THEORY_STORE": store, "OMP_NUM_THREADS": "1"})
    return result


async def message(get: Callable[..., Awaitable[Any]], timeout: float | None = None) -> Any:
    """What `get` gives within the time, asked for every second.

    Now and then pyzmq does not notice that a message has come, and only finds it when the time is over: ten minutes.

    Raises:
        Empty: There is none.
    """
    end = float("inf") if timeout is None else time.monotonic() + timeout
    while True:
        try:
            return await get(timeout=max(0.0, min(1.0, end - time.monotonic())))
        except Empty:
            if time.monotonic() >= end:
                raise


if __name__ == "__main__":
    for path in notebooks(sys.argv[1:]):
        nbformat.write(execute(read(path)), path)
        print(path.name)
