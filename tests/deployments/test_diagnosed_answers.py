"""A record beside recordings: the reasoner's diagnosis in the answer, told apart where it may not be relied on."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes import Platform, crashing, png, silent
from reasoners import FAITHFUL, RECORD, UNANSWERED, UNFAITHFUL, FakeReasonerEngine, ReasonerPlatform, with_reasoner

from chordae.deployments.reasoner_summary import DISCLAIMER
from chordae.platform.errors import BadInput, ExpertUnavailable
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Answer, Question
from chordae.platform.settings import Settings
from chordae.preprocessing.records.from_study import QUESTIONS

QUESTION = "What is the diagnosis?"


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return with_reasoner(tmp_path, model_dir, orchestrator={"expert_timeout_s": 0.5})


@pytest.fixture
def cmr(settings: Settings) -> str:
    return MediaStore(settings.media_dir).put(png(), "cmr", "v", kind="video").id


async def told(platform: Platform, *media: str, text: str = QUESTION, **fields: Any) -> Answer:
    question = Question.model_validate({"text": text, "media": media, "record": RECORD, **fields})
    *_, answer = [step async for step in platform.orchestrator.ask(question, "request-1", True)]
    assert isinstance(answer, Answer)
    return answer


def kinds(answer: Answer) -> list[tuple[str, tuple[str, ...]]]:
    return [(one.kind, one.rests_on) for one in answer.sentences]


async def test_a_record_alone_is_diagnosed(settings: Settings) -> None:
    answer = await told(ReasonerPlatform(settings, FakeReasonerEngine()))
    assert answer.diagnosis is not None and answer.diagnosis.category == "myocardial infarction"
    assert (answer.flagged, answer.missing, answer.answers) == (False, {}, {})
    assert kinds(answer)[0] == ("finding", ("reasoner",))
    assert "myocardial infarction (probability 0." in answer.text and "not calibrated" in answer.text
    assert answer.provenance.weights == (answer.diagnosis.weights,)
    assert list(answer.stages) == ["diagnose"]


async def test_beside_a_study_both_are_asked_at_once_and_both_are_named(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    platform.engines["cmr"].rule = lambda question, picture: "Subendocardial scar." if picture else "Nothing."
    answer = await told(platform, cmr)
    assert set(answer.answers) == {"cmr"}
    assert {"reasoner diagnose", "cmr answer"} <= set(answer.stages)
    assert [one for one in kinds(answer) if one[0] == "finding"][:2] == [
        ("finding", ("cmr",)),
        ("finding", ("reasoner",)),
    ]
    assert answer.text.startswith("CMR: Subendocardial scar.")
    assert answer.flagged is False
    assert len(answer.provenance.weights) == 2


async def test_an_unfaithful_chain_never_enters_the_summary(settings: Settings, cmr: str) -> None:
    answer = await told(ReasonerPlatform(settings, FakeReasonerEngine(writes=UNFAITHFUL)), cmr)
    assert answer.flagged is True
    assert "myocardial infarction" not in answer.text and "amyloidosis" not in answer.text
    assert ("withheld", ("reasoner",)) in kinds(answer)
    assert answer.apart["reasoner"] == f"{DISCLAIMER}\n\n{UNFAITHFUL}"
    assert answer.diagnosis is not None and answer.diagnosis.flagged


async def test_without_a_category_the_reason_is_told(settings: Settings) -> None:
    answer = await told(ReasonerPlatform(settings, FakeReasonerEngine(writes=UNANSWERED)))
    assert "no diagnosis (There is no answer" in answer.text
    assert answer.flagged is True


async def test_what_contradicts_the_cmr_expert_is_named(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    platform.engines["cmr"].rule = lambda question, picture: "Dilated cardiomyopathy." if picture else "Nothing."
    answer = await told(platform, cmr)
    (clash,) = [one for one in answer.sentences if one.kind == "contradiction"]
    assert clash.rests_on == ("reasoner", "cmr")
    assert "myocardial infarction" in clash.text and '"Dilated cardiomyopathy' in clash.text


async def test_what_agrees_with_the_cmr_expert_is_not(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    platform.engines["cmr"].rule = lambda question, picture: "Old myocardial infarction." if picture else "Nothing."
    assert "contradiction" not in [one.kind for one in (await told(platform, cmr)).sentences]


@pytest.mark.parametrize("slow", [True, False], ids=["slow", "down"])
async def test_a_reasoner_that_does_not_answer_leaves_the_others_answer(
    settings: Settings, cmr: str, slow: bool
) -> None:
    def down() -> str:
        raise RuntimeError("out of memory, prompt was: Mr Smith")

    thinker = FakeReasonerEngine(delay_s=30) if slow else FakeReasonerEngine(writes=down)
    async with asyncio.timeout(5):
        answer = await told(ReasonerPlatform(settings, thinker), cmr)
    assert answer.diagnosis is None
    assert set(answer.missing) == {"reasoner"}
    assert "CMR reasoner: not answered" in answer.text and "Smith" not in answer.text
    assert answer.answers["cmr"].text


async def test_an_expert_that_does_not_answer_leaves_the_diagnosis(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    platform.engines["cmr"].rule = crashing
    answer = await told(platform, cmr)
    assert answer.diagnosis is not None and set(answer.missing) == {"cmr"}


async def test_where_neither_answers_it_is_an_error(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine(delay_s=30))
    platform.engines["cmr"].rule = silent
    with pytest.raises(ExpertUnavailable, match="no expert could answer"):
        await told(platform, cmr)


async def test_a_question_for_something_else_is_not_put_to_the_reasoner(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    answer = await told(platform, cmr, text="Is the left ventricle dilated?")
    assert (answer.diagnosis, answer.missing, platform.thinker.requests) == (None, {}, [])
    with pytest.raises(BadInput, match="a record alone"):
        await told(platform, text="Is the left ventricle dilated?")


async def test_without_a_reasoner_the_answer_says_so(settings: Settings, cmr: str, make_platform: Any) -> None:
    platform = make_platform(settings.model_copy(update={"reasoner": None}))
    answer = await told(platform, cmr)
    assert answer.missing == {"reasoner": "no CMR reasoner is served here"}
    with pytest.raises(BadInput, match="no CMR reasoner"):
        await told(platform)
    without = make_platform(settings.model_copy(update={"reasoner": None}))
    del without.experts["cmr"]
    with pytest.raises(BadInput, match="no expert for cmr"):
        await told(without, cmr)


async def test_what_is_wrong_with_the_record_is_told_beside(settings: Settings) -> None:
    record = RECORD.model_copy(
        update={
            "parameters": tuple(
                one.model_copy(update={"value": 95.0}) if one.name == "LV ESV" else one for one in RECORD.parameters
            )
        }
    )
    answer = await told(ReasonerPlatform(settings, FakeReasonerEngine(writes=FAITHFUL)), record=record)
    assert "LV EF of 40.9 % does not follow" in answer.text


async def test_of_a_study_without_a_record_the_expert_is_asked_for_one(settings: Settings, cmr: str) -> None:
    """The fake reasoner writes the chain of another record: what is looked at is the record that it was given."""
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    said = {QUESTIONS["lge"]: "Mid-wall enhancement.", QUESTIONS["lv_function"]: "LV ejection fraction 41 %."}
    platform.engines["cmr"].rule = lambda question, picture: said.get(question, "Not assessable.")
    answer = await told(platform, cmr, record=None)
    given = platform.thinker.requests[0]["messages"][1]["content"]
    assert "Mid-wall enhancement" in given and "LV EF 41 %" in given and "estimate" in given
    assert answer.diagnosis is not None and answer.diagnosis.flagged
    assert "nobody measured or probed" in " ".join(one.text for one in answer.diagnosis.problems)
    assert {"reasoner record", "reasoner diagnose"} <= set(answer.stages)


async def test_a_record_of_numbers_alone_gets_its_findings_from_the_study(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    said = {QUESTIONS["lge"]: "Mid-wall enhancement.", QUESTIONS["lv_function"]: "LV ejection fraction 60 %."}
    platform.engines["cmr"].rule = lambda question, picture: said.get(question, "Not assessable.")
    answer = await told(platform, cmr, record=RECORD.model_copy(update={"description": ()}))
    given = platform.thinker.requests[0]["messages"][1]["content"]
    assert "Mid-wall enhancement" in given and "LV EF 40.9 %" in given and "LV EF 60" not in given
    assert answer.diagnosis is not None
    assert "nobody measured or probed" in " ".join(one.text for one in answer.diagnosis.problems)


async def test_where_the_expert_says_nothing_there_is_no_record_and_no_diagnosis(settings: Settings, cmr: str) -> None:
    platform = ReasonerPlatform(settings, FakeReasonerEngine())
    platform.engines["cmr"].rule = lambda question, picture: "Nothing was provided."
    answer = await told(platform, cmr, record=None)
    assert answer.diagnosis is not None and answer.diagnosis.category is None
    assert "nothing to reason about" in answer.diagnosis.reason and platform.thinker.requests == []
