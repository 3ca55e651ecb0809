"""OpenAI's own client talks to the platform."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from asking import question
from fakes import GROUNDED, MakePlatform, Platform, crashing, make_settings

from benchmarks.ports import free_port
from chordae.platform.schemas import Media


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
