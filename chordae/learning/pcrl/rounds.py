"""The rounds of a run of PCRL, whatever its cases: each labels its part, looks for a reason to brake, and trains.

After the last round it looks once more; weights that a brake held are never written.
"""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Sequence
from typing import Any, Protocol, TypeVar, cast

import torch
from torch import Tensor

from chordae.learning.pcrl.abstention import PseudoLabel
from chordae.learning.pcrl.brakes import RoundFigures, brake, least_sentinels
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.mcq_config import McqPcrlConfig
from chordae.learning.pcrl.replay import in_turns, shares, with_replay
from chordae.learning.pcrl.rewards import case_weights, weighted_advantages
from chordae.learning.pcrl.state import PcrlState
from chordae.learning.pcrl.uncertainty import VotingAnswer, sequence_entropy
from chordae.learning.reasoner_report import StepReport
from chordae.platform.errors import BadSettings, LearningHalted

VOTERS, WATCH = 2**30, 2**30 + 1
"""Streams of random numbers of a step, beside those of the answers that are trained on."""
T = TypeVar("T")
AnyPcrl = PcrlConfig | McqPcrlConfig


class Learner(Protocol):
    """Whose rounds they are: a trainer."""

    model: Any

    def look(self) -> RoundFigures:
        """Sentinels answered, and labelled as if nobody knew; what the first round's cases are answered with."""
        ...

    def label(self, cases: Sequence[str]) -> Sequence[PseudoLabel]:
        """By the weights as they are."""
        ...


class Rounds:
    """Those of one run."""

    report: StepReport

    def __init__(self, learner: Learner, parts: Sequence[Sequence[str]], state: PcrlState, config: AnyPcrl) -> None:
        """`parts` are the rounds' cases; `state` is gone on from."""
        self.learner, self.parts, self.state, self.config = learner, parts, state, config
        self.labels = {label.case: label for part in state.labels for label in part}

    def step(self, step: int, count: int, replayed: Sequence[T]) -> list[str | T]:
        """What a step of `count` prompts trains on: labelled cases of its round, and replayed ones between them.

        The first step of a round labels and looks first.

        Raises:
            LearningHalted: as `refuse_drift`.
        """
        self._refuse_nonsense()
        number, place = divmod(step, self.config.round_steps)
        if number == self.state.rounds:
            self._begin(number)
        kept = [label.case for label in self.state.labels[number] if label.category is not None]
        new, again = shares(count, self.config.replay if kept else 1.0)
        cases: list[str | T] = [*in_turns(kept, place * new, new, self.config.seed)]
        return with_replay(cases, replayed, again, self.config.seed, step)

    def refuse_drift(self) -> None:
        """Look at what is watched, and hold it against the champion's figures.

        Raises:
            LearningHalted: it has moved too far.
        """
        self._refuse_nonsense()
        settings = self.config.brakes
        if settings is None:
            return
        now = self.learner.look()
        if self.state.start is None:
            self.state = self.state.model_copy(update={"start": now})
        elif (halt := brake(self.state.start, now, settings, self.config.rounds)) is not None:
            raise LearningHalted(halt.sentence, "look at the cases that came in; the champion goes on serving")

    def believed(self, case: str) -> str:
        """What is believed of a case that `step` gave out."""
        return cast("str", self.labels[case].category)  # cases without a label are not given out

    def weighted(self, advantages: Tensor, cases: Sequence[str | None]) -> Tensor:
        """(P * G,) advantages of P prompts' answers, by how sure their labels are; replayed ones as they are."""
        weights = case_weights([None if one is None else self.labels.get(one) for one in cases])
        weighted = weighted_advantages(advantages.reshape(len(cases), -1).cpu().numpy(), weights)
        return torch.as_tensor(weighted.ravel()).to(advantages)

    def _begin(self, number: int) -> None:
        self.refuse_drift()
        labels = tuple(self.learner.label(self.parts[number]))
        self.state = self.state.model_copy(update={"labels": (*self.state.labels, labels)})
        self.labels |= {label.case: label for label in labels}
        self.report.more = figures_of(PcrlState(labels=(labels,)))
        self.report.say(f"round {number + 1}: {self.report.more['labelled']:.0f} of {len(labels)} cases labelled")

    def _refuse_nonsense(self) -> None:
        """Whatever the brakes: weights that are no numbers answer nothing, and no later step mends them."""
        if not all(torch.isfinite(one).all() for one in self.learner.model.parameters()):
            problem = f"In round {max(self.state.rounds, 1)} weights became no finite numbers."
            raise LearningHalted(problem, "lower learning_rate; the champion goes on serving")


def figures_of(state: PcrlState) -> dict[str, float]:
    """What became of the cases: how many were labelled, how many not and why, how sure the labels are."""
    labels = [label for part in state.labels for label in part]
    sure = [label.confidence for label in labels if label.category is not None]
    figures = {"records": float(len(labels)), "labelled": float(len(sure))}
    figures["confidence"] = sum(sure) / len(sure) if sure else 0.0
    counted = Counter(why for label in labels for why in label.why)
    return figures | {f"abstained.{why}": float(number) for why, number in sorted(counted.items())}


def parts_of(examples: Sequence[str], rounds: int, seed: int) -> list[list[str]]:
    """The cases of each round: about as many, in an order that ids and seed decide."""
    order = sorted(examples, key=lambda one: hashlib.sha256(f"{seed}\0{one}".encode()).digest())
    return [order[number::rounds] for number in range(rounds)]


def refuse_few(watched: int, config: AnyPcrl) -> None:
    """See that there are sentinels enough for a brake to be pulled.

    Raises:
        BadSettings: there are not.
    """
    if config.brakes is not None and watched < (least := least_sentinels(config.brakes, config.rounds)):
        problem = f"{watched} sentinels are watched: were all lost, it might still be chance"
        raise BadSettings(problem, f"watch {least} at least (most_sentinels), or set brakes to null")


def entropies(voted: Sequence[Sequence[VotingAnswer]]) -> tuple[float, ...]:
    """Of the answers that tell their log-probabilities."""
    return tuple(sequence_entropy(one.logprobs) for those in voted for one in those if one.logprobs)
