"""The folder of a run belongs to one process at a time, and a run that is asked to stop saves first."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

LOCK = "lock"


@contextmanager
def locked(folder: Path) -> Iterator[None]:
    """Hold the lock of a folder, which the system takes away from a process that dies, however it dies.

    Args:
        folder: Made if need be.

    Raises:
        BlockingIOError: Another process holds it; the message names it.
        OSError: The folder cannot be written.
    """
    import fcntl

    folder.mkdir(parents=True, exist_ok=True)
    file = folder / LOCK
    with file.open("a+") as stream:
        try:
            fcntl.flock(stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            stream.seek(0)
            raise BlockingIOError(
                f"process {stream.read().strip() or '(unknown)'} is training in {folder}; wait for it, or give another "
                "folder with --out"
            ) from error
        stream.truncate(0)
        stream.write(f"{os.getpid()}\n")
        stream.flush()
        yield


class Interruption:
    """Ctrl-C and SIGTERM as a question, `asked`, which the work answers with `leave` when it has saved.

    A second signal of the same kind ends the process at once, as without this. Only the main thread of a process gets
    signals; elsewhere nothing is ever asked.
    """

    def __init__(self) -> None:
        self.signal: int | None = None
        self._before: dict[int, Any] = {}

    @property
    def asked(self) -> bool:
        """Whether a signal has come."""
        return self.signal is not None

    def __enter__(self) -> Interruption:
        """Listen."""
        if threading.current_thread() is threading.main_thread():
            for number in (signal.SIGINT, signal.SIGTERM):
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        for number, handler in self._before.items():
            signal.signal(number, handler)

    def _note(self, number: int, frame: FrameType | None) -> None:
        self.signal = number
        signal.signal(number, self._before[number])

    def leave(self) -> NoReturn:
        """End as the signal would have.

        Raises:
            KeyboardInterrupt: After Ctrl-C.
            SystemExit: After SIGTERM, with the usual status, 128 + 15; also where another process of the group was
                asked.
        """
        if self.signal == signal.SIGINT:
            raise KeyboardInterrupt
        raise SystemExit(128 + signal.SIGTERM)
