"""What reading, graphs and batches cost, against the model; how long large sets take to start, and how much memory.

Times are processor times, which other processes on the machine hardly disturb, and wall times beside them. A start is a
process of its own that trains for one step, from its first instruction, imports included: once with nothing kept, and
once with the set kept. After the second one it prepares batches in random order, as an epoch does, and tells the most
memory it had. The most memory of one of the processes that read is a bound: the system counts what their parent had.
"""

from __future__ import annotations

import io
import shutil
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tdn_theory.data.archive import write_archive
from tdn_theory.data.extxyz import write_extxyz
from tdn_theory.data.kept import VARIABLE
from tdn_theory.data.packed import pack
from tdn_theory.data.pubchemqcr import write_pubchemqcr
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.measuring import resident, seconds_of, single_thread
from tdn_theory.experiments.other_process import call_elsewhere
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

if TYPE_CHECKING:
    from tdn_theory.training.config import TrainConfig

Source = Literal["extxyz", "pubchemqcr", "npz"]

ELEMENTS = {1: -13.6, 6: -1030.0, 7: -1480.0, 8: -2040.0}
"""Energies of single atoms, eV; about those of H, C, N and O."""

GROUP = 10
"""Structures of a group."""

CUTOFF = 5.0
"""Angstrom."""


@dataclass(frozen=True)
class Start:
    """A set whose start is timed.

    Attributes:
        source: In which files it is.
        structures: How many there are.
        atoms: Of each.
        shards: Files; equal but for their names, so that they are made in no time. Extended XYZ is one file of them.
        drawn: Structures that are made into batches, in random order, after the second start.
    """

    source: Source
    structures: int
    atoms: int
    shards: int
    drawn: int


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        starts: Sets whose starts are timed.
        batches: Batches of which the parts are timed.
        batch: Structures per batch, of 20 atoms.
    """

    starts: tuple[Start, ...]
    batches: int
    batch: int


SIZES = {
    Preset.SMALLEST: Size((Start("extxyz", 80, 3, 2, 10),), batches=1, batch=2),
    Preset.QUICK: Size(
        (
            Start("extxyz", 100_000, 20, 10, 10_000),
            Start("pubchemqcr", 100_000, 20, 10, 10_000),
            Start("npz", 1_000_000, 5, 20, 100_000),
        ),
        batches=10,
        batch=32,
    ),
    Preset.FULL: Size(
        (
            Start("extxyz", 100_000, 20, 10, 100_000),
            Start("pubchemqcr", 1_000_000, 20, 20, 200_000),
            Start("npz", 1_000_000, 20, 20, 1_000_000),
        ),
        batches=50,
        batch=32,
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Time the parts of a batch, and starts.

    Args:
        size: Size of the run.
        seed: Seed of the structures.
        jobs: Where finished parts are kept. They run one after the other.
    """
    alone = replace(jobs, workers=1, dask=None)  # timings beside each other would disturb each other
    (parts,) = alone.map(time_parts, [{"batches": size.batches, "batch": size.batch, "seed": seed}], "parts of a batch")
    starts = alone.map(time_starts, [{**asdict(start), "seed": seed} for start in size.starts], "starts")
    return {"per_structure": parts, "starts": starts}


