"""Regenerates figures and verdicts: experiment -> record -> picture, and check -> verdict -> record."""

from __future__ import annotations

import importlib
import io
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from tdn_theory import checkout
from tdn_theory.experiments.units import Units
from tdn_theory.files import read_json, write_bytes, write_json
from tdn_theory.preset import Preset
from tdn_theory.provenance import provenance
from tdn_theory.verdict import Outcome, Verdict

BENCHMARKS = {
    "product": "F3c",
    "product forms": "product_speed",
    "product on a GPU": "product_gpu",
    "solvers": "solver_race",
    "potentials": "TAB1",
    "networks": "TAB4",
    "ablation": "TAB7",
    "combinations": "ablation_grid",
    "epochs": "TAB5",
    "conversions": "TAB9",
}
"""Figures that time this machine. A plain reproduction leaves them out: they take long, and want it to themselves."""

TRAINED = ("TAB8", "error_propagation", "force_consistency", "properties", "rank_accuracy", "teacher")
"""Figures that train networks: half an hour together in the quick preset. A plain reproduction leaves them out too."""

ON_GPU = ("product_gpu", "TAB4", "TAB7", *TRAINED, "ablation_grid")
"""Figures that are to be measured on a GPU, in full."""

ON_ANY_DEVICE = (*ON_GPU, "TAB5", "TAB9")
"""Figures whose units compute on the device asked for; all others are made by the processor."""


def known_ids() -> tuple[list[str], list[str]]:
    """Identifiers of the figures and of the claims in this checkout.

    Raises:
        FileNotFoundError: The package does not run from a checkout.
    """
    return checkout.names("figures"), checkout.names("paper_checks")


def select(ids: list[str]) -> tuple[list[str], list[str]]:
    """Figures and claims named by `ids`; if none is named, all but `BENCHMARKS` and `TRAINED`.

    Raises:
        LookupError: An identifier is unknown; the message lists the known ones.
    """
    figures, claims = known_ids()
    unknown = [name for name in ids if name not in figures and name not in claims]
    if unknown:
        raise LookupError(f"unknown id {unknown[0]!r}; figures: {', '.join(figures)}; claims: {', '.join(claims)}")
    if not ids:
        return [name for name in figures if name not in {*BENCHMARKS.values(), *TRAINED}], claims
    return [name for name in figures if name in ids], [name for name in claims if name in ids]


@dataclass(frozen=True)
class Reproduction:
    """One run.

    Attributes:
        out: Folder that receives `figures/`, `paper_checks/` and the finished units of work, `units/`.
        preset: Size of the run.
        seed: Seed of everything random.
        workers: Processes to use.
        dask: Address of a Dask scheduler to use instead.
        device: Where networks are trained.
        until: Reading of `time.monotonic()` after which no further unit of work begins.
    """

    out: Path
    preset: Preset = Preset.QUICK
    seed: int = 0
    workers: int = 1
    dask: str | None = None
    device: str = "cpu"
    until: float = float("inf")

    def figure(self, name: str) -> Path:
        """Run the experiment of figure `name`, write its record and its pictures; returns the PNG.

        Raises:
            TimeoutError: The time is over before all units of work are done.
        """
        experiment = importlib.import_module(f"tdn_theory.experiments.{name}")
        units = Units(self.out / "units", self.workers, self.dask, self.device, self.until)
        values = experiment.run(self.preset, self.seed, units)
        record = self.out / "figures" / f"{name}.json"
        device = self.device if name in ON_ANY_DEVICE else "cpu"
        write_json(record, {"id": name, **self._origin(device), "values": values})
        return draw(name, record)

    def check(self, name: str) -> Verdict:
        """Check claim `name` and write its record; undecided while nobody has measured what it needs."""
        claim = checkout.load("paper_checks", name)
        try:
            verdict: Verdict = claim.check(self.preset, self.seed)
        except checkout.NotMeasuredError as missing:
            summary = f"not measured yet: {missing}"
            verdict = Verdict(name, claim.STATEMENT, Outcome.UNDECIDED, summary, {"missing": missing.figure})
        write_json(self.out / "paper_checks" / f"{name}.json", {**asdict(verdict), **self._origin("cpu")})
        return verdict

    def _origin(self, device: str) -> dict[str, Any]:
        return {"preset": self.preset.value, "provenance": provenance(self.seed, device)}


def draw(name: str, record: Path) -> Path:
    """Draw figure `name` from its record, as PNG and SVG beside it; returns the PNG."""
    import matplotlib

    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = name  # else every drawing of the same record gets new ids
    figure = checkout.load("figures", name).plot(read_json(record))
    for kind, options in (("png", {"dpi": 200}), ("svg", {"metadata": {"Date": None}})):
        stream = io.BytesIO()
        figure.savefig(stream, format=kind, bbox_inches="tight", **options)
        write_bytes(record.with_suffix(f".{kind}"), stream.getvalue())
    return record.with_suffix(".png")
