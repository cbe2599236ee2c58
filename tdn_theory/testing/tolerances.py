"""How exactly things must agree: one ladder of named tolerances for every precision, relative to the result.

With the unit roundoff u (2^-53 for float64), from tight to loose:

    rounding    u             one operation
    reordered   64 u          the same sum of up to 1000 terms in another order: rounding errors, as good as random, add
                              up to sqrt(1000) u on either side
    product     2^13 u        a bilinear product: 8 u for its sums, which are of random signs, times the cancellation of
                              its terms, which is taken to be 2^10 (`theory.products.CANCELLATION`)
    derivative  64 u^(2/3)    central differences at the best step, h = u^(1/3) of the length over which the function
                              changes: truncation h^2 and roundoff u / h are both u^(2/3); 64 as in `reordered`
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True)
class Tolerances:
    """The ladder of one precision; see the module for what each rung is and why.

    Attributes:
        unit: The unit roundoff u.

    >>> Tolerances.of("float64").product < 1e-12 < Tolerances.of("float32").product < 1e-3
    True
    """

    unit: float

    @classmethod
    def of(cls, dtype: str | np.dtype | type) -> Tolerances:
        """The ladder of a precision: `float16`, `float32` or `float64`.

        Raises:
            TypeError: It is no floating-point dtype of numpy.
        """
        found = np.dtype(dtype)
        if found.kind != "f":
            raise TypeError(f"dtype is {found}; roundoff is of floating-point numbers: float16, float32 or float64")
        return cls(float(np.finfo(found).eps) / 2)

    @property
    def rounding(self) -> float:
        """One operation."""
        return self.unit

    @property
    def reordered(self) -> float:
        """A sum in another order."""
        return 64 * self.unit

    @property
    def product(self) -> float:
        """A bilinear product."""
        return 2**13 * self.unit

    @property
    def derivative(self) -> float:
        """Central differences."""
        return 64 * self.unit ** (2 / 3)
