"""Regenerates figures and verdicts: study -> record -> picture, and records -> check -> finding."""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from tdn_theory import checkout
from tdn_theory.experiments import studies
from tdn_theory.extras import named
from tdn_theory.files import read_json, write_bytes, write_json
from tdn_theory.finding import Finding, Outcome
from tdn_theory.jobs import Jobs
from tdn_theory.paper import NOT_EXAMINED, OTHER_NAMES, STATEMENTS
from tdn_theory.preset import Preset
from tdn_theory.records import Records
from tdn_theory.study import Cost

FIGURES, CHECKS, JOBS, UNITS = "figures", "paper_checks", "jobs", "units"


@dataclass(frozen=True)
class Selection:
    """What a reproduction is asked for.

    Attributes:
        studies: Identifiers of studies to run.
        claims: Identifiers of claims to judge.
        not_examined: Identifiers that have no check, which `NOT_EXAMINED` explains.
    """

    studies: tuple[str, ...]
    claims: tuple[str, ...]
    not_examined: tuple[str, ...] = ()

    @classmethod
    def of(cls, ids: Sequence[str], device: str = "cpu") -> Selection:
        """What identifiers name, in any case: studies and claims.

        A claim brings along the studies it reads that are computed in minutes; timed and trained ones run when they
        are named themselves. Without identifiers: on the processor all studies that are computed and all claims; on
        another device all studies that can use one.

        Raises:
            LookupError: An identifier is unknown; the message names those nearest to it.
        """
        known = checkout.names(CHECKS)
        if not ids:
            on_cpu = device == "cpu"
            chosen = [s.id for s in studies().values() if (s.cost is Cost.COMPUTED if on_cpu else s.any_device)]
            return cls(tuple(chosen), tuple(known) if on_cpu else ())
        names = _found(ids, [*studies(), *known, *NOT_EXAMINED])
        asked = [name for name in known if name in names]
        read = {study for name in asked for study in reads(name) if studies()[study].cost is Cost.COMPUTED}
        run = [name for name in studies() if name in names or name in read]
        return cls(tuple(run), tuple(asked), tuple(n for n in names if n not in run and n not in asked))


def claims(ids: Sequence[str]) -> list[str]:
    """The claims that identifiers name, in any case; all that have a check if none is given.

    Raises:
        LookupError: An identifier names no claim with a check; the message says why, or names the nearest ones.
    """
    known = checkout.names(CHECKS)
    names = _found(ids, [*known, *NOT_EXAMINED])
    for name in names:
        if name not in known:
            raise LookupError(f"no check of {name}: {NOT_EXAMINED[name]}; claims with one: {', '.join(known)}")
    return [name for name in known if name in names] if ids else known


def _found(ids: Sequence[str], names: Sequence[str]) -> list[str]:
    """Identifiers as they are written in `names`; of an unknown one, the error names what is near, or speaks of it."""
    known = {name.lower(): name for name in names}
    known |= {other.lower(): name for other, name in OTHER_NAMES.items() if name in names}
    for given in ids:
        if given.lower() not in known:
            nearest = get_close_matches(given.lower(), known, n=3, cutoff=0.4) or [
                name.lower() for name in names if name in STATEMENTS and given.lower() in STATEMENTS[name].text.lower()
            ]
            hint = f"the nearest: {', '.join(known[name] for name in nearest)}; " if nearest else ""
            raise LookupError(f"unknown id {given!r}; {hint}all: {', '.join(sorted(set(known.values())))}")
    return [known[given.lower()] for given in ids]


def reads(claim: str) -> tuple[str, ...]:
    """Identifiers of the studies whose records the check of a claim reads."""
    return tuple(checkout.load(CHECKS, claim).READS)


