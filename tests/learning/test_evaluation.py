"""Experts are judged on patients they never saw, beside what their figures are to be held against."""

import json
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from cohorts import Pretender, samples

from chordae.cohort.dataset import QUESTIONS, Item, Sample, write_rows
from chordae.cohort.items import build_items
from chordae.learning.asking import StoredAnswer, load_items
from chordae.learning.comparison import compare, compare_likert
from chordae.learning.evaluation import commonest_answers, evaluate_blind, evaluate_mcq, evaluate_vqa, positives
from chordae.learning.judge import ClaimJudge, EndpointJudge
from chordae.learning.results import McqReport, VqaReport
from chordae.platform.errors import BadInput

TEST = [*samples(60, "university", seed=1), *samples(60, "heart-centre", seed=1)]
TRAINING = samples(80, "university", seed=2)
MCQ = build_items(TEST, "mcq", 30, seed=1)
VQA = build_items(TEST, "vqa", 30, seed=1)


def mcq(expert: Pretender, items: Sequence[Item] = MCQ, training: Sequence[Sample] = TRAINING) -> McqReport:
    return evaluate_mcq(items, expert, samples=TEST, training=training, split="test", unseen=["heart-centre"])


@pytest.fixture(scope="module")
def half() -> McqReport:
    return mcq(Pretender(skill=0.5))


def test_the_truth_scores_everything() -> None:
    report = mcq(Pretender())
    assert report.accuracy == 1.0
    assert all(line.expert.excluded == 0 and line.by_text.accuracy == 1.0 for line in report.lines)
    assert report.lines[0].by_letter.excluded == len(MCQ), "answers give no letter"


def test_groups_are_all_questions_seen_and_unseen_sites_categories_and_sites(half: McqReport) -> None:
    names = [line.name for line in half.lines]
    assert names[:3] == ["all", "seen sites", "unseen sites"]
    assert set(names[3:]) == {item.category for item in MCQ} | {"university", "heart-centre"}
    for kind in ("sites", "category", "site"):
        assert sum(line.expert.asked for line in half.lines if line.kind == kind) == len(MCQ)


def test_an_accuracy_is_the_share_of_right_outcomes(half: McqReport) -> None:
    right = [one.expert == one.correct for one in half.outcomes]
    assert half.accuracy == pytest.approx(np.mean(right))
    low, high = half.lines[0].expert.interval or (0.0, 0.0)
    assert low < half.accuracy < high


def test_floor_and_ceiling_enclose_every_honest_figure(half: McqReport) -> None:
    line = half.lines[0]
    assert line.ceiling.accuracy is not None
    assert line.text_only.accuracy is not None
    assert line.ceiling.accuracy > 0.9
    assert line.text_only.accuracy < line.chance + 0.05
    assert line.chance == pytest.approx(0.5, abs=0.05)


def test_with_the_media_withheld_the_forced_choice_is_graded(half: McqReport) -> None:
    assert {one.withheld for one in half.outcomes} == {0}
    expected = np.mean([item.correct == 0 for item in MCQ])
    assert half.lines[0].withheld.accuracy == pytest.approx(expected)


def test_a_right_finding_with_a_wrong_letter_counts_and_the_letter_is_graded_apart() -> None:
    class Misplacing(Pretender):
        def ask(self, items: Sequence[Item], with_media: bool) -> list[str]:
            return [f"{answer} (A)" for answer in super().ask(items, with_media)]

    line = mcq(Misplacing()).lines[0]
    assert line.expert.accuracy == 1.0
    assert line.by_text.accuracy == 1.0
    assert line.by_letter.accuracy == pytest.approx(np.mean([item.correct == 0 for item in MCQ]))


def test_a_model_that_declines_is_excluded_and_not_wrong() -> None:
    class Declining(Pretender):
        def ask(self, items: Sequence[Item], with_media: bool) -> list[str]:
            return [self.blind] * len(items)

    score = mcq(Declining()).lines[0].expert
    assert (score.excluded, score.correct, score.incorrect, score.accuracy) == (len(MCQ), 0, 0, None)


def test_patients_of_the_training_data_are_refused_before_anything_is_asked() -> None:
    expert = Pretender()
    for call in (
        lambda: mcq(expert, training=[*TRAINING, TEST[0]]),
        lambda: evaluate_vqa(VQA, expert, ClaimJudge(), training=TEST),
        lambda: evaluate_blind(MCQ, expert, training=TEST),
    ):
        with pytest.raises(BadInput, match="in the training data"):
            call()
    assert expert.asked == 0


def test_empty_splits_repeated_questions_and_the_wrong_kind_are_refused() -> None:
    with pytest.raises(BadInput, match="empty"):
        mcq(Pretender(), [])
    with pytest.raises(BadInput, match="1 questions have the id"):
        mcq(Pretender(), [*MCQ, MCQ[0]])
    with pytest.raises(BadInput, match="not all questions are mcq"):
        mcq(Pretender(), VQA)
    with pytest.raises(BadInput, match="no right option"):
        mcq(Pretender(), [MCQ[0].model_copy(update={"correct": None})])


def test_a_judge_that_cannot_be_reached_is_refused_before_anything_is_asked() -> None:
    expert = Pretender()
    with pytest.raises(BadInput, match="does not answer"):
        evaluate_vqa(VQA, expert, EndpointJudge("http://127.0.0.1:9/v1", "judge"), training=TRAINING)
    assert expert.asked == 0


def vqa(expert: Pretender, keep: Path | None = None) -> VqaReport:
    return evaluate_vqa(VQA, expert, ClaimJudge(), training=TRAINING, split="test", unseen=["heart-centre"], keep=keep)


