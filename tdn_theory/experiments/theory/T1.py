"""T1: Theorem 3.1 step by step, and what it says at the paper's ranks beside sharper bounds and errors found."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.schedules import quadratic
from tdn_theory.experiments.decompositions import rank_sweep
from tdn_theory.experiments.theory.steps import prove_all
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study
from tdn_theory.theory import bounds, equivariance


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        proven: Largest L of the proof.
        degrees: Values of L at which bounds are compared.
        starts: Searches for a large error at each L.
    """

    proven: int
    degrees: tuple[int, ...]
    starts: int


SIZES = {
    Preset.SMALLEST: Size(1, (1,), starts=1),
    Preset.QUICK: Size(6, (1, 2, 3, 4, 5, 6), starts=2),
    Preset.FULL: Size(6, (1, 2, 3, 4, 5, 6), starts=8),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Steps of the proof, and one row per L with bounds of the best known decomposition at 7 L^2.

    Args:
        size: Size of the run.
        seed: Seed of the searches for large errors.
        jobs: Where finished parts are kept.
    """
    plan = [
        {"lmax": lmax, "name": rank_sweep.best_name(lmax, quadratic(lmax)), "starts": size.starts, "seed": seed}
        for lmax in size.degrees
    ]
    return {
        "proven": size.proven,
        "proof": prove_all(("theorem_3_1",), size.proven, jobs),
        "rows": jobs.map(compare, plan, "bounds at the paper's ranks"),
    }


def compare(lmax: int, name: str, starts: int, seed: int) -> dict[str, Any]:
    """All bounds on `sup eps` over rotations and unit x, y at the paper's rank, and the largest error found.

    `first_rank_below_trivial` is the least rank at which the theorem says more than `||M - Mhat|| <= ||M||`.
    """
    tensor, rank = CouplingTensor(lmax), quadratic(lmax)
    solution = rank_sweep.load(lmax, rank, name)
    chain = bounds.chain(solution.factors, tensor)
    witness = equivariance.supremum_search(solution.factors, seed, starts=starts)
    useful = next(r for r in range(1, tensor.d + 1) if bounds.tail(tensor, (r, r, r)) < tensor.norm**2)
    return {
        "L": lmax,
        "d": tensor.d,
        "R": rank,
        "R_T": bounds.theorem_core(tensor, rank)[0],
        "theorem_bound": bounds.theorem_bound(tensor, rank),
        "square_root_bound": bounds.square_root_bound(tensor, rank),
        "best_core": list(bounds.best_core(tensor, rank)),
        "best_core_bound": bounds.best_core_bound(tensor, rank),
        "trivial_bound": chain.trivial,
        "residual_bound": chain.residual,
        "non_equivariant_bound": chain.non_equivariant,
        "certified_bound": chain.certified,
        "largest_error_found": witness.value,
        "first_rank_below_trivial": useful**3,
        "relative_residual": solution.residual,
        "status": solution.status.value,
    }


STUDY = Study("T1", "Theorem 3.1 proven step by step, and beside other bounds at 7 L^2", Cost.COMPUTED, SIZES, run)
