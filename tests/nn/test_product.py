"""The product layers against their definition: values, derivatives, equivariance, dtypes, what they keep and refuse."""

from __future__ import annotations

import copy
import pickle

import hypothesis.strategies as st
import numpy as np
import pytest
import torch
from e3nn import o3
from hypothesis import given, settings

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.atlas import AtlasEntry
from tdn_theory.cp.constructions.outer_product import outer_product
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution, Status
from tdn_theory.cp.solvers.levenberg_marquardt import LevenbergMarquardt
from tdn_theory.cp.store import Store
from tdn_theory.nn import ProductSpec, TensorProduct, YFirstProduct, from_e3nn, to_e3nn
from tdn_theory.nn.parts import whole
from tdn_theory.nn.planner import Form
from tdn_theory.so3 import rotation
from tdn_theory.so3.harmonics import spherical_harmonics
from tdn_theory.testing import strategies
from tdn_theory.testing.assertions import assert_close, assert_equivariant, assert_same_product
from tdn_theory.theory.equivariance import rms_error_relative_to_output
from tests.assertions import refuses
from tests.nn import reference

EDGES = 6
CHANNELS = {
    "uvu": [(3, 1), (3, 2)],
    "uvv": [(1, 3), (2, 3)],
    "uvw": [(3, 1, 2), (1, 3, 2), (2, 3, 4)],
    "uuu": [(3,)],
    "uuw": [(3, 2)],
}
MODES = [(mode, channels) for mode, several in CHANNELS.items() for channels in several]
COUPLINGS = [
    "0e+0o+1o",  # a degree with both parities
    "0e+1o x 0e+1o+2e -> 1o+0e+2e+1e",  # different irreps on all sides, not in order
    "1o+0e x 1o -> 0e+1e+2e+5o",  # an output that no path reaches
    CouplingTensor(2, normalization="component"),
    CouplingTensor(1, (0.5, -1.0, 2.0, 0.0, 1.5)),
    0,
]
FORMS: list[Form] = ["y_first", "dense", "sparse", "factored"]


def random_factors(d: int, rank: int = 5) -> CPFactors:
    return CPFactors(*np.random.default_rng(1).standard_normal((3, d, rank)))


def forms_of(coupling, channels, mode, method) -> list[Form]:
    return [cost.form for cost in TensorProduct(coupling, channels, mode=mode, method=method).plan().costs]


def inputs(
    product: TensorProduct, seed: int = 0, dtype: torch.dtype = torch.float64
) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    sizes = dict(zip(dict.fromkeys(product.mode), product.channels, strict=True))
    d1, d2, _ = product.coupling.dims
    x = torch.randn(EDGES, d1, sizes[product.mode[0]], generator=generator, dtype=torch.float64)
    y = torch.randn(EDGES, d2, sizes[product.mode[1]], generator=generator, dtype=torch.float64)
    return x.to(dtype), y.to(dtype)


def wanted(product: TensorProduct, x: torch.Tensor, y: torch.Tensor, weights: torch.Tensor | None) -> np.ndarray:
    """The definition, of path tensors for exact methods and of the factors' tensor for CP ones."""
    tensors = reference.path_tensors(product.tensor) if product.factors is None else [product.factors.array]
    shape = (1, *product.weight_shape)
    w = np.ones(shape) if weights is None else weights.detach().double().numpy().reshape(-1, *product.weight_shape)
    if product.method != "per_path":
        w = np.repeat(w[:, None], len(tensors), axis=1)
    return reference.product(tensors, product.mode, x.double().numpy(), y.double().numpy(), w)


@pytest.mark.parametrize(("mode", "channels"), MODES)
@pytest.mark.parametrize("method", ["exact", "per_path"])
@pytest.mark.parametrize("coupling", COUPLINGS, ids=str)
def test_values_are_those_of_the_definition(coupling, mode, channels, method):
    for form in forms_of(coupling, channels, mode, method):
        options = {"mode": mode, "method": method, "form": form}
        product = TensorProduct(coupling, channels, **options).double()
        x, y = inputs(product)
        reach = np.prod(channels) * len(product.coupling.paths)
        assert_close(
            product(x, y).detach(), wanted(product, x, y, product.weight), 1e-14 * 30 * reach, f"{product}, {form}"
        )
        external = TensorProduct(coupling, channels, **options, weights="external").double()
        for shape in (product.weight_shape, (EDGES, *product.weight_shape)):
            w = torch.randn(shape, dtype=torch.float64)
            where = f"{external} with weights {shape}, {form}"
            assert_close(external(x, y, w).detach(), wanted(product, x, y, w), 1e-14 * 100 * reach, where)
        if mode not in ("uvw", "uuw"):
            plain = TensorProduct(coupling, channels, **options, weights="none").double()
            assert_close(plain(x, y), wanted(plain, x, y, None), 1e-14 * 100 * reach, f"{plain}, {form}")


