"""The paper's network with each of its ingredients switched on by itself, and Equiformer, taking turns (TAB4, TAB7).

All variants of a job run in one process, one call each per round, so that a disturbance meets all of them, on batches
of molecules of 30 atoms with 17 neighbours on average. On a CPU there is one thread, and what is timed is the processor
time, to which other processes add nothing; on a GPU it is the time until the device has finished.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from tdn_theory.data.rotation import turn
from tdn_theory.experiments.measuring import peak_memory, seconds_of, single_thread
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.rotation import haar_rotations

if TYPE_CHECKING:
    from torch import Tensor, nn

    from tdn_theory.data.graph import Graph
    from tdn_theory.nn import Potential, PotentialConfig
    from tdn_theory.nn.baselines.equiformer import Equiformer
    from tdn_theory.nn.edge_product import EdgeProduct

Network = Literal["Equiformer", "TDN"]
Product = Literal["e3nn paths", "fused paths", "exact", "cubature", "CP released", "CP naive"]
UNSHARED: tuple[Product, ...] = ("e3nn paths", "fused paths")
"""Products that can have weights for every path."""

NETWORK = {"channels": 256, "layers": 6, "heads": 8, "basis_size": 256, "cutoff": 4.5, "forces": "direct"}
"""The paper's; the cutoff in Angstrom."""
ELEMENTS = tuple(range(1, 82))
TASKS = ("inference", "training")


@dataclass(frozen=True)
class Setting:
    """What variants are timed on.

    Attributes:
        degrees: Maximal degrees L.
        network: Further settings of `PotentialConfig`.
        atoms: Atoms of a molecule.
        neighbors: Neighbours of an atom within the cutoff, on average.
    """

    degrees: tuple[int, ...]
    network: dict[str, Any]
    atoms: int
    neighbors: int


PAPERS = Setting((1, 2, 3), NETWORK, atoms=30, neighbors=17)
TINY = Setting((1,), {**NETWORK, "channels": 4, "layers": 1, "heads": 2, "basis_size": 4}, atoms=6, neighbors=3)


@dataclass(frozen=True)
class Variant:
    """One cell of the grid.

    Attributes:
        network: `Equiformer`, of which only `compiled` can be chosen; or `TDN`, the paper's.
        product: How features meet harmonics. `e3nn paths`: e3nn's product, one path after the other; `fused paths`:
            one compiled loop for each path; `exact`: all paths as one tensor contracted with the harmonics first;
            `cubature`: likewise, of the Gaunt tensor; `CP released` and `CP naive`: see `CPOrder`.
        shared: One set of weights for all paths (PS).
        shared_linear: One matrix for all degrees in linear layers (PS-Linear).
        pruned: Compute only what is read; else in the released order of operations.
        compiled: Run by `torch.compile`: the embedding, every block and the attention of the forces, each by itself,
            so blocks that are alike are compiled once.

    Raises:
        ValueError: The product sees no single paths, so it cannot have weights for them.
    """

    network: Network = "TDN"
    product: Product = "exact"
    shared: bool = True
    shared_linear: bool = True
    pruned: bool = True
    compiled: bool = False

    def __post_init__(self) -> None:
        if not self.shared and self.product not in UNSHARED:
            raise ValueError(f"product {self.product!r} sees no single paths; share their weights, or use {UNSHARED}")

    def build(self, config: PotentialConfig, seed: int) -> Potential | Equiformer:
        """The network, its weights drawn from `seed`, not compiled yet.

        Args:
            config: Settings of the network; those that the variant chooses are replaced.
            seed: Seed of the weights.
        """
        from tdn_theory.nn import Potential
        from tdn_theory.nn.baselines.equiformer import Equiformer
        from tdn_theory.nn.baselines.products import CPOrder, E3nnPaths, TiedPaths

        if self.network == "Equiformer":
            sizes = {name: getattr(config, name) for name in ("channels", "layers", "heads", "cutoff")}
            return Equiformer(config.elements, config.lmax, **sizes, seed=seed)
        orders: dict[Product, Callable[[int, int], EdgeProduct]] = {
            "e3nn paths": partial(E3nnPaths, shared=self.shared),
            "CP released": partial(CPOrder, order="released"),
            "CP naive": partial(CPOrder, order="naive"),
        }
        if self.product == "fused paths" and self.shared:
            orders["fused paths"] = TiedPaths
        make = orders.get(self.product)
        product = None if make is None else make(config.lmax, config.channels)
        method = "cubature" if self.product == "cubature" else "exact" if self.shared else "per_path"
        options = {"method": method if product is None else product.method, "share_linear": self.shared_linear}
        return Potential(replace(config, **options, pruned=self.pruned), seed, product=product)