def judge(claim: str, records: Records) -> Finding:
    """What the check of a claim finds in `records`.

    Undecided where a record that it reads is missing, or of the smallest size.
    """
    missing = [study for study in reads(claim) if study not in records]
    if missing:
        return Finding(
            Outcome.UNDECIDED,
            None,
            f"Not measured yet: {', '.join(missing)}.",
            caveat=f"tdn-theory reproduce {' '.join(missing)}",
        )
    finding: Finding = checkout.load(CHECKS, claim).judge(records)
    small = [study for study in reads(claim) if records[study].preset == Preset.SMALLEST]
    if small:
        doubt = f"of the smallest size, which decides nothing: {', '.join(small)}"
        caveat = "; ".join([doubt, *[finding.caveat] * bool(finding.caveat)])
        return replace(finding, outcome=Outcome.UNDECIDED, strength=None, caveat=caveat)
    return finding


@dataclass(frozen=True)
class Verdict:
    """The finding on a claim, and the records that it was read from.

    Attributes:
        claim: Identifier of the claim.
        finding: What was found.
        origins: For each study read: "recomputed here", or date, device and size of its record.
        differences: What the committed verdict says otherwise; empty if nothing, None if there is none.
    """

    claim: str
    finding: Finding
    origins: dict[str, str]
    differences: list[str] | None


@dataclass
class Reproduction:
    """One run.

    Attributes:
        out: Folder that receives `figures/`, `paper_checks/` and the finished jobs, `jobs/`; those of hours go to
            `figures/units/`, to be committed as they come.
        preset: Size of the run.
        seed: Seed of everything random.
        workers: Processes to use.
        dask: Address of a Dask scheduler to use instead.
        device: Where networks are trained.
        until: Reading of `time.monotonic()` after which no further job begins.
        made: Studies that this run has made records of.
    """

    out: Path
    preset: Preset = Preset.QUICK
    seed: int = 0
    workers: int = 1
    dask: str | None = None
    device: str = "cpu"
    until: float = float("inf")
    made: list[str] = field(default_factory=list)

    def run(self, study: str) -> Path:
        """Run a study, write its record and, where it has a plotting script, its pictures; returns the record's file.

        Raises:
            TimeoutError: The time is over before all jobs are done.
        """
        units = self.out / FIGURES / UNITS / study if self.preset is Preset.HOURS else None
        jobs = Jobs(self.out / JOBS, self.workers, self.dask, self.device, self.until, units)
        file = self.out / FIGURES / f"{study}.json"
        write_json(file, studies()[study].record(self.preset, self.seed, jobs))
        self.made.append(study)
        if study in checkout.names(FIGURES):
            draw(file)
        return file

    def check(self, claim: str) -> Verdict:
        """Judge a claim by this run's records, and by the committed ones where it has none; writes the verdict."""
        records = Records(self.out / FIGURES, checkout.ROOT / FIGURES)
        finding = judge(claim, records)
        read = [study for study in reads(claim) if study in records]
        origins = {study: "recomputed here" if study in self.made else records[study].origin for study in read}
        committed = checkout.ROOT / CHECKS / f"{claim}.json"
        differences = finding.differences(Finding.from_json(read_json(committed))) if committed.exists() else None
        content: dict[str, Any] = {"id": claim, **finding.as_json()}
        content["reads"] = [
            {"study": study, "preset": records[study].preset, "provenance": dict(records[study].provenance)}
            for study in read
        ]
        write_json(self.out / CHECKS / f"{claim}.json", content)
        return Verdict(claim, finding, origins, differences)


def draw(record: Path) -> Path:
    """Draw the figure of a record, as PNG and SVG beside it; returns the PNG."""
    with named():
        import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = record.stem  # else every drawing of the same record gets new ids
    figure = checkout.load(FIGURES, record.stem).plot(read_json(record))
    for kind, options in (("png", {"dpi": 200}), ("svg", {"metadata": {"Date": None}})):
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, bbox_inches="tight", **options)
        write_bytes(record.with_suffix(f".{kind}"), stream.getvalue())
    return record.with_suffix(".png")
