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
from chordae.platform.errors import ExpertUnavailable


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


def expert(engine: Recorder, tmp_path: Path, runner: asyncio.Runner) -> EngineExpert:
    return EngineExpert(engine, "ecg-nano", (336, 224), 48, tmp_path, runner)  # type: ignore[arg-type]


def test_the_picture_goes_as_a_file_in_its_own_colours_before_the_words(tmp_path: Path, runner: asyncio.Runner) -> None:
    engine = Recorder()
    picture = np.zeros((224, 336, 3), dtype=np.uint8)
    picture[..., 0] = 200  # red
    assert expert(engine, tmp_path, runner).generate([("Rhythm?", picture), ("Rate?", None)]) == ["Sinus rhythm."] * 2
    seen, blind = (request["messages"][0]["content"] for request in engine.requests)
    assert [part["type"] for part in seen] == ["image_url", "text"]
    stored = cv2.imread(urlparse(seen[0]["image_url"]["url"]).path)
    assert stored is not None and stored[0, 0].tolist() == [0, 0, 200]
    assert [part["type"] for part in blind] == ["text"]
    assert all(request["temperature"] == 0.0 and "structured_outputs" not in request for request in engine.requests)


def test_a_forced_choice_lets_nothing_but_the_options_be_said(tmp_path: Path, runner: asyncio.Runner) -> None:
    engine = Recorder()
    options = [["Sinus rhythm (A)", "Atrial fibrillation (B)"], ["Normal (A)", "LBBB (B)", "RBBB (C)"]]
    assert expert(engine, tmp_path, runner).choose([("Rhythm?", None), ("Conduction?", None)], options) == [1, 2]
    assert [request["structured_outputs"] for request in engine.requests] == [{"choice": one} for one in options]


def test_a_choice_cut_short_is_an_error_and_not_a_guess(tmp_path: Path, runner: asyncio.Runner) -> None:
    with pytest.raises(ExpertUnavailable, match="max_answer_tokens"):
        expert(Recorder("Sinus rhy"), tmp_path, runner).choose([("Rhythm?", None)], [["Sinus rhythm (A)", "AF (B)"]])
