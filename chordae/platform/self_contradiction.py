"""Answers that contradict themselves: "Is there a large effusion?" "No. Large effusion."

Steadiness says nothing against them, and they do change when the picture goes, so probes pass them; yet they are nearly
always wrong (docs/LOG.md). Only what is plain is told: a yes or no that leads, and what is stated next.
"""

from __future__ import annotations

import re

from chordae.platform.meaning import Word, meaning

_LEAD = re.compile(r"\W*(yes|no)\s*[.,;:!–—-]+\s*(.+)", re.IGNORECASE | re.DOTALL)  # noqa: RUF001 - dashes that people write
_STATEMENT_END = re.compile(r"[.;!?](?:\s|$)|\n")
_CLAUSE_START = re.compile(r"[.:;!]\s")
_EXCLUSIVE: tuple[dict[str, int], ...] = (
    {"normal": 0, "mild": 1, "small": 1, "moderate": 2, "severe": 3, "large": 3},
    {"left": 0, "right": 1},
    {"anterior": 0, "inferior": 1, "lateral": 2, "septum": 3},
    {"up": 0, "down": 1},
    {"fast": 0, "slow": 1},
    {"long": 0, "short": 1},
    {"regular": 0, "irregular": 1},
)
"""Words of which, said of the same thing, those with different numbers exclude each other."""
_SOUND = frozenset(["normal", "healthy", "well", "fine", "ok", "okay", "preserved", "unremarkable", "usual", "regular"])
_OTHER = frozenset(["other", "else", "besides", "except", "apart"])
_NAMING = frozenset(["with", "diagnosis", "impression", "conclusion", "conclude", "best"])
"""Of a finding's name, or of how it is asked for."""


def self_contradiction(question: str, answer: str) -> str | None:
    """How an answer's yes or no contradicts what it states next, in words that follow "it"; none: it does not plainly.

    It denies and then states what was asked; it affirms and then denies it, calls it normal, or states another grade or
    side of it. Questions without a question mark or with a negation of their own are left alone.
    """
    lead = _LEAD.match(answer)
    if lead is None or question.count("?") != 1:
        return None
    asked = _words(_CLAUSE_START.split(question.partition("?")[0])[-1])
    if not asked or any(word.kind == "negation" or word.text in _OTHER for word in asked):
        return None
    stated = _words(_STATEMENT_END.split(lead[2])[0])
    denied, found = any(word.kind == "negation" for word in stated), {w for w in stated if w.kind != "negation"}
    if lead[1].lower() == "no":
        # "Is it normal?" "No. Normal sinus rhythm. Left axis deviation." denies the whole and states a part.
        named = any(word.kind != "polarity" for word in asked)
        return "says no and then states what was asked" if named and asked <= found and not denied else None
    if any(word.kind == "joint" for word in asked):
        return None  # yes to one of two
    if denied:
        return "says yes and then denies what was asked" if asked <= found else None
    if not any(word.kind == "finding" for word in asked & found):
        return None
    texts = {word.text for word in asked}
    if Word("polarity", "normal") in found and not texts & _SOUND:
        return "says yes and then calls it normal"
    said = {word.text for word in found}
    for group in _EXCLUSIVE:
        first, second = ({group[text] for text in words & group.keys()} for words in (texts, said))
        if first and second and not first & second:
            return "says yes and then states something else"
    return None


def _words(text: str) -> set[Word]:
    """What a text asks or states; "non-" belongs to a finding's name."""
    words = meaning(re.sub(r"\bnon-(?=\w)", "non", text, flags=re.IGNORECASE))
    return {word for word in words if word.kind not in ("break", "modality") and word.text not in _NAMING}
