"""A study's objects to stacks of slices: pictures of one series that differ in place and time only.

A series may hold several stacks: three orientations of a localiser, magnitude and phase, several echoes. Slices are
numbered from base to apex, phases in time.
"""

from __future__ import annotations

import hashlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import pairwise

from chordae.platform.errors import UnreadableRecording
from chordae.preprocessing.cmr import geometry
from chordae.preprocessing.cmr.geometry import Vector
from chordae.preprocessing.dicom import Instance

Values = Mapping[str, tuple[str | float, ...]]

CLASSIC, ENHANCED = "1.2.840.10008.5.1.4.1.1.4", "1.2.840.10008.5.1.4.1.1.4.1"
MIN_SIDE = 32


def numbers(values: Values, *keywords: str) -> tuple[float, ...]:
    """The numbers of the first of these keywords that has some."""
    for keyword in keywords:
        several = _usable(values.get(keyword, ()))
        if several:
            return several
    return ()


@lru_cache(maxsize=4096)
def _usable(found: tuple[str | float, ...]) -> tuple[float, ...]:
    return tuple(value for value in found if isinstance(value, float) and abs(value) < 1e9)


def number(values: Values, *keywords: str) -> float | None:
    """The first of those numbers."""
    found = numbers(values, *keywords)
    return found[0] if found else None


def words(values: Values, *keywords: str) -> tuple[str, ...]:
    """Everything that these keywords say, in capitals."""
    return tuple(str(value).upper() for keyword in keywords for value in values.get(keyword, ()))


@dataclass(frozen=True, slots=True)
class Picture:
    """One image. `trigger` in ms after the R wave, `temporal` the repetition it belongs to, where the header says."""

    instance: Instance = field(repr=False)
    frame: int
    values: Values = field(repr=False)
    number: int
    acquisition: float | None
    trigger: float | None
    temporal: float | None
    position: Vector | None
    across: Vector | None
    """The normal, towards the apex."""
    uid: str = field(repr=False)
    """For telling images apart and sorting; never given out."""


@dataclass(frozen=True)
class Stack:
    """Parallel slices of one series, from base to apex, each with its phases in time."""

    number: int | None
    """SeriesNumber."""
    values: Values = field(repr=False)
    """Of its first image."""
    across: Vector | None
    component: str
    """`magnitude`, `phase`, `real` or a map's kind, as ImageType says."""
    slices: tuple[tuple[Picture, ...], ...] = field(repr=False)
    orientations: int
    """How many the whole series has."""
    echoes: int
    """How many echo times the whole series has."""

    @property
    def phases(self) -> int:
        return max(len(phases) for phases in self.slices)

    @property
    def trigger_span(self) -> float:
        """From the first to the last trigger time of a slice, ms; the longest."""
        known = [[p.trigger for p in phases if p.trigger is not None] for phases in self.slices]
        return max((max(times) - min(times) for times in known if times), default=0.0)

    @property
    def dynamic(self) -> bool:
        """Whether the phases are repetitions over many heartbeats: each its own acquisition."""
        most = max(self.slices, key=len)
        return len(most) > 1 and _are_acquisitions(most)

    def depth(self, index: int) -> float:
        """Where the slice lies along the normal, mm; its number where the header has no geometry."""
        first = self.slices[index][0]
        if first.position is None or self.across is None:
            return float(index)
        return geometry.dot(first.position, self.across)


def stacks(instances: Iterable[Instance], set_aside: Counter[str]) -> list[Stack]:
    """All stacks of the MR images among the objects, in an order that the files' order does not change.

    What is no MR image is counted in `set_aside` by reason.
    """
    series: dict[str, list[Picture]] = defaultdict(list)
    for instance in _once(instances, set_aside):
        reason = _unusable(instance)
        if reason:
            set_aside[reason] += 1
            continue
        uid = _first(instance, "SeriesInstanceUID") or f"number {instance.text('SeriesNumber')}"
        try:
            pictures = _pictures(instance)
        except UnreadableRecording as error:
            set_aside[error.reason] += 1
        else:
            series[uid].extend(pictures)
    found = [stack for uid in sorted(series) for stack in _split(series[uid])]
    return sorted(found, key=lambda stack: -1 if stack.number is None else stack.number)


def _once(instances: Iterable[Instance], set_aside: Counter[str]) -> list[Instance]:
    """Objects without duplicates. Of several with one UID that differ, the same is taken whatever their order."""
    by_uid: dict[str, Instance] = {}
    nameless = []
    for instance in instances:
        uid = _first(instance, "SOPInstanceUID")
        if not uid:
            nameless.append(instance)
            continue
        uid = f"{uid} {instance.number('InstanceNumber')}"  # some anonymisers give all objects one UID
        if uid in by_uid:
            set_aside["duplicate"] += 1
            by_uid[uid] = min(by_uid[uid], instance, key=lambda one: hashlib.sha256(one.data).digest())
        else:
            by_uid[uid] = instance
    return [*by_uid.values(), *nameless]


