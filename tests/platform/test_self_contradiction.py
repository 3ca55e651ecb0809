"""Answers whose yes or no contradicts what they state next, and the many that do not."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.platform.self_contradiction import self_contradiction


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there a large pericardial effusion?", "No. Large pericardial effusion."),
        ("Do you find cardiomyopathy? Be concise.", "No. Non-compaction cardiomyopathy."),
        ("Looking at this ECG: is the diagnosis LV non-compaction?", "No. LV non-compaction."),
        ("Do you see normal T1 and T2?", "No, normal T1 and T2."),
        ("Is LV function reduced?", "No. Mildly reduced LV function, EF 48 %."),
        ("Do you find wall motion abnormality?", "Yes. No wall motion abnormality."),
        ("Is there axis deviation?", "Yes. Normal axis."),
        ("Any sign of moderately reduced LV function?", "Yes. Severely reduced LV function, EF 28 %."),
        ("Is there left axis deviation?", "Yes: right axis deviation."),
        ("Is there a moderate pericardial effusion?", "YES - small pericardial effusion"),
    ],
)
def test_what_denies_and_states_or_affirms_and_states_something_else_contradicts_itself(
    question: str, answer: str
) -> None:
    assert self_contradiction(question, answer)


@pytest.mark.parametrize(
    ("question", "answer"),
    [
        ("Is there a pericardial effusion?", "No pericardial effusion."),
        ("Is there a pericardial effusion?", "No. No pericardial effusion."),
        ("Is there a pericardial effusion?", "Yes. Large pericardial effusion."),
        ("Is there left ventricular hypertrophy?", "No. Right ventricular hypertrophy."),
        ("Is LV function reduced?", "Yes. Severely reduced LV function, EF 28 %."),
        ("Is LV function normal?", "No. Mildly reduced LV function."),
        ("Is the ECG normal?", "No. Normal sinus rhythm. Left axis deviation."),
        ("Is the heart healthy?", "Yes. Normal heart."),
        ("Is RV function preserved?", "Yes. Normal RV function."),
        ("Is there a scar?", "Yes. Subendocardial late enhancement of the inferior wall."),
        ("Is there a scar in the left ventricle?", "Yes. A scar of the inferior wall."),
        ("Is the ejection fraction low?", "Yes. EF 28 %."),
        ("Is there anything other than sinus rhythm?", "No. Sinus rhythm."),
        ("Is there no effusion?", "No. Small effusion."),
        ("Is there an effusion or a scar?", "Yes. A scar with normal wall motion and no effusion."),
        ("Describe the axis.", "No. Left axis deviation."),
        ("Is there fibrosis? Is there oedema?", "No. Fibrosis."),
        ("Is there late enhancement?", "Yes."),
        ("Is there late enhancement?", "Late enhancement of the inferior wall."),
    ],
)
def test_what_can_be_true_does_not(question: str, answer: str) -> None:
    assert self_contradiction(question, answer) is None


@given(st.text(max_size=200), st.text(max_size=200))
def test_whatever_is_asked_and_said_there_is_a_verdict(question: str, answer: str) -> None:
    verdict = self_contradiction(question, f"No. {answer}")
    assert verdict is None or verdict.startswith("says ")
