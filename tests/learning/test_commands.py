"""`chordae train` and `chordae evaluate`: what a person types reaches the training and the judge."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from click.testing import Result
from typer.testing import CliRunner

from chordae.cli import app
from chordae.learning import engine_answering, recordings, sft
from chordae.learning.answering import Asked
from chordae.learning.recordings import Reading
from chordae.platform.settings import Settings

SIZE = (448, 336)


def chordae(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(settings.model_dump(mode="json")))
    return f"--config={path}"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """All that an expert is asked, which declines everything and, forced, takes the first option."""
    questions: list[Asked] = []

    def generate(some: Sequence[Asked]) -> list[str]:
        questions.extend(some)
        return ["No ECG was provided, so I cannot answer."] * len(some)

    def choose(some: Sequence[Asked], candidates: Sequence[Sequence[str]]) -> list[int]:
        return [0] * len(some)

    @contextmanager
    def expert(checkpoint: Path, settings: Any) -> Iterator[Any]:
        yield SimpleNamespace(generate=generate, choose=choose, size=SIZE)

    monkeypatch.setattr(engine_answering, "engine_expert", expert)
    return questions


@pytest.mark.parametrize(("option", "resume"), [([], True), (["--no-resume"], False), (["--resume"], True)])
def test_training_starts_anew_only_when_told_to(
    option: list[str], resume: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(sft, "train", lambda *arguments: told.extend(arguments))
    assert chordae("train", "sft", "--config", "a.yaml", "--output", "b", *option).exit_code == 0
    assert told == [Path("a.yaml"), Path("b"), resume]


def test_questions_come_with_pictures_of_the_size_the_expert_was_trained_at(config: str, asked: list[Asked]) -> None:
    shown = chordae("evaluate", "mcq", config, "-n", "4")
    assert shown.exit_code == 0, shown.output
    assert [picture.shape for _, picture in asked if picture is not None] == [(SIZE[1], SIZE[0], 3)] * 4
    assert "forced choice" not in shown.stdout


def test_without_the_picture_the_forced_choice_stands_beside_what_was_declined(config: str, asked: list[Asked]) -> None:
    shown = chordae("evaluate", "mcq", config, "-n", "40", "--no-picture")
    assert shown.exit_code == 0, shown.output
    assert all(picture is None for _, picture in asked)
    assert "forced choice" in shown.stdout
    whole = next(line for line in shown.stdout.splitlines() if " all " in line)
    assert " 40 " in whole and " to " in whole


def test_recordings_are_shown_one_by_one_and_counted(
    config: str, asked: list[Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_out(folder: Path, generate: Any, size: tuple[int, int]) -> Iterator[Reading]:
        assert (folder, size) == (tmp_path, SIZE)
        yield Reading("one", frozenset({"426783006", "164909002"}), "Sinus rhythm at 72 bpm. Normal conduction.")
        yield Reading("two", frozenset({"426783006"}), refusal="Lead I is flat or missing")

    monkeypatch.setattr(recordings, "read_out", read_out)
    shown = chordae("evaluate", "recordings", tmp_path, config)
    assert shown.exit_code == 0, shown.output
    one, two, *rest = shown.stdout.splitlines()
    assert one.startswith("one") and "Sinus rhythm at 72 bpm" in one and "codes: Left bundle branch block" in one
    assert two.startswith("two") and "not read: Lead I is flat or missing" in two
    assert rest[:2] == ["rhythm: 1 of 1 as the codes say", "conduction: 0 of 1 as the codes say"]
