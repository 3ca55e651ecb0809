"""Sets of questions about studies: evenly over the findings, so that how often a disease occurs answers nothing.

A set is a function of the studies, the numbers of questions and the seed; `checksum` freezes it.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping, Sequence
from typing import Literal

import numpy as np

from chordae.cohort.dataset import Item, Sample
from chordae.cohort.findings import TOPICS, Topic
from chordae.cohort.questions import NONE_SHARE, ask_mcq, ask_open, ask_yes_no
from chordae.platform.errors import BadInput

YES_NO_SHARE = 0.3
"""Of the VQA questions; the others are open."""
_TRIES = 100


def build_items(samples: Sequence[Sample], kind: Literal["mcq", "vqa"], per_topic: int, seed: int) -> list[Item]:
    """So many questions about every topic of the modalities that occur.

    The findings of a topic take turns, as do the patients that have them; where there are few of them they are asked
    again in other words. Only findings that occur are offered as options. A topic with fewer than two is left out.
    How often "None of the other options" is right follows its rate closely for each finding, not only on average.

    Args:
        samples: studies, in any order: the set does not depend on it.
        kind: multiple-choice, or open and yes-no questions with claims.
        per_topic: questions a topic.
        seed: of everything drawn.

    Raises:
        BadInput: nothing to ask, or so many questions about so few studies that they repeat.
    """
    items: list[Item] = []
    for number, topic in enumerate(TOPICS):
        by_finding = _by_finding(samples, topic)
        if len(by_finding) >= 2:
            rng = np.random.default_rng([seed, number, kind == "vqa"])
            items += _about(topic, by_finding, kind, per_topic, rng)
    if not items:
        raise BadInput("no topic has two findings among these studies", "give more studies")
    return items


def checksum(items: Iterable[Item]) -> str:
    """SHA-256 over the items as JSON with sorted keys, in order of their ids.

    Without the names of the media: they are digests of encoded videos, which another processor may round otherwise.
    """
    rows = sorted((item.model_dump(mode="json", exclude={"media"}) for item in items), key=lambda row: str(row["id"]))
    return hashlib.sha256(json.dumps(rows, sort_keys=True, separators=(",", ":")).encode()).hexdigest()


def refuse_leak(train: Iterable[Sample], test: Iterable[Item | Sample]) -> None:
    """Say no to training data that holds patients of the test set.

    Raises:
        BadInput: how many, and the first of them by name.
    """
    both = sorted({row.patient for row in train} & {row.patient for row in test})
    if both:
        raise BadInput(
            f"{len(both)} patient(s) of the test set are in the training data, the first is {both[0]}",
            "make the training data from other patients: another seed",
        )


def _by_finding(samples: Sequence[Sample], topic: Topic) -> dict[str, list[Sample]]:
    """The studies of each finding that occurs, in the topic's order of findings."""
    ordered = sorted(samples, key=lambda sample: (sample.site, sample.patient, sample.media))
    mine = [sample for sample in ordered if sample.modality == topic.modality]
    groups = {name: [sample for sample in mine if sample.findings.get(topic.key) == name] for name in topic.findings}
    return {name: members for name, members in groups.items() if members}


def _about(
    topic: Topic,
    by_finding: Mapping[str, Sequence[Sample]],
    kind: Literal["mcq", "vqa"],
    count: int,
    rng: np.random.Generator,
) -> list[Item]:
    names = [list(by_finding)[int(index)] for index in rng.permutation(len(by_finding))]
    queues = {name: [by_finding[name][int(i)] for i in rng.permutation(len(by_finding[name]))] for name in names}
    starts = {name: float(rng.random()) for name in names}
    items: dict[str, Item] = {}
    for number in range(count):
        name, turn = names[number % len(names)], number // len(names)
        sample = queues[name][turn % len(queues[name])]
        # Systematic instead of independent draws: the rate holds to within one question for each finding.
        share = 1 - NONE_SHARE[topic.modality]
        listed = int((turn + 1) * share + starts[name]) > int(turn * share + starts[name])
        for _ in range(_TRIES):
            item = _mcq(sample, topic, names, listed, rng) if kind == "mcq" else _vqa(sample, topic, rng)
            if item.id not in items:
                break
        else:
            raise BadInput(
                f"{count} questions on {topic.modality} {topic.key} repeat themselves: {name} is rare",
                "ask fewer, or give more studies",
            )
        items[item.id] = item
    return list(items.values())


def _mcq(sample: Sample, topic: Topic, among: Sequence[str], listed: bool, rng: np.random.Generator) -> Item:
    mcq = ask_mcq(sample, topic, rng, among=among, listed=listed)
    return _item(sample, topic, "mcq", mcq.question, mcq.answer, options=mcq.options, correct=mcq.correct)


def _vqa(sample: Sample, topic: Topic, rng: np.random.Generator) -> Item:
    ask = ask_yes_no if rng.random() < YES_NO_SHARE else ask_open
    turn = ask(sample, topic, rng)
    return _item(sample, topic, "vqa", turn.question, turn.answer, claims=claims(sample, topic))


def claims(sample: Sample, topic: Topic) -> tuple[str, ...]:
    """What the reference answer about a topic claims: findings by name, numbers as `name: value unit`."""
    finding, numbers = str(sample.findings[topic.key]), sample.numbers
    if topic.key == "rate" and "rate_bpm" in numbers:
        return (f"heart rate: {numbers['rate_bpm']:.0f} bpm",)
    if topic.key == "lv_function" and "lv_ef" in numbers:
        return (finding, f"LV ejection fraction: {numbers['lv_ef']:.0f} %")
    return (finding,)


def _item(
    sample: Sample,
    topic: Topic,
    kind: Literal["mcq", "vqa"],
    question: str,
    answer: str,
    options: tuple[str, ...] = (),
    correct: int | None = None,
    claims: tuple[str, ...] = (),
) -> Item:
    finding = str(sample.findings[topic.key])
    told = json.dumps([kind, sample.site, sample.patient, sample.modality, topic.key, question])
    return Item(
        id=f"{kind}-{sample.modality}-{topic.key}-{hashlib.sha256(told.encode()).hexdigest()[:16]}",
        patient=sample.patient,
        site=sample.site,
        modality=sample.modality,
        media=sample.media,
        kind=kind,
        category=topic.category,
        topic=topic.key,
        question=question,
        options=options,
        correct=correct,
        finding=finding,
        answer=answer,
        claims=claims,
        negative=finding == topic.normal,
    )
