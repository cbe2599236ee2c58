"""What the paper says (arXiv 2507.01131): its statements, the questions of its reviewers, and its numbers.

Statements are restated in our words. Identifiers are ours: E for definitions, T for theorems and arguments, F and TAB
for its figures and tables, O for the checks that its reviewers asked for.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType


@dataclass(frozen=True)
class Statement:
    """Something that can be examined.

    Attributes:
        id: Identifier.
        place: Where the paper says it; `"reviews"` for a question of its reviewers.
        text: What it says, or what they ask.
    """

    id: str
    place: str
    text: str

    @property
    def asked(self) -> bool:
        """Whether it is a reviewers' question, not a claim of the paper."""
        return self.id.startswith("O")


def _by_id(*statements: Statement) -> Mapping[str, Statement]:
    return MappingProxyType({statement.id: statement for statement in statements})


NORMS_SQUARED = MappingProxyType({1: 5, 2: 15, 3: 34, 4: 65, 5: 111, 6: 175})
"""E2: ||M||^2, by L."""

STATEMENTS = _by_id(
    Statement(
        "E1",
        "section 2",
        "The product of a path (l1, l2, l3), |l1-l2| <= l3 <= l1+l2, with Clebsch-Gordan coefficients is equivariant.",
    ),
    Statement(
        "E2",
        "section 2",
        "M is d x d x d, d = (L+1)^2, with one block of unit norm per path: ||M||^2 = "
        f"{', '.join(map(str, NORMS_SQUARED.values()))}.",
    ),
    Statement(
        "E3",
        "section 3",
        "With M ~ sum_r a_r b_r c_r the product becomes A((B^T x) * (C^T y)), at a cost of O(R (d1 + d2 + d3)).",
    ),
    Statement(
        "E4",
        "section 3",
        "One weight set for all O(L^3) paths instead of one per path (PS) takes O(c) parameters instead of O(c L^3).",
    ),
    Statement("E5", "section 4", "R = 7L^2 balances error and cost better than (L+1)^4, 16 log^2(L+1) and 7L."),
    Statement(
        "E6",
        "section 4",
        "The equivariance error is the mean of ||D Mhat(x (x) y) - Mhat(Dx (x) Dy)|| over 1000 random rotations.",
    ),
    Statement(
        "T1",
        "Theorem 3.1, appendix B.1",
        "For a best rank-R approximation, eps <= 2 C^2 sqrt(sum_n sum_{k > R_T} sigma_k^(n)^2), R_T = floor(R^(1/3)).",
    ),
    Statement(
        "T2",
        "Theorem 3.2, appendix B.2",
        "Every SO(3)-equivariant bilinear map is exactly a CP form with R <= d1 d2; rank <= min(d1 d2, d1 d3, d2 d3).",
    ),
    Statement(
        "T3",
        "appendix B.2",
        "Every equivariant bilinear map between multiplicity-free representations is a combination of path tensors.",
    ),
    Statement("T4", "appendix A", "An N-linear equivariant map is an (N+1)-way tensor with the same CP form."),
    Statement(
        "T5",
        "section 3",
        "The rank-R approximation is essentially unique by Kruskal's condition k_A + k_B + k_C >= 2R + 2.",
    ),
    Statement("T6", "section 3", "The full product costs O(L^6), the CP product with R = 7L^2 O(R L^2) = O(L^4)."),
    Statement("T7", "section 3", "Sharing one weight set among all paths (PS, PS-Linear) does not break equivariance."),
    Statement(
        "T8",
        "section 5, table 9",
        "The CP product is a plug-and-play replacement in existing networks (shown on NequIP).",
    ),
    Statement(
        "F3c",
        "figure 3c",
        "At R = 7L^2 the CP product is 4.0, 4.8, 15.0, 26.7, 47.6, 83.6 times faster than e3nn's at L = 1 to 6.",
    ),
    Statement(
        "TAB1",
        "table 1",
        "On the small subset of PubChemQCR, TDN's validation errors of 4.46 meV/atom and 26.94 meV/Å are below those "
        "of Equiformer, PaiNN and SchNet.",
    ),
    Statement(
        "TAB2",
        "table 2",
        "On OC20 (IS2RE direct, L = 1) TDN is about as accurate as Equiformer: mean absolute errors of .5683 and .5489 "
        "eV, and 3.94 and 3.93 % of the energies within 0.02 eV, means over the four test sets.",
    ),
    Statement(
        "TAB3",
        "table 3",
        "On OC22 (IS2RE) TDN's mean absolute error of 2.20 eV, mean of both test sets, is below those of coGN (2.21) "
        "and GemNet-dT (2.38).",
    ),
    Statement(
        "TAB4",
        "table 4",
        "TDN is 2.47, 4.34 and 8.44 times faster than Equiformer at L = 1, 2, 3, with 63 to 92 % fewer parameters.",
    ),
    Statement(
        "TAB5",
        "tables 5 and 9",
        "CP and PS take 78 % off TDN's time per epoch and 74 % off NequIP's (L = 2, four layers, 64 channels), at "
        "about the same accuracy.",
    ),
    Statement(
        "TAB7",
        "table 7",
        "The speed is that of CP: without it, TDN is only 1.05, 1.16 and 1.00 times faster than Equiformer at "
        "L = 1, 2, 3 (with it 2.47, 4.34, 8.44), while sharing weights saves parameters.",
    ),
    Statement(
        "TAB8",
        "table 8",
        "n-body, L = 2: the test error falls from .0081 at R = 10 to .0040 at R = 28, where it is that without CP "
        "(.0038), and the equivariance error from .60 to .02; it takes R = 81 to get below .01.",
    ),
    Statement(
        "O2",
        "reviews",
        "Accuracy against rank: does the CP product at R = 7L^2 cost accuracy of energies and forces?",
    ),
    Statement(
        "O3",
        "reviews",
        "Do forces of the CP product at R = 7L^2 turn with the molecule well enough to relax and move it?",
    ),
    Statement(
        "O4",
        "reviews",
        "Do CP products serve other properties than energies: dipole moments and polarizabilities?",
    ),
    Statement(
        "O5",
        "reviews",
        "Does the error at R = 7L^2 grow through many layers, and does it disturb interactions over long distances?",
    ),
    Statement("O6", "reviews", "Are CP products numerically unstable at high rank?"),
    Statement(
        "O7",
        "reviews",
        "Do forces of the CP product at R = 7L^2 on catalysts, OC20's among them, turn with atoms and cell?",
    ),
    Statement(
        "O8",
        "reviews",
        "How to choose R: from which rank on has a network the function of one with any equivariant product?",
    ),
)
"""What is examined here, by a module of `paper_checks/` each."""

