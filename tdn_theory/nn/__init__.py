"""Equivariant products and the potential for torch (E1 to E4). Importing this part imports torch."""

from tdn_theory.extras import named

with named():
    from tdn_theory.nn.convert import Conversion, convert
    from tdn_theory.nn.planner import Plan
    from tdn_theory.nn.potential import Potential, PotentialConfig
    from tdn_theory.nn.product import TensorProduct, from_e3nn, to_e3nn

__all__ = [
    "Conversion",
    "Plan",
    "Potential",
    "PotentialConfig",
    "TensorProduct",
    "convert",
    "from_e3nn",
    "to_e3nn",
]
