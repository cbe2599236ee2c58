"""Products and potentials with Triton kernels against the same with plain torch."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from tdn_theory.coupling import CouplingTensor
from tdn_theory.cp.constructions.cubature import gaunt, lebedev
from tdn_theory.data.graph import build_graph, collate
from tdn_theory.data.structure import Structure
from tdn_theory.nn import Potential, PotentialConfig, TensorProduct
from tdn_theory.nn.kernels import gpu
from tests.nn.triton_reference import DEVICE, EPS, random, with_gradients

pytestmark = pytest.mark.usefixtures("triton_kernels")


@pytest.mark.parametrize(
    ("mode", "method", "channels", "form"),
    [("uvu", "exact", (3, 1), "y_first"), ("uvv", "per_path", (1, 2), "y_first"), ("uuu", "cp", (3,), "factored")],
)
def test_products(mode, method, channels, form):
    factors = gaunt(1, lebedev(3)) if method == "cp" else method
    coupling = CouplingTensor(1)
    options = {"mode": mode, "method": factors, "weights": "external", "form": form}
    product, reference = (
        TensorProduct(coupling, channels, **options, fused=fused).to(DEVICE) for fused in (True, False)
    )
    sizes = dict(zip(dict.fromkeys(mode), channels, strict=True))
    values = [random(3, 4, sizes[letter], dtype=torch.float32, seed=n) for n, letter in enumerate(mode[:2])]
    values.append(random(3, *product.weight_shape, dtype=torch.float32, seed=2))
    got, wanted = (
        with_gradients(lambda some, p=p: p(*some), values, random(3, 4, sizes[mode[2]])) for p in (product, reference)
    )
    for one, other in zip(got, wanted, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-5, atol=1e-5)


def test_half_precision_is_read_as_it_is(monkeypatch):
    """Inputs are not copied to float32, and the result is rounded once."""
    from tdn_theory.nn.kernels import message

    seen = []
    couple = message.couple
    monkeypatch.setattr(message, "couple", lambda *some: seen.append(some[2].dtype) or couple(*some))
    product = TensorProduct(1, 3, weights="external", form="y_first", fused=True).to(DEVICE)
    values = [random(2, *shape, dtype=torch.bfloat16) for shape in ((4, 3), (4, 1), (3, 1))]
    z = product(*values)
    assert seen == [torch.bfloat16]
    exact = TensorProduct(1, 3, weights="external", fused=False).to(DEVICE).double()(*(v.double() for v in values))
    torch.testing.assert_close(z.double(), exact, rtol=EPS[torch.bfloat16], atol=1e-6)


def test_autocast_leaves_matrices_in_float32():
    """What `precision = "bfloat16"` trains with on a GPU."""
    # with fewer channels forces may cancel
    potential = Potential(PotentialConfig((1, 8), lmax=1, channels=8, layers=1, heads=1, basis_size=2, forces="direct"))
    molecule = Structure(np.array([8, 1]), np.array([[0.0, 0.0, 0.0], [0.9, 0.1, 0.2]]))
    potential, graph = potential.to(DEVICE), build_graph(molecule, 5.0).to(DEVICE)
    exact = potential(graph)["forces"].detach()
    with torch.autocast(DEVICE, torch.bfloat16):
        rounded = potential(graph)["forces"]
    # one rounding after another, some twenty of them
    torch.testing.assert_close(rounded.to(exact), exact, rtol=0, atol=20 * 2**-8 * float(exact.abs().max()))
    rounded.square().sum().backward()


def test_potentials(monkeypatch):
    """Energies, conservative forces and the gradients of a loss on both: second derivatives of every message step."""
    from tdn_theory.nn.kernels import message

    config = PotentialConfig((1, 8), lmax=1, channels=2, layers=1, heads=1, basis_size=2)
    potential = Potential(config, seed=0).double().to(DEVICE)
    molecules = [
        Structure(np.array([8, 1]), np.array([[0.0, 0.0, 0.0], [0.9, 0.1, 0.2]])),
        Structure(np.array([1]), np.zeros((1, 3))),  # an isolated atom
    ]
    graph = collate([build_graph(molecule, 5.0, torch.float64) for molecule in molecules]).to(DEVICE)
    calls, couple = [], message.couple
    monkeypatch.setattr(message, "couple", lambda *some: calls.append(some) or couple(*some))
    results = []
    for runs in (True, False):
        monkeypatch.setattr(gpu, "runs_on", lambda tensor, runs=runs: runs)
        found = potential(graph)
        loss = found["energy"].square().sum() + found["forces"].square().sum()
        gradients = torch.autograd.grad(loss, list(potential.parameters()), allow_unused=True)
        results.append([found["energy"], found["forces"], *(g for g in gradients if g is not None)])
    assert len(calls) == 3  # the embedding and both products of the attention, once, without a trace of the plain form
    for got, wanted in zip(*results, strict=True):
        torch.testing.assert_close(got, wanted, rtol=1e-10, atol=1e-10)
