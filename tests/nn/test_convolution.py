"""The convolution against its definition: values and derivatives, compiled and in plain torch."""

from __future__ import annotations

import itertools
import multiprocessing
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch.fx.experimental.proxy_tensor import make_fx

from tdn_theory.coupling import CouplingTensor
from tdn_theory.nn.convolution import Convolution, ConvolutionPath, Slot
from tdn_theory.nn.kernels import loops
from tests.assertions import refuses
from tests.nn.test_kernels import EPS, needs_compiler, vectors  # noqa: F401  vectors is a fixture

WAYS = [pytest.param(True, marks=needs_compiler, id="compiled"), pytest.param(False, id="plain")]


@pytest.fixture(params=WAYS)
def way(request, monkeypatch):
    """With the compiled loops, and as where there is no compiler."""
    monkeypatch.setattr(loops, "usable", lambda: request.param)


@dataclass(frozen=True)
class Case:
    """Paths, and where rows end."""

    paths: list[ConvolutionPath]
    by_channel: bool
    widths: dict[str, int]

    def convolution(self) -> Convolution:
        return Convolution(self.paths, **self.widths, by_channel=self.by_channel)

    def inputs(self, nodes: int, edges: int, rng: np.random.Generator, dtype=torch.float64, one_row=False):
        """x, y, w, source, target. Some nodes have no edge, and edges are in no order."""
        shapes = (nodes, self.widths["x_width"]), (edges, self.widths["y_width"])
        shapes = *shapes, (1 if one_row else edges, self.widths["weight_width"])
        values = [torch.tensor(rng.standard_normal(shape)).to(dtype) for shape in shapes]
        return *values, *(torch.tensor(rng.integers(0, max(nodes - 1, 1), edges)) for _ in range(2))


def random_case(rng: np.random.Generator) -> Case:
    """Slots of any size with gaps between them; paths with own or shared slots and weights; sparse tensors."""
    y_width = int(rng.integers(1, 10))
    kinds = [int(rng.choice([1, 2, 3, 7, 8, 16, 17, 33, 64])) for _ in range(rng.integers(1, 3))]
    paths, sides, weights = [], {"x": [], "z": []}, []
    place = {"x": 0, "z": 0, "w": 0}

    def slot(side: str, channels: int) -> Slot:
        old = [one for one in sides[side] if one.channels == channels]
        if old and rng.random() < 0.4:
            return old[rng.integers(len(old))]
        new = Slot(place[side] + int(rng.integers(0, 3)), int(rng.integers(1, 10)), channels)
        place[side] = new.first + new.components * channels
        sides[side].append(new)
        return new

    for _ in range(rng.integers(1, 6)):
        channels = kinds[rng.integers(len(kinds))]
        x, z = slot("x", channels), slot("z", channels)
        d2 = int(rng.integers(1, y_width + 1))
        tensor = rng.standard_normal((z.components, x.components, d2)) * (rng.random((1, x.components, d2)) < 0.5)
        old = [first for first, size in weights if size == channels]
        if not old or rng.random() < 0.7:
            weights.append((place["w"], channels))
            place["w"] += channels
            old = [weights[-1][0]]
        paths.append(ConvolutionPath(x, int(rng.integers(0, y_width - d2 + 1)), z, old[0], tensor))
    widths = {"x_width": place["x"] + 2, "y_width": y_width, "z_width": place["z"] + 1, "weight_width": place["w"]}
    return Case(paths, bool(rng.random() < 0.5), widths)


def reference(case: Case, x, y, w, source, target, count):
    """The definition, path by path, with einsum."""

    def read(rows, slot):
        part = rows[:, slot.first : slot.first + slot.components * slot.channels]
        if case.by_channel:
            return part.unflatten(1, (slot.channels, slot.components)).mT
        return part.unflatten(1, (slot.components, slot.channels))

    z = x.new_zeros(count, case.widths["z_width"])
    for path in case.paths:
        channels = path.x.channels
        tensor = torch.tensor(path.tensor, dtype=x.dtype)
        harmonics = y[:, path.y : path.y + tensor.shape[2]]
        weights = w[:, path.weight : path.weight + channels].expand(len(source), -1)
        made = torch.einsum("eu,kij,eiu,ej->eku", weights, tensor, read(x, path.x)[source], harmonics)
        made = (made.mT if case.by_channel else made).flatten(1)
        columns = torch.arange(path.z.first, path.z.first + made.shape[1])
        z = z.index_put((target[:, None], columns[None]), made, accumulate=True)
    return z


