"""Conversion of e3nn models; real ones from their own packages where these are installed."""

from __future__ import annotations

import copy
import time

import numpy as np
import pytest
import torch

torch.serialization.add_safe_globals(
    [slice]
)  # in the constants of e3nn 0.4.4, which torch 2.6 and later refuses otherwise
from e3nn import o3  # noqa: E402

from tdn_theory.experiments.comparisons.other_networks import default_dtype  # noqa: E402
from tdn_theory.nn import TensorProduct, convert  # noqa: E402
from tdn_theory.nn.convolution import Convolution  # noqa: E402
from tdn_theory.nn.kernels import compiler  # noqa: E402
from tdn_theory.testing.assertions import assert_close  # noqa: E402
from tests.assertions import refuses  # noqa: E402


class Holder(torch.nn.Module):
    def __init__(self, product: torch.nn.Module) -> None:
        super().__init__()
        self.inner = torch.nn.Module()
        self.inner.product = product

    def forward(self, *arguments):
        return self.inner.product(*arguments)


X, Y = o3.Irreps("4x0e+4x1o+4x2e"), o3.Irreps("1x0e+1x1o+1x2e")


def convolution(x: str | o3.Irreps = X, y: str | o3.Irreps = Y, **options) -> o3.TensorProduct:
    """As in NequIP and MACE: an output of its own for every path, weights of every edge."""
    out, instructions = [], []
    for i, (mul, ir_in) in enumerate(o3.Irreps(x)):
        for j, (_, harmonic) in enumerate(o3.Irreps(y)):
            for ir_out in ir_in * harmonic:
                if ir_out.l <= 2:
                    instructions.append((i, j, len(out), "uvu", True))
                    out.append((mul, ir_out))
    sorted_out, permutation, _ = o3.Irreps(out).sort()
    instructions = [(i, j, permutation[k], mode, train) for i, j, k, mode, train in instructions]
    return o3.TensorProduct(x, y, sorted_out, instructions, shared_weights=False, internal_weights=False, **options)


def mixed_modes() -> o3.TensorProduct:
    """All modes, different multiplicities, an unweighted path, a path of weight zero, an output without a path."""
    first, second, out = (
        o3.Irreps("4x0e+3x1o+4x1e"),
        o3.Irreps("4x0e+2x1o+4x1e"),
        o3.Irreps("4x1e+3x1o+5x0e+2x1o+4x2e+6x3o"),
    )
    instructions = [
        (2, 2, 0, "uuu", True), (1, 0, 1, "uvu", True), (0, 2, 0, "uvw", True), (2, 2, 2, "uuw", True),
        (0, 1, 3, "uvv", True),
        (1, 1, 2, "uvw", True, 0.0), (2, 2, 4, "uuu", False, 0.7),
    ]  # fmt: skip
    return o3.TensorProduct(first, second, out, instructions)


def twice() -> o3.TensorProduct:
    """Two instructions for the same slots, each with weights of its own."""
    instructions = [(0, 0, 0, "uvu", True), (0, 0, 0, "uvu", True, 0.5)]
    return o3.TensorProduct(o3.Irreps("4x1o"), o3.Irreps("1x1o"), o3.Irreps("4x1e"), instructions)


PRODUCTS = {
    "convolution": convolution,
    "mixed modes": mixed_modes,
    "twice": twice,
    "fully connected": lambda: o3.FullyConnectedTensorProduct("4x0e+3x1o", "2x0e+1x1o", "4x0e+2x1o+2x1e"),
    "norm": lambda: convolution(irrep_normalization="norm", path_normalization="path"),
    "self-connection": lambda: o3.FullyConnectedTensorProduct("8x0e+8x1o", "5x0e", "8x0e+8x1o"),
}


def arguments(product, edges: int = 7, dtype: torch.dtype = torch.float32) -> list[torch.Tensor]:
    values = [product.irreps_in1.randn(edges, -1).to(dtype), product.irreps_in2.randn(edges, -1).to(dtype)]
    if not product.internal_weights:
        values.append(torch.randn(edges, product.weight_numel, dtype=dtype))
    return [value.requires_grad_() for value in values]


def results(model, values: list[torch.Tensor]) -> list[torch.Tensor]:
    """Output, gradients of inputs, and of parameters."""
    out = model(*values)
    out = out[0] if isinstance(out, tuple) else out
    parameters = list(model.parameters())
    return [out, *torch.autograd.grad(out.sin().sum(), [*values, *parameters])]


