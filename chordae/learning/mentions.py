"""Which findings of the vocabulary a text names, and whether it says that they are there or that they are not.

A text denies a finding when a negation stands before it in the same clause, or behind it ("is absent"): the triggers
and the scope are those of NegEx (Chapman et al., J Biomed Inform 2001;34:301), with clauses that also end at a comma.
Names that say no themselves ("No ST elevation") are matched whole, longest first, and are no negation of what follows.
"""

import re
from dataclasses import dataclass
from functools import cache

from chordae.cohort.findings import RATES, Topic, topics
from chordae.platform.schemas import Modality

RATE_LIMITS = (50, 60, 80, 100, 120)
"""Beats per minute at which the findings of `RATES` begin, after the first."""

# Other ways in which cardiologists write a finding. Keys are names of the vocabulary, values regular expressions.
SYNONYMS: dict[str, str] = {
    "Normal sinus rhythm": r"sinus rhythm|NSR",
    "Atrial fibrillation": r"AF|A[- ]?fib",
    "Normal conduction": r"conduction (?:is|was|appears) normal|no conduction (?:abnormality|defect|disturbance)",
    "Left bundle branch block": r"LBBB|left bundle[- ]branch block",
    "Right bundle branch block": r"RBBB|right bundle[- ]branch block",
    "First-degree AV block": r"(?:first|1st)[- ]degree (?:AV|atrioventricular|heart) block",
    "No ST elevation": r"ST segments? (?:is|are) (?:not elevated|isoelectric|normal)|no ST[- ]segment elevation",
    "Left ventricular hypertrophy": r"LVH|LV hypertrophy",
    "Right ventricular hypertrophy": r"RVH|RV hypertrophy",
    "Left axis deviation": r"LAD|axis (?:is )?deviated to the left|left[- ]axis",
    "Right axis deviation": r"RAD|axis (?:is )?deviated to the right|right[- ]axis",
    "Normal axis": r"axis (?:is|was) normal",
    "Normal LV function": r"LV (?:systolic )?function (?:is|was) normal|preserved (?:LV|left ventricular) function",
    "Severely reduced LV function": r"(?:LV|left ventricular) function (?:is|was) severely reduced",
    "Moderately reduced LV function": r"(?:LV|left ventricular) function (?:is|was) moderately reduced",
    "Mildly reduced LV function": r"(?:LV|left ventricular) function (?:is|was) mildly reduced",
    "No wall motion abnormality": r"wall motion (?:is|was) normal|no regional wall motion abnormality",
    "Anterior wall motion abnormality": r"anterior wall (?:is |was )?(?:hypo|a|dys)kine(?:tic|sis|sia)",
    "Inferior wall motion abnormality": r"inferior wall (?:is |was )?(?:hypo|a|dys)kine(?:tic|sis|sia)",
    "Lateral wall motion abnormality": r"lateral wall (?:is |was )?(?:hypo|a|dys)kine(?:tic|sis|sia)",
    "Global hypokinesis": r"globally hypokinetic|diffuse hypokinesis",
    "No pericardial effusion": r"no (?:significant )?effusion",
    "Small pericardial effusion": r"small effusion",
    "Moderate pericardial effusion": r"moderate effusion",
    "Large pericardial effusion": r"large effusion",
    "Raised T1 and T2": r"raised T2(?: and T1)?|oedema",
    "Normal left atrium": r"left atrium (?:is|was) (?:of )?normal|left atrial size is normal",
    "Infiltrative cardiomyopathy": r"amyloid cardiomyopathy",
    "Non-compaction cardiomyopathy": r"LVNC|LV non-?compaction",
    "LV non-compaction": r"LVNC|(?:LV )?non-?compaction(?: cardiomyopathy)?",
    "Hypertrophic heart disease": r"hypertrophic cardiomyopathy|HCM|HOCM",
    "Dilated heart disease": r"dilated cardiomyopathy|DCM",
    "Dilated cardiomyopathy": r"DCM",
    "Hypertrophic cardiomyopathy": r"HCM|HOCM",
    "Cardiac amyloidosis": r"amyloidosis|ATTR|AL amyloid",
    "Myocardial infarction": r"infarct(?:ion)?",
    "No late gadolinium enhancement": r"no (?:LGE|late enhancement)",
    "Mid-wall enhancement": r"mid-?wall (?:LGE|late (?:gadolinium )?enhancement)",
    "Subepicardial enhancement": r"sub-?epicardial (?:LGE|late (?:gadolinium )?enhancement)",
    "Diffuse subendocardial enhancement": r"(?:diffuse|global) subendocardial (?:LGE|late (?:gadolinium )?enhancement)",
}

