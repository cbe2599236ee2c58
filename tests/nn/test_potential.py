"""The potential: the physical contract for a table of configurations, its pruning, its files, what it refuses."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch

from tdn_theory.cp.factors import CPFactors
from tdn_theory.data.graph import Graph, build_graph, collate
from tdn_theory.data.structure import Structure
from tdn_theory.nn.attention import smooth_leaky_relu
from tdn_theory.nn.edge_product import YFirstProduct
from tdn_theory.nn.potential import Potential, PotentialConfig
from tdn_theory.nn.spec import ProductSpec
from tdn_theory.testing.assertions import assert_close
from tdn_theory.testing.potential import RANK, Model, PotentialContract, as_numpy
from tests.assertions import refuses

SMALL = PotentialConfig(elements=(1, 6, 8), lmax=2, channels=8, layers=1, heads=2, cutoff=4.0, basis_size=8)
PAPER = PotentialConfig(
    elements=tuple(range(1, 82)), channels=256, layers=6, heads=8, cutoff=4.5, basis_size=256, forces="direct"
)
"""The paper's network: its embedding has 80 elements and a bias, as many parameters as 81 elements."""


def make(config: PotentialConfig, **options: Any) -> Potential:
    """In float64, for evaluation, with a reference of its own."""
    potential = Potential(config, **options).double().eval()
    potential.set_reference([0.3 * k - 1 for k in range(len(config.elements))], 0.7)
    return potential


def named(configs: list[PotentialConfig]) -> dict[str, Any]:
    """Arguments of a fixture over configurations, with names made of what differs from SMALL."""
    defaults = SMALL.to_dict()
    return {
        "params": configs,
        "ids": [
            "-".join(str(v) for k, v in config.to_dict().items() if v != defaults[k]) or "small" for config in configs
        ],
    }


EXACT = [
    replace(SMALL, layers=2),
    replace(SMALL, lmax=0),
    replace(SMALL, lmax=1, method="cubature", basis="bessel", layers=2),
    replace(SMALL, lmax=3, outputs=("dipole", "polarizability")),
    replace(SMALL, method="per_path", share_linear=False, pruned=False),
]


class TestConservative(PotentialContract):
    cutoff, elements = SMALL.cutoff, SMALL.elements

    @pytest.fixture(scope="class", **named(EXACT))
    @classmethod
    def model(cls, request) -> Model:
        return make(request.param)


class TestDirect(PotentialContract):
    conservative = False
    cutoff, elements = SMALL.cutoff, SMALL.elements

    @pytest.fixture(scope="class", **named([replace(config, forces="direct") for config in EXACT if config.lmax]))
    @classmethod
    def model(cls, request) -> Model:
        return make(request.param)


class TestApproximateConservative(PotentialContract):
    """Not equivariant, but conservative all the same."""

    cutoff, elements = SMALL.cutoff, SMALL.elements
    equivariance = (1e-6, 0.5)

    @pytest.fixture(scope="class")
    @classmethod
    def model(cls) -> Model:
        return make(replace(SMALL, method="cp"))


class TestApproximateDirect(PotentialContract):
    conservative = False
    cutoff, elements = SMALL.cutoff, SMALL.elements
    equivariance = (1e-6, 0.5)

    @pytest.fixture(
        scope="class", **named([replace(SMALL, method="cp", forces="direct", pruned=p) for p in (True, False)])
    )
    @classmethod
    def model(cls, request) -> Model:
        return make(request.param)


@pytest.mark.parametrize("forces", ["conservative", "direct"])
@pytest.mark.parametrize(("method", "least", "most"), [("cubature", 0.0, 1e-12), ("exact", 1e-4, np.inf)])
def test_mirror_images(method, least, most, forces):
    """Even paths make parity that of nature. With odd ones, a mirror image can have another energy."""
    contract = PotentialContract()
    molecule = contract.molecule()
    model = make(replace(SMALL, layers=2, method=method, forces=forces, outputs=("dipole", "polarizability")))
    straight = contract.properties(model, molecule)
    mirrored = contract.properties(model, Structure(molecule.numbers, -molecule.positions))
    error = max(np.abs(mirrored[name] - (-1) ** RANK[name] * value).max() for name, value in straight.items())
    assert least <= error <= most


