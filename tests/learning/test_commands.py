"""`chordae train` and `chordae evaluate`: what a person types reaches the training and the judge."""

import json
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from click.testing import Result
from invented import sample
from typer.testing import CliRunner

from chordae.cli import app
from chordae.cohort.dataset import QUESTIONS, SAMPLES, write_rows
from chordae.cohort.items import build_items
from chordae.learning import engine_answering, evaluate_served, launch, recordings
from chordae.learning.answering import Asked
from chordae.learning.recordings import Reading
from chordae.learning.results import McqReport, VqaReport
from chordae.platform.settings import Settings


def chordae(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "160"}).invoke(app, [str(argument) for argument in arguments])


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(settings.model_dump(mode="json")))
    return f"--config={path}"


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[Asked]:
    """All that an expert is asked, which calls everything normal and, forced, takes the first option."""
    questions: list[Asked] = []

    def generate(some: Sequence[Asked]) -> list[str]:
        questions.extend(some)
        return ["Sinus rhythm. Normal conduction. No ST elevation."] * len(some)

    def choose(some: Sequence[Asked], candidates: Sequence[Sequence[str]]) -> list[int]:
        assert all(picture is None for _, picture in some)
        return [0] * len(some)

    @contextmanager
    def expert(checkpoint: Path, settings: Any, modality: str) -> Iterator[Any]:
        yield SimpleNamespace(generate=generate, choose=choose, name=f"{modality}-nano")

    monkeypatch.setattr(engine_answering, "engine_expert", expert)
    monkeypatch.setattr(evaluate_served, "engine_expert", expert)
    return questions


@pytest.fixture
def datasets(tmp_path: Path) -> Path:
    """`test` with questions and `ecg-train`, of other patients; one site of the first is in neither."""
    rng = np.random.default_rng(1)
    for name, sites in (("test", ("seen", "unseen")), ("ecg-train", ("seen",))):
        made = [sample("ecg", rng, f"{sites[number % len(sites)]}-{name}{number}") for number in range(60)]
        (tmp_path / name / "media").mkdir(parents=True)
        write_rows(tmp_path / name / SAMPLES, made)
        if name == "test":
            write_rows(tmp_path / name / QUESTIONS, [*build_items(made, "mcq", 6, 1), *build_items(made, "vqa", 2, 1)])
    return tmp_path


