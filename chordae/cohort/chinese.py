# ruff: noqa: RUF001 - Chinese punctuation
"""The records' descriptions in Chinese, for the Chinese prompt set: a hospital that asks in Chinese describes in it."""

from __future__ import annotations

import re

from chordae.cohort import findings
from chordae.cohort.record_cases import NO_CONTRAST
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.examine import examine
from chordae.platform.diagnosis.record import CmrRecord

HEADS: dict[str, str] = {
    "Enlarged left ventricle": "左心室增大",
    "Left ventricle not enlarged": "左心室未见增大",
    **dict(
        zip(
            findings.LV_FUNCTION,
            ("左室收缩功能重度减低", "左室收缩功能中度减低", "左室收缩功能轻度减低", "左室收缩功能正常"),
            strict=True,
        )
    ),
    "LV function at the limit between two grades": "左室收缩功能介于两级之间",
    "No wall motion abnormality": "未见室壁运动异常",
    "Anterior wall motion abnormality": "前壁运动异常",
    "Inferior wall motion abnormality": "下壁运动异常",
    "Lateral wall motion abnormality": "侧壁运动异常",
    "Global hypokinesis": "室壁运动普遍减弱",
    "Doubtful wall motion abnormality": "可疑室壁运动异常",
    "Concentric wall thickening": "室壁向心性增厚",
    "Apical wall thickening": "心尖部室壁增厚",
    "Septal wall thickening": "室间隔增厚",
    "Lateral wall thickening": "侧壁增厚",
    "No wall thickening": "未见室壁增厚",
    "Prominent trabeculation": "肌小梁显著增多",
    "No prominent trabeculation": "肌小梁未见增多",
    **dict(zip(findings.RV_FUNCTION, ("右心室扩大伴功能减低", "右室功能减低，无扩大", "右心室正常"), strict=True)),
    "Borderline right ventricle": "右心室处于临界",
    **dict(zip(findings.ATRIUM, ("左心房正常", "左心房轻度增大", "左心房重度增大"), strict=True)),
    "Borderline left atrium": "左心房处于临界",
    findings.LGE["none"]: "未见延迟强化",
    findings.LGE["anterior"]: "前壁缺血性延迟强化",
    findings.LGE["inferior"]: "下壁缺血性延迟强化",
    findings.LGE["lateral"]: "侧壁缺血性延迟强化",
    findings.LGE["mid-wall"]: "肌壁间延迟强化",
    findings.LGE["insertion points"]: "右室插入部延迟强化",
    findings.LGE["subepicardial"]: "心外膜下延迟强化",
    findings.LGE["diffuse subendocardial"]: "弥漫性心内膜下延迟强化",
    NO_CONTRAST: "未使用对比剂，未评估延迟强化",
    **dict(
        zip(
            findings.TISSUE,
            ("T1和T2正常", "T1和T2升高", "T1明显升高，T2正常", "T1轻度升高，T2正常"),
            strict=True,
        )
    ),
    "T1 and T2 at their limits": "T1和T2处于临界",
    **dict(zip(findings.PERICARDIAL, ("未见心包积液", "少量心包积液", "中等量心包积液", "大量心包积液"), strict=True)),
    "Pericardial effusion at the limit between two grades": "心包积液量介于两级之间",
}
"""What a line says, by what it says in English."""

_TAILS = (
    (re.compile(r"EF (\d+) %"), r"EF \1 %"),
    (re.compile(r"up to (\d+) mm"), r"最厚\1 mm"),
    (re.compile(r"([\d.]+) times the compact layer"), r"为致密层的\1倍"),
    (re.compile(r"segments ([\d, ]+)"), r"第\1节段"),
    (re.compile(r"T1 (\d+) ms, T2 (\d+) ms"), r"T1 \1 ms，T2 \2 ms"),
    (re.compile(r"(\d+) (mL/m2|mm)"), r"\1 \2"),
)
"""Numbers that follow."""


def record_in(record: CmrRecord, language: Language) -> CmrRecord:
    """The record of a simulated patient, described in that language; parameters and numbers stay.

    One that is described in Chinese already, as a hospital's is, stays as it is.
    """
    if language == "en" or examine(record).language == "zh":
        return record
    lines = tuple(one.model_copy(update={"text": _translated(one.text)}) for one in record.description)
    return record.model_copy(update={"description": lines})


def _translated(text: str) -> str:
    """A line of `chordae.cohort.statements` in Chinese.

    Raises:
        KeyError, ValueError: not such a line; the table above lacks what a statement now says.
    """
    if text in HEADS:
        return HEADS[text]
    head, _, tail = text.partition(", ")
    for pattern, form in _TAILS:
        match = pattern.fullmatch(tail)
        if match:
            return f"{HEADS[head]}，{match.expand(form).replace(', ', '、')}"
    raise ValueError(f"no Chinese for the numbers of: {text}")
