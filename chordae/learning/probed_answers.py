"""What a served expert says when it is probed: a question, rephrasings and the question without a picture.

As the orchestrator probes, but offline, and with what is true beside it. Texts are on disk before anything is scored.
"""

import hashlib
import tempfile
from collections.abc import Callable, Sequence
from functools import cached_property
from pathlib import Path

from pydantic import BaseModel, ConfigDict, TypeAdapter

from chordae.cohort.dataset import SAMPLES, Item, Sample, read_rows
from chordae.cohort.wording import NOT_PROVIDED
from chordae.learning.answering import Asked, Generate
from chordae.learning.asking import load_items, refuse_unusable
from chordae.learning.checkpoint import trained_on
from chordae.learning.claims import Standing, standing, yes_or_no
from chordae.learning.engine_answering import engine_expert
from chordae.learning.evaluate_served import Split
from chordae.learning.evaluation import positives
from chordae.learning.grading import topic_of
from chordae.learning.mentions import affirmed, mentions
from chordae.learning.shown_media import CONDITIONS, Condition, ShownMedia
from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.platform.schemas import Modality
from chordae.platform.settings import ExpertSettings

Rephrase = Callable[[Sequence[tuple[str, Modality]]], list[tuple[str, ...]]]
"""Questions about recordings of a modality, each in other words, three times."""

AT_ONCE = 512
"""Questions between two words on how far it is."""


class ProbedAnswer(BaseModel):
    """One question under one condition: all that was said to it, and what is true."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    item: Item
    condition: Condition
    finding: str | None
    """What is true of what was shown, on the question's topic; none: nothing that the expert reads was shown."""
    claims: tuple[str, ...]
    """The same as the reference answer's atomic claims."""
    answer: str
    """To the question as it was asked, with what was shown."""
    rephrasings: tuple[str, ...]
    rephrased: tuple[str, ...]
    """Answers to the rephrasings, with what was shown."""
    without: str
    """The answer to the question without any picture."""

    @cached_property
    def claimed(self) -> bool:
        """Whether the answer says anything on the topic; to decline is to claim nothing."""
        if any(refusal.lower() in self.answer.lower() for refusal in NOT_PROVIDED.values()):
            return False  # what follows a refusal is a guess
        named = any(one.topic == self.item.topic for one in mentions(self.answer, self.item.modality))
        return named or yes_or_no(self.answer, self.item.answer) is not None

    @cached_property
    def correct(self) -> bool:
        """Whether the answer is what is true of what was shown: that finding and no other; a rate to its tolerance.

        Of a blank, of nothing and of another modality nothing is true: no answer is.
        """
        topic = topic_of(self.item)
        if self.finding is None or topic is None or not self.claimed:
            return False
        # the reference's yes or no is about the item's own patient
        said = yes_or_no(self.answer, self.item.answer) if self.condition == "present" else None
        if said is Standing.CONTRADICTED:
            return False
        if topic.key == "rate":
            return standing(self.answer, self.claims[0], self.item.modality) is Standing.SUPPORTED
        named = affirmed(self.answer, topic)
        return named == {self.finding} if named else said is Standing.SUPPORTED

    @property
    def negative(self) -> bool:
        """The truth is that nothing is wrong. A heart rate is no finding of that kind (`evaluation.positives`)."""
        return self.item.negative and self.item.topic != "rate"

    @cached_property
    def positive(self) -> bool:
        """A positive finding although the truth is negative: a misreading, or a mirage."""
        return self.negative and bool(_seen(self.item, self.answer))

    @cached_property
    def mirage(self) -> bool:
        """A positive finding with what was shown, a similar one without it, and a negative truth (MARCUS)."""
        return self.positive and bool(_seen(self.item, self.answer) & _seen(self.item, self.without))


_ROWS = TypeAdapter(list[ProbedAnswer])


