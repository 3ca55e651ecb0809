"""Questions over HTTP, with orchestrator and expert behind the API, and an engine without a model."""

import asyncio
import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from asking import events, question, told
from fakes import GROUNDED, Crash, MakePlatform, Platform, crashing, only_without, overlong, silent

from chordae.deployments import gateway
from chordae.platform.probing import DISCLAIMER
from chordae.platform.schemas import Answer, Media
from chordae.platform.settings import Settings
from chordae.platform.weights import identify

# --- what is served ---


async def test_health_answers_once_every_expert_does(http: httpx.AsyncClient) -> None:
    reply = await http.get("/health")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_models_lists_the_orchestrator_and_every_expert(http: httpx.AsyncClient) -> None:
    assert [card["id"] for card in (await http.get("/v1/models")).json()["data"]] == ["chordae", "ecg-fake"]


async def test_an_experts_own_port_lists_that_expert_alone(http: httpx.AsyncClient, model_dir: Path) -> None:
    (card,) = (await http.get("/ecg/v1/models")).json()["data"]
    assert card["id"] == "ecg-fake"
    assert card["chordae"]["weights"]["digest"] == identify(model_dir).digest


@pytest.mark.parametrize("path", ["/v1/models", "/health", "/v1/chat/completions"])
async def test_an_expert_that_cannot_describe_itself_is_a_503_in_one_line(
    platform: Platform, http: httpx.AsyncClient, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    async def broken() -> None:
        raise Crash("secret")

    monkeypatch.setattr(platform.expert, "describe", broken)
    body = question(None, model="ecg-fake")
    reply = await (http.post(path, json=body) if path.endswith("completions") else http.get(path))
    assert reply.status_code == 503
    assert "secret" not in told(reply)


@pytest.mark.parametrize("path", ["/nowhere", "/v1/embeddings", "/v1"])
async def test_an_address_that_is_none_is_a_404_in_the_same_shape(http: httpx.AsyncClient, path: str) -> None:
    reply = await http.get(path)
    assert reply.status_code == 404
    told(reply)


# --- asking ---


async def test_the_orchestrator_answers_with_its_reports_and_provenance(
    http: httpx.AsyncClient, media: Media, settings: Settings, model_dir: Path
) -> None:
    reply = await http.post("/v1/chat/completions", json=question(f"/media/{media.id}"))
    completion = reply.json()
    assert (reply.status_code, completion["model"]) == (200, "chordae")
    assert completion["choices"][0]["message"]["content"] == GROUNDED
    answer = Answer.model_validate(completion["chordae"] | {"text": GROUNDED})
    assert (answer.flagged, len(answer.reports[0].rephrasings)) == (False, 3)
    assert reply.headers["x-request-id"] == answer.provenance.request_id == completion["id"].removeprefix("chatcmpl-")
    assert reply.headers["x-chordae-media"] == media.id
    assert reply.headers["x-chordae-settings"] == settings.digest()
    assert reply.headers["x-chordae-weights"] == f"ecg-fake@7:{identify(model_dir).digest[:16]}"


async def test_a_stream_tells_stages_then_words_then_everything_else(http: httpx.AsyncClient, media: Media) -> None:
    reply = await http.post("/v1/chat/completions", json=question(media.id, stream=True))
    assert reply.headers["content-type"].startswith("text/event-stream")
    chunks = events(reply.text)
    assert "".join(chunk["choices"][0]["delta"]["content"] for chunk in chunks) == GROUNDED
    stages = [chunk["chordae"]["stage"] for chunk in chunks if "stage" in chunk.get("chordae", {})]
    assert stages[:2] == ["answer", "probe"]
    assert chunks[-1]["choices"][0]["finish_reason"] == "stop"
    assert Answer.model_validate(chunks[-1]["chordae"] | {"text": GROUNDED}).reports


async def test_the_streamed_answer_is_the_unstreamed_one_to_the_letter(
    make_platform: MakePlatform, media: Media
) -> None:
    said = "Sinus rhythm.\n\n  Two\tspaces,  tabs and a line."
    platform = make_platform(rule=lambda *_: said)
    async with platform.http() as http:
        plain = (await http.post("/v1/chat/completions", json=question(media.id))).json()
        streamed = events((await http.post("/v1/chat/completions", json=question(media.id, stream=True))).text)
    text = "".join(chunk["choices"][0]["delta"]["content"] for chunk in streamed)
    assert text == plain["choices"][0]["message"]["content"]
    assert text.startswith(DISCLAIMER + "\n\n")


async def test_probing_can_be_switched_off(platform: Platform, http: httpx.AsyncClient, media: Media) -> None:
    reply = await http.post("/v1/chat/completions", json=question(media.id, chordae={"probe": False}))
    assert reply.json()["chordae"]["flagged"] is None
    assert len(platform.engine.requests) == 1


async def test_the_orchestrators_port_serves_an_expert_by_its_name(
    platform: Platform, http: httpx.AsyncClient, media: Media
) -> None:
    reply = await http.post("/v1/chat/completions", json=question(media.id, model="ecg-fake"))
    assert (reply.json()["model"], len(platform.engine.requests)) == ("ecg-fake", 1)


async def test_an_unknown_model_is_a_404_that_names_the_known_ones(http: httpx.AsyncClient, media: Media) -> None:
    reply = await http.post("/v1/chat/completions", json=question(media.id, model="gpt-4"))
    assert reply.status_code == 404
    assert told(reply) == "no model 'gpt-4' here: use one of: chordae, ecg-fake"
    assert reply.json()["error"]["code"] == "model_not_found"


async def test_an_expert_that_is_deployed_anew_is_known_by_its_new_name_alone(
    platform: Platform, http: httpx.AsyncClient, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def ask(model: str) -> int:
        return (await http.post("/v1/chat/completions", json=question(media.id, model=model))).status_code

    assert [await ask("ecg-fake"), await ask("ecg-new")] == [200, 404]
    card = await platform.expert.describe() | {"id": "ecg-new"}

    async def described_anew() -> dict[str, Any]:
        return card

    monkeypatch.setattr(platform.expert, "describe", described_anew)
    assert await ask("ecg-new") == 200  # at once
    assert await ask("ecg-fake") == 404


async def test_the_old_name_of_an_expert_is_forgotten_in_time_where_nobody_asks_for_the_new_one(
    platform: Platform, http: httpx.AsyncClient, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = question(media.id, model="ecg-fake")
    assert (await http.post("/v1/chat/completions", json=body)).status_code == 200
    card = await platform.expert.describe() | {"id": "ecg-new"}

    async def described_anew() -> dict[str, Any]:
        return card

    monkeypatch.setattr(platform.expert, "describe", described_anew)
    assert (await http.post("/v1/chat/completions", json=body)).status_code == 200
    monkeypatch.setattr(gateway, "CARD_S", 0)
    assert "use one of: chordae, ecg-new" in told(await http.post("/v1/chat/completions", json=body))


@pytest.mark.parametrize("model", ["default", "gpt-3.5-turbo", "chordae", "", "ecg-fake"])
async def test_an_experts_own_port_takes_any_model_name(
    platform: Platform, http: httpx.AsyncClient, media: Media, model: str
) -> None:
    reply = await http.post("/ecg/v1/chat/completions", json=question(media.id, model=model))
    assert (reply.status_code, reply.json()["model"]) == (200, "ecg-fake")
    assert len(platform.engine.requests) == 1


async def test_an_expert_that_is_not_there_is_a_404(http: httpx.AsyncClient, media: Media) -> None:
    for reply in (
        await http.post("/cmr/v1/chat/completions", json=question(media.id)),
        await http.get("/cmr/v1/models"),
    ):
        assert reply.status_code == 404
        told(reply)


async def test_an_expert_streams_its_engines_chunks_with_provenance_in_the_first(
    http: httpx.AsyncClient, media: Media, model_dir: Path
) -> None:
    reply = await http.post("/ecg/v1/chat/completions", json=question(media.id, stream=True))
    first, *rest = events(reply.text)
    assert first["chordae"]["media"] == [media.id]
    assert all("chordae" not in chunk for chunk in rest)
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in [first, *rest]) == GROUNDED
    assert reply.headers["x-chordae-weights"].endswith(identify(model_dir).digest[:16])


async def test_many_callers_at_once_get_each_their_own_answer(make_platform: MakePlatform, media: Media) -> None:
    platform = make_platform(rule=lambda text, _: f"answer to {text}")
    async with platform.http() as http:
        replies = await asyncio.gather(
            *(
                http.post("/ecg/v1/chat/completions", json=question(media.id, text=f"question {n}", stream=n % 2 > 0))
                for n in range(16)
            )
        )
    for number, reply in enumerate(replies):
        whole = reply.text if number % 2 else reply.json()["choices"][0]["message"]["content"]
        assert f"answer to question {number}" in (_text(events(whole)) if number % 2 else whole)


def _text(chunks: list[Any]) -> str:
    return "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks)


# --- what goes wrong ---

WRONG = {
    "not json": (b"{", 400),
    "no question": (json.dumps(question("a" * 64, text=" ")).encode(), 400),
    "question too long": (json.dumps(question("a" * 64, text="x" * 5000)).encode(), 400),
    "unknown field": (json.dumps(question("a" * 64, tools=[])).encode(), 400),
    "address elsewhere": (json.dumps(question("http://127.0.0.1/ecg.png")).encode(), 400),
    "media not uploaded here": (json.dumps(question("a" * 64)).encode(), 404),
    "stream of media not uploaded here": (json.dumps(question("a" * 64, stream=True)).encode(), 404),
    "nothing to look at": (json.dumps(question(None)).encode(), 400),
}


@pytest.mark.parametrize(("body", "status"), WRONG.values(), ids=WRONG.keys())
async def test_a_wrong_request_is_a_4xx_in_one_line_and_reaches_no_engine(
    platform: Platform, http: httpx.AsyncClient, body: bytes, status: int
) -> None:
    reply = await http.post("/v1/chat/completions", content=body)
    if reply.headers["content-type"].startswith("text/event-stream"):
        assert events(reply.text)[-1]["error"]["code"] == "media_not_found"
    else:
        assert reply.status_code == status
        told(reply)
    assert platform.engine.requests == []


FAILING = {
    "a crash": ({"rule": crashing}, 503),
    "an empty answer": ({"rule": silent}, 503),
    "a question over the context": ({"rule": overlong}, 400),
    "an engine that dies in the middle": ({"breaks_after": 2}, 503),
}


@pytest.mark.parametrize(("engine", "status"), FAILING.values(), ids=FAILING.keys())
async def test_what_the_orchestrator_cannot_answer_is_an_error_with_its_status(
    make_platform: MakePlatform, media: Media, engine: dict[str, Any], status: int
) -> None:
    async with make_platform(**engine).http() as http:
        reply = await http.post("/v1/chat/completions", json=question(media.id))
    assert reply.status_code == status
    assert "Smith" not in told(reply)


@pytest.mark.parametrize(("engine", "status"), FAILING.values(), ids=FAILING.keys())
async def test_in_a_stream_too_when_nothing_was_said_yet(
    make_platform: MakePlatform, media: Media, engine: dict[str, Any], status: int
) -> None:
    async with make_platform(**engine).http() as http:
        plain = await http.post("/v1/chat/completions", json=question(media.id))
        streamed = await http.post("/v1/chat/completions", json=question(media.id, stream=True))
    assert streamed.status_code == status
    assert told(streamed) == told(plain)


async def test_an_answer_whose_probe_fails_is_told_with_a_warning(make_platform: MakePlatform, media: Media) -> None:
    async with make_platform(rule=only_without(crashing)).http() as http:
        reply = await http.post("/v1/chat/completions", json=question(media.id))
        streamed = await http.post("/v1/chat/completions", json=question(media.id, stream=True))
    said = reply.json()["choices"][0]["message"]["content"]
    assert said.startswith("Note: the ECG answer could not be probed")
    assert "Smith" not in said
    words = [choice["delta"].get("content") or "" for event in events(streamed.text) for choice in event["choices"]]
    assert "".join(words) == said


@pytest.mark.parametrize("rule", [crashing, silent], ids=["a crash", "an empty answer"])
async def test_an_experts_failure_is_a_503_on_its_own_port_too(
    make_platform: MakePlatform, media: Media, rule: Any
) -> None:
    async with make_platform(rule=rule).http() as http:
        reply = await http.post("/ecg/v1/chat/completions", json=question(media.id))
    assert reply.status_code == 503
    assert "Smith" not in told(reply)


@pytest.mark.parametrize(
    ("rule", "status"), [(crashing, 503), (overlong, 400)], ids=["a crash", "an overlong question"]
)
async def test_an_experts_stream_that_cannot_begin_is_an_ordinary_error(
    make_platform: MakePlatform, media: Media, rule: Any, status: int
) -> None:
    async with make_platform(rule=rule).http() as http:
        reply = await http.post("/ecg/v1/chat/completions", json=question(media.id, stream=True))
    assert reply.status_code == status
    told(reply)


async def test_an_experts_stream_that_breaks_off_ends_with_an_error_event(
    make_platform: MakePlatform, media: Media, monkeypatch: pytest.MonkeyPatch
) -> None:
    platform = make_platform()
    whole = platform.engine.open

    async def opened(request: dict[str, Any]) -> AsyncIterator[str]:
        return breaking(await whole(request))

    async def breaking(events: AsyncIterator[str]) -> AsyncIterator[str]:
        number = 0
        async for event in events:
            if (number := number + 1) > 3:
                raise Crash("secret")
            yield event

    monkeypatch.setattr(platform.engine, "open", opened)
    async with platform.http() as http:
        reply = await http.post("/ecg/v1/chat/completions", json=question(media.id, stream=True))
    assert events(reply.text)[-1]["error"]["code"] == "expert_unavailable"
    assert "secret" not in reply.text


async def test_an_experts_stream_without_a_word_ends_with_an_error_event(
    make_platform: MakePlatform, media: Media
) -> None:
    async with make_platform(rule=lambda *_: "").http() as http:
        reply = await http.post("/ecg/v1/chat/completions", json=question(media.id, stream=True))
    assert "empty answer" in events(reply.text)[-1]["error"]["message"]
