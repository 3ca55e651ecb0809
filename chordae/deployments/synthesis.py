"""From experts' answers to one that can be checked sentence by sentence, without a language model.

Confident experts come first, in their own words; then what was not probed, marked so; then what contradicts; then
whose answer is not relied on; then who did not answer. A flagged expert's words are shown apart, behind the disclaimer;
within the synthesis they occur only as one side of a contradiction, which says that this side is not relied on.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from chordae.deployments.clinical_text import sentences
from chordae.deployments.contradictions import Contradiction, contradictions
from chordae.platform.probing import with_disclaimer
from chordae.platform.schemas import (
    KIND_OF,
    NAME_OF,
    Confidence,
    ExpertAnswer,
    Modality,
    ProbeReport,
    Sentence,
    Synthesis,
)

NO_WORDS = "its answer holds no words"
_BARE = re.compile(r"\W*(?:yes|no)\W*", re.IGNORECASE)


@dataclass(frozen=True)
class Opinion:
    """What one expert was asked, what it said, and what probing says about that; none: it was not probed."""

    query: str
    answer: ExpertAnswer
    report: ProbeReport | None

    @property
    def confidence(self) -> Confidence | None:
        return None if self.report is None else self.report.confidence

    @property
    def flagged(self) -> bool:
        """Probed, and found not to be relied on."""
        return self.confidence is not None and self.confidence.flagged

    @property
    def value(self) -> float | None:
        """Confidence, 0 to 1; none: not probed."""
        return None if self.confidence is None else self.confidence.value


def synthesise(
    opinions: Mapping[Modality, Opinion], missing: Mapping[Modality, str], beside: bool = False
) -> Synthesis:
    """The synthesis of what experts said and of why others did not; never fails over what they said.

    Args:
        opinions: by modality, of each expert that answered.
        missing: by modality, why there is no answer.
        beside: somebody else speaks, too, so that who says what is said of a single one.

    Raises:
        ValueError: nothing was asked, a modality both answered and is missing, or a report is another modality's.
    """
    if not opinions and not missing:
        raise ValueError("nobody was asked")
    if opinions.keys() & missing.keys():
        raise ValueError("a modality cannot both answer and be missing")
    if any(one.report is not None and one.report.modality != modality for modality, one in opinions.items()):
        raise ValueError("a probe report belongs to another modality")
    several = beside or len(opinions) + len(missing) > 1
    spoken = {modality: opinion for modality, opinion in opinions.items() if sentences(opinion.answer.text)}
    silent = {modality: NO_WORDS for modality in opinions if modality not in spoken} | dict(missing)
    relied = [modality for modality, opinion in spoken.items() if not opinion.flagged]
    flagged = [modality for modality in KIND_OF if modality in spoken and modality not in relied]
    told: list[Sentence] = []
    for modality in sorted(relied, key=lambda one: _rank(one, spoken[one])):
        told += _findings(modality, spoken[modality], named=several)
    clashes = contradictions({modality: opinion.answer.text for modality, opinion in spoken.items()})
    told += [_contradiction(clash, spoken) for clash in clashes]
    told += [_withheld(modality, spoken[modality]) for modality in flagged]
    told += [_missing(modality, silent[modality]) for modality in KIND_OF if modality in silent]
    apart = {modality: _shown(spoken[modality]) for modality in flagged}
    text = "\n".join(sentence.text for sentence in told)
    if not several and spoken:
        (text,) = (_shown(opinion) for opinion in spoken.values())
    return Synthesis(sentences=tuple(told), text=text, apart=apart)


def _rank(modality: Modality, opinion: Opinion) -> tuple[float, int]:
    """Most confident first, what was not probed last, equals in the order of modalities."""
    return (1.0 if opinion.value is None else -opinion.value), list(KIND_OF).index(modality)


def _findings(modality: Modality, opinion: Opinion, named: bool) -> list[Sentence]:
    """A sentence for each of the expert's, word for word, behind its name where there are several."""
    return [
        Sentence(
            text=f"{_speaker(modality, opinion, words)}: {words}" if named else words,
            rests_on=(modality,),
            confidence=opinion.value,
            kind="finding",
        )
        for words in sentences(opinion.answer.text)
    ]


def _speaker(modality: Modality, opinion: Opinion, words: str) -> str:
    """The modality, whether it was probed, and the question where the words alone mean nothing without it."""
    notes = [] if opinion.confidence else ["unverified: not probed"]
    if _BARE.fullmatch(words):
        notes.append(f'asked "{_line(opinion.query)}"')
    return NAME_OF[modality] + (f" ({'; '.join(notes)})" if notes else "")


def _contradiction(found: Contradiction, opinions: Mapping[Modality, Opinion]) -> Sentence:
    sides = [opinions[modality] for modality in found.between]
    first, second = (NAME_OF[modality] for modality in found.between)
    by = f" ({found.clash.by})" if found.clash.by else ""
    text = f"{first} and {second} contradict each other on {found.matter}{by}: "
    text += f'{first} says "{found.clash.quotes[0]}", {second} says "{found.clash.quotes[1]}"'
    for modality, opinion in zip(found.between, sides, strict=True):
        if opinion.flagged:
            text += f"; {NAME_OF[modality]}'s answer {_failed(opinion)} and is not relied on"
        elif opinion.confidence is None:
            text += f"; {NAME_OF[modality]}'s answer was not probed"
    values = [opinion.value for opinion in sides if opinion.value is not None]
    weaker = min(values) if len(values) == len(sides) else None
    return Sentence(text=text + ".", rests_on=found.between, confidence=weaker, kind="contradiction")


def _withheld(modality: Modality, opinion: Opinion) -> Sentence:
    verdict = opinion.confidence
    numbers = ""
    if verdict is not None and not verdict.contradiction:
        numbers = f" (confidence {verdict.value:.2f}, threshold {verdict.threshold:.2f})"
    text = f"{NAME_OF[modality]}: the expert gave an answer that {_failed(opinion)}{numbers} and is not relied on; "
    text += "its words are in the probe report."
    return Sentence(text=text, rests_on=(modality,), confidence=opinion.value, kind="withheld")


def _failed(opinion: Opinion) -> str:
    """Why a flagged answer is, in words that follow "an answer that"."""
    contradicts = opinion.confidence is not None and opinion.confidence.contradiction
    return "contradicts itself" if contradicts else "failed its probes"


def _missing(modality: Modality, reason: str) -> Sentence:
    text = f"{NAME_OF[modality]}: not answered ({_line(reason) or 'no reason given'})."
    return Sentence(text=text, rests_on=(modality,), confidence=None, kind="missing")


def _shown(opinion: Opinion) -> str:
    """The expert's words as they may be shown by themselves."""
    verdict = opinion.confidence
    return opinion.answer.text if verdict is None else with_disclaimer(opinion.answer.text, verdict)


def _line(text: str) -> str:
    """On one line."""
    return " ".join(text.split())
