"""Evaluation through the serving engine: what it is asked, and how a choice is forced."""

import asyncio
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlparse

import cv2
import numpy as np
import pytest

from chordae.learning.engine_answering import EngineExpert
from chordae.platform.errors import BadInput, ExpertUnavailable
from chordae.platform.picture import fit_picture


class Recorder:
    """An engine that keeps what it is asked; it takes the last option, or says `words`."""

    def __init__(self, words: str = "") -> None:
        self.words, self.requests = words, list[dict[str, Any]]()

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        self.requests.append(request)
        choice = request.get("structured_outputs", {}).get("choice", ["Sinus rhythm. "])
        return {"choices": [{"message": {"content": self.words or choice[-1]}}]}


@pytest.fixture
def runner() -> Iterator[asyncio.Runner]:
    with asyncio.Runner() as runner:
        yield runner


@pytest.fixture
def served(tmp_path: Path) -> Path:
    """What the engine may read."""
    (tmp_path / "served").mkdir()
    return tmp_path / "served"


def ecg_expert(engine: Recorder, served: Path, runner: asyncio.Runner) -> EngineExpert:
    return EngineExpert(engine, "ecg-nano", "image", (336, 224), 48, served, runner)  # type: ignore[arg-type]


def test_a_picture_goes_reduced_as_the_platform_reduces_it_before_the_words(
    served: Path, tmp_path: Path, runner: asyncio.Runner
) -> None:
    engine, full = Recorder(), np.random.default_rng(0).integers(0, 255, (448, 672, 3), dtype=np.uint8)
    cv2.imwrite(str(tmp_path / "full.png"), full)
    asked = [("Rhythm?", tmp_path / "full.png"), ("Rate?", None)]
    assert ecg_expert(engine, served, runner).generate(asked) == ["Sinus rhythm."] * 2
    seen, blind = (request["messages"][0]["content"] for request in engine.requests)
    assert [part["type"] for part in seen] == ["image_url", "text"]
    file = Path(urlparse(seen[0]["image_url"]["url"]).path)
    assert file.parent == served
    np.testing.assert_array_equal(cv2.imread(str(file)), fit_picture(full, (336, 224)))
    assert [part["type"] for part in blind] == ["text"]
    assert all(request["temperature"] == 0.0 and "structured_outputs" not in request for request in engine.requests)


def test_a_video_goes_as_it_is_and_is_named_by_its_content(
    served: Path, tmp_path: Path, runner: asyncio.Runner
) -> None:
    for name, content in (("a", b"one"), ("b", b"other"), ("c", b"one")):
        (tmp_path / f"{name}.mp4").write_bytes(content)
    engine = Recorder()
    expert = EngineExpert(engine, "cmr-nano", "video", None, 48, served, runner)  # type: ignore[arg-type]
    expert.generate([("Fibrosis?", tmp_path / f"{name}.mp4") for name in "abc"])
    parts = [request["messages"][0]["content"][0] for request in engine.requests]
    assert [part["type"] for part in parts] == ["video_url"] * 3
    assert [Path(urlparse(part["video_url"]["url"]).path).read_bytes() for part in parts] == [b"one", b"other", b"one"]
    assert parts[0]["uuid"] == parts[2]["uuid"] != parts[1]["uuid"]


def test_a_missing_or_unreadable_file_is_refused(served: Path, tmp_path: Path, runner: asyncio.Runner) -> None:
    (tmp_path / "no.png").write_bytes(b"no picture")
    for name in ("no.png", "nowhere.png"):
        with pytest.raises(BadInput, match=name):
            ecg_expert(Recorder(), served, runner).generate([("Rhythm?", tmp_path / name)])


def test_a_forced_choice_lets_nothing_but_the_options_be_said(served: Path, runner: asyncio.Runner) -> None:
    engine = Recorder()
    options = [["Sinus rhythm (A)", "Atrial fibrillation (B)"], ["Normal (A)", "LBBB (B)", "RBBB (C)"]]
    assert ecg_expert(engine, served, runner).choose([("Rhythm?", None), ("Conduction?", None)], options) == [1, 2]
    assert [request["structured_outputs"] for request in engine.requests] == [{"choice": one} for one in options]


def test_a_choice_cut_short_is_an_error_and_not_a_guess(served: Path, runner: asyncio.Runner) -> None:
    with pytest.raises(ExpertUnavailable, match="max_answer_tokens"):
        ecg_expert(Recorder("Sinus rhy"), served, runner).choose([("Rhythm?", None)], [["Sinus rhythm (A)", "AF (B)"]])