NOT_EXAMINED = MappingProxyType(
    {
        "F1": "a sketch of the CP form, with nothing to judge; ours draws an exact product",
        "F2": "its numbers are not printed; ours are in the figure, and E5 and TAB8 compare what the paper prints",
        "F3a": "its numbers are not printed; ours are in the figure, and E5 judges the schedules",
        "F3b": "its numbers are not printed; ours are in the figure, and E6 and T1 judge the error and its bound",
        "TAB9": "judged together with table 5, as TAB5, and for NequIP as T8",
        "O1": "energies under rotations: part of what O3 and O5 measure",
    }
)
"""Parts of the paper, and questions, that have no check of their own, and why."""

OTHER_NAMES = MappingProxyType({"OC20": "TAB2", "OC22": "TAB3"})

SPEEDUPS = MappingProxyType({1: 4.0, 2: 4.8, 3: 15.0, 4: 26.7, 5: 47.6, 6: 83.6})
"""F3c: speed-ups of CP at R = 7 L^2 over e3nn, by L."""

PUBCHEMQCR: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "TDN": {"energy_mae": 4.46, "forces_rmse": 26.94},
        "SchNet": {"energy_mae": 5.30, "forces_rmse": 56.55},
        "PaiNN": {"energy_mae": 5.13, "forces_rmse": 46.34},
        "Equiformer": {"energy_mae": 4.69, "forces_rmse": 34.67},
    }
)
"""TAB1: errors on the validation set of PubChemQCR's small subset, meV/atom and meV/Angstrom."""

