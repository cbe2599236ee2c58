"""Sets mathematics: `$x$` in a line and `$$x$$` apart from it become MathML when the pages are built.

Browsers draw MathML themselves, so a page needs neither a script nor a font from anywhere, and screen readers read it.
"""

from __future__ import annotations

import re

from latex2mathml.converter import convert
from markdown import Extension, Markdown
from markdown.inlinepatterns import InlineProcessor
from mkdocs.config.defaults import MkDocsConfig

AFTER_CODE = 189
"""Priority of the patterns: code in backticks has 190 and goes first; what escapes characters has 180."""


class _Formula(InlineProcessor):
    def __init__(self, pattern: str, md: Markdown, display: str) -> None:
        super().__init__(pattern, md)
        self.display = display

    def handleMatch(self, m: re.Match[str], data: str) -> tuple[str, int, int]:
        return self.md.htmlStash.store(convert(m[1].strip(), display=self.display)), m.start(), m.end()


class Mathematics(Extension):
    """The two patterns, as an extension of Markdown."""

    def extendMarkdown(self, md: Markdown) -> None:
        """Called by Markdown, which chose the name."""
        md.inlinePatterns.register(_Formula(r"\$\$([^$]+)\$\$", md, "block"), "formula apart", AFTER_CODE + 0.5)
        md.inlinePatterns.register(_Formula(r"\$([^$\s](?:[^$]*[^$\s])?)\$", md, "inline"), "formula", AFTER_CODE)


def on_config(config: MkDocsConfig) -> None:
    """Called once, before pages are read."""
    config.markdown_extensions.append(Mathematics())  # pyright: ignore[reportArgumentType]
