"""A language model splits and rewords where it can be used; where it cannot, the answer says who did it instead."""

import json
from pathlib import Path
from typing import Any

import pytest
from fakes import FakeEngine, FakeHandle, Platform, asked, crashing, embed_words, grounded, png, three_experts

from chordae.deployments.language import LanguageTasks
from chordae.platform.media import MediaStore
from chordae.platform.schemas import KIND_OF, Answer, Modality, Question
from chordae.platform.settings import Settings

QUESTION = "On the ECG, what is the rhythm? On CMR, is there late gadolinium enhancement?"
PARTS = {"ecg": "On the ECG, what is the rhythm?", "cmr": "On CMR, is there late gadolinium enhancement?"}


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return three_experts(tmp_path, model_dir, orchestrator={"language": "ecg", "language_timeout_s": 0.3})


@pytest.fixture
def media(settings: Settings) -> list[str]:
    store = MediaStore(settings.media_dir)
    return [store.put(png(), "ecg", "v").id, *(store.put(m.encode(), m, "v", kind="video").id for m in ("echo", "cmr"))]


def talking(split: str, other_words: str = "What does the recording show?") -> Any:
    """An expert that also does the language tasks, as told."""

    def rule(question: str, picture: Path | None) -> str:
        if question.startswith("Split"):
            return split
        return other_words if question.startswith("Say it") else grounded(question, picture)

    return rule


async def told(platform: Platform, media: list[str], text: str = QUESTION) -> Answer:
    *_, answer = [step async for step in platform.orchestrator.ask(Question(text=text, media=tuple(media)), "r")]
    assert isinstance(answer, Answer)
    return answer


async def test_each_expert_gets_the_models_sub_query_and_who_is_not_concerned_is_not_asked(
    settings: Settings, media: list[str]
) -> None:
    platform = Platform(settings, FakeEngine(rule=talking(json.dumps(PARTS))))
    answer = await told(platform, media)
    assert (answer.split_by, answer.split_note, answer.sub_queries) == ("model", "", PARTS)
    assert asked(platform.engines["cmr"].requests[0])[0] == PARTS["cmr"]
    assert platform.engines["echo"].requests == []
    assert set(answer.answers) == {"ecg", "cmr"}
    assert answer.missing == {}
    (split,) = [one for one in platform.engine.requests if asked(one)[0].startswith("Split")]
    assert set(split["response_format"]["json_schema"]["schema"]["properties"]) == set(KIND_OF)


@pytest.mark.parametrize(
    ("rule", "why"),
    [
        (talking("no JSON"), "not JSON"),
        (talking(json.dumps({"ecg": "Is there a stroke?"})), "sub-query"),
        (lambda question, picture: crashing(question, None) if picture is None else "Sinus rhythm.", "failed"),
    ],
    ids=["no JSON", "another question", "a crash"],
)
async def test_where_the_model_cannot_be_used_the_rules_split_and_the_answer_says_why(
    settings: Settings, media: list[str], rule: Any, why: str
) -> None:
    answer = await told(Platform(settings, FakeEngine(rule=rule)), media)
    assert answer.split_by == "rules"
    assert why in answer.split_note
    assert {"ecg", "cmr"} == set(answer.sub_queries)


async def test_a_model_that_stalls_holds_nobody_up(settings: Settings, media: list[str]) -> None:
    platform = Platform(settings, FakeEngine(stalls=lambda question, picture: picture is None and "Split" in question))
    answer = await told(platform, media)
    assert (answer.split_by, "in time" in answer.split_note) == ("rules", True)


async def test_the_models_wordings_are_used_where_they_mean_the_same_and_the_bank_fills_up(
    settings: Settings, media: list[str]
) -> None:
    rule = talking("", "Which rhythm does this ECG show?")
    answer = await told(Platform(settings, FakeEngine(rule=rule)), media[:1], "What rhythm does this ECG show?")
    (report,) = answer.reports
    sources = [probe.source for probe in report.rephrasings]
    assert sources in (["model", "bank", "bank"], ["bank", "bank", "bank"])
    assert report.image_absent.source is None
    wordings = {probe.question for probe in report.rephrasings}
    assert len(wordings) == 3
    assert ("Which rhythm does this ECG show?" in wordings) == (sources[0] == "model")


async def test_a_question_is_reworded_once_and_probed_alike_ever_after() -> None:
    class Expert:
        def __init__(self) -> None:
            self.prompts: list[str] = []

        async def chat(self, request: dict[str, Any], request_id: str) -> dict[str, Any]:
            self.prompts.append(request["messages"][0]["content"][0]["text"])
            assert request["temperature"] > 0, "all candidates would be the same"
            return {"choices": [{"message": {"content": f"Variant {len(self.prompts)} of the question?"}}]}

    expert, modality = Expert(), "ecg"
    tasks = LanguageTasks(FakeHandle(expert), embed_words, 5.0)
    first = await tasks.reword("Is there atrial fibrillation?", modality, "r")  # type: ignore[arg-type]
    count = len(expert.prompts)
    assert count == 6
    assert await tasks.reword("Is there atrial fibrillation?", modality, "s") == first  # type: ignore[arg-type]
    assert len(expert.prompts) == count


async def test_without_a_language_model_rules_and_bank_do_it() -> None:
    tasks = LanguageTasks(None, embed_words, 5.0)
    several: tuple[Modality, ...] = ("ecg", "cmr")
    parts = await tasks.split(QUESTION, several, "r")
    assert (parts.source, set(parts.sub_queries)) == ("rules", {"ecg", "cmr"})
    assert {one.source for one in await tasks.reword("What is the rhythm?", "ecg", "r")} == {"bank"}
