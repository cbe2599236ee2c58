"""SevenNet's pretrained potentials, with another tensor in the place of the Clebsch-Gordan coefficients.

A convolution of SevenNet (the wheel `sevenn`, MIT) has weights for every path p = (l1, l2, l3), each with an output of
its own: `z_p = w_p C_p(x_l1, y_l2)`. With a tensor Mhat in the place of M this becomes `w_p K_p(x_l1, y)`, where K_p is
the block (l3, l1, l2) of Mhat. Blocks that no path has (those outside the triangle of degrees, zero in M) have no
weight; the product of one layer mixes them with all others, so they are shared out evenly among the paths with the same
l1 and l3, of which there always are some.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from math import sqrt
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor, nn

from tdn_theory.audit.prediction import transformed
from tdn_theory.so3.clebsch_gordan import clebsch_gordan
from tdn_theory.so3.irreps import component_slice

if TYPE_CHECKING:
    from ase import Atoms

DEGREES = {"7net-0": 2, "7net-l3i5": 3}
"""Maximal degree L of each potential."""

EV_PER_A3 = 160.2176634
"""GPa."""

EDGES = 2000
"""Edges of a batch, at most, if it has several structures: SevenNet keeps some 100 KB for each."""


@dataclass(frozen=True)
class Predictions:
    """What a potential says of structures.

    Attributes:
        energies: eV.
        forces: eV/Angstrom, of each structure.
        stresses: eV/Angstrom^3: xx, yy, zz, xy, yz, zx; zeros for what is not periodic.
    """

    energies: np.ndarray
    forces: list[np.ndarray]
    stresses: np.ndarray


@cache
def pretrained(name: str) -> nn.Module:
    """The potential as it is shipped, in evaluation mode.

    Raises:
        ImportError: The package sevenn is missing; the message names the extra.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            import sevenn.train.dataload  # imports torch_geometric, which warns  # noqa: F401
            from sevenn.util import load_checkpoint

            model = load_checkpoint(name).build_model()
    except ImportError as error:
        raise ImportError("SevenNet comes with the package sevenn: pip install 'tdn-theory[sevenn]'") from error
    return model.eval()


def with_tensor(name: str, M: Float[np.ndarray, "d d d"], rescaled: bool) -> nn.Module:
    """The potential with another tensor in its products.

    Args:
        name: One of `DEGREES`.
        M: The tensor M[k, i, j], of all degrees 0..L.
        rescaled: Whether every path gets the weight s that makes `||s K_p - C_p||` least, as the network's own weights
            could: what is left is the part of the error that no weights mend. Paths that M has not got stay zero.
    """
    from copy import deepcopy

    model = deepcopy(pretrained(name))
    for module in model.modules():
        if type(module).__name__ == "IrrepsConvolution":
            module.convolution = PathProduct(module.convolution, M, rescaled)
    return model


class PathProduct(nn.Module):
    """The product of a convolution, see the module; the call, weights and layout of `e3nn.o3.TensorProduct`.

    Raises:
        ValueError: The product is not of the kind that SevenNet has.
    """

    def __init__(self, original: Any, M: Float[np.ndarray, "d d d"], rescaled: bool) -> None:
        super().__init__()
        self.x_slices = list(original.irreps_in1.slices())
        self.x_irreps = [(entry.mul, entry.ir.dim) for entry in original.irreps_in1]
        of_x = [entry.ir.l for entry in original.irreps_in1]
        of_y = [entry.ir.l for entry in original.irreps_in2]
        of_z = [entry.ir.l for entry in original.irreps_out]
        if of_x != sorted(set(of_x)) or of_y != list(range(len(of_y))) or len(M) != len(of_y) ** 2:
            raise ValueError(
                f"the product {original} has other irreps than SevenNet's, or M, of shape {M.shape}, other degrees"
            )
        paths = [(of_x[ins.i_in1], of_y[ins.i_in2], of_z[ins.i_out]) for ins in original.instructions]
        starts = np.cumsum([0] + [ins.path_shape[0] for ins in original.instructions])
        self.parts: list[list[tuple[slice, int, int]]] = []
        """Of every slot of x, of every path from it: its weights, its output slot, and the components of that."""
        for slot, l1 in enumerate(of_x):
            blocks, parts = [], []
            for number, ((_, l2, l3), ins) in enumerate(zip(paths, original.instructions, strict=True)):
                if ins.i_in1 != slot:
                    continue
                allowed = [path[1] for path in paths if (path[0], path[2]) == (l1, l3)]
                K = e3nn_sign(l1, l2, l3) * ins.path_weight * path_block(M, (l1, l2, l3), allowed, rescaled)
                blocks.append(K.transpose(2, 0, 1).reshape(len(M), -1))
                parts.append((slice(int(starts[number]), int(starts[number + 1])), ins.i_out, 2 * l3 + 1))
            self.register_buffer(f"y_to_matrices{slot}", torch.tensor(np.concatenate(blocks, 1), dtype=torch.float32))
            self.parts.append(parts)
        self.outputs = len(of_z)

    def forward(self, x: Tensor, y: Tensor, weight: Tensor) -> Tensor:
        """Messages of edges, all flattened as e3nn's."""
        found: list[Tensor | None] = [None] * self.outputs
        for slot, ((mul, dim), parts) in enumerate(zip(self.x_irreps, self.parts, strict=True)):
            G = (y @ self.get_buffer(f"y_to_matrices{slot}")).view(len(y), -1, dim)
            z = x[:, self.x_slices[slot]].view(-1, mul, dim) @ G.mT
            for (chosen, output, _), part in zip(parts, z.split([size for _, _, size in parts], 2), strict=True):
                found[output] = (part * weight[:, chosen, None]).flatten(1)
        return torch.cat([part for part in found if part is not None], 1)