@pytest.mark.slow
def test_two_picoseconds_of_dynamics():
    """No drift: the error of the second picosecond is that of the first one, which sees all slow vibrations."""
    errors = TestConservative().energy_errors(make(SMALL), 2000, 1.0)
    first, second = max(errors[:1000]), max(errors[1000:])
    assert second < 1.5 * first, f"errors {first:.1e} eV in the first picosecond, {second:.1e} eV in the second"


def batch(config: PotentialConfig = SMALL, dtype: torch.dtype = torch.float64) -> Graph:
    contract = PotentialContract()
    structures = [contract.molecule(0), contract.crystal(), contract.molecule(1, 3), contract.molecule(2, 1)]
    return collate([build_graph(structure, config.cutoff, dtype) for structure in structures])


# --- pruning and parameters

COMBINATIONS = [
    replace(SMALL, lmax=lmax, method=method, forces=forces, share_linear=share, outputs=outputs)
    for lmax, method, forces, share, outputs in [
        (0, "exact", "none", True, ()),
        (1, "exact", "direct", True, ()),
        (1, "per_path", "conservative", False, ("dipole",)),
        (2, "exact", "conservative", True, ()),
        (2, "per_path", "direct", False, ("polarizability",)),
        (2, "cp", "direct", False, ("dipole", "polarizability")),
        (2, "cubature", "none", False, ("dipole",)),
        (3, "exact", "direct", False, ("dipole", "polarizability")),
        (3, "cp", "conservative", True, ("polarizability",)),
    ]
]


@pytest.mark.parametrize("config", **{"argvalues": COMBINATIONS, "ids": named(COMBINATIONS)["ids"]})
def test_only_what_is_read_is_computed(config):
    """The same state gives the same results and the same gradients of all parameters in the released order."""
    pruned, reference = (make(replace(config, pruned=choice)).train() for choice in (True, False))
    with torch.no_grad():
        for parameter in pruned.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    reference.load_state_dict(pruned.state_dict())
    graph = batch()
    found, wanted = pruned(graph), reference(graph)
    assert found.keys() == wanted.keys()
    gradients = []
    for model, results in ((pruned, found), (reference, wanted)):
        loss = sum(torch.nan_to_num(value).square().sum() for value in results.values())
        # biases that are added to scalars nobody reads have no gradient in one of them, and zero in the other
        gradients.append(torch.autograd.grad(loss, list(model.parameters()), materialize_grads=True))
    for name, value in as_numpy(wanted).items():
        atol = 1e-12 * max(1.0, float(np.abs(np.nan_to_num(value)).max()))
        assert_close(np.nan_to_num(as_numpy(found)[name]), np.nan_to_num(value), atol, name)
    for (name, _), one, other in zip(pruned.named_parameters(), *gradients, strict=True):
        assert_close(one, other, 1e-10 * max(1.0, float(other.abs().max())), f"gradient of {name}")


@pytest.mark.parametrize(
    ("method", "share_linear", "millions"),
    [
        ("exact", True, (4.477, 4.480, 4.483)),
        ("per_path", True, (5.01, 6.34, 8.88)),
        ("per_path", False, (9.14, 14.60, 21.26)),
    ],
)
def test_parameters_of_the_paper(method, share_linear, millions):
    """TAB4 and TAB7: 4.5 M for L = 1, 2, 3; without CP and PS 5.0, 6.3, 8.9; without PS-Linear too 9.1, 14.6, 21.3."""
    for lmax, wanted in enumerate(millions, 1):
        with torch.device("meta"):
            potential = Potential(replace(PAPER, lmax=lmax, method=method, share_linear=share_linear))
        count = sum(parameter.numel() for parameter in potential.parameters())
        digits = 3 if share_linear and method == "exact" else 2
        assert round(count / 1e6, digits) == wanted, f"{count} parameters at L={lmax}"


# --- derivatives, dtypes, seeds


def test_second_derivatives_of_the_energy():
    """Training mode, or positions that ask for gradients: forces can be differentiated again."""
    potential = make(replace(SMALL, lmax=1))
    structure = PotentialContract().molecule(0, 3)
    graph = build_graph(structure, SMALL.cutoff, torch.float64)
    assert not potential(graph)["forces"].requires_grad

    def forces(positions: torch.Tensor) -> torch.Tensor:
        return potential(replace(graph, positions=positions))["forces"]

    assert torch.autograd.gradcheck(forces, graph.positions.clone().requires_grad_(), fast_mode=True)
    potential.train()
    potential(graph)["forces"].square().sum().backward()
    constant = [name for name, parameter in potential.named_parameters() if parameter.grad is None]
    assert constant == ["energy.out.bias"]  # of the energy, and of nothing else
    with torch.no_grad():
        assert not potential(graph)["forces"].requires_grad


