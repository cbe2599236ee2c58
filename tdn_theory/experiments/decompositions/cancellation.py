"""What CP terms that cancel cost in low precision (O6).

A CP product adds terms of size `sum_r ||a_r|| ||b_r|| ||c_r||`, which may be much larger than its result: the ratio is
`CPFactors.condition`. Rounding the terms to a unit u leaves an error of about `u condition`. Fits grow large terms
where a best approximation does not exist, just below the rank at which the tensor is exact.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from threadpoolctl import threadpool_limits

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp import atlas
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.schedules import quadratic
from tdn_theory.cp.solvers.als import AlternatingLeastSquares
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.study import Cost, Study

INPUTS = 1000
"""Pairs of inputs, standard normal, of values that bfloat16 has: their own rounding is no part of the errors."""

UNITS = {"float32": 2.0**-24, "bfloat16": 2.0**-9}
"""Half the distance from 1 to the next number: the largest relative error of a rounding."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        degrees: Values of L.
        iterations: Of fits at L = 1 and the paper's rank that nothing keeps from growing.
        starts: Such fits for each solver and number of iterations.
    """

    degrees: tuple[int, ...]
    iterations: tuple[int, ...]
    starts: int


SIZES = {
    Preset.SMALLEST: Size((1,), (5, 10), starts=1),
    Preset.QUICK: Size((1, 2, 3, 4, 5, 6), (30, 100, 300, 1000), starts=3),
    Preset.FULL: Size((1, 2, 3, 4, 5, 6), (30, 100, 300, 1000, 3000, 10_000), starts=3),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Errors of stored fits, atlas entries, fits without a ridge, and of the exact tensors.

    Args:
        size: Size of the run.
        seed: First seed of the fits, and seed of the inputs.
        jobs: Where finished parts are kept.
    """
    store, rows = Store(), []
    for lmax in size.degrees:
        tensor = CouplingTensor(lmax)
        rows.append({"L": lmax, "kind": "exact tensor", "R": None, "condition": 1.0, **dense_errors(tensor, seed)})
        for entry in store.entries(tensor):
            rows.append({"L": lmax, "kind": "stored", **_row(store.load(entry).factors, seed)})
    entries = [entry for entry in atlas.entries() if entry.lmax in size.degrees]
    rows += [{"L": entry.lmax, "kind": "atlas", **_row(entry.factors, seed)} for entry in entries]
    plan = [
        {"solver": solver, "iterations": iterations, "seed": seed + number}
        for solver in ("Levenberg-Marquardt", "ALS")
        for iterations in size.iterations
        for number in range(size.starts)
    ]
    rows += jobs.map(unanchored, plan, "fits without a ridge")
    return {"units": UNITS, "rows": rows}


def unanchored(solver: str, iterations: int, seed: int) -> dict[str, Any]:
    """Fit at L = 1 and the paper's rank without a ridge, and the errors of the product.

    Args:
        solver: `Levenberg-Marquardt` or `ALS`.
        iterations: How many; it does not stop before.
        seed: Of the start and the inputs.
    """
    rank = quadratic(1)
    with threadpool_limits(1):
        if solver == "ALS":
            fit = AlternatingLeastSquares(rank, seed=seed, max_sweeps=iterations, stall=0.0)
        else:
            fit = LevenbergMarquardt(rank, seed, ridge=0.0, max_iterations=iterations, stall=0.0)
        solution = fit.solve(CouplingTensor(1))
    found = {"solver": solver, "iterations": iterations, "seed": seed, "residual": solution.residual}
    return {"L": 1, "kind": "no ridge", **found, **_row(solution.factors, seed)}


def _row(factors: CPFactors, seed: int) -> dict[str, Any]:
    return {"R": factors.rank, "condition": factors.condition, **product_errors(factors, seed)}


def product_errors(factors: CPFactors, seed: int) -> dict[str, float]:
    """Relative rms errors of `A ((B^T x) * (C^T y))` (E3) against the same factors in double precision.

    Args:
        factors: A, B, C.
        seed: Of the inputs.

    Returns:
        `float32` and `bfloat16`: everything in this type. `mixed`: inputs and output in bfloat16, factors and terms in
        float32, as the layers of this package have it.
    """
    import torch

    x, y = _inputs(factors.d, seed)
    doubles = [torch.tensor(part) for part in (factors.A, factors.B, factors.C)]

    def product(dtype: torch.dtype) -> torch.Tensor:
        A, B, C = (part.to(dtype) for part in doubles)
        return ((x.to(dtype) @ B) * (y.to(dtype) @ C)) @ A.mT

    return _errors(product)


def dense_errors(tensor: CouplingTensor, seed: int) -> dict[str, float]:
    """The same errors of the tensor itself, as one matrix product with the outer products of the inputs."""
    import torch

    x, y = _inputs(tensor.d, seed)
    matrix = torch.tensor(tensor.array.reshape(tensor.d, -1))

    def product(dtype: torch.dtype) -> torch.Tensor:
        pairs = x.to(dtype).unsqueeze(2) * y.to(dtype).unsqueeze(1)
        return pairs.flatten(1) @ matrix.to(dtype).mT

    return _errors(product)


def _inputs(d: int, seed: int) -> Any:
    import torch

    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, INPUTS, d, generator=generator).bfloat16().double()


def _errors(product: Callable[[Any], Any]) -> dict[str, float]:
    import torch

    exact, single = product(torch.float64), product(torch.float32)

    def error(found: torch.Tensor) -> float:
        return float((found.double() - exact).norm() / exact.norm())

    return {
        "float32": error(single),
        "bfloat16": error(product(torch.bfloat16)),
        "mixed": error(single.bfloat16()),
    }


STUDY = Study(
    "cancellation",
    "Errors of CP products in low precision against the cancellation of their terms (O6)",
    Cost.COMPUTED,
    SIZES,
    run,
)
