"""Searches for fewer terms than the atlas has, and what came of them: starts, seconds, best residuals.

Every start is `cp.search.attempt`: the equivariance-only solver near path weights drawn at random, under a finite
group, with orbits of terms drawn at random. Ranks that are known are searched for as well, so that one sees what a
search of this size finds.

For each group the equations are counted, and the unknowns. A G-invariant form with R terms has

    equations   dim (V (x) V (x) V)^G, less the weights of paths that G does not exchange,
    unknowns    the freedom of its orbits, the most that orbits with R terms in all can have, less the rotations that
                commute with G.

Where the equations are more than the unknowns there is no such form in general. That excludes nothing: known forms of
low rank are exceptions. Groups whose orbits (`symmetry.orbit_types`) cannot have R terms in all are not searched.

One path is followed for longer: `3 x 3 -> 3` with 18 terms, one less than is proven. Where an exact form is approached,
the condition stays bounded; where it grows by a power of the residual, the terms diverge, and what is approached is no
form of this rank but a limit of such: a border rank.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.search import Paths, attempt
from tdn_theory.cp.solution import EXACT
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.symmetry import group, orbit_types
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

ROTATIONS = ("C1", "C2", "C3", "C4", "C5", "D2", "D3", "D4", "D5", "T", "O")


@dataclass(frozen=True)
class Target:
    """What is looked for.

    Attributes:
        lmax: Maximal degree L.
        paths: Paths to keep alive.
        rank: Number of terms R.
    """

    lmax: int
    paths: Paths
    rank: int

    def groups(self, rotations: Sequence[str]) -> list[str]:
        """Rotation groups with exchanges of modes, and with inversion where the paths are even."""
        extensions = ("", "*Z2", "*Z3", "*S3", *(("*i",) if self.paths == "even" else ()))
        return [base + extension for base in rotations for extension in extensions]


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        targets: What is looked for.
        starts: Starts for each group.
        iterations: Iterations between the points at which the path is looked at.
        rotations: Rotation groups.
    """

    targets: Sequence[Target]
    starts: int
    iterations: Sequence[int]
    rotations: Sequence[str] = ROTATIONS


TARGETS = (
    Target(1, "all", 7),
    Target(1, "even", 6),
    Target(2, "even", 17),
    Target(2, "all", 22),
    Target(3, "even", 31),
)
SIZES = {
    Preset.SMALLEST: Size(TARGETS[:1], starts=1, iterations=(10, 20), rotations=("C1",)),
    Preset.QUICK: Size(TARGETS[:3], starts=1, iterations=(300, 300)),
    Preset.FULL: Size(TARGETS, starts=2, iterations=(300, 500, 1000, 2000)),
    Preset.HOURS: Size(TARGETS, starts=50, iterations=(300, 500, 1000, 2000, 4000, 8000, 16000)),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """One row for each target and group.

    Args:
        size: Size of the run.
        seed: First seed of the starts.
        jobs: Where finished rows are kept.
    """
    plan = [
        asdict(target) | {"symmetry": symmetry, "starts": size.starts, "seed": seed}
        for target in size.targets
        for symmetry in target.groups(size.rotations)
    ]
    rows = jobs.map(tried, plan, "searching for fewer terms")
    job = {"coupling": "3 x 3 -> 3", "rank": 18, "seed": seed, "iterations": list(size.iterations)}
    return {"rows": rows, "followed": jobs.map(followed, [job], "following a single path")[0]}


def tried(lmax: int, paths: Paths, rank: int, symmetry: str, starts: int, seed: int) -> dict[str, Any]:
    """All starts under one group; the residual is the least one, of forms with all paths alive if there are any."""
    equations, unknowns = counted(lmax, paths, rank, symmetry)
    row = {"L": lmax, "paths": paths, "R": rank, "symmetry": symmetry, "equations": equations, "unknowns": unknowns}
    if unknowns is None:
        return row | {"starts": 0}
    found = [attempt(lmax, rank, paths, symmetry, seed + n, any_weights=True) for n in range(starts)]
    alive = [one for one in found if not one["dead"]]
    return row | {
        "starts": starts,
        "alive": len(alive),
        "exact": sum(one["residual"] <= EXACT for one in alive),
        "residual": min(one["residual"] for one in alive or found),
        "seconds": sum(one["seconds"] for one in found),
    }


def followed(coupling: str, rank: int, seed: int, iterations: Sequence[int]) -> dict[str, Any]:
    """Residual and condition of one long fit of a single path, at several points of it."""
    tensor, factors, points = CouplingTensor(coupling), None, []
    with threadpool_limits(1):
        for number in iterations:
            solution = LevenbergMarquardt(rank, seed, max_iterations=number, stall=1e-9).solve(tensor, factors)
            factors = solution.factors
            points.append({"residual": solution.residual, "condition": solution.condition})
    return {"coupling": coupling, "R": rank, "points": points}


def counted(lmax: int, paths: Paths, rank: int, symmetry: str) -> tuple[int, int | None]:
    """Equations and unknowns of forms with a symmetry; no unknowns where no orbits have so many terms in all."""
    whole, coupling = group(symmetry), Coupling.of(lmax)
    orders = {element.permutation for element in whole.elements}
    used = [path for path in coupling.paths if paths == "all" or path.even]
    classes = {min(tuple((path.z, path.x, path.y)[mode] for mode in order) for order in orders) for path in used}
    most: list[int | None] = [0]
    for terms in range(1, rank + 1):
        ways = [
            before + orbit.freedom
            for orbit in orbit_types(symmetry, coupling.modes)
            if orbit.length <= terms and (before := most[terms - orbit.length]) is not None
        ]
        most.append(max(ways, default=None))
    free_rotations = 3 if symmetry.startswith("C1") else symmetry.startswith("C")
    last = most[rank]
    return whole.invariants(lmax) - len(classes), None if last is None else last - free_rotations


STUDY = Study(
    "searches",
    "Searches for fewer terms than the atlas has: starts, least residuals, equations and unknowns",
    Cost.COMPUTED,
    SIZES,
    run,
)
