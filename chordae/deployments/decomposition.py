"""From one question to a sub-query for each modality that it concerns: by a language model, by rules where that fails.

A small model splits most questions well and a few badly, so what it says is read against the question: a sub-query
holds a run of the question's own meaningful words and nothing else, and goes to an expert that can see what it asks
for. What cannot be used is not mended: rules take over and say why. Their sub-queries are clauses of the question, word
for word.
"""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass, replace
from typing import Any, Literal

from chordae.deployments.rephrasing import Word, folded, is_asking, meaning
from chordae.platform.errors import ChordaeError
from chordae.platform.language_prompts import DECOMPOSE_PROMPT
from chordae.platform.schemas import KIND_OF, NAME_OF, Modality

LONGEST_SUB_QUERY = 300
"""Characters that a model may spend on one sub-query."""

_ALL: frozenset[Modality] = frozenset(KIND_OF)
_NAMED: dict[Modality, str] = {
    "ecg": r"ecgs?|ekgs?|electrocardiogra\w+|12-lead|tracing",
    "echo": r"echos?|echocardiogra\w+|ultrasound|tte|tee|echo clips",
    "cmr": r"cmrs?|(?:cardiac )?(?:mris?|mr study|magnetic resonance)|cardiac mr",
}
_SEEN: tuple[tuple[frozenset[Modality], str], ...] = (
    (
        frozenset({"ecg"}),
        r"(?:(?:left |right )?(?:ventricular|atrial|av and ventricular|av|cardiac|heart) )?(?:rhythms?|\w*arrhythmi\w*"
        r"|\w*(?:tachy|brady)cardi\w+|fibrillation|flutter|conduction|(?<!you )rates?|ectop\w+|extrasystol\w+|pac\w*ed)"
        r"|sinus|af|a-?fib|bpm|beats? per minute|beating|[pqrtu](?: (?:or|and) [pqrtu])?[- ]waves?|pr|qrs|qtc?|stemi"
        r"|st[- ](?:segments?|elevat\w+|depress\w+|changes?|t\b)|(?<!short[- ])(?<!long[- ])axis|[lr]bbb|bundle branch"
        r"|av[- ]block|heart block|voltages?|pvcs?|pacemaker\w*|delta waves?|wpw|pre-?excitation|brugada|fascicular"
        r"|hemiblock|repolari[sz]ation|leads? (?:v?\d|i+\b|av[rlf])|strain pattern",
    ),
    (
        frozenset({"echo"}),
        r"dopplers?|echogenic\w*|e/e'?|e/a|diastolic (?:dys)?function|filling pressures?|jets?"
        r"|gradients?(?: (?:over|across|of|at) (?:the )?(?:\w+ )?valve)?",
    ),
    (
        frozenset({"cmr"}),
        r"late (?:gadolinium )?enhanc\w+|gadolinium|lge|enhanc\w+|scar\w*|fibro\w+|t1|t2\*?|ecv|mapping|maps?|o?edema"
        r"|tissue characteri[sz]ation|mid-?wall|sub(?:epi|endo)cardial|insertion points?|perfusion|iron|phase contrast",
    ),
    (
        _ALL,
        r"(?:(?:left |right |bi)?ventricular )?hypertroph(?:y|ied)|[lr]vh|ischa?em\w+|infarct\w*|myocarditis"
        r"|pericarditis",
    ),
    (
        frozenset({"echo", "cmr"}),
        r"[lr]v|lvef|rvef|ef|ejection fractions?|(?:bi)?ventric\w+|(?:dys)?function|[lr]a|atri(?:um|a|al)|moves?"
        r"|wall (?:motion|thick\w*)|sept(?:um|al)|\w+kine(?:sis|tic)|contract\w*|pump\w*|cardiomyopath\w+|ho?cm|dcm"
        r"|hypertrophic|amyloid\w*|non-?compact\w+|phenotype|pericardi\w+|effusions?|tamponade|valv\w+|mitral|tricuspid"
        r"|aort\w+|pulmon\w+|stenos\w+|regurgitat\w+|thromb\w+|shunts?|gls|strain|volumes?|edv|esv|dilat\w+",
    ),
)
"""Who can see what; looked for in this order, and what one line has taken is not looked at by the next ("ventricular
rate" says nothing of ventricles). What is in no line may be seen by all."""


def _any(words: str) -> re.Pattern[str]:
    return re.compile(rf"(?<!\w)(?:{words})(?!\w)", re.IGNORECASE)


_NAMED_PATTERNS = {modality: _any(words) for modality, words in _NAMED.items()}
_SEEN_PATTERNS = tuple((modalities, _any(words)) for modalities, words in _SEEN)

