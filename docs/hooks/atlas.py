"""Makes the catalogue of the atlas from its files: a table of all entries, and a page for each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files
from scipy.integrate import lebedev_rule

from tdn_theory.coupling import Coupling
from tdn_theory.cp import atlas
from tdn_theory.cp.constructions.cubature import product_degree
from tdn_theory.files import read_json
from tdn_theory.theory.rank import least_terms

Manifest = Mapping[str, Any]

HEAD = """---
hide: [navigation]
---

# The atlas

Exactly equivariant products of low rank that come with the package. Each has a proof that runs again from its file:
`entry.verify()` for one, `tdn-theory atlas verify` for all.

- *At most* is the bound of Theorem 3.2 (T2), which every tensor of the dimensions obeys.
- *Paths* are those with a weight that is proven not to be zero, of all that the selection rules admit.
- *Condition* says by how much the terms cancel in the sum; rounding errors grow with it
  ([rounding](../theory/rounding.md)).
- *Weights* are those of the paths: all 1, or the entry's own.

An entry's page says what was known before, and where one might begin to beat it; [beat an entry](../guides/beat.md)
says how to add what beats it.
"""

TABLE = """
## {title}

| coupling | rank | at most | paths | condition | multiply-adds | proof | weights |
|---|--:|--:|--:|--:|--:|---|---|
{lines}
"""

PROOFS = {
    "newton": "Exact factors exist within a radius of the stored ones, by the theorem of Newton and Kantorovich in "
    "floating point with bounds on its rounding ([`certificate`](../api/cp/certificate.md)).",
    "cubature": "The stored points lie within a radius of a rule that is exact for polynomials of degree {degree} "
    "([`certificate`](../api/cp/certificate.md)), and with such a rule the factors of the products {products} are "
    "equivariant ([`cubature`](../api/cp/constructions/cubature.md)).",
    "matrix multiplication": "The algorithm multiplies matrices exactly, checked in integers, and multiplication of "
    "operators commutes with rotations "
    "([`matrix_multiplication`](../api/cp/constructions/matrix_multiplication.md)).",
    "rings": "Two vectors on an axis and three rings of five, in closed form; its identities hold in exact arithmetic "
    "with the square root of 5 ([`rings`](../api/cp/constructions/rings.md)).",
    "both parities": "Twice the terms of the product of {rotations} for rotations alone, with exact arithmetic "
    "([`both_parities`](../api/cp/constructions/both_parities.md)). Of that product:",
}
"""Steps of a proof by its kind, to be filled with its parameters."""

BEATEN = {
    "newton": "By search, as it was found: other groups, other orbits, other weights. "
    '`tdn-theory atlas search "{coupling}" {less}` begins one.',
    "cubature": "By a rule of fewer points that is exact to degree {degree}, with weights of either sign; or without a "
    "rule, since equivariance asks for no more than the degrees that occur.",
    "matrix multiplication": "By an algorithm for {size} matrices of fewer real products; or by another equivariant "
    "tensor, since these path weights are one choice of many.",
    "rings": "By another arrangement; searches for one term less are in [ranks](../theory/ranks.md#what-was-tried).",
    "sum": "By fewer terms for any part, or by another split.",
    "both parities": "By fewer terms for {rotations}, which count twice here; or by a product not made of two copies.",
}
"""Where to begin, by the kind of proof."""


def known() -> dict[str, Manifest]:
    """Manifests of all entries by stem, in the order of the atlas."""
    return {entry.stem: read_json(atlas.FOLDER / f"{entry.stem}.json") for entry in atlas.entries()}


def coupling_of(manifest: Manifest) -> Coupling:
    """What an entry couples."""
    return Coupling.of(manifest["lmax"] if "lmax" in manifest else manifest["irreps"]).complete


def bound(coupling: Coupling) -> int:
    """What T2 gives: the least product of two dimensions."""
    first, second, _ = sorted(coupling.dims)
    return first * second


def steps(proof: Mapping[str, Any]) -> list[str]:
    """What is proven, step by step."""
    if proof["kind"] == "sum":
        parts = [f"{part['terms']} terms{_of(part)}: {step}" for part in proof["parts"] for step in steps(part)]
        return [*parts, "Sums of equivariant tensors are equivariant."]
    words = {**proof, "products": " and ".join(proof.get("products", []))}
    return [PROOFS[proof["kind"]].format(**words), *(steps(proof["of"]) if "of" in proof else [])]


def _of(part: Mapping[str, Any]) -> str:
    """Which paths a part of a sum is about, if it says so."""
    return "".join(f" for {x} × {y} → {z}" for x, y, z in part.get("paths", []))


def lebedev_points(degree: int) -> int:
    """Points of the least Lebedev rule with positive weights that is exact to this degree."""
    for odd in range(degree + 1 - degree % 2, 132, 2):
        try:
            points, weights = lebedev_rule(odd)
        except NotImplementedError:  # from degree 31 on there is one for every third odd degree
            continue
        if (weights > 0).all():
            return points.shape[1]
    raise ValueError(f"no Lebedev rule is exact to degree {degree}; the last one is to 131")


def before(manifest: Manifest) -> list[str]:
    """What was known before, with its source."""
    coupling, proof = coupling_of(manifest), manifest["proof"]
    lines = [f"{bound(coupling)} terms, by Theorem 3.2 of the paper (T2), true of every tensor of these dimensions."]
    if proof["kind"] == "cubature":
        points = lebedev_points(product_degree(coupling))
        terms = points * (3 if "bracket" in proof["products"] else 1)
        lines.append(
            f"{terms} terms, if the product is made with the least of Lebedev's rules (1976) that is exact to this "
            f"degree and has positive weights, of {points} points."
        )
    return [
        *lines,
        "Other fast products are in the [bibliography](../bibliography.md); their ranks are not compared here.",
    ]


def challenge(manifest: Manifest) -> list[str]:
    """How to beat an entry: what would, the room that is left, and where to begin."""
    coupling, row, proof = coupling_of(manifest), manifest["measured"], manifest["proof"]
    alive = [path for path, weight in zip(coupling.paths, manifest["weights"], strict=True) if weight]
    floor = least_terms(Coupling(coupling.x, coupling.y, coupling.z, alive))
    room = f"Any product with these paths alive takes at least {floor} terms ([bounds](../theory/ranks.md#from-below))"
    if floor == row["R"]:
        return [f"{room}: fewer are impossible."]
    n, less = len(coupling.z), row["R"] - 1
    words = {
        **proof,
        "coupling": coupling.lmax if coupling.cube else str(coupling),
        "less": less,
        "size": f"{n} × {n}" if n % 2 else f"{n // 2} × {n // 2} quaternion",
    }
    return [
        f"By {less} terms or fewer with the same paths alive"
        + ("." if len(alive) == len(coupling.paths) else ", or by as many terms with more paths."),
        f"{room}.",
        BEATEN[proof["kind"]].format(**words),
        "`tdn-theory atlas add FILE` proves and adds what you find ([guide](../guides/beat.md)).",
    ]


def page(stem: str, manifest: Manifest) -> str:
    """The page of an entry."""
    coupling, row = coupling_of(manifest), manifest["measured"]
    made = manifest["made_by"]
    origin = made.get("construction") or f"solver {made['solver']}"
    facts = {
        "rank": row["R"],
        "dimensions of x, y, z": " × ".join(map(str, coupling.dims)),
        "paths alive": f"{row['paths_alive']} of {row['paths']}" + (", the even ones" if row["even_only"] else ""),
        "path weights, absolute": f"{row['least_weight']:.4g} to {row['largest_weight']:.4g}",
        "condition": f"{row['condition']:.3g}",
        "largest entry of a factor": f"{row['largest_factor']:.3g}",
        "equivariance error of the stored factors": f"{row['rms_error']:.1e}, root mean square over that of the output",
        "for every rotation and unit x, y": f"at most {row['supremum_bound']:.1e}",
        "error in float32": f"{row['float32_error']:.1e}, relative to the output",
        "multiply-adds, dense factors": row["multiply_adds"],
        "entries of the factors that are not zero": row["nonzeros"],
        "radius of the proof": f"{row['radius']:.1e}",
        "made by": f"{origin}, {made['time'][:10]}",
    }
    weights = zip(coupling.paths, manifest["weights"], strict=True)
    return "\n".join(
        [
            f"# {coupling.label}, rank {row['R']}",
            "",
            "| what | value |",
            "|---|---|",
            *(f"| {name} | {value} |" for name, value in facts.items()),
            "",
            "## Load it",
            "",
            "```python",
            "from tdn_theory.cp import atlas",
            "",
            f'entry = atlas.load("{stem}")',
            "z = entry.factors(x, y)  # A @ ((B.T @ x) * (C.T @ y))",
            "entry.verify()  # runs the proof again",
            "```",
            "",
            f"Files: [factors, npz]({stem}.npz) · [manifest, JSON]({stem}.json)",
            "",
            "## Proof",
            "",
            *(f"{number}. {step}" for number, step in enumerate(steps(manifest["proof"]), start=1)),
            "",
            "## Known before",
            "",
            *(f"- {line}" for line in before(manifest)),
            "",
            "## Beat it",
            "",
            *(f"- {line}" for line in challenge(manifest)),
            "",
            "## Path weights",
            "",
            "A path is three slots of x, y and z, counted from 0; for the paper's features they are degrees.",
            "",
            f'??? note "{len(coupling.paths)} weights"',
            "",
            "    | path | weight |",
            "    |---|--:|",
            *(f"    | {path.x} × {path.y} → {path.z} | {weight:.6g} |" for path, weight in weights),
            "",
        ]
    )


def line(stem: str, manifest: Manifest) -> str:
    """The entry's line of the catalogue."""
    coupling, row = coupling_of(manifest), manifest["measured"]
    cells = (
        f"[{coupling.label}]({stem}.md)",
        row["R"],
        bound(coupling),
        f"{row['paths_alive']}/{row['paths']}{' even' if row['even_only'] else ''}",
        f"{row['condition']:.3g}",
        row["multiply_adds"],
        row["proof"],
        "1" if row["unit_weights"] else "own",
    )
    return f"| {' | '.join(map(str, cells))} |"


def catalogue(entries: Mapping[str, Manifest]) -> str:
    """The page that lists all entries."""
    lines = {stem: line(stem, manifest) for stem, manifest in entries.items()}
    papers = [lines[stem] for stem, manifest in entries.items() if "lmax" in manifest]
    others = [lines[stem] for stem, manifest in entries.items() if "lmax" not in manifest]
    tables = {"The paper's features": papers, "Other irreps": others}
    return HEAD + "".join(TABLE.format(title=title, lines="\n".join(rows)) for title, rows in tables.items())


def on_files(files: Files, *, config: MkDocsConfig) -> None:
    """Called when the pages in `docs/` are known."""
    entries = known()
    files.append(File.generated(config, "atlas/index.md", content=catalogue(entries)))
    for stem, manifest in entries.items():
        files.append(File.generated(config, f"atlas/{stem}.md", content=page(stem, manifest)))
        for suffix in ("npz", "json"):
            source = str(atlas.FOLDER / f"{stem}.{suffix}")
            files.append(File.generated(config, f"atlas/{stem}.{suffix}", abs_src_path=source))
