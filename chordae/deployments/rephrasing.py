"""Other ways to ask the same thing: a curated bank, so that no rephrasing changes what is asked.

The orchestrator probes an answer with these. Each keeps the clinician's words whole and only frames them anew, so
numbers, laterality and negation cannot be lost.
"""

REPHRASINGS = (
    "Looking at this ECG: {question}",
    "Please answer: {question}",
    "{question} Give a short answer.",
)


def rephrase(question: str) -> tuple[str, ...]:
    """Three rephrasings of a question."""
    return tuple(template.format(question=question.strip()) for template in REPHRASINGS)
