"""CP factors: a tensor as a sum of R rank-one terms (E3)."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from jaxtyping import Float

from tdn_theory.scale import length, lengths, power_of_two


@dataclass(frozen=True, eq=False)
class CPFactors:
    """`T[k, i, j] = sum_r A[k, r] B[i, r] C[j, r]` (E3).

    Attributes:
        A: Factor of the output mode k, shape (d3, R).
        B: Factor of the first input mode i, shape (d1, R).
        C: Factor of the second input mode j, shape (d2, R).

    Raises:
        TypeError: A factor is not real.
        ValueError: A factor is not a finite matrix, or the numbers of terms differ.

    >>> CPFactors(np.eye(4), np.eye(4), np.eye(4))
    CPFactors(R=4, d=4)
    >>> CPFactors(np.ones((4, 2)), np.ones((4, 2)), np.ones((9, 2)))
    CPFactors(R=2, 4 x 9 -> 4)
    """

    A: Float[np.ndarray, "d3 R"]
    B: Float[np.ndarray, "d1 R"]
    C: Float[np.ndarray, "d2 R"]

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
        if not self.A.shape[1] == self.B.shape[1] == self.C.shape[1]:
            raise ValueError(
                f"factors have shapes {self.A.shape}, {self.B.shape}, {self.C.shape}; all three must have the same "
                "number of columns R"
            )

    def __repr__(self) -> str:
        """Rank and dimensions."""
        d1, d2, d3 = self.dims
        return f"CPFactors(R={self.rank}, {f'd={d1}' if d1 == d2 == d3 else f'{d1} x {d2} -> {d3}'})"

    @property
    def rank(self) -> int:
        """Number of terms R."""
        return self.A.shape[1]

    @property
    def dims(self) -> tuple[int, int, int]:
        """Components of x, y and z: (d1, d2, d3)."""
        return len(self.B), len(self.C), len(self.A)

    @property
    def d(self) -> int:
        """Number of components of each mode, where all three have the same.

        Raises:
            ValueError: They have not.
        """
        d1, d2, d3 = self.dims
        if not d1 == d2 == d3:
            raise ValueError(f"{self} has no single number of components d; its numbers (d1, d2, d3) are in dims")
        return d1

    @cached_property
    def array(self) -> Float[np.ndarray, "d3 d1 d2"]:
        """The tensor the factors stand for, `T[k, i, j]`, read-only."""
        d1, d2, d3 = self.dims
        b, c = power_of_two(self.B, axis=0), power_of_two(self.C, axis=0)
        # exact scaling: a product of two entries alone may be out of range where that of all three is not
        pairs = khatri_rao(np.ldexp(self.B, -b), np.ldexp(self.C, -c))
        array = (np.ldexp(self.A, b + c) @ pairs.T).reshape(d3, d1, d2)
        array.setflags(write=False)
        return array

    def __call__(
        self, x: Float[np.ndarray, "*#batch d1"], y: Float[np.ndarray, "*#batch d2"]
    ) -> Float[np.ndarray, "... d3"]:
        """Evaluate the product `A ((B^T x) * (C^T y))` (E3), at O(R d) per sample.

        Args:
            x: Array of shape (..., d1).
            y: Array of shape (..., d2), batch axes broadcast against those of `x`.

        Returns:
            Array of shape (..., d3).

        Raises:
            ValueError: The last axis of `x` is not d1, or that of `y` is not d2.
        """
        for name, value, d in zip("xy", (x, y), self.dims, strict=False):
            if np.ndim(value) == 0 or np.shape(value)[-1] != d:
                raise ValueError(f"{name} has shape {np.shape(value)}; its last axis must be d = {d}")
        return ((x @ self.B) * (y @ self.C)) @ self.A.T

    def relative_residual(self, tensor: Float[np.ndarray, "d3 d1 d2"]) -> float:
        """`||T - tensor||_F / ||tensor||_F`, from the difference itself (no cancelling shortcut).

        Raises:
            ValueError: `tensor` has another shape, or is zero.
        """
        if tensor.shape != self.array.shape:
            raise ValueError(f"tensor has shape {tensor.shape}; these factors make {self.array.shape}")
        scale = length(tensor)
        if scale == 0:
            raise ValueError("tensor is zero; a relative residual needs a nonzero one")
        return length(self.array - tensor) / scale

    @property
    def term_lengths(self) -> Float[np.ndarray, " R"]:
        """`||a_r|| ||b_r|| ||c_r||`, the Frobenius norms of the terms."""
        fractions, exponents = np.frexp([lengths(factor, axis=0) for factor in (self.A, self.B, self.C)])
        return np.ldexp(fractions.prod(axis=0), exponents.sum(axis=0))

    def balance(self) -> CPFactors:
        """The same tensor with the three vectors of each term scaled to equal length."""
        sizes = np.stack([lengths(factor, axis=0) for factor in (self.A, self.B, self.C)])
        common = np.cbrt(self.term_lengths)
        scales = np.divide(common, sizes, out=np.zeros_like(sizes), where=sizes > 0)
        return CPFactors(self.A * scales[0], self.B * scales[1], self.C * scales[2])

    @property
    def condition(self) -> float:
        """`sum_r ||a_r|| ||b_r|| ||c_r|| / ||T||_F`: how far the terms cancel.

        Evaluating E3 in precision u makes an error of at most about `u * condition * ||T|| ||x|| ||y||`; diverging
        values mark a degenerate approximation.
        """
        return float(self.term_lengths.sum() / length(self.array))


def khatri_rao(left: Float[np.ndarray, "i R"], right: Float[np.ndarray, "j R"]) -> Float[np.ndarray, "ij R"]:
    """Column-wise Kronecker product: row `i * len(right) + j` is `left[i] * right[j]`."""
    return (left[:, None, :] * right[None, :, :]).reshape(-1, left.shape[1])