@pytest.mark.parametrize(("mode", "channels"), MODES)
@pytest.mark.parametrize("coupling", [1, "0e+1o+2e", "0e+1o x 0e+1o+2e -> 0e+2e"])
def test_cp_values_are_those_of_the_factors(coupling, mode, channels):
    factors = random_factors(whole(CouplingTensor(coupling)).d)
    for method in (factors, "cubature"):
        for form in forms_of(coupling, channels, mode, method):
            product = TensorProduct(coupling, channels, mode=mode, method=method, form=form).double()
            x, y = inputs(product)
            atol = 1e-12 * np.linalg.norm(product.array) * 20
            assert_close(product(x, y).detach(), wanted(product, x, y, product.weight), atol, f"{product}, {form}")


def test_cp_takes_the_stored_factors(tmp_path, monkeypatch):
    """Those of the coupling's own tensor, at the paper's rank 7 L^2."""
    monkeypatch.setenv("TDN_THEORY_STORE", str(tmp_path))
    tensor = CouplingTensor(1, (1.0, 1.0, 1.0, 1.0, 0.5))  # none is shipped for these path weights
    with refuses(LookupError, "R=7", "tdn-theory cp fit"):
        TensorProduct(tensor, 2, method="cp")
    Store().save(CPSolution.of(tensor, random_factors(4, rank=7), Status.BUDGET, LevenbergMarquardt(7), 0, 0.0))
    factors = TensorProduct(tensor, 2, method="cp").factors
    assert factors is not None
    assert_close(
        factors.array, random_factors(4, rank=7).array, 1e-12, "factors of TensorProduct(tensor, 2, method='cp')"
    )


def test_cp_of_unequal_slots_is_exact_with_the_fewest_terms_known(tmp_path, monkeypatch):
    """Not rows of the cube's factors, which would be 63 terms and an error of 4e-2 here."""
    monkeypatch.setenv("TDN_THEORY_STORE", str(tmp_path))
    coupling = "0e+1o x 0e+1o+2e+3o -> 0e+1o"
    for form in forms_of(coupling, (2, 1), "uvu", "cp"):
        product = TensorProduct(coupling, (2, 1), method="cp", form=form).double()
        assert product.factors is not None
        assert product.factors.rank == 9
        assert product.equivariance_error < 1e-14
        x, y = inputs(product)
        assert_close(product(x, y).detach(), wanted(product, x, y, product.weight), 1e-12, f"{product}, {form}")
    with refuses(LookupError, "1o+1o x 1o -> 0e", "tdn-theory cp fit"):
        TensorProduct("1o+1o x 1o -> 0e", 2, method="cp")


def as_map(product: TensorProduct, dtype: torch.dtype = torch.float64):
    """A product of one channel as a map of numpy features (n, d), (n, d) -> (n, d)."""

    def run(x: np.ndarray, y: np.ndarray) -> np.ndarray:
        a, b = (torch.tensor(value, dtype=dtype).unsqueeze(-1) for value in (x, y))
        return product(a, b).squeeze(-1).double().numpy()

    return run


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("form", ["y_first", "dense", "sparse"])
@pytest.mark.parametrize("method", ["exact", "per_path"])
@pytest.mark.parametrize("lmax", [1, 2, 3])
def test_exact_products_are_equivariant(lmax, method, form, dtype, rtol):
    product = TensorProduct(lmax, 1, method=method, form=form, weights="none").to(dtype)
    tensor = CouplingTensor(lmax)
    assert_equivariant(as_map(product, dtype), lmax, norm=tensor.norm, rtol=rtol, name=f"{product}, {form}")
    assert_same_product(as_map(product, dtype), tensor.array, rtol=rtol, name=f"{product}, {form}")