def e3nn_sign(l1: int, l2: int, l3: int) -> float:
    """Sign of e3nn's Clebsch-Gordan coefficients (l1, l2, l3), which are ours up to that."""
    from e3nn import o3

    return float(np.sign(np.vdot(o3.wigner_3j(l1, l2, l3).numpy().transpose(2, 0, 1), clebsch_gordan(l1, l2, l3))))


def path_weights(name: str, seed: int) -> dict[tuple[int, int, int], float]:
    """Weights of the paths (l1, l2, l3) in one product of a potential: a channel of an inner layer, at some distance.

    Args:
        name: One of `DEGREES`.
        seed: Of layer, channel and distance, 1.5 to 4.5 Angstrom.
    """
    model, rng = pretrained(name), np.random.default_rng(seed)
    inner = [module for module in model.modules() if type(module).__name__ == "IrrepsConvolution"][1:-1]
    layer = cast(Any, inner[rng.integers(len(inner))])
    embedding = cast(Any, next(m for m in model.modules() if type(m).__name__ == "EdgeEmbedding"))
    distance = torch.tensor([rng.uniform(1.5, 4.5)], dtype=torch.float32)
    with torch.no_grad():
        radial = embedding.basis_function(distance) * embedding.cutoff_function(distance).unsqueeze(1)
        weights = layer.weight_nn(radial)[0].tolist()
    channel = int(rng.integers(min(ins.path_shape[0] for ins in layer.convolution.instructions)))
    return _weights_of(layer.convolution, weights, channel)


def _weights_of(product: Any, weights: Sequence[float], channel: int) -> dict[tuple[int, int, int], float]:
    """Weights of paths in a channel of e3nn's product, from those of all paths and channels."""
    start, found = 0, {}
    for ins in product.instructions:
        l1, l2 = product.irreps_in1[ins.i_in1].ir.l, product.irreps_in2[ins.i_in2].ir.l
        l3 = product.irreps_out[ins.i_out].ir.l
        found[l1, l2, l3] = e3nn_sign(l1, l2, l3) * ins.path_weight * weights[start + channel]
        start += ins.path_shape[0]
    return found


def path_block(
    M: Float[np.ndarray, "d d d"], path: tuple[int, int, int], allowed: Sequence[int], rescaled: bool
) -> Float[np.ndarray, "d3 d1 d"]:
    """What path (l1, l2, l3) takes from all of y: its own block, and its share of those that no path has.

    Args:
        M: The tensor.
        path: Degrees of x, y and z.
        allowed: Degrees l2 of the paths with this l1 and l3.
        rescaled: Whether to scale it to the least distance from the path's tensor, `s = <K, C> / ||K||^2`.
    """
    l1, l2, l3 = path
    block = M[component_slice(l3), component_slice(l1)].copy()
    own = component_slice(l2)
    for other in allowed:
        if other != l2:
            block[:, :, component_slice(other)] = 0
    free = np.ones(M.shape[2], bool)
    for degree in allowed:
        free[component_slice(degree)] = False
    block[:, :, free] /= len(allowed)
    size = float(np.vdot(block, block))
    if not rescaled or size < 1e-20:
        return block
    return block * float(np.vdot(block[:, :, own], clebsch_gordan(l1, l2, l3))) / size