@pytest.mark.parametrize("name", PRODUCTS)
def test_exact_conversion_changes_nothing(name):
    torch.manual_seed(0)
    model = Holder(PRODUCTS[name]())
    values = arguments(model.inner.product)
    state = copy.deepcopy(model.state_dict())
    before = results(model, values)
    report = convert(model)
    assert list(report.replaced) == ["inner.product"]
    assert (report.left, report.shared, report.equivariance_error) == ({}, False, 0.0)
    for got, old in zip(results(model, values), before, strict=True):
        assert_close(
            got.detach().numpy(),
            old.detach().numpy(),
            1e-6 * max(1.0, float(old.detach().abs().max())),
            f"converted {name}",
        )
    assert "outputs are those of before" in str(report)
    if model.inner.product.internal_weights:  # optimisers go on with the same parameter
        assert torch.equal(model.state_dict()["inner.product.weight"], state["inner.product.weight"])


@pytest.mark.parametrize("method", ["cubature", "cp"])  # both are exact
def test_conversion_to_shared_weights_is_a_new_model(method):
    torch.manual_seed(0)
    model = Holder(convolution())
    values = arguments(model.inner.product)
    before = model(*values).detach()
    report = convert(model, method=method)
    assert report.shared
    assert "new model" in str(report)
    assert report.equivariance_error < 1e-12
    after = model(*values).detach()
    assert after.shape == before.shape
    turn = o3.rand_matrix()
    product = model.inner.product
    Dx, Dy, Dz = (irreps.D_from_matrix(turn) for irreps in (product.irreps_in1, product.irreps_in2, product.irreps_out))
    x, y, w = (value.detach() for value in values)
    assert_close(
        (model(x @ Dx.T, y @ Dy.T, w)).numpy(), (after @ Dz.T).numpy(), 1e-4, "converted model of turned features"
    )


NATURAL = ("2x0e+2x1o+2x2e", "0e+1o+2e")
NO_PARITY = ("2x0e+2x1e+2x2e", "0e+1e+2e")
BOTH_PARITIES = ("2x0e+2x0o+2x1o+2x1e", "0e+1o")
UNEQUAL = ("2x0e+2x1o", "0e+1o+2e+3o")


def variances(call, product: o3.TensorProduct) -> torch.Tensor:
    """Of every component, for independent x, y and weights of unit variance: squares of the trilinear map's entries."""
    d1, d2 = product.irreps_in1.dim, product.irreps_in2.dim
    x, y = torch.eye(d1).double().repeat_interleave(d2, 0), torch.eye(d2).double().repeat(d1, 1)
    weights = torch.eye(product.weight_numel).double()
    rows = [w if product.shared_weights else w.expand(d1 * d2, -1) for w in weights]
    with torch.no_grad():
        return torch.stack([call(x, y, w).square().sum(0) for w in rows]).sum(0)


@pytest.mark.parametrize(
    ("make", "method", "rank", "odd"),
    [
        (lambda: convolution(*NATURAL), "cubature", None, 4),
        (lambda: convolution(*NATURAL), "cp", None, 4),
        (lambda: convolution(*NATURAL), "cp", 28, 4),
        (lambda: convolution(*UNEQUAL), "cp", None, 2),
        (lambda: convolution(*NO_PARITY), "cubature", None, 4),
        (lambda: convolution(*NO_PARITY), "cp", None, 0),
        (lambda: convolution(*NO_PARITY), "cp", 28, 0),
        (lambda: convolution(*BOTH_PARITIES), "cp", None, 0),
        (lambda: convolution(*NO_PARITY, irrep_normalization="norm", path_normalization="path"), "cp", None, 0),
        (lambda: o3.FullyConnectedTensorProduct("2x0e+2x1o", "3x0e+3x1o", "2x0e+2x1o"), "cubature", None, 0),
    ],
)
def test_shared_weights_keep_variances(make, method, rank, odd):
    """Of the outputs of every slot, in closed form; odd paths that share no weights stay as they are."""
    with default_dtype(torch.float64):
        product = make()
        model = Holder(product)
        wanted = variances(product, product)
        assert convert(model, method, rank).shared
        found = variances(model, product)
    means = [torch.stack([values[part].mean() for part in product.irreps_out.slices()]) for values in (found, wanted)]
    assert_close(*means, 1e-12, f"variances after {method}")
    exact = [some for some in model.inner.product.products if some.method == "per_path"]
    assert sum(len(some.coupling.paths) for some in exact) == odd