@pytest.mark.parametrize("config", **{"argvalues": COMBINATIONS, "ids": named(COMBINATIONS)["ids"]})
def test_parameters_without_influence_are_said(config):
    """Those that the docstring of `Potential` names, and no others."""
    potential = make(config).train()
    with torch.no_grad():
        for parameter in potential.parameters():
            parameter.add_(0.1 * torch.randn(parameter.shape, generator=torch.Generator().manual_seed(0)))
    results = potential(batch()).values()
    sum(torch.nan_to_num(value).square().sum() for value in results).backward()
    gradients = {name: parameter.grad for name, parameter in potential.named_parameters()}
    # a charge that is the same for all atoms leaves roundoff
    idle = {name for name, gradient in gradients.items() if gradient is None or float(gradient.abs().max()) < 1e-12}
    expected = {"force_attention.project.bias", "force_out.bias"} if config.forces == "direct" else set()
    expected |= {"properties.dipole.out.bias"} if "dipole" in config.outputs else set()
    assert idle == expected
    assert all(name in str(Potential.__doc__) for name in expected)


def test_gradients_of_parameters_are_right():
    """A direction in parameter space, against finite differences of a loss on energies and conservative forces."""
    potential = make(replace(SMALL, lmax=1)).train()
    graph = batch()
    names = [name for name, _ in potential.named_parameters()]
    values = [parameter.detach().clone() for parameter in potential.parameters()]
    directions = [
        torch.randn(v.shape, generator=torch.Generator().manual_seed(k)).double() for k, v in enumerate(values)
    ]

    def loss(step: float) -> torch.Tensor:
        moved = {n: v + step * d for n, v, d in zip(names, values, directions, strict=True)}
        found = torch.func.functional_call(potential, moved, (graph,))
        return found["energy"].sum() + found["forces"].square().sum()

    found = potential(graph)
    gradients = torch.autograd.grad(
        found["energy"].sum() + found["forces"].square().sum(), list(potential.parameters())
    )
    slope = sum(float((g * d).sum()) for g, d in zip(gradients, directions, strict=True))
    step = 1e-5
    wanted = float((loss(step) - loss(-step)).detach()) / (2 * step)
    assert_close(slope, wanted, 1e-6 * abs(wanted), "derivative of the loss")


def test_float32_agrees_with_float64():
    for config in (SMALL, replace(SMALL, forces="direct", outputs=("dipole", "polarizability"))):
        potential = make(config)
        exact = as_numpy(potential(batch()))
        single = as_numpy(potential.float()(batch(dtype=torch.float32)))
        for name, value in exact.items():
            atol = 2e-4 * max(1.0, float(np.nanmax(np.abs(value))))
            assert_close(np.nan_to_num(single[name]), np.nan_to_num(value), atol, f"{name} in float32")


@pytest.mark.parametrize("method", ["exact", "per_path"])
def test_autocast_rounds_linear_layers_only(method):
    """Predictions in bfloat16 are within some of its roundings of those in float32, and can be trained."""
    potential = Potential(
        PotentialConfig((1, 8), lmax=1, channels=4, layers=1, heads=2, method=method, forces="direct")
    )
    graph = build_graph(Structure(np.array([8, 1]), np.array([[0.0, 0.0, 0.0], [0.9, 0.1, 0.2]])), 5.0)
    exact = {name: value.detach() for name, value in potential(graph).items()}
    with torch.autocast("cpu", torch.bfloat16):
        rounded = potential(graph)
    for name, value in exact.items():
        # one rounding after another, some twenty of them
        torch.testing.assert_close(rounded[name].to(value), value, rtol=0, atol=20 * 2**-8 * float(value.abs().max()))
    (rounded["energy"].sum() + rounded["forces"].square().sum()).backward()
    assert all(p.grad.isfinite().all() for p in potential.parameters() if p.grad is not None)


