"""Questions and answers about one study: whole readings, open, yes-no and multiple-choice questions.

**No answer is in the text.** Of a topic's n findings, m are listed (three; two of three), and "None of the other
options" comes last. Let r be its share (`NONE_SHARE`). The listed set is drawn evenly from all sets of m; the truth
lies outside it with probability r, else inside, evenly. Seen from a study, whose truth is given, that is the same as:
with probability r, m of the other findings; else the truth and m - 1 of the others. So, over studies that are drawn
evenly over the findings, every listed option is right with probability (1 - r) / m, whatever the text says, and the
best that a blind guess can do is max(r, (1 - r) / m).

A multiple-choice answer names the finding that is seen, and says so where it is none of the options. It gives no
letter: nano models do not learn which letter stands before an option (docs/LOG.md), and would make one up.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from chordae.cohort import wording
from chordae.cohort.conversation import Conversation, Turn
from chordae.cohort.dataset import Sample
from chordae.cohort.findings import Topic, topics
from chordae.cohort.language_tasks import decompose_conversation, rephrase_conversation, summarise_conversation
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Modality

__all__ = [
    "LETTERS",
    "NONE_SHARE",
    "Conversation",
    "Mcq",
    "Turn",
    "ask_mcq",
    "ask_open",
    "ask_yes_no",
    "askable",
    "blind_chance",
    "blind_conversation",
    "corpus",
    "matching_conversation",
    "pose_mcq",
    "question_conversation",
    "report_conversation",
]

LETTERS = "ABCD"
NONE_SHARE: dict[Modality, float] = {"ecg": 0.50, "echo": 0.50, "cmr": 0.67}
"""How often "None of the other options" is right: MARCUS's rates; the ECG's, which it does not give, as echo's."""
LISTED = 3
"""Findings among the options, where a topic has more than that."""

ROUNDS: dict[Modality, tuple[tuple[str, ...], ...]] = {
    "ecg": (
        ("rhythm", "conduction", "axis"),
        ("rate", "conduction", "axis"),
        ("rhythm", "st", "hypertrophy", "axis"),
        ("rate", "morphology", "axis"),
        ("diagnosis",),
    ),
    "echo": (
        ("lv_function", "rv_function", "pericardial", "atrium"),
        ("wall_motion", "rv_function", "pericardial", "atrium"),
        ("cardiomyopathy", "rv_function", "pericardial", "atrium"),
        ("diagnosis",),
    ),
    "cmr": (
        ("lv_function", "rv_function", "pericardial", "tissue"),
        ("lv_function", "rv_function", "pericardial", "lge"),
        ("rv_function", "pericardial", "cardiomyopathy"),
        ("diagnosis",),
    ),
}
"""Topics that one conversation may ask together. A diagnosis settles most other answers, normal wall motion the LV's
function, a bradycardia the rate, a bundle branch block what is asked at all: asked together, the later would be learned
from the text before it, not by looking."""

_LAYOUTS = ("{letter}. {option}", "{letter}) {option}")
_INSTRUCTIONS = ("", "Choose one option.", "Answer with the finding.", "Which option is correct?")


@dataclass(frozen=True)
class Mcq:
    """One multiple-choice question; `correct` indexes `options`, of which the last is "None of the other options".

    -1: nobody knows.
    """

    modality: Modality
    topic: str
    category: str
    question: str
    options: tuple[str, ...]
    correct: int
    answer: str
    finding: str
    """What is true of the study, listed or not."""

    @property
    def chance(self) -> float:
        """The best that a blind guess can reach."""
        return blind_chance(self.modality, len(self.options))

    @property
    def uniform(self) -> float:
        """What picking any option reaches."""
        return 1 / len(self.options)


def blind_chance(modality: Modality, options: int) -> float:
    """The best accuracy without the picture on questions with so many options, the last one included."""
    share = NONE_SHARE[modality]
    return max(share, (1 - share) / (options - 1))


def askable(sample: Sample) -> tuple[Topic, ...]:
    """The topics of a study with a finding that is not too near to a limit, in their fixed order."""
    return tuple(topic for topic in topics(sample.modality) if sample.findings.get(topic.key) is not None)


def ask_mcq(
    sample: Sample,
    topic: Topic,
    rng: np.random.Generator,
    among: Sequence[str] | None = None,
    listed: bool | None = None,
) -> Mcq:
    """A multiple-choice question on one topic of a study.

    Args:
        sample: the study.
        topic: one that is askable of it.
        rng: decides the options, their order and the words.
        among: the findings that options are taken from; none: all of the topic. A finding that no study of a data set
            has must not be offered there: it would never be right.
        listed: whether the truth is among the listed options; none: drawn, at the modality's rate.

    Raises:
        BadInput: the topic has no finding for this study, or there are not two findings to choose from.
    """
    truth = _truth(sample, topic)
    others = [name for name in among or topic.findings if name != truth]
    if not others:
        raise BadInput(f"{topic.key}: nothing but {truth} to choose from", "use studies with at least two findings")
    if listed is None:
        listed = bool(rng.random() >= NONE_SHARE[topic.modality])
    count = min(LISTED, len(others))
    drawn = [others[int(index)] for index in rng.permutation(len(others))]
    names = [truth, *drawn[: count - 1]] if listed else drawn[:count]
    options = [names[int(index)] for index in rng.permutation(count)] + [wording.NONE_OPTION]
    correct = options.index(truth) if listed else count
    answer = _seen(sample, topic) + ("" if listed else ": none of the other options")
    text = _put(topic, options, rng)
    return Mcq(topic.modality, topic.key, topic.category, text, tuple(options), correct, answer, finding=truth)


