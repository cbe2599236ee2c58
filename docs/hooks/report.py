"""Puts the report beside the pages, as `report.html`."""

from __future__ import annotations

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

from tdn_theory.report.page import page
from tdn_theory.report.results import read


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Called when the pages in `docs/` are known."""
    files.append(File.generated(config, "report.html", content=page(read())))
