"""How consistent forces are under rotations, and what follows for relaxations and molecular dynamics (O3).

Potentials trained on the shipped relaxations, with products of several ranks, are asked for the forces of molecules
they have not seen, of the same rattled, and of frames of dynamics they run themselves, in random orientations and in
the worst ones that ascent on the rotation finds. Then copies of a molecule that differ by a rotation are relaxed, and
run at constant energy: an invariant potential brings all of them to the same minimum, in the same number of steps, and
keeps their angular momentum at zero.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.cp.schedules import quadratic
from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.rotation import turn, turn_back
from tdn_theory.data.structure import Structure
from tdn_theory.experiments.measuring import mean_and_error, single_thread
from tdn_theory.experiments.potentials.fitting import NETWORK, TINY, configuration, fit, inputs, products, spread
from tdn_theory.experiments.potentials.symmetry_error import predict, symmetry_errors
from tdn_theory.jobs import Jobs
from tdn_theory.nn.calculator import TDNCalculator, relax
from tdn_theory.nn.potential import Potential
from tdn_theory.preset import Preset
from tdn_theory.so3.rotation import haar_rotations
from tdn_theory.study import Cost, Study

if TYPE_CHECKING:
    from ase import Atoms

SYSTEM = "relaxations"
RATTLE = 0.1
"""Standard deviation of the displacement of each coordinate of rattled structures, Angstrom."""
QUANTILES = (0.05, 0.5, 0.95, 1.0)
TEMPERATURE = 300.0
"""K."""
TIME_STEP = 0.5
"""fs."""
APART = 100.0
"""Distance of the copies that one calculator moves together, Angstrom: far beyond any cutoff."""


@dataclass(frozen=True)
class Measures:
    """How much is measured on a trained potential.

    Attributes:
        structures: Structures of each kind.
        rotations: Random rotations of each.
        starts: Rotations that the search for the worst one starts from, of each of `searched` structures.
        searched: How many structures are searched.
        ascents: Steps of the search.
        molecules: Molecules that are relaxed.
        copies: Orientations of each molecule that is relaxed or run.
        relaxation_steps: Most steps of a relaxation.
        fmax: A relaxation ends when no atom feels a larger force, eV/Angstrom.
        time: Length of the dynamics, fs.
    """

    structures: int = 12
    rotations: int = 5
    starts: int = 4
    searched: int = 3
    ascents: int = 8
    molecules: int = 2
    copies: int = 3
    relaxation_steps: int = 40
    fmax: float = 0.05
    time: float = 50.0


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        ranks: Ranks of CP products, per L, with conservative forces.
        direct: Ranks of CP products, per L, with direct forces, besides the exact product.
        steps: Steps of training.
        seeds: Seeds; each is another split, other initial weights and other batches.
        network: Changes of the network.
        measures: What is measured.
        structures: Structures of each part of the split, at most; None: all.
    """

    ranks: dict[int, tuple[int, ...]]
    direct: dict[int, tuple[int, ...]]
    steps: int
    seeds: int
    network: dict[str, Any]
    measures: Measures
    structures: int | None = None


