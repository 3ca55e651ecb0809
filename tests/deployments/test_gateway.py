"""The API over HTTP, with orchestrator and expert behind it, and an engine without a model."""

import asyncio
import base64
import io
import json
import struct
import zlib
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import openai
import pytest
from fakes import (
    GROUNDED,
    PICTURE_SIZE,
    Crash,
    MakePlatform,
    Platform,
    crashing,
    free_port,
    make_settings,
    only_without,
    overlong,
    png,
    silent,
)

from chordae.deployments.probing import DISCLAIMER
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Answer, Media
from chordae.platform.settings import Settings
from chordae.platform.weights import identify


@pytest.fixture
async def platform(make_platform: MakePlatform) -> Platform:
    return make_platform()


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with platform.http() as client:
        yield client


def question(picture: str | None, text: str = "What is the rhythm?", **fields: Any) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if picture is not None:
        content.append({"type": "image_url", "image_url": {"url": picture}})
    return {"model": "chordae", "messages": [{"role": "user", "content": content}], **fields}


def told(reply: httpx.Response) -> str:
    """The text of an error, which has OpenAI's shape and one line, and is no traceback."""
    error = reply.json()["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert "\n" not in error["message"]
    assert "Traceback" not in error["message"]
    return str(error["message"])


def events(body: str) -> list[Any]:
    """What a stream of server-sent events holds; the last is [DONE]."""
    *chunks, done = [line.removeprefix("data: ") for line in body.strip().split("\n\n")]
    assert done == "[DONE]"
    return [json.loads(chunk) for chunk in chunks]


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
    "a crash in one probe": ({"rule": only_without(crashing)}, 503),
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


BEFORE_THE_ANSWER = {name: case for name, case in FAILING.items() if name != "a crash in one probe"}


@pytest.mark.parametrize(("engine", "status"), BEFORE_THE_ANSWER.values(), ids=BEFORE_THE_ANSWER.keys())
async def test_in_a_stream_too_when_nothing_was_said_yet(
    make_platform: MakePlatform, media: Media, engine: dict[str, Any], status: int
) -> None:
    async with make_platform(**engine).http() as http:
        plain = await http.post("/v1/chat/completions", json=question(media.id))
        streamed = await http.post("/v1/chat/completions", json=question(media.id, stream=True))
    assert streamed.status_code == status
    assert told(streamed) == told(plain)


async def test_a_probe_that_fails_after_the_answer_is_an_event_in_the_stream(
    make_platform: MakePlatform, media: Media
) -> None:
    def rule(asked: str, picture: Path | None) -> str:
        return "Sinus rhythm." if picture else crashing(asked, picture)

    async with make_platform(rule=rule).http() as http:
        streamed = await http.post("/v1/chat/completions", json=question(media.id, stream=True))
    assert streamed.status_code == 200
    assert "failed" in events(streamed.text)[-1]["error"]["message"]


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


# --- media ---


async def upload(http: httpx.AsyncClient, *files: tuple[str, bytes]) -> httpx.Response:
    return await http.post("/media", files=[("file", file) for file in files])


def kept(settings: Settings) -> list[str]:
    return sorted(path.name for path in settings.media_dir.iterdir())


async def test_a_real_recording_becomes_two_pictures_and_the_experts_size_of_one(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path
) -> None:
    reply = await upload(http, ("ecg.dcm", bundled_ecg.read_bytes()))
    assert reply.status_code == 200
    media = Media.model_validate(reply.json())
    width, height = PICTURE_SIZE
    assert kept(settings) == sorted(
        [f"{media.id}.png", f"{media.id}.json", f"{media.id}.{width}x{height}.png", f"{media.companion}.png"]
    )
    for media_id in (media.id, media.companion):
        picture = await http.get(f"/media/{media_id}")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
        assert cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR) is not None


async def test_what_was_uploaded_can_be_asked_about(
    http: httpx.AsyncClient, platform: Platform, bundled_ecg: Path
) -> None:
    media_id = (await upload(http, ("ecg.dcm", bundled_ecg.read_bytes()))).json()["id"]
    reply = await http.post("/v1/chat/completions", json=question(f"/media/{media_id}"))
    assert reply.json()["chordae"]["provenance"]["media"] == [media_id]


