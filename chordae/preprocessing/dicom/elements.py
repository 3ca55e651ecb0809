"""Little-endian DICOM (PS3.5 section 7), element by element, without building a dataset.

A study has hundreds of files with hundreds of elements each, most of them private and none of our business: walking
over them is several times faster than parsing them, and what was not parsed cannot leak.
"""

from __future__ import annotations

import copy
import struct
from collections.abc import Container

import numpy as np
from numpy.typing import NDArray

from chordae.preprocessing.archive import Buffer

UNDEFINED = 0xFFFFFFFF
MOST_ELEMENTS = 1_000_000
"""Of one object; an enhanced one of 10,000 frames has a tenth of that."""
ITEM, ITEM_END, SEQUENCE_END = 0xFFFEE000, 0xFFFEE00D, 0xFFFEE0DD

_HEADER, _LENGTH, _IMPLICIT = struct.Struct("<HH2sH"), struct.Struct("<L"), struct.Struct("<HHL")
_LONG_LENGTH_VRS = {b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV"}


def header(data: Buffer, position: int, implicit: bool = False) -> tuple[int, int, int]:
    """Tag, length and offset of the value of what stands at `position`. Raises struct.error at the end of the data."""
    group, element, vr, length = _HEADER.unpack_from(data, position)
    tag = group << 16 | element
    if implicit or group == 0xFFFE:  # items and delimiters have no VR, but four bytes of length
        return tag, _LENGTH.unpack_from(data, position + 4)[0], position + 8
    if vr in _LONG_LENGTH_VRS:
        return tag, _LENGTH.unpack_from(data, position + 8)[0], position + 12
    return tag, length, position + 8


def skip(data: Buffer, position: int, implicit: bool = False) -> int:
    """The offset behind the element or item at `position`; sequences of undefined length (PS3.5 7.5) too."""
    unpack, unpack_length = _HEADER.unpack_from, _LENGTH.unpack_from
    depth = 0
    while True:  # `header` written out: it is called for every element of every nested item
        group, element, vr, length = unpack(data, position)
        if implicit or group == 0xFFFE:
            (length,) = unpack_length(data, position + 4)
            position += 8
        elif vr in _LONG_LENGTH_VRS:
            (length,) = unpack_length(data, position + 8)
            position += 12
        else:
            position += 8
        if group == 0xFFFE and element != 0xE000:  # the end of an item or of a sequence
            depth -= 1
        elif length == UNDEFINED:
            depth += 1
        else:
            position += length
        if depth <= 0:
            return position


def scan(data: Buffer, position: int, implicit: bool, wanted: Container[int], last: int) -> dict[int, tuple[int, int]]:
    """The wanted elements from `position` to tag `last`: offset and length by tag; sequences are stepped over.

    Raises struct.error where the data ends within an element.
    """
    global _latest
    trail, asked = _latest, (implicit, wanted, last)
    if trail and trail.asked == asked:
        followed = trail.follow(data, position)
        if followed is not None:
            _latest, found = followed
            return found
    steps, found = _walk(data, position, implicit, wanted, last)
    # one that stopped elsewhere says nothing about where the next one will
    if found and next(reversed(found)) == last and len(steps) <= _LONGEST_TRAIL and steps[-1][0] + 16 <= len(data):
        _latest = Trail(steps, data, found, asked)
    return found


def _walk(
    data: Buffer, position: int, implicit: bool, wanted: Container[int], last: int
) -> tuple[list[tuple[int, int]], dict[int, tuple[int, int]]]:
    """What `scan` finds, and all headers it stepped on: position and form."""
    steps: list[tuple[int, int]] = []
    found: dict[int, tuple[int, int]] = {}
    unpack, size = (_IMPLICIT if implicit else _HEADER).unpack_from, len(data)
    while position < size:
        start, vr = position + 8, b""
        if implicit:
            group, element, length = unpack(data, position)
        else:
            group, element, vr, length = unpack(data, position)
            if vr in _LONG_LENGTH_VRS:
                (length,) = _LENGTH.unpack_from(data, start)
                start += 4
        tag = group << 16 | element
        if tag > last:
            break
        if tag == 0 or len(steps) > MOST_ELEMENTS:  # zeros are read as elements without end
            raise struct.error("zeros, or more elements than any object has")
        steps.append((position, _IMPLICIT_FORM if implicit else start - position))
        if tag in wanted:
            found[tag] = (start, length)
        if tag == last:
            break
        # what is of unknown VR and undefined length is a sequence in implicit VR (PS3.5 6.2.2)
        nested = length == UNDEFINED
        position = _inside(data, start, implicit or vr == b"UN", steps) if nested else start + length
    if position > size:
        raise struct.error("the last value is cut off")
    return steps, found


def _inside(data: Buffer, position: int, implicit: bool, steps: list[tuple[int, int]]) -> int:
    """The offset behind the sequence of undefined length whose items begin at `position`."""
    depth = 1
    while depth:
        tag, length, start = header(data, position, implicit)
        if tag == 0 or len(steps) > MOST_ELEMENTS:
            raise struct.error("zeros, or more elements than any object has")
        steps.append((position, _IMPLICIT_FORM if implicit or tag >> 16 == 0xFFFE else start - position))
        if tag in (ITEM_END, SEQUENCE_END):
            depth -= 1
        elif length == UNDEFINED:
            depth += 1
        else:
            start += length
        position = start
    return position


class Trail:
    """The headers of one file, to find the next one's without walking.

    The images of a series have the same elements, and almost all of the same lengths. Where every header of a file
    stands, byte for byte, where the last file's walk found it, walking over it would take the very same steps: so one
    comparison of all headers does. A header with another length moves those behind it; any other difference, and more
    than a few such ones, ask for a walk.
    """

    def __init__(
        self,
        steps: list[tuple[int, int]],
        data: Buffer,
        found: dict[int, tuple[int, int]],
        asked: tuple[bool, Container[int], int],
    ) -> None:
        self.asked = asked
        self._positions = np.array([position for position, _ in steps], np.int64)
        self._forms = [form for _, form in steps]
        self._long = np.array([number for number, form in enumerate(self._forms) if form == _LONG_FORM], np.int64)
        words = _words(data)
        self._heads, self._lengths = words[self._positions], words[self._positions[self._long] + 4]
        numbers = {position + max(form, 8): number for number, (position, form) in enumerate(steps)}
        self._tags = list(found)
        self._found_lengths = [length for _, length in found.values()]
        self._found = np.array([numbers[start] for start, _ in found.values()], np.int64)
        self._header_sizes = np.array([max(self._forms[number], 8) for number in self._found], np.int64)

    def follow(self, data: Buffer, begin: int) -> tuple[Trail, dict[int, tuple[int, int]]] | None:
        """That file's own trail and what a walk from `begin` would find; nothing where this one does not lead there."""
        positions = self._positions + (begin - self._positions[0])
        passed, changed = 0, dict[int, int]()  # headers known to be the same, and the other lengths among them
        words = _words(data)
        while len(changed) <= _MOST_CHANGES:
            if positions[-1] + 16 > len(data):
                return None
            same = words[positions] == self._heads
            lengths_too = words[positions[self._long] + 4] == self._lengths
            if not passed and same.all() and lengths_too.all():
                break
            same[self._long] &= lengths_too
            same[:passed] = True
            if same.all():
                break
            number = int(same.argmin())
            length = self._length_at(data, int(positions[number]), number)
            if length is None:
                return None
            old, changed[number] = length
            positions[number + 1 :] += changed[number] - old
            passed = number + 1
        else:
            return None
        trail = self._moved(words, positions, changed) if changed else self
        starts = (positions[trail._found] + trail._header_sizes).tolist()
        return trail, dict(zip(trail._tags, zip(starts, trail._found_lengths, strict=True), strict=True))

    def _moved(self, words: NDArray[np.uint64], positions: NDArray[np.int64], changed: dict[int, int]) -> Trail:
        """The trail of a file whose headers stand there: the next image is likely to be more like it."""
        trail = copy.copy(self)
        trail._positions, trail._heads = positions, words[positions]
        trail._lengths = words[positions[self._long] + 4]
        pairs = zip(self._found.tolist(), self._found_lengths, strict=True)
        trail._found_lengths = [changed.get(number, length) for number, length in pairs]
        return trail

    def _length_at(self, data: Buffer, position: int, number: int) -> tuple[int, int] | None:
        """Old and new length of the header that differs there; nothing where more than the length does."""
        head, form = int(self._heads[number]).to_bytes(8, "little"), self._forms[number]
        if form == _LONG_FORM:
            old, kept = int(self._lengths[np.searchsorted(self._long, number)]) >> 32, 8
            (new,) = _LENGTH.unpack_from(data, position + 8)
        else:
            kept = 4 if form == _IMPLICIT_FORM else 6
            old = int.from_bytes(head[kept:], "little")
            new = int.from_bytes(data[position + kept : position + 8], "little")
        # what follows a delimiter, or begins a sequence of undefined length, lies where its length does not say
        delimits = head[:4] in (b"\xfe\xff\x0d\xe0", b"\xfe\xff\xdd\xe0")
        if delimits or data[position : position + kept] != head[:kept] or UNDEFINED in (old, new):
            return None
        return old, new


_IMPLICIT_FORM, _LONG_FORM = 4, 12
"""Headers by where they end or, of those without VR, where their length stands; explicit ones of 8 bytes: 8."""

_latest: Trail | None = None
_MOST_CHANGES, _LONGEST_TRAIL = 12, 4000


def _words(data: Buffer) -> NDArray[np.uint64]:
    """The eight bytes from each byte on as a little-endian number; a view."""
    return np.ndarray((max(0, len(data) - 7),), "<u8", data, strides=(1,))
