"""Every number and verdict that the README, the docs and the head of the report quote, computed from records.

In a Markdown file a number stands between markers that name it, `<!--=exact rank at L = 2-->23<!--/-->`. After the
records have changed, `python -m tdn_theory.report.numbers` writes the new numbers between them.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from tdn_theory import checkout
from tdn_theory.files import write_bytes
from tdn_theory.finding import Finding, Outcome
from tdn_theory.report.results import Results, read

MARKER = re.compile(r"<!--=(?P<name>[^>]*?)-->(?P<number>.*?)<!--/-->")

Values = Mapping[str, Any]


def _frontier(key: str, lmax: int) -> Callable[[Values], str]:
    return lambda v: str(_row(v["rank_frontier"]["frontier"], L=lmax)[key])


def _rank(key: str, lmax: int) -> Callable[[Values], str]:
    """A column of the table of ranks."""
    return lambda v: str(_row(v["rank_table"]["rows"], L=lmax)[key])


def _numbers_of_formats(lmax: int) -> dict[str, Callable[[Values], str]]:
    """How many numbers CP holds at the paper's rank, those of its error in other formats at least, and M itself."""

    def row(v: Values) -> dict[str, Any]:
        return _row(v["formats"]["rows"], L=lmax)

    return {
        f"numbers of CP at L = {lmax}": lambda v: str(_row(row(v)["cp"], rank=row(v)["rank"])["numbers"]),
        f"numbers of other formats at L = {lmax}": lambda v: str(min(row(v)["fewest"].values())),
        f"nonzeros of M at L = {lmax}": lambda v: str(row(v)["nonzeros"]),
    }


def _row(rows: list[dict[str, Any]], **wanted: Any) -> dict[str, Any]:
    return next(row for row in rows if wanted.items() <= row.items())


def _span(numbers: list[float], digits: int) -> str:
    low, high = (f"{x:.{digits}f}" for x in (min(numbers), max(numbers)))
    return f"{low} to {high}"


def _listed(numbers: list[int]) -> str:
    return f"{', '.join(map(str, numbers[:-1]))} and {numbers[-1]}"


SEARCHED = ((1, "all", 7), (1, "even", 6), (2, "even", 17), (2, "all", 22), (3, "even", 31))
"""Degree L, paths and rank of what the record `searches` is about."""


def _searched(lmax: int, paths: str, R: int) -> dict[str, Callable[[Values], str]]:
    """What a search tried: starts, those that kept all paths, exact ones, their least residual, and seconds."""

    def rows(v: Values) -> list[dict[str, Any]]:
        every = v["searches"]["rows"]
        return [row for row in every if (row["L"], row["paths"], row["R"]) == (lmax, paths, R) and row["starts"]]

    def least(v: Values) -> str:
        return min((f"{row['residual']:.0e}" for row in rows(v) if row["alive"]), key=float, default="none")

    name = f"search for {R} terms of {paths} paths at L = {lmax}"
    return {
        **{
            f"{name}: {key}": lambda v, key=key: str(sum(row[key] for row in rows(v)))
            for key in ("starts", "alive", "exact")
        },
        f"{name}: residual": least,
        f"{name}: seconds": lambda v: f"{sum(row['seconds'] for row in rows(v)):.0f}",
    }


def _shortened(lmax: int, form: str) -> dict[str, Callable[[Values], str]]:
    """What came of searches from what is known: of forms less one term, and near the weights of an entry."""

    def rows(v: Values) -> list[dict[str, Any]]:
        return [row for row in v["shortened_forms"]["less_one"] if (row["L"], row["form"]) == (lmax, form)]

    def near(v: Values) -> dict[str, Any]:
        return _row(v["shortened_forms"]["near"], L=lmax, form=form)

    name = f"{form} at L = {lmax}"
    return {
        f"forms less one, {name}": lambda v: str(len(rows(v))),
        f"forms less one that are exact, {name}": lambda v: str(sum(row["residual"] < 1e-12 for row in rows(v))),
        f"starts near the weights, {name}": lambda v: str(near(v)["starts"]),
        f"exact near the weights, {name}": lambda v: str(near(v)["exact"]),
        f"least residual near the weights, {name}": lambda v: f"{near(v)['residual']:.0e}",
        f"least condition near the weights, {name}": lambda v: f"{near(v)['condition']:.2g}",
    }