def test_the_reference_answers_score_five_and_a_constant_answer_less() -> None:
    line = vqa(Pretender()).lines[0]
    assert (line.mean, line.counts, line.ungraded) == (5.0, (0, 0, 0, 0, len(VQA)), 0)
    assert line.constant is not None
    assert 1.0 < line.constant < 4.0


def test_scores_that_the_judge_did_not_give_are_counted_and_in_no_mean() -> None:
    class Half(ClaimJudge):
        def judge(self, items: Sequence[Item], answers: Sequence[str]) -> list[int | None]:
            return [4 if index % 2 else None for index in range(len(items))]

    line = evaluate_vqa(VQA, Pretender(), Half(), training=TRAINING).lines[0]
    assert (line.mean, line.ungraded, line.interval) == (4.0, len(VQA) // 2, (4.0, 4.0))


def test_answers_outlive_a_judge_that_fails(tmp_path: Path) -> None:
    class Failing(ClaimJudge):
        def judge(self, items: Sequence[Item], answers: Sequence[str]) -> list[int | None]:
            raise BadInput("gone", "try again")

    keep = tmp_path / "run" / "answers.json"
    expert = Pretender(skill=0.7)
    with pytest.raises(BadInput, match="gone"):
        evaluate_vqa(VQA, expert, Failing(), training=TRAINING, keep=keep)
    kept = [StoredAnswer.model_validate(row) for row in json.loads(keep.read_text())]
    assert [(row.id, row.answer) for row in kept] == [
        (item.id, answer) for item, answer in zip(VQA, Pretender(skill=0.7).ask(VQA, with_media=True), strict=True)
    ]


def test_the_commonest_answer_is_the_topics_own() -> None:
    common = commonest_answers(VQA)
    for item, answer in zip(VQA, common, strict=True):
        mine = [other.answer for other in VQA if other.topic == item.topic]
        assert mine.count(answer) == max(mine.count(one) for one in mine)


def test_a_mirage_is_seen_with_and_without_media_where_there_is_nothing() -> None:
    class Dreaming(Pretender):
        def ask(self, items: Sequence[Item], with_media: bool) -> list[str]:
            return ["Large pericardial effusion." if item.topic == "pericardial" else "Unsure." for item in items]

    class Misreading(Dreaming):
        def ask(self, items: Sequence[Item], with_media: bool) -> list[str]:
            return super().ask(items, with_media) if with_media else [self.blind] * len(items)

    negative = [item for item in VQA if item.negative]
    share = np.mean([item.topic == "pericardial" for item in negative])
    assert 0 < share < 1
    dreaming = evaluate_blind(VQA, Dreaming(), training=TRAINING)
    assert dreaming.mirages.asked == len(negative)
    assert dreaming.mirages.accuracy == pytest.approx(share)
    misreading = evaluate_blind(VQA, Misreading(), training=TRAINING)
    assert misreading.mirages.accuracy == 0.0
    assert misreading.false_positives.accuracy == pytest.approx(share)
    assert misreading.forced is None


def test_blind_multiple_choice_tells_declining_from_guessing() -> None:
    report = evaluate_blind(MCQ, Pretender(), training=TRAINING)
    assert report.free is not None
    assert report.forced is not None
    assert report.free.excluded == len(MCQ)
    assert report.forced.accuracy == pytest.approx(np.mean([item.correct == 0 for item in MCQ]))
    assert report.mirages.accuracy == 0.0


def test_a_letter_that_stands_for_a_finding_is_a_positive_too() -> None:
    item = next(item for item in MCQ if item.topic == "pericardial" and "Large pericardial effusion" in item.options)
    letter = "ABCD"[item.options.index("Large pericardial effusion")]
    assert positives(item, f"({letter})") == {"pericardial"}
    assert positives(item, "(D)") == set()
    assert positives(item, "No pericardial effusion.") == set()


def test_models_are_compared_on_the_questions_both_were_asked() -> None:
    good, poor = mcq(Pretender("good", 1.0)), mcq(Pretender("poor", 0.3), MCQ[:150])
    (row,) = compare([good, poor])
    wrong = sum(one.expert != one.correct for one in poor.outcomes)
    assert (row.questions, row.only_first, row.only_second) == (150, wrong, 0)
    assert row.p_adjusted < 0.001
    with pytest.raises(BadInput, match="different models"):
        compare([good, good])


def test_likert_scores_of_different_judges_are_not_compared() -> None:
    good, poor = vqa(Pretender("good")), vqa(Pretender("poor", 0.3))
    (row,) = compare_likert([good, poor])
    assert row.effect > 0.7
    with pytest.raises(BadInput, match="different judges"):
        compare_likert([good, poor.model_copy(update={"judge": "another"})])


def test_unknown_splits_and_sites_are_refused_with_those_there_are(tmp_path: Path) -> None:
    (tmp_path / "test").mkdir()
    write_rows(tmp_path / "test" / QUESTIONS, MCQ)
    assert load_items(tmp_path, "test", "mcq") == MCQ
    assert {item.site for item in load_items(tmp_path, "test", site="heart-centre")} == {"heart-centre"}
    with pytest.raises(BadInput, match=r"no split 'tset'.*splits with questions: test"):
        load_items(tmp_path, "tset")
    with pytest.raises(BadInput, match="sites: heart-centre, university"):
        load_items(tmp_path, "test", site="moon")
    with pytest.raises(BadInput, match="no vqa questions"):
        load_items(tmp_path, "test", "vqa")


def test_a_summary_is_plain_numbers(half: McqReport) -> None:
    summary = half.summary()["all: all"]
    assert isinstance(summary, dict)
    assert summary["expert"] == round(half.accuracy, 4)
    assert {"chance", "text_only", "withheld", "ceiling", "interval"} <= summary.keys()