SIZES = {
    Preset.SMALLEST: Size(
        {1: (7,)},
        {1: (7,)},
        1,
        1,
        TINY,
        Measures(
            structures=2,
            rotations=2,
            starts=2,
            searched=1,
            ascents=1,
            molecules=1,
            copies=2,
            relaxation_steps=2,
            fmax=1e-6,  # or a network that has hardly trained has nothing to relax
            time=1.0,
        ),
        structures=24,
    ),
    # so short that errors are still falling
    Preset.QUICK: Size({1: (5, 7)}, {1: (7,)}, 120, 3, {}, Measures()),
    Preset.HOURS: Size({1: (5, 7), 2: (28,)}, {1: (7,)}, 4000, 3, {}, Measures(relaxation_steps=200, time=200.0)),
    Preset.FULL: Size(  # meant for a GPU
        {1: (2, 3, 4, 5, 6, 7), 2: (10, 15, 20, 28)},
        {1: (3, 5, 7), 2: (28,)},
        20_000,
        5,
        {"channels": 64, "layers": 3, "heads": 8},
        Measures(
            structures=100,
            rotations=32,
            starts=16,
            searched=20,
            ascents=40,
            molecules=8,
            copies=8,
            relaxation_steps=500,
            fmax=0.01,
            time=2000.0,
        ),
    ),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Train every product, and measure forces, relaxations and dynamics."""
    models = [
        {**product, "forces": forces}
        for forces, ranks in (("conservative", size.ranks), ("direct", size.direct))
        for lmax, own in ranks.items()
        for product in products(lmax, own)
        if forces == "conservative" or product["method"] != "cubature"
    ]
    plan = [
        {
            "model": {**size.network, **model},
            "seed": s,
            "device": jobs.device,
            "steps": size.steps,
            "structures": size.structures,
            "measures": asdict(size.measures),
            "inputs": inputs(SYSTEM, model),
        }
        for s in range(seed, seed + size.seeds)
        for model in models
    ]
    rows = jobs.map(measure, plan, "consistency of forces")
    return {
        "steps": size.steps,
        "network": {**NETWORK, **size.network},
        "measures": asdict(size.measures),
        "rattle": RATTLE,
        "temperature": TEMPERATURE,
        "time_step": TIME_STEP,
        "quantiles": QUANTILES,
        "paper_rank": {str(lmax): quadratic(lmax) for lmax in size.ranks},
        "rows": rows,
        "summary": summarize(rows),
    }


def measure(
    model: dict[str, Any],
    seed: int,
    device: str,
    steps: int,
    structures: int | None,
    measures: dict[str, Any],
    inputs: dict[str, str | None],
) -> dict[str, Any]:
    """Train one potential, and measure it in double precision.

    Args:
        model: Settings of the potential.
        seed: Of split, weights, batches and of all that is measured.
        device: `cpu`, `cuda` or `cuda:1`.
        steps: Steps of training.
        structures: Structures of each part of the split, at most.
        measures: Of `Measures`.
        inputs: What it reads.
    """
    wanted = Measures(**measures)
    with single_thread():
        trained = fit(configuration(SYSTEM, model, seed, device), steps, structures)
        potential, test = trained.potential, trained.splits.test
        chosen = spread(test, wanted.structures)
        dynamics, frames = run_copies(potential, _calmest(test), wanted, seed)
        rng = np.random.default_rng(seed)
        kinds = {
            "relaxation": chosen,
            "rattled": [_bare(s, s.positions + RATTLE * rng.standard_normal(s.positions.shape)) for s in chosen],
            "dynamics": frames,
        }
        errors = {kind: force_errors(potential, own, wanted.rotations, seed) for kind, own in kinds.items()}
        worst = worst_rotations(potential, spread(test, wanted.searched), wanted.starts, wanted.ascents, seed)
        relaxations = [relax_copies(potential, s, wanted, seed) for s in _largest(test, wanted.molecules)]
    return {
        **{name: model[name] for name in ("lmax", "method", "rank", "forces")},
        **inputs,
        **trained.row(),
        "errors": errors,
        "worst": worst,
        "relaxations": relaxations,
        "dynamics": dynamics,
    }


def force_errors(potential: Potential, structures: Sequence[Structure], rotations: int, seed: int) -> dict[str, Any]:
    """`|F(g x) - g F(x)|` over structures and rotations, as the root mean square over the atoms of a structure.

    Returns:
        `quantiles` (QUANTILES) in meV/Angstrom, `rms_force` likewise, `relative` (root mean square over root mean
        square), `share` of the loss due to imperfect symmetry where labels are known, and the root mean square of what
        a rotation does to the energy, `energy_change`, meV/atom.
    """
    found = symmetry_errors(potential, structures, rotations, seed)
    atoms = found["forces"].components / 3
    changes = 1e3 * np.sqrt(found["forces"].change / atoms[:, None])
    labelled = all(structure.forces is not None for structure in structures)
    return {
        "quantiles": np.quantile(changes, QUANTILES).tolist(),
        "rms": float(np.sqrt(np.mean(changes**2))),
        "rms_force": 1e3 * float(np.sqrt(np.mean(found["forces"].size / atoms))),
        "relative": found["forces"].relative_change,
        "share": found["forces"].share if labelled else None,
        "energy_share": found["energy"].share if labelled else None,
        "energy_change": 1e3 * found["energy"].rms_change,
    }


def worst_rotations(
    potential: Potential, structures: Sequence[Structure], starts: int, steps: int, seed: int
) -> dict[str, Any]:
    """Rotations at which forces differ most from those of the structure as it lies, by ascent on SO(3).

    Each step turns along the gradient of the squared error with respect to the rotation vector, by an angle that grows
    by a half after a success and is halved after a failure; so the error never falls.

    Args:
        potential: A model.
        structures: Structures.
        starts: Haar-random rotations of each structure to start from.
        steps: Steps of each start.
        seed: Of the starts.

    Returns:
        Per structure, as in `force_errors`: `random`, the root mean square over the starts, `largest_random` among
        them, and `found`, the largest after the ascent, meV/Angstrom.
    """
    weight = next(potential.parameters())
    graphs = [build_graph(structure, potential.config.cutoff, weight.dtype) for structure in structures]
    graph = collate([graph for graph in graphs for _ in range(starts)]).to(weight.device)
    straight = predict(potential, graph)["forces"]
    turns = torch.tensor(haar_rotations(graph.count, np.random.default_rng(seed)), device=weight.device)
    errors, gradient = _error_and_gradient(potential, graph, straight, turns)
    first, angle = errors, torch.full_like(errors, 0.3)
    for _ in range(steps):
        size = gradient.norm(dim=1, keepdim=True).clamp(min=torch.finfo(gradient.dtype).tiny)
        trial = _exponential(angle[:, None] * gradient / size) @ turns
        new_errors, new_gradient = _error_and_gradient(potential, graph, straight, trial)
        better = new_errors > errors
        turns = torch.where(better[:, None, None], trial, turns)
        gradient = torch.where(better[:, None], new_gradient, gradient)
        errors = torch.where(better, new_errors, errors)
        angle = torch.where(better, 1.5 * angle, angle / 2)
    before, after = (1e3 * e.reshape(len(structures), starts).sqrt() for e in (first, errors))
    return {
        "random": before.square().mean(1).sqrt().tolist(),
        "largest_random": before.amax(1).tolist(),
        "found": after.amax(1).tolist(),
    }


def _error_and_gradient(
    potential: Potential, graph: Graph, straight: Tensor, turns: Float[Tensor, "graphs 3 3"]
) -> tuple[Float[Tensor, " graphs"], Float[Tensor, "graphs 3"]]:
    """Mean over atoms of `|R^T F(R x) - F(x)|^2`, and its derivative with respect to w in `exp(w) R`, at w = 0."""
    with torch.enable_grad():
        vector = turns.new_zeros(graph.count, 3).requires_grad_()
        turned = _exponential(vector) @ turns
        forces = potential(turn(graph, turned))["forces"]
        squares = (turn_back("forces", forces, turned, graph) - straight).square().sum(1)
        sums = squares.new_zeros(graph.count).index_add(0, graph.batch, squares)
        errors = sums / torch.bincount(graph.batch, minlength=graph.count)
        (gradient,) = torch.autograd.grad(errors.sum(), vector)
    return errors.detach(), gradient


def _exponential(vector: Float[Tensor, "graphs 3"]) -> Float[Tensor, "graphs 3 3"]:
    """The rotations by rotation vectors: exponentials of the antisymmetric matrices `[w]_x`."""
    x, y, z = vector.unbind(1)
    zero = torch.zeros_like(x)
    rows = torch.stack((zero, -z, y, z, zero, -x, -y, x, zero), dim=1)
    return torch.linalg.matrix_exp(rows.reshape(-1, 3, 3))


def relax_copies(potential: Potential, structure: Structure, measures: Measures, seed: int) -> dict[str, Any]:
    """Relax a structure as it lies and turned, by BFGS, which itself does not depend on the orientation.

    Returns:
        Per copy, the first being the one as it lies: `steps`, `converged`, final `energies` less that of the first,
        meV, and `distances` of final geometries from that of the first, superimposed, root mean square over atoms,
        Angstrom.
    """
    from ase.build import minimize_rotation_and_translation

    steps, converged, finals = [], [], []
    for rotation in _orientations(measures.copies, seed):
        atoms = _bare(structure, structure.positions @ rotation.T).to_ase()
        atoms.calc = TDNCalculator(potential)
        frames, below = relax(atoms, measures.fmax, measures.relaxation_steps)
        steps.append(len(frames) - 1)
        converged.append(below)
        finals.append(frames[-1])
    distances = []
    for final in finals:
        moved = final.copy()
        minimize_rotation_and_translation(finals[0], moved)
        distances.append(float(np.sqrt(np.square(moved.positions - finals[0].positions).sum(1).mean())))
    lowest = finals[0].get_potential_energy()
    return {
        "molecule": structure.group,
        "atoms": len(structure),
        "steps": steps,
        "converged": converged,
        "energies": [1e3 * (final.get_potential_energy() - lowest) for final in finals],
        "distances": distances,
    }


def run_copies(
    potential: Potential, structure: Structure, measures: Measures, seed: int
) -> tuple[dict[str, Any], list[Structure]]:
    """Dynamics at constant energy (velocity Verlet) of a structure as it lies and turned, from rest but for vibrations.

    One calculator moves all copies, too far apart to feel each other.

    Returns:
        Per copy: `drift`, the slope of the total energy, meV/atom/ps; `fluctuation` about it, meV/atom;
        `angular_momentum` at the end, in units of hbar, zero at the start; `distances` of the end, turned back, from
        that of the first copy. And ten frames of the first copy.
    """
    from ase import units
    from ase.md.velocitydistribution import Stationary, ZeroRotation
    from ase.md.verlet import VelocityVerlet

    single = _bare(structure, structure.positions - structure.positions.mean(0)).to_ase()
    noise = np.random.default_rng(seed).standard_normal((len(single), 3))
    single.set_velocities(noise * np.sqrt(units.kB * TEMPERATURE / single.get_masses())[:, None])
    Stationary(single)
    ZeroRotation(single)
    rotations, n = _orientations(measures.copies, seed), len(single)
    places = APART * np.arange(len(rotations))[:, None, None] * np.array([1.0, 0.0, 0.0])
    together = _union(single, len(rotations))
    together.positions = (single.positions @ rotations.swapaxes(1, 2) + places).reshape(-1, 3)
    together.set_velocities((single.get_velocities() @ rotations.swapaxes(1, 2)).reshape(-1, 3))
    together.calc = TDNCalculator(potential)
    dynamics = VelocityVerlet(together, timestep=TIME_STEP * units.fs)
    total = round(measures.time / TIME_STEP)
    every = max(1, total // 20)
    times, positions, velocities = [], [], []
    for step, _ in enumerate(dynamics.irun(total)):
        if step % every == 0:
            times.append(step * TIME_STEP)
            positions.append(together.positions.reshape(-1, n, 3) - places)
            velocities.append(together.get_velocities().reshape(-1, n, 3))
    copies = [_bare(structure, own) for frame in positions for own in frame]
    kinetic = np.einsum("n,tcnx->tc", single.get_masses() / 2, np.square(velocities)) / n
    energies = kinetic + _energies(potential, copies).reshape(len(times), -1)
    slopes, offsets = np.polyfit(np.array(times) / 1000, 1e3 * energies, 1)
    rest = 1e3 * energies - (np.array(times)[:, None] / 1000 * slopes + offsets)
    ends = positions[-1] @ rotations
    momentum = np.cross(positions[-1], single.get_masses()[:, None] * velocities[-1]).sum(1)
    hbar = units._hbar * units.J * units.second
    results = {
        "molecule": structure.group,
        "atoms": n,
        "time": times[-1],
        "drift": slopes.tolist(),
        "fluctuation": np.sqrt(np.mean(rest**2, 0)).tolist(),
        "angular_momentum": (np.linalg.norm(momentum, axis=1) / hbar).tolist(),
        "distances": np.sqrt(np.square(ends - ends[0]).sum(2).mean(1)).tolist(),
    }
    first = copies[:: len(rotations)]
    return results, first[:: max(1, len(first) // 10)]


def _union(single: Atoms, copies: int) -> Atoms:
    union = single.copy()
    for _ in range(copies - 1):
        union.extend(single)
    return union


def _energies(potential: Potential, structures: Sequence[Structure]) -> Float[np.ndarray, " structures"]:
    """Per atom, eV."""
    weight = next(potential.parameters())
    graphs = [build_graph(structure, potential.config.cutoff, weight.dtype) for structure in structures]
    return predict(potential, collate(graphs).to(weight.device))["energy"].cpu().numpy()


def _orientations(copies: int, seed: int) -> Float[np.ndarray, "copies 3 3"]:
    """The identity and random rotations."""
    return np.concatenate((np.eye(3)[None], haar_rotations(copies - 1, np.random.default_rng((seed, 1)))))


def _bare(structure: Structure, positions: Float[np.ndarray, "n 3"]) -> Structure:
    """The same atoms elsewhere, without labels."""
    return Structure(structure.numbers, positions, group=structure.group)


def _largest(structures: Sequence[Structure], count: int) -> list[Structure]:
    """The largest of so many molecules; of each molecule the structure with the greatest force."""
    first: dict[str, Structure] = {}
    for structure in sorted(structures, key=_greatest_force, reverse=True):
        first.setdefault(structure.group, structure)
    return sorted(first.values(), key=lambda s: (-len(s), s.group))[:count]


def _calmest(structures: Sequence[Structure]) -> Structure:
    """Of the largest molecules, the structure with the smallest greatest force."""
    size = max(len(structure) for structure in structures)
    return min((s for s in structures if len(s) >= size - 1), key=_greatest_force)


def _greatest_force(structure: Structure) -> float:
    if structure.forces is None:
        raise ValueError(f"{structure} has no forces; use structures of the shipped relaxations")
    return float(np.linalg.norm(structure.forces, axis=1).max())


def summarize(rows: Sequence[dict[str, Any]]) -> list[dict[str, Any]]:
    """Means over seeds with standard errors."""
    found: dict[tuple[Any, ...], list[dict[str, Any]]] = {}
    for row in rows:
        found.setdefault((row["forces"], row["lmax"], row["method"], row["rank"]), []).append(row)
    summary = []
    for (forces, lmax, method, rank), own in found.items():
        numbers = [_numbers(row) for row in own]
        summary.append(
            {
                "forces": forces,
                "lmax": lmax,
                "method": method,
                "rank": rank,
                "terms": own[0]["terms"],
                **{name: mean_and_error([n[name] for n in numbers]) for name in numbers[0]},
            }
        )
    return summary


def _numbers(row: dict[str, Any]) -> dict[str, float]:
    """What is averaged over seeds: of copies that are turned, the root mean square or the largest difference."""
    relaxations, dynamics, worst = row["relaxations"], row["dynamics"], row["worst"]
    found = {}
    for kind, errors in row["errors"].items():
        for name, value in zip(("low", "median", "high", "largest"), errors["quantiles"], strict=True):
            found[f"{kind}_{name}"] = value
        found |= {f"{kind}_{name}": errors[name] for name in ("rms", "relative", "energy_change")}
    labelled = row["errors"]["relaxation"]
    ratios = np.array(worst["found"]) / np.maximum(worst["random"], 1e-300)
    return {
        **found,
        "share": labelled["share"],
        "energy_share": labelled["energy_share"],
        "worst": float(np.mean(worst["found"])),
        "worst_over_random": float(np.mean(ratios)),
        "relaxed_energy_spread": float(np.mean([np.ptp(r["energies"]) for r in relaxations])),
        "relaxed_distance": float(np.mean([max(r["distances"]) for r in relaxations])),
        "relaxed_steps_spread": float(np.mean([np.ptp(r["steps"]) for r in relaxations])),
        "relaxed_converged": float(np.mean([np.mean(r["converged"]) for r in relaxations])),
        "drift": float(np.mean(np.abs(dynamics["drift"]))),
        "angular_momentum": float(np.sqrt(np.mean(np.square(dynamics["angular_momentum"])))),
        "dynamics_distance": float(max(dynamics["distances"])),
    }


STUDY = Study(
    "force_consistency",
    "Consistency of forces of unseen molecules under rotations, of relaxations and of dynamics of rotated copies, "
    "against rank (O3)",
    Cost.TRAINED,
    SIZES,
    run,
    any_device=True,
)
