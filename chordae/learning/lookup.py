"""Lists of random words, each said back with its letter: how a language model learns to look up what it was told."""

import numpy as np

from chordae.cohort import wording
from chordae.cohort.conversation import Conversation, Turn
from chordae.cohort.findings import TOPICS
from chordae.platform.schemas import Modality

LETTERS = "ABCDEF"
ASKED = 14
LAYOUTS = ("{letter}. {option}", "{letter}) {option}")
WORDS = tuple(sorted({word.lower() for topic in TOPICS for name in topic.findings for word in name.split()}))
LONGEST = 4


def lookup_conversation(modality: Modality, rng: np.random.Generator) -> Conversation:
    """One list of three to six options of one to four words, and many look-ups in it: by letter or by option.

    The words mean nothing together, so that only the list can tell. `modality` does not matter.
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
    order = [int(index) for index in rng.integers(count, size=ASKED)]
    if rng.random() < 0.5:
        lines.insert(0, "Name the options.")
        answer = ", ".join(layout.format(letter=LETTERS[index], option=options[index]) for index in order)
    else:
        lines.insert(0, "List the options.")
        answer = ", ".join(f"{options[index]} ({LETTERS[index]})" for index in order)
    return Conversation((Turn("\n".join(lines), answer),), picture=False)


def _length(rng: np.random.Generator) -> int:
    return 1 if rng.random() < 0.6 else int(rng.integers(2, LONGEST + 1))
