"""Whether a question asks what the patient has: then a CMR record that comes with it goes to the reasoner.

By rule, for it must be clear beforehand. A question that merely mentions a diagnosis may be taken for one: that costs a
diagnosis nobody asked for, where a miss would withhold one.
"""

from __future__ import annotations

import re

_ENGLISH = re.compile(
    r"\bdiagnos(?:is|es|e|tic)\b(?! (?:quality|value|accuracy|yield|images?|imaging|criteria|standard))"
    r"|\b(?:be|is|are) diagnosed\b"
    r"|\b(?:what|which)(?: (?:kind|type|form|sort) of)?(?: (?!is |are )\w+){0,3} (?:diseases?|conditions?"
    r"|cardiomyopath(?:y|ies)|patholog(?:y|ies)|disorders?|categor(?:y|ies))\b"
    r"|\bcauses? (?:of|for)\b|\bwhat(?: \w+){0,3} caus(?:es?|ed|ing)\b|\bunderlying\b"
    r"|\ba?etiolog(?:y|ies|ical)\b|\bexplains? (?:this|these|the) (?:findings?|picture|symptoms?)\b"
    r"|\bwhat(?: is|'s) wrong\b|\bwhat does (?:the|this) patient (?:have|suffer)\b",
    re.IGNORECASE,
)
_CHINESE = re.compile(
    r"诊断(?!质量|价值|标准|效能)|病因|(?:什么|何种|哪种|哪一种|何)(?:疾?病|心肌病|疾患)|患(?:的是|有)?(?:什么|何|哪)|原因"
)


def is_diagnostic(question: str) -> bool:
    """Whether the question, English or Chinese, asks for a diagnosis, a disease or its cause."""
    return bool(_ENGLISH.search(question) or _CHINESE.search(question))
