"""What an electrocardiograph wrote beside its waveform: statements and measurements (PS3.3 C.10.10)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from chordae.preprocessing.dicom import elements
from chordae.preprocessing.dicom.elements import Buffer
from chordae.preprocessing.dicom.instance import dataset_start

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
        start, length = found[_ANNOTATIONS]
        end = len(data) if length == elements.UNDEFINED else start + length
        items = islice(_items(data, start, end, implicit), MOST)
        return [_annotation(data, *item, implicit) for item in items if _says_something(data, *item)]
    except struct.error:
        return []


def _says_something(data: Buffer, start: int, end: int) -> bool:
    """Whether the item may hold a text or a number; a look for their tags' bytes is all that most items are worth."""
    return data.find(_TEXT_BYTES, start, end) >= 0 or data.find(_NUMBER_BYTES, start, end) >= 0


def _items(data: Buffer, position: int, end: int, implicit: bool) -> Iterator[tuple[int, int]]:
    """Where the content of each item begins and ends; with it ends a delimiter, if it has one."""
    while position + 8 <= end:
        tag, _, value = elements.header(data, position, implicit)
        if tag != elements.ITEM:
            return
        position = elements.skip(data, position, implicit)
        yield value, position


def _fields(data: Buffer, position: int, end: int, implicit: bool) -> Iterator[tuple[int, int, int]]:
    """Tag, offset and end of the values of one item's elements."""
    while position + 8 <= end:
        tag, length, value = elements.header(data, position, implicit)
        if tag == elements.ITEM_END:
            return
        yield tag, value, end if length == elements.UNDEFINED else value + length
        position = elements.skip(data, position, implicit)


def _annotation(data: Buffer, start: int, end: int, implicit: bool) -> Annotation:
    text = code = meaning = ""
    value: float | None = None
    for tag, begin, stop in _fields(data, start, end, implicit):
        if tag == _TEXT:
            text = _text(data, begin, stop)
        elif tag == _CONCEPT:
            for item in _items(data, begin, stop, implicit):
                fields = {tag: _text(data, *where) for tag, *where in _fields(data, *item, implicit)}
                code, meaning = fields.get(_CODE, ""), fields.get(_MEANING, "")
        elif tag == _NUMBER:
            value = _number(_text(data, begin, stop))
    return Annotation(text, code, meaning, value)


def _text(data: Buffer, begin: int, stop: int) -> str:
    return bytes(data[begin : min(stop, begin + 1024)]).decode("latin-1").strip("\0 ")


def _number(text: str) -> float | None:
    try:
        return float(text.split("\\")[0])
    except ValueError:
        return None
