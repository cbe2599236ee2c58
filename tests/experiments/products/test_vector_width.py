"""Each set of vector code is what the process had that was timed; the figure draws all of them."""

from __future__ import annotations

import json
from pathlib import Path

import matplotlib.pyplot
import pytest

from tdn_theory import checkout
from tdn_theory.experiments.products import vector_width
from tdn_theory.jobs import Jobs
from tdn_theory.nn.kernels import compiler
from tdn_theory.preset import Preset

pytestmark = pytest.mark.skipif("avx2" not in compiler.processor().split(), reason="a processor without AVX2")


def test_record_and_figure(tmp_path: Path) -> None:
    record = json.loads(json.dumps(vector_width.STUDY.record(Preset.SMALLEST, 0, Jobs(tmp_path)), allow_nan=False))
    rows = {row["vectors"]: row for row in record["values"]["rows"]}
    assert set(rows) | set(record["values"]["absent"]) == set(vector_width.FLAGS)
    assert {name: row["vector_code"]["torch"] for name, row in rows.items()} == {
        name: {"AVX2": "AVX2", "AVX-512": "AVX512"}[name] for name in rows
    }
    for row in rows.values():
        assert (row["product"]["L"], row["convolution"]["L"], row["L"]) == (1, 1, 1)
        assert {"e3nn", "per path", "exact, fused", "cp, released order"} <= set(row["product"]["methods"])
    picture = checkout.load("figures", "vector_width").plot(record)
    assert all(axis.get_xlabel() and axis.get_ylabel() for axis in picture.axes)
    matplotlib.pyplot.close(picture)


def test_a_process_that_fails_says_why(tmp_path: Path) -> None:
    with pytest.raises(RuntimeError, match=r"timed by .* failed:(.|\n)*lmax"):
        vector_width.measure("AVX2", -1, 0, {"channels": 4, "edges": 8, "nodes": 3, "compiled": False, "budget": 0.0})
