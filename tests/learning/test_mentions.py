"""Findings are found in a text, and whether it says that they are there."""

import pytest

from chordae.cohort.findings import TOPICS, Topic
from chordae.learning.mentions import RATE_LIMITS, mentions


def told(text: str, modality: str = "ecg") -> dict[str, bool]:
    return {one.finding: one.affirmed for one in mentions(text, modality)}  # type: ignore[arg-type]


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.modality} {topic.key}")
def test_every_name_is_found_in_a_sentence_and_affirmed(topic: Topic) -> None:
    for name in topic.findings:
        found = [one for one in mentions(f"In short: {name.lower()}.", topic.modality) if one.topic == topic.key]
        assert [(one.finding, one.affirmed) for one in found] == [(name, True)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("No left bundle branch block.", {"Left bundle branch block": False}),
        ("No. Left bundle branch block.", {"Left bundle branch block": True}),
        ("Left bundle branch block is not seen", {"Left bundle branch block": False}),
        ("Without LBBB, but with AF", {"Left bundle branch block": False, "Atrial fibrillation": True}),
        ("No ST elevation and left axis deviation", {"No ST elevation": True, "Left axis deviation": True}),
        ("LVH, RVH absent", {"Left ventricular hypertrophy": True, "Right ventricular hypertrophy": False}),
        ("afterwards the lady fell", {}),
        ("", {}),
    ],
)
def test_negations_deny_within_their_clause(text: str, expected: dict[str, bool]) -> None:
    assert told(text) == expected


def test_a_rate_in_figures_names_the_finding_that_holds_it() -> None:
    assert told("49 bpm") == {"Below 50 bpm": True}
    assert [told(f"{limit} bpm") for limit in RATE_LIMITS] == [
        {name: True} for name in ("50 to 59 bpm", "60 to 79 bpm", "80 to 99 bpm", "100 to 119 bpm", "120 bpm or more")
    ]
    assert told("62 bpm: 50 to 59 bpm") == {"50 to 59 bpm": True}
    assert told("62 bpm", "echo") == {}
