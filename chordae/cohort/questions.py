"""Questions and answers about a simulated ECG: reports, open, yes-no and multiple-choice questions.

A multiple-choice answer names the finding and then the letter, as in "Left bundle branch block (C)", because naming
what is seen and matching it to a shuffled option are two skills. Chance is what a blind guess reaches by construction:
the truth is drawn evenly from the findings of a category, then the distractors evenly from the rest, then the order.
"None of the other options" is offered in `NONE_SHARE` of the rhythm, conduction and ST questions and is right in a
quarter of those (a third for ST, which has three findings).
"""

from dataclasses import dataclass

import numpy as np

from chordae.cohort import wording
from chordae.cohort.ecg import CONDUCTIONS, RHYTHMS, ST_SEGMENTS, EcgLatents, sample_latents

CATEGORIES = ("rhythm", "conduction", "st", "rate")
LETTERS = "ABCD"
NONE_SHARE = 0.4
"""Share of the rhythm, conduction and ST questions that offer "None of the other options"."""

_LAYOUTS = ("{letter}. {option}", "{letter}) {option}")
_LISTINGS = ("Name each option with its letter.", "Which letter has each option?", "List the options.")
_INSTRUCTIONS = ("", "Choose one option.", "Answer with the finding and its letter.", "Which option is correct?")


@dataclass(frozen=True)
class Turn:
    """A question and its true answer. Turns of one conversation never give each other's answers away."""

    question: str
    answer: str


@dataclass(frozen=True)
class Conversation:
    """Turns about one picture, or, where `picture` is false, without any."""

    turns: tuple[Turn, ...]
    picture: bool


@dataclass(frozen=True)
class Mcq:
    """One multiple-choice question; `correct` indexes `options`."""

    category: str
    question: str
    options: tuple[str, ...]
    correct: int
    answer: str
    latents: EcgLatents

    @property
    def chance(self) -> float:
        """What a blind guess reaches."""
        return 1 / len(self.options)


def draw_mcq(category: str, rng: np.random.Generator) -> Mcq:
    """A question whose truth is drawn first, evenly over the category's findings, and an ECG that fits it."""
    if category == "rhythm":
        latents = sample_latents(rng, rhythm=RHYTHMS[int(rng.integers(4))])
    elif category == "conduction":
        latents = sample_latents(rng, conduction=CONDUCTIONS[int(rng.integers(4))])
    elif category == "st":
        latents = sample_latents(rng, st=ST_SEGMENTS[int(rng.integers(3))])
    else:
        wanted = wording.pick(rng, wording.findings("rate"))
        latents = sample_latents(rng)
        while wording.rate_bin(latents.rate_bpm) != wanted:
            latents = sample_latents(rng)
    return ask_mcq(latents, category, rng)


def ask_mcq(latents: EcgLatents, category: str, rng: np.random.Generator) -> Mcq:
    """A multiple-choice question on one category of a given ECG."""
    truth, names = wording.finding(latents, category), wording.findings(category)
    none_offered = category != "rate" and rng.random() < NONE_SHARE
    if none_offered:  # leave one finding out: the truth as often as any other
        left_out = int(rng.integers(len(names)))
        listed = [name for index, name in enumerate(names) if index != left_out]
    else:
        others = [name for name in names if name != truth]
        listed = [truth, *(others[int(index)] for index in rng.permutation(len(others))[:3])]
    options = [listed[int(index)] for index in rng.permutation(len(listed))]
    if none_offered:
        options.append(wording.NONE_OPTION)
    correct = options.index(truth) if truth in options else len(options) - 1
    layout = wording.pick(rng, _LAYOUTS)
    lines = [wording.stem(category, rng)]
    lines += [layout.format(letter=letter, option=option) for letter, option in zip(LETTERS, options, strict=False)]
    instruction = wording.pick(rng, _INSTRUCTIONS)
    if instruction:
        lines.append(instruction)
    seen = f"{latents.rate_bpm} bpm: {truth}" if category == "rate" else truth
    if options[correct] == wording.NONE_OPTION:
        seen += ": none of the other options"
    answer = f"{seen} ({LETTERS[correct]})"
    return Mcq(category, "\n".join(lines), tuple(options), correct, answer, latents)


def ask_open(latents: EcgLatents, category: str, rng: np.random.Generator) -> Turn:
    """An open question on one category."""
    if category == "rate":
        return Turn(wording.stem("rate", rng), f"{latents.rate_bpm} bpm.")
    answer = wording.finding(latents, category)
    if category == "rhythm":
        answer += f" at {latents.rate_bpm} bpm"
    return Turn(wording.stem(category, rng), answer + ".")


