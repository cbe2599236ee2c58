"""Sets mathematics: `$x$` in a line and `$$x$$` apart from it become MathML when the pages are built.

Browsers draw MathML themselves, so a page needs neither a script nor a font from anywhere, and screen readers read it.
Verdicts are quoted from records, whose mathematics is plain text: it is set as in the report.
"""

from __future__ import annotations

import re
from typing import Any

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from mkdocs.config.defaults import MkDocsConfig

from tdn_theory.report.typography import maths

AFTER_CODE = 189
"""Priority of the patterns: code in backticks has 190 and goes first; what escapes characters has 180."""

CARET, HAT = "<mo>&#x0005E;</mo></mover>", '<mo stretchy="false">&#x002C6;</mo></mover>'
"""What stands over M in M̂: fonts draw the first one far above the letter."""

VERDICT = re.compile(r"(?P<marker><!--=verdict \w+-->)(?P<text>.*?)(?=<!--/-->)")


class _Formula(InlineProcessor):
    def __init__(self, pattern: str, md: Markdown, display: str) -> None:
        super().__init__(pattern, md)
        self.display = display

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        formula = convert(m[1].strip(), display=self.display).replace(CARET, HAT)
        return self.md.htmlStash.store(formula), m.start(), m.end()


class Mathematics(Extension):
    """The two patterns, as an extension of Markdown."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Called by Markdown, which chose the name."""
        md.inlinePatterns.register(_Formula(r"\$\$([^$]+)\$\$", md, "block"), "formula apart", AFTER_CODE + 0.5)
        md.inlinePatterns.register(_Formula(r"\$([^$\s](?:[^$]*[^$\s])?)\$", md, "inline"), "formula", AFTER_CODE)


def on_config(config: MkDocsConfig) -> None:
    """Called once, before pages are read."""
    config.markdown_extensions.append(Mathematics())


def on_page_markdown(markdown: str, **_: Any) -> str:
    """Called with the text of every page."""
    return VERDICT.sub(lambda match: match["marker"] + maths(match["text"]), markdown)
