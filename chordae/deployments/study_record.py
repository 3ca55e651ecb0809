"""The CMR record of a study that came without one, or with numbers alone: the expert is asked for findings by topic.

Its answers are not probed one by one, and it measures nothing: the record says so, and so does what rests on it.
"""

from __future__ import annotations

from typing import Any

from chordae.deployments.consultation import consult
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.record import CmrRecord
from chordae.preprocessing.records.from_study import QUESTIONS, record_from_answers

NOTICED = Problem(
    kind="estimate",
    text="The record's findings are what the CMR expert says of the study, which nobody measured or probed.",
)


async def record_of_study(
    expert: Any, media_id: str, numbers: CmrRecord | None, request_id: str, timeout_s: float
) -> CmrRecord:
    """Ask the CMR expert behind a Serve handle; a topic on which it declines is not in the record.

    `numbers` is what was measured of the study elsewhere, if anything.

    Raises:
        ExpertUnavailable: it failed, or took longer than `timeout_s` in all.
        Overloaded: too many questions wait for it.
    """
    topics = list(QUESTIONS)
    prompts = [(QUESTIONS[topic], media_id) for topic in topics]
    replies = consult(expert, "cmr", prompts, {}, f"{request_id}-record", timeout_s)
    answers: dict[str, str] = {}
    try:
        async for index, answer in replies:
            answers[topics[index]] = answer.text
    finally:
        await replies.aclose()
    return record_from_answers(answers, numbers)
