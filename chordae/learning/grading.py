"""Which option a multiple-choice answer chose: as a judge reads it, and strictly by the option's text or letter.

As for the reference's judge, words count before letters: "Left bundle branch block (B)" chose that block, wherever it
stands, and a finding that is not on the list chooses "None of the other options" where that is offered. An answer that
chooses nothing, or more than one thing, is excluded. The strict readings are reported beside, so that nothing that
the lenient one forgives stays hidden.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass

from chordae.cohort.dataset import Item
from chordae.cohort.findings import Topic, topics
from chordae.cohort.questions import LETTERS
from chordae.cohort.wording import NONE_OPTION, NOT_PROVIDED
from chordae.learning.mentions import affirmed


@dataclass(frozen=True)
class Grade:
    """Indices into an item's options; none: that reading finds no choice, or more than one."""

    option: int | None
    """As a judge reads the answer; what accuracy counts."""
    by_text: int | None
    """Strictly: the one option whose text the answer holds."""
    by_letter: int | None
    """Strictly: the one letter that the answer gives."""


def grade(item: Item, answer: str) -> Grade:
    """All three readings of an answer to a multiple-choice item."""
    return Grade(
        chosen_option(answer, item.options, topic_of(item)),
        chosen_text(answer, item.options),
        chosen_letter(answer, item.options),
    )


def topic_of(item: Item) -> Topic | None:
    """The topic that an item asks about; none where the vocabulary has no such topic."""
    return next((topic for topic in topics(item.modality) if topic.key == item.topic), None)


def chosen_option(answer: str, options: Sequence[str], topic: Topic | None = None) -> int | None:
    """Which option an answer chose, as a judge reads it; none: nothing, or more than one thing.

    Args:
        answer: what the model said.
        options: as listed, perhaps with "None of the other options".
        topic: whose findings the options are; none: only the options' own words count.
    """
    if any(refusal.lower() in answer.lower() for refusal in NOT_PROVIDED.values()):
        return None  # what follows a refusal is a guess
    words = re.sub(re.escape(NONE_OPTION), " ", answer, flags=re.IGNORECASE)
    said_none = NONE_OPTION in options and words != answer
    if topic is None:
        named = {option for option in options if option != NONE_OPTION and option.lower() in words.lower()}
    else:
        named = affirmed(words, topic)
    listed, unlisted = named & set(options), named - set(options)
    if said_none or (unlisted and not listed and NONE_OPTION in options):
        return None if listed or len(unlisted) > 1 else list(options).index(NONE_OPTION)
    if len(named) == 1 and listed:
        return list(options).index(listed.pop())
    return None if named else chosen_letter(answer, options)


def chosen_text(answer: str, options: Sequence[str]) -> int | None:
    """The one option whose text, letter for letter but for case, an answer holds."""
    named = [index for index, option in enumerate(options) if option.lower() in answer.lower()]
    return named[0] if len(named) == 1 else None


def chosen_letter(answer: str, options: Sequence[str]) -> int | None:
    """The option whose letter an answer gives: "(B)" anywhere in it, or nothing but "B", "B." or "Option B"."""
    letters = LETTERS[: len(options)]
    bracketed = set(re.findall(rf"\(([{letters}])\)", answer))
    if len(bracketed) == 1:
        return letters.index(bracketed.pop())
    bare = re.fullmatch(rf"\s*(?:option|answer)?:?\s*([{letters}])\s*[.):]?\s*", answer, re.IGNORECASE)
    return letters.index(bare.group(1).upper()) if bare else None


def candidates(item: Item) -> list[str]:
    """The answers among which a forced choice is made: each option's words."""
    return list(item.options)
