"""When proofs and measurements decide: the rules by which a finding gets its strength, for all checks alike.

A proof decides if all its steps hold. One that fails refutes nothing: what is claimed may be true for another reason.

A training decides something about accuracy if

- at least `SEEDS` seeds were trained, since what has one seed has no error bar;
- its own learning curve has become flat: validation fell by no more than `FALL` in the last fifth of the training;
- the molecules that it is tested on were not among those that it was trained on;
- and what is claimed to differ does so by more than `Z` standard errors.

A timing decides something if what is compared took turns in at least `ROUNDS` rounds on one machine.

What is measured on given networks, as how they turn with a molecule, needs no training to be true of them: it decides
something if there are at least `SEEDS` independent samples of it, networks or structures, and the effect is beyond its
error. Of accuracy it says nothing.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tdn_theory.finding import Finding, Outcome, Row, Strength

SEEDS = 3
FALL = 0.02
Z = 2.0
ROUNDS = 3


@dataclass(frozen=True)
class Training:
    """What trainings have to show for themselves.

    Attributes:
        seeds: Seeds of each network that is compared.
        fall: Share by which the validation error still fell in the last fifth of the training, the largest of all
            networks; None if no learning curve was recorded.
        unseen: Whether the tests are on structures whose molecules were not trained on.
        papers_scale: Whether data, width and length are the paper's.
    """

    seeds: int
    fall: float | None
    unseen: bool
    papers_scale: bool = False

    @classmethod
    def of(cls, runs: Iterable[Mapping[str, Any]], papers_scale: bool = False) -> Training:
        """What the runs in a record show for themselves.

        Args:
            runs: With `seed`; `validation`, the validation errors along the training; and `split`, `group` if no
                molecule that was trained on is tested on. What a run lacks, it does not show.
            papers_scale: Whether data, width and length are the paper's.
        """
        every = list(runs)
        falls = [fall(run.get("validation", ())) for run in every]
        known = [value for value in falls if value is not None]
        return cls(
            seeds=len({run["seed"] for run in every}),
            fall=max(known) if known and len(known) == len(falls) else None,
            unseen=all(run.get("split") == "group" for run in every),
            papers_scale=papers_scale,
        )

    def doubts(self) -> list[str]:
        """Why it decides nothing; empty if it does."""
        found = []
        if self.seeds < SEEDS:
            found.append(f"{self.seeds} seed{'s' * (self.seeds != 1)} where {SEEDS} make an error bar")
        if self.fall is None:
            found.append("no learning curve recorded")
        elif self.fall > FALL:
            found.append(f"not converged: validation errors fell by {100 * self.fall:.0f} % in the last fifth")
        if not self.unseen:
            found.append("test molecules are among those trained on")
        return found


@dataclass(frozen=True)
class Timing:
    """What timings have to show for themselves.

    Attributes:
        rounds: Rounds in which all that is compared took turns.
        papers_scale: Whether device and size are the paper's.
    """

    rounds: int
    papers_scale: bool = False

    def doubts(self) -> list[str]:
        """Why it decides nothing; empty if it does."""
        return [] if self.rounds >= ROUNDS else [f"{self.rounds} rounds where {ROUNDS} make a median"]


@dataclass(frozen=True)
class GivenNetworks:
    """What measurements on networks as they are have to show for themselves.

    Attributes:
        samples: Independent samples, networks or structures, that the errors of the numbers are over.
        papers_scale: Whether the networks are the paper's.
    """

    samples: int
    papers_scale: bool = False

    def doubts(self) -> list[str]:
        """Why they decide nothing; empty if they do."""
        found = f"{self.samples} sample{'s' * (self.samples != 1)} where {SEEDS} make an error bar"
        return [] if self.samples >= SEEDS else [found]


def fall(curve: Sequence[float]) -> float | None:
    """Share by which the least validation error so far fell in the last fifth of a training; None below five values.

    >>> fall([8.0, 4.0, 2.0, 1.0, 0.75])
    0.25
    """
    if len(curve) < 5:
        return None
    last = -(-len(curve) // 5)
    before = min(curve[:-last])
    return max(0.0, 1 - min(curve[-last:]) / before)


def beyond(difference: float, error: float | None) -> bool:
    """Whether a difference is positive by more than `Z` of its standard errors; without an error it is not."""
    return error is not None and difference > Z * error


def measured(
    evidence: Sequence[Training | Timing | GivenNetworks],
    outcome: Outcome,
    sentence: str,
    table: tuple[Row, ...],
    caveat: str = "",
) -> Finding:
    """The finding that measurements allow: undecided while there is a doubt, whatever their numbers.

    Args:
        evidence: All that the outcome rests on.
        outcome: What the numbers say.
        sentence: Why.
        table: The numbers.
        caveat: What else the reader must know.
    """
    doubts = list(dict.fromkeys(doubt for part in evidence for doubt in part.doubts()))
    if doubts or outcome is Outcome.UNDECIDED:
        return Finding(Outcome.UNDECIDED, None, sentence, table, "; ".join([*doubts, *[caveat] * bool(caveat)]))
    strength = Strength.PAPERS_SCALE if all(part.papers_scale for part in evidence) else Strength.SCALED
    return Finding(outcome, strength, sentence, table, caveat)


def proven(
    proof: Sequence[Mapping[str, Any]], outcome: Outcome, sentence: str, table: tuple[Row, ...], caveat: str = ""
) -> Finding:
    """The finding that a proof allows: undecided while a step fails, or if there is none.

    Args:
        proof: Its steps as records keep them, with `claim` and `holds`; see `tdn_theory.theory.proofs.Step`.
        outcome: What the proof shows if all of them hold.
        sentence: Why.
        table: The numbers.
        caveat: What else the reader must know.
    """
    failed = [step["claim"] for step in proof if not step["holds"]]
    if failed or not proof:
        held = f"{len(proof) - len(failed)} of {len(proof)} steps of the proof hold."
        return Finding(Outcome.UNDECIDED, None, held, table, "; ".join(failed))
    return Finding(outcome, Strength.PROOF, sentence, table, caveat)
