"""What vendors and hospitals call their cardiac series, as tables: the first pattern that matches decides.

Names are folded first (small letters, no accents, one blank between runs of letters and digits that other signs part),
so that `cine_tf2d16_retro_iPAT_SA` reads `cine tf2d16 retro ipat sa`. The words are those of product protocols: GE
FIESTA, MDE, FGRE Time Course, SmartT1Map; Siemens tfi2d, MOLLI, PSIR, fl2d_venc; Philips B-TFE, QFLOW, Look-Locker,
Survey; German and French ones besides.
"""

from __future__ import annotations

import re
import unicodedata
from enum import StrEnum
from functools import lru_cache


class Sequence(StrEnum):
    """What kind of acquisition a series is."""

    CINE = "cine"
    LGE = "late gadolinium enhancement"
    PSIR = "late gadolinium enhancement, phase-sensitive"
    T1_MAP = "T1 map"
    T2_MAP = "T2 map"
    ECV_MAP = "extracellular volume map"
    T2_STAR = "T2* map"
    T2W = "T2-weighted"
    T1W = "T1-weighted"
    PERFUSION_REST = "perfusion at rest"
    PERFUSION_STRESS = "perfusion under stress"
    PERFUSION = "perfusion"
    PHASE_CONTRAST = "phase contrast"
    LOCALISER = "localiser"
    FLOW_4D = "4D flow"
    TI_SCOUT = "inversion time scout"
    MAP_SOURCE = "source images of a map"
    CALIBRATION = "calibration"
    ANGIOGRAPHY = "angiography"
    ANATOMY = "anatomy"
    UNKNOWN = "unknown"


@lru_cache(maxsize=4096)
def fold(text: str) -> str:
    """Small letters without accents, everything else than letters and digits a blank; `t2*` becomes `t2star`."""
    plain = unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode().lower()
    return " ".join(re.findall(r"[a-z0-9]+", plain.replace("t2*", "t2star")))


_S = Sequence

_SEQUENCES = (
    (_S.FLOW_4D, r"\b4d|4dflow|\bflow4d"),
    (_S.TI_SCOUT, r"\bti ?(scout|finder|test|find|sear)|scout ti|look ?lock|\bcine ir\b|tiscout"),
    (
        _S.CALIBRATION,
        r"calib|ref ?scan|sense ?ref|\bshim|freq\w* ?(scout|adj)|\badj\b|coil ?survey|\bnoise\b|b0 ?map|"
        r"\basset ?(cal|scan)|^asset$",
    ),
    (
        _S.LOCALISER,
        r"\bloc\b|locali[sz]|lokali|\bscout|survey|(\b3|three|drei|tri) ?(pl|plane|ebenen|axes)\b|pilot|"
        r"reperage|uebersicht|ubersicht|\bplanscan|\bplanning|multi ?loc|\bplan sc|\blocs\b|\baaheart",
    ),
    (_S.ECV_MAP, r"\becv\b|extracellular|\becvmap"),
    (_S.T2_STAR, r"\bt2 ?star|\bt2s\b|\bmgre\b.*iron|\biron\b"),
    (
        _S.T1_MAP,
        r"\bt1 ?map|t1mapping|molli|\bsasha|smart ?t?1|longt1|shortt1|t1 moco|cartographie t1",
    ),
    (_S.T2_MAP, r"\bt2 ?map|t2mapping|\bgrase|t2 ?prep ?(ssfp|bssfp|trufi)|cartographie t2"),
    (_S.PSIR, r"psir|\bps ?mde|phase ?sens|\bpsi\b|\bps ir\b"),
    (
        _S.LGE,
        r"\blge\b|mde\b|\bde\b(?! (phase|flux|coeur|perfusion)\b)|\bdhe\b|\bdelay|delayed|"
        r"late ?(gad|gd|enh)|enhanc|viab|spatanreich|spaetanreich|tardif|"
        r"\blate\b|rehaussement|\bnarbe|\bscar\b|\bir ?(tfe|fgre|gre|ffe|tfl|turbo ?flash|trufi|ssfp)|\bce ?ir",
    ),
    (
        _S.PERFUSION,
        r"perf|first ?pass|time ?course|fgret\b|\bdynamic|\bdyn\b|dynamique|premier passage|"
        r"tfl sr\b|\bsr ?(tfe|tfl|prep)",
    ),
    (
        _S.PHASE_CONTRAST,
        r"(?<!out)(?<!in)flow\b|\bqf\b|qflow|phase ?contrast|contraste de phase|\bpc\b|\bcine ?pc|\bfastcine ?pc|venc|"
        r"\bfluss|\bflux|\bpca\b|pcmr|velocity|\bfl2d\w* v\d+|thru|through ?plane",
    ),
    (_S.ANGIOGRAPHY, r"\bmra\b|angio|\btwist|\btricks|whole ?heart|coronar(y|ies)|\bnavigator"),
    (_S.CINE, r"\bcine|\bkino|kinetic|\bfunction|\bfunktion|fastcard|\bretro\b|\btf2d\d*\b"),
    (
        _S.T2W,
        r"stir\b|\btirm|triple ?ir|\bspair|o?edema|odeme?\b|"
        r"\bt2 ?(w|tse|fse|tir|blade|spair|prep|space|haste|db|bb|sa|bh)",
    ),
    (_S.T1W, r"\bt1 ?(w|tse|fse|se|bb|db|blade|vibe|spir)|double ?ir|\bdir\b|(dark|black) ?blood|\bdb\b|\bbb\b|\bt1\b"),
    (_S.T2W, r"\bt2\b"),
    (_S.ANATOMY, r"\bhaste\b|ssfse|\bthorax|\bmorpho|anatom|black blood"),
)

