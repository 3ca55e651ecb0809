"""XML, for the formats that are written in it: bounded, without entities, names without their namespace.

What a file is says its root element, which is found without parsing, since parsing is the dear part.
"""

import re
from xml.etree.ElementTree import Element, ParseError

import numpy as np
from defusedxml.common import DefusedXmlException  # type: ignore[import-untyped]
from defusedxml.ElementTree import fromstring  # type: ignore[import-untyped]
from numpy.typing import NDArray

from chordae.platform.errors import UnreadableRecording

MAX_BYTES = 32 * 1024 * 1024
"""Of text: twenty minutes of twelve leads at 500 Hz."""
MAX_TAGS = 400_000
"""Real files have up to ten thousand; a tree of millions would take gigabytes."""

_PROLOG = 64 * 1024
_NAME = re.compile(r"<(?:[\w.-]+:)?([\w.-]+)")
_BYTE_ORDER_MARKS = (b"\xff\xfe", b"\xfe\xff")


def root_name(data: bytes) -> str:
    """The root element's name without its namespace, empty where this is no XML."""
    start = data[:_PROLOG]
    text = start.decode("utf-16" if start[:2] in _BYTE_ORDER_MARKS else "latin-1", errors="replace")
    at = 0 if text.startswith("<") else text.find("<")
    if not 0 <= at <= 3:  # a byte-order mark at most
        return ""
    while at >= 0:
        for opening, closing in (("<?", "?>"), ("<!--", "-->"), ("<!", ">")):
            if text.startswith(opening, at):
                end = text.find(closing, at + len(opening))
                at = text.find("<", end) if end >= 0 else -1
                break
        else:
            name = _NAME.match(text, at)
            return name[1] if name else ""
    return ""


def parse(data: bytes) -> Element:
    """The root of an XML document; raises UnreadableRecording for what is damaged, too large or declares entities."""
    if len(data) > MAX_BYTES or data.count(b"<") > MAX_TAGS:
        raise UnreadableRecording(
            "The XML file is too large for an ECG", "cut out the ten seconds in question", "too_large"
        )
    try:
        root: Element = fromstring(data)
    except DefusedXmlException:
        raise UnreadableRecording(
            "The XML file declares entities, which an ECG never needs", "export the recording again", "encoding"
        ) from None
    except (ParseError, ValueError, LookupError):
        raise UnreadableRecording(
            "The XML file is damaged or truncated", "export or copy it again", "damaged"
        ) from None
    for element in root.iter():
        element.tag = element.tag.rpartition("}")[2]
    return root


def text_of(element: Element | None, path: str = ".") -> str:
    """The text at a path below an element, stripped; empty where there is none."""
    return "" if element is None else (element.findtext(path) or "").strip()


def number(text: str | None) -> float | None:
    """A finite number, None for anything else; some exporters write a decimal comma."""
    try:
        value = float((text or "").strip().replace(",", "."))
    except ValueError:
        return None
    return value if np.isfinite(value) else None


def numbers(text: str) -> NDArray[np.float32]:
    """Numbers separated by blanks or commas. Raises UnreadableRecording where the text is anything else."""
    parts = text.replace(",", " ").split()
    try:
        kind = np.float64 if "." in text or "e" in text.lower() else np.int64
        return np.array(parts, dtype=kind).astype(np.float32)
    except (ValueError, OverflowError):
        raise UnreadableRecording(
            "The samples of a lead are not numbers", "export the recording again, without editing it", "damaged"
        ) from None


def positive(text: str | None, what: str) -> float:
    """A number above zero that the format must give, such as "sampling rate"; raises UnreadableRecording."""
    value = number(text)
    if value is None or value <= 0:
        raise UnreadableRecording(
            f"The file does not say its {what}", "export it again with all of its fields", "unknown_scale"
        )
    return value