_SENTENCE_END = re.compile(r"(?<=[?!;])\s+|(?<=[^\d\s.]\.)(?<!\bvs\.)(?<!\be\.g\.)(?<!\bi\.e\.)\s+(?=[A-Z])")
_PLACE = rf"(?:(?:on|in|by|from|per) )?(?:(?:the|this|an?|these) )?(?:{'|'.join(_NAMED.values())})(?!\w)"
_SUBJECT = (
    r"(?:there|the|an?|any|all|this|these|it|they|you|both|left|right|conduction|rhythm|wall|regional|global|systolic"
    r"|diastolic|ventricular|atrial|late|mitral|aortic|tricuspid|pericardial|(?-i:[A-Z]{2,})|T1|T2)\b"
)
_OPENING = (
    rf"(?:{_PLACE}|(?:what|how)\b|(?:is|are|was|were|do|does|did|can|could|has|have|would|should) {_SUBJECT}"
    rf"|(?:please )?(?:describe|identify|name|state|give|tell|say|report|comment|mention|list|assess|evaluate|grade"
    rf"|classify|estimate|determine|explain|summari[sz]e|quantify|measure) (?:on |me |whether |what |how |which )*"
    rf"{_SUBJECT})"
)
_IN_PLACE = re.compile(_PLACE, re.IGNORECASE)
_JOINT = re.compile(
    rf"(?:,\s*(?:(?:and|but)\s+)?|(?<!\s)\s+(?:and|but)\s+)(?={_OPENING}|(?<=and )(?:which|where)\b)", re.IGNORECASE
)
"""Between two clauses of a sentence that can each be asked alone; lists of nouns ("rhythm and axis") stay together."""
_LINKED = _any(
    r"if(?! any| there| present)|when|given|unless|because|since|although|though|despite|assuming|than(?!\s+\d)|versus"
    r"|vs|compared?|agrees?|explain(?:s|ed)?|confirms?|correlates?|consistent|same|between|cause[sd]?|due|account|neither|nor"
    r"|either|not"
)
"""A sentence with one of these means what it means as a whole."""
_REFERRING = _any(
    rf"it|its|they|them|their|so|ones?|that|those"
    rf"|(?:this|these)(?! (?:recording|study|scan|image|{'|'.join(_NAMED.values())}))"
)
_BEARING = ("number", "laterality", "negation", "polarity")
_ELLIPTIC = frozenset({"size", "amount", "where", "severity", "extent", "degree", "grade", "location", "far"})


@dataclass(frozen=True)
class Decomposition:
    """What each expert is asked."""

    sub_queries: dict[Modality, str]
    """Relevant and available modalities only, in the order of `KIND_OF`."""
    source: Literal["model", "rules"]
    reason: str = ""
    """Why the rules took over; empty for the model's."""


@dataclass(frozen=True)
class _Clause:
    """question[start:end], and who can see what it asks for."""

    start: int
    end: int
    text: str
    modalities: frozenset[Modality]
    known: bool
    """Whether it names a modality or something that not all can see."""
    asks: bool


async def decompose(
    question: str, available: Collection[Modality], ask: Callable[[str, dict[str, Any]], Awaitable[str]] | None
) -> Decomposition:
    """Split a question over the modalities that have a recording and an expert (one at least).

    `ask` puts (prompt, JSON schema) to a language model. That it fails or is late (ChordaeError, TimeoutError) is a
    reason for the rules; what else it raises passes.
    """
    if len(available) < 2:
        return Decomposition(dict.fromkeys(_ordered(available), question), "rules", "only one modality to ask")
    if ask is None:
        return Decomposition(by_rules(question, available), "rules", "no language model to ask")
    try:
        found = read(await ask(prompt(question, available), schema(available)), question, available)
    except TimeoutError:
        found = "the language model did not answer in time"
    except ChordaeError as error:
        found = error.problem
    if isinstance(found, str):
        return Decomposition(by_rules(question, available), "rules", found)
    return Decomposition(found, "model")


def prompt(question: str, available: Collection[Modality]) -> str:
    """The task as experts are taught it (`cohort.language_tasks`); the question on one line."""
    studies = ", ".join(NAME_OF[modality] for modality in _ordered(available))
    return DECOMPOSE_PROMPT.format(studies=studies, question=" ".join(question.split()))


def schema(available: Collection[Modality]) -> dict[str, Any]:
    """JSON schema of the answer, for OpenAI's `response_format`; xgrammar, vLLM's default, enforces all of it."""
    text = {"type": "string", "minLength": 1, "maxLength": LONGEST_SUB_QUERY}
    return {
        "type": "object",
        "properties": {modality: dict(text) for modality in _ordered(available)},
        "additionalProperties": False,
        "minProperties": 1,
    }


