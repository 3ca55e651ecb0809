"""Multiple-choice questions on studies of which nobody says what they show: for a vote, and for sentinels as if so."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from chordae.cohort import wording
from chordae.cohort.dataset import Sample
from chordae.cohort.findings import Topic
from chordae.cohort.questions import LISTED, pose_mcq
from chordae.learning.grading import chosen_option
from chordae.learning.rollout import Prompt, Prompts, StudyPrompts
from chordae.learning.studies import Media
from chordae.platform.errors import BadInput

FEWEST = 2
"""So many findings of a topic are too few to be listed in two orders, one of them left out."""


@dataclass(frozen=True)
class Posed:
    """One question: which study, and which findings are offered beside "None of the other options"."""

    case: str
    """Its id: the digest of what is asked about, and the topic."""
    study: int
    topic: Topic
    offered: tuple[str, ...]

    def right(self, sample: Sample) -> str:
        """The option that is right of a study whose findings are known."""
        truth = sample.findings[self.topic.key]
        return truth if truth in self.offered else wording.NONE_OPTION


def pose(media: Media, occurring: Mapping[Topic, Sequence[str]], seed: int, known: bool = False) -> list[Posed]:
    """A question on each study, by its media's hash and the seed; a study may have none of the topics.

    Findings are listed evenly, for nobody knows which is true: "None of the other options" is right in the share of
    questions that the listed ones leave over, which is less than in training. Topics of which fewer than three findings
    occur are not asked about: one finding alone has no other order.

    Args:
        media: the studies.
        occurring: what is asked about, and the findings that options are taken from.
        seed: decides topics and options.
        known: ask only what the sample tells; else its findings are not looked at.

    Raises:
        BadInput: nothing can be asked about any of them.
    """
    orderable = [topic for topic, names in occurring.items() if len(names) > FEWEST]
    found = []
    for study, sample in enumerate(media.samples):
        name = Path(sample.media).stem
        rng = np.random.default_rng([seed, int(hashlib.sha256(name.encode()).hexdigest()[:15], 16)])
        asked = [one for one in orderable if not known or sample.findings.get(one.key) in occurring[one]]
        if not asked:
            continue
        topic = asked[int(rng.integers(len(asked)))]
        names = occurring[topic]
        drawn = [names[int(place)] for place in rng.permutation(len(names))[: min(LISTED, len(names) - 1)]]
        found.append(Posed(f"{name} {topic.key}", study, topic, tuple(drawn)))
    if not found:
        raise BadInput("there is no question to ask about these studies", "use a labelled set with more findings")
    return found


class PosedPrompts(Prompts):
    """Such questions in several wordings: number = place * wordings + wording; the next has the options in the next
    order, the first of them last."""

    def __init__(
        self, media: Media, posed: Sequence[Posed], wordings: int, tokenizer: Any, seed: int, limit: int
    ) -> None:
        super().__init__(media.samples[0].modality, tokenizer, limit)
        self.studies, self.posed, self.wordings, self.seed = media, posed, wordings, seed
        self.places = {one.case: place for place, one in enumerate(posed)}

    def _draw(self, number: int) -> Prompt:
        one, rng = self.posed[number // self.wordings], np.random.default_rng([self.seed, number])
        turn = number % self.wordings % len(one.offered)
        names = (*one.offered[turn:], *one.offered[:turn])
        return self.prompt(pose_mcq(one.topic, names, rng), self.studies.seen(one.study))

    def numbers(self, cases: Sequence[str], wordings: int) -> list[int]:
        """Of these cases, the first so many wordings of each."""
        return [self.places[case] * self.wordings + wording for case in cases for wording in range(wordings)]

    def category(self, number: int, said: str) -> str | None:
        """The option that an answer chose, in words; none: nothing, or more than one thing."""
        mcq, topic = self.draw(number).mcq, self.posed[number // self.wordings].topic
        chose = chosen_option(said, mcq.options, topic)
        return None if chose is None else mcq.options[chose]


class StepPrompts(Prompts):
    """What a step trains on: number i is whatever `step` says, a labelled question or one with a believed answer."""

    def __init__(self, replayed: StudyPrompts, posed: PosedPrompts) -> None:
        super().__init__(replayed.modality, replayed.tokenizer, replayed.limit)
        self.replayed, self.posed = replayed, posed
        self.step: dict[int, tuple[str, str] | None] = {}
        """By number: the case, and the option that is believed to be right; none: the replayed question."""
        self.draw = self._draw  # type: ignore[assignment]

    def _draw(self, number: int) -> Prompt:
        believed = self.step[number]
        if believed is None:
            return self.replayed.draw(number)
        case, option = believed
        prompt = self.posed.draw(self.posed.places[case] * self.posed.wordings)
        return replace(prompt, mcq=replace(prompt.mcq, correct=prompt.mcq.options.index(option)))