def ask_yes_no(latents: EcgLatents, category: str, rng: np.random.Generator) -> Turn:
    """Is a certain finding there? Half of the time it is."""
    truth, names = wording.finding(latents, category), wording.findings(category)
    asked = truth if rng.random() < 0.5 else wording.pick(rng, tuple(name for name in names if name != truth))
    full = ask_open(latents, category, rng).answer
    if asked == "No ST elevation":
        return Turn(wording.yes_no("ST elevation", rng), ("No. " if truth == asked else "Yes. ") + full)
    return Turn(wording.yes_no(asked, rng), ("Yes. " if truth == asked else "No. ") + full)


def report_conversation(latents: EcgLatents, rng: np.random.Generator) -> Conversation:
    """One question for the whole reading."""
    return Conversation((Turn(wording.full_question(rng), wording.report(latents)),), picture=True)


def question_conversation(latents: EcgLatents, rng: np.random.Generator) -> Conversation:
    """Every category once, in any order and kind: no answer tells another category's."""
    turns = []
    for index in rng.permutation(len(CATEGORIES)):
        category, draw = CATEGORIES[int(index)], rng.random()
        if draw < 0.6:
            mcq = ask_mcq(latents, category, rng)
            turns.append(Turn(mcq.question, mcq.answer))
        elif draw < 0.8 or category == "rate":
            turns.append(ask_open(latents, category, rng))
        else:
            turns.append(ask_yes_no(latents, category, rng))
    if rng.random() < 0.1:
        turns.append(Turn(wording.dress(wording.pick(rng, wording.SCOPE_QUESTIONS), rng), wording.OUT_OF_SCOPE))
    return Conversation(tuple(turns), picture=True)


def matching_conversation(rng: np.random.Generator) -> Conversation:
    """Options matched to findings given in words: teaches the letter without a picture."""
    turns = []
    for _ in range(4):
        category = wording.pick(rng, CATEGORIES)
        mcq = draw_mcq(category, rng)
        seen = mcq.answer.split(":")[0].rsplit(" (", 1)[0]
        told = seen + "." if rng.random() < 0.5 else wording.report(mcq.latents)
        lead = wording.pick(rng, wording.MATCH_LEADS).format(told)
        turns.append(Turn(f"{lead}\n{mcq.question}", mcq.answer))
    return Conversation(tuple(turns), picture=False)


def listing_conversation(rng: np.random.Generator) -> Conversation:
    """Options of a list said back with their letters, in any order: many letters to learn from in few words."""
    everything = tuple(name for category in CATEGORIES for name in wording.findings(category))
    everything += (wording.NONE_OPTION, *wording.OTHER_OPTIONS)
    turns = []
    for _ in range(5):
        category = wording.pick(rng, CATEGORIES)
        names = wording.findings(category) if rng.random() < 0.5 else everything
        options = [names[int(index)] for index in rng.permutation(len(names))[:4]]
        layout = wording.pick(rng, _LAYOUTS)
        lines = [wording.pick(rng, _LISTINGS)]
        lines += [layout.format(letter=letter, option=option) for letter, option in zip(LETTERS, options, strict=False)]
        order = rng.integers(len(options), size=4)  # with repeats: elimination must not do instead of matching
        answer = ", ".join(f"{options[int(index)]} ({LETTERS[int(index)]})" for index in order)
        turns.append(Turn("\n".join(lines), answer))
    return Conversation(tuple(turns), picture=False)


def blind_conversation(rng: np.random.Generator) -> Conversation:
    """Any question, but no ECG came with it: the honest answer says so."""
    latents, draw = sample_latents(rng), rng.random()
    category = wording.pick(rng, CATEGORIES)
    if draw < 0.35:
        question = wording.full_question(rng)
    elif draw < 0.6:
        question = ask_mcq(latents, category, rng).question
    elif draw < 0.8:
        question = ask_open(latents, category, rng).question
    else:
        question = ask_yes_no(latents, category, rng).question
    return Conversation((Turn(question, wording.NO_ECG),), picture=False)


def corpus(rng: np.random.Generator, size: int) -> list[str]:
    """Text to train a tokenizer on."""
    texts = []
    for _ in range(size):
        latents = sample_latents(rng)
        kinds = (
            report_conversation(latents, rng),
            question_conversation(latents, rng),
            matching_conversation(rng),
            listing_conversation(rng),
            blind_conversation(rng),
        )
        texts += [f"{turn.question}\n{turn.answer}" for kind in kinds for turn in kind.turns]
    return texts