_BEFORE = re.compile(
    r"\b(?:no|not|without|absence of|negative for|free of|rules? out|rather than|denies|neither|nor|cannot see)\b",
    re.IGNORECASE,
)
_BEHIND = re.compile(
    r"^[^.;,:]{0,20}\b(?:absent|ruled out|excluded|unlikely|not (?:seen|present|found|shown))\b", re.IGNORECASE
)
_CLAUSE = re.compile(r"[.;,:]|\bbut\b|\bhowever\b|\balthough\b", re.IGNORECASE)
_RATE = re.compile(r"\b(\d{2,3})\s*(?:bpm|beats per minute|beats/min|/min)", re.IGNORECASE)


@dataclass(frozen=True)
class Mention:
    """A finding that a text names."""

    topic: str
    finding: str
    affirmed: bool


def mentions(text: str, modality: Modality) -> list[Mention]:
    """Every finding of a modality that `text` names, in the order of the topics.

    A rate in beats per minute names the finding that holds it, where the text names none of the rates itself.
    """
    found = [
        (topic.key, _name(topic, match.group()), match.span())
        for topic in topics(modality)
        for match in _pattern(topic).finditer(text)
    ]
    masked = list(text)
    for _, _, (start, end) in found:
        masked[start:end] = "_" * (end - start)
    rest = "".join(masked)
    result = [Mention(key, name, not _denied(rest, *span)) for key, name, span in found]
    rates = [topic for topic in topics(modality) if topic.findings == RATES]
    if rates and not any(mention.topic == rates[0].key for mention in result):
        values = [int(match.group(1)) for match in _RATE.finditer(rest)]
        named = [RATES[sum(value >= limit for limit in RATE_LIMITS)] for value in values]
        result += [Mention(rates[0].key, name, True) for name in named]
    return result


def stated_rate(text: str) -> int | None:
    """The first rate that a text gives in beats per minute; none: it gives none."""
    match = _RATE.search(text)
    return int(match.group(1)) if match else None


def affirmed(text: str, topic: Topic) -> set[str]:
    """The findings of a topic that `text` says are there."""
    return {one.finding for one in mentions(text, topic.modality) if one.topic == topic.key and one.affirmed}


def _denied(rest: str, start: int, end: int) -> bool:
    before = _CLAUSE.split(rest[:start])[-1]
    return bool(_BEFORE.search(before) or _BEHIND.search(rest[end:]))


@cache
def _pattern(topic: Topic) -> re.Pattern[str]:
    """Any name of the topic's findings, the longest that fits."""
    names = sorted((re.escape(name) for name in topic.findings), key=len, reverse=True)
    names += [SYNONYMS[name] for name in topic.findings if name in SYNONYMS]
    return re.compile(rf"(?<!\w)(?:{'|'.join(names)})(?!\w)", re.IGNORECASE)


def _name(topic: Topic, words: str) -> str:
    """The vocabulary's name of what was matched."""
    for name in topic.findings:
        if words.lower() == name.lower():
            return name
    return next(
        name for name in topic.findings if name in SYNONYMS and re.fullmatch(SYNONYMS[name], words, re.IGNORECASE)
    )