def test_random_inputs_have_the_variances_of_the_closed_form():
    torch.manual_seed(0)
    with default_dtype(torch.float64):
        product = convolution(*NO_PARITY)
        model = Holder(product)
        convert(model, "cubature")
        squares = model(*arguments(product, 4000, torch.float64)).detach().square()
        wanted = variances(model, product)
    error = squares.std(0) / len(squares) ** 0.5
    assert ((squares.mean(0) - wanted).abs() < 5 * error).all()


def test_products_with_scalars_only_share_nothing():
    """Nothing but channels is mixed by scalars, so no method shares weights there, and the model stays what it was."""
    product = o3.TensorProduct("4x0e+4x1o", "1x0e", "4x0e+4x1o", [(0, 0, 0, "uvu", True), (1, 0, 1, "uvu", True)])
    model = Holder(product)
    values = arguments(product)
    before = model(*values).detach()
    report = convert(model, method="cubature")
    assert not report.shared
    assert "outputs are those of before" in str(report)
    assert_close(model(*values).detach().numpy(), before.numpy(), 1e-6, "product with scalars")


def test_what_cannot_be_replaced_is_left_and_said():
    unusual = o3.TensorProduct("2x0e", "3x1o", "6x1o", [(0, 0, 0, "uvuv", True)])
    model = torch.nn.Sequential(Holder(unusual), Holder(PRODUCTS["fully connected"]()))
    report = convert(model)
    assert list(report.replaced) == ["1.inner.product"]
    assert "uvuv" in report.left["0.inner.product"]
    assert "left" in str(report)
    parities = Holder(o3.FullyConnectedTensorProduct("2x0e+2x0o+2x1o+2x1e", "1x0e+1x1o", "2x0e+2x0o+2x1o"))
    with refuses(ValueError, "nothing was replaced", "inner.product", "'exact'"):
        convert(parities, method="cubature")


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_a_model_of_which_nothing_is_replaced_is_refused():
    """What is in it is said: a linear layer, or a product that is scripted already."""
    with refuses(ValueError, "no e3nn.o3.TensorProduct", "1 Linear"):
        convert(torch.nn.Sequential(torch.nn.Linear(2, 2)))
    with refuses(ValueError, "0", "scripted", "before"):
        convert(torch.nn.Sequential(torch.jit.script(torch.nn.Linear(2, 2))))


def test_a_product_in_several_places_is_replaced_in_all():
    model = torch.nn.ModuleDict({"one": convolution()})
    model["two"] = model["one"]
    conversion = convert(model)
    assert set(conversion.replaced) == {"one", "two"}
    assert model["one"] is model["two"]
    assert not isinstance(model["two"], o3.TensorProduct)


def test_nothing_is_replaced_if_a_product_cannot_be_made():
    """Rank 7 is stored for L = 1, and not for L = 2."""
    small = o3.FullyConnectedTensorProduct("4x0e+4x1o", "1x0e+1x1o", "4x0e+4x1o")
    model = torch.nn.Sequential(small, convolution())
    with pytest.raises(LookupError):
        convert(model, "cp", 7)
    assert model[0] is small


def test_times_before_and_after(monkeypatch):
    """By a clock that goes three times as fast for e3nn; what was converted stays so, even if the call fails."""
    model = Holder(convolution())
    conversion = convert(model)
    clock = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: clock[0])
    seen = []

    def call() -> None:
        before = isinstance(model.inner.product, o3.TensorProduct)
        seen.append(before)
        clock[0] += (3.0 if before else 1.0) * (100 if len(seen) <= 2 else 1)

    assert conversion.times(call, rounds=2) == (3.0, 1.0)
    assert seen == [True, False] * 3
    with pytest.raises(ZeroDivisionError):
        conversion.times(lambda: 1 / 0)
    assert not isinstance(model.inner.product, o3.TensorProduct)
    with refuses(ValueError, "rounds is 0"):
        conversion.times(call, rounds=0)


@pytest.mark.parametrize("fused", [None, False])
@pytest.mark.parametrize("name", ["convolution", "fully connected"])
def test_conversion_is_undone_with_the_weights_of_now(name, fused):
    """After a step of training, and in another dtype."""
    torch.manual_seed(0)
    model = Holder(PRODUCTS[name]())
    original = model.inner.product
    conversion = convert(model, fused=fused)
    values = arguments(original)
    for value, gradient in zip(model.parameters(), results(model, values)[1 + len(values) :], strict=True):
        value.data -= 0.1 * gradient
    model.double()
    values = [value.detach().double() for value in values]
    trained = model(*values).detach()
    conversion.undo()
    assert model.inner.product is original
    assert_close(model(*values).detach().numpy(), trained.numpy(), 1e-6 * float(trained.abs().max()), "undone")
    with refuses(ValueError, "shared", "'exact'"):
        convert(Holder(convolution()), "cubature").undo()


