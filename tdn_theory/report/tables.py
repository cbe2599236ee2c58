"""The numbers of a record as tables."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from markupsafe import Markup, escape

from tdn_theory.report.typography import heading, maths, number, words

ROWS, COLUMNS, ITEMS = 60, 12, 8
"""Most rows and columns of a table, and items of a list, that a page shows; the record has them all."""

LEFT_OUT = {"latex"}
"""Keys that repeat, for a typesetter, what another one says."""


@dataclass(frozen=True)
class Table:
    """One table.

    Attributes:
        title: Where in the record its numbers stand.
        columns: Their names.
        rows: HTML cells.
        more: What had to be left out, in words; empty if nothing.
    """

    title: str
    columns: tuple[Markup, ...]
    rows: tuple[tuple[Markup, ...], ...]
    more: str = ""


def tables(values: Mapping[str, Any], title: str = "") -> Iterator[Table]:
    """Tables of everything in `values`: one of its single values, and one of each list or mapping of rows."""
    single = {key: value for key, value in values.items() if not _nested(value) and key not in LEFT_OUT}
    if single:
        yield _table(title, [{"": words(key), "value": value} for key, value in single.items()])
    for key, value in values.items():
        name = f"{title}, {words(key)}" if title else words(key)
        if isinstance(value, Mapping) and value:
            if all(isinstance(v, Mapping) and not any(map(_nested, v.values())) for v in value.values()):
                yield _table(name, [{"": words(k), **v} for k, v in value.items()])
            else:
                yield from tables(value, name)
        elif _nested(value):
            yield _table(name, [_flat(row) for row in value if isinstance(row, Mapping)])


def _nested(value: Any) -> bool:
    return (isinstance(value, Mapping) and bool(value)) or (
        isinstance(value, list) and any(isinstance(v, Mapping) for v in value)
    )


def _flat(row: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Mappings inside a row become columns of their own; what is nested deeper than that becomes its size."""
    flat: dict[str, Any] = {}
    for key, value in row.items():
        if isinstance(value, Mapping):
            flat |= _flat(value, f"{prefix}{key}: ")
        elif key not in LEFT_OUT:
            flat[prefix + key] = f"{len(value)} rows" if _nested(value) else value
    return flat


def _table(title: str, rows: list[dict[str, Any]]) -> Table:
    columns = list(dict.fromkeys(key for row in rows for key in row))
    cut = [f"{len(rows) - ROWS} rows"] * (len(rows) > ROWS) + [f"{len(columns) - COLUMNS} columns"] * (
        len(columns) > COLUMNS
    )
    shown = tuple(columns[:COLUMNS])
    cells = tuple(tuple(_cell(row.get(column, "")) for column in shown) for row in rows[:ROWS])
    return Table(title, tuple(map(heading, shown)), cells, f"{' and '.join(cut)} more in the record" if cut else "")


def _cell(value: Any) -> Markup:
    if value is None:
        return Markup("–")
    if isinstance(value, bool):
        return Markup("yes" if value else "no")
    if isinstance(value, int | float):
        return maths(number(value))
    if isinstance(value, list):
        items = Markup(", ").join(_cell(item) for item in value[:ITEMS])
        return items + (f", … ({len(value)})" if len(value) > ITEMS else "")
    text = str(value)
    return maths(text) if re.search(r"[ ^]", text) else escape(text)