SYMMETRIC = (1, 2, 3, 4, 5, 6)
"""Degrees L of the record `symmetric_forms`."""


def _symmetric(lmax: int) -> dict[str, Callable[[Values], str]]:
    """What came of random starts for symmetric forms: with as many terms as are known, and with one less."""

    def row(v: Values, near: str, less: int) -> dict[str, Any]:
        known = max(row["rank"] for row in v["symmetric_forms"]["rows"] if row["lmax"] == lmax)
        return _row(v["symmetric_forms"]["rows"], lmax=lmax, near=near, rank=known - less)

    def found(v: Values, near: str, less: int) -> str:
        return f"{row(v, near, less)['exact']} of {row(v, near, less)['starts']}"

    def least(v: Values, near: str) -> str:
        residual = row(v, near, 1)["residual"]
        return (
            "none" if residual is None else f"{residual:.2g}, {row(v, near, 1)['same']} of {row(v, near, 1)['starts']}"
        )

    numbers: dict[str, Callable[[Values], str]] = {
        f"symmetric forms at L = {lmax}: symmetry": lambda v: row(v, "cubature", 0)["symmetry"]
    }
    for near in ("cubature", "drawn"):
        name = f"symmetric forms at L = {lmax}, {near}"
        numbers[f"{name}: found"] = lambda v, near=near: found(v, near, 0)
        numbers[f"{name}: less one found"] = lambda v, near=near: found(v, near, 1)
        numbers[f"{name}: least residual of less one"] = lambda v, near=near: least(v, near)
    return numbers


FITS = {"best CP": "CP", "released recipe": "CP, released recipe"}


def _changed(lmax: int, kind: str) -> Callable[[Values], str]:
    """By how much the energies of the pretrained potential of this L change at the paper's rank, meV/atom."""

    def change(v: Values) -> str:
        values = v["pretrained"]
        name = next(name for name, degree in values["degrees"].items() if degree == lmax)
        wanted = {"potential": name, "kind": kind, "rescaled": False, "rank": values["paper_rank"][name]}
        rows = [row for row in values["rows"] if wanted.items() <= row.items()]
        errors = [k["error"]["energy"]["mean"] for row in rows for k in row["kinds"].values()]
        return f"{sum(errors) / len(errors):.2g}"

    return change


def _bound_over_trivial(v: Values) -> str:
    return _span([row["theorem_bound"] / row["trivial_bound"] for row in v["T1"]["rows"]], 2)


def _speedups(method: str) -> Callable[[Values], list[float]]:
    """Of a method of F3c over e3nn's eager product, forward, on the machine of the record; by degree."""

    def ratios(v: Values) -> list[float]:
        shapes = [u for u in v["F3c"]["units"] if (u["mode"], u["channels"], u["edges"]) == ("uvu", 128, 1024)]
        medians = [[u["methods"][name]["forward"]["median"] for name in ("e3nn", method)] for u in shapes]
        return [theirs / ours for theirs, ours in medians]

    return ratios


def _like_for_like(vectors: str) -> dict[str, Callable[[Values], str]]:
    """Products and convolutions of `vector_width` over e3nn's, forward, with one set of vector code; by degree."""

    def over(v: Values, part: str, ours: str, theirs: str) -> str:
        rows = [row[part] for row in v["vector_width"]["rows"] if row["vectors"] == vectors]
        times = [row["methods"] if part == "product" else row["forward"] for row in rows]
        found = [[t[name].get("forward", t[name])["median"] for name in (theirs, ours)] for t in times]
        return _listed([round(rival / own) for rival, own in found])

    return {
        f"exact product per path over eager, {vectors}": lambda v: over(v, "product", "per path", "e3nn"),
        f"exact product shared over eager, {vectors}": lambda v: over(v, "product", "exact, fused", "e3nn"),
        f"CP product shared over eager, {vectors}": lambda v: over(v, "product", "cp, released order", "e3nn"),
        f"convolution over eager, {vectors}": lambda v: over(v, "convolution", "ours", "e3nn"),
        f"convolution over compiled, {vectors}": lambda v: over(v, "convolution", "ours", "e3nn compiled"),
    }


def _network_speedups(network: str) -> Callable[[Values], str]:
    """Of a network of TAB4 over Equiformer, energies and direct forces, on the machine of the record; by degree."""
    return lambda v: _span(
        [row["speedups"][network]["median"] for row in v["TAB4"]["rows"] if row["task"] == "inference"], 1
    )