@pytest.mark.parametrize("form", ["y_first", "factored"])
@pytest.mark.parametrize("lmax", [1, 2, 4])
def test_cubature_products_are_equivariant(lmax, form):
    irreps = "+".join(f"{l}{'eo'[l % 2]}" for l in range(lmax + 1))
    product = TensorProduct(irreps, 1, method="cubature", form=form, weights="none").double()
    assert_equivariant(as_map(product), lmax, norm=CouplingTensor.even(lmax).norm, name=str(product))
    assert product.equivariance_error < 1e-13
    projection = CouplingTensor(lmax).project(product.array)
    assert (
        min(abs(weight) for path, weight in zip(projection.paths, projection.weights, strict=True) if path.even) > 1e-3
    )


@pytest.mark.parametrize(("dtype", "rtol"), [(torch.float64, 1e-12), (torch.float32, 2e-6)])
@pytest.mark.parametrize("mode", ["uvu", "uvw"])
@pytest.mark.parametrize("method", ["exact", "per_path"])
def test_equivariance_on_edges_of_every_kind(mode, method, dtype, rtol, rng):
    """Edges along the poles and axes, of length zero, tiny and general, through their harmonics; own weights."""
    lmax, c = 3, 4
    axes = np.eye(3)
    vectors = np.concatenate([axes, -axes, np.zeros((1, 3)), 1e-30 * axes, rng.standard_normal((4, 3))])
    product = TensorProduct(
        lmax, (c, 1) if mode == "uvu" else (c, 1, c), mode=mode, method=method, weights="external"
    ).to(dtype)
    x = torch.tensor(rng.standard_normal((len(vectors), (lmax + 1) ** 2, c)), dtype=dtype)
    w = torch.tensor(rng.standard_normal((len(vectors), *product.weight_shape)), dtype=dtype)
    turns = [np.diag([1.0, -1.0, -1.0]), np.diag([-1.0, 1.0, -1.0]), *rotation.haar_rotations(4, rng)]

    def value(turn: np.ndarray) -> torch.Tensor:
        D = torch.tensor(rotation.wigner_D(lmax, turn), dtype=dtype)
        y = torch.tensor(spherical_harmonics(lmax, vectors @ turn.T), dtype=dtype).unsqueeze(-1)
        return product(D @ x, y, w)

    straight = value(np.eye(3))
    scale = float(straight.norm(dim=1).max())
    for turn in turns:
        D = torch.tensor(rotation.wigner_D(lmax, turn), dtype=dtype)
        assert_close(value(turn), D @ straight, rtol * scale, f"{product} of turned edges")
    assert float(straight[6].abs().max()) > 0  # the edge of length zero has a scalar


@pytest.mark.parametrize("coupling", ["0e+0o+1o+1e", "0e+1o x 0e+1o+2e -> 1o+0e+2e+1e"])
def test_inversion(coupling):
    product = TensorProduct(coupling, 2, method="per_path").double()
    x, y = inputs(product)
    sx, sy, sz = (
        torch.tensor([irrep.parity for irrep in irreps for _ in range(irrep.dim)]).double().unsqueeze(-1)
        for irreps in (product.coupling.x, product.coupling.y, product.coupling.z)
    )
    assert float(product(x, y).detach().abs().max()) > 0
    assert_close(
        product(sx * x, sy * y).detach(), (sz * product(x, y)).detach(), 1e-13, f"{product} of inverted features"
    )


@pytest.mark.parametrize("form", ["y_first", "factored"])
def test_the_error_of_cp_is_the_predicted_one(form, rng):
    """E|eps|^2 = 2 ||Mhat - P Mhat||^2, through the layer."""
    tensor = CouplingTensor(1)
    noise = CPFactors(*rng.standard_normal((3, 4, 3)) * 0.3)
    eye = np.eye(4)  # the outer-product decomposition of M, plus noise
    exact = CPFactors(tensor.array.transpose(0, 1, 2).reshape(4, 16), np.repeat(eye, 4, axis=1), np.tile(eye, 4))
    factors = CPFactors(
        *(np.concatenate(pair, 1) for pair in zip(*([f.A, f.B, f.C] for f in (exact, noise)), strict=True))
    )
    product = TensorProduct(1, 1, method=factors, form=form, weights="none").double()
    run = as_map(product)
    count = 200_000
    x, y = rng.standard_normal((2, count, 4))
    D = rotation.wigner_D(1, rotation.haar_rotations(count, rng))
    left = np.einsum("nab,nb->na", D, run(x, y))
    error = left - run(np.einsum("nab,nb->na", D, x), np.einsum("nab,nb->na", D, y))
    predicted = (product.equivariance_error * np.linalg.norm(factors.array)) ** 2
    assert_close(
        predicted, 2 * np.linalg.norm(factors.array - tensor.project(factors.array).array) ** 2, 1e-12, "predicted"
    )
    assert_close(np.mean(np.sum(error**2, axis=1)) / predicted, 1.0, 0.01, "measured / predicted E|eps|^2")


