"""Graphs whose atoms see only their nearest neighbours: a limit that bounds memory, and what it costs.

With a strict limit of K neighbours, which of several atoms at the same distance are kept is chance: the energy of a
crystal then depends on how it is turned, and on the order of its atoms. So an atom here keeps all neighbours up to the
distance of the (K + 1)th, and a little beyond: whole shells, as OC20's released code does it ("not strictly").

That makes energies invariant again, but not continuous: where a neighbour comes or goes at the limit, it does so with
the weight it has there, which the envelope makes vanish at the cutoff only. Energies jump, and forces are derivatives
between the jumps. A limit that no atom reaches changes nothing.
"""

from __future__ import annotations

from dataclasses import replace

import torch

from tdn_theory.data.graph import Graph

TOLERANCE = 0.01
"""Distances that differ by less than this (Angstrom) are of one shell."""


def nearest(graph: Graph, limit: int) -> Graph:
    """The graph without the edges of each target that are longer than its `limit + 1`-th shortest and `TOLERANCE`.

    Args:
        graph: With edges ordered by target.
        limit: Neighbours K; an atom with no more than that keeps all.
    """
    lengths = graph.vectors.detach().norm(dim=1)
    by_length = torch.argsort(lengths)
    order = by_length[torch.argsort(graph.target[by_length], stable=True)]  # by target, then by length
    count = torch.bincount(graph.target, minlength=len(graph.numbers))
    next_one = torch.cumsum(count, 0) - count + limit
    longest = lengths.new_full((len(count),), torch.inf)
    more = count > limit
    longest[more] = lengths[order[next_one[more]]] + TOLERANCE
    kept = lengths <= longest[graph.target]
    return replace(graph, source=graph.source[kept], target=graph.target[kept], offsets=graph.offsets[kept])