def _speedups_compiled(task: str) -> Callable[[Values], str]:
    """Of the exact network of TAB7 under `torch.compile` over itself, on the machine of the record; by degree."""
    return lambda v: _span([row["speedup"]["median"] for row in v["TAB7"]["compiled"] if row["task"] == task], 2)


def _speedups_compiled_paths(values: Values) -> str:
    """How many times faster `torch.compile` makes the network with paths one by one, fused, each with its weights."""
    others = ("L", "task", "shared_linear", "pruned")
    cells = [c for c in values["ablation_grid"]["cells"] if c["product"] == "fused paths" and not c["shared"]]
    times = {(*(c[name] for name in others), c["compiled"]): c["relative_time"] for c in cells}
    return _span([time / times[*place, True] for (*place, compiled), time in times.items() if not compiled], 1)


AUDITED = (
    "SevenNet-0",
    "CHGNet",
    "MACE",
    "NequIP",
    "SchNet",
    "TDN, R = 28",
    "TDN, exact",
    "TDN, exact, even paths",
    "TDN, exact, float32",
    "transposed harmonics",
    "float16 coefficients",
    "cutoff not smooth",
    "sign of the stress",
    "missing images",
)
"""Rows of the table of audits."""


def _audit(name: str, column: str) -> Callable[[Values], str]:
    """Of the audit of a model: its grade, errors under rotations (thousandths of their units), the checks that fail."""

    def entry(v: Values) -> str:
        row = _row(v["audits"]["rows"], name=name)
        if column == "grade":
            return row["grade"]
        if column == "faults":
            wrong = dict.fromkeys(f["check"] for f in row["findings"] if f["grade"] != "at roundoff")
            return ", ".join(wrong) or "none"
        quantity, key = ("forces", "floor") if column == "floor" else (column, "error")
        found = _row(row["findings"], check="rotation", quantity=quantity)
        return f"{1e3 * found[key]:.1g}"

    return entry


def _spoilt(dtype: str) -> Callable[[Values], str]:
    """The largest error, relative to the forces, of the spoilt models of the benchmark of audits."""
    return lambda v: f"{max(row['relative'] for row in v['audit_benchmark']['rows'] if row['dtype'] == dtype):.0e}"


