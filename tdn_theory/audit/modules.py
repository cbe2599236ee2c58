"""The audit of a torch module with declared irreps: how far `f(D x)` is from `D f(x)`, and from its own roundoff.

A bilinear product needs no sampling: `product` reads its tensor and gives exact numbers. Any other module is tried on
normal inputs, in the orientations of a quadrature that is exact to a stated degree.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from tdn_theory.audit.noise import POINTS, STEP, of_differences
from tdn_theory.audit.rotations import turned_quadrature
from tdn_theory.audit.verdict import Grade, grade
from tdn_theory.coupling import CouplingLike
from tdn_theory.so3.irreps import irreps_dim, parse_irreps
from tdn_theory.so3.rotation import representation
from tdn_theory.theory.equivariance import (
    mean_square_error,
    rms_error_relative_to_output,
    supremum_bound,
)
from tdn_theory.theory.products import Product, as_tensor, call
from tdn_theory.theory.witness import witness

SAMPLES = 32


def product(given: Product, coupling: CouplingLike | None = None) -> dict[str, Any]:
    """Exact numbers on a bilinear product, from its tensor.

    Returns:
        `relative`, the root mean square equivariance error over that of the output (conventions); `rms` in its own
        scale; bounds on the largest error of unit inputs, `at_least` (with `rotation`) and `at_most`; `floor`, the
        relative error that rounding explains; `grade`.

    Raises:
        TypeError: It is no product of real numbers.
        ValueError: It is none that `as_tensor` takes, or zero.

    >>> from tdn_theory.coupling import CouplingTensor
    >>> product(CouplingTensor(1))["grade"]
    'at roundoff'
    """
    array, known = as_tensor(given, coupling)
    unit = 2.0**-53
    if callable(given) and not hasattr(given, "array"):
        unit = call(given, *(np.ones((1, d)) for d in known.dims[:2]))[1]
    relative = rms_error_relative_to_output(array, known)
    floor = 8 * unit  # an entry of the tensor is a sum of a few rounded products
    found = witness(array, known)
    return {
        "coupling": str(known),
        "relative": relative,
        "rms": float(np.sqrt(mean_square_error(array, known))),
        "at_least": found.value,
        "rotation": found.rotation.tolist(),
        "at_most": supremum_bound(array, "unfolding", known).value,
        "floor": floor,
        "grade": grade("rotation", relative, floor, 1.0).value,
    }


def module(function: torch.nn.Module, inputs: str, outputs: str, degree: int = 4, seed: int = 0) -> dict[str, Any]:
    """Errors of a module under rotations and, if the irreps have parity, under inversion.

    Args:
        function: Tensors (n, d) to (n, d'), of the module's own precision.
        inputs: Irreps of the input, e.g. `"0e+1o+1o"`.
        outputs: Irreps of the output.
        degree: Of the quadrature over rotations.
        seed: Of inputs and orientation.

    Returns:
        `error`, `floor` and `size`, root mean squares over samples, rotations and components; `relative`; `grade`; and
        `inversion`, its error, None without parity.

    Raises:
        ValueError: The output has another shape, or is not finite.
    """
    first, second = parse_irreps(inputs), parse_irreps(outputs)
    d1, d2 = (irreps_dim(irreps) for irreps in (first, second))
    rng = np.random.default_rng(seed)
    x = rng.standard_normal((SAMPLES, d1))
    like = next((t for t in (*function.parameters(), *function.buffers()) if t.is_floating_point()), torch.empty(0))

    def at(values: np.ndarray) -> np.ndarray:
        with torch.no_grad():
            found = function(torch.tensor(values, dtype=like.dtype, device=like.device)).double().cpu().numpy()
        if found.shape != (len(values), d2):
            raise ValueError(f"the module returns shape {found.shape}; with {outputs} it must be {(len(values), d2)}")
        if not np.isfinite(found).all():
            raise ValueError("the module returns NaN or inf")
        return found

    straight = at(x)
    nodes, weights = turned_quadrature(degree, rng)
    squares = []
    for node in nodes:
        D1, D2 = representation(first, node), representation(second, node)
        squares.append(np.mean((at(x @ D1.T) @ D2 - straight) ** 2))
    direction = rng.standard_normal(x.shape)
    line = np.array([at(x + STEP * k * direction) for k in range(POINTS)])
    # an error is the difference of two values
    floor = float(np.sqrt(2 * of_differences(line)))
    error, size = float(np.sqrt(weights @ np.array(squares))), float(np.sqrt(np.mean(straight**2)))
    inversion = None
    if all(irrep.parity for irrep in (*first, *second)):
        D1, D2 = (representation(irreps, -np.eye(3)) for irreps in (first, second))
        inversion = float(np.sqrt(np.mean((at(x @ D1.T) @ D2 - straight) ** 2)))
    floor = float(np.hypot(floor, 2.0**-51 * size))
    return {
        "inputs": inputs,
        "outputs": outputs,
        "error": error,
        "floor": floor,
        "size": size,
        "relative": error / size if size else None,
        "inversion": inversion,
        "grade": max(
            (grade("rotation", e, floor, size) for e in (error, inversion or 0.0)), key=list(Grade).index
        ).value,
    }
