"""An extension of griffe, which reads the docstrings: doctests in them are shown as code."""

import re

import griffe

DOCTEST = re.compile(r"^>>> .*(?:\n(?!\s*$).*)*", re.MULTILINE)


class Doctests(griffe.Extension):
    """Puts fences around doctests, which the docstrings of this project have without a heading."""

    def on_object(self, *, obj: griffe.Object, **_) -> None:
        """Called for every object that was read."""
        if obj.docstring is not None:
            obj.docstring.value = DOCTEST.sub(lambda match: f"```pycon\n{match[0]}\n```", obj.docstring.value)
