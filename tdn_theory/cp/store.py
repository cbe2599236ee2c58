"""A store of CP solutions: npz factors with JSON manifests, addressed by their content.

A solution is two files of the same stem, `L2-R28-<first 16 hex digits of the SHA-256 of the npz>`: the factors as
`.npz`, and a `.json` manifest with the tensor, the status, the residual, how it was made, and the full checksum. For
other features than the paper's the irreps stand for `L2`, as `0e+1o_x_0e+1o+2e_to_1o`. The manifest is written last and
makes the solution exist. Equal solutions have equal names and different ones different names, so any number of
processes may write at once without locks, and nothing is ever overwritten by something else.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from platformdirs import user_data_path

from tdn_theory.coupling import Coupling, CouplingTensor
from tdn_theory.cp.factors import CPFactors
from tdn_theory.cp.solution import CPSolution, Status, best, is_exact
from tdn_theory.files import npz_arrays, npz_bytes, read_json, sha256, write_bytes, write_json

SHIPPED = Path(__file__).parent / "data" / "solutions"
"""Solutions that come with the package."""


def user_folder() -> Path:
    """Where own solutions are kept: `$TDN_THEORY_STORE`, or the platform's folder for user data."""
    override = os.environ.get("TDN_THEORY_STORE")
    return Path(override) if override else user_data_path("tdn-theory") / "solutions"


class DamagedError(ValueError):
    """A stored file does not hold what its manifest says."""


@dataclass(frozen=True)
class Entry:
    """The manifest of one stored solution.

    Attributes:
        path: Its file.
        tensor: The tensor that was decomposed.
        rank: Number of terms R.
        status: How the solver ended.
        residual: Relative Frobenius residual.
        condition: Cancellation of the terms (`CPFactors.condition`).
        made_by: Solver, settings and provenance.
        checksum: SHA-256 of the npz file.
    """

    path: Path
    tensor: CouplingTensor
    rank: int
    status: Status
    residual: float
    condition: float
    made_by: dict[str, Any]
    checksum: str

    def __repr__(self) -> str:
        """Tensor, rank, residual, status and solver."""
        solver = self.made_by.get("solver", "?")
        return f"Entry({self.tensor}, R={self.rank}, residual={self.residual:.1e}, {self.status}, {solver})"

    @property
    def exact(self) -> bool:
        """Whether the decomposition is exact up to roundoff, every path included (`is_exact`)."""
        return is_exact(self.tensor, self.residual)