@given(st.one_of(strategies.lmaxes(1, 2).map(Coupling.of), strategies.couplings()), st.data())
@settings(max_examples=20)
def test_one_relative_equivariance_error(coupling, data):
    """The layer, the theory and the atlas give the same number for the same factors, for any irreps."""
    factors = data.draw(strategies.factors(coupling.shape))
    product = TensorProduct(coupling, 2, method=factors)
    error = product.equivariance_error
    assert 0 <= error <= np.sqrt(2) * (1 + 1e-14)
    assert_close(error, rms_error_relative_to_output(factors, coupling), 1e-14, "TensorProduct.equivariance_error")
    assert_close(rms_error_relative_to_output(product), error, 1e-14, "the layer, given to the theory")
    entry = AtlasEntry("", factors, CouplingTensor(coupling.complete).project(factors.array), {}, {}, {})
    assert_close(entry.error, error, 1e-14, "AtlasEntry.error")


def test_equivariant_parts_outside_the_paths_in_use_are_no_error():
    """Rotations allow odd paths, in use or not; inversion forbids them if the irreps have parity."""
    gaunt, everything = CouplingTensor.even(1), outer_product(CouplingTensor(1))
    assert TensorProduct(gaunt, 1, method=everything).equivariance_error < 1e-13
    expected = np.sqrt(2) * np.sqrt(1 - gaunt.norm**2 / CouplingTensor(1).norm ** 2)  # the path 1x1->1 of five
    error = TensorProduct("0e+1o", 1, method=everything).equivariance_error
    assert_close(error, expected, 1e-13, "error with parity")
    with refuses(ValueError, "zero", "without output"):
        _ = TensorProduct(1, 1, method=CPFactors(*np.zeros((3, 4, 1)))).equivariance_error


GRADIENT_CASES = [
    (mode, channels, method)
    for mode, channels in [
        ("uvu", (2, 1)),
        ("uvu", (2, 2)),
        ("uvv", (2, 2)),
        ("uvw", (2, 2, 2)),
        ("uuu", (2,)),
        ("uuw", (2, 3)),
    ]
    for method in ("exact", "per_path", "cubature")
]


@pytest.mark.parametrize(("mode", "channels", "method"), GRADIENT_CASES)
def test_first_and_second_derivatives(mode, channels, method):
    coupling = {"exact": 1, "per_path": "0e+1o x 1o -> 0e+1o", "cubature": "0e+1o"}[method]
    for form in forms_of(coupling, channels, mode, method):
        for shared in (True, False):
            product = TensorProduct(
                coupling, channels, mode=mode, method=method, form=form, weights="external"
            ).double()
            x, y = inputs(product)
            shape = product.weight_shape if shared else (2, *product.weight_shape)
            w = torch.randn(shape, dtype=torch.float64, requires_grad=True)
            x, y = x[:2].clone().requires_grad_(), y[:2].clone().requires_grad_()
            assert torch.autograd.gradcheck(product, (x, y, w), fast_mode=True)
            assert torch.autograd.gradgradcheck(product, (x, y, w), fast_mode=True)


@pytest.mark.parametrize("form", ["y_first", "dense", "sparse"])
def test_gradients_of_some_inputs_only(form):
    product = TensorProduct(1, 3, weights="external", form=form).double()
    x, y = inputs(product)
    w = torch.randn(EDGES, 3, 1, dtype=torch.float64)
    full = [value.clone().requires_grad_() for value in (x, y, w)]
    wanted_gradients = torch.autograd.grad(product(*full).square().sum(), full)
    for number in range(3):
        values = [value.clone().requires_grad_(place == number) for place, value in enumerate((x, y, w))]
        (gradient,) = torch.autograd.grad(product(*values).square().sum(), [values[number]])
        assert_close(gradient, wanted_gradients[number], 1e-13, f"gradient of input {number} alone, {form}")


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize(("mode", "channels"), MODES)
def test_low_precision_is_rounded_once(mode, channels, dtype):
    for method in ("exact", "per_path", "cubature"):
        product = TensorProduct("0e+1o+2e", channels, mode=mode, method=method)
        x, y = inputs(product, dtype=dtype)
        z = product(x, y)
        assert z.dtype == dtype
        exact = wanted(product, x, y, product.weight)
        atol = float(torch.finfo(dtype).eps) * float(np.abs(exact).max())
        assert_close(z.detach().double().numpy(), exact, atol, str(product))
        half = product.to(dtype)
        assert {buffer.dtype for buffer in half.buffers()} <= {torch.float32}
        assert half(x, y).dtype == dtype


