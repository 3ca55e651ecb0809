"""What of a study is an echo clip, and why the rest is not.

A clip is an ultrasound object with several frames that shows a plane through the heart. Texts of the header are read to
tell hearts from carotids; they go no further than here.
"""

from __future__ import annotations

import hashlib
import math
import re
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.dicom import Instance
from chordae.preprocessing.dicom.regions import COLOUR_FLOW, M_MODE, SPECTRAL, TISSUE, TWO_D, Region, ultrasound_regions

ULTRASOUND = {
    *("1.2.840.10008.5.1.4.1.1.3.1", "1.2.840.10008.5.1.4.1.1.3"),  # multi-frame, today's and the retired one
    *("1.2.840.10008.5.1.4.1.1.6.1", "1.2.840.10008.5.1.4.1.1.6"),  # single frames
}
VOLUME = "1.2.840.10008.5.1.4.1.1.6.2"
_REPORTS = ("1.2.840.10008.5.1.4.1.1.88.", "1.2.840.10008.5.1.4.1.1.104.")  # structured reports; PDF, CDA, STL, ...

MAX_PIXELS = 4 * 1024 * 1024
"""Of one frame. A scanner's whole screen has half of that; 24 frames of more would not fit a worker."""


@dataclass(frozen=True)
class Clip:
    """A clip and its place in the study, from 1, in the order in which it was taken."""

    number: int
    instance: Instance
    regions: tuple[Region, ...]


def clips_of(instances: Iterable[Instance]) -> tuple[list[Clip], Counter[str]]:
    """The clips by series and instance number, and how many objects were set aside for which reason.

    The order of the files does not matter. An object that came twice counts once.
    """
    several = list(instances)
    different = sorted(_without_copies(several), key=_order)
    set_aside = Counter({"duplicate": len(several) - len(different)})
    clips = list[Clip]()
    for instance in different:
        reason = reason_against(instance)
        if reason is None:
            try:
                regions = tuple(ultrasound_regions(instance))
            except UnreadableRecording as error:
                reason = error.reason
            else:
                reason = not_a_plane(instance, regions)
        if reason is None:
            clips.append(Clip(len(clips) + 1, instance, regions))
        else:
            set_aside[reason] += 1
    return clips, +set_aside


def reason_against(instance: Instance) -> str | None:
    """Why the object is no moving ultrasound picture of a heart, as far as its header tells without its regions."""
    sop_class, modality = instance.text("SOPClassUID"), instance.text("Modality")
    if sop_class.startswith(_REPORTS) or modality in ("SR", "DOC", "KO"):
        return "report"
    if modality == "IVUS":
        return "non_cardiac_probe"
    if modality != "US" and not (modality == "" and sop_class in {*ULTRASOUND, VOLUME}):
        return "not_ultrasound"
    if instance.pixels is None:
        return "no_pixels"
    if sop_class == VOLUME:
        return "volume"
    if not is_cardiac_probe(instance):
        return "non_cardiac_probe"
    if not is_cardiac_examination(instance):
        return "non_cardiac_examination"
    if instance.frames < 2:
        return "still"
    if (instance.number("Rows") or 0) * (instance.number("Columns") or 0) > MAX_PIXELS:
        return "bad_size"
    return None


def is_cardiac_probe(instance: Instance) -> bool:
    """Whether the transducer may look at hearts; one that the header does not describe may.

    Transducer Type has defined terms (PS3.3 C.8.5.6.1.9). Names are the makers' own, but most have the shape of the
    probe in them: linear ones L12-3, 9L, ML6-15, L38, PLT-704; curved ones C5-1, 4C-RS, 6C1, C60, PVT-375.
    """
    if instance.text("TransducerType") in _OTHER_SHAPES:
        return False
    return not any(_OTHER_NAMES.fullmatch(str(name).strip()) for name in instance.values.get("TransducerData", ()))


_OTHER_SHAPES = {
    *("LINEAR", "CURVED LINEAR", "ENDOCAV_CLA", "ENDOCAV_LINEAR", "IV_ROT XTAL", "IV_ROT MIRROR"),
    *("SINGLE CRYSTAL", "SPLIT XTAL CWD"),  # pencil probes: Doppler without a picture
}
_OTHER_NAMES = re.compile(
    r"(ML|L|C)\d{1,2}(-\d{1,2})?[A-Z]{0,3}(-[A-Z]+)?"
    r"|\d{1,2}[LC]\d?[A-Z]{0,2}(-[A-Z]+)?"
    r"|P[LV]T.*|.*(TCD|CWC|PEDOF|LINEAR|CURVED|CONVEX).*",
    re.I,
)


