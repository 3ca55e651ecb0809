"""From what each expert said to one answer: a paragraph an expert, by name, and who could not be asked."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from chordae.deployments.probing import with_disclaimer
from chordae.platform.schemas import NAME_OF, Answer, ExpertAnswer, Modality, ProbeReport, Provenance


@dataclass(frozen=True)
class Finding:
    """What one expert said about its recording, and what probing says about that, if it was probed."""

    media: str
    answer: ExpertAnswer
    report: ProbeReport | None

    @property
    def text(self) -> str:
        """The answer, with the disclaimer in front where it is flagged."""
        return self.answer.text if self.report is None else with_disclaimer(self.answer.text, self.report.confidence)


def summarise(
    findings: Mapping[Modality, Finding],
    missing: Mapping[Modality, str],
    request_id: str,
    settings_digest: str,
    stages: dict[str, float],
) -> Answer:
    """One answer of at least one finding. A single expert's words stay as they are; of several each is named.

    Flagged if any of them is, and cut off if any of them is.
    """
    if len(findings) + len(missing) == 1:
        (text,) = (finding.text for finding in findings.values())
    else:
        said = [f"{NAME_OF[modality]}: {finding.text}" for modality, finding in findings.items()]
        text = "\n\n".join(said + [f"{NAME_OF[modality]}: not answered ({why})." for modality, why in missing.items()])
    reports = tuple(finding.report for finding in findings.values() if finding.report is not None)
    reasons = [finding.answer.finish_reason for finding in findings.values()]
    return Answer(
        text=text,
        flagged=any(report.confidence.flagged for report in reports) if reports else None,
        finish_reason=next((reason for reason in reasons if reason != "stop"), "stop"),
        answers={modality: finding.answer for modality, finding in findings.items()},
        missing=dict(missing),
        reports=reports,
        provenance=Provenance(
            request_id=request_id,
            weights=tuple(finding.answer.weights for finding in findings.values()),
            media=tuple(finding.media for finding in findings.values()),
            settings_digest=settings_digest,
        ),
        stages=stages,
    )
