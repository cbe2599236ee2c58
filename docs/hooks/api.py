"""Makes the API reference: a page per module of the package, and one per subpackage that lists its modules."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

PACKAGE = Path(__file__).parents[2] / "tdn_theory"
LEFT_OUT = ("cli", "report")
"""Subpackages that nobody imports: what serves people is the command line and the report themselves."""


def modules(folder: Path) -> list[Path]:
    """Public modules of a subpackage, by name."""
    return [file for file in sorted(folder.glob("*.py")) if not file.stem.startswith("_")]


def subpackages(folder: Path) -> list[Path]:
    """Subpackages with a reference, by name."""
    inner = (file.parent for file in sorted(folder.glob("*/__init__.py")))
    return [path for path in inner if path.name not in LEFT_OUT]


def docstring(file: Path) -> str:
    """The docstring of a module."""
    return ast.get_docstring(ast.parse(file.read_text())) or ""


def place(path: Path) -> str:
    """The page of a module or a subpackage."""
    inner = path.relative_to(PACKAGE)
    return f"api/{inner / 'index' if path.is_dir() else inner.with_suffix('')}.md".replace("/./", "/")


def dotted(path: Path) -> str:
    """The name by which a module or a subpackage is imported."""
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts)


def overview(folder: Path) -> str:
    """The page of a subpackage: what it is for, and its parts with the first line of each."""
    lines = [f"# {dotted(folder)}", "", docstring(folder / "__init__.py"), "", "| module | what |", "|---|---|"]
    for path in [*subpackages(folder), *modules(folder)]:
        text = docstring(path / "__init__.py" if path.is_dir() else path)
        page = Path(place(path)).relative_to(Path(place(folder)).parent)
        lines.append(
            f"| [`{path.stem}`]({page}) | {' '.join(text.split(chr(10) * 2)[0].split()).replace('|', '&#124;')} |"
        )
    return "\n".join(lines)


def pages(folder: Path = PACKAGE) -> Iterator[tuple[str, str]]:
    """All pages under a subpackage: place and Markdown."""
    yield place(folder), overview(folder)
    for module in modules(folder):
        yield place(module), f"# {dotted(module)}\n\n::: {dotted(module)}\n    options: {{show_root_heading: false}}\n"
    for inner in subpackages(folder):
        yield from pages(inner)


def contents(folder: Path = PACKAGE) -> list[Any]:
    """Navigation to the pages under a subpackage."""
    here: list[Any] = [place(folder)]
    here += [{inner.name: contents(inner)} for inner in subpackages(folder)]
    return here + [{module.stem: place(module)} for module in modules(folder)]


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Called when the pages in `docs/` are known, before the navigation is made."""
    for where, text in pages():
        files.append(File.generated(config, where, content=text))
    config.nav = [*(config.nav or []), {"API": contents()}]
