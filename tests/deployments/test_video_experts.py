"""Echo and CMR experts look at videos: the right media reach the right expert, and any other pairing is told apart."""

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import httpx
import pytest
from asking import question, told
from fakes import GROUNDED, FakeEngine, MakePlatform, Platform, png, three_experts

from chordae.deployments.expert import Expert
from chordae.platform.errors import BadSettings
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Media
from chordae.platform.settings import Settings


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return three_experts(tmp_path, model_dir)


@pytest.fixture
def media(settings: Settings) -> dict[str, Media]:
    """One of every modality."""
    store = MediaStore(settings.media_dir)
    videos = {modality: store.put(modality.encode(), modality, "v", kind="video") for modality in ("echo", "cmr")}
    return {"ecg": store.put(png(), "ecg", "v"), **videos}


@pytest.fixture
async def platform(make_platform: MakePlatform, settings: Settings) -> Platform:
    return make_platform(settings)


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with platform.http() as client:
        yield client


def about(media: Media, kind: str = "", **fields: Any) -> dict[str, Any]:
    """A question about media, in a part of their own kind or another."""
    part = f"{kind or media.kind}_url"
    content = [{"type": "text", "text": "What is seen?"}, {"type": part, part: {"url": f"/media/{media.id}"}}]
    return {"model": "x", "messages": [{"role": "user", "content": content}], **fields}


async def test_every_expert_is_served_at_its_address_and_by_its_name(http: httpx.AsyncClient) -> None:
    listed = (await http.get("/v1/models")).json()["data"]
    assert [card["id"] for card in listed] == ["chordae", "ecg-fake", "echo-fake", "cmr-fake"]
    for modality in ("ecg", "echo", "cmr"):
        (card,) = (await http.get(f"/{modality}/v1/models")).json()["data"]
        assert (card["id"], card["chordae"]["modality"]) == (f"{modality}-fake", modality)


@pytest.mark.parametrize("modality", ["echo", "cmr"])
@pytest.mark.parametrize("stream", [False, True])
async def test_a_video_reaches_its_experts_engine_whole_and_before_the_text(
    http: httpx.AsyncClient, platform: Platform, media: dict[str, Media], modality: str, stream: bool
) -> None:
    reply = await http.post(f"/{modality}/v1/chat/completions", json=about(media[modality], stream=stream))
    assert reply.status_code == 200, reply.text
    assert GROUNDED.split()[0] in reply.text
    ((video, text),) = [request["messages"][0]["content"] for request in platform.engines[modality].requests]
    shown = Path(unquote(urlsplit(video["video_url"]["url"]).path))
    assert (video["type"], video["uuid"]) == ("video_url", media[modality].id)
    assert (shown.suffix, shown.read_bytes()) == (".mp4", modality.encode())
    assert text["text"] == "What is seen?"


WRONG = [("ecg", "echo"), ("ecg", "cmr"), ("echo", "ecg"), ("echo", "cmr"), ("cmr", "ecg"), ("cmr", "echo")]


@pytest.mark.parametrize(("expert", "sent"), WRONG)
@pytest.mark.parametrize("own_port", [True, False], ids=["its own port", "the gateway"])
@pytest.mark.parametrize("stream", [False, True], ids=["whole", "streamed"])
async def test_media_of_another_modality_are_a_400_that_names_the_right_expert(
    http: httpx.AsyncClient,
    platform: Platform,
    media: dict[str, Media],
    expert: str,
    sent: str,
    own_port: bool,
    stream: bool,
) -> None:
    path = f"/{expert}/v1/chat/completions" if own_port else "/v1/chat/completions"
    reply = await http.post(path, json=about(media[sent], model=f"{expert}-fake", stream=stream))
    assert reply.status_code == 400
    names = {"ecg": "ECG", "echo": "Echo", "cmr": "CMR"}
    assert told(reply) == (
        f"the {names[expert]} expert cannot read {names[sent]} media: "
        f"ask the {names[sent]} expert, or the model chordae"
    )
    assert not any(engine.requests for engine in platform.engines.values())


@pytest.mark.parametrize("path", ["/v1", "/echo/v1", "/ecg/v1"])
@pytest.mark.parametrize(("sent", "kind"), [("ecg", "video"), ("echo", "image"), ("cmr", "image")])
async def test_a_video_in_a_part_for_pictures_is_a_400_that_names_the_part_and_the_other_way_round(
    http: httpx.AsyncClient, media: dict[str, Media], path: str, sent: str, kind: str
) -> None:
    reply = await http.post(f"{path}/chat/completions", json=about(media[sent], kind, model="chordae"))
    assert reply.status_code == 400
    assert f"{media[sent].kind}_url part" in told(reply)


async def test_a_video_that_was_not_uploaded_here_is_a_404(http: httpx.AsyncClient) -> None:
    stranger = Media(id="a" * 64, kind="video", modality="echo")
    for path in ("/v1", "/echo/v1"):
        reply = await http.post(f"{path}/chat/completions", json=about(stranger, model="chordae"))
        assert (reply.status_code, reply.json()["error"]["code"]) == (404, "media_not_found")


async def test_a_video_does_not_travel_with_the_question(http: httpx.AsyncClient, settings: Settings) -> None:
    before = sorted(settings.media_dir.iterdir())
    sent = question(None)
    video = {"type": "video_url", "video_url": {"url": "data:video/mp4;base64,AAAA"}}
    sent["messages"][0]["content"].append(video)
    reply = await http.post("/echo/v1/chat/completions", json=sent)
    assert reply.status_code == 400
    assert "POST /media" in told(reply)
    assert sorted(settings.media_dir.iterdir()) == before


def test_a_checkpoint_made_for_another_modality_is_refused_before_it_is_loaded(settings: Settings) -> None:
    swapped = settings.model_copy(update={"experts": settings.experts | {"echo": settings.experts["cmr"]}})
    with pytest.raises(BadSettings, match="cmr-fake is an expert for cmr, not for echo"):
        Expert("echo", swapped, FakeEngine())