def probe(
    asked: Sequence[tuple[Item, Condition]],
    shown: ShownMedia,
    generate: Generate,
    rephrase: Rephrase,
    keep: Path,
    tell: Callable[[str], None] = lambda stage: None,
) -> list[ProbedAnswer]:
    """Ask and probe every question under its condition; what conditions have in common is asked once.

    Args:
        asked: open and yes-no questions with the condition of each.
        shown: the media of every condition.
        generate: the served expert: greedy, so that the same question has the same answer.
        rephrase: three other forms of every question.
        keep: file for the answers, written before this returns.
        tell: hears how far it is.

    Raises:
        BadInput: media are missing or unreadable.
        ExpertUnavailable: the engine is dead.
    """
    plans = [(item, condition, shown.of(item, condition)) for item, condition in asked]
    questions = list(dict.fromkeys((item.question, item.modality) for item, _ in asked))
    tell(f"saying {len(questions)} questions in other words")
    others = dict(zip(questions, rephrase(questions), strict=True))
    forms = {item.id: (item.question, *others[item.question, item.modality]) for item, _ in asked}
    wanted = list(
        dict.fromkeys(
            one
            for item, _, seen in plans
            for one in (*((form, seen.media) for form in forms[item.id]), (item.question, None))
        )
    )
    answers: dict[Asked, str] = {}
    for first in range(0, len(wanted), AT_ONCE):
        tell(f"asked {first} of {len(wanted)} questions")
        part = wanted[first : first + AT_ONCE]
        answers |= dict(zip(part, generate(part), strict=True))
    rows = [
        ProbedAnswer(
            item=item,
            condition=condition,
            finding=seen.finding,
            claims=seen.claims,
            answer=answers[item.question, seen.media],
            rephrasings=forms[item.id][1:],
            rephrased=tuple(answers[form, seen.media] for form in forms[item.id][1:]),
            without=answers[item.question, None],
        )
        for item, condition, seen in plans
    ]
    keep.parent.mkdir(parents=True, exist_ok=True)
    write_atomically(keep, _ROWS.dump_json(rows, indent=1))
    return rows


def read_answers(path: Path) -> list[ProbedAnswer]:
    """What `probe` kept."""
    return _ROWS.validate_json(path.read_bytes())


def conditions_of(items: Sequence[Item]) -> list[tuple[Item, Condition]]:
    """Every question with its picture; those whose truth is negative under all other conditions too."""
    return [
        (item, condition)
        for item in items
        for condition in CONDITIONS
        if condition == "present" or (item.negative and item.topic != "rate")
    ]


def probe_served(
    checkpoint: Path,
    settings: ExpertSettings,
    modality: Modality,
    split: Split,
    rephrase: Rephrase,
    keep: Path,
    tell: Callable[[str], None] = lambda stage: None,
) -> list[ProbedAnswer]:
    """The open and yes-no questions of a split, put to a checkpoint as it is served, under all conditions.

    Raises:
        BadInput: no such questions, patients whom training saw, or what `probe` raises.
        BadSettings: the checkpoint cannot be served.
    """
    items = load_items(split.root, split.name, "vqa", split.site)
    items = [one for one in items if one.modality == modality]
    if split.most is not None and split.most < len(items):
        items = sorted(items, key=lambda item: hashlib.sha256(item.id.encode()).digest())[: split.most]
    refuse_unusable(items, training_samples(checkpoint, split.root), "vqa")
    if not any(item.negative and item.topic != "rate" for item in items):
        raise BadInput(f"split {split.name!r} has no {modality} question with a negative truth", "ask more questions")
    root = split.root / split.name
    with tempfile.TemporaryDirectory(prefix="chordae-") as scratch:
        shown = ShownMedia(root, read_rows(root / SAMPLES, Sample), Path(scratch))
        tell("loading the engine")
        with engine_expert(checkpoint, settings, modality) as expert:
            return probe(conditions_of(items), shown, expert.generate, rephrase, keep, tell)


def training_samples(checkpoint: Path, root: Path) -> list[Sample]:
    """What a checkpoint's manifest says that it was trained on, found below `root`; a foreign one says nothing.

    Raises:
        BadInput: a dataset that it names is not there, so that nobody can say whose patients it saw.
    """
    return [row for name in sorted(trained_on(checkpoint)) for row in read_rows(root / name / SAMPLES, Sample)]


def _seen(item: Item, answer: str) -> set[str]:
    """The topics on which an answer to a question of negative truth has a positive finding, also by a bare yes."""
    found = positives(item, answer)
    if not found and item.answer.startswith("No.") and not mentions(answer, item.modality):
        said_yes = yes_or_no(answer, item.answer) is Standing.CONTRADICTED
        return {item.topic} if said_yes else set()
    return found
