"""What a text clearly says: sentences, clauses, and whether a clause states a thing, denies it or leaves it open.

Three-valued on purpose: what is hedged, dated, asked, offered as an alternative or ambiguously negated is neither
stated nor denied. Negation after NegEx (Chapman et al., J Biomed Inform 2001;34:301), with scopes that end at a comma:
behind the comma of "No A, B" it is not known whether B is denied, so nothing is said of it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

LONGEST_STATEMENT = 600
"""Characters; what is longer without a full stop or semicolon is no statement that a rule could read."""
LONGEST_QUOTE = 160

_GAP = re.compile(r"(?<=[.!?])\s+")
_NUMBERED = re.compile(r"\W*(?:\d{1,2}|[A-Za-z])\.")
_ABBREVIATION = re.compile(r"\b(?:approx|ca|cf|vs|resp|incl|e\.g|i\.e|Dr)\.$")
"""What ends in a full stop and is no sentence: the number or letter of an enumeration, and these."""

_CUT = re.compile(r"([,:]|\b(?:but|however|although|though|whereas|while|except)\b)", re.IGNORECASE)
_NEGATION = re.compile(
    r"\b(?:no|not|never|without|absence of|negative for|free of|rather than|neither|nor|lacks?)\b|n't\b", re.IGNORECASE
)
_BEHIND = re.compile(
    r"\s*(?:is|are|was|were)?\s*(?:absent|excluded|ruled out|none|negative|not|no|"
    r"not (?:seen|present|found|shown|identified|detected|visible))\s*[.!]?\s*$",
    re.IGNORECASE,
)
"""What denies the words in front of it, up to the end of the clause: "LVH is not seen", "Effusion: none"."""
_OPEN = re.compile(
    r"\b(?:possib\w+|probab\w+|(?:un)?likely|suspect\w*|suspici\w+|suggest\w*|may|might|could|would|should|cannot|"
    r"can(?:'t| not)|unable|question\w*|doubt\w*|borderline|unclear|uncertain|indeterminate|equivocal|versus|vs|"
    r"to exclude|rule out|not (?:be )?(?:excluded|ruled out)|if|whether|unless|consider\w*|recommend\w*|advis\w+|"
    r"assess|evaluat\w+|correlat\w+|compar\w+|risk|differential|almost|near(?:ly)?|low[- ]normal|at the limit|"
    r"histor\w+|previous\w*|prior|known|paroxysmal|former\w*|earlier|resolved|formerly|"
    r"no(?:t)? (?:significant|definite|clear|certain|obvious|major|relevant|marked|severe|further|other|longer|change|"
    r"increase|decrease|necessarily|only|all|every)\w*)\b",
    re.IGNORECASE,
)
"""Hedges, questions, recommendations, the past, and negations that deny less than they seem to."""


@dataclass(frozen=True)
class Clause:
    """A part of a statement, between commas."""

    text: str
    quote: str
    """The statement that it is part of, or the clause itself where that is long; in the writer's own words."""
    negated_before: bool
    """A negation stands in an earlier clause of the statement, and nothing has ended it."""
    colon: bool
    """A colon ends it: a label, of which what follows says whether it holds."""
    following: str

    def says(self, pattern: re.Pattern[str]) -> list[tuple[re.Match[str], bool]]:
        """Every match, with true where the clause states it and false where it denies it; what is open is left out."""
        told = ((match, self._stated(match)) for match in pattern.finditer(self.text))
        return [(match, stated) for match, stated in told if stated is not None]

    def _stated(self, match: re.Match[str]) -> bool | None:
        if is_open(self.text):
            return None
        behind = self.text[match.end() :]
        if _BEHIND.match(behind) or (not behind.strip() and _BEHIND.match(self.following)):
            return False
        own = _NEGATION.match(match.group())  # "without dilatation" where the pattern holds the negation itself
        negation = None if own else _NEGATION.search(self.text[: match.start()])
        if negation is not None:
            between = self.text[negation.end() : match.start()]
            return None if re.search(r"\band\b|\bwith\b", between, re.IGNORECASE) else False
        if self.negated_before or self.colon or re.search(r"\bor\b", self.text, re.IGNORECASE):
            return None
        return True


def sentences(text: str) -> list[str]:
    """The sentences of a text, word for word: a line or what ends in a full stop; those without any word left out."""
    found = []
    for line in text.splitlines():
        start = 0
        for gap in _GAP.finditer(line):
            numbered = _NUMBERED.fullmatch(line, start, min(gap.start(), start + 12))
            if (numbered and numbered.end() == gap.start()) or _ABBREVIATION.search(
                line[max(start, gap.start() - 8) : gap.start()]
            ):
                continue
            found.append(line[start : gap.start()])
            start = gap.end()
        found.append(line[start:])
    return [sentence.strip() for sentence in found if any(map(str.isalnum, sentence))]


def statements(text: str) -> list[str]:
    """What rules may read: sentences, cut at semicolons; questions and what is overlong left out."""
    parts = [part for one in sentences(text) if not one.endswith("?") for part in one.split(";")]
    return [part.strip().rstrip(".!") for part in parts if part.strip() and len(part) <= LONGEST_STATEMENT]


def clauses(statement: str) -> Iterator[Clause]:
    """The clauses of one statement, in order."""
    parts = _CUT.split(statement)
    negated = False
    for index in range(0, len(parts), 2):
        part, cut = parts[index], parts[index + 1].lower() if index + 1 < len(parts) else ""
        following = parts[index + 2] if index + 2 < len(parts) else ""
        quote = statement if len(statement) <= LONGEST_QUOTE else part.strip()
        if part.strip():
            yield Clause(part, quote, negated, cut == ":", following)
        negated = cut == "," and (negated or _NEGATION.search(part) is not None)


def is_open(words: str) -> bool:
    """Whether they are hedged, dated, asked or recommended, so that they state nothing."""
    return _OPEN.search(words) is not None


def quoted(statement: str, match: re.Match[str]) -> str:
    """The words to quote for something that a statement says: all of them, unless that is too long."""
    return statement if len(statement) <= LONGEST_QUOTE else match.group()


def whole_words(pattern: str) -> re.Pattern[str]:
    """The pattern where it begins and ends a word; "near-normal" does not hold the word normal."""
    return re.compile(rf"(?<![\w-])(?:{pattern})(?!\w)", re.IGNORECASE)
