"""What the synthesis says of a diagnosis: its category where that may be relied on, never where it may not.

A flagged one stands apart behind a disclaimer, as a flagged expert's words do; in the synthesis its category occurs
only as one side of a contradiction, which says that this side is not relied on.
"""

from __future__ import annotations

from chordae.deployments.clinical_facts import NO_DISEASE, read_facts
from chordae.platform.diagnosis.category import Category
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.schemas import NAME_OF, SPEAKER_NAME, ExpertAnswer, Sentence

NAME = SPEAKER_NAME["reasoner"]
DISCLAIMER = "Note: this chain of diagnosis did not pass its checks against the record. Do not rely on it."

_DISEASE: dict[Category, str] = {
    "myocardial infarction": "infarction",
    "right-ventricular abnormality": "right-ventricular",
    "LV non-compaction": "non-compaction",
    "hypertrophic cardiomyopathy": "hypertrophic",
    "amyloidosis": "infiltrative",
    "dilated cardiomyopathy": "dilated",
    "myocarditis": "myocarditis",
    "normal": NO_DISEASE,
}
"""The categories as `clinical_facts` names them."""

_QUIET = {"missing", "no description"}
"""Problems of a record that need not be repeated in a synthesis."""


def told(diagnosis: Diagnosis) -> list[Sentence]:
    """The diagnosis in a sentence that rests on it, and what makes its record doubtful in another."""
    if diagnosis.category is None:
        text = f"{NAME}: no diagnosis ({_inner(diagnosis.reason)})."
        return [Sentence(text=text, rests_on=("reasoner",), confidence=None, kind="withheld"), *_doubts(diagnosis)]
    if diagnosis.flagged:  # why is in the diagnosis: the reasons name categories
        text = f"{NAME}: its chain of diagnosis did not pass its checks and is not relied on; it is shown apart."
        sentence = Sentence(text=text, rests_on=("reasoner",), confidence=diagnosis.probability, kind="withheld")
        return [sentence, *_doubts(diagnosis)]
    calibrated = "" if diagnosis.calibrated else ", not calibrated"
    text = f"{NAME}: {diagnosis.category} (probability {diagnosis.probability or 0:.2f}{calibrated}), by a chain whose "
    text += f"every citation of the record holds{_basis(diagnosis)}."
    sentence = Sentence(text=text, rests_on=("reasoner",), confidence=diagnosis.probability, kind="finding")
    return [sentence, *_doubts(diagnosis)]


def shown_apart(diagnosis: Diagnosis) -> str | None:
    """A flagged chain behind its disclaimer; none where there is nothing to show, or it may be relied on."""
    return f"{DISCLAIMER}\n\n{diagnosis.written}" if diagnosis.flagged and diagnosis.written else None


def against(diagnosis: Diagnosis, cmr: ExpertAnswer, cmr_flagged: bool) -> Sentence | None:
    """Where the reasoner's category and what the CMR expert says of the study cannot both be right."""
    if diagnosis.category is None:
        return None
    facts, disease = read_facts(cmr.text), _DISEASE[diagnosis.category]
    if disease in facts.diseases:
        return None
    quote = facts.denied.get(disease) or next(iter(facts.diseases.values()), None)
    if quote is None:
        return None
    text = f"{NAME} and {NAME_OF['cmr']} contradict each other on the diagnosis: the reasoner's category is "
    text += f'{diagnosis.category}, {NAME_OF["cmr"]} says "{quote}"'
    if diagnosis.flagged:
        text += "; the reasoner's chain did not pass its checks and is not relied on"
    if cmr_flagged:
        text += f"; {NAME_OF['cmr']}'s answer failed its probes and is not relied on"
    return Sentence(text=text + ".", rests_on=("reasoner", "cmr"), confidence=None, kind="contradiction")


def missing(reason: str) -> Sentence:
    """That it was asked and did not answer."""
    text = f"{NAME}: not answered ({_inner(reason)})."
    return Sentence(text=text, rests_on=("reasoner",), confidence=None, kind="missing")


def _basis(diagnosis: Diagnosis) -> str:
    """What its opinion rests on, in the record's words."""
    chain = diagnosis.chain
    if chain is None:
        return ""
    words = {one.number: one.words for one in chain.findings}
    parts = [f"{one.direction} {one.name}" for one in chain.opinion.parameters]
    parts += [words[number] for number in dict.fromkeys(chain.opinion.findings) if number in words]
    return f": {'; '.join(parts)}" if parts else ""


def _doubts(diagnosis: Diagnosis) -> list[Sentence]:
    said = [one.text for one in diagnosis.problems if one.kind not in _QUIET and one.text != diagnosis.reason]
    if not said:
        return []
    text = f"{NAME}, of the record: {' '.join(said)}"
    return [Sentence(text=text, rests_on=("reasoner",), confidence=diagnosis.probability, kind="finding")]


def _inner(text: str) -> str:
    """As part of another sentence."""
    return " ".join(text.split()).rstrip(".") or "no reason given"
