"""An expert shows its engine the right picture, keeps answers short and repeatable, and names the weights."""

import asyncio
import gc
import json
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import cv2
import pytest
from fakes import (
    GROUNDED,
    PICTURE_SIZE,
    Crash,
    FakeEngine,
    MakePlatform,
    crashing,
    grounded,
    overlong,
    png,
    silent,
    stalls,
)

from chordae.deployments.expert import Expert
from chordae.platform.errors import BadInput, BadSettings, ExpertUnavailable, UnknownMedia
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Media
from chordae.platform.settings import Settings
from chordae.platform.weights import identify


def request_about(media: Media | None, text: str = "What is the rhythm?", **fields: Any) -> dict[str, Any]:
    picture = [] if media is None else [{"type": "image_url", "image_url": {"url": f"media:{media.id}"}}]
    return {"messages": [{"role": "user", "content": [*picture, {"type": "text", "text": text}]}], **fields}


def shown(engine: FakeEngine, number: int = 0) -> Path:
    """The file that the engine was shown."""
    part = engine.requests[number]["messages"][0]["content"][0]
    return Path(unquote(urlsplit(part["image_url"]["url"]).path))


async def test_the_engine_is_shown_a_file_below_the_media_directory_before_the_text(
    make_platform: MakePlatform, media: Media, settings: Settings
) -> None:
    platform = make_platform()
    await platform.expert.chat(request_about(media), "r")
    picture, text = platform.engine.requests[0]["messages"][0]["content"]
    assert picture["image_url"]["url"].startswith("file:///")
    assert shown(platform.engine).parent == settings.media_dir.resolve()
    assert text == {"type": "text", "text": "What is the rhythm?"}


