"""From what each expert said to the answer that the platform gives: the synthesis, and all that it rests on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chordae.deployments.decomposition import Decomposition
from chordae.deployments.synthesis import Opinion, synthesise
from chordae.platform.schemas import NAME_OF, Answer, ExpertAnswer, Modality, ProbeReport, Provenance


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
    missing: Mapping[Modality, str],
    parts: Decomposition,
    request_id: str,
    settings_digest: str,
    stages: dict[str, float],
) -> Answer:
    """One answer of at least one finding.

    Flagged if any of them is or could not be probed; unknown if nobody asked for probing. Cut off if any of them is.
    """
    synthesis = synthesise(
        {modality: Opinion(one.query, one.answer, one.report) for modality, one in findings.items()}, missing
    )
    reports = tuple(finding.report for finding in findings.values() if finding.report is not None)
    reasons = [finding.answer.finish_reason for finding in findings.values()]
    unprobed = {modality: finding.unprobed for modality, finding in findings.items() if finding.unprobed}
    notes = [
        f"Note: the {NAME_OF[one]} answer could not be probed ({why}). Do not rely on it."
        for one, why in unprobed.items()
    ]
    return Answer(
        text="\n\n".join([*notes, synthesis.text]),
        flagged=bool(unprobed) or any(report.confidence.flagged for report in reports) if reports or unprobed else None,
        finish_reason=next((reason for reason in reasons if reason != "stop"), "stop"),
        answers={modality: finding.answer for modality, finding in findings.items()},
        missing=dict(missing),
        unprobed=unprobed,
        sentences=synthesis.sentences,
        apart=synthesis.apart,
        sub_queries=parts.sub_queries,
        split_by=parts.source,
        split_note=parts.reason,
        reports=reports,
        provenance=Provenance(
            request_id=request_id,
            weights=tuple(finding.answer.weights for finding in findings.values()),
            media=tuple(finding.media for finding in findings.values()),
            settings_digest=settings_digest,
        ),
        stages=stages,
    )