async def test_the_same_recording_twice_is_the_same_media_whatever_its_name(
    http: httpx.AsyncClient, bundled_ecg: Path
) -> None:
    first, second = [(await upload(http, (name, bundled_ecg.read_bytes()))).json() for name in ("a.dcm", "b")]
    assert first == second


async def test_nothing_of_the_patient_or_the_files_name_comes_back(http: httpx.AsyncClient, bundled_ecg: Path) -> None:
    reply = await upload(http, ("Smith^John-1950.dcm", bundled_ecg.read_bytes()))
    assert "Smith" not in reply.text


def flat() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((12, 5000), np.float32))
    return buffer.getvalue()


UNUSABLE = {
    "nothing": lambda real: b"",
    "words": lambda real: b"This is not an ECG.\n" * 100,
    "random bytes": lambda real: np.random.default_rng(0).bytes(5000),
    "a picture": lambda real: png(),
    "half a recording": lambda real: real[: len(real) // 2],
    "the first kilobyte": lambda real: real[:1000],
    "a DICOM header with noise behind it": lambda real: real[:400] + np.random.default_rng(0).bytes(5000),
    "flat leads": lambda real: flat(),
}


@pytest.mark.parametrize("name", ["ecg.dcm", "ecg.npy", "ecg.hea", "Smith"])
@pytest.mark.parametrize("damage", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_an_unusable_recording_is_refused_in_one_line_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path, damage: Any, name: str
) -> None:
    reply = await upload(http, (name, damage(bundled_ecg.read_bytes())))
    assert reply.status_code == 422
    text = told(reply)
    assert ": " in text
    assert "Smith" not in text and "tmp" not in text
    assert kept(settings) == []


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../../evil.npy",
        "/etc/evil.npy",
        "a" * 300 + ".npy",
        "a\\b.npy",
        "-rf.npy",
        "naïve ☃.npy",
        "con\x00.npy",
        "x.\x00npy",
        "Müller Ärztin.dcm",
    ],
)
async def test_no_file_name_leads_anywhere(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path, tmp_path: Path, name: str
) -> None:
    reply = await upload(http, (name, bundled_ecg.read_bytes()))
    assert reply.status_code == 200, reply.text
    assert len(kept(settings)) == 4
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    "request_", [{}, {"files": {"other": b"x"}}, {"data": {"file": "text"}}, {"json": {"file": 1}}]
)
async def test_an_upload_without_a_file_is_a_400(http: httpx.AsyncClient, request_: dict[str, Any]) -> None:
    reply = await http.post("/media", **request_)
    assert reply.status_code == 400
    told(reply)


@pytest.mark.parametrize(
    "path",
    [
        "/media/",
        "/media/..",
        "/media/../",
        "/media/../secret",
        "/media/%2e%2e%2fsecret",
        "/media/..%2fsecret",
        "/media/%2fetc%2fpasswd",
        "/media/" + "0" * 64,
        "/media/" + "A" * 64,
        "/media/%00",
        "/media//etc/passwd",
    ],
)
async def test_no_address_leads_out_of_the_media_directory(
    http: httpx.AsyncClient, settings: Settings, path: str
) -> None:
    (settings.media_dir.parent / "secret.png").write_bytes(b"secret")
    (settings.media_dir.parent / "secret").write_bytes(b"secret")
    request = http.build_request("GET", path)
    request.url = request.url.copy_with(raw_path=path.encode())  # httpx tidies addresses up; an attacker does not
    reply = await http.send(request)
    assert reply.status_code in (307, 404, 405)
    assert b"secret" not in reply.content


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(("kind", "extension"), [("image/png", ".png"), ("image/jpeg", ".jpg")])
async def test_a_picture_can_come_with_the_question(
    http: httpx.AsyncClient, settings: Settings, kind: str, extension: str
) -> None:
    picture = cv2.imencode(extension, np.zeros((40, 50, 3), np.uint8))[1].tobytes()
    reply = await http.post("/v1/chat/completions", json=question(data_url(picture, kind)))
    assert reply.status_code == 200, reply.text
    (media_id,) = reply.json()["chordae"]["provenance"]["media"]
    assert MediaStore(settings.media_dir).get(media_id).modality == "ecg"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be that large and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


