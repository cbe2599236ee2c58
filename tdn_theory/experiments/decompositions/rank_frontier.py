"""The rank frontier: equivariance error against rank, fitted and exact, with every exact point proven."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.util import find_spec
from math import ceil
from typing import Any

import numpy as np
from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.solvers.als import AlternatingLeastSquares
from tdn_theory.cp.solvers.equivariant import EquivariantLevenbergMarquardt
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.solvers.solver import random_start
from tdn_theory.cp.store import Store
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.so3.irreps import dim
from tdn_theory.study import Cost, Study
from tdn_theory.theory.equivariance import rms_error_relative_to_output

MOST = 0.95
"""Share of the paths that count as most of them."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        degrees: Values of L.
        released: Ranks at which the equivariance-only solver runs, by L.
        compared: Values of L at which all solvers run at the paper's rank.
        starts: Starts of each.
    """

    degrees: tuple[int, ...]
    released: Mapping[int, tuple[int, ...]]
    compared: tuple[int, ...]
    starts: int


_RELEASED = {1: (4, 5, 6, 7, 8), 2: (23, 26, 28, 29, 30)}
SIZES = {
    Preset.SMALLEST: Size((1,), {1: (7,)}, compared=(1,), starts=1),
    Preset.QUICK: Size((1, 2, 3, 4, 5, 6), _RELEASED, compared=(1, 2), starts=1),
    Preset.FULL: Size((1, 2, 3, 4, 5, 6), {**_RELEASED, 3: (63, 80, 88)}, compared=(1, 2, 3), starts=5),
}


def release(lmax: int, rank: int, seed: int) -> dict[str, Any]:
    """One start of the equivariance-only solver from the paper's tensor; an error counts when every path is alive."""
    with threadpool_limits(1):
        solution = EquivariantLevenbergMarquardt(rank, seed=seed).solve(CouplingTensor(lmax))
    return {
        "L": lmax,
        "R": rank,
        "seed": seed,
        "rms_error": rms_error_relative_to_output(solution.factors),
        "dead": solution.made_by["dead"],
        "least_weight": min(abs(w) for w in solution.tensor.weights),
        "seconds": solution.made_by["seconds"],
    }


def compare(lmax: int, rank: int, seed: int) -> dict[str, Any]:
    """All solvers from the same start: ours run to their end, the others as long as the slower of ours.

    The released recipe has a start of its own, and takes minutes to hours: it is compared where it is stored.
    """
    tensor = CouplingTensor(lmax)
    with threadpool_limits(1):
        ours = [
            solver.solve(tensor)
            for solver in (LevenbergMarquardt(rank, seed=seed), EquivariantLevenbergMarquardt(rank, seed=seed))
        ]
        seconds = max(solution.made_by["seconds"] for solution in ours)
        als = AlternatingLeastSquares(rank, seed=seed, max_sweeps=10**9, max_seconds=seconds, stall=0.0).solve(tensor)
        found = [(s.made_by["solver"], s.factors, s.made_by.get("dead", [])) for s in (*ours, als)]
        if find_spec("pyttb") is not None:  # an extra, 'tdn-theory[benchmark]'; the record shows whether it took part
            found.append(("pyttb", pyttb_als(tensor, rank, seed, seconds), []))
    rows = [
        {
            "L": lmax,
            "R": rank,
            "seed": seed,
            "solver": name,
            "rms_error": rms_error_relative_to_output(factors),
            "frobenius_error": factors.relative_residual(tensor.array),
            "dead": dead,
        }
        for name, factors, dead in found
    ]
    return {"seconds": seconds, "rows": rows}


def pyttb_als(tensor: CouplingTensor, rank: int, seed: int, seconds: float) -> CPFactors:
    """ALS of the tensor toolbox for Python (`cp_als`), in batches until the time is over.

    Raises:
        ImportError: pyttb is not installed.
    """
    try:
        import pyttb  # pyright: ignore[reportMissingImports]
    except ImportError as error:
        raise ImportError("pyttb is missing: pip install 'tdn-theory[benchmark]'") from error

    start = random_start(tensor, rank, np.random.default_rng(seed))
    factors = [np.asfortranarray(factor) for factor in (start.A, start.B, start.C)]
    array, found = pyttb.tensor(np.array(tensor.array)), pyttb.ktensor(factors)
    began = time.perf_counter()
    while time.perf_counter() - began < seconds:
        found, _, _ = pyttb.cp_als(
            array, rank, stoptol=0, maxiters=AlternatingLeastSquares.batch, init=found, printitn=0
        )
    A, B, C = found.factor_matrices
    return CPFactors(np.asarray(A) * np.asarray(found.weights), np.asarray(B), np.asarray(C))


def verify(stem: str) -> dict[str, Any]:
    """Prove an entry of the atlas again."""
    certificate = atlas.load(stem).verify()
    return {"radius": certificate.radius, "kind": certificate.kind, "statement": certificate.statement}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Stored fits, new starts of the equivariance-only solver, all solvers at 7 L^2, the atlas, and counting.

    Args:
        size: Size of the run.
        seed: First seed of the starts.
        jobs: Where finished parts are kept.
    """
    fitted = []
    for lmax in size.degrees:
        store = Store()
        for entry in store.entries(CouplingTensor(lmax)):
            solution = store.load(entry)
            fitted.append(
                {
                    "L": lmax,
                    "R": entry.rank,
                    "solver": entry.made_by.get("solver", "unknown"),
                    "rms_error": rms_error_relative_to_output(solution.factors),
                    "frobenius_error": solution.residual,
                }
            )
    plan = [
        {"lmax": lmax, "rank": rank, "seed": seed + k}
        for lmax, ranks in size.released.items()
        for rank in ranks
        for k in range(size.starts)
    ]
    released = jobs.map(release, plan, "equivariance-only solver")
    plan = [
        {"lmax": lmax, "rank": quadratic(lmax), "seed": seed + k} for lmax in size.compared for k in range(size.starts)
    ]
    comparison = [row for found in jobs.map(compare, plan, "solvers at the paper's ranks") for row in found["rows"]]
    rows = [entry.row() for entry in atlas.entries() if entry.lmax in size.degrees]
    frontier, proofs = [], []
    for lmax in size.degrees:
        d = dim(lmax)
        exact = {"all": atlas.best(lmax), "even": atlas.best(lmax, paths="even")}
        most = min(row["R"] for row in rows if row["L"] == lmax and row["paths_alive"] >= MOST * row["paths"])
        frontier.append(
            {
                "L": lmax,
                "paper": quadratic(lmax),
                "outer_product": d * d,
                "generic": ceil(d**3 / (3 * d - 2)),
                "most": most,
                **{which: entry.rank for which, entry in exact.items()},
            }
        )
        proofs += [
            {"lmax": lmax, "rank": entry.rank, "which": which, "stem": entry.stem} for which, entry in exact.items()
        ]
    proven = jobs.map(verify, [{"stem": proof["stem"]} for proof in proofs], "proofs")
    return {
        "fitted": fitted,
        "released": released,
        "compared": comparison,
        "atlas": rows,
        "frontier": frontier,
        "proofs": [{**p, **r} for p, r in zip(proofs, proven, strict=True)],
    }


STUDY = Study(
    "rank_frontier",
    "Equivariance error against rank, and the least exact ranks against L (E5, T2)",
    Cost.COMPUTED,
    SIZES,
    run,
)
