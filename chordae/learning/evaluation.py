"""How an expert does on questions about patients that training never saw: multiple choice, open questions, and blind.

As in MARCUS, an answer that chooses no option is excluded: accuracy = correct / (correct + incorrect). A model that
says it was given nothing is excluded everywhere, which says nothing about leaks in the questions; so the option it
takes when it must take one is graded too. All that can be refused is refused before the first answer is generated, and
answers are on disk before they are judged.
"""

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np

from chordae.cohort.bclean import answer_from_text
from chordae.cohort.dataset import Item, Sample
from chordae.cohort.findings import topics
from chordae.learning.asking import Expert, ask_and_keep, refuse_unusable
from chordae.learning.baselines import best_guess, latent_choices, uniform_chance
from chordae.learning.grading import chosen_option, grade, topic_of
from chordae.learning.judge import Judge
from chordae.learning.mentions import mentions
from chordae.learning.results import BlindReport, McqLine, McqReport, Outcome, VqaLine, VqaOutcome, VqaReport, groups
from chordae.learning.statistics import Score, cluster_interval, score


def evaluate_mcq(
    items: Sequence[Item],
    expert: Expert,
    *,
    samples: Sequence[Sample],
    training: Sequence[Sample],
    split: str = "",
    unseen: Sequence[str] = (),
    keep: Path | None = None,
) -> McqReport:
    """Ask multiple-choice questions; every figure comes with chance, floor, media withheld and ceiling.

    Args:
        items: the questions.
        expert: who answers.
        samples: of the same split: the true numbers, for the ceiling.
        training: samples that the expert was trained on; the ceiling's classifier is trained on them too.
        split: its name, for titles.
        unseen: sites that training never saw.
        keep: file for the answers, written as soon as they are there.

    Raises:
        BadInput: see `refuse_unusable`; a sample is missing; too few patients to fit the floor.
    """
    refuse_unusable(items, training, "mcq")
    ceiling = latent_choices(items, samples, training)
    text_only = answer_from_text(items).chosen.tolist()
    chance = best_guess(items)
    answers = ask_and_keep(expert, items, True, keep)
    withheld = expert.choose(items, with_media=False)
    outcomes = []
    for index, item in enumerate(items):
        read = grade(item, answers[index])
        outcomes.append(
            Outcome(
                id=item.id,
                patient=item.patient,
                site=item.site,
                category=item.category,
                correct=item.correct or 0,
                answer=answers[index],
                expert=read.option,
                by_text=read.by_text,
                by_letter=read.by_letter,
                withheld=withheld[index],
                text_only=text_only[index],
                ceiling=ceiling[index],
                chance=chance[index],
                uniform=uniform_chance(item),
            )
        )
    lines = []
    for kind, name, members in groups(items, unseen):
        part = [outcomes[index] for index in members]
        scores = {
            system: _score(part, [getattr(one, system) for one in part])
            for system in ("expert", "by_text", "by_letter", "withheld", "text_only", "ceiling")
        }
        chances = float(np.mean([one.chance for one in part])), float(np.mean([one.uniform for one in part]))
        lines.append(McqLine(kind=kind, name=name, chance=chances[0], uniform=chances[1], **scores))
    return McqReport(model=expert.name, split=split, lines=tuple(lines), outcomes=tuple(outcomes))


