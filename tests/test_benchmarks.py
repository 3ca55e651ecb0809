"""What `make bench` does with its measures; the measures themselves take minutes and run by hand."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import cv2
import pytest

from benchmarks import orchestration
from benchmarks.__main__ import report
from benchmarks.entry import entry
from benchmarks.instant import InstantEngine, instant_settings, told
from benchmarks.modalities import _Asking
from benchmarks.month import FIRST, settings_of
from benchmarks.month_sites import LATE_DAYS, SITES, Hospitals
from benchmarks.simulated_days import move
from chordae.deployments.expert import Expert
from chordae.learning.config import load_config
from chordae.learning.pcrl.config import PcrlConfig
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_history import HistoryLedger
from chordae.platform.ledger_learning import LearningLedger
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


def test_a_simulated_months_settings_are_the_laptops_with_a_short_round(tmp_path: Path) -> None:
    settings = settings_of(tmp_path / "month", steps=5, sentinels=30)
    recipe = load_config(settings.learning.recipe)
    assert isinstance(recipe, PcrlConfig) and recipe.steps == 5
    assert settings.reasoner is not None and settings.ledger_url.endswith("month/ledger.sqlite3")
    assert settings.learning.gate.accuracy_drop == 0.02, "a limit of the gate is what it is by default"


def test_sites_send_new_records_every_day_and_labels_come_late_and_once(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, steps=1, sentinels=1)
    hospitals, gate = Hospitals(settings, 8), GateLedger(settings.ledger_url)
    assert [hospitals.send(1), hospitals.send(2), hospitals.send(1)] == [24, 24, 0]
    assert LearningLedger(settings.ledger_url).waiting("m") == dict.fromkeys(SITES, 16)
    assert hospitals.label(LATE_DAYS[0]) == 0
    last = 2 + LATE_DAYS[1]
    given = sum(hospitals.label(day) for day in range(LATE_DAYS[0] + 1, last + 1))
    assert 0 < given < 24
    assert hospitals.label(last) == 0
    again = Hospitals(settings, 8)
    assert [again.send(1), again.send(2), again.label(last)] == [0, 0, 0], "and a run that goes on knows what it said"
    assert again.truth == hospitals.truth
    assert {one.study: one.category for one in gate.feedback()}.items() <= hospitals.truth.items()


def test_what_is_written_on_a_simulated_day_is_of_that_day_and_lasts_as_long(tmp_path: Path) -> None:
    settings = settings_of(tmp_path, steps=1, sentinels=1)
    hospitals, learning = Hospitals(settings, 1), LearningLedger(settings.ledger_url)
    history, last = HistoryLedger(settings.ledger_url), FIRST + timedelta(days=30)
    began = datetime.now(UTC) - timedelta(minutes=7)
    hospitals.send(1)
    move(settings.ledger_url, began, FIRST, last)
    first = [one.came_at for one in history.arrivals()]
    assert all(timedelta(minutes=7) <= at - FIRST < timedelta(minutes=9) for at in first)
    found = learning.begin_round("m", 9)
    move(settings.ledger_url, began, FIRST + timedelta(days=1), last)
    (moved,) = learning.rounds("m")
    assert moved.changed_at - moved.begun_at == found.changed_at - found.begun_at
    assert FIRST + timedelta(days=1) < moved.begun_at < FIRST + timedelta(days=2)
    assert [one.came_at for one in history.arrivals()] == first, "what is moved stays where it is"
    hospitals.send(2)
    move(settings.ledger_url, datetime.now(UTC) + timedelta(hours=1), FIRST + timedelta(days=2), last)
    assert history.arrivals()[-1].came_at == FIRST + timedelta(days=2), "of a run that was killed"
