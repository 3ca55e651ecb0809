"""The eight categories of CMR-R."""

from __future__ import annotations

from typing import Literal, get_args

Category = Literal[
    "myocardial infarction",
    "right-ventricular abnormality",
    "LV non-compaction",
    "hypertrophic cardiomyopathy",
    "amyloidosis",
    "dilated cardiomyopathy",
    "myocarditis",
    "normal",
]
CATEGORIES: tuple[Category, ...] = get_args(Category)
"""In the order of the CMR-R seed."""

CHINESE: dict[Category, str] = {
    "myocardial infarction": "心肌梗死",
    "right-ventricular abnormality": "右心室异常",
    "LV non-compaction": "心肌致密化不全",
    "hypertrophic cardiomyopathy": "肥厚型心肌病",
    "amyloidosis": "淀粉样病变",
    "dilated cardiomyopathy": "扩张型心肌病",
    "myocarditis": "心肌炎",
    "normal": "正常",
}
"""As the public prompt of CMR-R names them."""

Language = Literal["en", "zh"]


def category_name(category: Category, language: Language) -> str:
    """The category as a prompt and an answer of that language name it."""
    return CHINESE[category] if language == "zh" else category


_BY_NAME: dict[str, Category] = {
    name.casefold(): category for category in CATEGORIES for name in (category, CHINESE[category])
}


def category_of(name: str) -> Category | None:
    """The category of exactly that name in either language, whatever its case; none where it is no category's name."""
    return _BY_NAME.get(name.strip().casefold())
