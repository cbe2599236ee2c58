"""What the notebooks read of the records in this checkout: values of figures, verdicts on claims."""

import textwrap
from typing import Any

from tdn_theory.checkout import ROOT
from tdn_theory.files import read_json
from tdn_theory.finding import Finding
from tdn_theory.paper import STATEMENTS
from tdn_theory.records import Records


def values(study: str) -> dict[str, Any]:
    """What a study found, from its record."""
    return dict(Records(ROOT / "figures")[study].values)


def verdicts(*claims: str) -> str:
    """Statement, verdict and its reason for each of the paper's claims, from their records."""
    lines = []
    for claim in claims:
        file = ROOT / "paper_checks" / f"{claim}.json"
        if not file.exists():
            lines.append(f"{claim}  There is no verdict on this claim here; 'tdn-theory check {claim}' makes one.")
            continue
        finding = Finding.from_json(read_json(file))
        strength = f" ({finding.strength})" if finding.strength else ""
        lines += [f"{claim}  {STATEMENTS[claim].text}", f"    {finding.outcome.upper()}{strength}: {finding.sentence}"]
    return "\n".join(textwrap.fill(line, 110, subsequent_indent="    ") for line in lines)
