"""The Huffman codes of SCP-ECG (EN 1064 section 5.5 and annex C), decoded for all bit positions at once.

At every bit of the data NumPy looks up which code would start there, how long it is and what it stands for; what is
left to Python is to walk from one code to the next.
"""

import struct
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording

_LOOKUP_BITS = 16
_WINDOW_BITS = 32
_USE_DEFAULT = 19999


@dataclass(frozen=True)
class Code:
    """`prefix` bits that read `bits`; then `literal` bits of a signed number, or, without any, `value`."""

    prefix: int
    bits: int
    literal: int
    value: int


@dataclass(frozen=True)
class Table:
    """A prefix code. Without codes it stands for plain 16-bit samples."""

    codes: tuple[Code, ...]

    @cached_property
    def lookup(self) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
        """Length of the prefix, of the literal behind it, and value, by the next 16 bits; length 0 is no code."""
        prefix, literal, value = (np.zeros(1 << _LOOKUP_BITS, dtype=np.int64) for _ in range(3))
        for code in self.codes:
            free = _LOOKUP_BITS - code.prefix
            span = slice(code.bits << free, (code.bits + 1) << free)
            prefix[span], literal[span], value[span] = code.prefix, code.literal, code.value
        return prefix, literal, value


def _default_codes() -> tuple[Code, ...]:
    """0 is "0"; m is m ones, a zero and a sign, up to 8; behind 9 ones and a zero come 8 bits, behind 10 ones 16."""
    small = [Code(m + 2, ((1 << m) - 1) << 2 | (sign < 0), 0, sign * m) for m in range(1, 9) for sign in (1, -1)]
    return (Code(1, 0, 0, 0), *small, Code(10, 0b1111111110, 8, 0), Code(10, 0b1111111111, 16, 0))


DEFAULT_TABLE = Table(_default_codes())
NO_TABLE = Table(())


def read_table(section: bytes) -> Table:
    """Section 2: the standard's own table, or one of the file's. Raises UnreadableRecording for several."""
    (tables,) = struct.unpack_from("<H", section)
    if tables == _USE_DEFAULT:
        return DEFAULT_TABLE
    if tables != 1:
        raise UnreadableRecording(
            "The SCP-ECG file switches between Huffman tables", "export it uncompressed", "encoding"
        )
    (count,) = struct.unpack_from("<H", section, 2)
    codes = []
    for prefix, total, mode, value, reversed_bits in struct.iter_unpack("<BBBhI", section[4 : 4 + 9 * count]):
        if mode != 1:
            raise UnreadableRecording(
                "The SCP-ECG file switches between Huffman tables", "export it uncompressed", "encoding"
            )
        if not (0 < prefix <= _LOOKUP_BITS and 0 <= total - prefix <= 16 and reversed_bits < 1 << prefix):
            raise ValueError("a Huffman code of impossible length")
        # The file has the first bit as the lowest.
        bits = int(f"{reversed_bits:0{prefix}b}"[::-1], 2)
        codes.append(Code(prefix, bits, total - prefix, value))
    return Table(tuple(codes))


def decode(data: bytes, table: Table, count: int) -> NDArray[np.int64]:
    """The first `count` numbers; raises UnreadableRecording where there are not as many."""
    if not table.codes:
        values = np.frombuffer(data[: len(data) // 2 * 2], dtype="<i2")[:count].astype(np.int64)
    else:
        values = _decode_huffman(data, table, count)
    if len(values) < count:
        raise UnreadableRecording("The SCP-ECG file lacks samples of a lead", "export or copy it again", "damaged")
    return values


def _decode_huffman(data: bytes, table: Table, count: int) -> NDArray[np.int64]:
    windows = _windows(data)
    prefix_of, literal_of, value_of = table.lookup
    ahead = (windows >> (_WINDOW_BITS - _LOOKUP_BITS)).astype(np.int64)
    found = _walk(np.where(prefix_of[ahead] > 0, prefix_of[ahead] + literal_of[ahead], len(ahead)), count)
    ahead = ahead[found]
    values, bits = value_of[ahead], literal_of[ahead]
    if bits.any():
        raw = windows[found].astype(np.int64) >> (_WINDOW_BITS - prefix_of[ahead] - bits) & ((1 << bits) - 1)
        signed = raw - ((raw >> np.maximum(bits - 1, 0)) << bits)  # two's complement
        values = np.where(bits > 0, signed, values)
    return values


def _walk(lengths: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """The first bits of up to `count` codes, given how long a code at each bit would be; whole codes only.

    Eight codes are jumped at once: `eight[at]` is eight times `one` applied. The end of the data leads to itself.
    """
    end = len(lengths)
    one = np.append(np.arange(end) + lengths, end + 1)
    one[one > end] = end + 1
    one = np.append(one, end + 1)
    two = one[one]
    four = two[two]
    eight = memoryview(four[four])
    starts, at = [0], 0
    while len(starts) * 8 < count and (at := eight[at]) < end:
        starts.append(at)
    first = np.array(starts)
    pairs = np.stack([first, one[first]], axis=-1)
    quads = np.concatenate([pairs, two[pairs]], axis=-1)
    found = np.concatenate([quads, four[quads]], axis=-1).ravel()
    return np.asarray(found[one[found] <= end][:count], dtype=np.int64)


def _windows(data: bytes) -> NDArray[np.uint64]:
    """The 32 bits that start at each bit of the data, zeros behind its end."""
    padded: NDArray[np.uint64] = np.frombuffer(data + b"\0" * 4, dtype=np.uint8).astype(np.uint64)
    wide = padded[:-4] << 32 | padded[1:-3] << 24 | padded[2:-2] << 16 | padded[3:-1] << 8 | padded[4:]
    windows = wide[:, np.newaxis] >> np.arange(8, 0, -1, dtype=np.uint64) & np.uint64(0xFFFFFFFF)
    return np.asarray(windows.reshape(-1), dtype=np.uint64)
