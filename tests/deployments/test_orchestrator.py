"""The agent asks, asks again in other words and without the picture, and never scores what was not answered."""

import asyncio
from pathlib import Path
from typing import Any

import pytest
from fakes import (
    BLIND,
    GROUNDED,
    FakeEngine,
    FakeHandle,
    MakePlatform,
    Platform,
    asked,
    crashing,
    embed_words,
    hallucinating,
    make_settings,
    only_without,
    overlong,
    png,
    silent,
    stalls,
    wavering,
)
from ray.serve.exceptions import BackPressureError

from chordae.deployments.orchestrator import Orchestrator
from chordae.deployments.rephrasing import rephrase
from chordae.platform.errors import BadInput, ChordaeError, ExpertUnavailable, Overloaded, UnknownMedia
from chordae.platform.media import MediaStore
from chordae.platform.probing import DISCLAIMER
from chordae.platform.schemas import Answer, Media, Question
from chordae.platform.settings import OrchestratorSettings, Settings
from chordae.platform.weights import identify

QUESTION = "Is there a left bundle branch block?"


async def told(platform: Platform, *media: str, text: str = QUESTION, probe: bool = True) -> Answer:
    """The last thing the orchestrator says, which is the answer."""
    question = Question(text=text, media=media)
    *_, answer = [step async for step in platform.orchestrator.ask(question, "request-1", probe)]
    assert isinstance(answer, Answer)
    return answer


async def test_the_original_goes_first_and_the_rest_when_its_picture_is_read(
    make_platform: MakePlatform, media: Media
) -> None:
    platform = make_platform()
    await told(platform, media.id)
    assert asked(platform.engine.requests[0])[0] == QUESTION
    log = platform.engine.log
    assert log.index("read 0") < min(log.index(f"start {number}") for number in range(1, 5))


async def test_three_rephrasings_with_the_picture_and_the_original_without_it(
    make_platform: MakePlatform, media: Media
) -> None:
    platform = make_platform()
    await told(platform, media.id)
    put = [asked(request) for request in platform.engine.requests]
    assert sorted(text for text, picture in put if picture) == sorted([QUESTION, *rephrase(QUESTION, "ecg")])
    assert [text for text, picture in put if not picture] == [QUESTION]