def derivatives(function, inputs) -> list[torch.Tensor]:
    """The value, all first derivatives of a function of it, and all second ones along some direction."""

    def direction(part: torch.Tensor) -> torch.Tensor:
        return torch.arange(part.numel(), dtype=torch.float64).cos().view(part.shape).to(part.dtype)

    leaves = [value.clone().requires_grad_() for value in inputs]
    z = function(*leaves)
    first = torch.autograd.grad((z * direction(z)).sum() + (z**2).sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum((part * direction(part)).sum() for part in first), leaves)
    return [part.detach() for part in (z, *first, *second)]


def agree(got, wanted, eps: float, name: str) -> None:
    for number, (one, other) in enumerate(zip(got, wanted, strict=True)):
        scale = float(other.abs().max()) if other.numel() else 0.0
        error = float((one - other).abs().max()) if other.numel() else 0.0
        assert one.shape == other.shape
        # sums of some hundred products of up to six random numbers each, in another order
        assert error <= 300 * eps * max(scale, 1.0), f"{name}, part {number}: off by {error:.1e} of {scale:.1e}"


@pytest.mark.parametrize("seed", range(40))
def test_random_convolutions(seed, way):
    """Five couplings for each seed: values, first and second derivatives."""
    rng = np.random.default_rng(seed)
    for number in range(5):
        case = random_case(rng)
        nodes, edges = int(rng.integers(1, 8)), int(rng.choice([0, 1, 5, 40]))
        x, y, w, source, target = case.inputs(nodes, edges, rng, one_row=bool(rng.random() < 0.3))
        convolution = case.convolution()
        got = derivatives(lambda *some: convolution(*some, source, target, nodes), (x, y, w))  # noqa: B023
        wanted = derivatives(lambda *some: reference(case, *some, source, target, nodes), (x, y, w))  # noqa: B023
        agree(got, wanted, EPS[torch.float64], f"seed {seed}, {number}")


@needs_compiler
@pytest.mark.parametrize("dtype", EPS)
@pytest.mark.parametrize("channels", [1, 7, 8, 16, 17, 64])
def test_every_vector(channels, dtype, vectors, monkeypatch):  # noqa: F811
    """The loops of every processor, for channels that fill vectors and that do not."""
    monkeypatch.setattr(loops, "usable", lambda: True)
    rng = np.random.default_rng(channels)
    x, z = Slot(0, 9, channels), Slot(0, 8, channels)
    paths = [ConvolutionPath(x, 1, z, 0, rng.standard_normal((8, 9, 4)))]
    widths = {"x_width": 9 * channels, "y_width": 5, "z_width": 8 * channels, "weight_width": channels}
    for by_channel in (False, True):
        case = Case(paths, by_channel, widths)
        x, y, w, source, target = case.inputs(4, 37, rng, dtype)
        double = [value.double() for value in (x, y, w)]
        convolution = case.convolution()
        got = derivatives(lambda *some: convolution(*some, source, target, 4), (x, y, w))  # noqa: B023
        wanted = derivatives(lambda *some: reference(case, *some, source, target, 4), double)  # noqa: B023
        for one, other in zip(got, wanted, strict=True):
            assert float((one - other).abs().max()) <= 3e3 * EPS[dtype] * float(other.abs().max())


def test_gradcheck(way):
    """All derivatives against differences, first and second."""
    rng = np.random.default_rng(3)
    case = random_case(rng)
    while case.widths["x_width"] * case.widths["z_width"] > 2000:
        case = random_case(rng)
    x, y, w, source, target = case.inputs(3, 4, rng)
    leaves = [value.requires_grad_() for value in (x, y, w)]
    convolution = case.convolution()

    def function(*some):
        return convolution(*some, source, target, 3)

    assert torch.autograd.gradcheck(function, leaves)
    assert torch.autograd.gradgradcheck(function, leaves)