@pytest.mark.parametrize("forces", ["conservative", "direct", "none"])
def test_energies_of_atoms_add_up_to_those_of_graphs(forces):
    """An isolated atom has its own, and they are there only if they are wanted."""
    potential, graph = make(replace(SMALL, forces=forces)), batch()
    found = potential(graph, of_atoms=True)
    assert "energies" not in potential(graph)
    assert not found["energies"].requires_grad or forces != "conservative"
    total = torch.zeros(graph.count, dtype=torch.float64).index_add(0, graph.batch, found["energies"].detach())
    assert_close(total.numpy(), found["energy"].detach().numpy(), 1e-12, "sum of the energies of atoms")
    lone = potential(build_graph(Structure(np.array([6]), np.zeros((1, 3))), 4.0, torch.float64), of_atoms=True)
    assert torch.equal(lone["energies"], lone["energy"])


def test_inference_mode_rules_conservative_forces_out():
    graph = batch()
    with torch.inference_mode():
        assert "forces" in make(replace(SMALL, forces="direct"))(graph)
        with refuses(RuntimeError, "inference_mode", "torch.no_grad()"):
            make(SMALL)(graph)


def test_constants_of_the_meta_device_are_missed():
    """They are in no state dict, so that a potential without them would predict anything."""
    with torch.device("meta"):
        empty = Potential(SMALL)
    with refuses(ValueError, "meta device", "couple0", "Potential.load"):
        empty.to_empty(device="cpu")


def test_large_energies_keep_their_digits():
    """Energies are float64 whatever the weights are: reference energies are thousands of eV."""
    potential = make(SMALL).float()
    graph = batch(dtype=torch.float32)
    before = potential(graph)["energy"]
    potential.set_reference([-1e5, -1e5, -1e5], 0.7)
    potential.float()
    counts = torch.bincount(graph.batch).double()
    potential_energy = potential(graph)["energy"] + 1e5 * counts
    potential.set_reference([0.0, 0.0, 0.0], 0.7)
    assert before.dtype == torch.float64
    assert_close(potential_energy.detach(), potential(graph)["energy"].detach(), 1e-8, "energies")


def test_seeds():
    """The seed makes the weights, and nobody else's random numbers are touched."""
    state = torch.random.get_rng_state()
    one, same, other = (Potential(SMALL, seed).state_dict() for seed in (0, 0, 1))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(torch.equal(one[name], same[name]) for name in one)
    weight = "blocks.0.attention.source.weight"
    assert not torch.equal(one[weight], other[weight])


def test_set_reference():
    potential = make(SMALL)
    graph = build_graph(
        Structure(np.array([1, 8, 8]), np.array([[0.0, 0, 0], [1, 0, 0], [0, 2, 0]])), SMALL.cutoff, torch.float64
    )
    potential.set_reference([0.0, 0.0, 0.0], 1.0)
    plain = potential(graph)
    potential.set_reference([1.0, 10.0, 100.0], 3.0)
    found = potential(graph)
    assert_close(found["energy"], 3 * plain["energy"] + 201, 1e-10, "energy")
    assert_close(found["forces"], 3 * plain["forces"], 1e-12, "forces")
    potential.set_reference([0.0, 0.0, 0.0], 1.0, -7.0)
    assert_close(potential(graph)["energy"], plain["energy"] - 7, 1e-12, "energy with an offset")
    with refuses(ValueError, "offset is nan"):
        potential.set_reference([0.0, 0.0, 0.0], 1.0, float("nan"))
    with refuses(ValueError, "[1.0]", "(1, 6, 8)"):
        potential.set_reference([1.0], 1.0)
    with refuses(ValueError, "scale is -1", "forces"):
        potential.set_reference([0.0, 0.0, 0.0], -1.0)


# --- files


@pytest.mark.parametrize("config", [SMALL, replace(SMALL, method="cp", rank=28), replace(SMALL, method="per_path")])
def test_save_and_load(tmp_path, config):
    potential = make(config, seed=5)
    potential.save(tmp_path / "potential.safetensors")
    loaded = Potential.load(tmp_path / "potential.safetensors").eval()
    assert loaded.config == config
    graph = batch()
    for name, value in potential(graph).items():
        assert torch.equal(loaded(graph)[name].nan_to_num(), value.nan_to_num()), name
    assert Potential.load(tmp_path / "potential.safetensors").elements.weight.dtype == torch.float64


def test_factors_of_ones_own_are_saved(tmp_path):
    factors = CPFactors(*np.random.default_rng(0).standard_normal((3, 9, 4)))
    potential = make(replace(SMALL, method="cp"), factors=factors)
    potential.save(tmp_path / "potential.safetensors")
    loaded = Potential.load(tmp_path / "potential.safetensors").eval()
    assert loaded.product.factors is not None
    assert loaded.product.factors.rank == 4
    assert torch.equal(loaded(batch())["energy"], potential(batch())["energy"])
    with refuses(ValueError, "factors", "'cp'"):
        Potential(SMALL, factors=factors)


