"""Other ways to ask the same thing: a curated bank, so that no rephrasing changes what is asked.

The orchestrator probes an answer with these. Each keeps the clinician's words whole and only frames them anew, so
numbers, laterality and negation cannot be lost.
"""

from chordae.platform.schemas import Modality

_RECORDING: dict[Modality, str] = {"ecg": "ECG", "echo": "echocardiogram", "cmr": "cardiac MR study"}

REPHRASINGS = (
    "Looking at this {recording}: {question}",
    "Please answer: {question}",
    "{question} Give a short answer.",
)


def rephrase(question: str, modality: Modality) -> tuple[str, ...]:
    """Three rephrasings of a question about a recording of that modality."""
    recording = _RECORDING[modality]
    return tuple(template.format(question=question.strip(), recording=recording) for template in REPHRASINGS)