_SSFP = r"ssfp|trufi|true? ?fisp|fiesta|\bs?b ?(tfe|ffe)\b|\bm2d b|balanced|\btfi2?d?"
"""Steady-state free precession: a cine where there are phases, anatomy where there are none."""

_STRESS = r"stress|adeno|regadeno|dipyrid|belast|effort|vasodil|dobut"
_REST = r"\brest\b|ruhe|repos|resting"

_CHAMBER = r"(ch|cham|chamber|kammer|k|kb|cav|cavites?|cv|c)(b|blick|bl|v|view)?(?![a-z])"
_VIEWS = (
    ("RVOT", r"\brvot|rv ?(out|inflow|in ?out|ot)|pulmonary outflow|ccvd|rv lvot"),
    ("RV long axis", r"\brv ?(2 ?ch|3 ?ch|la\b|lax|vla|long)|\brvla\b"),
    ("4-chamber", rf"(?<!\d)4 ?{_CHAMBER}|four ?ch|vierkammer|\bhla\b|horizontal long|quatre cav"),
    ("2-chamber", rf"(?<!\d)2 ?{_CHAMBER}|two ?ch|zweikammer|\bvla\b|vertical long|deux cav"),
    ("3-chamber", rf"(?<!\d)3 ?{_CHAMBER}|three ?ch|dreikammer|\blvot\b|apical long|trois cav|\blvot"),
    (
        "short axis",
        r"\bc?s ?ax?\d*\b|\bsax|short ?ax|\bshort\b|kurz ?ach|kurze achse|\bka\b|petit axe|\bshax",
    ),
    ("long axis", r"\blax?\d*\b|long ?ax|lang ?ach|lange achse|grand axe|\bradial"),
    ("aorta", r"\bao\b|aort|\bavalve|\bav\b"),
    ("pulmonary artery", r"\bpa\b|\bmpa\b|pulm|\btrunk"),
    ("mitral valve", r"mitral|\bmv\b"),
    ("axial", r"\bax\b|axial|\btra\b|trans(v|a|$|\b)|\btransverse"),
    ("coronal", r"\bcor\b|coronal"),
    ("sagittal", r"\bsag\b|sagittal"),
)

_HEART = (
    r"\bcine|\blge\b|psir|\bmde\b|molli|\bheart|cardi|\bherz|\bcoeur|\bmyocard|\bkino|\bcmr\b|delayed ?enh|late ?gad|"
    r"short ?ax|\bsax|kurz ?ach|petit axe|\brvot\b|\blvot\b|(?<!\d)[234] ?(ch|chamber|kammer|cavites?)\b|"
    r"kammerblick|ventricul|\bmitral|aortic valve|\baortenklappe|\bcardiaque"
)
_ELSEWHERE = (
    r"brain|\bhead|\bneuro|schadel|cerebr|crane|kopf|hirn|\bcsf\b|liver|leber|\bfoie|hepat|abdom|oberbauch|kidney|renal|niere|\brein|"
    r"pelvis|becken|prostat|uter|rectum|knee|\bknie|genou|spine|spinal|lumb|cervic|\bhws|\blws|\bbws|should|schulter|epaule|"
    r"\bhip\b|hufte|\bhand\b|wrist|ankle|\bfoot|\bfuss\b|breast|mamm|neck|\bhals|carotid|pancrea|\bmrcp|orbit|pituit|skull|wirbel|"
    r"fetal|foetal|placenta|extremit|femur|thigh"
)


def _compiled(*patterns: str) -> tuple[re.Pattern[str], ...]:
    return tuple(re.compile(pattern) for pattern in patterns)


_SEQUENCE_TABLE = tuple((label, re.compile(pattern)) for label, pattern in _SEQUENCES)
_VIEW_TABLE = tuple((label, re.compile(pattern)) for label, pattern in _VIEWS)
_SSFP_WORDS, _STRESS_WORDS, _REST_WORDS, _HEART_WORDS, _ELSEWHERE_WORDS = _compiled(
    _SSFP, _STRESS, _REST, _HEART, _ELSEWHERE
)
_PLANES_OF_FLOW = {"aorta", "pulmonary artery", "mitral valve"}


@lru_cache(maxsize=1024)
def sequence(name: str) -> Sequence:
    """The sequence that a series' name says; unknown where it says none."""
    folded = fold(name)
    found = next((label for label, pattern in _SEQUENCE_TABLE if pattern.search(folded)), _S.UNKNOWN)
    if found is _S.PERFUSION:
        if _STRESS_WORDS.search(folded):
            return _S.PERFUSION_STRESS
        if _REST_WORDS.search(folded):
            return _S.PERFUSION_REST
    return found


@lru_cache(maxsize=1024)
def view(name: str, of_flow: bool = False) -> str:
    """The view that a series' name says; empty where it says none. Vessels and valves count for flow only."""
    folded = fold(name)
    for label, pattern in _VIEW_TABLE:
        if (of_flow or label not in _PLANES_OF_FLOW) and pattern.search(folded):
            return label
    return ""


def is_ssfp(name: str) -> bool:
    """Whether the name is one of balanced steady-state free precession."""
    return bool(_SSFP_WORDS.search(fold(name)))


def names_heart(text: str) -> bool:
    """Whether the words speak of the heart."""
    return bool(_HEART_WORDS.search(fold(text)))


def names_elsewhere(text: str) -> bool:
    """Whether the words speak of another part of the body and not of the heart."""
    folded = fold(text)
    return bool(_ELSEWHERE_WORDS.search(folded)) and not _HEART_WORDS.search(folded)
