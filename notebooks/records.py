"""What the notebooks read of the records in this checkout: values of figures, verdicts on claims."""

import textwrap
from typing import Any

from tdn_theory.checkout import ROOT, figure_record
from tdn_theory.files import read_json


def values(figure: str) -> dict[str, Any]:
    """The values that figure `figure` shows, from its record."""
    return figure_record(figure)["values"]


def evidence(claim: str) -> dict[str, Any]:
    """The evidence for the verdict on a claim, from its record."""
    return _record(claim)["evidence"]


def verdicts(*claims: str) -> str:
    """Statement, verdict and its reason for each of the paper's claims, from their records."""
    lines = []
    for claim in claims:
        try:
            record = _record(claim)
        except FileNotFoundError:
            lines.append(f"{claim}  There is no record of this claim here; 'tdn-theory check {claim}' makes one.")
            continue
        lines += [f"{claim}  {record['statement']}", f"    {record['outcome'].upper()}: {record['summary']}"]
    return "\n".join(textwrap.fill(line, 110, subsequent_indent="    ") for line in lines)


def _record(claim: str) -> dict[str, Any]:
    return read_json(ROOT / "paper_checks" / f"{claim}.json")
