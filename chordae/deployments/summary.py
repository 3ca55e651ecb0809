"""From what each expert said to the answer that the platform gives: the synthesis, and all that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chordae.deployments import reasoner_summary
from chordae.deployments.decomposition import Decomposition
from chordae.deployments.synthesis import Opinion, synthesise
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.schemas import (
    KIND_OF,
    NAME_OF,
    Answer,
    ExpertAnswer,
    Modality,
    ProbeReport,
    Provenance,
    Sentence,
    SentenceKind,
    Speaker,
    Synthesis,
)

_ORDER: tuple[SentenceKind, ...] = ("finding", "contradiction", "withheld", "missing")


@dataclass(frozen=True)
class Finding:
    """What one expert was asked about its recording and said, and what probing says about that, if it was probed."""

    media: str
    query: str
    answer: ExpertAnswer
    report: ProbeReport | None
    unprobed: str = ""
    """Why it could not be probed although it should have been."""


def summarise(
    findings: Mapping[Modality, Finding],
    missing: Mapping[Speaker, str],
    parts: Decomposition,
    request_id: str,
    settings_digest: str,
    stages: dict[str, float],
    diagnosis: Diagnosis | None = None,
) -> Answer:
    """One answer of at least one finding, or of a diagnosis.

    Flagged if any of them is or could not be probed; unknown if nobody asked for probing. Cut off if any of them is.
    """
    synthesis = _synthesis(findings, missing, diagnosis)
    reports = tuple(finding.report for finding in findings.values() if finding.report is not None)
    reasons = [finding.answer.finish_reason for finding in findings.values()]
    unprobed = {modality: finding.unprobed for modality, finding in findings.items() if finding.unprobed}
    notes = [
        f"Note: the {NAME_OF[one]} answer could not be probed ({why}). Do not rely on it."
        for one, why in unprobed.items()
    ]
    known = len(reports) + len(unprobed) == len(findings)
    flagged = bool(unprobed) or any(report.confidence.flagged for report in reports)
    flagged = flagged or (diagnosis is not None and diagnosis.flagged)
    made_by = [finding.answer.weights for finding in findings.values()]
    return Answer(
        text="\n\n".join([*notes, synthesis.text]),
        flagged=flagged if flagged or known else None,
        finish_reason=next((reason for reason in reasons if reason != "stop"), "stop"),
        answers={modality: finding.answer for modality, finding in findings.items()},
        missing=dict(missing),
        unprobed=unprobed,
        sentences=synthesis.sentences,
        apart=synthesis.apart,
        diagnosis=diagnosis,
        sub_queries=parts.sub_queries,
        split_by=parts.source,
        split_note=parts.reason,
        reports=reports,
        provenance=Provenance(
            request_id=request_id,
            weights=(*made_by, *(() if diagnosis is None else (diagnosis.weights,))),
            media=tuple(finding.media for finding in findings.values()),
            settings_digest=settings_digest,
        ),
        stages=stages,
    )


def _synthesis(
    findings: Mapping[Modality, Finding], missing: Mapping[Speaker, str], diagnosis: Diagnosis | None
) -> Synthesis:
    """What the experts say, and the reasoner in its place among them."""
    opinions = {modality: Opinion(one.query, one.answer, one.report) for modality, one in findings.items()}
    silent = {modality: missing[modality] for modality in KIND_OF if modality in missing}
    reasoner = list[Sentence]()
    apart = None
    if "reasoner" in missing:
        reasoner.append(reasoner_summary.missing(missing["reasoner"]))
    if diagnosis is not None:
        reasoner += reasoner_summary.told(diagnosis)
        apart = reasoner_summary.shown_apart(diagnosis)
        if "cmr" in opinions:
            clash = reasoner_summary.against(diagnosis, opinions["cmr"].answer, opinions["cmr"].flagged)
            reasoner += [] if clash is None else [clash]
    if not reasoner:
        return synthesise(opinions, silent)
    experts = synthesise(opinions, silent, beside=True) if opinions or silent else Synthesis(sentences=(), text="")
    told = sorted([*experts.sentences, *reasoner], key=lambda one: _ORDER.index(one.kind))
    return Synthesis(
        sentences=tuple(told),
        text="\n".join(one.text for one in told),
        apart={**experts.apart, **({} if apart is None else {"reasoner": apart})},
    )
