"""The real engine with a video model of random weights: it looks at the very frames that training would show it."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest

from chordae.learning.nano import build_model, build_tokenizer, save_checkpoint
from chordae.learning.video_frames import frames_as_served, seconds_per_grid
from chordae.platform.engine import Engine
from chordae.platform.errors import BadInput
from chordae.platform.settings import EngineSettings
from chordae.preprocessing.grid import Layout, encode_mp4

pytestmark = [pytest.mark.engine, pytest.mark.timeout(300)]

LAYOUT, SIDE, FRAMES = Layout(4, 240, 16, 16.0), 224, 4
EDGE = LAYOUT.side * LAYOUT.tile


def grid_video(path: Path, seed: int) -> Path:
    noise = cv2.resize(np.random.default_rng(seed).integers(0, 255, (30, 30, 3), np.uint8), (EDGE, EDGE))
    path.write_bytes(encode_mp4((np.roll(noise, 9 * index, axis=1) for index in range(LAYOUT.frames)), LAYOUT))
    return path


@pytest.fixture(scope="module")
def directory(tmp_path_factory: pytest.TempPathFactory) -> Path:
    import torch

    directory = tmp_path_factory.mktemp("video")
    tokenizer = build_tokenizer(["Is the left ventricle impaired? Yes. No. Normal. 0 1 2 3 4 5 6 7 8 9"])
    torch.manual_seed(0)
    save_checkpoint(build_model(tokenizer), tokenizer, directory / "model", "cmr", (SIDE, SIDE), FRAMES)
    for seed in (0, 1):
        grid_video(directory / f"{seed}.mp4", seed)
    return directory


@pytest.fixture(scope="module")
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture(scope="module")
def seen() -> list[dict[str, Any]]:
    """What vLLM's processor hands to the model, one dict a video, in order."""
    return []


def started(directory: Path, runner: asyncio.Runner, processor_cache_gib: float) -> Engine:
    knobs = EngineSettings(
        dtype="float32",
        enforce_eager=True,
        max_model_len=512,
        max_num_seqs=4,
        block_size=32,
        kv_cache_bytes=64 * 2**20,
        processor_cache_gib=processor_cache_gib,
    )
    engine = Engine(directory / "model", "cmr-random", knobs, directory, "video")
    runner.run(engine.start())
    return engine


@pytest.fixture(scope="module")
def engine(directory: Path, runner: asyncio.Runner, seen: list[dict[str, Any]]) -> Iterator[Engine]:
    engine = started(directory, runner, processor_cache_gib=0)
    from vllm.multimodal.processing.processor import BaseMultiModalProcessor

    whole = BaseMultiModalProcessor.apply

    def noted(self: Any, *arguments: Any, **named: Any) -> Any:
        result = whole(self, *arguments, **named)
        seen.extend(item.get_data() for item in result["mm_kwargs"]["video"] if item is not None)  # none: it was named
        return result

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(BaseMultiModalProcessor, "apply", noted)
        yield engine
    engine.stop()


def ask(engine: Engine, runner: asyncio.Runner, *media: tuple[str, Path], request: str) -> dict[str, Any]:
    parts = [
        {"type": f"{kind}_url", f"{kind}_url": {"url": path.as_uri()}, "uuid": f"{request}-{path.name}"}
        for kind, path in media
    ]
    content = [*parts, {"type": "text", "text": "Is the left ventricle impaired?"}]
    fields = {"temperature": 0.0, "max_completion_tokens": 8, "logprobs": True, "request_id": request}
    messages = [{"role": "user", "content": content}]
    return runner.run(engine.chat({"model": "cmr-random", "messages": messages, **fields}))


def said(answer: dict[str, Any]) -> tuple[str, list[float]]:
    choice = answer["choices"][0]
    return choice["message"]["content"], [token["logprob"] for token in choice["logprobs"]["content"]]


def test_the_same_video_is_answered_alike_and_another_is_seen_to_differ(
    engine: Engine, runner: asyncio.Runner, directory: Path
) -> None:
    first, again, other = (
        ask(engine, runner, ("video", directory / f"{seed}.mp4"), request=f"r{n}") for n, seed in enumerate((0, 0, 1))
    )
    assert said(first)[0] == said(again)[0]
    np.testing.assert_allclose(said(first)[1], said(again)[1], atol=1e-4)
    assert np.abs(np.subtract(said(first)[1][0], said(other)[1][0])) > 1e-3
    assert first["usage"]["prompt_tokens_details"]["multimodal_tokens"] == {"video": 2 * 16 * 16 // 4}


def test_the_model_is_given_what_training_gives_it(
    engine: Engine, runner: asyncio.Runner, directory: Path, seen: list[dict[str, Any]]
) -> None:
    from vllm.model_executor.layers.fusion.mm_input_norm import _load_norm_params

    seen.clear()
    ask(engine, runner, ("video", directory / "1.mp4"), request="tensor")
    (given,) = seen
    patches, grid = frames_as_served(directory / "1.mp4", FRAMES, (SIDE, SIDE))
    assert tuple(given["video_grid_thw"].tolist()) == grid == (2, 16, 16)
    assert given["second_per_grid_ts"].item() == seconds_per_grid(LAYOUT.frames, LAYOUT.fps, FRAMES) == 0.5
    pixels = given["pixel_values_videos"].numpy()
    if pixels.dtype == np.uint8:  # vLLM scales bytes inside the model, by the checkpoint's own mean and deviation
        mean, deviation, scale = map(np.asarray, _load_norm_params(engine._llm.model_config))
        channels = pixels.reshape(len(pixels), 3, -1)
        pixels = ((channels * scale - mean[:, None]) / deviation[:, None]).reshape(len(pixels), -1)
    np.testing.assert_allclose(patches, pixels, atol=1e-5)


def test_it_takes_one_video_and_no_picture(engine: Engine, runner: asyncio.Runner, directory: Path) -> None:
    two = [("video", directory / f"{seed}.mp4") for seed in (0, 1)]
    with pytest.raises(BadInput, match="1 video"):
        ask(engine, runner, *two, request="two")
    cv2.imwrite(str(directory / "picture.png"), np.zeros((56, 56, 3), np.uint8))
    with pytest.raises(BadInput, match="image"):
        ask(engine, runner, ("image", directory / "picture.png"), request="picture")
    (directory / "broken.mp4").write_bytes((directory / "0.mp4").read_bytes()[:500])
    with pytest.raises(BadInput, match="the model refuses"):
        ask(engine, runner, ("video", directory / "broken.mp4"), request="broken")


def test_a_video_that_was_read_can_be_named_by_its_id_alone_and_one_that_was_not_is_refused(
    directory: Path, runner: asyncio.Runner
) -> None:
    engine = started(directory, runner, processor_cache_gib=0.1)

    def ask_about(name: str, url: str | None, request: str) -> dict[str, Any]:
        video = {"type": "video_url", "video_url": None if url is None else {"url": url}, "uuid": name}
        content = [video, {"type": "text", "text": "Is the left ventricle impaired?"}]
        fields = {"temperature": 0.0, "max_completion_tokens": 8, "logprobs": True, "request_id": request}
        return runner.run(engine.chat({"messages": [{"role": "user", "content": content}], **fields}))

    try:
        whole = ask_about("first", (directory / "0.mp4").as_uri(), "whole")
        named = ask_about("first", None, "named")
        assert said(named)[0] == said(whole)[0]
        np.testing.assert_allclose(said(named)[1], said(whole)[1], atol=1e-4)
        with pytest.raises(BadInput, match="Cache miss"):
            ask_about("never sent", None, "missing")
    finally:
        engine.stop()
