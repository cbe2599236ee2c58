"""Equivariant products and the potential for torch (E1 to E4). Torch is imported with the first name that needs it."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from tdn_theory.extras import named

if TYPE_CHECKING:
    from tdn_theory.nn.conversion import Conversion, convert
    from tdn_theory.nn.edge_product import EdgeProduct, YFirstProduct
    from tdn_theory.nn.layout import from_e3nn, to_e3nn
    from tdn_theory.nn.planner import Plan
    from tdn_theory.nn.potential import Potential, PotentialConfig
    from tdn_theory.nn.product import TensorProduct
    from tdn_theory.nn.spec import ProductSpec

__all__ = [
    "Conversion",
    "EdgeProduct",
    "Plan",
    "Potential",
    "PotentialConfig",
    "ProductSpec",
    "TensorProduct",
    "YFirstProduct",
    "convert",
    "from_e3nn",
    "to_e3nn",
]

_MODULES = {
    "conversion": ("Conversion", "convert"),
    "edge_product": ("EdgeProduct", "YFirstProduct"),
    "layout": ("from_e3nn", "to_e3nn"),
    "planner": ("Plan",),
    "potential": ("Potential", "PotentialConfig"),
    "product": ("TensorProduct",),
    "spec": ("ProductSpec",),
}


def __getattr__(name: str) -> Any:
    for module, names in _MODULES.items():
        if name in names:
            with named():
                return getattr(import_module(f"{__name__}.{module}"), name)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
