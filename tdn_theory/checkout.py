"""The parts of the project that live in its checkout, not in the installed package: `paper_checks/` and `figures/`."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[1]


def names(folder: str) -> list[str]:
    """Names of the modules in a folder of the checkout, sorted.

    Raises:
        FileNotFoundError: The package does not run from a checkout.
    """
    path = ROOT / folder
    if not path.is_dir():
        raise FileNotFoundError(
            f"{folder}/ is not beside the package ({ROOT}): it belongs to the project's checkout, not to the "
            "installed package; "
            "clone the repository and install it from there with 'pip install --editable .'"
        )
    return sorted(file.stem for file in path.glob("*.py") if not file.stem.startswith("_"))


def load(folder: str, name: str) -> ModuleType:
    """The module `name` of a folder of the checkout.

    Raises:
        FileNotFoundError: The package does not run from a checkout.
        LookupError: There is no such module; the message lists those there are.
    """
    known = names(folder)
    if name not in known:
        raise LookupError(f"no {name!r} in {folder}/; it has {', '.join(known)}")
    spec = importlib.util.spec_from_file_location(f"{folder}.{name}", ROOT / folder / f"{name}.py")
    if spec is None or spec.loader is None:
        raise ImportError(f"{folder}/{name}.py cannot be imported")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
