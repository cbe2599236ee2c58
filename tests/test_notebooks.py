"""Notebooks run from start to end, and give what they were committed with: no error, nothing of this machine."""

import asyncio
import re
from collections.abc import Iterator
from itertools import zip_longest
from pathlib import Path
from queue import Empty

import nbformat
import pytest
from nbformat import NotebookNode

from notebooks.run import execute, message, notebooks, read

ROOT = Path(__file__).parents[1]
LARGEST = 600_000
"""Bytes a notebook may have with its outputs."""

ROUNDOFF = 1e-9
"""Numbers below this are roundoff, which differs between machines."""

NUMBER = re.compile(r"(?<![\w.])[-+]?\d[\d,]*\.?\d*(?:e[-+]?\d+)?(?!\w)")
CHECKOUT = re.compile(
    r"^\s*(?:from|import)\s+(figures|notebooks|paper_checks|records|tests|tdn_theory\.checkout)\b", re.M
)
"""Imports of what an installed package does not have."""

CLAIM = re.compile(r"\b(?:E[1-6]|T[1-8]|F[1-3][abc]?|TAB[1-9])\b")


def outputs(notebook: NotebookNode) -> Iterator[tuple[str, NotebookNode]]:
    """Place and output, of every output."""
    for number, cell in enumerate(notebook.cells, start=1):
        for output in cell.get("outputs", []):
            yield f"cell {number}", output


def text(output: NotebookNode) -> str:
    """What an output says in words; for pictures, only what they are."""
    if output.output_type == "stream":
        return output.text
    if output.output_type == "error":
        return "\n".join(output.traceback)
    kinds = sorted(set(output.data) - {"text/plain"})
    return f"{' '.join(kinds)}: {output.data.get('text/plain', '')}"


def last_digit(number: str) -> float:
    """What one unit in the last digit of a printed number is worth.

    >>> last_digit("1,234"), last_digit("-0.25"), last_digit("1.7e-12")
    (1.0, 0.01, 1e-13)
    """
    mantissa, _, exponent = number.partition("e")
    return float(f"1e{int(exponent or 0) - len(mantissa.partition('.')[2])}")


def differences(shown: str, given: str) -> list[str]:
    """Where two texts differ by more than white space, one unit in the last digit of a real number, or roundoff."""
    words, others = (" ".join(NUMBER.sub("#", t).split()) for t in (shown, given))
    if words != others:
        return [f"{words!r} became {others!r}"]
    pairs = zip(NUMBER.findall(shown), NUMBER.findall(given), strict=True)
    return [f"{a} became {b}" for a, b in pairs if not _close(a, b)]


def _close(a: str, b: str) -> bool:
    x, y = (float(number.replace(",", "")) for number in (a, b))
    unit = 0.0 if (a + b).replace(",", "").isdigit() else min(last_digit(a), last_digit(b))
    return abs(x - y) <= 1.01 * unit or max(abs(x), abs(y)) < ROUNDOFF


def changes(shown: NotebookNode, given: NotebookNode) -> list[str]:
    """Where the outputs of two executions of a notebook differ."""
    found = []
    for number, (cell, other) in enumerate(zip(shown.cells, given.cells, strict=True), start=1):
        for a, b in zip_longest(cell.get("outputs", []), other.get("outputs", [])):
            if a is None or b is None:
                found.append(f"cell {number} {'lacks' if b is None else 'also gives'}: {text(a or b)!r}")
            else:
                found += [f"cell {number}: {difference}" for difference in differences(text(a), text(b))]
    return found


def blemishes(notebook: NotebookNode) -> list[str]:
    """What a committed notebook must not have."""
    found = []
    if not notebook.cells[0].source.startswith("# ") or not CLAIM.search(notebook.cells[0].source):
        found.append("the first cell is not a title with a text that names claims of the paper")
    code = [cell for cell in notebook.cells if cell.cell_type == "code"]
    if [cell.execution_count for cell in code] != list(range(1, len(code) + 1)):
        found.append("cells were not executed once each, from the first to the last")
    for cell in code:
        found += [f"{match[1]} is not in the installed package" for match in CHECKOUT.finditer(cell.source)]
        if ("print(" in cell.source or "plt.show()" in cell.source) and not cell.outputs:
            found.append(f"no output of: {cell.source[:60]}")
    if sum("image/png" in output.get("data", {}) for _, output in outputs(notebook)) < 2:
        found.append("fewer than two pictures")
    local = (r"0x[0-9a-f]{6,}", r"/(?:home|root|tmp|work|Users|builds|opt|usr)/", r"[A-Z]:\\", re.escape(str(ROOT)))
    for place, output in outputs(notebook):
        if output.output_type == "error" or output.get("name") == "stderr":
            found.append(f"{place}: {text(output)}")
        found += [f"{place} shows {m.group()!r}" for pattern in local for m in re.finditer(pattern, text(output))]
    return found


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_committed_outputs_are_whole_and_clean(path: Path):
    assert blemishes(read(path)) == []
    assert path.stat().st_size < LARGEST