async def test_the_picture_has_the_size_that_the_manifest_asks_for(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform()
    await platform.expert.chat(request_about(media), "r")
    height, width, _ = cv2.imread(str(shown(platform.engine))).shape
    assert (width, height) == PICTURE_SIZE


async def test_the_reduced_picture_keeps_its_colours(make_platform: MakePlatform, settings: Settings) -> None:
    red = cv2.imencode(".png", _plain((0, 0, 255)))[1].tobytes()
    platform, media = make_platform(), MediaStore(settings.media_dir).put(red, "ecg", "v")
    await platform.expert.chat(request_about(media), "r")
    assert cv2.imread(str(shown(platform.engine)))[0, 0].tolist() == [0, 0, 255]


async def test_without_a_size_in_the_manifest_the_model_sees_the_media_itself(
    make_platform: MakePlatform, media: Media, model_dir: Path
) -> None:
    (model_dir / "manifest.json").unlink()
    platform = make_platform()
    await platform.expert.chat(request_about(media), "r")
    assert shown(platform.engine).read_bytes() == png()


async def test_the_same_question_is_answered_the_same_way_unless_the_caller_wants_otherwise(
    make_platform: MakePlatform, media: Media
) -> None:
    platform = make_platform()
    await platform.expert.chat(request_about(media), "r")
    await platform.expert.chat(request_about(media, temperature=0.8), "r")
    assert [request["temperature"] for request in platform.engine.requests] == [0.0, 0.8]


@pytest.mark.parametrize("field", ["max_tokens", "max_completion_tokens"])
@pytest.mark.parametrize(("wanted", "given"), [(None, 96), (10, 10), (96, 96), (5000, 96)])
async def test_an_answer_is_never_longer_than_the_settings_allow(
    make_platform: MakePlatform, media: Media, field: str, wanted: int | None, given: int
) -> None:
    platform = make_platform()
    await platform.expert.chat(request_about(media, **({field: wanted} if wanted else {})), "r")
    assert platform.engine.requests[0]["max_completion_tokens"] == given
    assert "max_tokens" not in platform.engine.requests[0]


async def test_what_else_the_caller_set_reaches_the_engine(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform()
    fields = {
        "n": 2,
        "logprobs": True,
        "top_logprobs": 3,
        "stop": ["."],
        "seed": 4,
        "response_format": {"type": "text"},
    }
    answer = await platform.expert.chat(request_about(media, **fields), "r")
    assert fields.items() <= platform.engine.requests[0].items()
    assert len(answer["choices"]) == 2


async def test_an_answer_says_what_it_rests_on(
    make_platform: MakePlatform, media: Media, model_dir: Path, settings: Settings
) -> None:
    answer = await make_platform().expert.chat(request_about(media), "request-1")
    assert answer["model"] == "ecg-fake"
    assert answer["chordae"] == {
        "request_id": "request-1",
        "weights": [identify(model_dir).model_dump()],
        "gate": None,
        "media": [media.id],
        "settings_digest": settings.digest(),
    }


async def test_a_stream_begins_with_what_it_rests_on_and_ends_with_done(
    make_platform: MakePlatform, media: Media
) -> None:
    first, *events = [event async for event in make_platform().expert.stream(request_about(media), "r")]
    assert json.loads(first)["media"] == [media.id]
    assert events[-1] == "data: [DONE]\n\n"
    chunks = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert "".join(c["choices"][0]["delta"].get("content", "") for c in chunks) == GROUNDED


async def test_the_model_card_names_the_weights(make_platform: MakePlatform, model_dir: Path) -> None:
    card = await make_platform().expert.describe()
    assert card["id"] == "ecg-fake"
    assert card["chordae"]["weights"]["digest"] == identify(model_dir).digest


@pytest.mark.parametrize("media_id", ["0" * 64, "../../etc/passwd", ""])
async def test_media_that_were_not_uploaded_here_never_reach_the_engine(
    make_platform: MakePlatform, media_id: str
) -> None:
    platform = make_platform()
    with pytest.raises(UnknownMedia):
        await platform.expert.chat(request_about(Media(id=media_id, modality="ecg")), "r")
    assert platform.engine.requests == []


async def test_an_empty_answer_is_an_error(make_platform: MakePlatform, media: Media) -> None:
    with pytest.raises(ExpertUnavailable, match="empty answer"):
        await make_platform(rule=silent).expert.chat(request_about(media), "r")


async def test_one_empty_answer_of_several_is_an_error(make_platform: MakePlatform, media: Media) -> None:
    with pytest.raises(ExpertUnavailable, match="empty answer"):
        await make_platform(rule=silent).expert.chat(request_about(media, n=3), "r")


async def test_a_question_over_the_context_is_refused_before_a_stream_begins(
    make_platform: MakePlatform, media: Media
) -> None:
    with pytest.raises(BadInput, match="context"):
        await anext(make_platform(rule=overlong).expert.stream(request_about(media), "r"))


async def together(expert: Expert, requests: list[dict[str, Any]]) -> list[tuple[int, dict[str, Any]]]:
    return [answer async for answer in expert.chat_together(requests, "r")]


def questions(media: Media | None, number: int = 4) -> list[dict[str, Any]]:
    return [request_about(media, f"question {index}") for index in range(number)]


async def test_the_others_start_when_the_picture_of_the_first_is_read(
    make_platform: MakePlatform, media: Media
) -> None:
    platform = make_platform()
    await together(platform.expert, questions(media))
    log = platform.engine.log
    assert platform.engine.requests[0]["messages"][0]["content"][1]["text"] == "question 0"
    assert log.index("read 0") < min(log.index(f"start {number}") for number in (1, 2, 3))


async def test_the_others_do_not_wait_for_the_end_of_the_first(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform(rule=lambda *_: "word " * 50)
    await together(platform.expert, questions(media))
    log = platform.engine.log
    assert max(log.index(f"start {number}") for number in (1, 2, 3)) < log.index("end 0")


async def test_each_answer_comes_with_the_number_of_its_question(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform(rule=lambda question, _: f"answer to {question}")
    answers = await together(platform.expert, questions(media))
    assert {index: answer["choices"][0]["message"]["content"] for index, answer in answers} == {
        index: f"answer to question {index}" for index in range(4)
    }


async def test_the_others_name_the_picture_that_was_read(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform()
    assert len(await together(platform.expert, questions(media))) == 4
    assert platform.engine.named == 3
    assert len(platform.engine.requests) == 4


async def test_a_picture_that_is_no_longer_kept_is_read_again(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform()
    platform.engine.caches = False
    assert len(await together(platform.expert, questions(media))) == 4
    assert platform.engine.named == 3


async def test_the_streamed_first_answer_is_what_an_ordinary_one_would_be(
    make_platform: MakePlatform, media: Media
) -> None:
    platform = make_platform()
    ((_, streamed),) = await together(platform.expert, [request_about(media)])
    ordinary = await platform.expert.chat(request_about(media), "r")
    for key in ("model", "chordae"):
        assert streamed[key] == ordinary[key]
    assert streamed["choices"] == ordinary["choices"]


async def test_answers_are_told_apart_in_the_engine(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform()
    await together(platform.expert, questions(media))
    assert len({request["request_id"] for request in platform.engine.requests}) == 4


@pytest.mark.parametrize("failing", ["question 0", "question 2"])
async def test_when_one_fails_the_rest_are_ended(make_platform: MakePlatform, media: Media, failing: str) -> None:
    def rule(question: str, picture: Path | None) -> str:
        return crashing(question, picture) if question == failing else "word " * 50

    platform = make_platform(rule=rule)
    with pytest.raises(Crash):
        await together(platform.expert, questions(media))
    await asyncio.sleep(0.05)
    ended = {line.split()[1] for line in platform.engine.log if line.startswith("end")}
    assert ended <= {"0"}, "the first is told before another's failure"


async def test_nothing_else_is_asked_when_the_first_is_refused(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform(rule=overlong)
    with pytest.raises(BadInput):
        await together(platform.expert, questions(media))
    await asyncio.sleep(0)
    assert len(platform.engine.requests) == 1


async def test_when_the_caller_goes_away_the_engine_stops_working_for_it(
    make_platform: MakePlatform, media: Media
) -> None:
    platform = make_platform(stalls=stalls)
    asking = asyncio.create_task(together(platform.expert, questions(media)))
    while platform.engine.log.count("token 3") == 0:
        await asyncio.sleep(0)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    await asyncio.sleep(0.01)
    assert {f"abort {number}" for number in range(4)} <= set(platform.engine.log)


async def test_nothing_is_asked_of_the_engine_any_more_once_the_gate_is_free(
    make_platform: MakePlatform, media: Media
) -> None:
    """vLLM's end of a cancelled request takes a moment: whoever changes the weights must not meet it."""
    ended: list[str] = []

    async def reluctant(request: dict[str, object]) -> str:
        try:
            await asyncio.sleep(60)
        finally:
            await asyncio.sleep(0.02)
            ended.append("one")
        return "late"

    platform = make_platform(stalls=stalls)
    platform.expert._follow = lambda request, name: reluctant(request)  # type: ignore[method-assign,assignment]
    asking = asyncio.create_task(together(platform.expert, questions(media)))
    await asyncio.sleep(0.02)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    assert len(ended) == 3
    assert platform.expert._versions._gate.inside == 0


async def test_an_engine_that_dies_in_the_middle_of_the_first_answer_is_an_error(
    make_platform: MakePlatform, media: Media
) -> None:
    with pytest.raises(ExpertUnavailable, match="EngineCore died"):
        await together(make_platform(breaks_after=2).expert, questions(media))


async def test_an_empty_first_answer_is_an_error(make_platform: MakePlatform, media: Media) -> None:
    with pytest.raises(ExpertUnavailable, match="empty answer"):
        await together(make_platform(rule=silent).expert, questions(media))


async def test_the_engine_is_started_checked_and_ended_with_its_expert(make_platform: MakePlatform) -> None:
    platform = make_platform()
    await platform.expert.start()
    await platform.expert.check_health()
    assert platform.engine.started
    platform.expert.__del__()
    assert platform.engine.stopped
    with pytest.raises(Crash):
        await platform.expert.check_health()


def test_an_expert_without_weights_is_refused_and_leaves_no_noise(settings: Settings, model_dir: Path) -> None:
    (model_dir / "model.safetensors").unlink()
    with pytest.raises(BadSettings, match="no weights"):
        Expert("ecg", settings, FakeEngine(rule=grounded))
    gc.collect()  # an error in __del__ of the half-made expert would fail this test


def _plain(colour: tuple[int, int, int]) -> Any:
    import numpy as np

    return np.full((96, 128, 3), colour, np.uint8)
