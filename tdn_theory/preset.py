"""How much work a reproduction does."""

from __future__ import annotations

from enum import StrEnum


class Preset(StrEnum):
    """Size of a run; every study says what it means by them, and records say which one made them."""

    SMALLEST = "smallest"
    """Seconds: every step runs, on as little as it takes. Decides nothing; the tests run it."""
    QUICK = "quick"
    """Minutes on a laptop: shipped results are verified again, not made again."""
    HOURS = "hours"
    """Long enough to decide, on processors: what is committed of studies that take hours. Others have no such size."""
    FULL = "full"
    """Everything is made again from seeds, with the paper's sample sizes."""
