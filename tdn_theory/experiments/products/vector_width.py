"""F3c and the convolution again, with the vector code of AVX2 and with that of AVX-512, like for like (F3c).

What is compared, products over e3nn's:

- `per path`: both have weights for every path, and so has the convolution, which also gathers and sums;
- `exact, fused`, `exact` and `cp, released order`: one set of weights for all paths, as the paper's; e3nn's has not.

Every set of vector code runs in a process of its own, in which environment variables keep libraries and compilers from
what newer processors have. All methods of a process take turns. It stays one processor: a real one without AVX-512 has
other caches and clocks.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from typing import Any

from tdn_theory.experiments.other_process import call_elsewhere
from tdn_theory.experiments.products import F3c, convolution_speed
from tdn_theory.jobs import Jobs
from tdn_theory.preset import Preset
from tdn_theory.provenance import vector_code
from tdn_theory.study import Cost, Study

VECTORS: Mapping[str, Mapping[str, str]] = {
    "AVX2": {
        "ATEN_CPU_CAPABILITY": "avx2",
        "CC": "cc -march=haswell",
        "MKL_ENABLE_INSTRUCTIONS": "AVX2",
        "ONEDNN_MAX_CPU_ISA": "AVX2",
        "OPENBLAS_CORETYPE": "Haswell",
    },
    "AVX-512": {},
}
"""Environment variables of each set; what a processor has with none of them is its own, here called by what it is."""

FLAGS = {"AVX2": "avx2", "AVX-512": "avx512f"}
"""What a processor that has them says of itself."""


@dataclass(frozen=True)
class Size:
    """Size of a run.

    Attributes:
        lmaxes: Maximal degrees L.
        channels: Channels.
        edges: Edges of products; convolutions have `nodes` with as many as in `convolution_speed`.
        nodes: Nodes of convolutions.
        compiled: Whether compiled e3nn takes part.
        budget: Seconds after which no further round begins, beyond the third, for each shape and direction.
    """

    lmaxes: tuple[int, ...]
    channels: int
    edges: int
    nodes: int
    compiled: bool
    budget: float


SIZES = {
    Preset.SMALLEST: Size((1,), channels=4, edges=8, nodes=3, compiled=False, budget=0.0),
    Preset.QUICK: Size((1, 2, 3), channels=128, edges=1024, nodes=100, compiled=True, budget=4.0),
    Preset.FULL: Size((1, 2, 3, 4), channels=128, edges=1024, nodes=500, compiled=True, budget=20.0),
}


def run(size: Size, seed: int, jobs: Jobs) -> dict[str, Any]:
    """Times with each set of vector code that this processor has.

    Args:
        size: Size of the run.
        seed: Seed of the inputs; times hardly depend on it.
        jobs: Where finished parts are kept. They run one after the other.
    """
    from tdn_theory.nn.kernels import compiler

    had = compiler.processor().split()
    plan = [
        {"vectors": vectors, "lmax": lmax, "seed": seed, "size": {**asdict(size), "lmaxes": [lmax]}}
        for lmax in size.lmaxes
        for vectors, flag in FLAGS.items()
        if flag in had
    ]
    alone = replace(jobs, workers=1, dask=None)  # timings beside each other would disturb each other
    rows = alone.map(measure, plan, "products with other vector code")
    return {"absent": [vectors for vectors, flag in FLAGS.items() if flag not in had], "rows": rows}


def measure(vectors: str, lmax: int, seed: int, size: dict[str, Any]) -> dict[str, Any]:
    """Times of one degree, in a process with one set of vector code.

    Args:
        vectors: In `VECTORS`.
        lmax: Maximal degree L.
        seed: Seed of the inputs.
        size: The fields of `Size`.

    Raises:
        RuntimeError: The process failed; the message is what it said.
    """
    with tempfile.TemporaryDirectory() as cache:  # rates and loops are those of the process, and nobody else's
        variables = {**VECTORS[vectors], "XDG_CACHE_HOME": cache, "TORCHINDUCTOR_CACHE_DIR": cache}
        found = call_elsewhere(timed, {"lmax": lmax, "seed": seed, "size": size}, variables=variables)
    return {"vectors": vectors, "L": lmax, **found}


def timed(lmax: int, seed: int, size: dict[str, Any]) -> dict[str, Any]:
    """What `measure` gives, of this process: `vector_code`, `product` as of F3c, `convolution` as of its study."""
    c, budget = size["channels"], size["budget"]
    product = F3c.measure("uvu", lmax, c, size["edges"], seed, budget)
    convolution = convolution_speed.measure(lmax, "float32", 1, size["nodes"], c, size["compiled"], seed, budget)
    return {"vector_code": vector_code(), "product": product, "convolution": convolution}


STUDY = Study(
    "vector_width",
    "Products and convolutions over e3nn's, with the vector code of AVX2 and of AVX-512",
    Cost.TIMED,
    SIZES,
    run,
)
