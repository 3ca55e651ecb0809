# ruff: noqa: RUF001 - Chinese punctuation
"""A record's words are findings, never instructions or markup, whoever wrote them.

`disarm` takes from a text what a chain or a chat template would read as its own: tags, template tokens, numbers in
brackets, line breaks, characters that nobody sees. What is left says the same to a physician. `instructs` tells a line
that is addressed to the reader rather than about the heart (OWASP Top 10 for LLM applications, LLM01, "Prompt
Injection"); no list of phrases is complete, so what keeps an answer honest is the check of its chain.
"""

from __future__ import annotations

import re
import unicodedata

_NARROW = str.maketrans("＜＞［］｜", "<>[]|")
_TAG = re.compile(r"<{1,2}\s*(/?)\s*([A-Za-z_][\w:-]{0,30})\s*/?>{1,2}")
_TOKEN = re.compile(r"<\|\s*([^<>|]{0,60})\|>")
_BRACKETS = re.compile(r"\[\s*(/?INST|[0-9]+)\s*\]", re.IGNORECASE)
_UNSEEN = {"Cc", "Cf", "Cs", "Zl", "Zp"}
"""Unicode categories: control, format (zero width, direction), surrogate, line and paragraph separator."""

_CATEGORY = (
    r"(?:myocardial infarction|right[- ]ventricular abnormality|(?:LV )?non-?compaction|hypertrophic cardiomyopathy"
    r"|amyloidosis|dilated cardiomyopathy|myocarditis|normal)"
)
_INSTRUCTIONS = re.compile(
    r"\b(?:ignore|disregard|forget)\b.{0,60}\b(?:instructions?|prompts?|rules?|above|previous|prior|"
    r"earlier|findings|parameters|record|everything)\b"
    r"|\byou (?:are now|must|should|will|have to)\b|(?:^|[.;:,]\s*|\bplease\s+)act as\b|\bpretend\b"
    r"|\b(?:system|developer) (?:prompt|message)\b|^\s*(?:system|assistant|user)\s*:"
    r"|\b(?:the )?(?:final |correct |right )?answer\s*(?:is|:|=)"
    r"|(?:^|[.;:,]\s*|\b(?:please|just|only|always|must|to)\s+)(?:answer|respond|reply|print|say|write)\b"
    rf"(?: \w+){{0,3}} [\"'(]?{_CATEGORY}\b"
    r"|(?:^|[.;:]\s*|\b(?:please|just|only)\s+)(?:output|diagnose|classify|choose|select|set)\b"
    rf"(?: \w+){{0,4}} [\"'(]?{_CATEGORY}\b"
    r"|(?:忽略|无视|忘记|忘掉|不要理会).{0,20}(?:指令|指示|提示|规则|以上|之前|上述|上文|前面)"
    r"|系统提示(?:词|[:：])|你(?:现在)?(?:是|必须|应该|要)|(?:请)?(?:直接|只)(?:回答|输出|写|诊断)|答案(?:是|为|[:：])",
    re.IGNORECASE,
)


def disarm(text: str) -> str:
    """The text on one line, without what could be taken for a tag, a template's token or a citation. Idempotent."""
    seen, before = _seen(text), ""
    while seen != before:  # one within another comes to light when that is gone
        before = seen
        seen = _TAG.sub(r"(\1\2)", seen)
        seen = _TOKEN.sub(r"(\1)", seen)
        seen = _BRACKETS.sub(r"(\1)", seen)
    return " ".join(seen.split())


def has_markup(text: str) -> bool:
    """Whether the text holds tags, template tokens or citations that `disarm` takes away."""
    seen = _seen(text)
    return any(pattern.search(seen) for pattern in (_TAG, _TOKEN, _BRACKETS))


def instructs(text: str) -> bool:
    """Whether the text speaks to its reader: what to ignore, who to be, what to answer."""
    return _INSTRUCTIONS.search(disarm(text)) is not None


def _seen(text: str) -> str:
    """The characters that a reader sees, wide brackets as narrow ones."""
    return "".join(
        character if unicodedata.category(character) not in _UNSEEN else " " if character.isspace() else ""
        for character in text.translate(_NARROW)
    )
