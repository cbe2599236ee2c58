"""The released code's recipe: AdamW on sampled inputs. A baseline, not a recommendation.

Each step draws x from a Gaussian and y as the spherical harmonics of a random direction (those of its degrees) times
a Gaussian, and descends
the relative root mean square error `||M(x, y) - Mhat(x, y)||_rms / ||M(x, y)||_rms` of the batch. Start: Xavier-uniform
factors with gain `R^(-1/3)`.

Source: behaviour of the official TDN code (OpenMol/TDN); its defaults are the defaults here.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

import numpy as np

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.solver import at_unit_scale, check_rank, check_tensor_not_zero
from tdn_theory.extras import named
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.so3.irreps import component_slice

DRAWN = 100
"""Steps whose samples are drawn at once, to spare the overhead of many small draws."""


@dataclass(frozen=True)
class SampledAdamW:
    """AdamW on the sampled relative error, see the module.

    Attributes:
        rank: Number of terms R.
        seed: Seed of the start and of the samples.
        steps: Optimiser steps.
        learning_rate: Step size of AdamW.
        weight_decay: Decoupled weight decay.
        batch: Samples per step.
        target: The solver stops when a batch's relative error falls below this.
    """

    rank: int
    seed: int = 0
    steps: int = 50_000
    learning_rate: float = 1e-4
    weight_decay: float = 1e-5
    batch: int = 128
    target: float = 1e-3

    def __post_init__(self) -> None:
        check_rank(self.rank)

    def solve(self, tensor: CouplingTensor) -> CPSolution:
        """Decompose `tensor`.

        Raises:
            ValueError: The tensor is zero.
        """
        with named():
            import torch

        check_tensor_not_zero(tensor)
        began = time.perf_counter()
        rng = np.random.default_rng(self.seed)
        unit, scale = at_unit_scale(tensor)
        limits = [np.sqrt(6 / (d + self.rank)) / self.rank ** (1 / 3) for d in tensor.coupling.shape]
        factors = [
            torch.nn.Parameter(torch.from_numpy(rng.uniform(-limit, limit, (d, self.rank)).astype(np.float32)))
            for d, limit in zip(tensor.coupling.shape, limits, strict=True)
        ]
        A, B, C = factors
        M = torch.from_numpy(unit.array.astype(np.float32))
        optimiser = torch.optim.AdamW(factors, lr=self.learning_rate, weight_decay=self.weight_decay)
        status, step = Status.BUDGET, 0
        x = y = torch.empty(0)
        for step in range(1, self.steps + 1):
            k = (step - 1) % DRAWN
            if k == 0:
                x, y = (torch.from_numpy(sample.astype(np.float32)) for sample in self._draw(tensor, rng))
            xs, ys = x[k], y[k]
            exact = torch.einsum("kij,ni,nj->nk", M, xs, ys)
            error = ((xs @ B) * (ys @ C)) @ A.T - exact
            loss = error.square().mean().sqrt() / exact.square().mean().clamp_min(1e-12).sqrt()
            optimiser.zero_grad(set_to_none=True)
            loss.backward()
            optimiser.step()
            if loss.item() < self.target:
                status = Status.CONVERGED
                break
        found = CPFactors(*(scale * f.detach().numpy().astype(float) for f in factors))
        return CPSolution.of(tensor, found, status, self, step, began)

    def _draw(self, tensor: CouplingTensor, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Inputs of the next `DRAWN` steps, of shapes (DRAWN, batch, d1) and (DRAWN, batch, d2)."""
        shape, irreps = (DRAWN, self.batch), tensor.coupling.y
        harmonics = spherical_harmonics(max(irrep.l for irrep in irreps), rng.normal(size=(*shape, 3)))
        harmonics = np.concatenate([harmonics[..., component_slice(irrep.l)] for irrep in irreps], axis=-1)
        return rng.normal(size=(*shape, tensor.dims[0])), harmonics * rng.normal(size=(*shape, 1))