BAD_DATA = {
    "another kind": data_url(png(), "image/gif"),
    "a page": data_url(b"<html>", "text/html"),
    "not base64": "data:image/png;base64,!!!!",
    "letters beyond ASCII": "data:image/png;base64,é☃",
    "nothing": "data:image/png;base64,",
    "no comma": "data:image/png;base64",
    "not encoded": "data:image/png,AAAA",
    "no picture": data_url(b"no picture at all"),
    "half a header": data_url(png()[:20]),
    "more pixels than memory": data_url(png_header(2**31 - 1, 2**31 - 1)),
    "ten thousand million pixels": data_url(png_header(100_000, 100_000)),
    "no pixels": data_url(png_header(0, 0)),
    "another format under a false name": data_url(cv2.imencode(".tiff", np.zeros((8, 8, 3), np.uint8))[1].tobytes()),
    "one that only OpenCV knows": data_url(cv2.imencode(".hdr", np.zeros((8, 8, 3), np.float32))[1].tobytes()),
    "gigabytes in a small file": data_url(cv2.imencode(".png", np.zeros((5000, 5000), np.uint8))[1].tobytes()),
}


@pytest.mark.parametrize("url", BAD_DATA.values(), ids=BAD_DATA.keys())
async def test_a_bad_data_url_is_a_400_in_one_line_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, url: str
) -> None:
    reply = await http.post("/v1/chat/completions", json=question(url))
    assert reply.status_code == 400
    told(reply)
    assert kept(settings) == []


# --- the official client ---


@pytest.fixture
def listening(make_platform: MakePlatform, tmp_path: Path, model_dir: Path) -> Iterator[Platform]:
    settings = make_settings(tmp_path, model_dir, gateway={"port": free_port()})
    platform = make_platform(settings)
    with platform.listening():
        yield platform


def official(platform: Platform, path: str = "") -> openai.OpenAI:
    url = f"http://127.0.0.1:{platform.settings.gateway.port}{path}/v1"
    return openai.OpenAI(base_url=url, api_key="unused", max_retries=0, timeout=20)


def test_the_official_client_lists_models(listening: Platform) -> None:
    assert [model.id for model in official(listening).models.list()] == ["chordae", "ecg-fake"]


@pytest.mark.parametrize(("path", "model"), [("", "chordae"), ("", "ecg-fake"), ("/ecg", "gpt-3.5-turbo")])
def test_the_official_client_asks_and_streams(listening: Platform, media: Media, path: str, model: str) -> None:
    client, messages = official(listening, path), question(media.id)["messages"]
    completion = client.chat.completions.create(model=model, messages=messages)
    assert completion.choices[0].message.content == GROUNDED
    assert completion.model_extra is not None and "chordae" in completion.model_extra
    stream = client.chat.completions.create(model=model, messages=messages, stream=True)
    assert "".join(chunk.choices[0].delta.content or "" for chunk in stream if chunk.choices) == GROUNDED


def test_the_official_client_raises_its_own_errors(listening: Platform, media: Media) -> None:
    client, messages = official(listening), question(media.id)["messages"]
    with pytest.raises(openai.NotFoundError, match="use one of: chordae, ecg-fake"):
        client.chat.completions.create(model="gpt-4", messages=messages)
    with pytest.raises(openai.BadRequestError, match="question is empty"):
        client.chat.completions.create(model="chordae", messages=[{"role": "user", "content": ""}])
    listening.engine.rule = crashing
    with pytest.raises(openai.InternalServerError, match="expert failed"):
        client.chat.completions.create(model="chordae", messages=messages)
    with pytest.raises(openai.APIError, match="expert failed"):
        list(client.chat.completions.create(model="chordae", messages=messages, stream=True))
