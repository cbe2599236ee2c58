"""The trainable potential: an equivariant graph transformer with the products of this package."""

from __future__ import annotations

import json
import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from functools import partial
from pathlib import Path
from typing import Any, Literal, get_args

import safetensors
import torch
import torch.nn.functional as F
from jaxtyping import Float, Int
from torch import Tensor

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.store import Store
from tdn_theory.data.elements import check_elements
from tdn_theory.data.graph import Graph
from tdn_theory.files import safetensors_bytes, write_bytes
from tdn_theory.nn.attention import Attention, Block, DegreeEmbedding, Edges, FeedForward
from tdn_theory.nn.baselines.reference import ReferenceAttention, ReferenceDegreeEmbedding, ReferenceReadout
from tdn_theory.nn.edge_product import EdgeProduct, YFirstProduct
from tdn_theory.nn.harmonics import SphericalHarmonics, length
from tdn_theory.nn.kernels.rows import Rows
from tdn_theory.nn.layers import (
    SHARP_EPS,
    Basis,
    BesselBasis,
    GaussianBasis,
    LayerNorm,
    Linear,
    Readout,
    envelope,
)
from tdn_theory.nn.nearest import nearest
from tdn_theory.nn.precision import DoubleBuffers
from tdn_theory.nn.seeded import seeded
from tdn_theory.nn.spec import METHODS, Method, ProductSpec
from tdn_theory.provenance import versions
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import check_lmax

Forces = Literal["direct", "conservative", "none"]
Output = Literal["dipole", "polarizability"]


@dataclass(frozen=True)
class PotentialConfig:
    """What a potential is made of.

    Attributes:
        elements: Atomic numbers that it knows.
        lmax: Maximal degree L of features and harmonics.
        channels: Channels of every degree.
        layers: Number of attention blocks.
        heads: Heads of the attention, which split the channels.
        cutoff: Cutoff radius of the graph, Angstrom.
        basis: Radial basis.
        basis_size: Number of its functions.
        neighbors: Typical number of neighbours, by whose root the sum over neighbours in the embedding is divided.
        neighbor_limit: How many neighbours an atom has at most, the nearest and all of their shells (`nearest`); None
            for all within the cutoff. With a limit that is reached, energies are not continuous.
        method: Product of features with harmonics, see `ProductSpec`: `exact`, `cubature`, `cp`, or `per_path`, which
            alone has weights for every path instead of shared ones (E4). `cubature` has even paths only, which makes
            energies those of mirror images too; with odd paths they can differ.
        rank: Rank of the CP factors from the store; None for the paper's 7 L^2. Only for `cp`.
        share_linear: One matrix for all degrees in linear layers (PS-Linear, E4), or one for each.
        forces: `direct`: a further attention layer read at degree 1. `conservative`: minus the gradient of the energy.
        outputs: Further outputs: `dipole`, `polarizability`.
        pruned: Compute only what is read. False: the released order of operations, with the same result.

    Raises:
        TypeError: A number that counts something is not an int.
        ValueError: A value is not possible, or values do not fit together.
    """

    elements: tuple[int, ...]
    lmax: int = 1
    channels: int = 64
    layers: int = 3
    heads: int = 8
    cutoff: float = 5.0
    basis: Basis = "gaussian"
    basis_size: int = 32
    neighbors: float = 16.0
    neighbor_limit: int | None = None
    method: Method = "exact"
    rank: int | None = None
    share_linear: bool = True
    forces: Forces = "conservative"
    outputs: tuple[Output, ...] = ()
    pruned: bool = True

    def __post_init__(self) -> None:
        check_lmax(self.lmax)
        elements, outputs = tuple(int(z) for z in self.elements), tuple(self.outputs)  # lists, if they come from JSON
        object.__setattr__(self, "elements", elements)
        object.__setattr__(self, "outputs", outputs)
        if not elements or len(set(elements)) < len(elements) or not all(0 < z < MAX_NUMBER for z in elements):
            raise ValueError(f"elements are {elements}; give different atomic numbers from 1 to {MAX_NUMBER - 1}")
        for name in ("channels", "layers", "heads", "basis_size"):
            if not isinstance(getattr(self, name), int):
                raise TypeError(f"{name} is {getattr(self, name)!r}; it must be a whole number")
        for name in ("channels", "layers", "heads", "cutoff", "basis_size", "neighbors"):
            if not getattr(self, name) > 0:
                raise ValueError(f"{name} is {getattr(self, name)}; it must be positive")
        if self.neighbor_limit is not None and (type(self.neighbor_limit) is not int or self.neighbor_limit < 1):
            raise ValueError(f"neighbor_limit is {self.neighbor_limit!r}; it must be a whole number >= 1, or left out")
        if self.channels % self.heads:
            raise ValueError(f"{self.heads} heads cannot split {self.channels} channels; give a divisor of them")
        choices = {"basis": get_args(Basis), "method": METHODS, "forces": get_args(Forces)}
        for name, allowed in choices.items():
            if getattr(self, name) not in allowed:
                raise ValueError(f"{name} is {getattr(self, name)!r}; it must be one of {allowed}")
        if not set(outputs) <= set(get_args(Output)):
            raise ValueError(f"outputs are {outputs}; possible, beyond energy and forces, are {get_args(Output)}")
        if self.rank is not None and self.method != "cp":
            raise ValueError(f"rank is {self.rank}, but method {self.method!r} has none; leave it out, or choose 'cp'")
        if self.lmax < self.highest_output:
            raise ValueError(
                f"lmax is {self.lmax}; with forces {self.forces!r} and outputs {outputs} it must be >= "
                f"{self.highest_output}"
            )

    @property
    def highest_output(self) -> int:
        """The highest degree of an output."""
        direct = self.forces == "direct"
        return 2 if "polarizability" in self.outputs else 1 if direct or "dipole" in self.outputs else 0

    def to_dict(self) -> dict[str, Any]:
        """All settings, as JSON has them."""
        return {**asdict(self), "elements": list(self.elements), "outputs": list(self.outputs)}

    @classmethod
    def from_dict(cls, settings: Mapping[str, Any]) -> PotentialConfig:
        """The inverse of `to_dict`; settings that are left out have their defaults.

        Raises:
            ValueError: A setting is unknown, `elements` are missing, or a value is not possible.
        """
        names = [field.name for field in fields(cls)]
        unknown = sorted(set(settings) - set(names))
        if unknown or "elements" not in settings:
            problem = f"the settings {unknown} are unknown" if unknown else "the setting 'elements' is missing"
            raise ValueError(f"{problem}; a potential has {names}")
        lists = {
            name: tuple(settings[name]) for name in ("elements", "outputs") if name in settings
        }  # as JSON has them
        return cls(**{**settings, **lists})


