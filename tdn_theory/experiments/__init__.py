"""What computes the records of figures, tables and claims: one module per study, in rooms."""

from __future__ import annotations

from functools import cache
from importlib import import_module
from pkgutil import walk_packages
from types import MappingProxyType
from typing import TYPE_CHECKING

from tdn_theory.extras import named

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tdn_theory.study import Study


@cache
def studies() -> Mapping[str, Study]:
    """All studies by identifier: the `STUDY` of every module here that has one."""
    with named():
        modules = [import_module(module.name) for module in walk_packages(__path__, f"{__name__}.")]
    return MappingProxyType({module.STUDY.id: module.STUDY for module in modules if hasattr(module, "STUDY")})