NUMBERS: dict[str, Callable[[Values], str]] = {
    **{f"exact rank at L = {lmax}": _frontier("all", lmax) for lmax in range(1, 7)},
    **{f"even rank at L = {lmax}": _frontier("even", lmax) for lmax in range(1, 7)},
    **{f"exact rank of nearly all paths at L = {lmax}": _frontier("most", lmax) for lmax in (3, 6)},
    **{f"paper's rank at L = {lmax}": _frontier("paper", lmax) for lmax in range(1, 7)},
    "theorem over trivial bound": _bound_over_trivial,
    "largest paper error at 7L^2": lambda v: (
        f"{max(r['frobenius_error'] for r in v['F3a']['points'] if r['schedule'] == '7L^2'):.2f}"
    ),
    **{f"rank of M at L = {lmax}": _rank("best_found", lmax) for lmax in range(1, 7)},
    **{f"lower bound of M at L = {lmax}": _rank("lower", lmax) for lmax in range(1, 7)},
    **{f"lower bound of any weights at L = {lmax}": _rank("lower_any_weights", lmax) for lmax in range(1, 7)},
    **{f"generic rank at L = {lmax}": _rank("generic", lmax) for lmax in range(1, 7)},
    **{f"rank of any tensor at L = {lmax}": _rank("theorem", lmax) for lmax in range(1, 7)},
    **{name: number for lmax in range(1, 7) for name, number in _numbers_of_formats(lmax).items()},
    "residual of the path followed": lambda v: f"{v['searches']['followed']['points'][-1]['residual']:.0e}",
    "condition of the path followed": lambda v: _span(
        [point["condition"] for point in v["searches"]["followed"]["points"]], 0
    ),
    **{name: number for searched in SEARCHED for name, number in _searched(*searched).items()},
    "CP's numbers over M's nonzeros": lambda v: _span(
        [row["cp"][-1]["numbers"] / row["nonzeros"] for row in v["formats"]["rows"]], 1
    ),
    "terms of three inputs": lambda v: _listed([row["least_rank"] for row in v["T4"]["forms"]]),
    "least error of three inputs": lambda v: f"{100 * min(row['lower_bound'] for row in v['T4']['forms']):.0f}",
    **{
        f"energies changed at L = {lmax}, {name}": _changed(lmax, kind)
        for lmax in (2, 3)
        for name, kind in FITS.items()
    },
    **_shortened(2, "cubature"),
    **_shortened(2, "all"),
    **{name: number for lmax in SYMMETRIC for name, number in _symmetric(lmax).items()},
    "speed-up of the exact product": lambda v: _span(_speedups("exact, fused")(v), 0),
    "speed-up per path": lambda v: _span(_speedups("per path")(v), 1),
    **_like_for_like("AVX2"),
    **_like_for_like("AVX-512"),
    "speed-up of the exact network": _network_speedups("TDN, exact"),
    "speed-up of the network as published": _network_speedups("TDN, as published"),
    "speed-up of compiled inference": _speedups_compiled("inference"),
    "speed-up of compiled training": _speedups_compiled("training"),
    "speed-up of compiled paths": _speedups_compiled_paths,
    **{
        f"audit {name}: {column}": _audit(name, column)
        for name in AUDITED
        for column in ("grade", "energy", "forces", "floor", "faults")
    },
    "audit models": lambda v: str(v["audit_benchmark"]["models"]),
    "audit false alarms": lambda v: str(v["audit_benchmark"]["false_alarms"]),
    "audit misses": lambda v: str(v["audit_benchmark"]["misses"]),
    **{f"audit relative error, {dtype}": _spoilt(dtype) for dtype in ("float32", "float64")},
    "audit cost: atoms": lambda v: str(v["audits"]["costs"][0]["atoms"]),
    "audit cost: seconds": lambda v: f"{v['audits']['costs'][0]['seconds']:.0f}",
    "audit cost: gigabytes": lambda v: f"{v['audits']['costs'][0]['gigabytes']:.1f}",
    "speed-up claimed": lambda v: _span(list(v["F3c"]["paper_speedups"].values()), 0),
}
"""Name -> what the values of the records (see `Results.values`) say, as text."""


def _verdict(finding: Finding) -> str:
    """A finding in words: the outcome and what it rests on, why, and what limits it."""
    rests = f" ({finding.strength})" if finding.strength else ""
    caveat = f" *But:* {finding.caveat}." if finding.caveat else ""
    return f"{finding.outcome}{rests}. {finding.sentence}{caveat}"


def numbers(results: Results) -> dict[str, str]:
    """All numbers whose records there are, by name; besides those of `NUMBERS`, claims per outcome, and verdicts."""
    outcomes = [verdict.finding.outcome for verdict in results.verdicts.values() if not verdict.statement.asked]
    found = {f"claims {outcome}": str(outcomes.count(outcome)) for outcome in Outcome} | {"claims": str(len(outcomes))}
    found |= {f"verdict {claim}": _verdict(verdict.finding) for claim, verdict in results.verdicts.items()}
    for name, compute in NUMBERS.items():
        try:
            found[name] = compute(results.values)
        except (KeyError, StopIteration):  # no such record, or none of that degree or preset
            continue
    return found


def refreshed(text: str, known: Mapping[str, str]) -> str:
    """`text` with every marked number as `known` has it.

    Raises:
        LookupError: A marker names no known number.

    >>> refreshed("rank <!--=best-->9<!--/-->", {"best": "7"})
    'rank <!--=best-->7<!--/-->'
    """

    def replace(match: re.Match[str]) -> str:
        name = match["name"]
        if name not in known:
            raise LookupError(f"no number {name!r}; the records give: {', '.join(known)}")
        return f"<!--={name}-->{known[name]}<!--/-->"

    return MARKER.sub(replace, text)


def texts() -> list[Path]:
    """Files that quote numbers."""
    return [checkout.ROOT / "README.md", *sorted((checkout.ROOT / "docs").rglob("*.md"))]


def main() -> None:
    """Refresh every text in place, and name those that changed."""
    known = numbers(read())
    for file in texts():
        before = file.read_text()
        after = refreshed(before, known)
        if after != before:
            write_bytes(file, after.encode())
            sys.stdout.write(f"{file}\n")


if __name__ == "__main__":
    main()