MAX_NUMBER = 119
"""Atomic numbers are below this."""
SMOOTH_EPS = 1.0
"""Of the normalisation of features with conservative forces; with direct ones it is `SHARP_EPS`. The derivative of
`x / sqrt(x^2 + eps)` is `eps^(-1/2)` where x vanishes, as features of degree 1 do by symmetry in the middle of linear
molecules: with `SHARP_EPS`, conservative forces there grow beyond all bounds as the network learns."""


class Potential(DoubleBuffers):
    """Energies, forces and further properties of graphs of atoms.

    With the features x of `Attention` after all blocks,

        E = sum_i (scale e(x_i) + shift_(Z_i)),

    e a perceptron on the scalars. Direct forces are `scale` times degree 1 of one more attention layer; conservative
    ones are `-dE/dr`, and then the stress is `(1/V) sum_edges r (x) dE/dr`, symmetrised: its value for a strain of
    positions and cell.

    Dipoles are `sum_i (q_i r_i + mu_i)`, the scalars q less their mean, so that the molecule is neutral and nothing
    depends on the origin; mu are of degree 1. Polarizabilities are `sum_i (a_i 1 + A_i)`, A the traceless symmetric
    matrix of a feature of degree 2.

    Weights depend on `config` and `seed` only. Some have no influence, and stay for the paper's number of parameters
    (TAB4): `force_attention.project.bias` and `force_out.bias`, since direct forces read no scalar; and
    `properties.dipole.out.bias`, a charge that neutrality takes away.

    Args:
        config: What it is made of.
        seed: Seed of the initial weights.
        factors: CP factors to use instead of those in the store. Only for method `cp`.
        product: The product of features with harmonics, e.g. one in another order of operations; None for the one that
            `config` and `factors` say, M meeting the harmonics first.

    Raises:
        ValueError: Factors are given, but the method is not `cp`, or the product is another one than `config` says.
        LookupError: No CP factors of the rank are stored.

    >>> potential = Potential(PotentialConfig(elements=(1, 6, 8), lmax=2, channels=16, layers=2))
    >>> sum(parameter.numel() for parameter in potential.parameters())
    28867
    """

    shifts: Tensor
    scale: Tensor
    offset: Tensor
    index: Tensor
    traceless: Tensor

    def __init__(
        self,
        config: PotentialConfig,
        seed: int = 0,
        factors: CPFactors | None = None,
        *,
        product: EdgeProduct | None = None,
    ) -> None:
        super().__init__()
        self.config = config
        if factors is not None and config.method != "cp":
            raise ValueError(f"factors are given, but the method is {config.method!r}; choose method 'cp'")
        lmax, channels, shared = config.lmax, config.channels, config.share_linear
        if product is None:
            if factors is None and config.rank is not None:
                factors = Store().best(CouplingTensor(lmax), config.rank).factors
            method = factors or config.method
            product = YFirstProduct(ProductSpec(lmax, channels, method=method, weights="external"))
        wanted = Coupling.of(lmax).modes, (channels, 1), config.method
        if (product.coupling.modes, product.channels, product.method) != wanted:
            raise ValueError(
                f"product is {product}; its irreps, channels and method must be those of the configuration: lmax "
                f"{lmax}, {channels} channels, {config.method!r}"
            )
        common = {
            "basis": config.basis_size,
            "paths": product.weight_shape[0] if config.method == "per_path" else 1,
        }
        attention = Attention if config.pruned else ReferenceAttention
        embedding = DegreeEmbedding if config.pruned else ReferenceDegreeEmbedding
        readout = Readout if config.pruned else ReferenceReadout

        def attend() -> Attention:
            return attention(lmax, channels, config.heads, shared=shared, **common)

        def read() -> FeedForward:
            return FeedForward(lmax, channels, 1, shared, attention.gated)

        with seeded(self, seed):
            self.elements = torch.nn.Embedding(len(config.elements), channels)
            self.harmonics = SphericalHarmonics(lmax)
            self.basis = {"gaussian": GaussianBasis, "bessel": BesselBasis}[config.basis](
                config.basis_size, config.cutoff
            )
            self.surroundings = embedding(lmax, channels, shared=shared, neighbors=config.neighbors, **common)
            eps = SMOOTH_EPS if config.forces == "conservative" else SHARP_EPS
            blocks = (Block(lmax, channels, attend(), shared, eps) for _ in range(config.layers))
            self.blocks = torch.nn.ModuleList(blocks)
            self.norm = LayerNorm(lmax, channels, eps)
            self.energy = readout(lmax, channels, shared=shared)
            if config.forces == "direct":
                self.force_attention = attend()
                self.force_out = Linear(lmax, channels, 1, shared=shared)
            self.properties = torch.nn.ModuleDict({name: read() for name in config.outputs})
        self.product = product  # after the layers: its dtype is its own
        index = torch.full((MAX_NUMBER,), -1)
        index[list(config.elements)] = torch.arange(len(config.elements))
        self.register_buffer("index", index, persistent=False)
        self.register_buffer("traceless", torch.tensor(clebsch_gordan(1, 1, 2)), persistent=False)
        self.register_buffer("shifts", torch.zeros(len(config.elements), dtype=torch.float64))
        self.register_buffer("scale", torch.ones((), dtype=torch.float64))
        self.register_buffer("offset", torch.zeros((), dtype=torch.float64))

    def set_reference(
        self, shifts: Sequence[float] | Float[Tensor, " elements"], scale: float, offset: float = 0.0
    ) -> None:
        """Set the energy of each element and the unit of what the network adds, both from training data.

        Args:
            shifts: Energy per atom, eV, in the order of `config.elements`.
            scale: Energy (eV) and force (eV/Angstrom) that an output of size 1 stands for, e.g. the root mean square of
                the force components.
            offset: Energy of every structure, whatever it is made of, eV: for energies that do not grow with the number
                of atoms, as adsorption energies. With one, two molecules far apart are not the sum of both.

        Raises:
            ValueError: There is not one finite shift for each element, the scale is not positive, or the offset not
                finite.
        """
        values = torch.as_tensor(shifts, dtype=torch.float64).detach().cpu()
        if values.shape != self.shifts.shape or not bool(values.isfinite().all()):
            raise ValueError(f"shifts are {shifts}; give one finite energy for each of {self.config.elements}")
        if not 0 < scale < float("inf"):
            raise ValueError(f"scale is {scale}; it must be positive, e.g. the root mean square of the forces")
        if not math.isfinite(offset):
            raise ValueError(f"offset is {offset}; it must be a finite energy in eV")
        self.shifts.copy_(values)
        self.scale.fill_(scale)
        self.offset.fill_(offset)

    def forward(self, graph: Graph, *, of_atoms: bool = False) -> dict[str, Float[Tensor, "..."]]:
        """Properties of the graphs.

        Args:
            graph: A batch of graphs, in the dtype of the potential's weights, with edges up to the cutoff.
            of_atoms: Whether the energies of atoms, whose sums are those of the graphs, are wanted too.

        Returns:
            `energy` (g,), eV, and `energies` (n,), if they are wanted, always float64; `forces` (n, 3), eV/Angstrom,
            unless there are none; `stress` (g, 3, 3), eV/Angstrom^3, with conservative forces, NaN for a graph without
            a cell; `dipole` (g, 3), e Angstrom, NaN for a graph with a cell; `polarizability` (g, 3, 3), Angstrom^3.
            Conservative forces can be differentiated again in training mode, or if the positions ask for gradients.

        Raises:
            ValueError: An atom has an element that the potential does not know.
            TypeError: Positions and weights differ in dtype.
            RuntimeError: Conservative forces are asked for in inference mode.
        """
        if self.config.neighbor_limit is not None:
            graph = nearest(graph, self.config.neighbor_limit)
        evaluate = partial(self.evaluate, graph, self._elements(graph), of_atoms=of_atoms)
        if self.config.forces != "conservative":
            return evaluate(graph.vectors)
        if torch.is_inference_mode_enabled():
            raise RuntimeError(
                "conservative forces are derivatives of the energy, and torch.inference_mode() rules these out; use "
                "torch.no_grad() instead"
            )
        again = torch.is_grad_enabled() and (self.training or graph.positions.requires_grad)
        return with_forces(evaluate, graph, again)

    def _elements(self, graph: Graph) -> Tensor:
        if graph.positions.dtype != self.elements.weight.dtype:
            raise TypeError(
                f"positions have dtype {graph.positions.dtype}, the potential {self.elements.weight.dtype}; "
                "make the graph in that dtype, or move the potential: potential.to(graph.positions.dtype)"
            )
        elements = self.index[graph.numbers]
        if not torch.compiler.is_compiling() and bool((elements < 0).any()):
            check_elements(graph.numbers.tolist(), self.config.elements, "the potential")
        return elements

    def evaluate(
        self, graph: Graph, elements: Int[Tensor, " n"], vectors: Float[Tensor, "e 3"], *, of_atoms: bool = False
    ) -> dict[str, Float[Tensor, "..."]]:
        """All but what is a derivative of the energy.

        Args:
            graph: As for `forward`.
            elements: Place of each atom's element in `config.elements`.
            vectors: Vectors of the edges.
            of_atoms: As for `forward`.
        """
        nodes = graph.numbers.shape[0]
        distance = length(vectors)
        edges = Edges(
            graph.source,
            graph.target,
            self.basis(distance),
            envelope(distance, self.config.cutoff),
            self.product.prepare(self.harmonics(vectors)),
            self.product,
            (Rows(graph.source, nodes), Rows(graph.target, nodes, ascending=True)),
        )
        x = self.surroundings(edges, nodes)
        x = x + F.pad(self.elements(elements).unsqueeze(1), (0, 0, 0, x.shape[1] - 1))
        for block in self.blocks[:-1]:
            x = block(x, edges)
        # the force layer reads all of the last block, other outputs their own degrees
        everything = self.config.forces == "direct" or not self.config.pruned
        read = self.config.lmax if everything else self.config.highest_output
        x = self.norm(self.blocks[-1](x, edges, slice(0, read + 1)))

        energies = self.energy(x).double() * self.scale + self.shifts[elements]
        found = {"energy": _sum(energies, graph) + self.offset}
        if of_atoms:
            sizes = torch.bincount(graph.batch, minlength=graph.count)
            found["energies"] = energies + (self.offset / sizes)[graph.batch]
        if self.config.forces == "direct":
            field = self.force_out(self.force_attention(x, edges, slice(1, 2)), 1).squeeze(-1)
            found["forces"] = field * self.scale.to(field.dtype)
        if "dipole" in self.config.outputs:
            atoms = self.properties["dipole"](x[:, :4]).squeeze(-1)
            found["dipole"] = _dipole(graph, atoms[:, 0], atoms[:, 1:])
        if "polarizability" in self.config.outputs:
            atoms = self.properties["polarizability"](x[:, :9]).squeeze(-1)
            one = torch.eye(3, dtype=x.dtype, device=x.device)
            tensors = atoms[:, :1, None] * one + torch.einsum("nk,kij->nij", atoms[:, 4:], self.traceless.to(x.dtype))
            found["polarizability"] = _sum(tensors, graph)
        return found

    def save(self, path: Path) -> None:
        """Write weights, reference, CP factors, configuration and versions as one safetensors file, atomically."""
        tensors = {name: value.detach().cpu().contiguous() for name, value in self.state_dict().items()}
        factors = self.product.factors
        if self.config.method == "cp" and factors is not None:
            tensors |= {f"{FACTORS}{name}": torch.tensor(getattr(factors, name)) for name in "ABC"}
        metadata = {"config": json.dumps(self.config.to_dict()), "versions": json.dumps(versions())}
        write_bytes(Path(path), safetensors_bytes(tensors, metadata))

    @classmethod
    def load(cls, path: Path) -> Potential:
        """Read what `save` wrote, in the dtype that was saved. Nothing in the file is executed.

        Raises:
            FileNotFoundError: There is no such file.
            ValueError: The file is not a saved potential.
        """
        try:
            with safetensors.safe_open(path, framework="pt") as file:
                config = PotentialConfig.from_dict(json.loads((file.metadata() or {})["config"]))
                tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118 - not a mapping
            arrays = {name: tensors.pop(FACTORS + name).numpy() for name in "ABC" if FACTORS + name in tensors}
            potential = cls(config, factors=CPFactors(**arrays) if arrays else None)
            potential.to(tensors["elements.weight"].dtype)
            tensors.setdefault("offset", potential.offset)  # which a file may lack
            potential.load_state_dict(tensors)
        except FileNotFoundError:
            raise
        except (KeyError, TypeError, ValueError, RuntimeError, safetensors.SafetensorError) as error:
            raise ValueError(f"{path} is not a saved potential ({error}); make one with Potential.save") from error
        return potential


