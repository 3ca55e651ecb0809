"""From one question to a sub-query for each modality that it concerns: by a language model, by rules where that fails.

A small model splits most questions well and a few badly, so what it says is read against the question: a sub-query
holds a run of the question's own meaningful words and nothing else, and goes to an expert that can see what it asks
for. What cannot be used is not mended: rules take over and say why. Their sub-queries are clauses of the question, word
for word.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Awaitable, Callable, Collection
from dataclasses import dataclass
from typing import Any, Literal

from chordae.deployments.clauses import ALL, Clause, clauses_of, who_sees
from chordae.platform.errors import ChordaeError
from chordae.platform.language_prompts import DECOMPOSE_PROMPT
from chordae.platform.meaning import Word, folded, is_asking, meaning
from chordae.platform.schemas import KIND_OF, NAME_OF, Modality

LONGEST_SUB_QUERY = 300
"""Characters that a model may spend on one sub-query."""

_BEARING = ("number", "laterality", "negation", "polarity")


@dataclass(frozen=True)
class Decomposition:
    """What each expert is asked."""

    sub_queries: dict[Modality, str]
    """Relevant and available modalities only, in the order of `KIND_OF`."""
    source: Literal["model", "rules"]
    reason: str = ""
    """Why the rules took over; empty for the model's."""


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
    if len(text) > (LONGEST_SUB_QUERY + 20) * len(ALL):
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
    clauses = clauses_of(question)
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
    return None if modality in who_sees(query)[0] else "is about something that it does not show"


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
    for clause in clauses_of(question):
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


def _joined(question: str, clauses: list[Clause], kept: list[bool]) -> str:
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