EQUIFORMER = Variant("Equiformer")
BEST = Variant()
"""What this package uses: exact, everything shared, only what is read."""
COMPILED = replace(BEST, compiled=True)
_PATHS = Variant("TDN", "e3nn paths", shared=False, shared_linear=False, pruned=False)
LADDER: dict[str, Variant] = {
    "Equiformer": EQUIFORMER,
    "paths summed, not side by side": _PATHS,
    "PS-Linear": replace(_PATHS, shared_linear=True),
    "PS": replace(_PATHS, shared_linear=True, shared=True),
    "one tensor, harmonics first": replace(BEST, pruned=False),
    "only what is read": BEST,
}
"""From Equiformer to what this package uses, one change at a time; the paper's TDN without CP, PS and PS-Linear is the
second, without CP and PS the third, without CP the fourth."""
BRANCHES: dict[str, Variant] = {
    "CP, released order": Variant("TDN", "CP released", pruned=False),
    "CP, naive order": Variant("TDN", "CP naive", pruned=False),
    "cubature": Variant("TDN", "cubature", pruned=False),
    "paths one by one, fused": Variant("TDN", "fused paths", pruned=False),
    "last step without PS": replace(BEST, product="fused paths", shared=False),
    "last step without PS-Linear": replace(BEST, shared_linear=False),
}
"""Other ways to take the ladder's fourth step, and its last variant less one ingredient."""
PUBLISHED = BRANCHES["CP, released order"]
"""The paper's TDN."""
IN_PAPER: dict[str, Variant] = {
    "Equiformer": EQUIFORMER,
    "TDN": PUBLISHED,
    "TDN w/o CP": LADDER["PS"],
    "TDN w/o CP, PS": LADDER["PS-Linear"],
    "TDN w/o CP, PS, PS-Linear": _PATHS,
}
"""What the paper's rows (`paper.NETWORKS`) are here."""


@dataclass(frozen=True)
class Ladder:
    """Size of a run of all variants of ladder and branches.

    Attributes:
        setting: What they are timed on.
        rounds: How often each is timed, by task.
    """

    setting: Setting
    rounds: dict[str, int]


LADDERS = {
    Preset.SMALLEST: Ladder(TINY, {"inference": 1, "training": 1}),
    Preset.QUICK: Ladder(PAPERS, {"inference": 3, "training": 2}),
    Preset.FULL: Ladder(PAPERS, {"inference": 9, "training": 9}),
}
"""Of TAB4 and of TAB7, which share their jobs."""


def time_ladder(size: Ladder, seed: int, jobs: Jobs) -> list[dict[str, Any]]:
    """Results of `measure` for ladder and branches, for every L and task."""
    variants = [*LADDER.values(), *BRANCHES.values()]
    plan = [
        job(size.setting, lmax, task, variants, size.rounds[task], seed, jobs.device)
        for lmax in size.setting.degrees
        for task in TASKS
    ]
    return time_variants(plan, jobs, "ladder of networks")


def job(
    setting: Setting, lmax: int, task: str, variants: Sequence[Variant], rounds: int, seed: int, device: str
) -> dict[str, Any]:
    """Parameters of `measure`.

    One molecule at a time on a CPU; on a GPU the paper's 128, or 8 in training: Equiformer needs 5 GB for each.
    """
    molecules = 1 if device == "cpu" else 128 if task == "inference" else 8
    return {
        "lmax": lmax,
        "task": task,
        "variants": [asdict(variant) for variant in variants],
        "molecules": molecules,
        "atoms": setting.atoms,
        "neighbors": setting.neighbors,
        "network": setting.network,
        "rounds": rounds,
        "seed": seed,
        "device": device,
    }


def time_variants(plan: list[dict[str, Any]], jobs: Jobs, title: str) -> list[dict[str, Any]]:
    """Results of `measure`, one after the other in this process, since timings beside each other would disturb."""
    return replace(jobs, workers=1, dask=None).map(measure, plan, title)


