"""What the modules that compute a product have in common: what it is, and that saved weights belong to it."""

from __future__ import annotations

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from tdn_theory.nn.spec import ProductSpec


class SpecModule(torch.nn.Module):
    """A module that computes the product of a spec.

    Attributes:
        spec: What the product is.
        tensor: The coupling tensor of the paths in use.
        coupling: Its irreps and paths.
        channels: Channels in the order of the mode's letters.
        mode: The mode.
        method: The method.
        factors: The CP factors of the coupling, if the method has any.
        weight_shape: Shape of one set of weights.
    """

    def __init__(self, spec: ProductSpec) -> None:
        super().__init__()
        self.spec = spec
        self.tensor, self.coupling, self.factors = spec.tensor, spec.coupling, spec.factors
        self.mode, self.method = spec.mode, spec.method
        self.channels, self.weight_shape = spec.channels, spec.weight_shape

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.spec})"

    @property
    def array(self) -> Float[np.ndarray, "d3 d1 d2"]:
        """The tensor `M[k, i, j]` of the product with all weights one: that of the factors for CP methods."""
        return self.spec.array

    @property
    def equivariance_error(self) -> float:
        """Equivariance error of the tensor, see `ProductSpec.equivariance_error`."""
        return self.spec.equivariance_error

    def get_extra_state(self) -> Tensor:
        """Numbers that tell the product's tensor from others, so that weights do not go into another product."""
        return torch.tensor(self.spec.fingerprint, dtype=torch.float64)

    def set_extra_state(self, state: Tensor) -> None:
        """Compare with the saved product, by all numbers that were saved: files may have the first four only.

        Raises:
            ValueError: The saved weights belong to another tensor, e.g. to other CP factors.
        """
        if not torch.allclose(state.double().cpu(), self.get_extra_state()[: len(state)], rtol=1e-6, atol=1e-9):
            raise ValueError(
                f"the saved weights belong to a product with another tensor than {self}; make it with the same factors"
            )