def structures(count: int, atoms: int, seed: int) -> list[Structure]:
    """Atoms near the places of a simple cubic lattice, the same in a group, with energies and forces that are noise."""
    rng = np.random.default_rng(seed)
    side = int(np.ceil(atoms ** (1 / 3)))
    lattice = 1.5 * np.stack(np.unravel_index(np.arange(atoms), (side,) * 3), 1)
    molecules = rng.choice(list(ELEMENTS), (-(-count // GROUP), atoms))
    found = []
    for number in range(count):
        numbers = molecules[number // GROUP]
        energy = sum(ELEMENTS[z] for z in numbers.tolist()) + float(rng.normal())
        positions, forces = lattice + 0.2 * rng.normal(size=(atoms, 3)), rng.normal(size=(atoms, 3))
        group = f"group {number // GROUP}"
        found.append(Structure(numbers, positions, energy=energy, forces=forces, group=group))
    return found


def time_parts(batches: int, batch: int, seed: int) -> dict[str, Any]:
    """Processor seconds per structure, on one thread: each part of the input side, and one step of the model.

    Args:
        batches: Batches that are timed.
        batch: Structures per batch, of 20 atoms.
        seed: Seed of the structures.
    """
    import torch

    from tdn_theory.data.graph import build_graph, collate
    from tdn_theory.nn.potential import Potential, PotentialConfig
    from tdn_theory.training.config import LossConfig
    from tdn_theory.training.loss import Loss

    found: dict[str, float] = {}
    count = batches * batch

    def timed(name: str, call: Callable[[], Any]) -> Any:
        result = []
        found[name] = seconds_of(lambda: result.append(call()), "cpu") / count
        return result[0]

    with single_thread():
        packed = pack(structures(count, 20, seed))
        build_graph(packed[0], CUTOFF)
        given = timed("read", lambda: list(packed))
        graphs = timed("graph", lambda: [build_graph(structure, CUTOFF) for structure in given])
        ready = timed("batch", lambda: [collate(graphs[k : k + batch]) for k in range(0, count, batch)])
        loss = Loss(LossConfig())
        for forces in ("conservative", "direct"):
            config = PotentialConfig(
                elements=tuple(ELEMENTS), lmax=1, channels=32, layers=2, cutoff=CUTOFF, forces=forces
            )
            model = Potential(config)
            optimizer = torch.optim.Adam(model.parameters())

            def step(graph: Any, model: Any = model, optimizer: Any = optimizer) -> None:
                optimizer.zero_grad()
                loss.value(loss.sums(model(graph), graph))[0].backward()
                optimizer.step()

            step(ready[0])
            timed(f"step, {forces} forces", lambda step=step: [step(graph) for graph in ready])
    return {**found, "edges": sum(len(graph.source) for graph in graphs) / count}


def time_starts(source: Source, structures: int, atoms: int, shards: int, drawn: int, seed: int) -> dict[str, Any]:
    """The first start of a set, and the second.

    Args:
        source: In which files it is.
        structures: How many there are.
        atoms: Of each.
        shards: Files.
        drawn: Structures that are made into batches after the second start.
        seed: Seed of the structures.
    """
    what = {"source": source, "structures": structures, "atoms": atoms, "shards": shards, "drawn": drawn}
    with tempfile.TemporaryDirectory() as temporary:
        folder = Path(temporary)
        files = _write(folder, source, structures // shards, atoms, shards, seed)
        what["bytes_of_files"] = sum(file.stat().st_size for file in files)
        for name, then in (("first", 0), ("second", drawn)):
            settings = {"source": source, "files": list(map(str, files)), "out": str(folder / name), "drawn": then}
            settings["validation"] = 1.5 * GROUP * shards / structures  # one group, by either rule of splitting
            began = time.perf_counter()
            told = call_elsewhere(begin, settings, variables={VARIABLE: str(folder / "kept")})
            if told["read"] != structures:
                raise RuntimeError(f"a start of {what} read {told['read']} structures")
            what[name] = {"wall_seconds": told.pop("began_to_train") - began, **told}
        what["bytes_kept"] = sum(file.stat().st_size for file in (folder / "kept").rglob("*") if file.is_file())
    return what


def _write(folder: Path, source: Source, count: int, atoms: int, shards: int, seed: int) -> list[Path]:
    some = structures(count, atoms, seed)
    suffix = {"extxyz": ".xyz", "pubchemqcr": ".lmdb", "npz": ".npz"}[source]
    files = [folder / f"{number}{suffix}" for number in range(shards)]
    if source == "extxyz":
        write_extxyz(files[0], some)
        content = files[0].read_bytes()
        with files[0].open("wb") as stream:
            for _ in range(shards):
                stream.write(content)
        return files[:1]
    if source == "npz":
        write_archive(files[0], some, {})
        for file in files[1:]:
            shutil.copy(files[0].with_suffix(".json"), file.with_suffix(".json"))
    else:
        write_pubchemqcr(files[0], some)
    for file in files[1:]:
        shutil.copy(files[0], file)
    return files


def begin(**settings: Any) -> dict[str, Any]:
    """In a process of its own: start a training as the settings say, and tell how it went."""
    import resource

    from joblib.externals.loky import get_reusable_executor
    from rich.console import Console

    from tdn_theory.training.loop import train

    config = _config(settings)
    sizes = train(config, Console(file=io.StringIO()))["structures"]
    told: dict[str, Any] = {"began_to_train": time.perf_counter(), "seconds": time.process_time()}
    told["read"] = sum(sizes.values())
    told["peak_memory"] = resident("VmHWM")
    get_reusable_executor().shutdown(wait=True)  # so that its processes are counted
    workers = resource.getrusage(resource.RUSAGE_CHILDREN)
    told |= {
        "seconds_of_workers": workers.ru_utime + workers.ru_stime,
        "peak_memory_of_a_worker": 1024 * workers.ru_maxrss,
    }
    if settings["drawn"]:
        told |= _draw(config, settings["drawn"])
    return told


def _config(settings: dict[str, Any]) -> TrainConfig:
    """One step, and one group to validate with."""
    from tdn_theory.training.config import TrainConfig

    keys = {"energy_key": "energy", "energy_unit": "eV", "length_unit": "Angstrom", "forces_key": "forces"}
    data = {"source": settings["source"], "files": settings["files"], "validation": settings["validation"], "test": 0.0}
    if settings["source"] == "extxyz":
        data |= {**keys, "force_unit": "eV/Angstrom", "group_key": "group"}
    model = {"lmax": 1, "channels": 32, "layers": 2, "cutoff": CUTOFF}
    return TrainConfig.from_dict({"data": data, "model": model, "out": settings["out"], "time_limit": 1e-9})


def _draw(config: TrainConfig, drawn: int) -> dict[str, Any]:
    """Batches in random order, as an epoch has them."""
    import torch

    from tdn_theory.data.graph import batch_indices
    from tdn_theory.training.batches import Graphs
    from tdn_theory.training.sources import load

    graphs = Graphs(load(config.data).train, CUTOFF, torch.float32)
    size = min(config.batch_size, drawn)
    batches: Sequence[Any] = batch_indices(len(graphs), size, 0)[: drawn // size]
    began = time.process_time()
    for _ in graphs.batches(batches):
        pass
    seconds = (time.process_time() - began) / (len(batches) * size)
    return {"seconds_per_structure": seconds, "peak_memory": resident("VmHWM")}


STUDY = Study(
    "input_speed",
    "Reading, graphs and batches against the model, and starts of large sets",
    Cost.TIMED,
    SIZES,
    run,
)
