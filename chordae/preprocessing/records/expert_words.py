# ruff: noqa: RUF001 - Chinese punctuation
"""What the CMR expert is asked for a record, and the words of its answers.

The topics and names are those of the vocabulary that CMR experts are taught (docs/simulated-patients.md) without kind
of cardiomyopathy and diagnosis: a record holds what is seen, and its reader concludes. Chamber sizes, wall thickness,
trabeculation, wall motion and the left atrium are no topics of the CMR expert, so that such a record is silent on them.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from chordae.platform.diagnosis.category import Language


@dataclass(frozen=True)
class Topic:
    """One question and the findings of which one answers it."""

    question: str
    normal: str
    names: dict[str, str]
    """English to Chinese."""


TOPICS: dict[str, Topic] = {
    "lv_function": Topic(
        "How is LV function?",
        "Normal LV function",
        {
            "Severely reduced LV function": "左室收缩功能重度减低",
            "Moderately reduced LV function": "左室收缩功能中度减低",
            "Mildly reduced LV function": "左室收缩功能轻度减低",
            "Normal LV function": "左室收缩功能正常",
        },
    ),
    "rv_function": Topic(
        "How is the right ventricle?",
        "Normal right ventricle",
        {
            "Dilated right ventricle with reduced function": "右心室扩大伴功能减低",
            "Reduced RV function without dilatation": "右室功能减低，无扩大",
            "Normal right ventricle": "右心室正常",
        },
    ),
    "lge": Topic(
        "Is there late gadolinium enhancement?",
        "No late gadolinium enhancement",
        {
            "No late gadolinium enhancement": "未见延迟强化",
            "Ischaemic enhancement of the anterior wall": "前壁缺血性延迟强化",
            "Ischaemic enhancement of the inferior wall": "下壁缺血性延迟强化",
            "Ischaemic enhancement of the lateral wall": "侧壁缺血性延迟强化",
            "Mid-wall enhancement": "肌壁间延迟强化",
            "Enhancement at the insertion points": "右室插入部延迟强化",
            "Subepicardial enhancement": "心外膜下延迟强化",
            "Diffuse subendocardial enhancement": "弥漫性心内膜下延迟强化",
        },
    ),
    "tissue": Topic(
        "What do T1 and T2 show?",
        "Normal T1 and T2",
        {
            "Normal T1 and T2": "T1和T2正常",
            "Raised T1 and T2": "T1和T2升高",
            "Markedly raised T1 with normal T2": "T1明显升高，T2正常",
            "Mildly raised T1 with normal T2": "T1轻度升高，T2正常",
        },
    ),
    "pericardial": Topic(
        "Is there a pericardial effusion?",
        "No pericardial effusion",
        {
            "No pericardial effusion": "未见心包积液",
            "Small pericardial effusion": "少量心包积液",
            "Moderate pericardial effusion": "中等量心包积液",
            "Large pericardial effusion": "大量心包积液",
        },
    ),
}
"""In the order of a record's lines."""

_YES_NO = re.compile(r"^(?:yes|no)\b(?:\s*[,.:;]+|\s*$)", re.IGNORECASE)
_NOT_READ = re.compile(
    r"\b(?:cannot|can't|could not|unable to|not able to) (?:\w+ ){0,3}(?:answer|assess|determine|tell|say|see|evaluate)"
    r"|\b(?:was|were|is|are) (?:not|n't) (?:provided|given|available|shown|assess\w*|acquired|evaluable|included)\b"
    r"|^no (?:[\w-]+ ){1,4}(?:was|were) (?:provided|given|available|shown|acquired)\b|^not (?:assess|evalua)\w*"
    r"|^nothing (?:was|is) (?:provided|given|available|shown)\b|\bpicture is blank\b|^this is an? (?:ECG|echo)\w*\b"
    r"|^I report\b",
    re.IGNORECASE,
)
_CONCLUSION = re.compile(r"^(?:impression|diagnos[ei]s|conclusion)\b", re.IGNORECASE)
_TAIL = re.compile(r"EF [0-9]{1,2} %")


def said(sentence: str) -> str:
    """What a sentence of an answer says of the heart; empty where it declines, agrees or concludes, and no more."""
    text = _YES_NO.sub("", sentence.strip()).strip(" .;")
    return "" if _NOT_READ.search(text) or _CONCLUSION.search(text) else text


def as_line(topic: str, text: str, language: Language) -> tuple[str, bool | None]:
    """A finding as a record's line in its language, and whether it is normal.

    A name of the vocabulary comes out as the vocabulary writes it; other words, of which it is not known whether they
    are normal, as they are, in the expert's language.
    """
    name, _, tail = text.partition(", ")
    found = next((one for one in TOPICS[topic].names if one.casefold() == name.casefold()), None)
    if found is None or (tail and not _TAIL.fullmatch(tail)):
        return text, None
    line, comma = (TOPICS[topic].names[found], "，") if language == "zh" else (found, ", ")
    return (f"{line}{comma}{tail}" if tail else line), found == TOPICS[topic].normal
