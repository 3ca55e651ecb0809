"""The web API of one expert as existing clients call it (REFERENCE, table of the web API)."""

import asyncio
import io
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from asking import events, hang_up, kept, told
from fakes import GROUNDED, MakePlatform, Platform, crashing, png, stalls, three_experts
from videos import CODECS, frames_of, video

from chordae.platform.errors import ExpertUnavailable
from chordae.platform.media import MediaStore
from chordae.platform.settings import Settings
from chordae.preprocessing.dicom import bundled_echo


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return three_experts(tmp_path, model_dir, gateway={"max_video_frames": 20})


@pytest.fixture
async def platform(make_platform: MakePlatform, settings: Settings) -> Platform:
    return make_platform(settings)


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with platform.http() as client:
        yield client


async def send(http: httpx.AsyncClient, content: bytes, name: str = "clip.mp4", port: str = "echo") -> httpx.Response:
    return await http.post(f"/web/{port}/upload", files={"video": (name, content)})


async def preprocess(http: httpx.AsyncClient, content: bytes, port: str = "ecg", **form: str) -> httpx.Response:
    return await http.post(f"/web/{port}/preprocess", files={"file": ("study", content)}, data=form)


def chat(media_id: str, *said: str, **fields: Any) -> dict[str, Any]:
    """A conversation: the first, third, ... are the user's."""
    roles = ["user", "assistant"] * len(said)
    messages = [{"role": role, "content": words} for role, words in zip(roles, said, strict=False)]
    return {"video_id": media_id, "messages": messages, **fields}


# Health


async def test_health_is_ok_while_the_expert_answers(http: httpx.AsyncClient) -> None:
    reply = await http.get("/web/cmr/health")
    assert (reply.status_code, reply.json()) == (200, {"status": "ok"})


async def test_health_is_a_503_while_the_expert_does_not_and_others_do(
    http: httpx.AsyncClient, platform: Platform
) -> None:
    async def broken() -> None:
        raise ExpertUnavailable("gone", "wait")

    platform.expert.describe = broken  # type: ignore[assignment, method-assign]
    reply = await http.get("/web/ecg/health")
    assert (reply.status_code, reply.headers["retry-after"]) == (503, "5")
    told(reply)
    assert (await http.get("/web/echo/health")).status_code == 200


async def test_an_expert_that_is_not_served_has_no_web_api(make_platform: MakePlatform, tmp_path: Path) -> None:
    base = three_experts(tmp_path / "b", (tmp_path / "model"))
    platform = make_platform(base.model_copy(update={"experts": {"ecg": base.experts["ecg"]}}))
    async with platform.http() as http:
        assert (await http.get("/web/cmr/health")).status_code == 404
        assert (await send(http, video())).status_code == 404


# Upload


@pytest.mark.parametrize("name", ["clip.mp4", "clip.txt", "", "../../x.avi", "Müller.mov"])
@pytest.mark.parametrize("suffix", CODECS)
async def test_a_video_is_known_by_its_content_whatever_its_name(
    http: httpx.AsyncClient, suffix: str, name: str
) -> None:
    reply = await http.post("/web/echo/upload", files={"video": (name or "x", video(suffix))})
    assert reply.status_code == 200, reply.text
    assert set(reply.json()) == {"id", "filename", "path"}
    back = await http.get(f"/web/echo{reply.json()['path']}")
    assert back.headers["content-type"] == "video/mp4"
    assert len(frames_of(back.content)) == 6


async def test_a_client_gets_its_own_file_name_back_and_no_path_of_ours(
    http: httpx.AsyncClient, settings: Settings
) -> None:
    reply = await send(http, video(), "dir/Smith.mp4")
    assert reply.json()["filename"] == "Smith.mp4"
    assert reply.json()["path"] == f"/media/{reply.json()['id']}"
    assert str(settings.data_dir) not in reply.text
    assert not list(settings.data_dir.rglob("*Smith*"))


@pytest.mark.parametrize(
    ("content", "port", "status"),
    [(b"words", "echo", 422), (png(), "echo", 422), (video()[:150], "cmr", 422), (video(frames=21), "echo", 422)],
)
async def test_what_is_no_video_within_the_limits_is_refused_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, content: bytes, port: str, status: int
) -> None:
    reply = await send(http, content, port=port)
    assert reply.status_code == status
    told(reply)
    assert kept(settings) == []