OC20: Mapping[str, Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "Equiformer": {
            "mae": {"id": 0.5088, "ood_ads": 0.6271, "ood_cat": 0.5051, "ood_both": 0.5545},
            "EwT": {"id": 4.88, "ood_ads": 2.93, "ood_cat": 4.92, "ood_both": 2.98},
        },
        "TDN": {
            "mae": {"id": 0.5085, "ood_ads": 0.6668, "ood_cat": 0.5104, "ood_both": 0.5875},
            "EwT": {"id": 5.21, "ood_ads": 2.54, "ood_cat": 5.04, "ood_both": 2.98},
        },
    }
)
"""TAB2, IS2RE direct: mean absolute errors in eV and shares of energies within 0.02 eV in percent, by test set."""

OC22: Mapping[str, Mapping[str, float]] = MappingProxyType(
    {
        "TDN": {"id": 1.49, "ood_cat": 2.92},
        "coGN": {"id": 1.62, "ood_cat": 2.81},
        "GemNet-dT": {"id": 1.68, "ood_cat": 3.08},
    }
)
"""TAB3, IS2RE: mean absolute errors in eV, by test set; OC22's other one has other compositions."""

NETWORKS: Mapping[int, Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        1: {
            "Equiformer": {"gpu": 311.7, "cpu": 7.5, "parameters": 12.1},
            "TDN": {"gpu": 770.8, "cpu": 20.2, "parameters": 4.5},
            "TDN w/o CP": {"gpu": 328.1, "parameters": 4.5},
            "TDN w/o CP, PS": {"gpu": 320.6, "parameters": 5.0},
            "TDN w/o CP, PS, PS-Linear": {"gpu": 317.8, "parameters": 9.1},
        },
        2: {
            "Equiformer": {"gpu": 71.9, "cpu": 2.4, "parameters": 27.9},
            "TDN": {"gpu": 312.4, "cpu": 8.7, "parameters": 4.5},
            "TDN w/o CP": {"gpu": 83.7, "parameters": 4.5},
            "TDN w/o CP, PS": {"gpu": 82.5, "parameters": 6.3},
            "TDN w/o CP, PS, PS-Linear": {"gpu": 82.1, "parameters": 14.6},
        },
        3: {
            "Equiformer": {"gpu": 26.1, "cpu": 0.6, "parameters": 54.7},
            "TDN": {"gpu": 220.4, "cpu": 5.8, "parameters": 4.5},
            "TDN w/o CP": {"gpu": 26.2, "parameters": 4.5},
            "TDN w/o CP, PS": {"gpu": 25.6, "parameters": 8.9},
            "TDN w/o CP, PS, PS-Linear": {"gpu": 25.6, "parameters": 21.3},
        },
    }
)
"""TAB4, TAB7: samples per second on an A100 (batch 128) and on a CPU, millions of parameters, by L and network."""

EXCHANGED: Mapping[str, Mapping[str, Mapping[str, float]]] = MappingProxyType(
    {
        "TDN": {
            "e3nn paths": {"minutes_per_epoch": 19.0, "energy": 12.74, "forces": 92.74},
            "CP": {"minutes_per_epoch": 4.2, "energy": 12.95, "forces": 96.53},
        },
        "NequIP": {
            "e3nn paths": {"minutes_per_epoch": 7.5, "energy": 11.22, "forces": 90.09},
            "CP": {"minutes_per_epoch": 2.0, "energy": 11.15, "forces": 92.49},
        },
    }
)
"""TAB5, TAB9, on PubChemQCR-S: errors in meV/atom and meV/Angstrom, by network and product."""

NBODY: Mapping[str, Mapping[str, float | None]] = MappingProxyType(
    {
        "10": {"mse": 0.0081, "error": 0.60},
        "15": {"mse": 0.0064, "error": 0.42},
        "20": {"mse": 0.0051, "error": 0.21},
        "28": {"mse": 0.0040, "error": 0.02},
        "81": {"mse": 0.0039, "error": 0.01},  # "< .01"
        "without CP": {"mse": 0.0038, "error": None},
    }
)
"""TAB8: test mean square error and equivariance error, by R."""