def pose_mcq(topic: Topic, names: Sequence[str], rng: np.random.Generator) -> Mcq:
    """The same kind of question with these findings as options, in this order, about a study that nobody has read.

    Its `correct` is -1. `rng` decides the words.
    """
    options = [*names, wording.NONE_OPTION]
    text = _put(topic, options, rng)
    return Mcq(topic.modality, topic.key, topic.category, text, tuple(options), -1, answer="", finding="")


def _put(topic: Topic, options: Sequence[str], rng: np.random.Generator) -> str:
    lines = [wording.stem(topic.modality, topic.key, rng), *_lettered(options, rng)]
    instruction = wording.pick(rng, _INSTRUCTIONS)
    return "\n".join([*lines, instruction] if instruction else lines)


def ask_open(sample: Sample, topic: Topic, rng: np.random.Generator) -> Turn:
    """An open question on one topic, answered with the finding, or with the number where one was asked for."""
    return Turn(wording.stem(topic.modality, topic.key, rng), _said(sample, topic) + ".")


def ask_yes_no(sample: Sample, topic: Topic, rng: np.random.Generator) -> Turn:
    """Is a certain finding there? Half of the time it is."""
    truth = _truth(sample, topic)
    asked = truth if rng.random() < 0.5 else wording.pick(rng, tuple(n for n in topic.findings if n != truth))
    right, words = truth == asked, asked
    if asked.startswith("No "):  # "Do you see no ST elevation?" has two answers
        right, words = not right, asked.removeprefix("No ")
    question = wording.yes_no(topic.modality, topic.key, words, rng)
    return Turn(question, ("Yes. " if right else "No. ") + _said(sample, topic) + ".")


def report_conversation(sample: Sample, rng: np.random.Generator) -> Conversation:
    """One question for the whole reading; in a third of them the default one, for its own topics alone."""
    if rng.random() < 1 / 3:
        question = wording.default_question(sample.modality, rng)
        answer = report(sample, wording.DEFAULT_TOPICS[sample.modality])
        if answer:
            return Conversation((Turn(question, answer),), picture=True)
    return Conversation((Turn(wording.whole_question(sample.modality, rng), report(sample)),), picture=True)


def report(sample: Sample, keys: Sequence[str] | None = None) -> str:
    """The findings of these topics (none: all), a sentence each, in fixed order; those too near to a limit left out."""
    sentences = []
    for topic in askable(sample):
        if keys is not None and topic.key not in keys:
            continue
        sentence = _said(sample, topic)
        if topic.key == "rhythm" and "rate_bpm" in sample.numbers:
            sentence += f" at {sample.numbers['rate_bpm']:.0f} bpm"
        elif topic.key == "rate" and "rate_bpm" in sample.numbers:
            continue  # said with the rhythm
        elif topic.key == "diagnosis":
            sentence = f"Impression: {sentence}"
        sentences.append(sentence + ".")
    return " ".join(sentences)


def question_conversation(
    sample: Sample,
    rng: np.random.Generator,
    about: Topic | None = None,
    shares: Mapping[str, Mapping[str, float]] | None = None,
) -> Conversation:
    """Topics of one of the `ROUNDS`, each once, in any order and kind: no answer gives another's away.

    Args:
        sample: the study.
        rng: decides the round, the order, the kinds and the words.
        about: a topic that must be asked; none: any round.
        shares: by topic, how often each finding occurs in the studies that conversations are made of. The more often,
            the more seldom it is asked beside `about`, down to an even share; else a model learns to say what is
            normal. None: all topics of the round are asked.

    Raises:
        BadInput: nothing can be asked about this study, or not what must be.
    """
    by_key = {topic.key: topic for topic in askable(sample)}
    rounds = [[by_key[key] for key in keys if key in by_key] for keys in ROUNDS[sample.modality]]
    rounds = [members for members in rounds if members and (about is None or about in members)]
    if not rounds:
        raise BadInput(f"nothing to ask about {sample.media}", "leave the study out, or label it")
    members = rounds[int(rng.integers(len(rounds)))]
    if shares:
        members = [topic for topic in members if topic == about or rng.random() < _asked_share(sample, topic, shares)]
    turns = []
    for index in rng.permutation(len(members)):
        topic, draw = members[int(index)], rng.random()
        if draw < 0.6:
            mcq = ask_mcq(sample, topic, rng)
            turns.append(Turn(mcq.question, mcq.answer))
        else:
            turns.append(ask_open(sample, topic, rng) if draw < 0.8 else ask_yes_no(sample, topic, rng))
    if rng.random() < 0.1:
        beyond = wording.dress(sample.modality, wording.pick(rng, wording.SCOPE_QUESTIONS[sample.modality]), rng)
        turns.append(Turn(beyond, wording.OUT_OF_SCOPE[sample.modality]))
    return Conversation(tuple(turns), picture=True)


