"""Tables, JSON and plots of an evaluation hold the same figures, and mark demonstrators."""

import io
import json
from pathlib import Path

import cv2
import pytest
from cohorts import Pretender, samples
from rich.console import Console
from rich.table import Table

from chordae.cohort.items import build_items
from chordae.learning.comparison import compare
from chordae.learning.evaluation import evaluate_blind, evaluate_mcq, evaluate_vqa
from chordae.learning.judge import ClaimJudge
from chordae.learning.results import DEMONSTRATOR, McqReport, Report, VqaReport
from chordae.learning.score_report import comparison_table, plot, table, write

TEST, TRAINING = samples(80, seed=1), samples(100, seed=2)
MCQ, VQA = build_items(TEST, "mcq", 20, seed=1), build_items(TEST, "vqa", 20, seed=1)


def mcq(name: str = "echo-nano", skill: float = 0.7) -> McqReport:
    return evaluate_mcq(MCQ, Pretender(name, skill), samples=TEST, training=TRAINING, split="test")


@pytest.fixture(scope="module")
def reports() -> list[Report]:
    vqa = evaluate_vqa(VQA, Pretender(), ClaimJudge(), training=TRAINING, split="test")
    return [mcq(), vqa, evaluate_blind(MCQ, Pretender(), training=TRAINING, split="test")]


def shown(what: Table) -> str:
    console = Console(width=200, record=True, file=io.StringIO())
    console.print(what)
    return console.export_text()


def test_every_table_title_and_plot_says_that_nano_models_are_demonstrators(reports: list[Report]) -> None:
    for report in reports:
        assert DEMONSTRATOR in shown(table(report))
        if isinstance(report, McqReport | VqaReport):
            assert DEMONSTRATOR in plot(report, ["all"]).axes[0].get_title(loc="left")


def test_other_models_are_not_called_demonstrators() -> None:
    report = mcq("MARCUS-Echo")
    assert report.note == ""
    assert "demonstrator" not in shown(table(report))


def test_the_table_shows_what_a_figure_is_to_be_held_against(reports: list[Report]) -> None:
    text, report = shown(table(reports[0])), reports[0]
    assert isinstance(report, McqReport)
    line = report.lines[0]
    for share in (line.chance, *(one.accuracy for one in (line.expert, line.text_only, line.withheld, line.ceiling))):
        assert f"{100 * (share or 0):.1f}" in text


def test_the_agreement_of_the_judge_with_people_is_shown(reports: list[Report]) -> None:
    assert "weighted kappa" in shown(table(reports[1]))


def test_what_is_written_is_read_again_and_pictures_open(reports: list[Report], tmp_path: Path) -> None:
    for report in reports:
        json_file, *pictures = write(report, tmp_path / "run")
        content = json.loads(json_file.read_text())
        assert content["note"] == DEMONSTRATOR
        assert type(report).model_validate(content) == report
        assert len(pictures) == (2 if isinstance(report, McqReport | VqaReport) else 0)
        for picture in pictures:
            assert cv2.imread(str(picture)).std() > 5


def test_a_plot_has_a_row_a_group_and_every_mark(reports: list[Report]) -> None:
    assert isinstance(reports[0], McqReport)
    axes = plot(reports[0], ["all", "category"]).axes[0]
    rows = [line for line in reports[0].lines if line.kind in ("all", "category")]
    assert [label.get_text().rsplit(" (", 1)[0] for label in axes.get_yticklabels()] == [line.name for line in rows]
    legend = axes.get_legend()
    assert legend is not None
    assert len(legend.get_texts()) == 5


def test_comparisons_are_shown_with_both_ps() -> None:
    text = shown(comparison_table(compare([mcq("one", 0.9), mcq("two", 0.2)])))
    assert "McNemar" in text
    assert "< 0.001" in text
