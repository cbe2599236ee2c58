"""Real spherical harmonics by the coupling recursion (float64), e3nn's convention.

`Y^(l+1)` is the top coupling of `Y^l` with the unit vector itself, `Y^(l+1)_k ~ C_kij Y^l_i v_j`. The factor is
fixed, sign included, at the pole `v = (0, 1, 0)`, where only the component m = 0 of any harmonic is nonzero
and positive: there `Y^l = e_0` for unit norm.
"""

from __future__ import annotations

from typing import Literal

import numpy as np
from jaxtyping import Float

from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import check_lmax, component_slice, dim

Normalization = Literal["norm", "component", "integral"]


def spherical_harmonics(
    lmax: int, vectors: Float[np.ndarray, "*batch 3"], normalization: Normalization = "component"
) -> Float[np.ndarray, "*batch d"]:
    """Real spherical harmonics of degrees 0..lmax of the directions of `vectors`.

    Args:
        lmax: Maximal degree.
        vectors: Array of shape (..., 3), not necessarily of unit length. A zero vector has no direction: its
            harmonics of degree 0 are those of any vector, all higher ones are zero, which is the only
            rotation-invariant choice.
        normalization: Squared length of `Y^l` of a unit vector: `"norm"` 1, `"component"` 2l+1,
            `"integral"` (2l+1) / 4 pi (orthonormal on the sphere).

    Returns:
        Array of shape (..., d), d = (lmax+1)^2.

    Raises:
        TypeError: `lmax` is not an integer, or `vectors` are not real.
        ValueError: The last axis is not of length 3, a component is not finite, or the normalisation is unknown.
    """
    lmax = check_lmax(lmax)
    vectors = np.asarray(vectors)
    if vectors.dtype.kind not in "fiu":
        raise TypeError(f"vectors have dtype {vectors.dtype}; they must be real")
    vectors = vectors.astype(float)
    if vectors.ndim == 0 or vectors.shape[-1] != 3:
        raise ValueError(f"vectors have shape {vectors.shape}; the last axis must have length 3")
    if not np.isfinite(vectors).all():
        raise ValueError("vectors have NaN or infinite components; they must be finite")
    scale = {"norm": lambda l: 1.0, "component": lambda l: 2 * l + 1, "integral": lambda l: (2 * l + 1) / (4 * np.pi)}
    if normalization not in scale:
        raise ValueError(f"normalization is {normalization!r}; it must be one of {sorted(scale)}")
    largest = np.abs(vectors).max(axis=-1, keepdims=True)  # divided out first, so that no square under- or overflows
    unit = np.divide(vectors, largest, out=np.zeros_like(vectors), where=largest > 0)
    unit /= np.maximum(np.linalg.norm(unit, axis=-1, keepdims=True), 1.0)
    values = np.zeros((*vectors.shape[:-1], dim(lmax)))
    block = np.ones((*vectors.shape[:-1], 1))
    for l in range(lmax + 1):
        values[..., component_slice(l)] = block * np.sqrt(scale[normalization](l))
        couple = clebsch_gordan(l, 1, l + 1)
        block = np.einsum("kij,...i,...j->...k", couple / couple[l + 1, l, 1], block, unit, optimize=True)
    return values
