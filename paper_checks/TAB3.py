"""TAB3: total energies of oxides, by TDN and other networks, on the data that are at hand."""

from __future__ import annotations

from collections.abc import Mapping

from tdn_theory.evidence import Training, measured
from tdn_theory.finding import Finding, Number, Outcome, Row
from tdn_theory.paper import OC22
from tdn_theory.records import Record

READS = ("TAB3",)

PUBLISHED = "TDN, CP as released"
TESTS = {"id": "ID", "ood_cat": "OOD"}


def judge(records: Mapping[str, Record]) -> Finding:
    """List what TDN and the networks at hand reach on oxides of GFN1-xTB; coGN and GemNet-dT are not among them."""
    values = records["TAB3"].values
    rows = {row["model"]: row for row in values["summary"]}
    table = (
        *(
            Row(
                f"{model}, {TESTS[part]}",
                Number(OC22["TDN"][part], unit="eV") if model == PUBLISHED else "",
                Number.of(row["mae"][part], "eV"),
            )
            for model, row in rows.items()
            for part in TESTS
        ),
        *(
            Row(f"{name}, {TESTS[part]}", Number(error, unit="eV"), "")
            for name, own in OC22.items()
            if name != "TDN"
            for part, error in own.items()
        ),
        Row("no network, mean", "", Number(rows[PUBLISHED]["constants"], unit="eV")),
    )
    trained = [run for run in values["networks"] if run["validation"]]
    others = {run["model"] for run in trained if not run["model"].startswith("TDN")}
    best = min(others, key=lambda name: rows[name]["mae"]["mean"]["mean"])
    sentence = (
        f"coGN and GemNet-dT are not at hand; on oxides of GFN1-xTB TDN's mean error is "
        f"{rows[PUBLISHED]['mae']['mean']['mean']:.2f} eV, {best}'s {rows[best]['mae']['mean']['mean']:.2f}."
    )
    caveat = f"not OC22, but {sum(values['networks'][0]['structures'].values())} small systems of GFN1-xTB"
    if rows[PUBLISHED]["mae"]["mean"]["mean"] > 0.9 * rows[PUBLISHED]["constants"]:
        caveat += "; hardly better than no network: the energies of the elements are not known from so few compositions"
    if values["absent"]:
        caveat += f"; not at hand: {', '.join(values['absent'])}"
    return measured([Training.of(trained)], Outcome.UNDECIDED, sentence, table, caveat)