def _unusable(instance: Instance) -> str:
    reason = _refused(tuple(instance.values.get(keyword, ()) for keyword in _KIND))
    return "no_pixels" if not reason and instance.pixels is None else reason


_KIND = ("Modality", "SOPClassUID", "SamplesPerPixel", "PhotometricInterpretation", "Rows", "Columns")


@lru_cache(maxsize=64)
def _refused(kind: tuple[tuple[str | float, ...], ...]) -> str:
    """Why an object that has these values is no grey MR image; empty if it is one."""
    modality, sop_class, samples, photometric, rows, columns = (next(iter(value), "") for value in kind)
    if str(modality).upper() != "MR":
        return "wrong_modality"
    if sop_class not in (CLASSIC, ENHANCED, ""):
        return "not_an_mr_image"  # spectroscopy, screenshots, colour maps
    if samples not in (1.0, "") or not str(photometric).startswith("MONOCHROME"):
        return "not_grey"
    if not all(isinstance(side, float) and side >= MIN_SIDE for side in (rows, columns)):
        return "bad_size"
    return ""


def _pictures(instance: Instance) -> list[Picture]:
    uid = _first(instance, "SOPInstanceUID") or hashlib.sha256(instance.data).hexdigest()
    if instance.frames == 1 and instance.text("SOPClassUID") != ENHANCED:
        return [_picture(instance, 0, instance.values, uid)]
    try:
        described = instance.frame_values
    except Exception as error:  # noqa: BLE001 - pydicom raises anything on damaged sequences, quoting them
        raise UnreadableRecording(
            f"The frames' descriptions cannot be read ({type(error).__name__})", "export it again", "bad_header"
        ) from None
    if len(described) != instance.frames:
        raise UnreadableRecording("The object describes other frames than it has", "export it again", "bad_header")
    return [_picture(instance, frame, values, uid) for frame, values in enumerate(described)]


def _picture(instance: Instance, frame: int, values: Values, uid: str) -> Picture:
    place = numbers(values, "ImagePositionPatient")
    own = number(values, "InstanceNumber")
    return Picture(
        instance=instance,
        frame=frame,
        values=values,
        number=int(own) if own is not None else 0,
        acquisition=number(values, "AcquisitionNumber"),
        trigger=number(values, "TriggerTime", "NominalCardiacTriggerDelayTime", "ActualCardiacTriggerDelayTime"),
        temporal=number(values, "TemporalPositionIdentifier", "TemporalPositionIndex"),
        position=place if len(place) == 3 else None,
        across=_normal(numbers(values, "ImageOrientationPatient")),
        uid=uid,
    )


_normal = lru_cache(maxsize=512)(geometry.normal)


def _first(instance: Instance, keyword: str) -> str:
    return str(next(iter(instance.identifiers.get(keyword, ())), "")).strip()


def _split(pictures: list[Picture]) -> list[Stack]:
    """A series' stacks."""
    pictures = sorted(pictures, key=lambda p: (p.number, p.uid, p.frame))
    normals: list[Vector | None] = []
    which: dict[Vector | None, int] = {}
    groups: dict[tuple[object, ...], list[Picture]] = defaultdict(list)
    echoes = set[float]()
    for picture in pictures:
        values, across = picture.values, picture.across
        if across not in which:
            which[across] = next((i for i, known in enumerate(normals) if _parallel(known, across)), len(normals))
            if which[across] == len(normals):
                normals.append(across)
        echo = round(number(values, "EchoTime", "EffectiveEchoTime") or 0.0, 1)
        echoes.add(echo)
        size = values.get("Rows"), values.get("Columns")
        groups[which[across], _component(_image_type(values)), echo, size].append(picture)
    number_ = number(pictures[0].values, "SeriesNumber")
    return [
        Stack(
            number=None if number_ is None else int(number_),
            values=part[0].values,
            across=normals[key[0]] if isinstance(key[0], int) else None,
            component=str(key[1]),
            slices=_slices(part, part[0].across),
            orientations=len(normals),
            echoes=len(echoes),
        )
        for key, group in groups.items()
        for part in _repetitions(group)
    ]


def _parallel(one: Vector | None, two: Vector | None) -> bool:
    if one is None or two is None:
        return one is two
    return geometry.degrees_between(one, two) < 2.0