@pytest.mark.parametrize("fused", [None, False])
@pytest.mark.parametrize("name", ["convolution", "fully connected"])
def test_checkpoints_are_those_of_e3nn(name, fused):
    """Strictly, both ways; weights of another number are an error."""
    torch.manual_seed(0)
    plain, model = Holder(PRODUCTS[name]()), Holder(PRODUCTS[name]())
    convert(model, fused=fused)
    saved = copy.deepcopy(plain.state_dict())
    assert list(saved) == list(model.state_dict())
    for assign in (True, False):
        model.load_state_dict(saved, assign=assign)
        values = arguments(plain.inner.product)
        wanted = plain(*values).detach()
        assert_close(model(*values).detach().numpy(), wanted.numpy(), 1e-6 * float(wanted.abs().max()), "loaded")
    for parameter in model.parameters():
        parameter.data += 1
    plain.load_state_dict(model.state_dict())
    assert_close(model(*values).detach().numpy(), plain(*values).detach().numpy(), 1e-5, "loaded back")
    key = "inner.product.output_mask"
    with pytest.raises(RuntimeError, match="Missing key"):
        model.load_state_dict({name: value for name, value in saved.items() if name != key})
    with pytest.raises(RuntimeError, match="Unexpected key"):
        model.load_state_dict({**saved, "inner.product.more": saved[key]})
    with pytest.raises(RuntimeError, match="size mismatch"):
        model.load_state_dict({**saved, key: saved[key][1:]})


@pytest.mark.parametrize("fused", [None, False])
def test_what_others_ask_a_product_for(fused):
    """The mask, the matrix of given harmonics, views of weights, and weights in a list."""
    torch.manual_seed(0)
    product = convolution(compile_right=True)
    model = Holder(product)
    x, y, w = (value.detach() for value in arguments(product))
    convert(model, fused=fused)
    stand_in = model.inner.product
    assert torch.equal(stand_in.output_mask, product.output_mask)
    views = [view.flatten(1) for view in stand_in.weight_views(w)]
    assert torch.equal(torch.cat(views, 1), w)
    assert torch.equal(stand_in.weight_view_for_instruction(1, w).flatten(1), views[1])
    assert torch.equal(model(x, y, [*stand_in.weight_views(w)]), model(x, y, w))
    by_matrix = torch.einsum("exz,ex->ez", stand_in.right(y, w), x)
    assert_close(model(x, y, w).numpy(), by_matrix.numpy(), 1e-5, "matrix of given harmonics")
    twin = copy.deepcopy(model)
    assert twin.inner.product.original is not product
    assert torch.equal(twin(x, y, w), model(x, y, w))


def test_products_with_hooks_are_left():
    model = torch.nn.Sequential(Holder(convolution()), Holder(convolution()))
    model[0].inner.product.register_forward_hook(lambda *some: None)
    assert "hooks" in convert(model).left["0.inner.product"]


def test_errors_teach():
    product = PRODUCTS["fully connected"]()
    with refuses(ValueError, "tensor product itself", "Sequential"):
        convert(product)
    with refuses(ValueError, "'fast'", "cubature"):
        convert(Holder(product), method="fast")
    with refuses(ValueError, "rank 7", "'cp'"):
        convert(Holder(product), rank=7)
    model = Holder(convolution())
    x, y, w = arguments(model.inner.product)
    convert(model)
    with refuses(ValueError, "missing", str(w.shape[1])):
        model(x, y)


def check_a_real_model(
    model: torch.nn.Module, energy_and_forces, count: int, convolutions: int, tolerance: float = 1e-6
) -> None:
    """Same energies and forces, and every product replaced that does anything; all convolutions are fused."""
    before, names = [np.asarray(value) for value in energy_and_forces(model)], list(model.state_dict())
    report = convert(model)
    assert len(report.replaced) >= count
    assert all("no instruction" in reason for reason in report.left.values())
    assert any(isinstance(module, TensorProduct) for module in model.modules())
    if compiler.available():
        assert sum(isinstance(module, Convolution) for module in model.modules()) == convolutions
    assert list(model.state_dict()) == names
    for got, old in zip(energy_and_forces(model), before, strict=True):
        assert_close(got, old, tolerance * float(np.abs(old).max()), "converted model")
    report.undo()
    assert not any(isinstance(module, TensorProduct | Convolution) for module in model.modules())
    for got, old in zip(energy_and_forces(model), before, strict=True):
        assert np.array_equal(got, old)