def predict(model: nn.Module, structures: Sequence[Atoms]) -> Predictions:
    """Energies, forces and stresses of structures, in batches of about as many edges."""
    graphs = [graph_of(model, atoms) for atoms in structures]
    energies, forces, stresses = [], [], []
    batch: list[dict[str, Any]] = []
    for graph in [*graphs, None]:
        edges = sum(len(other["edge_vec"]) for other in batch)
        if batch and (graph is None or edges + len(graph["edge_vec"]) > EDGES):
            found = model(collated(batch))
            energies += found["inferred_total_energy"].detach().reshape(-1).tolist()
            sizes = [len(other["pos"]) for other in batch]
            forces += [part.numpy() for part in found["inferred_force"].detach().split(sizes)]
            stresses += list(found["inferred_stress"].detach().numpy())
            batch = []
        if graph is not None:
            batch.append(graph)
    periodic = np.array([bool(np.all(atoms.pbc)) for atoms in structures])
    return Predictions(np.array(energies), forces, np.where(periodic[:, None], stresses, 0.0))


def graph_of(model: nn.Module, atoms: Atoms) -> dict[str, Any]:
    """Atoms and neighbours of one structure, of arrays."""
    from sevenn.train.dataload import unlabeled_atoms_to_graph

    return unlabeled_atoms_to_graph(atoms, float(cast(float, model.cutoff)))


def collated(graphs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    """SevenNet's graphs as one, of tensors."""
    sizes = [len(graph["pos"]) for graph in graphs]
    offsets = np.cumsum([0, *sizes[:-1]])
    joined = {
        "atomic_numbers": np.concatenate([graph["atomic_numbers"] for graph in graphs]),
        "pos": np.concatenate([graph["pos"] for graph in graphs]).astype(np.float32),
        "edge_vec": np.concatenate([graph["edge_vec"] for graph in graphs]).astype(np.float32),
        "edge_index": np.concatenate(
            [graph["edge_index"] + start for graph, start in zip(graphs, offsets, strict=True)], 1
        ),
        "cell_volume": np.array([float(graph["cell_volume"]) for graph in graphs], np.float32),
        "num_atoms": np.array(sizes),
        "batch": np.repeat(np.arange(len(sizes)), sizes),
    }
    found = {name: torch.from_numpy(np.ascontiguousarray(array)) for name, array in joined.items()}
    return {**found, "x": found["atomic_numbers"]}


def turned(structures: Sequence[Atoms], rotations: Sequence[np.ndarray]) -> list[Atoms]:
    """Structures, with their cells, multiplied by orthogonal matrices."""
    return [transformed(atoms, R) for atoms, R in zip(structures, rotations, strict=True)]


def rotated(found: Predictions, rotations: Sequence[np.ndarray]) -> Predictions:
    """Predictions, multiplied by orthogonal matrices."""
    forces = [f @ R.T for f, R in zip(found.forces, rotations, strict=True)]
    rows, columns = (0, 1, 2, 0, 1, 2), (0, 1, 2, 1, 2, 0)
    stresses = []
    for R, voigt in zip(rotations, found.stresses, strict=True):
        matrix = np.zeros((3, 3))
        matrix[rows, columns] = matrix[columns, rows] = voigt
        stresses.append((R @ matrix @ R.T)[rows, columns])
    return Predictions(found.energies, forces, np.array(stresses))


def differences(structures: Sequence[Atoms], found: Predictions, wanted: Predictions) -> dict[str, dict[str, float]]:
    """Mean absolute errors over structures, their standard errors, and the largest.

    Energies in meV/atom, forces (mean over atoms of the length of the difference) in meV/Angstrom, stresses (norm of
    the matrix, of periodic structures) in GPa.
    """
    numbers = np.array([len(atoms) for atoms in structures])
    energies = 1000 * np.abs(found.energies - wanted.energies) / numbers
    forces = np.array(
        [1000 * np.linalg.norm(f - w, axis=1).mean() for f, w in zip(found.forces, wanted.forces, strict=True)]
    )
    found_errors = {"energy": energies, "forces": forces}
    if any(atoms.pbc.all() for atoms in structures):
        weights = np.array([1, 1, 1, 2, 2, 2])
        squares = weights * (found.stresses - wanted.stresses) ** 2
        found_errors["stress"] = EV_PER_A3 * np.sqrt(squares.sum(1))
    return {
        name: {
            "mean": float(errors.mean()),
            "standard_error": float(errors.std(ddof=1) / sqrt(len(errors))) if len(errors) > 1 else 0.0,
            "largest": float(errors.max()),
        }
        for name, errors in found_errors.items()
    }
