"""Lists of random words, each said back with its letter: how a language model learns to look up what it was told."""

import numpy as np

from chordae.cohort import wording
from chordae.cohort.findings import TOPICS

LETTERS = "ABCDEF"
ASKED = 14
LAYOUTS = ("{letter}. {option}", "{letter}) {option}")
WORDS = tuple(sorted({word.lower() for topic in TOPICS for name in topic.findings for word in name.split()}))
LONGEST = 4


def lookup(rng: np.random.Generator) -> tuple[str, list[tuple[str, bool]]]:
    """One list of three to six options of one to four words, and many look-ups in it: by letter or by option.

    The words mean nothing together, so that only the list can tell.

    Returns:
        The question, and the answer in pieces with whether each is to be learned: which option comes next is chance
        and only noise to a learner; its letter, or the option of a letter, is in the list.
    """
    count = int(rng.integers(3, len(LETTERS) + 1))
    options: list[str] = []
    while len(options) < count:
        words = [WORDS[int(index)] for index in rng.integers(len(WORDS), size=_length(rng))]
        option = " ".join(words)
        option = option[0].upper() + option[1:]
        if option not in options:
            options.append(option)
    layout = wording.pick(rng, LAYOUTS)
    lines = [layout.format(letter=letter, option=option) for letter, option in zip(LETTERS, options, strict=False)]
    by_letter = rng.random() < 0.5
    lines.insert(0, "Name the options." if by_letter else "List the options.")
    pieces: list[tuple[str, bool]] = []
    for index in rng.integers(count, size=ASKED):
        option, letter = options[int(index)], LETTERS[int(index)]
        if by_letter:
            pieces += [(layout.format(letter=letter, option=""), False), (option, True), (", ", False)]
        else:
            pieces += [(f"{option} (", False), (letter, True), ("), ", False)]
    return "\n".join(lines), pieces


def _length(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.6 else int(rng.integers(2, LONGEST + 1))
