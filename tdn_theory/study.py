"""A study: what computes the record of a figure, of a table, or of the evidence for claims."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any

from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.provenance import provenance


class Cost(StrEnum):
    """What running a study takes, and so whether a plain reproduction runs it."""

    COMPUTED = "computed"
    """Minutes in all, with the same numbers on a busy machine: a plain reproduction runs it."""
    TIMED = "timed"
    """It times this machine, and wants it to itself."""
    TRAINED = "trained"
    """It trains networks."""


@dataclass(frozen=True)
class Study:
    """One study; the module of its name in `tdn_theory.experiments` holds it as `STUDY`.

    Attributes:
        id: The figure's or table's identifier in the paper, else a name: `"F2"`, `"rank_table"`.
        title: What its record shows, in one line.
        cost: What running it takes.
        sizes: What each preset means: a frozen dataclass, or a mapping, of JSON values. The record keeps it.
        run: `run(size, seed, jobs)` gives the values of the record, a JSON object.
        any_device: Whether it computes on the device asked for; otherwise the processor does.
    """

    id: str
    title: str
    cost: Cost
    sizes: Mapping[Preset, Any]
    run: Callable[[Any, int, Jobs], dict[str, Any]]
    any_device: bool = False

    def record(self, preset: Preset, seed: int, jobs: Jobs) -> dict[str, Any]:
        """Run the study; the record says what was run, where, and from which code.

        Args:
            preset: Size of the run.
            seed: Seed of everything random.
            jobs: Runs the parts of the work and keeps finished ones.

        Raises:
            LookupError: The study has no such size.
            TimeoutError: The time of `jobs` is over before all of the work is done; what is done is kept.
        """
        if preset not in self.sizes:
            raise LookupError(f"{self.id} has no size {preset.value!r}; it has: {', '.join(self.sizes)}")
        size = self.sizes[preset]
        values = self.run(size, seed, jobs)
        return {
            "id": self.id,
            "title": self.title,
            "preset": preset.value,
            "size": dict(size) if isinstance(size, Mapping) else asdict(size),
            "provenance": provenance(seed, jobs.device if self.any_device else "cpu"),
            "values": values,
        }