def read(text: str, question: str, available: Collection[Modality]) -> dict[Modality, str] | str:
    """The sub-queries that a model wrote, or why they cannot be used."""
    if len(text) > (LONGEST_SUB_QUERY + 20) * len(_ALL):
        return "the model's answer is too long"
    try:
        told = json.loads(text, object_pairs_hook=_without_duplicates)
    except (ValueError, RecursionError):
        return "the model's answer is not JSON"
    if not isinstance(told, dict) or not told:
        return "the model asks nothing"
    if not set(told) <= set(available):
        return "the model asks a study that there is not"
    queries: dict[Modality, str] = {}
    for modality in (one for one in _ordered(available) if one in told):
        query = told[modality].strip() if isinstance(told[modality], str) else ""
        if problem := _problem(query, modality, question):
            return f"the model's sub-query for the {NAME_OF[modality]} {problem}"
        queries[modality] = query
    return _left_out(queries, question, available) or queries


def by_rules(question: str, available: Collection[Modality]) -> dict[Modality, str]:
    """The same without a model: each clause to whom it names or who can see what it asks for, else to all.

    Clauses that no available modality can answer are left out, unless nothing else is asked: then all get the whole.
    """
    clauses = _clauses(question)
    whole = dict.fromkeys(_ordered(available), question)
    parts: dict[Modality, str] = {}
    for modality in whole:
        mine = [clause.asks and modality in clause.modalities for clause in clauses]
        if any(mine):
            kept = [mine[index] or not clause.asks for index, clause in enumerate(clauses)]
            parts[modality] = question if all(kept) else _joined(question, clauses, kept)
    return parts or whole


def _ordered(available: Collection[Modality]) -> list[Modality]:
    return [modality for modality in KIND_OF if modality in available]


