"""What `make bench` does with its measures; the measures themselves take minutes and run by hand."""

import json
from pathlib import Path

import cv2
import pytest

from benchmarks import orchestration
from benchmarks.__main__ import report
from benchmarks.entry import entry
from benchmarks.instant import InstantEngine, instant_settings, told
from benchmarks.modalities import _Asking
from chordae.deployments.expert import Expert
from chordae.platform.media import MediaStore


def test_a_missed_bar_is_an_exit_status_of_1_and_everything_is_written(tmp_path: Path) -> None:
    entries = [entry("a", 1.2, "x", "<= 1.5"), entry("b", 0.8, "x", ">= 0.9"), entry("c", 3.0, "ms")]
    assert [one["ok"] for one in entries] == [True, False, True]
    told = [one | {"machine": "m"} for one in entries]
    assert report(told, tmp_path / "results" / "latest.json") == 1
    assert json.loads((tmp_path / "results" / "latest.json").read_text()) == told
    assert report(told[:1], tmp_path / "latest.json") == 0


@pytest.mark.parametrize("modality", ["ecg", "echo"])
def test_copies_of_a_recording_are_new_to_every_cache_and_look_the_same(tmp_path: Path, modality: str) -> None:
    settings = instant_settings(tmp_path)
    asking, store = _Asking(settings, None, [modality]), MediaStore(settings.media_dir)  # type: ignore[arg-type]
    one, other = asking._fresh(modality), asking._fresh(modality)  # type: ignore[arg-type]
    assert one != other
    shown = [cv2.VideoCapture(str(store.path(each))).read()[1] for each in (one, other)]
    assert (shown[0] == shown[1]).all() and shown[0].std() > 0


async def test_an_expert_with_the_instant_engine_answers_as_any_other(tmp_path: Path) -> None:
    settings = instant_settings(tmp_path)
    media = MediaStore(settings.media_dir).put(b"x", "ecg", "v").id
    expert = Expert("ecg", settings, InstantEngine("ecg", words=30))
    part = {"type": "image_url", "image_url": {"url": f"media:{media}"}}
    requests = [
        {"messages": [{"role": "user", "content": [*first, {"type": "text", "text": "What?"}]}]}
        for first in ([part], [])
    ]
    answers = {index: answer async for index, answer in expert.chat_together(requests, "r")}
    texts = [answers[index]["choices"][0]["message"]["content"] for index in (0, 1)]
    assert len(texts[0].split()) == len(told("ecg", 0, 30).split()) == 30
    assert texts[0] != texts[1]


async def test_orchestration_is_measured_without_a_model(tmp_path: Path) -> None:
    assert await orchestration._milliseconds(instant_settings(tmp_path), ("ecg", "echo", "cmr"), 1) > 0
