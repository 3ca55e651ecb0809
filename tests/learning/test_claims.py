"""How answers stand to claims: findings by name and negation, numbers by unit and tolerance, points to a score."""

import pytest

from chordae.cohort.findings import topics
from chordae.learning.claims import Standing, likert, standing, yes_or_no


@pytest.mark.parametrize(
    ("answer", "claim", "expected"),
    [
        ("EF 40 %", "LV ejection fraction: 36 %", Standing.SUPPORTED),
        ("The ejection fraction is 45 percent", "LV ejection fraction: 36 %", Standing.NEAR),
        ("ejection fraction 60 %", "LV ejection fraction: 36 %", Standing.CONTRADICTED),
        ("reduced", "LV ejection fraction: 36 %", Standing.MISSING),
        ("Fractional shortening 12 %, ejection fraction 35 %", "LV ejection fraction: 36 %", Standing.SUPPORTED),
        ("volume 255 mL", "LV end-diastolic volume: 260 mL", Standing.SUPPORTED),
        ("volume 255 mL/m2", "LV end-diastolic volume: 260 mL", Standing.MISSING),
        ("Moderate pericardial effusion", "Large pericardial effusion", Standing.NEAR),
        ("Small pericardial effusion", "No pericardial effusion", Standing.CONTRADICTED),
        ("There is no large pericardial effusion", "Large pericardial effusion", Standing.CONTRADICTED),
        ("No large pericardial effusion", "No pericardial effusion", Standing.NEAR),
        ("Inferior wall motion abnormality", "Anterior wall motion abnormality", Standing.KIND),
    ],
)
def test_an_answer_stands_to_a_claim(answer: str, claim: str, expected: Standing) -> None:
    assert standing(answer, claim, "echo") == expected


def test_a_claim_that_is_no_claim_is_an_error() -> None:
    with pytest.raises(ValueError, match="neither"):
        standing("anything", "The heart is fine", "echo")


def test_points_become_a_score() -> None:
    good, bad = Standing.SUPPORTED, Standing.CONTRADICTED
    assert [likert([good] * n + [bad] * (4 - n)) for n in range(5)] == [1, 2, 2, 3, 5]


def test_naming_every_finding_says_nothing() -> None:
    topic = next(topic for topic in topics("echo") if topic.key == "wall_motion")
    assert {standing(", ".join(topic.findings), one, "echo") for one in topic.findings} == {Standing.MISSING}


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("Yes. Left bundle branch block.", Standing.SUPPORTED),
        ("No. Left bundle branch block.", Standing.CONTRADICTED),
        ("no: left bundle branch block", Standing.CONTRADICTED),
        ("Left bundle branch block.", None),
        ("No ST elevation.", None),
    ],
)
def test_yes_and_no_are_held_against_the_reference(answer: str, expected: Standing | None) -> None:
    assert yes_or_no(answer, "Yes. Left bundle branch block.") is expected
    assert yes_or_no(answer, "Left bundle branch block.") is None