@pytest.mark.parametrize("parity", [False, True])
def test_nequip(parity):
    """NequIP 0.19 and e3nn 0.6, in their environment: make test-nequip."""
    pytest.importorskip("nequip")
    from nequip.data import from_dict
    from nequip.data._nl import compute_neighborlist_
    from nequip.model import NequIPGNNModel
    from nequip.utils.global_state import set_global_state

    with default_dtype(torch.float64):
        set_global_state()  # makes this the default for good, once in a process
        model = NequIPGNNModel(
            seed=0, model_dtype="float64", r_max=4.0, type_names=["H", "O"], num_layers=3, l_max=2, parity=parity,
            num_features=8, avg_num_neighbors=3.0, radial_mlp_width=8,
        )  # fmt: skip
        positions = torch.tensor(
            [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0], [0.0, 0.0, 1.2]], dtype=torch.float64
        )
        cell = {"pbc": torch.tensor([False] * 3), "cell": 10 * torch.eye(3, dtype=torch.float64)}
        graph = from_dict({"pos": positions, "atom_types": torch.tensor([1, 0, 0, 0]), **cell})
        graph = compute_neighborlist_(graph, r_max=4.0)

        def energy_and_forces(model: torch.nn.Module) -> list[np.ndarray]:
            out = model(dict(graph))
            return [out["total_energy"].detach().numpy(), out["forces"].detach().numpy()]

        check_a_real_model(model, energy_and_forces, 6, 3)


def test_mace():
    """MACE 0.3.16 and e3nn 0.4.4, in their environment: make test-mace."""
    pytest.importorskip("mace")
    from mace import data, modules, tools
    from mace.tools.torch_geometric.dataloader import DataLoader

    with default_dtype(torch.float64):
        table = tools.AtomicNumberTable([1, 8])
        block = modules.interaction_classes["RealAgnosticResidualInteractionBlock"]
        model = modules.MACE(
            r_max=5.0, num_bessel=8, num_polynomial_cutoff=6, max_ell=3, correlation=3,
            interaction_cls=block, interaction_cls_first=block,
            num_interactions=2, num_elements=2, hidden_irreps=o3.Irreps("8x0e+8x1o"), MLP_irreps=o3.Irreps("8x0e"),
            gate=torch.nn.functional.silu, atomic_energies=np.zeros(2), avg_num_neighbors=3, atomic_numbers=table.zs,
        )  # fmt: skip
        water = data.Configuration(
            atomic_numbers=np.array([8, 1, 1]),
            positions=np.array([[0.0, -2.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.3]]),
            properties={"energy": 0.0, "forces": np.zeros((3, 3))},
            property_weights={"energy": 1.0, "forces": 1.0},
        )
        graph = data.AtomicData.from_config(water, z_table=table, cutoff=3.0)
        batch = next(iter(DataLoader([graph], batch_size=1, shuffle=False))).to_dict()

        def energy_and_forces(model: torch.nn.Module) -> list[np.ndarray]:
            out = model(batch)
            return [out["energy"].detach().numpy(), out["forces"].detach().numpy()]

        check_a_real_model(model, energy_and_forces, 4, 2)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")
def test_sevenn():
    """SevenNet 0.13 and e3nn 0.6, in their environment: make test-sevenn."""
    pytest.importorskip("sevenn")
    from ase import Atoms
    from sevenn import _keys as keys
    from sevenn.atom_graph_data import AtomGraphData
    from sevenn.train.dataload import unlabeled_atoms_to_graph
    from sevenn.util import load_checkpoint

    model = load_checkpoint("7net-0").build_model().eval()  # in float32: parts of it know no other
    model.set_is_batch_data(False)
    water = Atoms("OHH", [[0.0, -1.0, 0.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.3]], cell=[12.0] * 3, pbc=True)
    graph = AtomGraphData.from_numpy_dict(unlabeled_atoms_to_graph(water, model.cutoff)).to_dict()

    def energy_and_forces(model: torch.nn.Module) -> list[np.ndarray]:
        out = model(dict(graph))
        return [out[key].detach().numpy() for key in (keys.PRED_TOTAL_ENERGY, keys.PRED_FORCE)]

    check_a_real_model(model, energy_and_forces, 9, 5, tolerance=1e-5)
