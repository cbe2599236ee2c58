"""Training is stopped again and again, in every way there is, and has to go on to the same bits.

    python -m tests.training.resumes --times 20

prints of each way, with one process and with two (the agent of torchrun, gloo), how many of the stops were followed by
a run that went on, to a state that is bit for bit that of a run that was never stopped.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import os
import resource
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from hashlib import sha256
from multiprocessing.process import BaseProcess as Process
from pathlib import Path
from typing import Any
from uuid import uuid4

import numpy as np
from safetensors import safe_open
from torch.distributed.launcher.api import LaunchConfig, elastic_launch

from tdn_theory.files import read_json, write_json
from tdn_theory.training import loop
from tdn_theory.training.config import TrainConfig
from tdn_theory.training.folder import LOCK
from tests.training.conftest import SPLITS

FORK = multiprocessing.get_context("fork")

WAYS = ("kill -9", "SIGTERM", "Ctrl-C", "full disk")

OFTEN, SELDOM = 0.0, 300.0
"""Seconds between checkpoints: after every step where the process cannot save by itself, else at ends of epochs."""

PAUSE = 0.02
"""Seconds after each step, in which the process that watches catches up on a busy machine."""

Place = tuple[int, int]
"""Epochs and steps."""


def settings(folder: Path, way: str, epochs: int) -> TrainConfig:
    """A small run, whose checkpoints take 0.2 MB."""
    model = {"channels": 4, "layers": 1, "heads": 2, "basis_size": 4, "cutoff": 4.0, "elements": [1, 6, 8]}
    often = OFTEN if way in ("kill -9", "full disk") else SELDOM
    table = {"data": {"source": "relaxations"}, "model": model, "epochs": epochs, "batch_size": 4}
    return TrainConfig.from_dict({**table, "out": str(folder), "checkpoint_seconds": often})


def launch(config: TrainConfig, processes: int, output: Path, record: Path | None = None) -> Process:
    """Train on springs in a process of its own, or as torchrun does it: an agent and several processes.

    They are forks of this one, which has imported everything: what is tried begins after that.

    Args:
        config: The run.
        processes: How many.
        output: File for what they say.
        record: File for the digests of the states after all steps.
    """
    process = FORK.Process(target=_launched, args=(config, processes, output, record))
    process.start()
    return process


def _launched(config: TrainConfig, processes: int, output: Path, record: Path | None) -> None:
    stream = output.open("wb", buffering=0)
    for number in (1, 2):
        os.dup2(stream.fileno(), number)
    if processes == 1:
        train(config, record)
    else:
        options = {"rdzv_backend": "c10d", "rdzv_endpoint": "localhost:0", "run_id": uuid4().hex}  # --standalone
        settled = LaunchConfig(1, 1, processes, start_method="fork", max_restarts=0, **options)
        elastic_launch(settled, train)(config, record)


def train(config: TrainConfig, record: Path | None) -> None:
    """What each process does."""
    signal.signal(signal.SIGTERM, signal.SIG_DFL)  # not what the agent, whose fork it is, does
    signal.signal(signal.SIGINT, signal.default_int_handler)
    digests: dict[str, str] = {}
    if record is None:
        step = loop._Run._step

        def slow(run: loop._Run, *arguments: Any) -> None:
            step(run, *arguments)
            time.sleep(PAUSE)

        loop._Run._step = slow
    else:
        save = loop._Run._save

        def recorded(run: loop._Run) -> None:
            save(run)
            if run.group.first:
                place, found = digest(run.folder / loop.CHECKPOINT)
                digests[str(place)] = found

        loop._Run._save = recorded
    loop.train(config, loop.Console(width=200), SPLITS)
    if record is not None and os.environ.get("RANK", "0") == "0":
        write_json(record, digests)


def digest(checkpoint: Path) -> tuple[Place, str]:
    """Where a checkpoint is, and a hash of all that it holds but times."""
    with safe_open(checkpoint, framework="np") as file:
        rest = json.loads(file.metadata()["training"])
        hashed = sha256()
        for name in sorted(file.keys()):
            hashed.update(name.encode() + np.ascontiguousarray(file.get_tensor(name)).tobytes())
    timed = ("seconds", "structures_per_second")
    history = [{name: value for name, value in row.items() if name not in timed} for row in rest["history"]]
    hashed.update(json.dumps(history).encode())
    return (rest["epoch"], rest["step"]), hashed.hexdigest()


def undisturbed(folder: Path, processes: int, epochs: int) -> dict[str, str]:
    """Digests of the states of a run that is never stopped, by place."""
    record = folder / "digests.json"
    process = launch(settings(folder / "whole", "kill -9", epochs), processes, folder / "output", record)
    process.join()
    if process.exitcode:
        raise RuntimeError(f"the undisturbed run failed:\n{(folder / 'output').read_text()}")
    return read_json(record)


def stop(process: Process, folder: Path, way: str, filler: Path | None, rng: np.random.Generator) -> None:
    """Stop a run in one of the `WAYS`, and wait until it has ended.

    Args:
        process: The run, or the agent.
        folder: Of the run.
        way: How.
        filler: A file that fills the disk of the folder; None to forbid the first process to write files instead.
        rng: Chooses which of several processes is killed.
    """
    if way == "kill -9":
        workers = Path(f"/proc/{process.pid}/task/{process.pid}/children").read_text().split()
        os.kill(int(rng.choice(workers or [process.pid])), signal.SIGKILL)
    elif way == "full disk" and filler is None:
        resource.prlimit(int((folder / LOCK).read_text()), resource.RLIMIT_FSIZE, (1024, 1024))
    elif way == "full disk":
        while process.is_alive():
            with suppress(OSError), filler.open("ab", buffering=0) as stream:
                while process.is_alive():
                    stream.write(bytes(4096))
        filler.unlink()
    else:
        os.kill(process.pid, {"SIGTERM": signal.SIGTERM, "Ctrl-C": signal.SIGINT}[way])
    process.join(timeout=300)
    if process.is_alive():
        process.kill()
        raise RuntimeError(f"{way}: it did not end")


def resumes(
    folder: Path,
    log: Path,
    way: str,
    processes: int,
    times: int,
    wanted: dict[str, str],
    seed: int = 0,
    filler: Path | None = None,
) -> int:
    """How many of `times` stops were followed by a run that went on to the right bits.

    Args:
        folder: Of the run; it must not exist.
        log: Folder for what it says.
        way: One of the `WAYS`.
        processes: How many.
        times: How often it is stopped.
        wanted: Digests of the undisturbed run, whose number of epochs must suffice.
        seed: Of the moments.
        filler: As for `stop`.
    """
    rng, right = np.random.default_rng(seed), 0
    epochs = max(json.loads(f"[{place[1:-1]}]")[0] for place in wanted)
    checkpoint, said, before = folder / loop.CHECKPOINT, log / f"{way} {processes}", (0, 0)
    for number in range(times + 1):
        process = launch(settings(folder, way, epochs), processes, said)
        seen, least = 0, int(rng.integers(1, 5))
        last = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
        while process.is_alive() and seen < least:
            now = checkpoint.stat().st_mtime_ns if checkpoint.exists() else 0
            seen, last = seen + (now != last), now
            time.sleep(0.001 * rng.random())
        if not process.is_alive():
            raise RuntimeError(f"{way}: it ended by itself:\n{said.read_text()}")
        time.sleep(0.02 * rng.random())
        stop(process, folder, way, filler, rng)
        output = said.read_text()
        place, found = digest(checkpoint)
        if number:
            right += place > before and found == wanted[str(place)]
        saved = f"saved after {place[0]} epochs and {place[1]} steps" in " ".join(output.split())
        if way in ("SIGTERM", "Ctrl-C") and not saved:
            raise RuntimeError(f"{way}: it did not say that it saved at {place}:\n{output}")
        if way == "full disk" and str(folder) not in output:
            raise RuntimeError(f"{way}: it did not say where it could not write:\n{output}")
        before = place
    return right


@contextmanager
def small_disk(megabytes: int = 4) -> Iterator[Path | None]:
    """A folder on a disk of its own, where the user may mount one."""
    with tempfile.TemporaryDirectory() as place:
        command = ["mount", "-t", "tmpfs", "-o", f"size={megabytes}m", "tmpfs", place]
        try:
            mounted = subprocess.run(command, capture_output=True, check=False).returncode == 0
        except FileNotFoundError:
            mounted = False
        try:
            yield Path(place) if mounted else None
        finally:
            if mounted:
                subprocess.run(["umount", place], check=True)


def main(arguments: Any) -> None:
    """Print a line for each way and number of processes."""
    with tempfile.TemporaryDirectory() as place:  # what is imported and made only once is not made by each fork
        loop.train(settings(Path(place), "kill -9", 1), None, SPLITS)
    for processes in arguments.processes:
        with tempfile.TemporaryDirectory() as place, small_disk() as disk:
            wanted = undisturbed(Path(place), processes, epochs=20 + 6 * arguments.times)
            for way in arguments.ways:
                on_disk = disk if way == "full disk" else None
                folder, filler = (on_disk or Path(place)) / way.replace(" ", "_"), on_disk and on_disk / "filler"
                right = resumes(folder, Path(place), way, processes, arguments.times, wanted, arguments.seed, filler)
                disk_is = "" if way != "full disk" else " (a tmpfs)" if disk else " (a limit on the size of files)"
                print(f"{processes} processes, {way}{disk_is}: {right} of {arguments.times}", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--times", type=int, default=20)
    parser.add_argument("--processes", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--ways", nargs="+", choices=WAYS, default=WAYS)
    parser.add_argument("--seed", type=int, default=0)
    main(parser.parse_args())