async def test_the_ecg_port_takes_no_video(http: httpx.AsyncClient, settings: Settings) -> None:
    reply = await send(http, video(), port="ecg")
    assert (reply.status_code, kept(settings)) == (400, [])
    assert "/preprocess" in told(reply)


async def test_the_same_video_may_be_sent_to_two_experts(http: httpx.AsyncClient, settings: Settings) -> None:
    ids = [(await send(http, video(), port=port)).json()["id"] for port in ("echo", "cmr", "cmr")]
    assert ids[0] != ids[1] == ids[2]
    assert [MediaStore(settings.media_dir).get(one).modality for one in ids[:2]] == ["echo", "cmr"]


@pytest.mark.parametrize("body", [{}, {"files": {"file": b"x"}}, {"data": {"video": "text"}}, {"json": {"video": 1}}])
async def test_an_upload_without_a_video_is_a_400(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    reply = await http.post("/web/echo/upload", **body)
    assert reply.status_code == 400
    told(reply)


# Preprocess


def leads() -> bytes:
    buffer = io.BytesIO()
    time = np.arange(5000) / 500
    np.save(buffer, np.array([np.sin(2 * np.pi * (1 + lead / 20) * time) for lead in range(12)], np.float32))
    return buffer.getvalue()


async def test_a_recording_becomes_what_its_expert_looks_at(http: httpx.AsyncClient, bundled_ecg: Path) -> None:
    reply = await preprocess(http, bundled_ecg.read_bytes(), expert="ecg")
    assert reply.status_code == 200, reply.text
    assert reply.json() == {"id": reply.json()["id"], "kind": "image", "expert": "ecg"}
    echo = await preprocess(http, bundled_echo().read_bytes(), "echo")
    assert echo.json() == {"id": echo.json()["id"], "kind": "video", "expert": "echo"}
    assert (await http.get(f"/web/echo/media/{echo.json()['id']}")).content[4:8] == b"ftyp"


async def test_a_file_of_another_modality_is_refused_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path
) -> None:
    reply = await preprocess(http, bundled_ecg.read_bytes(), "echo", expert="cmr")
    assert (reply.status_code, kept(settings)) == (422, [])
    assert "expert=ecg" in told(reply)


@pytest.mark.parametrize("expert", ["lungs", "ECG", "\x00"])
async def test_an_expert_that_nobody_knows_is_a_400(http: httpx.AsyncClient, expert: str) -> None:
    reply = await preprocess(http, leads(), expert=expert)
    assert reply.status_code == 400
    told(reply)


async def test_what_cannot_be_read_is_a_422(http: httpx.AsyncClient) -> None:
    assert (await preprocess(http, b"words", expert="ecg")).status_code == 422


# Media


async def test_a_video_can_be_fetched_in_ranges(http: httpx.AsyncClient) -> None:
    path = (await send(http, video())).json()["path"]
    whole = (await http.get(f"/web/echo{path}")).content
    part = await http.get(f"/web/echo{path}", headers={"range": "bytes=10-19"})
    assert (part.status_code, part.content) == (206, whole[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole)}"
    beyond = await http.get(f"/web/echo{path}", headers={"range": f"bytes={len(whole)}-"})
    assert beyond.status_code == 416


@pytest.mark.parametrize("path", ["0" * 64, "..", "%2e%2e%2fsecret", "A" * 64])
async def test_media_that_are_not_here_are_a_404(http: httpx.AsyncClient, path: str) -> None:
    assert (await http.get(f"/web/echo/media/{path}")).status_code in (404, 405)


# Chat


async def test_an_answer_is_openais_chunks_and_then_done(http: httpx.AsyncClient, platform: Platform) -> None:
    media_id = (await send(http, video())).json()["id"]
    reply = await http.post("/web/echo/chat", json=chat(media_id, "What is seen?", media_kind="video"))
    assert reply.status_code == 200
    assert reply.headers["content-type"].startswith("text/event-stream")
    chunks = events(reply.text)
    assert {chunk["object"] for chunk in chunks} == {"chat.completion.chunk"}
    assert "".join(chunk["choices"][0]["delta"].get("content", "") for chunk in chunks) == GROUNDED
    assert len(platform.engines["echo"].requests) == 1


