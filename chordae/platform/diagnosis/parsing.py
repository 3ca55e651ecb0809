# ruff: noqa: RUF001 - Chinese punctuation
"""What a reasoner wrote, read into a chain. Tolerant of how it says it, strict about the answer; it never raises.

Either language is read. Whatever could not be read as a citation is kept (`Chain.unread`), so that nothing is claimed
past the check; and a category is only taken from exactly one answer that holds exactly one category's name.
"""

from __future__ import annotations

import re

from chordae.platform.diagnosis.category import CATEGORIES, Category, category_name, category_of
from chordae.platform.diagnosis.chain import Chain, CitedFinding, CitedParameter, Opinion, OpinionParameter
from chordae.platform.diagnosis.record import Flag
from chordae.platform.diagnosis.wording import CHINESE, ENGLISH, concluded

_OPEN, _CLOSE = re.compile("<answer>", re.IGNORECASE), re.compile("</answer>", re.IGNORECASE)
_THINK, _THOUGHT = re.compile("<think>", re.IGNORECASE), re.compile("</think>", re.IGNORECASE)

_NAMES = {words.names[name]: name for words in (ENGLISH, CHINESE) for name in words.names}
_CANONICAL = {spelled.casefold(): name for spelled, name in _NAMES.items()}
_NAME = "|".join(re.escape(name) for name in sorted(_NAMES, key=len, reverse=True))
_DIRECTIONS: dict[str, Flag] = {word: flag for words in (ENGLISH, CHINESE) for flag, word in words.directions.items()}
_DIRECTION = "|".join(_DIRECTIONS)
_NO_RANGE = f"{ENGLISH.no_range}|{CHINESE.no_range}"
_VALUE = r"-?[0-9]{1,9}(?:\.[0-9]{1,6})?"
_CITATION = re.compile(
    rf"(?<![A-Za-z])({_NAME})\s*({_VALUE})\s*(\S{{1,12}}?)\s*(?:\bis\s+)?({_DIRECTION}|{_NO_RANGE})", re.IGNORECASE
)
_NUMBERED = re.compile(r"\[([0-9]{1,4})\]")
_BASIS = re.compile(
    rf"\b({'|'.join(ENGLISH.directions.values())})\s+({_NAME})|({_NAME})(?:\s+is\s+|\s*)({_DIRECTION})", re.IGNORECASE
)
_NUMERAL = r"[ \t]*(?:(?:I{1,3}|[1-3一二三])[.、:：)][ \t]*)?"
_NOTHING = {ENGLISH.nothing, CHINESE.nothing}
_EDGES = " \t\r\n.,;。，；、"


def parse(text: str) -> Chain:
    """Read a chain of either language.

    Returns:
        The chain; `problems` says what of the form is missing, twice there or out of order. Never raises.
    """
    problems: list[str] = []
    category = _answer(text, problems)
    reasoning = _reasoning(text, problems)
    first, second, third = _steps(reasoning, problems)
    parameters, beside_parameters = _cited_parameters(first)
    findings, beside_findings = _cited_findings(second)
    return Chain(
        parameters=parameters,
        findings=findings,
        opinion=_opinion(third),
        category=category,
        unread=(*beside_parameters, *beside_findings),
        problems=tuple(problems),
    )


def _answer(text: str, problems: list[str]) -> Category | None:
    opened, closed = list(_OPEN.finditer(text)), list(_CLOSE.finditer(text))
    if not opened:
        problems.append("There is no answer.")
        return None
    if len(opened) > 1 or len(closed) > 1:
        problems.append(f"There are {max(len(opened), len(closed))} answers.")
        return None
    if not closed or closed[0].start() < opened[0].end():
        problems.append("The answer was not finished.")
        return None
    if any(match.start() > opened[0].start() for match in _THOUGHT.finditer(text)):
        problems.append("The answer lies within the reasoning.")
        return None
    category = category_of(text[opened[0].end() : closed[0].start()].strip().rstrip(".。"))
    if category is None:
        problems.append("The answer is not one of the eight categories.")
    return category