async def test_the_image_absent_probe_holds_no_trace_of_the_picture(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform()
    await told(platform, media.id)
    (without,) = [request for request in platform.engine.requests if asked(request)[1] is None]
    assert media.id not in repr(without)
    assert "image" not in repr(without)


def test_rephrasings_differ_and_keep_every_word_of_the_question() -> None:
    phrasings = rephrase(QUESTION, "ecg")
    assert len({QUESTION, *phrasings}) == 4
    assert all(QUESTION in phrasing for phrasing in phrasings)


@pytest.mark.parametrize("braces", ["Is {V1} inverted?", "{question}", "100 %s {0}"])
def test_a_question_with_braces_is_asked_as_it_is(braces: str) -> None:
    assert all(braces in phrasing for phrasing in rephrase(braces, "ecg"))


async def test_an_expert_that_reads_the_picture_is_believed(make_platform: MakePlatform, media: Media) -> None:
    answer = await told(make_platform(), media.id)
    assert (answer.text, answer.flagged) == (GROUNDED, False)
    (report,) = answer.reports
    assert (report.answer, report.image_absent.answer) == (GROUNDED, BLIND)
    assert report.confidence.agreement == 1.0
    assert report.confidence.image_delta > 0.8
    assert [probe.question for probe in report.rephrasings] == list(rephrase(QUESTION, "ecg"))


async def test_an_expert_that_says_the_same_without_the_picture_is_flagged(
    make_platform: MakePlatform, tmp_path: Path, model_dir: Path
) -> None:
    settings = make_settings(tmp_path, model_dir, orchestrator={"threshold": 0.6})
    platform = make_platform(settings, rule=hallucinating)
    media = MediaStore(settings.media_dir).put(png(), "ecg", "v")
    answer = await told(platform, media.id)
    assert answer.flagged is True
    assert answer.text == f"{DISCLAIMER}\n\n{GROUNDED}"
    (report,) = answer.reports
    assert report.answer == GROUNDED
    assert report.confidence.image_delta == pytest.approx(0.0, abs=1e-6)
    assert report.confidence.value == pytest.approx(0.5)


async def test_a_mirage_is_flagged_with_the_settings_that_ship(make_platform: MakePlatform, media: Media) -> None:
    """It agrees with itself fully, and the picture changes nothing: alpha 0.5 alone would give exactly 0.5."""
    assert (await told(make_platform(rule=hallucinating), media.id)).flagged is True


async def test_an_expert_that_wavers_is_flagged(make_platform: MakePlatform, tmp_path: Path, model_dir: Path) -> None:
    settings = make_settings(tmp_path, model_dir, orchestrator={"threshold": 0.6})
    media = MediaStore(settings.media_dir).put(png(), "ecg", "v")
    answer = await told(make_platform(settings, rule=wavering), media.id)
    assert answer.flagged is True
    assert answer.reports[0].confidence.agreement == 0.0


async def test_each_answer_is_put_beside_its_own_question(make_platform: MakePlatform, media: Media) -> None:
    def echo(question: str, picture: Path | None) -> str:
        return f"{question} {'seen' if picture else 'unseen'}"

    (report,) = (await told(make_platform(rule=echo), media.id)).reports
    assert report.answer == f"{QUESTION} seen"
    assert report.image_absent.answer == f"{QUESTION} unseen"
    assert [probe.answer for probe in report.rephrasings] == [f"{text} seen" for text in rephrase(QUESTION, "ecg")]


async def test_an_unprobed_answer_costs_one_request_and_claims_nothing(
    make_platform: MakePlatform, media: Media
) -> None:
    platform = make_platform(rule=hallucinating)
    answer = await told(platform, media.id, probe=False)
    assert (answer.text, answer.flagged, answer.reports) == (GROUNDED, None, ())
    assert len(platform.engine.requests) == 1


async def test_an_answer_says_what_it_rests_on(
    make_platform: MakePlatform, media: Media, model_dir: Path, settings: Settings
) -> None:
    provenance = (await told(make_platform(), media.id)).provenance
    assert provenance.request_id == "request-1"
    assert provenance.weights == (identify(model_dir),)
    assert provenance.media == (media.id,)
    assert provenance.settings_digest == settings.digest()


async def test_stages_are_told_as_they_end_and_add_up(make_platform: MakePlatform, media: Media) -> None:
    question = Question(text=QUESTION, media=(media.id,))
    *stages, answer = [step async for step in make_platform().orchestrator.ask(question, "r")]
    assert [name for name, _ in stages] == list(answer.stages) == ["answer", "probe"]
    assert all(seconds >= 0 for _, seconds in stages)


FAILURES = {
    "an empty answer": (silent, "empty answer"),
    "a crash": (crashing, "failed"),
}


@pytest.mark.parametrize(("rule", "says"), FAILURES.values(), ids=FAILURES.keys())
async def test_what_an_expert_cannot_answer_is_an_error_that_says_so(
    make_platform: MakePlatform, media: Media, rule: Any, says: str
) -> None:
    with pytest.raises(ExpertUnavailable, match=says):
        await told(make_platform(rule=rule), media.id)


@pytest.mark.parametrize(("rule", "says"), FAILURES.values(), ids=FAILURES.keys())
async def test_an_answer_whose_probe_fails_is_told_with_that_warning_and_never_scored(
    make_platform: MakePlatform, media: Media, rule: Any, says: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chordae.deployments.orchestrator.confidence", lambda *_, **__: pytest.fail("was scored"))
    answer = await told(make_platform(rule=only_without(rule)), media.id)
    assert (answer.flagged, answer.reports) == (True, ())
    assert says in answer.unprobed["ecg"]
    assert (
        answer.text
        == f"Note: the ECG answer could not be probed ({answer.unprobed['ecg']}). Do not rely on it.\n\n{GROUNDED}"
    )


async def test_an_answer_whose_probes_stall_is_told_in_time(
    make_platform: MakePlatform, media: Media, settings: Settings
) -> None:
    quick = settings.orchestrator.model_copy(update={"probe_timeout_s": 0.1})
    platform = make_platform(settings.model_copy(update={"orchestrator": quick}))
    platform.engine.stalls = lambda question, picture: picture is None
    async with asyncio.timeout(5):
        answer = await told(platform, media.id)
    assert answer.flagged is True
    assert "not answered in" in answer.unprobed["ecg"]
    await asyncio.sleep(0.05)
    assert any(line.startswith("abort") for line in platform.engine.log), "nobody waits for it any more"


async def test_what_a_model_says_when_it_crashes_stays_inside(make_platform: MakePlatform, media: Media) -> None:
    with pytest.raises(ChordaeError) as failure:
        await told(make_platform(rule=crashing), media.id)
    assert "Smith" not in failure.value.problem + failure.value.remedy


async def test_a_question_over_the_context_is_the_callers_to_mend(make_platform: MakePlatform, media: Media) -> None:
    with pytest.raises(BadInput, match="context"):
        await told(make_platform(rule=overlong), media.id)


@pytest.fixture
def hurried(tmp_path: Path, model_dir: Path) -> Settings:
    return make_settings(tmp_path, model_dir, orchestrator={"expert_timeout_s": 0.5})


async def test_an_expert_that_stalls_is_an_error_in_time(
    make_platform: MakePlatform, media: Media, hurried: Settings
) -> None:
    async with asyncio.timeout(5):
        with pytest.raises(ExpertUnavailable, match="did not answer in"):
            await told(make_platform(hurried, stalls=stalls), media.id)


async def test_an_expert_that_stalls_is_told_to_stop(
    make_platform: MakePlatform, media: Media, hurried: Settings
) -> None:
    platform = make_platform(hurried, stalls=stalls)
    with pytest.raises(ExpertUnavailable):
        await told(platform, media.id)
    await asyncio.sleep(0.05)
    assert {f"abort {number}" for number in range(5)} <= set(platform.engine.log)


async def test_a_caller_that_reads_slowly_is_not_taken_for_a_slow_expert(
    make_platform: MakePlatform, media: Media, hurried: Settings
) -> None:
    steps = []
    async for step in make_platform(hurried).orchestrator.ask(Question(text=QUESTION, media=(media.id,)), "r"):
        steps.append(step)
        await asyncio.sleep(0.7 if len(steps) == 1 else 0)
    assert isinstance(steps[-1], Answer)


async def test_too_many_waiting_questions_are_refused_as_such(settings: Settings, media: Media) -> None:
    class Busy:
        async def chat_together(self, *_: Any) -> Any:
            raise BackPressureError(num_queued_requests=9, max_queued_requests=8)
            yield

    orchestrator = Orchestrator(settings, {"ecg": FakeHandle(Busy())}, embed_words)
    with pytest.raises(Overloaded, match="too many questions"):
        await anext(orchestrator.ask(Question(text=QUESTION, media=(media.id,)), "r"))


async def test_without_anything_to_look_at_no_expert_is_asked(make_platform: MakePlatform) -> None:
    platform = make_platform()
    with pytest.raises(BadInput, match="nothing to look at"):
        await told(platform)
    assert platform.engine.requests == []


async def test_two_recordings_of_a_kind_in_one_question_are_refused(
    make_platform: MakePlatform, media: Media, settings: Settings
) -> None:
    other = MediaStore(settings.media_dir).put(png(5), "ecg", "v")
    with pytest.raises(BadInput, match="more than one ECG"):
        await told(make_platform(), media.id, other.id)


@pytest.mark.parametrize("media_id", ["0" * 64, "../../etc/passwd"])
async def test_media_that_were_not_uploaded_here_are_refused(make_platform: MakePlatform, media_id: str) -> None:
    with pytest.raises(UnknownMedia):
        await told(make_platform(), media_id)


async def test_media_that_no_expert_reads_are_refused(make_platform: MakePlatform, settings: Settings) -> None:
    platform = make_platform()
    echo = MediaStore(settings.media_dir).put(png(5), "echo", "v")
    with pytest.raises(BadInput, match="no expert for echo"):
        await told(platform, echo.id)


async def test_many_questions_at_once_do_not_mix(make_platform: MakePlatform, settings: Settings) -> None:
    platform = make_platform(rule=lambda question, picture: f"{question} {picture.stem if picture else ''}")
    store = MediaStore(settings.media_dir)
    pictures = [store.put(png(seed), "ecg", "v").id for seed in range(8)]
    answers = await asyncio.gather(*(told(platform, id, text=f"question {n}") for n, id in enumerate(pictures)))
    for number, (media_id, answer) in enumerate(zip(pictures, answers, strict=True)):
        assert answer.reports[0].answer.startswith(f"question {number} {media_id}")


def test_the_settings_that_ship_flag_what_does_not_depend_on_the_picture() -> None:
    shipped = OrchestratorSettings()
    assert shipped.alpha * 1.0 + (1 - shipped.alpha) * 0.0 < shipped.threshold


def test_the_engine_of_these_tests_is_an_engine() -> None:
    assert not getattr(FakeEngine(), "__abstractmethods__", None)
