"""Initial weights from a seed: the same on every processor, in the type that is asked for."""

import os
import subprocess
import sys

import pytest
import torch

from tdn_theory.checkout import ROOT
from tdn_theory.files import sha256
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.nn.seeded import seeded


def checksum() -> str:
    """Of all weights of a potential."""
    weights = Potential(PotentialConfig(elements=(1, 8), channels=8), seed=3).parameters()
    return sha256(b"".join(weight.detach().numpy().tobytes() for weight in weights))


@pytest.mark.parametrize("capability", ["default", "avx2"])
def test_every_processor_makes_the_same(capability: str):
    """Torch and the C library as on processors that lack features of this one."""
    older = {"GLIBC_TUNABLES": "glibc.cpu.hwcaps=-AVX2,-FMA,-FMA4", "ATEN_CPU_CAPABILITY": capability}
    command = [sys.executable, "-c", "from tests.nn.test_seeded import checksum; print(checksum())"]
    run = subprocess.run(command, env=os.environ | older, cwd=ROOT, capture_output=True, text=True, check=True)
    assert run.stdout.split() == [checksum()]


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_weights_are_rounded_and_torch_is_left_as_it_was(dtype: torch.dtype):
    module = torch.nn.Module()
    before = torch.get_default_dtype()
    torch.set_default_dtype(dtype)
    try:
        with seeded(module, 1):
            module.layer = torch.nn.Linear(20, 20)
        assert torch.get_default_dtype() == dtype
        with pytest.raises(RuntimeError, match="stop"), seeded(module, 1):
            raise RuntimeError("stop")
        assert torch.get_default_dtype() == dtype
    finally:
        torch.set_default_dtype(before)
    drawn = torch.nn.Linear(20, 20, dtype=torch.float64)
    torch.manual_seed(1)
    drawn.reset_parameters()
    assert module.layer.weight.dtype == dtype
    assert torch.equal(module.layer.weight, drawn.weight.to(dtype))