def _reasoning(text: str, problems: list[str]) -> str:
    """What lies between the think tags; where they are not as they should be, all before the answer."""
    opened, closed = list(_THINK.finditer(text)), list(_THOUGHT.finditer(text))
    if len(opened) == len(closed) == 1 and opened[0].end() <= closed[0].start():
        return text[opened[0].end() : closed[0].start()]
    problems.append("The reasoning does not lie between one <think> and one </think>.")
    answer = _OPEN.search(text)
    return text[: answer.start()] if answer else text


def _steps(reasoning: str, problems: list[str]) -> tuple[str, str, str]:
    """The three steps' text; a step that is missing, twice there or out of order is empty, and said to be."""
    places: list[re.Match[str] | None] = []
    for english, chinese in zip(ENGLISH.steps, CHINESE.steps, strict=True):
        found = list(
            re.finditer(
                rf"^{_NUMERAL}(?:{english}|{chinese})[ \t]*(?:[:：]|$)", reasoning, re.MULTILINE | re.IGNORECASE
            )
        )
        if len(found) != 1:
            problems.append(f"The step '{english}' is {'missing' if not found else 'there more than once'}.")
        places.append(found[0] if len(found) == 1 else None)
    starts = [place.start() for place in places if place is not None]
    if starts != sorted(starts):
        problems.append("The steps are out of order.")
        return "", "", ""
    bodies = []
    for place in places:
        later = [start for start in starts if place is not None and start > place.start()]
        bodies.append("" if place is None else reasoning[place.end() : min(later, default=len(reasoning))].strip())
    return bodies[0], bodies[1], bodies[2]


def _cited_parameters(text: str) -> tuple[tuple[CitedParameter, ...], list[str]]:
    cited, beside, end = [], [], 0
    for match in _CITATION.finditer(text):
        beside.append(text[end : match.start()])
        end = match.end()
        cited.append(
            CitedParameter(
                name=_CANONICAL[match[1].casefold()],
                value=float(match[2]),
                unit=match[3],
                direction=_DIRECTIONS.get(match[4].casefold()),
            )
        )
    return tuple(cited), _said([*beside, text[end:]])


def _cited_findings(text: str) -> tuple[tuple[CitedFinding, ...], list[str]]:
    marks = list(_NUMBERED.finditer(text))
    if not marks:
        return (), _said([text])
    ends = [mark.start() for mark in marks[1:]] + [len(text)]
    cited = tuple(
        CitedFinding(number=int(mark[1]), words=" ".join(text[mark.end() : end].split()).rstrip(" .。;；"))
        for mark, end in zip(marks, ends, strict=True)
    )
    return cited, _said([text[: marks[0].start()]])


def _said(parts: list[str]) -> list[str]:
    """What is left between citations, but for punctuation and "None given."."""
    return [part.strip(_EDGES) for part in parts if part.strip(_EDGES) and part.strip() not in _NOTHING]


def _opinion(text: str) -> Opinion:
    parameters = []
    for match in _BASIS.finditer(text):
        name, direction = (match[2], match[1]) if match[2] else (match[3], match[4])
        parameters.append(
            OpinionParameter(name=_CANONICAL[name.casefold()], direction=_DIRECTIONS[direction.casefold()])
        )
    return Opinion(
        text=text,
        parameters=tuple(parameters),
        findings=tuple(int(match[1]) for match in _NUMBERED.finditer(text)),
        categories=_named(text),
    )


def _named(text: str) -> tuple[Category, ...]:
    """The categories that an opinion names. A bare "normal" is a direction, not a category."""
    lowered = text.casefold()
    return tuple(
        category
        for category in CATEGORIES
        if any(
            concluded(category, language).casefold() in lowered
            or (category != "normal" and category_name(category, language).casefold() in lowered)
            for language in ("en", "zh")
        )
    )