def is_cardiac_examination(instance: Instance) -> bool:
    """Whether what was examined may be a heart: the first text that says one or the other decides.

    Image Type's third value is the examination (PS3.3 C.8.5.6.1.1). "Echo" alone is ultrasound of anything.
    """
    anatomy = instance.values.get("ImageType", ())[2:3]
    described = map(instance.text, ("BodyPartExamined", "SeriesDescription", "ProtocolName", "StudyDescription"))
    for text in (*map(str, anatomy), *described):
        if _OTHER_EXAMINATIONS.search(text):
            return bool(_HEART.search(text) and not _FETUS.search(text))
        if _HEART.search(text):
            return True
    return True


_HEART = re.compile(r"heart|cardi|\b(tte|tee|toe)\b|transthoracic|transes?oph|o?esophag", re.I)
_FETUS = re.compile(r"f(o?et|öt)(al|us)|obstet", re.I)
_OTHER_EXAMINATIONS = re.compile(
    r"f(o?et|öt)(al|us)|obstet|carotid|carotis|\b(vascular|peripheral|duplex|dvt|tcd|neck|venous)\b|transcranial|abdom"
    r"|intravascular|intraluminal|kidney|\brenal\b|liver|thyroid|breast|gyn(a?e)c|pelvi|uter(us|ine)|bladder|prostat|scrot"
    r"|testic|musculoskel|\bmsk\b|neonatal head|\b(head|brain|eye)\b|ophthalm|endo(rectal|vaginal)"
    r"|retroperit|small part",
    re.I,
)


def not_a_plane(instance: Instance, regions: Iterable[Region]) -> str | None:
    """Why it is no plane: an M-mode or Doppler recording, by what fills more of the picture.

    Without regions Image Type's fourth value tells (PS3.3 C.8.5.6.1.1): a sum of codes, in hexadecimal.
    """
    planes = m_mode = spectral = 0
    for region in regions:
        left, top, right, bottom = region.box
        area = max(0, right - left) * max(0, bottom - top)
        if is_plane(region):
            planes += area
        elif region.spatial_format == M_MODE:
            m_mode += area
        elif region.spatial_format == SPECTRAL:
            spectral += area
    if planes + m_mode + spectral == 0:
        code = str(next(iter(instance.values.get("ImageType", ())[3:4]), ""))
        kinds = int(code, 16) if re.fullmatch(r"[0-9A-Fa-f]{1,4}", code) else 0
        planes, m_mode, spectral = (bool(kinds & mask) for mask in (_CODE_PLANE, _CODE_M_MODE, _CODE_SPECTRAL))
    if planes >= m_mode + spectral:
        return None
    return "m_mode" if m_mode >= spectral else "spectral"


_CODE_PLANE, _CODE_M_MODE, _CODE_SPECTRAL = 0x0151, 0x0022, 0x000C
"""2D, colour Doppler, 3D rendering and colour power; M-mode and colour M-mode; CW and PW Doppler."""


def is_plane(region: Region) -> bool:
    """Whether the region is a plane through the body, grey or with colour flow."""
    return region.spatial_format == TWO_D and region.data_type in (TISSUE, COLOUR_FLOW)


def _order(instance: Instance) -> tuple[float, float, str]:
    series, number = (instance.number(keyword) for keyword in ("SeriesNumber", "InstanceNumber"))
    return (
        math.inf if series is None else series,
        math.inf if number is None else number,
        _uid(instance) or _digest(instance),
    )


def _without_copies(instances: list[Instance]) -> list[Instance]:
    """One of each: same UID and number, which some anonymisers keep apart only together, or the same bytes."""
    alike: dict[tuple[str, float | None], list[Instance]] = {}
    for instance in instances:
        key = (_uid(instance) or _digest(instance), instance.number("InstanceNumber"))
        alike.setdefault(key, []).append(instance)
    return [same[0] if len(same) == 1 else min(same, key=_digest) for same in alike.values()]


def _uid(instance: Instance) -> str:
    return "\\".join(str(value) for value in instance.identifiers.get("SOPInstanceUID", ()))


def _digest(instance: Instance) -> str:
    return hashlib.sha256(instance.data).hexdigest()
