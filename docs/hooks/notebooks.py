"""Makes a page of every executed notebook: its text, code, what the code printed, and its pictures."""

from __future__ import annotations

import base64
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from tdn_theory.files import read_json

FOLDER = Path(__file__).parents[2] / "notebooks"
HEADING = re.compile(r"^#+ (.*)$", re.MULTILINE)
OTHER = re.compile(r"`(\w+)\.ipynb`")
"""How notebooks name each other."""


def source(cell: dict[str, Any]) -> str:
    """The text of a cell."""
    return "".join(cell["source"])


def shown(output: dict[str, Any], picture: str, title: str) -> str:
    """An output as Markdown; a PNG as the file that its page names so."""
    if "text" in output:
        return f"```text\n{''.join(output['text']).rstrip()}\n```"
    if "image/png" in output["data"]:
        return f"![{title}]({picture}){{ loading=lazy }}"
    if "application/vnd.jupyter.widget-view+json" in output["data"]:
        return "*In a notebook that runs, controls stand here.*"
    return f"```text\n{''.join(output['data']['text/plain'])}\n```"


def outputs(notebook: dict[str, Any]) -> Iterator[tuple[int, str, dict[str, Any]]]:
    """Number of the cell, the heading that it stands under, and each of its outputs."""
    title = ""
    for number, cell in enumerate(notebook["cells"]):
        title = ([title] + HEADING.findall(source(cell)) * (cell["cell_type"] == "markdown"))[-1]
        for output in cell.get("outputs", []):
            yield number, title, output


def page(stem: str, notebook: dict[str, Any]) -> str:
    """The page of a notebook, as Markdown."""
    found: dict[int, list[str]] = {}
    for place, (number, title, output) in enumerate(outputs(notebook)):
        found.setdefault(number, []).append(shown(output, f"{stem}_{place}.png", title))
    parts = []
    for number, cell in enumerate(notebook["cells"]):
        text = source(cell)
        parts.append(f"```python\n{text}\n```" if cell["cell_type"] == "code" else OTHER.sub(r"[\1](\1.md)", text))
        parts += found.get(number, [])
    parts.insert(1, f"This page is an executed notebook: [{stem}.ipynb]({stem}.ipynb). `make lab` opens it.")
    return "\n\n".join(parts) + "\n"


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Called when the pages in `docs/` are known, before the navigation is made."""
    pages = []
    for path in sorted(FOLDER.glob("*.ipynb")):
        notebook = read_json(path)
        pages.append(f"notebooks/{path.stem}.md")
        files.append(File.generated(config, pages[-1], content=page(path.stem, notebook)))
        files.append(File.generated(config, f"notebooks/{path.name}", abs_src_path=str(path)))
        for place, (_, _, output) in enumerate(outputs(notebook)):
            if "image/png" in output.get("data", {}):
                content = base64.b64decode(output["data"]["image/png"])
                files.append(File.generated(config, f"notebooks/{path.stem}_{place}.png", content=content))
    config.nav = [*(config.nav or []), {"Notebooks": pages}]
