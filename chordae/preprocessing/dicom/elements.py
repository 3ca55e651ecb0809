"""Little-endian DICOM (PS3.5 section 7), element by element, without building a dataset.

A study has hundreds of files with hundreds of elements each, most of them private and none of our business: walking
over them is several times faster than parsing them, and what was not parsed cannot leak.
"""

import mmap
import struct
from collections.abc import Container, Iterator

Buffer = bytes | mmap.mmap

UNDEFINED = 0xFFFFFFFF
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
    depth = 0
    while True:
        tag, length, position = header(data, position, implicit)
        if tag in (ITEM_END, SEQUENCE_END):
            depth -= 1
        elif length == UNDEFINED:
            depth += 1
        else:
            position += length
        if depth <= 0:
            return position


def scan(
    data: Buffer, position: int, implicit: bool, wanted: Container[int], last: int
) -> Iterator[tuple[int, int, int]]:
    """The wanted elements from `position` to tag `last`, as (tag, offset, length); sequences are stepped over.

    Raises struct.error where the data ends within an element's header.
    """
    unpack = _IMPLICIT.unpack_from if implicit else _HEADER.unpack_from
    size = len(data)
    while position < size:
        start = position + 8
        vr = b""
        if implicit:
            group, element, length = unpack(data, position)
        else:
            group, element, vr, length = unpack(data, position)
            if vr in _LONG_LENGTH_VRS:
                (length,) = _LENGTH.unpack_from(data, start)
                start += 4
        tag = group << 16 | element
        if tag > last:
            return
        if tag in wanted:
            yield tag, start, length
        if length == UNDEFINED:
            # what is of unknown VR and undefined length is a sequence in implicit VR (PS3.5 6.2.2)
            position = skip(data, start, True) if vr == b"UN" else skip(data, position, implicit)
        else:
            position = start + length