def test_a_product_of_ones_own_takes_the_place_of_the_usual_one():
    """With twice the messages as without; and only one that the configuration describes."""

    class Doubled(YFirstProduct):
        def multiply(self, *arguments):
            return 2 * super().multiply(*arguments)

    def spec(**options):
        return ProductSpec(**({"coupling": 2, "channels": 8, "weights": "external"} | options))

    usual, same, doubled = (
        make(SMALL, product=product)(batch())["energy"]
        for product in (None, YFirstProduct(spec()).double(), Doubled(spec()).double())
    )
    assert torch.equal(usual, same)
    assert not torch.allclose(usual, doubled, rtol=1e-3)
    for options in ({"coupling": 1}, {"channels": 4}, {"method": "cubature"}):
        with refuses(ValueError, str(spec(**options)), "lmax 2", "8 channels", "'exact'"):
            Potential(SMALL, product=YFirstProduct(spec(**options)))


def test_loading_refuses_other_files(tmp_path):
    import safetensors.torch

    file = tmp_path / "other"
    with pytest.raises(FileNotFoundError):
        Potential.load(file)
    file.write_bytes(b"no tensors")
    with refuses(ValueError, "other", "Potential.save"):
        Potential.load(file)
    safetensors.torch.save_file({"a": torch.zeros(1)}, file)
    with refuses(ValueError, "config", "Potential.save"):
        Potential.load(file)
    settings = {"config": json.dumps(SMALL.to_dict())}
    for tensors in ({"a": torch.zeros(1)}, {"elements.weight": torch.zeros(1)}):
        safetensors.torch.save_file(tensors, file, settings)
        with refuses(ValueError, "elements.weight", "Potential.save"):
            Potential.load(file)


def test_config_round_trip():
    for config in (*COMBINATIONS, PAPER):
        assert PotentialConfig.from_dict(config.to_dict()) == config
    assert PotentialConfig.from_dict({"elements": [1, 6]}) == PotentialConfig(elements=(1, 6))


def test_errors_teach():
    with refuses(ValueError, "colour", "channels"):
        PotentialConfig.from_dict({"elements": [1], "colour": 1})
    with refuses(ValueError, "'elements' is missing"):
        PotentialConfig.from_dict({"lmax": 1})
    for changes, fragments in [
        ({"elements": (1, 1)}, ("(1, 1)", "different")),
        ({"elements": (0,)}, ("(0,)", "from 1")),
        ({"channels": 0}, ("channels is 0", "positive")),
        ({"heads": 3}, ("3 heads", "8 channels")),
        ({"basis": "fourier"}, ("'fourier'", "gaussian")),
        ({"method": "fast"}, ("'fast'", "exact")),
        ({"forces": "both"}, ("'both'", "conservative")),
        ({"outputs": ("charge",)}, ("charge", "dipole")),
        ({"rank": 7}, ("rank is 7", "'cp'")),
        ({"lmax": 1, "outputs": ("polarizability",)}, ("lmax is 1", ">= 2")),
        ({"lmax": 0, "forces": "direct"}, ("lmax is 0", ">= 1")),
    ]:
        with refuses(ValueError, *fragments):
            replace(SMALL, **changes)
    with refuses(TypeError, "channels is 16.0", "whole number"):
        replace(SMALL, channels=16.0)
    with refuses(LookupError, "R=5"):
        Potential(replace(SMALL, method="cp", rank=5))
    potential = make(SMALL)
    with refuses(ValueError, "does not know N", "H, C, O"):
        potential(build_graph(Structure(np.array([7]), np.zeros((1, 3))), SMALL.cutoff, torch.float64))
    with refuses(TypeError, "float32", "potential.to"):
        potential(batch(dtype=torch.float32))


def test_dipoles_need_no_origin_and_have_no_cell():
    potential = make(replace(SMALL, outputs=("dipole",)))
    dipoles = potential(batch())["dipole"]
    assert dipoles[1].isnan().all()
    assert dipoles[[0, 2, 3]].isfinite().all()


def test_smooth_leaky_relu():
    x = torch.tensor([-40.0, 0.0, 40.0], dtype=torch.float64)
    assert_close(smooth_leaky_relu(x), [-8.0, 0.0, 40.0], 1e-12, "smooth_leaky_relu")
