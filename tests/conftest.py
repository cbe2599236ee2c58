"""Set-up of all tests. The checks of the package's annotations are switched on in pyproject.toml."""

import os
import sys
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import jaxtyping
import numpy as np
import pytest

# Takes effect when torch is imported, here and in child processes.
os.environ.setdefault("OMP_NUM_THREADS", "1")
# Takes effect when a Triton kernel is defined: without a GPU, kernels are interpreted.
if not Path("/dev/nvidiactl").exists():
    os.environ.setdefault("TRITON_INTERPRET", "1")

# No test may depend on the machine's speed, and CI tries the same examples every time.
hypothesis.settings.register_profile(
    "tdn-theory",
    deadline=None,
    derandomize=os.environ.get("CI") == "true",
    suppress_health_check=[hypothesis.HealthCheck.too_slow],
)
hypothesis.settings.load_profile("tdn-theory")


@pytest.fixture(autouse=True, scope="session")
def rates_of_processor(request: pytest.FixtureRequest) -> Iterator[None]:
    """No test depends on the machine's speed: products are planned as for a core with AVX-512, whatever runs them.

    Where only tests of the group run, which know no products, torch is not imported.
    """
    if all("so3" in item.path.parts for item in request.session.items):
        yield
        return
    from tdn_theory.nn import plans
    from tdn_theory.nn.planner import Rates

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(plans, "rates", lambda with_loops: Rates(7e10, 5e10, 1e10, 9e10, 4e10, 8e10, 16))
        yield


@pytest.fixture(autouse=True, scope="session")
def structures_kept(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """What is kept of files that tests read is not kept among the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TDN_THEORY_STRUCTURES", str(tmp_path_factory.mktemp("structures")))
        yield


@pytest.fixture
def rng() -> np.random.Generator:
    """Randomness that is the same in every run."""
    return np.random.default_rng(0)


@pytest.fixture
def unchecked(monkeypatch: pytest.MonkeyPatch) -> None:
    """Switch the checks of annotations off, so that a test meets the errors that a user meets."""
    monkeypatch.setattr(jaxtyping.config, "jaxtyping_disable", True)


@pytest.fixture(autouse=True)
def settings_of_torch() -> Iterator[None]:
    """No test changes how torch computes in the tests after it: the error would be found far from its cause."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    yield
    after = torch.get_float32_matmul_precision(), torch.get_default_dtype()
    if after != before:
        torch.set_float32_matmul_precision(before[0])
        torch.set_default_dtype(before[1])
        pytest.fail(f"changed torch's settings from {before} to {after}")
