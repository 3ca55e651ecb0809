"""What an electrocardiograph wrote beside its waveform: statements and measurements (PS3.3 C.10.10)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import islice

from chordae.preprocessing.archive import Buffer
from chordae.preprocessing.dicom import elements
from chordae.preprocessing.dicom.instance import dataset_start
from chordae.preprocessing.dicom.nested import Span, fields, items, span, text

MOST = 2000
"""Items looked at; hundreds of marks in the waveform are usual, and neither text nor numbers."""

_ANNOTATIONS, _CONCEPT, _NUMBER, _TEXT = 0x0040B020, 0x0040A043, 0x0040A30A, 0x00700006
_CODE, _MEANING = 0x00080100, 0x00080104
_NUMBER_BYTES, _TEXT_BYTES = b"\x40\x00\x0a\xa3", b"\x70\x00\x06\x00"


@dataclass(frozen=True)
class Annotation:
    """A statement (`text`), or a measurement: what was measured, by code and in words, and its value."""

    text: str = ""
    code: str = ""
    meaning: str = ""
    value: float | None = None


def read_annotations(data: Buffer) -> list[Annotation]:
    """Those of a DICOM file; none where it has none or they are damaged.

    Raises:
        UnreadableRecording: an encoding that is not read here.
    """
    try:
        _, position, implicit = dataset_start(data)
        found = elements.scan(data, position, implicit, {_ANNOTATIONS}, _ANNOTATIONS)
        if _ANNOTATIONS not in found:
            return []
        every = islice(items(data, span(data, *found[_ANNOTATIONS]), implicit), MOST)
        return [_annotation(data, item, implicit) for item in every if _says_something(data, item)]
    except struct.error:
        return []


def _says_something(data: Buffer, item: Span) -> bool:
    """Whether the item may hold a text or a number; a look for their tags' bytes is all that most items are worth."""
    return data.find(_TEXT_BYTES, *item) >= 0 or data.find(_NUMBER_BYTES, *item) >= 0


def _annotation(data: Buffer, item: Span, implicit: bool) -> Annotation:
    found = fields(data, item, implicit)
    concept: dict[int, Span] = {}
    if _CONCEPT in found:
        for code in items(data, found[_CONCEPT], implicit):
            concept = fields(data, code, implicit)
    value = _number(text(data, found, _NUMBER))
    return Annotation(text(data, found, _TEXT), text(data, concept, _CODE), text(data, concept, _MEANING), value)


def _number(written: str) -> float | None:
    try:
        return float(written.split("\\")[0])
    except ValueError:
        return None