@pytest.mark.parametrize("path", notebooks(), ids=lambda path: path.stem)
def test_execution_gives_the_committed_outputs(path: Path):
    """After a change of code or records that a notebook shows: `python notebooks/run.py`."""
    shown = read(path)
    assert changes(shown, execute(shown)) == []


def test_there_is_one_for_each_story():
    assert [path.name[:2] for path in notebooks()] == ["01", "02", "03", "04", "05", "06"]
    assert [path.name[:2] for path in notebooks(["03", "05"])] == ["03", "05"]


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        ("rank 23", "rank 24.5"),
        ("error 1.5e-02", "error 1.7e-02"),
        ("R = 23", "R = 24"),
        ("1 2", "1"),
        ("1e-3", "1e-12"),
    ],
)
def test_differences_are_seen(shown: str, given: str):
    assert differences(shown, given)


@pytest.mark.parametrize(
    ("shown", "given"),
    [
        ("x = 1.25,  y", "x = 1.26, y"),
        ("0.1, 9.9e-3", "0.1, 1.0e-2"),
        ("e 4e-16", "e -7e-15"),
        ("1,024 edges", "1,024  edges"),
    ],
)
def test_roundoff_is_not_a_difference(shown: str, given: str):
    assert differences(shown, given) == []


def good() -> NotebookNode:
    """A notebook without a blemish."""
    v4 = nbformat.v4
    picture = v4.new_output("display_data", {"image/png": "", "text/plain": "<Figure size 10x10 with 1 Axes>"})
    printed = v4.new_output("stream", text="R = 23\n")
    code = v4.new_code_cell("print(R)\nplt.show()", execution_count=1, outputs=[printed, picture, picture])
    return v4.new_notebook(cells=[v4.new_markdown_cell("# Title\n\nOn T1."), code])


def test_changed_outputs_are_told_with_their_cell():
    v4 = nbformat.v4
    warned, silent, other = good(), good(), good()
    warned.cells[1].outputs.insert(0, v4.new_output("stream", name="stderr", text="UserWarning: old"))
    silent.cells[1].outputs.pop()
    other.cells[1].outputs[0].text = "R = 24\n"
    assert changes(good(), good()) == []
    assert any("cell 2" in line and "UserWarning: old" in line for line in changes(good(), warned))
    assert changes(good(), silent) == ["cell 2 lacks: 'image/png: <Figure size 10x10 with 1 Axes>'"]
    assert changes(good(), other) == ["cell 2: 23 became 24"]


def test_blemishes_are_seen():
    assert blemishes(good()) == []
    for source in ("Title\n\nOn T1.", "# Title"):
        notebook = good()
        notebook.cells[0].source = source
        assert "title" in blemishes(notebook)[0]
    for count, seen in ((2, "executed"), (None, "executed")):
        notebook = good()
        notebook.cells[1].execution_count = count
        assert seen in blemishes(notebook)[0]
    notebook = good()
    notebook.cells[1].outputs = []
    assert [b.split()[0] for b in blemishes(notebook)] == ["no", "fewer"]


@pytest.mark.parametrize(
    "said", ["<object at 0x7f1c2a>", "/home/me/notes", "/tmp/a/model.safetensors", "C:\\data", f"{ROOT}"]
)
def test_what_belongs_to_a_machine_is_seen(said: str):
    notebook = good()
    notebook.cells[1].outputs[0].text = said
    assert blemishes(notebook)


@pytest.mark.parametrize(
    "line", ["from figures._style import figure", "  import paper_checks", "from records import values"]
)
def test_what_only_the_checkout_has_is_seen(line: str):
    notebook = good()
    notebook.cells[1].source += f"\n{line}"
    assert blemishes(notebook)


def test_errors_and_warnings_are_seen():
    v4 = nbformat.v4
    for output in (
        v4.new_output("error", ename="ValueError", evalue="no", traceback=["ValueError: no"]),
        v4.new_output("stream", name="stderr", text="UserWarning"),
    ):
        notebook = good()
        notebook.cells[1].outputs.append(output)
        assert blemishes(notebook)


def test_a_message_that_is_found_late_is_found():
    asked = []

    async def get(timeout: float) -> str:
        asked.append(timeout)
        if len(asked) < 3:
            raise Empty
        return "message"

    async def nothing(timeout: float) -> str:
        raise Empty

    assert asyncio.run(message(get, 600)) == "message"
    assert max(asked) <= 1
    with pytest.raises(Empty):
        asyncio.run(message(nothing, 0.01))