@pytest.mark.parametrize("kind", ["pretrain", "sft", "grpo"])
@pytest.mark.parametrize(("option", "resume"), [([], True), (["--no-resume"], False), (["--resume"], True)])
def test_training_starts_anew_only_when_told_to(
    kind: str, option: list[str], resume: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    told: list[Any] = []
    monkeypatch.setattr(launch, "train", lambda *arguments: told.extend(arguments))
    assert chordae("train", kind, "--config", "a.yaml", "--output", "b", *option).exit_code == 0
    assert told == [kind, Path("a.yaml"), Path("b"), resume]


def test_multiple_choice_is_shown_beside_chance_floor_and_ceiling_and_kept(
    config: str, asked: list[Asked], datasets: Path, tmp_path: Path
) -> None:
    shown = chordae("evaluate", "mcq", config, "--model", "ecg", "--datasets", datasets, "-o", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    for said in ("demonstrator", "chance", "text", "blind", "ceiling", "seen sites", "unseen sites"):
        assert said in shown.stdout
    assert all(picture is not None and picture.parent == datasets / "test" / "media" for _, picture in asked)
    report = McqReport.model_validate_json((tmp_path / "out" / "mcq.json").read_text())
    assert report.lines[0].expert.asked == len(asked)
    assert (tmp_path / "out" / "mcq_categories.png").stat().st_size > 10_000


def test_two_models_are_compared_on_the_same_questions(
    config: str, asked: list[Asked], datasets: Path, tmp_path: Path
) -> None:
    for name in ("one", "two"):
        chordae("evaluate", "mcq", config, "--model", "ecg", "--datasets", datasets, "-o", tmp_path / name)
    path = tmp_path / "two" / "mcq.json"
    path.write_text(path.read_text().replace('"model": "ecg-nano"', '"model": "other-nano"'))
    shown = chordae("evaluate", "compare", tmp_path / "one" / "mcq.json", path)
    assert shown.exit_code == 0, shown.output
    assert "McNemar" in shown.stdout
    assert "1.000" in shown.stdout  # the same answers
    (bad := tmp_path / "bad.json").write_text("{}")
    assert chordae("evaluate", "compare", bad, path).exit_code == 2


def test_open_questions_are_judged_and_the_judges_agreement_is_told(
    config: str, asked: list[Asked], datasets: Path, tmp_path: Path
) -> None:
    shown = chordae("evaluate", "vqa", config, "--model", "ecg", "--datasets", datasets, "-o", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    assert "kappa" in shown.stdout
    assert VqaReport.model_validate_json((tmp_path / "out" / "vqa.json").read_text()).lines[0].asked == len(asked)


def test_blind_withholds_the_media_and_counts_mirages(
    config: str, asked: list[Asked], datasets: Path, tmp_path: Path
) -> None:
    shown = chordae("evaluate", "blind", config, "--model", "ecg", "--datasets", datasets, "-o", tmp_path / "out")
    assert shown.exit_code == 0, shown.output
    assert "mirage rate" in shown.stdout
    assert sum(picture is None for _, picture in asked) == 8 * 8


@pytest.mark.parametrize(
    ("changed", "named"),
    [
        (["--split", "tset"], "no split 'tset'"),
        (["--site", "atlantis"], "no questions from site"),
        (["--model", "nowhere"], "no expert and no directory nowhere"),
    ],
)
def test_what_cannot_be_evaluated_is_refused_before_anything_is_asked(
    config: str, asked: list[Asked], datasets: Path, changed: list[str], named: str
) -> None:
    shown = chordae("evaluate", "mcq", config, "--model", "ecg", "--datasets", datasets, *changed)
    assert shown.exit_code == 2
    assert named in " ".join(shown.stderr.split())
    assert not asked


def test_a_test_patient_in_the_training_data_is_refused(config: str, asked: list[Asked], datasets: Path) -> None:
    both = (datasets / "test" / SAMPLES).read_text() + (datasets / "ecg-train" / SAMPLES).read_text()
    (datasets / "ecg-train" / SAMPLES).write_text(both)
    shown = chordae("evaluate", "mcq", config, "--model", "ecg", "--datasets", datasets)
    assert shown.exit_code == 2
    assert "training" in shown.stderr
    assert not asked


def test_an_unreachable_judge_is_refused_before_anything_is_asked(
    config: str, asked: list[Asked], datasets: Path
) -> None:
    judge = ["--judge", "http://127.0.0.1:9/v1"]
    shown = chordae("evaluate", "vqa", config, "--model", "ecg", "--datasets", datasets, *judge)
    assert shown.exit_code == 2
    assert "judge" in shown.stderr
    assert not asked


def test_recordings_are_shown_one_by_one_and_counted(
    config: str, asked: list[Asked], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def read_out(folder: Path, generate: Any) -> Iterator[Reading]:
        assert folder == tmp_path
        said = "Sinus rhythm at 72 bpm. Normal conduction."
        yield Reading("one", frozenset({"426783006", "164909002"}), said, rate_bpm=75.0)
        yield Reading("two", frozenset({"426783006"}), refusal="Lead I is flat or missing")

    monkeypatch.setattr(recordings, "read_out", read_out)
    shown = chordae("evaluate", "recordings", tmp_path, config)
    assert shown.exit_code == 0, shown.output
    one, two, *rest = shown.stdout.splitlines()
    assert one.startswith("one") and "Sinus rhythm at 72 bpm" in one and "codes: Left bundle branch block" in one
    assert two.startswith("two") and "not read: Lead I is flat or missing" in two
    assert rest[:3] == [
        "rhythm: 1 of 1 as the codes say",
        "conduction: 0 of 1 as the codes say",
        "rate: 1 of 1 within 5 bpm",
    ]
