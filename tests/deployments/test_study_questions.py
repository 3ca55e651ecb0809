"""One question over ECG, echo and CMR: every expert is asked and probed, and who cannot answer is named."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes import (
    BLIND,
    GROUNDED,
    Crash,
    FakeHandle,
    MakePlatform,
    Platform,
    asked,
    crashing,
    embed_words,
    hallucinating,
    overlong,
    png,
    silent,
    stalls,
    three_experts,
)
from ray.serve.exceptions import BackPressureError

from chordae.deployments.orchestrator import Orchestrator
from chordae.deployments.rephrasing import rephrase
from chordae.deployments.rephrasing_bank import framed
from chordae.deployments.side_by_side import side_by_side
from chordae.platform.errors import BadInput, ExpertUnavailable, Overloaded
from chordae.platform.media import MediaStore
from chordae.platform.probing import DISCLAIMER
from chordae.platform.schemas import Answer, Media, Question
from chordae.platform.settings import Settings
from chordae.platform.weights import identify

QUESTION = "What are the main findings?"


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return three_experts(tmp_path, model_dir, orchestrator={"expert_timeout_s": 1.0})


@pytest.fixture
def media(settings: Settings) -> dict[str, Media]:
    store = MediaStore(settings.media_dir)
    videos = {modality: store.put(modality.encode(), modality, "v", kind="video") for modality in ("echo", "cmr")}
    return {"ecg": store.put(png(), "ecg", "v"), **videos}


@pytest.fixture
async def platform(make_platform: MakePlatform, settings: Settings) -> Platform:
    """Each expert says who it is, if it sees something."""
    platform = make_platform(settings)
    for modality, engine in platform.engines.items():
        engine.rule = _saying(modality)
    return platform


def _saying(modality: str) -> Any:
    return lambda _, seen: f"{modality} seen in {seen.suffix}" if seen else BLIND


async def steps(platform: Platform, *media: Media, probe: bool = True) -> list[Any]:
    question = Question(text=QUESTION, media=tuple(each.id for each in media))
    return [step async for step in platform.orchestrator.ask(question, "r", probe)]


async def told(platform: Platform, *media: Media, probe: bool = True) -> Answer:
    answer = (await steps(platform, *media, probe=probe))[-1]
    assert isinstance(answer, Answer)
    return answer


async def test_each_expert_is_asked_about_its_own_media_and_probed(
    platform: Platform, media: dict[str, Media], settings: Settings
) -> None:
    answer = await told(platform, media["cmr"], media["ecg"], media["echo"])
    told_of = {sentence.text: sentence.rests_on for sentence in answer.sentences}
    assert told_of == {
        "ECG: ecg seen in .png": ("ecg",),
        "Echo: echo seen in .mp4": ("echo",),
        "CMR: cmr seen in .mp4": ("cmr",),
    }
    assert answer.text.split("\n") == [sentence.text for sentence in answer.sentences]
    assert answer.sub_queries == dict.fromkeys(("ecg", "echo", "cmr"), QUESTION)
    assert (answer.split_by, answer.split_note) == ("rules", "no language model to ask")
    assert [report.modality for report in answer.reports] == ["ecg", "echo", "cmr"]
    assert {modality: said.text for modality, said in answer.answers.items()} == {
        "ecg": "ecg seen in .png",
        "echo": "echo seen in .mp4",
        "cmr": "cmr seen in .mp4",
    }
    assert (answer.flagged, answer.missing, answer.finish_reason) == (False, {}, "stop")
    assert answer.provenance.media == tuple(media[modality].id for modality in ("ecg", "echo", "cmr"))
    assert answer.provenance.weights == tuple(
        identify(Path(settings.experts[modality].model)) for modality in ("ecg", "echo", "cmr")
    )
    for modality, engine in platform.engines.items():
        put = [asked(request) for request in engine.requests]
        wordings = [QUESTION, *rephrase(QUESTION, modality)]  # type: ignore[arg-type]
        assert sorted(text for text, seen in put if seen) == sorted(wordings)
        assert [text for text, seen in put if not seen] == [QUESTION]


def test_a_rephrasing_names_what_the_expert_looks_at() -> None:
    assert "Looking at this ECG: Q?" in framed("Q?", "ecg")
    assert "Looking at this echocardiogram: Q?" in framed("Q?", "echo")
    assert "Looking at this cardiac MR study: Q?" in framed("Q?", "cmr")


async def test_the_stages_are_told_by_expert(platform: Platform, media: dict[str, Media]) -> None:
    *stages, answer = await steps(platform, *media.values())
    expected = {"decompose", *(f"{modality} {stage}" for modality in media for stage in ("answer", "probe"))}
    assert {name for name, _ in stages} == set(answer.stages) == expected


async def test_the_experts_work_at_the_same_time(platform: Platform, media: dict[str, Media]) -> None:
    for engine in platform.engines.values():
        engine.stalls = stalls
    asking = asyncio.create_task(told(platform, *media.values()))
    async with asyncio.timeout(0.9):  # less than the first would take to be given up
        while not all(engine.requests for engine in platform.engines.values()):
            await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking


async def test_who_stops_listening_stops_every_expert(platform: Platform, media: dict[str, Media]) -> None:
    for engine in platform.engines.values():
        engine.stalls = stalls
    asking = asyncio.create_task(told(platform, *media.values()))
    while not all("token 0" in engine.log for engine in platform.engines.values()):
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0.05)
    assert all("abort 0" in engine.log for engine in platform.engines.values())


async def test_one_mirage_flags_the_whole_and_is_named(platform: Platform, media: dict[str, Media]) -> None:
    platform.engines["echo"].rule = hallucinating
    answer = await told(platform, *media.values())
    assert answer.flagged is True
    assert answer.apart == {"echo": f"{DISCLAIMER}\n\n{GROUNDED}"}
    assert GROUNDED not in answer.text
    assert [sentence.kind for sentence in answer.sentences if "echo" in sentence.rests_on] == ["withheld"]
    assert "ECG: ecg seen" in answer.text
    assert answer.answers["echo"].text == GROUNDED
    assert [report.confidence.flagged for report in answer.reports] == [False, True, False]


FAILING = {"a crash": (crashing, "failed"), "an empty answer": (silent, "empty answer")}


@pytest.mark.parametrize(("rule", "says"), FAILING.values(), ids=FAILING.keys())
async def test_an_expert_that_fails_is_named_and_the_others_answer(
    platform: Platform, media: dict[str, Media], rule: Any, says: str
) -> None:
    platform.engines["cmr"].rule = rule
    answer = await told(platform, *media.values())
    assert list(answer.answers) == ["ecg", "echo"]
    assert says in answer.missing["cmr"] and "Smith" not in answer.missing["cmr"]
    assert answer.text.endswith(f"CMR: not answered ({answer.missing['cmr']}).")
    assert media["cmr"].id not in answer.provenance.media


async def test_an_expert_that_stalls_is_named_in_time(platform: Platform, media: dict[str, Media]) -> None:
    platform.engines["echo"].stalls = stalls
    async with asyncio.timeout(5):
        answer = await told(platform, *media.values())
    assert "did not answer in" in answer.missing["echo"]


async def test_when_nobody_can_answer_it_is_an_error(platform: Platform, media: dict[str, Media]) -> None:
    for engine in platform.engines.values():
        engine.rule = crashing
    with pytest.raises(ExpertUnavailable, match="no expert could answer"):
        await told(platform, *media.values())


async def test_when_all_are_busy_the_caller_is_told_to_come_again(settings: Settings, media: dict[str, Media]) -> None:
    class Busy:
        async def chat_together(self, *_: Any) -> Any:
            raise BackPressureError(num_queued_requests=9, max_queued_requests=8)
            yield

    orchestrator = Orchestrator(settings, {modality: FakeHandle(Busy()) for modality in media}, embed_words)
    question = Question(text=QUESTION, media=tuple(each.id for each in media.values()))
    with pytest.raises(Overloaded):
        _ = [step async for step in orchestrator.ask(question, "r")]


async def test_a_question_over_one_context_is_the_callers_to_mend(platform: Platform, media: dict[str, Media]) -> None:
    platform.engines["cmr"].rule = overlong
    with pytest.raises(BadInput, match="context"):
        await told(platform, *media.values())


async def test_a_modality_without_a_recording_is_named(platform: Platform, media: dict[str, Media]) -> None:
    answer = await told(platform, media["ecg"], media["cmr"])
    assert answer.missing == {"echo": "no Echo recording came with the question"}
    assert answer.text.endswith("Echo: not answered (no Echo recording came with the question).")
    assert platform.engines["echo"].requests == []


async def test_a_modality_without_an_expert_is_named(
    make_platform: MakePlatform, settings: Settings, media: dict[str, Media]
) -> None:
    without = {modality: one for modality, one in settings.experts.items() if modality != "echo"}
    platform = make_platform(settings.model_copy(update={"experts": without}))
    answer = await told(platform, *media.values())
    assert (list(answer.answers), answer.missing) == (["ecg", "cmr"], {"echo": "no Echo expert is served here"})
    with pytest.raises(BadInput, match="no expert for echo"):
        await told(platform, media["echo"])


async def test_one_recording_alone_is_answered_as_ever(platform: Platform, media: dict[str, Media]) -> None:
    *stages, answer = await steps(platform, media["echo"])
    assert (answer.text, answer.missing) == ("echo seen in .mp4", {})
    assert [name for name, _ in stages] == ["answer", "probe"]


async def test_unprobed_answers_are_told_apart_too(platform: Platform, media: dict[str, Media]) -> None:
    answer = await told(platform, *media.values(), probe=False)
    assert (answer.flagged, answer.reports, len(answer.answers)) == (None, (), 3)
    assert answer.text.startswith("ECG (unverified: not probed): ecg seen in .png\nEcho (unverified: not probed): ")


async def test_streams_side_by_side_go_on_after_an_error_of_ours_and_end_with_any_other() -> None:
    async def stream(*said: Any) -> Any:
        for each in said:
            if isinstance(each, Exception):
                raise each
            yield each
            await asyncio.sleep(0)

    ours = ExpertUnavailable("gone", "ask again")
    told = [step async for step in side_by_side({"a": stream(1, ours), "b": stream(2, 3, 4)})]
    assert [step for name, step in told if name == "a"] == [1, ours]
    assert [step for name, step in told if name == "b"] == [2, 3, 4]
    with pytest.raises(Crash):
        _ = [step async for step in side_by_side({"a": stream(1, Crash()), "b": stream(*range(99))})]
