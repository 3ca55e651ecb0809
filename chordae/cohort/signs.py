"""What a reader of a CMR record looks for in each category, in the words of the records.

The chains of diagnosis that are taught (`chains`) cite these signs, and the knowledge (`knowledge`) explains them.
"""

from __future__ import annotations

from dataclasses import dataclass

from chordae.cohort.findings import ATRIUM, LGE, LV_FUNCTION, PERICARDIAL, RV_FUNCTION, TISSUE, WALL_MOTION
from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.record import Flag

_REDUCED = LV_FUNCTION[:3]
_EFFUSION = PERICARDIAL[1:]
_ISCHAEMIC = tuple(LGE[where] for where in ("anterior", "inferior", "lateral"))


@dataclass(frozen=True)
class Signs:
    """What a reader looks for, in the order of importance."""

    parameters: dict[str, tuple[Flag, ...]]
    """By name, the directions that fit; the first two are expected of every patient."""
    findings: dict[str, tuple[str, ...]]
    """By topic, how findings that fit begin; the first one decides."""

    @property
    def decisive(self) -> str:
        """The topic without which a reader would hesitate."""
        return next(iter(self.findings))


SIGNS: dict[Category, Signs] = {
    "myocardial infarction": Signs(
        {"LV EF": ("low",), "LV ESV": ("high",), "LV EDV index": ("high",), "RV EF": ("normal",)},
        {
            "lge": _ISCHAEMIC,
            "wall_motion": tuple(WALL_MOTION[where] for where in ("anterior", "inferior", "lateral")),
            "lv_function": _REDUCED,
            "tissue": (TISSUE[1], TISSUE[2]),
        },
    ),
    "right-ventricular abnormality": Signs(
        {"RV EF": ("low",), "RV EDV index": ("high",), "RV ESV": ("high",), "LV EF": ("normal", "high")},
        {
            "rv_function": (RV_FUNCTION[0], RV_FUNCTION[1], "Borderline right ventricle"),
            "lge": (LGE["insertion points"], LGE["none"]),
            "lv_function": (LV_FUNCTION[3],),
            "wall_motion": (WALL_MOTION["none"],),
        },
    ),
    "LV non-compaction": Signs(
        {"LV EF": ("low",), "LV ESV": ("high",), "LV EDV index": ("high",), "Wall thickness": ("normal", "low")},
        {
            "trabeculation": ("Prominent trabeculation",),
            "lv_function": _REDUCED,
            "lv_size": ("Enlarged left ventricle",),
            "lge": (LGE["none"],),
            "wall_motion": (WALL_MOTION["global"],),
        },
    ),
    "hypertrophic cardiomyopathy": Signs(
        {
            "Wall thickness": ("high",),
            "LV mass index": ("high",),
            "LV EF": ("normal", "high"),
            "LA volume index": ("high",),
            "LV EDV index": ("normal", "low"),
        },
        {
            "wall": tuple(f"{where} wall thickening" for where in ("Septal", "Apical", "Lateral", "Concentric")),
            "lge": (LGE["insertion points"], LGE["mid-wall"]),
            "lv_function": (LV_FUNCTION[3],),
            "tissue": (TISSUE[3],),
        },
    ),
    "amyloidosis": Signs(
        {
            "Wall thickness": ("high",),
            "LV mass index": ("high",),
            "LA volume index": ("high",),
            "RV EF": ("low",),
            "LV EF": ("low",),
        },
        {
            "lge": (LGE["diffuse subendocardial"],),
            "tissue": (TISSUE[2],),
            "wall": ("Concentric wall thickening",),
            "atrium": ATRIUM[1:],
            "pericardial": _EFFUSION,
        },
    ),
    "dilated cardiomyopathy": Signs(
        {
            "LV EF": ("low",),
            "LV EDV index": ("high",),
            "LV ESV": ("high",),
            "RV EF": ("low",),
            "Wall thickness": ("normal", "low"),
        },
        {
            "lv_size": ("Enlarged left ventricle",),
            "lv_function": _REDUCED,
            "wall_motion": (WALL_MOTION["global"],),
            "lge": (LGE["mid-wall"], LGE["none"]),
            "trabeculation": ("No prominent trabeculation",),
        },
    ),
    "myocarditis": Signs(
        {"LV EDV index": ("normal", "low"), "Wall thickness": ("normal", "low"), "LV EF": ("low", "normal")},
        {
            "lge": (LGE["subepicardial"],),
            "tissue": (TISSUE[1], TISSUE[3]),
            "pericardial": _EFFUSION,
            "lv_size": ("Left ventricle not enlarged",),
        },
    ),
    "normal": Signs(
        {
            "LV EF": ("normal", "high"),
            "LV EDV index": ("normal",),
            "RV EF": ("normal",),
            "RV EDV index": ("normal",),
            "Wall thickness": ("normal",),
        },
        {
            "lge": (LGE["none"],),
            "lv_function": (LV_FUNCTION[3],),
            "wall_motion": (WALL_MOTION["none"],),
            "rv_function": (RV_FUNCTION[2],),
            "tissue": (TISSUE[0],),
        },
    ),
}

UNSAID: dict[str, tuple[str, str]] = {
    "lge": ("Late enhancement", "延迟强化"),
    "rv_function": ("RV function", "右室功能"),
    "trabeculation": ("Trabeculation", "肌小梁"),
    "wall": ("Wall thickening", "室壁增厚"),
    "lv_size": ("LV size", "左室大小"),
}
"""Names of the topics that decide, for a record that does not speak of them."""
