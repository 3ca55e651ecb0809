# ruff: noqa: RUF001 - Chinese punctuation
"""A study without a record gets one: the expert's findings as lines, others' numbers, and nothing made up."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented import sample, truth

from chordae.cohort import findings, wording
from chordae.cohort.chinese import HEADS
from chordae.cohort.dataset import Sample
from chordae.cohort.numbers import numbers
from chordae.cohort.questions import ask_open
from chordae.cohort.record import make_record
from chordae.cohort.sites import load_site
from chordae.platform.diagnosis.examine import examine
from chordae.platform.diagnosis.record import CmrRecord, Finding, Parameter
from chordae.preprocessing.records.expert_words import TOPICS
from chordae.preprocessing.records.from_study import QUESTIONS, record_from_answers

VOLUMES = CmrRecord(
    parameters=(
        Parameter(name="LV EDV", value=180, unit="mL", low=97, high=187, source="report"),
        Parameter(name="RV EF", value=51.0, unit="%", source="report"),
    ),
    sex="female",
    age=54,
)


def test_the_expert_is_asked_what_it_was_taught_but_for_the_conclusions() -> None:
    taught = {topic.key: topic for topic in findings.topics("cmr")}
    assert list(QUESTIONS) == [key for key in taught if key in QUESTIONS]
    assert set(taught) - set(QUESTIONS) == {"cardiomyopathy", "diagnosis"}
    for key, question in QUESTIONS.items():
        assert question in wording.STEMS["cmr"][key]
        assert tuple(TOPICS[key].names) == taught[key].findings
        assert TOPICS[key].normal == taught[key].normal
        assert TOPICS[key].names == {name: HEADS[name] for name in taught[key].findings}


def test_the_reference_answers_give_the_lines_of_the_patients_own_record() -> None:
    rng, compared = np.random.default_rng(3), 0
    site = load_site("university")
    careful = site.model_copy(update={"wording": site.wording.model_copy(update={"omissions": 0.0, "errors": 0.0})})
    topics = {topic.key: topic for topic in findings.topics("cmr")}
    for _ in range(40):
        person = truth(rng)
        found = findings.findings(person, "cmr")
        study = Sample(patient="p", site="s", modality="cmr", media="m", findings=found, numbers=numbers(person, "cmr"))
        asked = [key for key in QUESTIONS if found[key] is not None]
        record = record_from_answers({key: ask_open(study, topics[key], rng).answer for key in asked})
        theirs = {one.key: one for one in make_record(person, careful, rng).description}
        assert [one.number for one in record.description] == list(range(1, len(asked) + 1))
        for key, line in zip(asked, record.description, strict=True):
            compared += 1
            assert line.text.split(", ")[0] == theirs[key].text.split(", ")[0]
            assert line.normal == theirs[key].normal
            if key == "lv_function":
                assert line.text == theirs[key].text  # with the ejection fraction
                (ef,) = record.parameters
                assert (ef.name, ef.source) == ("LV EF", "estimate")
                assert ef.value == round(person.measured.lv_ef)
        assert "LV EF" in record.missing or found["lv_function"] is not None
    assert compared > 100


def test_no_answer_can_bring_in_a_volume_or_a_diagnosis_of_its_own() -> None:
    rng = np.random.default_rng(4)
    topics = {topic.key: topic for topic in findings.topics("cmr")}
    study = sample("cmr", rng)
    answers = {key: ask_open(study, topics[key], rng).answer for key in QUESTIONS}
    answers["lge"] += " Impression: Myocardial infarction. Diagnosis: DCM."
    answers["lv_function"] += " LV EDV 240 mL."
    record = record_from_answers(answers)
    assert {one.name for one in record.parameters} == {"LV EF"}
    assert not [one for one in record.description if "infarction" in one.text or "DCM" in one.text]
    with pytest.raises(ValueError, match="diagnosis"):
        record_from_answers({"diagnosis": "Myocarditis."})


def test_what_a_report_gives_stays_and_beats_the_estimate() -> None:
    answers = {"lv_function": "Moderately reduced LV function, EF 38 %."}
    record = record_from_answers(answers, VOLUMES)
    assert [(one.name, one.value, one.source) for one in record.parameters] == [
        ("LV EF", 38, "estimate"),
        ("LV EDV", 180, "report"),
        ("RV EF", 51, "report"),
    ]
    assert (record.sex, record.age) == ("female", 54)
    assert "Estimated, not measured: LV EF." in [one.text for one in examine(record).problems]
    ef = Parameter(name="LV EF", value=41.5, unit="%", low=54, high=74, source="report")
    both = VOLUMES.model_copy(update={"parameters": (ef, *VOLUMES.parameters)})
    assert record_from_answers(answers, both).parameter("LV EF") == ef
    esv = Parameter(name="LV ESV", value=100, unit="mL")
    follows = VOLUMES.model_copy(update={"parameters": (*VOLUMES.parameters, esv)})
    assert record_from_answers(answers, follows).parameter("LV EF") is None  # it follows from the volumes


@pytest.mark.parametrize(
    ("answer", "estimate"),
    [
        ("Moderately reduced LV function.", None),
        ("Moderately reduced LV function, EF 38 %.", 38),
        ("The ejection fraction is approximately 38%. LVEF 38 %.", 38),
        ("LV EF of 37.5 percent.", 37.5),
        ("EF 35 to 40 %.", None),
        ("EF 35% to 40%.", None),
        ("EF 35-40 %.", None),
        ("EF below 40 %.", None),
        ("EF 38 %. EF 45 %.", None),
        ("The RV EF is 38 %.", None),
        ("EF 38.", None),
        ("I cannot tell whether the EF is 38 %.", None),
    ],
)
def test_only_one_number_that_the_expert_states_outright_is_an_estimate(answer: str, estimate: float | None) -> None:
    found = record_from_answers({"lv_function": answer}).parameter("LV EF")
    assert (found and found.value) == estimate
    assert found is None or found.source == "estimate"


@pytest.mark.parametrize(
    "answer",
    [
        "",
        "No.",
        "Yes",
        "No cardiac MRI was provided, so I cannot answer.",
        "I cannot determine this from the images.",
        "Late enhancement was not assessed.",
        "I report LV and RV function, enhancement, T1 and T2, pericardium and cardiomyopathy only.",
    ],
)
def test_an_expert_that_declines_leaves_the_record_silent(answer: str) -> None:
    record = record_from_answers(dict.fromkeys(QUESTIONS, answer))
    assert record == CmrRecord()
    assert examine(record).withheld


def test_words_outside_the_vocabulary_stay_and_are_not_called_normal_or_abnormal() -> None:
    answers = {
        "lge": "Yes, there is patchy enhancement of the septum. No thrombus.",
        "pericardial": "Yes. small pericardial effusion",
        "tissue": "Normal T1 and T2. Normal T1 and T2.",
    }
    assert [(one.text, one.normal) for one in record_from_answers(answers).description] == [
        ("there is patchy enhancement of the septum", None),
        ("No thrombus", None),
        ("Normal T1 and T2", True),
        ("Small pericardial effusion", False),
    ]


def test_beside_a_chinese_report_the_vocabulary_is_chinese_and_the_reports_lines_come_first() -> None:
    report = CmrRecord(
        description=(Finding(number=3, text="左心室增大", normal=False), Finding(number=7, text="未见心包积液"))
    )
    answers = {
        "lv_function": "Moderately reduced LV function, EF 38 %.",
        "lge": "Mid-wall enhancement.",
        "pericardial": "No pericardial effusion.",
    }
    record = record_from_answers(answers, report)
    assert [(one.number, one.text) for one in record.description] == [
        (3, "左心室增大"),
        (7, "未见心包积液"),
        (8, "左室收缩功能中度减低，EF 38 %"),
        (9, "肌壁间延迟强化"),
    ]
    assert examine(record).language == "zh"


@settings(max_examples=200, deadline=None)
@given(st.dictionaries(st.sampled_from(list(QUESTIONS)), st.text(max_size=300)), st.sampled_from([None, VOLUMES]))
def test_whatever_an_expert_says_makes_a_record(answers: dict[str, str], report: CmrRecord | None) -> None:
    record = record_from_answers(answers, report)
    assert CmrRecord.model_validate(record.model_dump()) == record
    assert {one.name for one in record.parameters} - {"LV EF"} <= {"LV EDV", "RV EF"}
    examine(record)