@needs_compiler
def test_a_large_graph_on_several_threads(monkeypatch):
    """Results do not depend on the number of threads, bit by bit."""
    monkeypatch.setattr(loops, "BYTES_PER_THREAD", 1)
    monkeypatch.setattr(loops, "usable", lambda: True)
    rng = np.random.default_rng(0)
    convolution = Convolution.of(2, 16)
    nodes, edges = 500, 20_000
    x, y, w = (torch.tensor(rng.standard_normal(shape)) for shape in ((nodes, 144), (edges, 9), (edges, 240)))
    source, target = (torch.tensor(rng.integers(0, nodes, edges)) for _ in range(2))
    before, results = torch.get_num_threads(), []
    try:
        for threads in (1, 2, 3):
            torch.set_num_threads(threads)
            results.append(derivatives(lambda *some: convolution(*some, source, target, nodes), (x, y, w)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(one, first) for some in results for one, first in zip(some, results[0], strict=True))


@pytest.mark.parametrize("shared", [False, True])
def test_of_a_coupling(shared, way):
    """Rows are features (n, d, channels) flattened, and weights (paths, channels)."""
    rng = np.random.default_rng(1)
    tensor = CouplingTensor("0e+1o x 1o+2e -> 1o+2e")
    convolution = Convolution.of(tensor, 3, shared=shared)
    d1, d2, d3 = tensor.coupling.dims
    sizes = (4, d1, 3), (6, d2), (6, 1 if shared else len(tensor.paths), 3)
    x, y, w = (torch.tensor(rng.standard_normal(size)) for size in sizes)
    source, target = (torch.tensor(rng.integers(0, 4, 6)) for _ in range(2))
    wanted = torch.zeros(4, d3, 3, dtype=torch.float64)
    slots = [np.cumsum([0, *(irrep.dim for irrep in irreps)]) for irreps in (tensor.coupling.z, tensor.coupling.x)]
    for number, path in enumerate(tensor.paths):
        block = np.zeros((d3, d1, d2))
        k, i = slots[0][path.z], slots[1][path.x]
        size = tensor.block(path).shape
        j = sum(irrep.dim for irrep in tensor.coupling.y[: path.y])
        block[k : k + size[0], i : i + size[1], j : j + size[2]] = tensor.block(path)
        made = torch.einsum("eu,kij,eiu,ej->eku", w[:, 0 if shared else number], torch.tensor(block), x[source], y)
        wanted.index_add_(0, target, made)
    got = convolution(x.flatten(1), y, w.flatten(1), source, target, 4)
    torch.testing.assert_close(got.view(4, d3, 3), wanted, rtol=1e-12, atol=1e-12)


def in_a_fork(send) -> None:
    torch.set_num_threads(2)
    send.send(_sum_of_ones())


def _sum_of_ones() -> float:
    convolution = Convolution.of(0, 8)
    ends = torch.zeros(1000, dtype=torch.long)
    return float(convolution(torch.ones(1, 8), torch.ones(1000, 1), torch.ones(1, 8), ends, ends, 1).sum())


@needs_compiler
@pytest.mark.filterwarnings("ignore:.*fork:DeprecationWarning")  # of processes with threads: that is what is tested
def test_a_process_made_by_fork_does_not_wait_for_threads_that_it_has_not(monkeypatch):
    monkeypatch.setattr(loops, "BYTES_PER_THREAD", 1)
    before = torch.get_num_threads()
    try:
        torch.set_num_threads(2)
        wanted = _sum_of_ones()  # now there are threads
        receive, send = multiprocessing.Pipe(duplex=False)
        process = multiprocessing.get_context("fork").Process(target=in_a_fork, args=(send,))
        process.start()
        try:
            assert receive.poll(60), "it waits for ever"
            assert receive.recv() == wanted
        finally:
            process.kill()
            process.join()
    finally:
        torch.set_num_threads(before)


@needs_compiler
@pytest.mark.parametrize("threads", [1, 2])
def test_loops_without_memory_say_so(monkeypatch, threads):
    monkeypatch.setattr(loops, "BYTES_PER_THREAD", 1)
    monkeypatch.setattr(torch, "get_num_threads", lambda: threads)
    nothing = torch.zeros(0, 8, dtype=torch.int64)
    much, none = 1 << 50, 0
    # the sorted edges, the features turned, the sums of a node; and the matrices
    at_nodes = (much, 1, 0, 0), (0, 1, 1, 0, 1, 1, much), (0, 2, 0, 0, 1, 0, 1, 0, 0, much)
    for sizes in at_nodes:
        with refuses(MemoryError, "no memory"):
            loops.call(loops.function("sum_at_nodes", torch.float32, 1), (*sizes, *[none] * 12)[:12], (nothing,) * 11)
    with refuses(MemoryError, "no memory"):
        loops.call(loops.function("sum_at_edges", torch.float32, 1), (2, 0, 0, 0, much, *[none] * 9), (nothing,) * 13)


# --- what torch does with operators


@pytest.fixture
def small(way):
    rng = np.random.default_rng(5)
    convolution = Convolution.of(1, 2)
    x, y, w = (torch.tensor(rng.standard_normal(shape)) for shape in ((3, 8), (5, 4), (5, convolution.weight_width)))
    source, target = (torch.tensor(rng.integers(0, 3, 5)) for _ in range(2))
    return convolution, (x, y, w), (source, target, 3)


@pytest.mark.filterwarnings("ignore:`torch.jit:DeprecationWarning")  # of jacfwd
def test_functorch(small):
    """Samples of a batch, Hessians in both modes, and directional derivatives, weights of one row included."""
    convolution, (x, y, w), ends = small

    def energy(x, y, w):
        return convolution(x, y, w, *ends).sin().sum()

    for weights in (w, w[:1]):
        plain = torch.autograd.functional.hessian(energy, (x, y, weights))
        for one in (torch.func.hessian, lambda f, places: torch.func.jacrev(torch.func.jacrev(f, places), places)):
            found = one(energy, (0, 1, 2))(x, y, weights)
            for got, wanted in zip(itertools.chain(*found), itertools.chain(*plain), strict=True):
                torch.testing.assert_close(got, wanted, rtol=1e-12, atol=1e-12)
        batch = [torch.stack([value, 2 * value, value.flip(0)]) for value in (x, y, weights)]
        for given in itertools.product((0, None), repeat=3):
            if given != (None, None, None):
                inputs = [many if at == 0 else many[0] for many, at in zip(batch, given, strict=True)]
                got = torch.vmap(lambda *some: convolution(*some, *ends), given)(*inputs)
                for sample in range(3):
                    one = [many[sample] if at == 0 else many[0] for many, at in zip(batch, given, strict=True)]
                    torch.testing.assert_close(got[sample], convolution(*one, *ends), rtol=1e-12, atol=1e-12)
        tangents = [value.cos() for value in (x, y, weights)]
        _, slope = torch.func.jvp(energy, (x, y, weights), tuple(tangents))
        gradient = torch.func.grad(energy, (0, 1, 2))(x, y, weights)
        expected = sum((a * b).sum() for a, b in zip(gradient, tangents, strict=True))
        torch.testing.assert_close(slope, expected, rtol=1e-12, atol=1e-12)


def test_edges_may_be_a_batch_too(small):
    convolution, values, (source, target, count) = small
    sources = torch.stack([source, source.flip(0)])
    got = torch.vmap(lambda some: convolution(*values, some, target, count))(sources)
    torch.testing.assert_close(got[1], convolution(*values, source.flip(0), target, count))


def test_make_fx_and_fake_tensors(small):
    convolution, values, ends = small

    def gradients(*some):
        leaves = [value.detach().requires_grad_() for value in some]
        return torch.autograd.grad(convolution(*leaves, *ends).sin().sum(), leaves)

    traced = make_fx(gradients)(*values)
    others = [value.flip(0) for value in values]
    for got, wanted in zip(traced(*others), gradients(*others), strict=True):
        torch.testing.assert_close(got, wanted)
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fake = convolution(*map(mode.from_tensor, values), *ends)
    assert fake.shape == (3, 8)


def test_operators_keep_torchs_contract(small):
    convolution, values, (source, target, count) = small
    constants = [getattr(convolution, f"_{name}") for name in ("table", "entries", "values", "x_slots", "z_slots")]
    leaves = [value.requires_grad_() for value in values]
    torch.library.opcheck(
        torch.ops.tdn_theory.sum_at_nodes.default, (*leaves, *constants, source, target, count, 8, False)
    )
    g = torch.ones(count, 8, dtype=torch.float64, requires_grad=True)
    torch.library.opcheck(
        torch.ops.tdn_theory.sum_at_edges.default, (*leaves, g, *constants, source, target, True, True)
    )


# --- dtypes and errors


def test_dtypes():
    """Narrow dtypes are computed in float32, and constants keep double precision through a move."""
    rng = np.random.default_rng(7)
    case = random_case(rng)
    inputs = case.inputs(3, 6, rng)
    exact = reference(case, *inputs, 3)
    moved = case.convolution().float().double()
    torch.testing.assert_close(moved(*inputs, 3), exact, rtol=1e-13, atol=1e-13)
    half = moved(*(value.bfloat16() for value in inputs[:3]), *inputs[3:], 3)
    rounded = [value.bfloat16().float() for value in inputs[:3]]
    assert half.dtype == torch.bfloat16
    torch.testing.assert_close(half, reference(case, *rounded, *inputs[3:], 3).bfloat16(), rtol=2**-7, atol=1e-4)


def test_autocast_changes_nothing(way):
    convolution = Convolution.of(1, 2)
    rng = np.random.default_rng(0)
    sizes = (3, 8), (5, 4), (5, convolution.weight_width)
    values = [torch.tensor(rng.standard_normal(size), dtype=torch.float32, requires_grad=True) for size in sizes]
    ends = torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 2, 0, 0, 1]), 3
    wanted = convolution(*values, *ends)
    with torch.autocast("cpu", torch.bfloat16):
        got = convolution(*values, *ends)
        gradients = torch.autograd.grad(got.square().sum(), values)
    assert torch.equal(got, wanted)
    assert all(map(torch.equal, gradients, torch.autograd.grad(wanted.square().sum(), values)))