def _image_type(values: Values) -> tuple[str | float, ...]:
    return values.get("FrameType") or values.get("ImageType") or ()


_COMPONENTS = {
    **dict.fromkeys(("P", "PHASE", "VELOCITY", "PHASE MAP", "VELOCITY MAP", "PHASE CONTRAST P"), "phase"),
    **dict.fromkeys(("R", "REAL", "CR", "R_IR", "PSIR", "PHASE SENSITIVE"), "real"),
    **dict.fromkeys(("T1 MAP", "T1_MAP", "T1MAP", "T1"), "T1 map"),
    **dict.fromkeys(("T2 MAP", "T2_MAP", "T2MAP", "T2"), "T2 map"),
    **dict.fromkeys(("T2_STAR MAP", "T2STAR MAP", "T2* MAP", "T2_STAR", "T2STAR_MAP"), "T2* map"),
    **dict.fromkeys(("ECV", "ECV MAP", "ECV_MAP"), "ECV map"),
    "I": "imaginary",
    "IMAGINARY": "imaginary",
}
"""Values of ImageType and FrameType (PS3.3 C.8.3.1.1.1, C.8.13.3.1.1) and those that vendors write there."""


@lru_cache(maxsize=256)
def _component(image_type: tuple[str | float, ...]) -> str:
    """What kind of number the pixels are, `magnitude` unless the type says otherwise; a map's kind goes first."""
    found = [_COMPONENTS[word] for word in (str(value).upper() for value in image_type[2:]) if word in _COMPONENTS]
    return next((kind for kind in found if "map" in kind), found[0] if found else "magnitude")


def _repetitions(pictures: list[Picture]) -> list[list[Picture]]:
    """Several images of each place and trigger time are several acquisitions: GE keeps magnitude and phase in one."""
    times = Counter((p.position, p.trigger) for p in pictures if p.position and p.trigger is not None)
    counts = set(times.values())
    several = max(counts, default=1)
    if counts != {several} or several == 1 or len({trigger for _, trigger in times}) < 2 or several > 3:
        return [pictures]
    if sum(times.values()) != len(pictures):
        return [pictures]
    parts: list[list[Picture]] = [[] for _ in range(several)]
    seen = Counter[object]()
    for picture in pictures:
        key = (picture.position, picture.trigger)
        parts[seen[key]].append(picture)
        seen[key] += 1
    return parts


def _slices(pictures: list[Picture], across: Vector | None) -> tuple[tuple[Picture, ...], ...]:
    if across is None or any(picture.position is None for picture in pictures):
        return tuple(_in_time(part) for part in _by_restart(pictures))
    depths = [geometry.dot(picture.position, across) for picture in pictures if picture.position is not None]
    return tuple(_in_time([pictures[i] for i in level]) for level in geometry.levels(depths, geometry.SAME_SLICE_MM))


def _by_restart(pictures: list[Picture]) -> list[list[Picture]]:
    """Slices of images without geometry, in order of number: a new one begins where trigger times start again."""
    found = [[pictures[0]]]
    for before, picture in pairwise(pictures):
        if before.trigger is not None and picture.trigger is not None and picture.trigger < before.trigger:
            found.append([])
        found[-1].append(picture)
    return found


JITTER_MS = 50.0
"""Repetitions at the same moment of the beat have trigger times that differ by less: no phases of a beat do."""


def _in_time(pictures: list[Picture]) -> tuple[Picture, ...]:
    """By trigger time, where it tells, else temporal position, else number.

    Repetitions, each of them its own acquisition, go by these: their trigger times say when in a beat, not in which.
    """
    if _are_acquisitions(pictures):
        return tuple(sorted(pictures, key=lambda p: (p.acquisition or 0.0, p.number, p.uid, p.frame)))
    triggers, positions = {p.trigger for p in pictures}, {p.temporal for p in pictures}
    within_ms = max(p.trigger or 0.0 for p in pictures) - min(p.trigger or 0.0 for p in pictures)
    if None not in positions and len(positions) == len(pictures) and within_ms < JITTER_MS:
        return tuple(sorted(pictures, key=lambda p: p.temporal or 0.0))
    by_trigger = None not in triggers and len(triggers) > 1
    by_position = None not in positions
    return tuple(
        sorted(
            pictures,
            key=lambda p: (
                p.trigger or 0.0 if by_trigger else 0.0,
                p.temporal or 0.0 if by_position else 0.0,
                *(p.number, p.uid, p.frame),
            ),
        )
    )


def _are_acquisitions(pictures: Sequence[Picture]) -> bool:
    acquisitions = {picture.acquisition for picture in pictures}
    return len(acquisitions) == len(pictures) and None not in acquisitions