def measure(
    lmax: int,
    task: str,
    variants: list[dict[str, Any]],
    molecules: int,
    atoms: int,
    neighbors: int,
    network: dict[str, Any],
    rounds: int,
    seed: int,
    device: str,
) -> dict[str, Any]:
    """Time variants on one batch, taking turns.

    Args:
        lmax: Maximal degree L.
        task: `inference` (energies and direct forces) or `training` (these, the loss, and gradients).
        variants: Settings of `Variant`.
        molecules: Molecules in the batch.
        atoms: Atoms of each.
        neighbors: Neighbours of an atom within the cutoff, on average.
        network: Further settings of `PotentialConfig`.
        rounds: How often each is timed, after calls that are not.
        seed: Seed of molecules, weights and the rotation.
        device: `cpu`, `cuda` or `cuda:1`.
    """
    import torch

    from tdn_theory.nn import PotentialConfig

    torch._dynamo.reset()  # what earlier jobs compiled
    with single_thread() as kept:
        config = PotentialConfig.from_dict({"elements": ELEMENTS, "lmax": lmax, **network})
        graph = random_batch(molecules, atoms, neighbors, config.cutoff, seed)
        rotation = torch.tensor(haar_rotations(1, np.random.default_rng(seed)))
        turned = turn(graph, rotation.expand(graph.count, 3, 3)).to(device)
        graph, rotation = graph.to(device), rotation[0].to(device)
        rows: list[dict[str, Any]] = []
        calls: list[Callable[[], Any]] = []
        for settings in variants:
            variant = Variant(**settings)
            model = variant.build(config, seed).to(device)
            step = infer if task == "inference" else train_step
            call = partial(step, model, graph)
            call()  # makes what is made at the first call, which no compiler can trace
            if variant.compiled:
                _compile(model, call)
            parameters = sum(parameter.numel() for parameter in model.parameters())
            row = {**settings, "parameters": parameters, "peak_bytes": peak_memory(call, device)}
            if task == "inference":
                row["rotation_error"] = _rotation_error(infer(model, graph), infer(model, turned), rotation)
            rows.append({**row, "seconds": []})
            calls.append(call)
        for _ in range(rounds):
            for row, call in zip(rows, calls, strict=True):
                row["seconds"].append(seconds_of(call, device))
    for row in rows:
        row["samples_per_second"] = molecules / float(np.median(row["seconds"]))
    return {
        "L": lmax,
        "task": task,
        "molecules": molecules,
        "nodes": graph.numbers.shape[0],
        "edges": graph.source.shape[0],
        "network": network,
        "device": "cpu" if device == "cpu" else torch.cuda.get_device_name(device),
        "kept_memory": kept,
        "variants": rows,
    }


def _compile(model: Potential | Equiformer, call: Callable[[], Any]) -> None:
    """Have `torch.compile` run the parts named at `Variant`, and call the model once.

    Each is one graph, or an error: else torch would run some of it as it is. Likewise all of it, once the code of a
    block, which the variants of a job share, has been compiled more often than the limit.
    """
    import torch

    for part in (model.surroundings, *model.blocks, model.force_attention):
        if part is not None:
            part.compile(fullgraph=True)
    with torch._dynamo.config.patch(recompile_limit=64):
        call()


def _rotation_error(straight: dict[str, Tensor], turned: dict[str, Tensor], rotation: Tensor) -> float:
    """`||F(R x) - R F(x)|| / ||F(x)||` of the forces of the batch (E6)."""
    wanted = straight["forces"].double() @ rotation.T
    return float((turned["forces"].double() - wanted).norm() / wanted.norm())


def row_of(result: dict[str, Any], variant: Variant) -> dict[str, Any]:
    """The row of a variant in the result of `measure`."""
    settings = asdict(variant)
    return next(row for row in result["variants"] if all(row[name] == value for name, value in settings.items()))


def speedup(result: dict[str, Any], slow: Variant, fast: Variant) -> dict[str, float]:
    """How many times faster one variant is: median over the rounds of the ratio within each, and its quartiles."""
    ratios = np.divide(row_of(result, slow)["seconds"], row_of(result, fast)["seconds"])
    low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75])
    return {"median": float(middle), "quartile1": float(low), "quartile3": float(high)}


def random_batch(molecules: int, atoms: int, neighbors: int, cutoff: float, seed: int) -> Graph:
    """Atoms evenly distributed in cubes, of the density at which an atom has `neighbors` others within the cutoff."""
    from tdn_theory.data.graph import build_graph, collate
    from tdn_theory.data.structure import Structure

    rng = np.random.default_rng(seed)
    graphs = []
    for _ in range(molecules):
        places = rng.uniform(size=(atoms, 3))
        distances = np.linalg.norm(places[:, None] - places[None], axis=-1)
        ordered = np.sort(distances[~np.eye(atoms, dtype=bool)])  # each pair twice
        between = ordered[atoms * neighbors - 1 : atoms * neighbors + 1].mean()
        graphs.append(build_graph(Structure(rng.choice([1, 6, 7, 8], atoms), places * cutoff / between), cutoff))
    return collate(graphs)


def infer(model: nn.Module, graph: Graph) -> dict[str, Tensor]:
    """Energies and forces, without the means to differentiate them."""
    import torch

    with torch.no_grad():
        return model(graph)


def train_step(model: nn.Module, graph: Graph) -> None:
    """Forward and backward of the paper's loss with targets zero."""
    model.zero_grad()
    found = model(graph)
    (found["energy"].abs().mean() + found["forces"].square().mean().sqrt()).backward()
