"""Which questions go to the reasoner."""

import pytest

from chordae.deployments.diagnostic import is_diagnostic

ASKS = [
    "What is the diagnosis?",
    "Diagnosis?",
    "What disease does this record point to?",
    "Which kind of cardiomyopathy is this?",
    "What is the cause of the low ejection fraction?",
    "What is causing this heart failure?",
    "Please comment on the aetiology.",
    "Etiology of the late enhancement?",
    "What is wrong with this patient?",
    "Give the differential diagnosis.",
    "Which of the eight categories fits?",
    "What explains these findings?",
    "这个患者的诊断是什么?",
    "病因是什么?",
    "考虑哪种心肌病?",
    "患者得了什么病?",
    "射血分数降低的原因是什么?",
]
DOES_NOT = [
    "What is the ejection fraction?",
    "Is there late enhancement in the inferior wall?",
    "Is the study of diagnostic quality?",
    "The patient was diagnosed with diabetes. How large is the left atrium?",
    "Is the right ventricle dilated?",
    "What is the rhythm, and is there any conduction or ST-segment abnormality?",
    "左室射血分数是多少?",
    "图像的诊断质量如何?",
]


@pytest.mark.parametrize("question", ASKS)
def test_a_question_for_what_the_patient_has_is_one(question: str) -> None:
    assert is_diagnostic(question)


@pytest.mark.parametrize("question", DOES_NOT)
def test_a_question_for_what_is_seen_is_none(question: str) -> None:
    assert not is_diagnostic(question)
