"""Items of a sequence and the elements in them, where they stand in the file (PS3.5 section 7.5)."""

from __future__ import annotations

from collections.abc import Iterator

from chordae.preprocessing.archive import Buffer
from chordae.preprocessing.dicom import elements

Span = tuple[int, int]
"""Where something begins and ends."""


def span(data: Buffer, start: int, length: int) -> Span:
    """Of a value; one of undefined length ends somewhere before the data does."""
    return start, len(data) if length == elements.UNDEFINED else start + length


def items(data: Buffer, sequence: Span, implicit: bool) -> Iterator[Span]:
    """Each item's elements; a delimiter, if it has one, belongs to it. Raises struct.error where the data ends."""
    position, end = sequence
    while position + 8 <= end:
        tag, _, value = elements.header(data, position, implicit)
        if tag != elements.ITEM:
            return
        position = elements.skip(data, position, implicit)
        yield value, position


def fields(data: Buffer, item: Span, implicit: bool) -> dict[int, Span]:
    """The elements of an item by tag. Raises struct.error where the data ends."""
    position, end = item
    found: dict[int, Span] = {}
    while position + 8 <= end:
        tag, length, value = elements.header(data, position, implicit)
        if tag == elements.ITEM_END:
            break
        found[tag] = span(data, value, length)
        position = elements.skip(data, position, implicit) if length == elements.UNDEFINED else value + length
    return found


def text(data: Buffer, found: dict[int, Span], tag: int) -> str:
    """A text of at most 1024 characters; empty where there is none."""
    start, end = found.get(tag, (0, 0))
    return bytes(data[start : min(end, start + 1024)]).decode("latin-1").strip("\0 ")