def _without_duplicates(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    if len(dict(pairs)) < len(pairs):
        raise ValueError("a key twice")
    return dict(pairs)


# --- reading what a model wrote


def _problem(query: str, modality: Modality, question: str) -> str | None:
    """What is wrong with one sub-query."""
    if not query:
        return "is empty"
    if folded(query) == folded(question):
        return None
    if not query.isprintable():
        return "is not one line"
    if len(query) > LONGEST_SUB_QUERY or len(query.split()) > 2 * len(question.split()) + 8:
        return "is too long"
    if not is_asking(query) and query.lower() not in question.lower():
        return "does not ask"
    asked, there = [word for word in _plain(query) if word.kind != "break"], _plain(question)
    named = {word.text for word in meaning(query) if word.kind == "modality"}
    if named - {modality} - {word.text for word in meaning(question) if word.kind == "modality"}:
        return "names another study"
    if added := Counter(asked) - Counter(there):
        return f"adds a {min(added).kind}"
    if not any(word.kind in ("finding", "number") for word in asked):
        return "drops the subject"
    if not _is_run(asked, there):
        return "takes words out of their context"
    return None if modality in _who_sees(query)[0] else "is about something that it does not show"


def _plain(text: str) -> list[Word]:
    """The meaningful words but names of modalities, and the breaks between them."""
    return [word for word in meaning(text) if word.kind != "modality"]


def _is_run(asked: list[Word], there: list[Word]) -> bool:
    """Whether the words stand side by side in the question, and none beside them or before them bears on them."""
    words = [word for word in there if word.kind != "break"]
    places = [index for index, word in enumerate(there) if word.kind != "break"]
    for start in range(len(words) - len(asked) + 1):
        if words[start : start + len(asked)] == asked:
            first, last = places[start], places[start + len(asked) - 1]
            beside = [*there[max(first - 1, 0) : first], *there[last + 1 : last + 2]]
            ends = [index for index in range(first) if there[index].kind == "break" and there[index].text != ","]
            before = there[max(ends, default=-1) + 1 : first]
            denied = any(word.kind == "negation" for word in before)  # "no effusion, hypertrophy or scar"
            if not denied and not any(word.kind in _BEARING for word in beside):
                return True
    return False


def _left_out(queries: dict[Modality, str], question: str, available: Collection[Modality]) -> str | None:
    """What the question asks for and the sub-queries do not, where that is known."""
    told = {word for query in queries.values() for word in meaning(query)}
    for clause in _clauses(question):
        homes = [modality for modality in _ordered(available) if modality in clause.modalities]
        if not clause.asks or not homes:
            continue
        subject = {word for word in meaning(clause.text) if word.kind in ("finding", "number")}
        if subject and not subject & told:
            return "the model leaves out a part of the question"
        if clause.known and not set(homes) <= set(queries):
            missing = next(modality for modality in homes if modality not in queries)
            return f"the model does not ask the {NAME_OF[missing]}"
    return None


# --- clauses


def _clauses(question: str) -> list[_Clause]:
    """The question in its order, cut where each part can stand alone. No text is lost but the joints between them."""
    found: list[_Clause] = []
    for start, end in _sentences(question):
        leading: frozenset[Modality] = frozenset()
        for clause in _merged([_clause(question, *span) for span in _spans(question, start, end)], question):
            named = _named(clause.text)
            if not named and leading and (clause.modalities & leading):
                clause = replace(clause, modalities=clause.modalities & leading, known=True)
            leading = leading or named
            found.append(clause)
    found = _merged(found, question)
    return found if any(clause.asks for clause in found) else [replace(clause, asks=True) for clause in found]


def _sentences(question: str) -> list[tuple[int, int]]:
    """Spans of sentences; a question of several lines, such as one with options, is one."""
    if len(question.strip().splitlines()) > 1:
        return [(0, len(question))]
    cuts = [match.span() for match in _SENTENCE_END.finditer(question)]
    return _between(cuts, 0, len(question))


def _spans(question: str, start: int, end: int) -> list[tuple[int, int]]:
    """Spans of the clauses of one sentence."""
    if _LINKED.search(question, start, end) or "\n" in question.strip():
        return [(start, end)]
    return _between([match.span() for match in _JOINT.finditer(question, start, end)], start, end)


def _between(cuts: list[tuple[int, int]], start: int, end: int) -> list[tuple[int, int]]:
    edges = [start, *(edge for cut in cuts for edge in cut), end]
    return [(first, last) for first, last in zip(edges[::2], edges[1::2], strict=True) if first < last]


def _clause(question: str, start: int, end: int) -> _Clause:
    text = question[start:end]
    modalities, known = _who_sees(text)
    fragment = len(text.split()) <= 3 and known
    asks = is_asking(text) or text.rstrip().endswith("?") or fragment or _IN_PLACE.match(text.strip()) is not None
    return _Clause(start, end, text, modalities, known, asks)


def _merged(clauses: list[_Clause], question: str) -> list[_Clause]:
    """Clauses that cannot stand alone put to their neighbours: "... and how large is it?", "On the ECG"."""
    found: list[_Clause] = []
    for clause in clauses:
        if found and clause.asks and _is_place(found[-1].text):
            clause = _clause(question, found.pop().start, clause.end)
        elif found and clause.asks and found[-1].asks and _leans(clause):
            clause = _with(found.pop(), clause, question)
        found.append(clause)
    return found


def _with(clause: _Clause, leaning: _Clause, question: str) -> _Clause:
    """A clause and the one that leans on it, for all who see something of either."""
    return replace(
        clause,
        end=leaning.end,
        text=question[clause.start : leaning.end],
        modalities=clause.modalities | (leaning.modalities if leaning.known else frozenset()),
        known=clause.known or leaning.known,
    )


def _is_place(text: str) -> bool:
    words = [word for word in meaning(text) if word.kind != "break"]
    return not text.rstrip().endswith("?") and bool(words) and all(word.kind == "modality" for word in words)


def _leans(clause: _Clause) -> bool:
    """Whether a clause says only with the one before it what it is about."""
    if _named(clause.text):
        return False
    subjects = [word for word in meaning(clause.text) if word.kind in ("finding", "number")]
    return _REFERRING.search(clause.text) is not None or all(word.text in _ELLIPTIC for word in subjects)


def _named(text: str) -> frozenset[Modality]:
    return frozenset(modality for modality, pattern in _NAMED_PATTERNS.items() if pattern.search(text))


def _who_sees(text: str) -> tuple[frozenset[Modality], bool]:
    """The modalities that a text names, else those that see what it names, else all; and whether it is not the last."""
    if named := _named(text):
        return named, True
    seen: frozenset[Modality] = frozenset()
    for modalities, pattern in _SEEN_PATTERNS:
        text, count = pattern.subn(" ", text)
        seen = seen | modalities if count else seen
    return seen or _ALL, bool(seen)


def _joined(question: str, clauses: list[_Clause], kept: list[bool]) -> str:
    """The clauses that are kept, word for word; neighbours with the joint between them."""
    runs: list[list[int]] = []
    for index, clause in enumerate(clauses):
        if not kept[index]:
            continue
        if runs and runs[-1][2] == index - 1:
            runs[-1][1:] = [clause.end, index]
        else:
            runs.append([clause.start, clause.end, index])
    return " ".join(question[start:end].strip() for start, end, _ in runs)