@dataclass(frozen=True)
class Store:
    """Solutions in `folder`, and read-only those of further folders.

    Attributes:
        folder: Where `save` writes.
        also: Folders that are read too; by default the solutions shipped with the package.

    >>> Store().best(CouplingTensor(1), 8)
    CPSolution(CouplingTensor(L=1, 5 paths), R=8, residual=..., converged)
    """

    folder: Path = field(default_factory=user_folder)
    also: tuple[Path, ...] = (SHIPPED,)

    def save(self, solution: CPSolution) -> Path:
        """Keep `solution`; returns its manifest. Saving the same solution again changes nothing."""
        factors = solution.factors
        content = npz_bytes({"A": factors.A, "B": factors.B, "C": factors.C})
        checksum = sha256(content)
        stem = f"{file_key(solution.tensor.coupling)}-R{factors.rank}-{checksum[:16]}"
        manifest = self.folder / f"{stem}.json"
        write_bytes(self.folder / f"{stem}.npz", content)
        write_json(
            manifest,
            {
                "tensor": _to_json(solution.tensor),
                "rank": factors.rank,
                "status": solution.status.value,
                "residual": solution.residual,
                "condition": factors.condition,
                "made_by": solution.made_by,
                "sha256": checksum,
            },
        )
        return manifest

    def entries(self, tensor: CouplingTensor | None = None, rank: int | None = None) -> list[Entry]:
        """Manifests of all stored solutions, or those of one tensor and rank, ordered by coupling, rank and residual.

        Raises:
            DamagedError: A manifest cannot be read; the message names the file.
        """
        pattern = f"{'*' if tensor is None else file_key(tensor.coupling)}-R{'*' if rank is None else rank}-*.json"
        found = [_read_manifest(path) for folder in (self.folder, *self.also) for path in sorted(folder.glob(pattern))]
        found = [entry for entry in found if tensor is None or entry.tensor == tensor]
        return sorted(found, key=_order)

    def load(self, entry: Entry) -> CPSolution:
        """Read the factors of `entry`, and verify their checksum and their residual against the tensor.

        Raises:
            DamagedError: The file is missing, changed, or does not have the residual its manifest states.
        """
        file = entry.path.with_suffix(".npz")
        advice = f"delete {entry.path.stem}.npz and .json in {entry.path.parent} and fit again with 'tdn-theory cp fit'"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise DamagedError(f"{file} cannot be read ({error}); {advice}") from error
        if sha256(content) != entry.checksum:
            raise DamagedError(
                f"{file} has checksum {sha256(content)[:16]}..., its manifest says {entry.checksum[:16]}...; {advice}"
            )
        arrays = npz_arrays(content)
        factors = CPFactors(arrays["A"], arrays["B"], arrays["C"])
        if factors.dims != entry.tensor.dims:
            raise DamagedError(f"{file} has {factors}, its manifest {entry.tensor}; {advice}")
        residual = factors.relative_residual(entry.tensor.array)
        if not abs(residual - entry.residual) <= 1e-9 * entry.residual + 1e-14 * max(1.0, factors.condition):  # NaN
            raise DamagedError(f"{file} has residual {residual:.6e}, its manifest says {entry.residual:.6e}; {advice}")
        return CPSolution(entry.tensor, factors, entry.status, residual, entry.made_by)

    def find(self, tensor: CouplingTensor, rank: int, solver: str | None = None) -> Entry:
        """The stored solution of least residual; among exact ones, the best conditioned.

        Args:
            tensor: The tensor decomposed.
            rank: Number of terms R.
            solver: Only solutions of this solver, e.g. `"LevenbergMarquardt"`.

        Raises:
            LookupError: None is stored; the message says which ranks are, and how to make one.
            DamagedError: A manifest is damaged.
        """
        entries = [e for e in self.entries(tensor, rank) if solver is None or e.made_by.get("solver") == solver]
        if not entries:
            ranks = sorted({e.rank for e in self.entries(tensor)})
            raise LookupError(
                f"no solution of {tensor} at R={rank}{f' by {solver}' if solver else ''} is stored; stored ranks are "
                f"{ranks or 'none'}; make one with {_how_to_make(tensor, rank)}"
            )
        return best(entries)

    def best(self, tensor: CouplingTensor, rank: int, solver: str | None = None) -> CPSolution:
        """The solution that `find` finds, loaded and verified; same arguments, and `DamagedError` as `load`."""
        return self.load(self.find(tensor, rank, solver))


def file_key(coupling: Coupling) -> str:
    """What the names of a coupling's files begin with; paths are told apart by the manifest alone."""
    return coupling.label.replace("=", "").replace(" -> ", "_to_").replace(" ", "_")


def _order(entry: Entry) -> tuple[tuple[int, int, int], str, int, float, str]:
    coupling = entry.tensor.coupling
    return coupling.dims, coupling.label, entry.rank, entry.residual, entry.path.name


def _to_json(tensor: CouplingTensor) -> dict[str, Any]:
    coupling = tensor.coupling
    irreps: dict[str, Any] = {"lmax": coupling.lmax} if coupling.cube else {"irreps": str(coupling)}
    if coupling != coupling.complete:
        irreps["paths"] = [list(path) for path in coupling.paths]
    return {**irreps, "normalization": tensor.normalization, "weights": list(tensor.weights)}


def _from_json(content: Mapping[str, Any]) -> CouplingTensor:
    coupling = Coupling.of(content["lmax"] if "lmax" in content else content["irreps"])
    if "paths" in content:
        coupling = Coupling(coupling.x, coupling.y, coupling.z, [tuple(path) for path in content["paths"]])
    return CouplingTensor(coupling, tuple(content["weights"]), content["normalization"])


def _how_to_make(tensor: CouplingTensor, rank: int) -> str:
    if tensor.coupling.cube:
        return f"'tdn-theory cp fit --lmax {tensor.lmax} --rank {rank}'"
    if tensor == CouplingTensor(tensor.coupling.complete):
        return f"'tdn-theory cp fit \"{tensor.coupling}\" --rank {rank}'"
    return f"Store().save(LevenbergMarquardt({rank}).solve(tensor))"


def _read_manifest(path: Path) -> Entry:
    try:
        content = read_json(path)
        return Entry(
            path,
            _from_json(content["tensor"]),
            int(content["rank"]),
            Status(content["status"]),
            float(content["residual"]),
            float(content["condition"]),
            dict(content["made_by"]),
            str(content["sha256"]),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise DamagedError(
            f"manifest {path} is damaged ({error}); delete it, and fit again with 'tdn-theory cp fit'"
        ) from error
