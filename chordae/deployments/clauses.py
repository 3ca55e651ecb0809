"""A question cut into clauses that can each be asked alone, and which modalities can see what each asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass, replace

from chordae.platform.meaning import is_asking, meaning
from chordae.platform.schemas import KIND_OF, Modality

ALL: frozenset[Modality] = frozenset(KIND_OF)
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
        ALL,
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
_ELLIPTIC = frozenset({"size", "amount", "where", "severity", "extent", "degree", "grade", "location", "far"})


@dataclass(frozen=True)
class Clause:
    """question[start:end], and who can see what it asks for."""

    start: int
    end: int
    text: str
    modalities: frozenset[Modality]
    known: bool
    """Whether it names a modality or something that not all can see."""
    asks: bool


def clauses_of(question: str) -> list[Clause]:
    """The question in its order, cut where each part can stand alone. No text is lost but the joints between them."""
    found: list[Clause] = []
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


def _clause(question: str, start: int, end: int) -> Clause:
    text = question[start:end]
    modalities, known = who_sees(text)
    fragment = len(text.split()) <= 3 and known
    asks = is_asking(text) or text.rstrip().endswith("?") or fragment or _IN_PLACE.match(text.strip()) is not None
    return Clause(start, end, text, modalities, known, asks)


def _merged(clauses: list[Clause], question: str) -> list[Clause]:
    """Clauses that cannot stand alone put to their neighbours: "... and how large is it?", "On the ECG"."""
    found: list[Clause] = []
    for clause in clauses:
        if found and clause.asks and _is_place(found[-1].text):
            clause = _clause(question, found.pop().start, clause.end)
        elif found and clause.asks and found[-1].asks and _leans(clause):
            clause = _with(found.pop(), clause, question)
        found.append(clause)
    return found


def _with(clause: Clause, leaning: Clause, question: str) -> Clause:
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


def _leans(clause: Clause) -> bool:
    """Whether a clause says only with the one before it what it is about."""
    if _named(clause.text):
        return False
    subjects = [word for word in meaning(clause.text) if word.kind in ("finding", "number")]
    return _REFERRING.search(clause.text) is not None or all(word.text in _ELLIPTIC for word in subjects)


def _named(text: str) -> frozenset[Modality]:
    return frozenset(modality for modality, pattern in _NAMED_PATTERNS.items() if pattern.search(text))


def who_sees(text: str) -> tuple[frozenset[Modality], bool]:
    """The modalities that a text names, else those that see what it names, else all; and whether it is not the last."""
    if named := _named(text):
        return named, True
    seen: frozenset[Modality] = frozenset()
    for modalities, pattern in _SEEN_PATTERNS:
        text, count = pattern.subn(" ", text)
        seen = seen | modalities if count else seen
    return seen or ALL, bool(seen)
