"""CP factors: a tensor as a sum of R rank-one terms (E3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float


@dataclass(frozen=True, eq=False)
class CPFactors:
    """`T[k, i, j] = sum_r A[k, r] B[i, r] C[j, r]` (E3).

    Attributes:
        A: Factor of the output mode k, shape (d, R).
        B: Factor of the first input mode i, shape (d, R).
        C: Factor of the second input mode j, shape (d, R).

    Raises:
        TypeError: A factor is not real.
        ValueError: A factor is not a finite matrix, or the shapes differ.

    >>> CPFactors(np.eye(4), np.eye(4), np.eye(4))
    CPFactors(R=4, d=4)
    """

    A: Float[np.ndarray, "d R"]
    B: Float[np.ndarray, "d R"]
    C: Float[np.ndarray, "d R"]

    def __post_init__(self) -> None:
        for name in "ABC":
            factor = np.array(getattr(self, name))
            if factor.dtype.kind not in "fiu":
                raise TypeError(f"factor {name} has dtype {factor.dtype}; it must be real")
            if factor.ndim != 2 or 0 in factor.shape:
                raise ValueError(f"factor {name} has shape {factor.shape}; it must be (d, R) with d, R >= 1")
            if not np.isfinite(factor).all():
                raise ValueError(f"factor {name} has NaN or infinite entries; it must be finite")
            factor = factor.astype(float)
            factor.setflags(write=False)
            object.__setattr__(self, name, factor)
        if not self.A.shape == self.B.shape == self.C.shape:
            raise ValueError(
                f"factors have shapes {self.A.shape}, {self.B.shape}, {self.C.shape}; all three must be the same (d, R)"
            )

    def __repr__(self) -> str:
        """Rank and dimension."""
        return f"CPFactors(R={self.rank}, d={self.d})"

    @property
    def rank(self) -> int:
        """Number of terms R."""
        return self.A.shape[1]

    @property
    def d(self) -> int:
        """Number of components of each mode."""
        return self.A.shape[0]

    @cached_property
    def array(self) -> Float[np.ndarray, "d d d"]:
        """The tensor the factors stand for, `T[k, i, j]`, read-only."""
        array = (self.A @ khatri_rao(self.B, self.C).T).reshape((self.d,) * 3)
        array.setflags(write=False)
        return array

    def __call__(
        self, x: Float[np.ndarray, "*#batch d"], y: Float[np.ndarray, "*#batch d"]
    ) -> Float[np.ndarray, "... d"]:
        """Evaluate the product `A ((B^T x) * (C^T y))` (E3), at O(R d) per sample.

        Args:
            x: Array of shape (..., d).
            y: Array of shape (..., d), batch axes broadcast against those of `x`.

        Returns:
            Array of shape (..., d).

        Raises:
            ValueError: The last axis of `x` or `y` is not d.
        """
        for name, value in (("x", x), ("y", y)):
            if np.ndim(value) == 0 or np.shape(value)[-1] != self.d:
                raise ValueError(f"{name} has shape {np.shape(value)}; its last axis must be d = {self.d}")
        return ((x @ self.B) * (y @ self.C)) @ self.A.T

    def relative_residual(self, tensor: Float[np.ndarray, "d d d"]) -> float:
        """`||T - tensor||_F / ||tensor||_F`, from the difference itself (no cancelling shortcut).

        Raises:
            ValueError: `tensor` has another shape, or is zero.
        """
        if tensor.shape != self.array.shape:
            raise ValueError(f"tensor has shape {tensor.shape}; these factors make {self.array.shape}")
        scale = float(np.linalg.norm(tensor))
        if scale == 0:
            raise ValueError("tensor is zero; a relative residual needs a nonzero one")
        return float(np.linalg.norm(self.array - tensor)) / scale

    def balance(self) -> CPFactors:
        """The same tensor with the three vectors of each term scaled to equal length."""
        lengths = np.stack([np.linalg.norm(f, axis=0) for f in (self.A, self.B, self.C)])
        common = np.cbrt(lengths.prod(axis=0))
        scales = np.divide(common, lengths, out=np.zeros_like(lengths), where=lengths > 0)
        return CPFactors(self.A * scales[0], self.B * scales[1], self.C * scales[2])

    @property
    def condition(self) -> float:
        """`sum_r ||a_r|| ||b_r|| ||c_r|| / ||T||_F`: how far the terms cancel.

        Evaluating E3 in precision u makes an error of at most about `u * condition * ||T|| ||x|| ||y||`; diverging
        values mark a degenerate approximation.
        """
        terms = np.prod([np.linalg.norm(f, axis=0) for f in (self.A, self.B, self.C)], axis=0)
        return float(terms.sum() / np.linalg.norm(self.array))


def khatri_rao(left: Float[np.ndarray, "i R"], right: Float[np.ndarray, "j R"]) -> Float[np.ndarray, "ij R"]:
    """Column-wise Kronecker product: row `i * len(right) + j` is `left[i] * right[j]`."""
    return (left[:, None, :] * right[None, :, :]).reshape(-1, left.shape[1])
