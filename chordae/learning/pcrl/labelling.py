"""Answers to unlabelled records become pseudo-labels, by one of three ways that cost as many answers.

The voters' answers are drawn for the vote alone; what is trained on is drawn anew. The weights that vote on a record
have never been trained on it.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import torch

from chordae.learning.pcrl.abstention import PseudoLabel, pseudo_label
from chordae.learning.pcrl.config import PcrlConfig
from chordae.learning.pcrl.ood import RecordDetector
from chordae.learning.pcrl.rewording import reworded
from chordae.learning.pcrl.uncertainty import VotingAnswer
from chordae.learning.reasoner_cases import Asked
from chordae.learning.reasoner_rollouts import Rollouts
from chordae.learning.rollout import Sampled
from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.record import CmrRecord


@dataclass(frozen=True)
class Labelled:
    """What a vote came to."""

    labels: tuple[PseudoLabel, ...]
    answers: tuple[tuple[VotingAnswer, ...], ...]
    """Of each record that was asked about."""


class Labeller:
    """Gives pseudo-labels with the weights as they are."""

    def __init__(self, asked: Asked, config: PcrlConfig, detector: RecordDetector) -> None:
        self.asked, self.config, self.detector = asked, config, detector

    def label(self, examples: Sequence[str], rollouts: Rollouts, generator: torch.Generator) -> Labelled:
        """The pseudo-labels of these records, each from `config.answers` answers."""
        fitting = [one for one in examples if self.asked.fits(self.asked.records[one])]
        records = [self.asked.records[one] for one in fitting]
        answers = self._answers(records, rollouts, generator)
        labels = [too_long(one) for one in examples if one not in fitting]
        for example, record, those in zip(fitting, records, answers, strict=True):
            if self.config.labels == "weighted":
                unlike = self.detector.unlike(record)
                labels.append(pseudo_label(example, those, self.config.abstention, unlike_training=unlike))
            else:
                labels.append(most_voted(example, [one.category for one in those]))
        return Labelled(tuple(labels), tuple(answers))

    def _answers(
        self, records: Sequence[CmrRecord], rollouts: Rollouts, generator: torch.Generator
    ) -> list[tuple[VotingAnswer, ...]]:
        if self.config.labels == "greedy":
            said = rollouts.greedy([self.asked.prompt_of(record) for record in records])
            return [(self._read(Sampled(ids, []), record, 0),) for ids, record in zip(said, records, strict=True)]
        wordings = self.config.wordings if self.config.labels == "weighted" else 1
        copies = self.config.answers // wordings
        put = [(reworded(record, number), number) for record in records for number in range(wordings)]
        drawn = rollouts.sample([self.asked.prompt_of(record) for record, _ in put], copies, generator)
        read = [self._read(answer, *put[place // copies]) for place, answer in enumerate(drawn)]
        each = wordings * copies
        return [tuple(read[first : first + each]) for first in range(0, len(read), each)]

    def _read(self, answer: Sampled, record: CmrRecord, wording: int) -> VotingAnswer:
        chain = parse(self.asked.text(answer.ids))
        faithful = not chain.problems and check(chain, self.asked.told(record)).faithful
        return VotingAnswer(
            category=chain.category, logprobs=tuple(answer.logprobs), wording=wording, faithful=faithful
        )


def too_long(case: str) -> PseudoLabel:
    """Of a record that is longer than a prompt may be: nobody is asked about it."""
    return PseudoLabel(case=case, category=None, why=("too long",), margin=0.0, uncertainty=1.0, votes={})


def most_voted(case: str, categories: Sequence[str | None]) -> PseudoLabel:
    """The commonest category counts, however few agree; a tie goes to the one that was said first.

    As in test-time reinforcement learning (Zuo et al. 2025, TTRL); of a single answer it is self-training.
    """
    counted = Counter(one for one in categories if one is not None)
    winner = max(counted, key=counted.__getitem__) if counted else None
    return PseudoLabel(
        case=case,
        category=winner,
        why=() if winner else ("no winner",),
        margin=1.0 if winner else 0.0,
        uncertainty=0.0 if winner else 1.0,
        votes={name: number / len(categories) for name, number in sorted(counted.items())},
    )