@pytest.mark.parametrize("method", ["exact", "per_path"])
def test_couple_gives_zero_where_no_path_leads(method):
    """From scalars only, no path leads to degree 1."""
    product = YFirstProduct(ProductSpec("0e+1o x 0e -> 0e+1o", 2, method=method, weights="external"))
    x, weights = torch.ones(3, 1, 2), torch.ones(3, *product.weight_shape)
    z = product.couple(product.prepare(torch.ones(3, 1)), x, weights)
    assert torch.equal(z, torch.cat([x, torch.zeros(3, 3, 2)], 1))


@pytest.mark.parametrize(("mode", "channels"), MODES)
def test_autocast_changes_nothing(mode, channels):
    """Operands rounded by autocast would be read by the compiled loops as what they are not."""
    product = TensorProduct("0e+1o+2e", channels, mode=mode)
    x, y = inputs(product, dtype=torch.float32)
    with torch.autocast("cpu", torch.bfloat16):
        z = product(x, y)
    assert torch.equal(z, product(x, y))


@pytest.mark.parametrize("method", ["exact", "per_path", "cubature"])
def test_double_restores_full_accuracy(method):
    """Also after a detour through bfloat16."""
    irreps = "0e+1o+2e+3o"
    product = TensorProduct(irreps, 1, method=method, weights="none").bfloat16().float().double()
    x, y = inputs(product)
    assert_close(product(x, y), wanted(product, x, y, None), 1e-12, f"{product} in double")


def test_state_dict_round_trip():
    torch.manual_seed(0)
    one, other = TensorProduct(2, 4), TensorProduct(2, 4)
    x, y = inputs(one, dtype=torch.float32)
    other.load_state_dict(one.state_dict())
    assert torch.equal(one(x, y), other(x, y))
    assert set(one.state_dict()) == {"weight", "_extra_state"}  # constants are made again, not loaded
    four = {**one.state_dict(), "_extra_state": one.state_dict()["_extra_state"][:4]}  # as in files of version 0.1
    other.load_state_dict(four)
    first = TensorProduct(1, 4, method=random_factors(4))
    with refuses(ValueError, "another tensor", "same factors"):
        TensorProduct(1, 4, method=random_factors(4, rank=6)).load_state_dict(first.state_dict())


@pytest.mark.parametrize("form", ["y_first", "dense", "sparse"])
def test_copies(form):
    product = TensorProduct(1, 3, form=form)
    x, y = inputs(product, dtype=torch.float32)
    for twin in (copy.deepcopy(product), pickle.loads(pickle.dumps(product))):  # noqa: S301 - our own bytes
        assert torch.equal(twin(x, y), product(x, y))


def test_results_are_the_same_in_every_run():
    for method in ("exact", "per_path"):
        product = TensorProduct(2, 32, method=method)
        x, y = inputs(product, dtype=torch.float32)
        assert all(torch.equal(product(x, y), product(x, y)) for _ in range(3))


def test_leading_axes_and_no_edges():
    product = TensorProduct(1, 3).double()
    x, y = inputs(product)
    assert torch.equal(product(x.reshape(2, 3, 4, 3), y.reshape(2, 3, 4, 1)).reshape(6, 4, 3), product(x, y))
    assert torch.equal(product(x[0], y[0]), product(x, y)[0])
    for form in ("y_first", "dense", "sparse"):
        empty = TensorProduct(1, 3, form=form).double()(x[:0].requires_grad_(), y[:0])
        assert empty.shape == (0, 4, 3)
        empty.sum().backward()


