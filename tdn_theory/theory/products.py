"""What the theory takes for a bilinear product, and its tensor: one way in for everything of this part."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

import numpy as np
from jaxtyping import Float

from tdn_theory.coupling import Coupling, CouplingLike, check_tensor
from tdn_theory.scale import lengths
from tdn_theory.so3.irreps import lmax_of

CANCELLATION = 1e3
"""How far the terms inside a function may cancel: its rounding errors are taken to be as many times larger."""

SAMPLES = 16
"""Random pairs at which a function is compared with its tensor."""


Product = Any
"""A bilinear product: what has an `array` (`CPFactors`, `CouplingTensor`, `nn.TensorProduct`, your own), the tensor
`T[k, i, j]` itself, or a function (x, y) -> z. `as_tensor` says the rest."""


def as_tensor(product: Product, coupling: CouplingLike | None = None) -> tuple[Float[np.ndarray, "d3 d1 d2"], Coupling]:
    """The tensor of a bilinear product, and the coupling that says what acts on its three modes.

    Args:
        product: Something with an `array` (d3, d1, d2); an array; or a function of numpy arrays or torch tensors, of
            shapes (..., d1) and (..., d2) to (..., d3) with any leading axes, a torch module included, which is given
            its own dtype and device. A function is read off at pairs of unit vectors, and then compared with its tensor
            at random vectors; `numpy.vectorize(f, signature="(i),(j)->(k)")` makes one of a function of single vectors.
        coupling: Irreps of the modes, as `Coupling.of` reads them. If left out, those that the product brings along as
            its `coupling`, or else the paper's, degrees 0..L on all sides.

    Raises:
        TypeError: It is none of these, or not real.
        ValueError: The shape is not that of the coupling, an entry is not finite, a function comes without a coupling,
            or it is not bilinear.

    >>> from tdn_theory.coupling import CouplingTensor
    >>> as_tensor(CouplingTensor("0e+1o"))[1]
    Coupling(0e+1o x 0e+1o -> 0e+1o, 4 paths)
    >>> as_tensor(lambda x, y: np.cross(x, y), "1")[0].shape
    (3, 3, 3)
    """
    if coupling is None:
        coupling = getattr(product, "coupling", None)
    known = None if coupling is None else Coupling.of(coupling)
    if hasattr(product, "array"):
        array = product.array
    elif callable(product):
        if known is None:
            raise ValueError("a function does not say what acts on x, y and z; give its coupling, e.g. '0e+1o+2e'")
        array = _read_off(product, known)
    else:
        array = product
    array = check_tensor(array, None if known is None else known.shape)
    if known is None:
        if len(set(array.shape)) != 1:
            raise ValueError(
                f"tensor has shape {array.shape}, which is not that of degrees 0..L on all sides; give its coupling, "
                "e.g. '0e+1o x 0e+1o+2e -> 1o'"
            )
        known = Coupling.of(lmax_of(len(array)))
    return array, known


def _read_off(function: Callable[..., Any], coupling: Coupling) -> Float[np.ndarray, "d3 d1 d2"]:
    """The tensor of a function, which must be bilinear.

    At x, y a bilinear function and its tensor differ by rounding alone. z is a sum of `n = d1 d2` products; rounding
    errors that are as good as random add up to `sqrt(n) u ||T|| |x| |y|` if all terms have one sign, and to
    `CANCELLATION` times that if the terms inside the function cancel. A function that differs from the tensor of its
    values at unit vectors by more is not bilinear, and one that is not bilinear differs almost everywhere.
    """
    d1, d2, d3 = coupling.dims
    values, roundoff = call(function, np.repeat(np.eye(d1), d2, axis=0), np.tile(np.eye(d2), (d1, 1)))
    if values.shape != (d1 * d2, d3):
        raise ValueError(
            f"function returns shape {values.shape} for x {(d1 * d2, d1)} and y {(d1 * d2, d2)}; with {coupling} "
            f"it must be {(d1 * d2, d3)}: components last, behind the leading axes of x and y"
        )
    array = check_tensor(values.reshape(d1, d2, d3).transpose(2, 0, 1))
    allowed = CANCELLATION * np.sqrt(d1 * d2) * roundoff
    if allowed > 0.1:
        raise ValueError(
            f"function computes with unit roundoff {roundoff:.0e}, which cannot show that it is bilinear: "
            "give one of double precision, e.g. module.double()"
        )
    rng = np.random.default_rng(0)
    x, y = rng.standard_normal((SAMPLES, d1)), rng.standard_normal((SAMPLES, d2))
    x *= 2.0 ** rng.integers(-3, 4, (SAMPLES, 1))
    found, _ = call(function, x, y)
    exponent = int(np.frexp(np.abs(array).max())[1])
    unit = np.ldexp(array, -exponent)
    difference = lengths(np.ldexp(found, -exponent) - np.einsum("kij,ni,nj->nk", unit, x, y, optimize=True), axis=1)
    sizes = float(np.linalg.norm(unit)) * lengths(x, axis=1) * lengths(y, axis=1)
    if not np.all(difference <= allowed * sizes):  # NaN
        raise ValueError(
            "function is not bilinear: at random x, y it differs from the tensor of its values at unit vectors by up "
            f"to {np.max(difference):.1e}, where rounding explains {allowed * np.max(sizes):.1e}"
        )
    return array


def call(function: Any, x: np.ndarray, y: np.ndarray) -> tuple[Float[np.ndarray, "..."], float]:
    """The result as float64, and the unit roundoff of the numbers that the function returned.

    Torch modules get tensors. Other functions get arrays, and tensors if they refuse arrays.
    """
    torch = sys.modules.get("torch")  # who has a function of tensors has imported it
    if torch is None or not isinstance(function, torch.nn.Module):
        try:
            z = np.asarray(function(x, y))
            return z.astype(float), float(np.finfo(z.dtype).eps) / 2 if z.dtype.kind == "f" else 2.0**-53
        except (TypeError, AttributeError):
            if torch is None:
                raise
    own = (*function.parameters(), *function.buffers()) if isinstance(function, torch.nn.Module) else ()
    like = next((t for t in own if t.is_floating_point()), torch.empty(0, dtype=torch.float64))
    with torch.no_grad():
        z = function(*(torch.tensor(value, dtype=like.dtype, device=like.device) for value in (x, y)))
    return z.double().cpu().numpy(), float(torch.finfo(z.dtype).eps) / 2