def evaluate_vqa(
    items: Sequence[Item],
    expert: Expert,
    judge: Judge,
    *,
    training: Sequence[Sample],
    split: str = "",
    unseen: Sequence[str] = (),
    keep: Path | None = None,
) -> VqaReport:
    """Ask open questions and have the answers judged from 1 to 5. Arguments as for `evaluate_mcq`.

    Raises:
        BadInput: see `refuse_unusable`; the judge cannot be reached.
        ExpertUnavailable: the judge stopped answering; the answers are in `keep`.
    """
    refuse_unusable(items, training, "vqa")
    judge.check()
    answers = ask_and_keep(expert, items, True, keep)
    likert = judge.judge(items, answers)
    constant = judge.judge(items, commonest_answers(items))
    outcomes = [
        VqaOutcome(
            id=item.id,
            patient=item.patient,
            site=item.site,
            category=item.category,
            answer=answer,
            likert=given,
            constant=dull,
        )
        for item, answer, given, dull in zip(items, answers, likert, constant, strict=True)
    ]
    lines = []
    for kind, name, members in groups(items, unseen):
        part = [outcomes[index] for index in members]
        graded = [one for one in part if one.likert is not None]
        values = np.array([one.likert for one in graded], dtype=float)
        dulls = [one.constant for one in part if one.constant is not None]
        counted = Counter(one.likert for one in graded)
        lines.append(
            VqaLine(
                kind=kind,
                name=name,
                asked=len(part),
                ungraded=len(part) - len(graded),
                mean=float(values.mean()) if graded else None,
                interval=cluster_interval(values, [one.patient for one in graded]) if graded else None,
                counts=(counted[1], counted[2], counted[3], counted[4], counted[5]),
                constant=float(np.mean(dulls)) if dulls else None,
            )
        )
    return VqaReport(
        model=expert.name,
        split=split,
        judge=judge.name,
        agreement=judge.agreement,
        lines=tuple(lines),
        outcomes=tuple(outcomes),
    )


def evaluate_blind(
    items: Sequence[Item],
    expert: Expert,
    *,
    training: Sequence[Sample],
    split: str = "",
    keep: Path | None = None,
) -> BlindReport:
    """Ask with the media withheld: how often the expert declines, what it guesses, and how often it sees a mirage.

    A mirage is a positive finding with the media, one of the same topic without them, and a negative truth; its rate is
    over the questions whose truth is negative. Items may be of both kinds; arguments as for `evaluate_mcq`.

    Raises:
        BadInput: see `refuse_unusable`.
    """
    refuse_unusable(items, training, None)
    blind = ask_and_keep(expert, items, False, keep)
    negatives = [index for index, item in enumerate(items) if item.negative]
    seen = dict(zip(negatives, expert.ask([items[index] for index in negatives], with_media=True), strict=True))
    positive = [positives(items[index], seen[index]) for index in negatives]
    without = [positives(items[index], blind[index]) for index in negatives]
    mirage = [bool(there & one) for there, one in zip(positive, without, strict=True)]
    patients = [items[index].patient for index in negatives]
    mcqs = [index for index, item in enumerate(items) if item.kind == "mcq"]
    asked = [items[index] for index in mcqs]
    free = [chosen_option(blind[index], items[index].options, topic_of(items[index])) for index in mcqs]
    return BlindReport(
        model=expert.name,
        split=split,
        free=_of_items(asked, free) if asked else None,
        forced=_of_items(asked, expert.choose(asked, with_media=False)) if asked else None,
        chance=float(np.mean(best_guess(asked))) if asked else None,
        mirages=score(mirage, patients),
        false_positives=score([bool(there) for there in positive], patients),
    )


def positives(item: Item, answer: str) -> set[str]:
    """The topics of which an answer affirms an abnormal finding, in words or by choosing it; a heart rate is none."""
    topic = topic_of(item)
    words = answer
    if item.kind == "mcq":
        option = chosen_option(answer, item.options, topic)
        words += "" if option is None else f". {item.options[option]}"
    normal = {one.key: one.normal for one in topics(item.modality)}
    told = mentions(words, item.modality)
    return {one.topic for one in told if one.affirmed and one.topic != "rate" and one.finding != normal[one.topic]}


def commonest_answers(items: Sequence[Item]) -> list[str]:
    """(items,) the reference answer that is given most often to a topic's questions: what saying it always is worth."""
    counted: dict[tuple[str, str], Counter[str]] = {}
    for item in items:
        counted.setdefault((item.modality, item.topic), Counter())[item.answer] += 1
    return [counted[item.modality, item.topic].most_common(1)[0][0] for item in items]


def _score(part: Sequence[Outcome], taken: Sequence[int | None]) -> Score:
    right = [None if one is None else one == outcome.correct for outcome, one in zip(part, taken, strict=True)]
    return score(right, [outcome.patient for outcome in part])


def _of_items(items: Sequence[Item], taken: Sequence[int | None]) -> Score:
    right = [None if one is None else one == item.correct for item, one in zip(items, taken, strict=True)]
    return score(right, [item.patient for item in items])