def matching_conversation(modality: Modality, rng: np.random.Generator) -> Conversation:
    """Options matched to findings given in words: teaches what "none of the other options" means, without a picture."""
    turns = []
    for _ in range(4):
        sample = _imagined(modality, rng)
        topic = _any_topic(modality, rng)
        told = _seen(sample, topic) + "." if rng.random() < 0.75 else report(sample)
        mcq = ask_mcq(sample, topic, rng)
        lead = wording.pick(rng, wording.MATCH_LEADS).format(told)
        turns.append(Turn(f"{lead}\n{mcq.question}", mcq.answer))
    return Conversation(tuple(turns), picture=False)


def blind_conversation(modality: Modality, rng: np.random.Generator) -> Conversation:
    """Any question, but no picture came with it: the honest answer says so."""
    sample, topic, draw = _imagined(modality, rng), _any_topic(modality, rng), rng.random()
    if draw < 0.2:
        question = wording.default_question(modality, rng)
    elif draw < 0.35:
        question = wording.whole_question(modality, rng)
    elif draw < 0.6:
        question = ask_mcq(sample, topic, rng).question
    elif draw < 0.8:
        question = ask_open(sample, topic, rng).question
    else:
        question = ask_yes_no(sample, topic, rng).question
    return Conversation((Turn(question, wording.NOT_PROVIDED[modality]),), picture=False)


def corpus(modality: Modality, rng: np.random.Generator, rounds: int) -> list[str]:
    """Text to train a tokenizer on: everything that an expert of this modality may be asked or say."""
    texts = []
    for _ in range(rounds):
        sample = _imagined(modality, rng)
        kinds = (
            report_conversation(sample, rng),
            question_conversation(sample, rng),
            matching_conversation(modality, rng),
            blind_conversation(modality, rng),
            decompose_conversation(rng),
            rephrase_conversation(rng),
            summarise_conversation(rng),
        )
        texts += [f"{turn.question}\n{turn.answer}" for kind in kinds for turn in kind.turns]
    return texts


def _truth(sample: Sample, topic: Topic) -> str:
    truth = sample.findings.get(topic.key)
    if truth is None or sample.modality != topic.modality:
        raise BadInput(f"{sample.media} has no {topic.modality} finding for {topic.key}", "ask what is askable of it")
    return truth


def _asked_share(sample: Sample, topic: Topic, shares: Mapping[str, Mapping[str, float]]) -> float:
    found = shares.get(topic.key, {})
    return min(1.0, 1 / (len(found) * found[_truth(sample, topic)])) if found else 0.0


def _said(sample: Sample, topic: Topic) -> str:
    """The finding, with the number that belongs to it; for the rate, the number alone."""
    truth = _truth(sample, topic)
    if topic.key == "rate" and "rate_bpm" in sample.numbers:
        return f"{sample.numbers['rate_bpm']:.0f} bpm"
    if topic.key == "lv_function" and "lv_ef" in sample.numbers:
        return f"{truth}, EF {sample.numbers['lv_ef']:.0f} %"
    return truth


def _seen(sample: Sample, topic: Topic) -> str:
    """What is said before the letter: the finding; for the rate, the number first."""
    if topic.key == "rate" and "rate_bpm" in sample.numbers:
        return f"{sample.numbers['rate_bpm']:.0f} bpm: {_truth(sample, topic)}"
    return _truth(sample, topic)


def _lettered(options: Sequence[str], rng: np.random.Generator) -> list[str]:
    layout = wording.pick(rng, _LAYOUTS)
    return [layout.format(letter=letter, option=option) for letter, option in zip(LETTERS, options, strict=False)]


def _any_topic(modality: Modality, rng: np.random.Generator) -> Topic:
    every = topics(modality)
    return every[int(rng.integers(len(every)))]


def _imagined(modality: Modality, rng: np.random.Generator) -> Sample:
    """A study for text-only exercises: every topic's finding drawn evenly, on its own; no heart behind it."""
    found: dict[str, str | None] = {topic.key: wording.pick(rng, topic.findings) for topic in topics(modality)}
    numbers = {}
    for key, name, ranges in (("rate", "rate_bpm", wording.RATE_NUMBERS), ("lv_function", "lv_ef", wording.EF_NUMBERS)):
        finding = found.get(key)
        if finding is not None:
            low, high = ranges[finding]
            numbers[name] = float(rng.integers(low, high + 1))
    return Sample(patient="imagined", site="imagined", modality=modality, media="none", findings=found, numbers=numbers)
