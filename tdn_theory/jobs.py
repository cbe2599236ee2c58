"""Jobs of work that are never done twice: resumable, parallel over processes or a Dask cluster."""

from __future__ import annotations

import inspect
import json
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import takewhile
from pathlib import Path
from typing import Any

from joblib import Parallel, delayed, parallel_config
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

import tdn_theory
from tdn_theory.files import read_json, sha256, write_json
from tdn_theory.provenance import provenance

Job = Mapping[str, Any]


@dataclass(frozen=True)
class Jobs:
    """Runs functions over lists of parameters and keeps each result as a JSON file of its own.

    A job is a call of a module-level function with JSON parameters and a JSON object as result. Its file is named by
    the function, the source of its module, the parameters, and all code and data of this package, so a stopped run
    continues where it was, and no result of other code or other data is taken for one of these. Results do not depend
    on the number of workers: everything random in a job comes from a seed among its parameters.

    Jobs of hours are kept beyond one machine and one state of the code, in `units`: there the function and its
    parameters alone name a file, and every result says in `made` which commit and device gave it, and when.

    Attributes:
        folder: Where results are kept.
        workers: Number of processes; 1 computes in this one.
        dask: Address of a running Dask scheduler to use instead of local processes.
        device: Where networks are trained: `cpu`, `cuda` or `cuda:1`. Jobs that train one take it as a parameter.
        until: Reading of `time.monotonic()` after which no further job begins.
        units: Where results are kept instead, whatever code made them.
    """

    folder: Path
    workers: int = 1
    dask: str | None = None
    device: str = "cpu"
    until: float = float("inf")
    units: Path | None = None

    def map(self, function: Callable[..., dict[str, Any]], jobs: Sequence[Job], title: str) -> list[dict[str, Any]]:
        """Results of `function(**job)` for all jobs, in their order; only missing ones are computed.

        Args:
            function: Module-level function with a JSON object as result.
            jobs: Keyword arguments of each call.
            title: Shown beside the progress bar.

        Raises:
            ValueError: A kept result is damaged.
            ImportError: A Dask address is given but `distributed` is not installed.
            TimeoutError: The time is over, and there are jobs left; those that are done are kept.
        """
        files = [self._file(function, job) for job in jobs]
        missing = [k for k, file in enumerate(files) if not file.exists()]
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
        )
        with Progress(*columns, console=Console(stderr=True)) as progress, self._backend():
            task = progress.add_task(title, total=len(jobs), completed=len(jobs) - len(missing))
            started = takewhile(lambda _: time.monotonic() < self.until, missing)
            made = None if self.units is None else self.device
            calls = (delayed(_compute)(function, dict(jobs[k]), files[k], made) for k in started)
            for _ in Parallel(n_jobs=self.workers, return_as="generator_unordered")(calls):
                progress.advance(task)
        left = sum(not file.exists() for file in files)
        if left:
            raise TimeoutError(f"{title}: {left} of {len(files)} are left; the same command goes on with them")
        return [read_json(file)["result"] for file in files]

    def _file(self, function: Callable[..., Any], job: Job) -> Path:
        name = f"{function.__module__.rsplit('.', 1)[-1]}.{function.__name__}"
        if self.units is not None:
            key = json.dumps({"function": name, "job": dict(job)}, sort_keys=True)
            return self.units / f"{sha256(key.encode())[:24]}.json"
        source = sha256(Path(inspect.getfile(function)).read_bytes())
        package = checksum(Path(tdn_theory.__file__).parent)
        key = json.dumps({"function": name, "package": package, "source": source, "job": dict(job)}, sort_keys=True)
        return self.folder / name / f"{sha256(key.encode())[:24]}.json"

    @contextmanager
    def _backend(self) -> Iterator[None]:
        if self.dask is None:
            yield
            return
        try:
            from distributed import Client
        except ImportError as error:
            raise ImportError(
                "a Dask address was given, but the package distributed is missing: pip install 'tdn-theory[dask]'"
            ) from error
        with Client(self.dask), parallel_config(backend="dask"):
            yield


@cache
def checksum(package: Path) -> str:
    """Of the names and contents of all files of a package, once in a process: later changes of them do not run here."""
    files = sorted(file for file in package.rglob("*") if file.is_file() and file.suffix != ".pyc")
    contents = {str(file.relative_to(package)): sha256(file.read_bytes()) for file in files}
    return sha256(json.dumps(contents).encode())


def _compute(function: Callable[..., dict[str, Any]], job: dict[str, Any], file: Path, device: str | None) -> None:
    result = function(**job)
    if device is not None:
        said = provenance(None, device)
        result = {**result, "made": {key: said[key] for key in ("commit", "device", "time")}}
    write_json(file, {"job": job, "result": result})
