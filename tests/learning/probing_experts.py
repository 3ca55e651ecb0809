"""Scored answers and probed experts without weights: one that sees, one that dreams, one that wavers, one that lies."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from made_up import make_dataset

from chordae.cohort.dataset import QUESTIONS, SAMPLES, Item, Sample, read_rows, write_rows
from chordae.cohort.findings import topics
from chordae.cohort.items import build_items
from chordae.cohort.wording import NOT_PROVIDED
from chordae.learning import probed_answers
from chordae.learning.answering import Asked
from chordae.learning.probe_scores import Scored
from chordae.platform.schemas import Modality


def make_split(root: Path, name: str) -> Path:
    """A dataset with made-up media of two modalities, and open questions about the ECGs; returns `root`."""
    rows: list[Sample] = []
    for modality in ("ecg", "echo"):
        make_dataset(root / name / modality, modality, count=12)
        found = read_rows(root / name / modality / SAMPLES, Sample)
        rows += [row.model_copy(update={"media": f"{modality}/{row.media}"}) for row in found]
    write_rows(root / name / SAMPLES, rows)
    drawn = build_items([row for row in rows if row.modality == "ecg"], "vqa", 8, seed=1)
    write_rows(root / name / QUESTIONS, {item.question: item for item in drawn}.values())
    return root


def three_ways(questions: Sequence[tuple[str, Modality]]) -> list[tuple[str, ...]]:
    return [tuple(f"{number}: {question}" for number in (1, 2, 3)) for question, _ in questions]


def finding_of(key: str, modality: Modality = "ecg", normal: bool = False) -> str:
    """A topic's normal finding, or its first abnormal one."""
    topic = next(one for one in topics(modality) if one.key == key)
    return topic.normal if normal else next(name for name in topic.findings if name != topic.normal)


class Fake:
    """Knows the items by their questions; subclasses say what they answer."""

    def __init__(self, items: Sequence[Item]) -> None:
        self.items = {item.question: item for item in items}
        self.asked: list[Asked] = []

    def generate(self, asked: Sequence[Asked]) -> list[str]:
        self.asked += asked
        answers = []
        for text, media in asked:
            number, item = self._item(text)
            answers.append(self.say(item, media, number))
        return answers

    def _item(self, text: str) -> tuple[int, Item]:
        if text in self.items:
            return 0, self.items[text]
        number, _, question = text.partition(": ")
        return int(number), self.items[question]

    def say(self, item: Item, media: Path | None, number: int) -> str:
        raise NotImplementedError

    def own(self, item: Item, media: Path | None) -> bool:
        return media is not None and media.name == Path(item.media).name


def serve(expert: Fake, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let it answer in the engine's place."""

    @contextmanager
    def engine(checkpoint: Path, settings: Any, modality: str) -> Iterator[Any]:
        yield SimpleNamespace(generate=expert.generate, name="ecg-nano")

    monkeypatch.setattr(probed_answers, "engine_expert", engine)


class Honest(Fake):
    """Says the truth of its picture, and that it has none where it has none."""

    def say(self, item: Item, media: Path | None, number: int) -> str:
        return item.answer if self.own(item, media) else NOT_PROVIDED[item.modality]


class Hallucinating(Fake):
    """Says the same abnormal finding whatever it sees."""

    def say(self, item: Item, media: Path | None, number: int) -> str:
        return finding_of(item.topic, item.modality) + "."


class Wavering(Fake):
    """Says another finding at each rephrasing."""

    def say(self, item: Item, media: Path | None, number: int) -> str:
        if media is None:
            return NOT_PROVIDED[item.modality]
        names = next(one for one in topics(item.modality) if one.key == item.topic).findings
        return names[number % len(names)] + "."


class Dreaming(Fake):
    """Right where the picture is there and nothing is wrong in `topics_dreamt`; there it dreams, with and without."""

    def __init__(self, items: Sequence[Item], topics_dreamt: set[str]) -> None:
        super().__init__(items)
        self.dreamt = topics_dreamt

    def say(self, item: Item, media: Path | None, number: int) -> str:
        if item.topic in self.dreamt and item.negative:
            return finding_of(item.topic, item.modality) + "."
        return item.answer if self.own(item, media) else NOT_PROVIDED[item.modality]


def scored(
    agreement: float, delta: float, *, patient: str = "p", kind: str = "correct", public: float = 0.5, **more: object
) -> Scored:
    """One answer with its picture present: correct, wrong, or a mirage."""
    given = {
        "id": "q",
        "patient": patient,
        "condition": "present",
        "negative": kind == "mirage",
        "claimed": True,
        "correct": kind == "correct",
        "positive": kind == "mirage",
        "mirage": kind == "mirage",
        "agreement": agreement,
        "image_delta": delta,
        "contradicts": False,
        "public": public,
    }
    return Scored.model_validate(given | more)
