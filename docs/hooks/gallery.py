"""Brings figures into the pages, with their scripts and records, and makes the page that shows them all."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files, InclusionLevel

from tdn_theory.report.results import Result, read
from tdn_theory.report.typography import maths, sentence

FIGURES = Path(__file__).parents[2] / "figures"

HEAD = """---
hide: [navigation, toc]
---

# Figures

Every figure is drawn from a record by a script, and shows nothing that is not in the record. Click on one to see it in
full size. What follows from it for a claim is in the chapters on [theory](theory/index.md) and in the
[report](report.html).

<div class="gallery" markdown>
"""


def place(study: str) -> str:
    """The page of the API about the module that measures a study."""
    (module,) = (FIGURES.parent / "tdn_theory" / "experiments").glob(f"*/{study}.py")
    return f"api/{module.relative_to(FIGURES.parent / 'tdn_theory').with_suffix('')}.md"


def card(study: str, result: Result) -> str:
    """One figure with what made it."""
    record = result.record
    made: Mapping[str, Any] = record["provenance"]
    return f"""<figure markdown id="{study}">
[![{result.title}](figures/{study}.svg){{ loading=lazy }}](figures/{study}.svg)
<figcaption markdown>
**{study}.** {maths(sentence(result.caption))}
Preset `{record["preset"]}`, seed {made["seed"]}, {made["device"]}, commit `{made["commit"][:9]}`, {made["time"][:10]}.
[study]({place(study)}) · [script](figures/{study}.py) · [record](figures/{study}.json)
</figcaption>
</figure>
"""


def page() -> str:
    """The page, as Markdown."""
    cards = [card(study, result) for study, result in read().pictures.items()]
    return "\n".join([HEAD, *cards, "</div>\n"])


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Called when the pages in `docs/` are known."""
    for study in read().pictures:
        for suffix in ("svg", "py", "json"):
            source = FIGURES / f"{study}.{suffix}"
            known = InclusionLevel.INCLUDED  # the configuration leaves out the scripts of docs/, not these
            files.append(File.generated(config, f"figures/{source.name}", abs_src_path=str(source), inclusion=known))
    files.append(File.generated(config, "gallery.md", content=page()))
