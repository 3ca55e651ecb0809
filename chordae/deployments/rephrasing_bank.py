"""A curated bank of ways to ask the same thing: the clinician's words stay whole and are only framed anew.

So numbers, laterality and negation cannot be lost, whatever the question. Frames hold for questions ("Is there ...?")
and for requests ("Describe ..."), and name nothing that a recording may or may not show. None asks for more than the
question does: after "Answer from this ECG alone." experts wrote reports, and sound answers seemed to waver.
"""

import hashlib

from chordae.platform.schemas import Modality

_FRAMES: dict[Modality, tuple[str, ...]] = {
    "ecg": (
        "Looking at this ECG: {question}",
        "Here is an ECG. {question}",
        "About this tracing: {question}",
        "Please consider this recording. {question}",
        "{question}{stop} Give a short answer.",
        "{question}{stop} Answer briefly.",
        "The request about this ECG is: {question}",
    ),
    "echo": (
        "Looking at this echocardiogram: {question}",
        "Here is an echocardiogram. {question}",
        "About these echo clips: {question}",
        "Please consider this echocardiogram. {question}",
        "{question}{stop} Give a short answer.",
        "{question}{stop} Answer briefly.",
        "The request about this echocardiogram is: {question}",
    ),
    "cmr": (
        "Looking at this cardiac MR study: {question}",
        "Here is a cardiac MRI. {question}",
        "About this cardiac MRI: {question}",
        "Please consider this cardiac MR study. {question}",
        "{question}{stop} Give a short answer.",
        "{question}{stop} Answer briefly.",
        "The request about this cardiac MRI is: {question}",
    ),
}
SIZE = min(map(len, _FRAMES.values()))
"""So many ways to ask there are for every modality."""


def framed(question: str, modality: Modality) -> tuple[str, ...]:
    """All `SIZE` framings of a question, each with it word for word, in an order that depends on nothing else.

    The order is a hash's: different questions meet different frames, the same one always the same.
    """
    question = question.strip()
    stop = "" if question.endswith((".", "?", "!", ":", ";")) else "."
    frames = sorted(_FRAMES[modality], key=lambda frame: _rank(question, frame))
    return tuple(frame.format(question=question, stop=stop) for frame in frames)


def _rank(question: str, frame: str) -> bytes:
    return hashlib.sha256(f"{frame}\n{question}".encode("utf-8", "surrogatepass")).digest()