def test_constants_of_the_meta_device_are_missed():
    with torch.device("meta"):
        convolution = Convolution.of(1, 2)
    with refuses(ValueError, "meta device", "_values"):
        convolution.to_empty(device="cpu")


def test_errors_teach(unchecked):
    convolution = Convolution.of(1, 2)
    x, y, w = torch.ones(3, 8), torch.ones(5, 4), torch.ones(5, convolution.weight_width)
    ends = torch.zeros(5, dtype=torch.long)
    with refuses(ValueError, "x has shape (3, 7)", "(rows, 8)"):
        convolution(x[:, :7], y, w, ends, ends, 3)
    with refuses(ValueError, "4 targets", "5 sources"):
        convolution(x, y, w, ends, ends[:4], 3)
    with refuses(TypeError, "torch.float64", "equal"):
        convolution(x.double(), y, w, ends, ends, 3)
    for source, target in ((ends + 3, ends), (ends - 1, ends), (ends, ends + 3)):
        with refuses(IndexError, "3 rows"):
            convolution(x, y, w, source, target, 3)
    with refuses(ValueError, "at least one path"):
        Convolution([], x_width=1, y_width=1, z_width=1, weight_width=1, by_channel=True)
    wrong = ConvolutionPath(Slot(0, 3, 2), 0, Slot(0, 1, 2), 0, np.ones((3, 1, 1)))
    with refuses(ValueError, "does not fit", "components"):
        Convolution([wrong], x_width=6, y_width=1, z_width=2, weight_width=2, by_channel=True)
    path = ConvolutionPath(Slot(0, 3, 2), 0, Slot(0, 1, 2), 0, np.ones((1, 3, 1)))
    fits = {"x_width": 6, "y_width": 1, "z_width": 2, "weight_width": 2}
    Convolution([path], **fits, by_channel=True)
    for name in fits:
        with refuses(ValueError, "beyond"):
            Convolution([path], **fits | {name: fits[name] - 1}, by_channel=True)