FACTORS = "factors."
"""What the names of CP factors in a file begin with."""


def with_forces(
    evaluate: Callable[[Tensor], dict[str, Tensor]], graph: Graph, again: bool = False
) -> dict[str, Float[Tensor, "..."]]:
    """Properties, with the forces and the stress that are derivatives of their `energy`.

    Args:
        evaluate: Properties for given vectors of the edges.
        graph: The graph.
        again: Whether the results can be differentiated.
    """
    vectors = graph.vectors
    with torch.enable_grad():
        if not vectors.requires_grad:
            vectors = vectors.detach().requires_grad_()
        found = evaluate(vectors)
        (gradient,) = torch.autograd.grad(found["energy"].sum(), vectors, create_graph=again)
    if not again:
        found = {name: value.detach() for name, value in found.items()}
        vectors = vectors.detach()
    forces = torch.zeros_like(graph.positions).index_add(0, graph.target, gradient)
    found["forces"] = forces.index_add(0, graph.source, -gradient)
    found["stress"] = _stress(graph, vectors, gradient)
    return found


def _sum(values: Tensor, graph: Graph) -> Tensor:
    """Sum over the nodes of each graph."""
    return values.new_zeros(graph.count, *values.shape[1:]).index_add(0, graph.batch, values)


def _stress(graph: Graph, vectors: Tensor, gradient: Tensor) -> Tensor:
    """`(1/V) sum_e r_e (x) dE/dr_e`, symmetrised, which equivariance would make it; NaN without a volume."""
    terms = vectors.unsqueeze(2) * gradient.unsqueeze(1)
    owner = graph.batch.index_select(0, graph.target)
    virial = terms.new_zeros(graph.count, 3, 3).index_add(0, owner, (terms + terms.mT) / 2)
    volume = torch.linalg.det(graph.cell).abs().view(-1, 1, 1)
    return torch.where(volume > 0, virial / volume.clamp(min=torch.finfo(volume.dtype).tiny), torch.nan)


def _dipole(graph: Graph, charges: Tensor, dipoles: Tensor) -> Tensor:
    """`sum_i (q_i r_i + mu_i)` with charges made neutral; NaN where a cell makes it depend on the choice of images."""
    sizes = _sum(torch.ones_like(charges), graph).clamp(min=1)
    charges = charges - (_sum(charges, graph) / sizes).index_select(0, graph.batch)
    centre = _sum(graph.positions, graph) / sizes.unsqueeze(1)  # near the atoms, so that little is rounded off
    places = graph.positions - centre.index_select(0, graph.batch)
    total = _sum(charges.unsqueeze(1) * places + dipoles, graph)
    return torch.where((graph.cell == 0).all(-1).all(-1, keepdim=True), total, torch.nan)