@pytest.mark.parametrize("lmax", [1, 2, 3])
def test_it_is_the_product_of_e3nn(lmax):
    """e3nn's uvu with every path into one output, path weights that undo its normalisation, in its own layout."""
    c = 3
    irreps = [(c, (l, 1)) for l in range(lmax + 1)]
    harmonics = [(1, (l, 1)) for l in range(lmax + 1)]
    coupling = CouplingTensor(lmax).coupling
    instructions = [(p.x, p.y, p.z, "uvu", True, 1.0) for p in coupling.paths]
    options = {"irrep_normalization": "none", "path_normalization": "none"}
    torch.set_default_dtype(torch.float64)  # or its Clebsch-Gordan coefficients have single precision
    try:
        shared = {"shared_weights": False, "internal_weights": False}
        peer = o3.TensorProduct(irreps, harmonics, irreps, instructions, **options, **shared)
    finally:
        torch.set_default_dtype(torch.float32)
    product = TensorProduct(lmax, c, method="per_path", weights="external").double()
    x, y = inputs(product)
    w = torch.randn(EDGES, *product.weight_shape, dtype=torch.float64)
    text = "+".join(map(str, range(lmax + 1)))
    theirs = peer(to_e3nn(x, text), to_e3nn(y, text), w.reshape(EDGES, -1))
    assert_close(product(x, y, w), from_e3nn(theirs, text), 1e-12, f"{product} and e3nn")
    assert torch.equal(from_e3nn(to_e3nn(x, text), text), x)


def test_explain_says_what_is_used():
    text = TensorProduct(2, 128, fused=False).explain()
    assert "y_first" in text
    assert "least modelled time" in text
    assert "plain torch" in text
    forced = TensorProduct(2, 128, form="dense", fused=False).explain()
    assert "chosen by the caller" in forced
    assert TensorProduct(2, 128, method="cubature", mode="uuu").plan("cuda").form == "factored"
    fused = TensorProduct(3, 128, mode="uuu", fused=True)
    assert fused.plan().form == "sparse"
    assert "C compiler" in fused.explain()


def test_initial_weights_keep_the_size():
    torch.manual_seed(0)
    weight = TensorProduct(1, (50, 20), mode="uvu").weight
    assert weight is not None
    assert abs(float(weight.detach().std()) - 20**-0.5) < 0.02


def test_errors_teach():
    with refuses(ValueError, "'uvx'", "uvu"):
        TensorProduct(1, 2, mode="uvx")
    with refuses(ValueError, "'fast'", "per_path"):
        TensorProduct(1, 2, method="fast")
    with refuses(ValueError, "(2,)", "u, v, w"):
        TensorProduct(1, (2,), mode="uvw")
    with refuses(ValueError, "channels are 2", "u, w"):
        TensorProduct(1, 2, mode="uuw")
    with refuses(ValueError, "needs weights", "external"):
        TensorProduct(1, (2, 2), mode="uuw", weights="none")
    with refuses(ValueError, "'factored'", "y_first"):
        TensorProduct(1, 2, form="factored")
    with refuses(ValueError, "0e+0o", "use method 'exact'"):
        TensorProduct("0e+0o", 2, method="cubature")
    with refuses(ValueError, "odd paths only", "cubature"):
        TensorProduct("1 x 1 -> 1", 2, method="cubature")
    with refuses(ValueError, "d=4", "d = 9"):
        TensorProduct(2, 2, method=random_factors(4))
    with refuses(ValueError, "2x1o", "multiplicities"):
        TensorProduct("0e+2x1o", 2)
    with refuses(ValueError, "zero"):
        TensorProduct("0e x 0e -> 1o", 2)
    with refuses(TypeError, "1.5", "0e+1o+2e"):
        TensorProduct(1.5, 2)  # pyright: ignore[reportArgumentType]
    product = TensorProduct(1, 2)
    x, y = inputs(product, dtype=torch.float32)
    with refuses(ValueError, "y has shape", "4, 1"):
        product(x, y.squeeze(-1))
    with refuses(ValueError, "x has shape", "(..., 4, 2)"):
        product(x.mT, y)
    with refuses(TypeError, "float64", "module.to("):
        product(x.double(), y.double())
    with refuses(TypeError, "float32", "float64"):
        product(x, y.double())
    with refuses(ValueError, "weights are given", "external"):
        product(x, y, torch.ones(2, 1))
    external = TensorProduct(1, 2, weights="external")
    with refuses(ValueError, "missing", "(2, 1)"):
        external(x, y)
    with refuses(ValueError, "(3,)", "(2, 1)"):
        external(x, y, torch.ones(3))
    with refuses(ValueError, "multiple of d = 4"):
        from_e3nn(torch.ones(2, 7), "0e+1o")
    with refuses(ValueError, "d = 4"):
        to_e3nn(torch.ones(2, 5, 1), "0e+1o")
