"""What a question asks for: the words that carry meaning, in one spelling.

Every word carries meaning unless it is known to be mere wording: what this module has never heard of is kept, not
dropped.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Literal, NamedTuple

Kind = Literal["number", "laterality", "negation", "polarity", "modality", "joint", "finding", "break"]


class Word(NamedTuple):
    """A word that carries meaning, in the spelling that stands for all its forms."""

    kind: Kind
    text: str


_PHRASES: tuple[tuple[str, str], ...] = (
    (r"n't\b|\bcannot\b", " not"),
    (r"\bwhether or not\b", "whether"),
    (r"\b(?:if (?:there (?:is|are) )?(?:any\w*|one|present)|or not)(?=\s*(?:[.?!,;]|$))|\bmost likely\b", " "),
    (r"\bruled? out\b|\bruling out\b", "exclude"),
    (r"\bfree of\b|\black of\b", "no"),
    (r"\b(lead|type|class|grade|mobitz) i\b", r"\1 1"),
    (r"\bbeats (?:per|a) minute\b", "bpm"),
    (r"\bper ?cent\b", "%"),
    (r"\bhow (?:large|big)\b", "size"),
    (r"\bhow (?:much|many)\b", "amount"),
    (r"\b(?:heart|cardiac) (rate|rhythm)\b", r"\1"),
    (r"\bcardiac (?:mri?|magnetic resonance)\b(?: imaging\b)?", "cmr"),
    (r"\b(?:late gadolinium|late|delayed) enhancement\b", "lge"),
    (r"\bejection fraction\b", "ef"),
    (r"\bst[- ]segments?\b", "st"),
    (r"\blvef\b", "lv ef"),
    (r"\b([lr])vh\b", r"\1v hypertrophy"),
    (r"\b([lr])bbb\b", r"\1 bundle branch block"),
    (r"\b(?:af|a-?fib)\b", "atrium fibrillation"),
    (r"\b([lr])v\b", r"\1 ventricle"),
    (r"\b([lr])a\b", r"\1 atrium"),
    (r"\bl(?= (?:ventricle|atrium|bundle))", "left"),
    (r"\br(?= (?:ventricle|atrium|bundle))", "right"),
)
"""Spellings of several words, and abbreviations; in this order, on lower-case text."""


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_FORMS = {
    form: one
    for one, forms in {
        "no": "not without none never absent absence",
        "exclude": "excluded excluding",
        "up": "raised elevated elevation increased increase high higher",
        "down": "reduced reduction lowered decreased decrease depressed depression impaired low lower",
        "abnormal": "abnormality abnormalities abnormally",
        "normal": "normally",
        "long": "prolonged prolongation",
        "wide": "widened broad",
        "mild": "mildly slight slightly",
        "moderate": "moderately",
        "severe": "severely markedly",
        "large": "big",
        "above": "over exceed exceeds greater",
        "below": "under",
        "ecg": "ekg electrocardiogram electrocardiography electrocardiographic",
        "echo": "echocardiogram echocardiography echocardiographic ultrasound",
        "cmr": "mri",
        "ventricle": "ventricles ventricular",
        "atrium": "atria atrial",
        "septum": "septal",
        "pericardium": "pericardial",
        "hypertrophy": "hypertrophied hypertrophic",
        "enlargement": "enlarged",
        "dilatation": "dilated dilation",
        "deviation": "deviated",
        "inversion": "inverted",
        "stenosis": "stenotic stenosed",
        "fibrosis": "fibrotic",
        "ischaemia": "ischaemic ischemia ischemic",
        "oedema": "edema",
        "contraction": "contract contracts contracting",
        "conduction": "conducted",
        "heart": "cardiac",
        "morphology": "morphological",
        "amount": "quantity",
        "and": "&",
    }.items()
    for form in forms.split()
}
"""Forms of one word, and words that readers use for each other."""

_KINDS: dict[Kind, frozenset[str]] = {
    "number": _words("one two three four five six seven eight nine ten first second third half twice double")
    | frozenset("%<>≤≥=+-"),
    "laterality": _words(
        "left right both bilateral anterior inferior lateral septum posterior superior medial apical apex basal base"
        " mid proximal distal anteroseptal anterolateral inferolateral inferoseptal avr avl avf"
    ),
    "negation": _words("no non neither nor exclude deny"),
    "polarity": _words(
        "normal abnormal up down long short wide narrow thick thin large small mild moderate severe above below"
        " more most less least fast slow regular irregular positive negative better worse acute chronic"
    ),
    "modality": _words("ecg echo cmr"),
    "joint": _words("and or but than with versus vs between if unless because while although when"),
}
_KIND_OF: dict[str, Kind] = {word: kind for kind, words in _KINDS.items() for word in words}

QUESTION_WORDS = _words(
    "what which how where whether is are was were do does did can could will would should may might has have any"
)
REQUESTS = _words(
    "describe identify name state give tell say report comment mention list assess evaluate grade classify estimate"
    " characterise characterize determine explain interpret look note show summarise summarize please quantify measure"
)
_CLOSED = QUESTION_WORDS - _words("what which how where whether")
_SEEING = _words("say report note")
"""Requests that with "would you" or "do you" ask whether something is there."""
_CLAUSES = re.compile(r"[.:;,!?]\s+")
_WORDING = (
    QUESTION_WORDS - {"where"}
    | REQUESTS
    | _words(
        "a an the this that these those there here it its they you your me we us of in on at for from to by as about"
        " must be been being had some see seen sees find found finding findings shown shows showing looking present"
        " presence visible evident evidence sign signs displayed detect detected observe observed demonstrated exist"
        " exists apparent depicted type kind recording recordings tracing study picture image scan clip clips patient"
        " question answer briefly brief concise kindly underlying overall main fit fits best also anywhere like"
    )
)
"""Words that only put a question into words."""

_TOKEN = re.compile(r"(?<!\S)-(?=\d)|\d+(?:[.,]\d+)*|[^\W\d_][^\W_]*|[^\w\s\"'()\[\]/*…“”«»-]")
"""Numbers with their sign, words, marks that say something (%, <, an arrow) and those between clauses."""
_BREAKS = ".?!;:,"
_ONE_MARK = str.maketrans("’‘−–—", "''---")  # noqa: RUF001 - what keyboards and word processors write


def meaning(text: str) -> list[Word]:
    """The words of a text that carry meaning, in their order, with marks between clauses as breaks.

    Spelling, inflection and the usual abbreviations do not count ("RV" is "right ventricle", "not" is "no").
    """
    text = unicodedata.normalize("NFKC", text).casefold().translate(_ONE_MARK)
    for pattern, replacement in _PHRASES:
        text = re.sub(pattern, replacement, text)
    found = []
    for token in _TOKEN.findall(text):
        word = _FORMS.get(token) or _FORMS.get(_singular(token)) or _singular(token)
        if token in _BREAKS:
            found.append(Word("break", token))
        elif any(char.isdigit() for char in token):
            found.append(Word("number", re.sub(r",(?=\d{3}\b)", "", token).replace(",", ".")))
        elif token not in _WORDING and word not in _WORDING:
            found.append(Word(_KIND_OF.get(word, "finding"), word))
    return found


def _singular(word: str) -> str:
    return word[:-1] if len(word) > 3 and word.endswith("s") and not word.endswith(("ss", "us", "is")) else word


def is_asking(text: str) -> bool:
    """Whether a text begins as a question or a request does; "There is ST elevation" is neither."""
    first = re.match(r"\W*(\w+)", text)
    return first is not None and first[1].lower() in QUESTION_WORDS | REQUESTS


def wants_yes_or_no(text: str) -> bool:
    """Whether yes or no answers a question: "On this ECG, is there AF?"; "Could you describe it?" is not."""
    for clause in _CLAUSES.split(text.lower().replace("n't", "")):
        first = re.match(r"\W*(\w+)(?:\s+you\s+(?:please\s+)?(\w+))?", clause)
        if first is not None and first[1] in QUESTION_WORDS:
            return first[1] in _CLOSED and (first[2] is None or first[2] in _SEEING or first[2] not in REQUESTS)
    return False


def folded(text: str) -> str:
    """Without case, space and punctuation; symbols that are no punctuation stay."""
    text = unicodedata.normalize("NFKC", text).casefold()
    return "".join(char for char in text if not char.isspace() and unicodedata.category(char)[0] not in "PC")