async def test_in_a_conversation_the_picture_stays_before_its_first_question(
    http: httpx.AsyncClient, platform: Platform, bundled_ecg: Path
) -> None:
    media_id = (await preprocess(http, bundled_ecg.read_bytes())).json()["id"]
    body = chat(media_id, "Rhythm?", "Sinus rhythm.", "And the axis?", media_kind="image")
    body["messages"].insert(0, {"role": "system", "content": "Be brief."})
    assert (await http.post("/web/ecg/chat", json=body)).status_code == 200
    (request,) = platform.engine.requests
    assert [message["role"] for message in request["messages"]] == ["system", "user", "assistant", "user"]
    assert [part["type"] for part in request["messages"][1]["content"]] == ["image_url", "text"]
    assert request["messages"][3]["content"] == "And the axis?"


async def test_what_is_wrong_before_the_first_word_is_json_with_its_status(
    http: httpx.AsyncClient, platform: Platform
) -> None:
    media_id = (await send(http, video())).json()["id"]
    wrong = {
        "unknown media": ("echo", chat("0" * 64, "Q"), 404),
        "no media": ("echo", {"messages": [{"role": "user", "content": "Q"}]}, 400),
        "another kind": ("echo", chat(media_id, "Q", media_kind="image"), 400),
        "another expert": ("cmr", chat(media_id, "Q"), 400),
        "no question": ("echo", chat(media_id, " "), 400),
        "no messages": ("echo", chat(media_id), 400),
        "too long": ("echo", chat(media_id, "x" * 5000), 400),
        "an unknown role": ("echo", chat(media_id) | {"messages": [{"role": "robot", "content": "Q"}]}, 400),
        "an unknown field": ("echo", chat(media_id, "Q", temprature=1), 400),
        "no JSON": ("echo", "Q", 400),
    }
    for name, (port, body, status) in wrong.items():
        reply = await http.post(f"/web/{port}/chat", json=body)
        assert reply.status_code == status, name
        told(reply)
    assert not platform.engines["echo"].log and not platform.engines["cmr"].log


async def test_an_expert_that_fails_before_its_first_word_is_a_503(http: httpx.AsyncClient, platform: Platform) -> None:
    media_id = (await send(http, video())).json()["id"]
    platform.engines["echo"].rule = crashing
    reply = await http.post("/web/echo/chat", json=chat(media_id, "Q"))
    assert reply.status_code == 503
    assert "Smith" not in told(reply)


async def test_an_answer_that_breaks_off_ends_with_an_error_event(http: httpx.AsyncClient, platform: Platform) -> None:
    media_id = (await send(http, video())).json()["id"]
    platform.engines["echo"].breaks_after = 2
    reply = await http.post("/web/echo/chat", json=chat(media_id, "Q"))
    assert reply.status_code == 200
    assert "error" in events(reply.text)[-1]


async def test_who_hangs_up_stops_the_generation(http: httpx.AsyncClient, platform: Platform) -> None:
    media_id = (await send(http, video())).json()["id"]
    engine = platform.engines["echo"]
    engine.stalls = stalls
    await hang_up(platform.app, "/web/echo/chat", chat(media_id, "Q"), lambda: "token 0" in engine.log)
    for _ in range(100):
        await asyncio.sleep(0.01)
        if "abort 0" in engine.log:
            break
    assert "abort 0" in engine.log


NO_CHATS = [
    '{"video_id": "x", "messages": [{"role": "user", "content": "\\ud800"}]}',
    '{"video_id": "x", "messages": [{"role": "user", "content": "\\u0000"}]}',
    '{"\\ud800": 1}',
    "[]",
    "",
    "{",
    "null",
]


@pytest.mark.parametrize("body", NO_CHATS)
async def test_no_json_makes_the_server_fail(http: httpx.AsyncClient, body: str) -> None:
    headers = {"content-type": "application/json"}
    assert (await http.post("/web/echo/chat", content=body, headers=headers)).status_code == 400
