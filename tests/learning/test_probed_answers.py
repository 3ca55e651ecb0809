"""Probed answers: what is asked under each condition, of whom, and what counts as correct and as a mirage."""

from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from made_up import make_dataset
from probing_experts import Hallucinating, Honest, finding_of, three_ways

from chordae.cohort.dataset import SAMPLES, Item, Sample, read_rows, write_rows
from chordae.cohort.items import build_items
from chordae.learning.probed_answers import ProbedAnswer, conditions_of, probe, read_answers, training_samples
from chordae.learning.shown_media import CONDITIONS, GREY, ShownMedia
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Modality

DECLINED = "No ECG was provided, so I cannot answer."


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Made-up ECGs, echoes and CMRs in one dataset."""
    directory = tmp_path_factory.mktemp("datasets")
    rows: list[Sample] = []
    for modality in ("ecg", "echo", "cmr"):
        make_dataset(directory / modality, modality, count=12)
        for row in read_rows(directory / modality / SAMPLES, Sample):
            rows.append(row.model_copy(update={"media": f"{modality}/{row.media}"}))
    write_rows(directory / SAMPLES, rows)
    return directory


def samples(root: Path) -> list[Sample]:
    return read_rows(root / SAMPLES, Sample)


def items(root: Path, modality: Modality = "ecg") -> list[Item]:
    mine = [one for one in samples(root) if one.modality == modality]
    return list({item.question: item for item in build_items(mine, "vqa", 8, seed=1)}.values())


def shown(root: Path, scratch: Path) -> ShownMedia:
    return ShownMedia(root, samples(root), scratch)


def negative(root: Path, modality: Modality = "ecg") -> Item:
    return next(item for item in items(root, modality) if item.negative and item.topic != "rate")


def row(
    root: Path, answer: str, without: str = "No ECG was provided, so I cannot answer.", **more: Any
) -> ProbedAnswer:
    item = more.pop("item", None) or negative(root)
    given = {"finding": item.finding, "claims": item.claims, "condition": "present"} | more
    return ProbedAnswer(item=item, answer=answer, rephrasings=(), rephrased=(), without=without, **given)


def test_a_blank_picture_is_uniform_grey_of_the_same_size(root: Path, tmp_path: Path) -> None:
    item = negative(root)
    real, blank = cv2.imread(str(root / item.media)), shown(root, tmp_path).of(item, "blank").media
    drawn = cv2.imread(str(blank))
    assert drawn.shape == real.shape
    assert (drawn == GREY).all()


def test_a_blank_video_has_the_size_length_and_speed_of_the_real_one(root: Path, tmp_path: Path) -> None:
    item = negative(root, "echo")
    blank = shown(root, tmp_path).of(item, "blank").media
    asked = (cv2.CAP_PROP_FRAME_WIDTH, cv2.CAP_PROP_FRAME_HEIGHT, cv2.CAP_PROP_FRAME_COUNT, cv2.CAP_PROP_FPS)
    real, grey = cv2.VideoCapture(str(root / item.media)), cv2.VideoCapture(str(blank))
    assert [real.get(one) for one in asked] == [grey.get(one) for one in asked]
    frame = grey.read()[1]
    assert np.ptp(frame, axis=(0, 1)).max() <= 1
    assert np.abs(frame.mean(axis=(0, 1)) - GREY).max() <= 6  # the codec rounds colours


def test_another_patient_has_the_modality_and_another_truth(root: Path, tmp_path: Path) -> None:
    media = shown(root, tmp_path)
    known = {str(root / one.media): one for one in samples(root)}
    for item in items(root):
        other = media.of(item, "other patient")
        sample = known[str(other.media)]
        assert (sample.modality, sample.patient == item.patient) == ("ecg", False)
        assert other.finding == sample.findings[item.topic] not in (None, item.finding)


def test_whose_picture_is_shown_does_not_depend_on_the_order_of_samples(root: Path, tmp_path: Path) -> None:
    item = negative(root)
    backwards = ShownMedia(root, samples(root)[::-1], tmp_path)
    assert backwards.of(item, "other patient") == shown(root, tmp_path).of(item, "other patient")


def test_another_modality_comes_as_what_the_expert_reads(root: Path, tmp_path: Path) -> None:
    media = shown(root, tmp_path)
    still = media.of(negative(root), "other modality").media
    assert still is not None and still.suffix == ".png"
    assert cv2.imread(str(still)).std() > 5
    video = media.of(negative(root, "echo"), "other modality").media
    assert video is not None and video.parent == root / "cmr" / "media"


def test_a_split_without_other_patients_or_modalities_is_refused(root: Path, tmp_path: Path) -> None:
    item = negative(root)
    alone = ShownMedia(root, [one for one in samples(root) if one.patient == item.patient], tmp_path)
    with pytest.raises(BadInput, match="another truth"):
        alone.of(item, "other patient")
    ecgs = ShownMedia(root, [one for one in samples(root) if one.modality == "ecg"], tmp_path)
    with pytest.raises(BadInput, match="no Echo study"):
        ecgs.of(item, "other modality")


def test_everything_is_asked_once_and_answers_are_on_disk(root: Path, tmp_path: Path) -> None:
    item = negative(root)
    expert, keep = Honest([item]), tmp_path / "run" / "answers.json"
    asked = conditions_of([item])
    assert [condition for _, condition in asked] == list(CONDITIONS)
    rows = probe(asked, shown(root, tmp_path), expert.generate, three_ways, keep)
    # with each of four pictures the question and three rephrasings, and the same four without
    assert len(expert.asked) == len(set(expert.asked)) == 20
    assert read_answers(keep) == rows
    present, absent = rows[0], rows[1]
    assert [present.rephrasings] == three_ways([(item.question, "ecg")])
    assert (present.answer, present.rephrased) == (item.answer, (item.answer,) * 3)
    assert absent.answer == absent.without == present.without != item.answer


def test_answers_outlive_what_comes_after_them(root: Path, tmp_path: Path) -> None:
    keep = tmp_path / "answers.json"
    probe(conditions_of([negative(root)]), shown(root, tmp_path), Honest([negative(root)]).generate, three_ways, keep)
    assert all(one.correct == (one.condition == "present") for one in read_answers(keep))


def test_only_questions_of_negative_truth_are_asked_without_their_picture(root: Path) -> None:
    for item, condition in conditions_of(items(root)):
        assert condition == "present" or (item.negative and item.topic != "rate")


def test_a_mirage_needs_a_positive_finding_with_and_without_and_a_negative_truth(root: Path, tmp_path: Path) -> None:
    item = next(one for one in items(root) if one.negative and one.topic == "conduction")
    block, normal = finding_of("conduction") + ".", item.finding + "."
    assert row(root, block, block, item=item).mirage
    assert row(root, block, "Right bundle branch block.", item=item).mirage, "similar is enough"
    assert not row(root, block, item=item).mirage
    assert row(root, block, item=item).positive, "without a like answer it is a misreading"
    assert not row(root, block, normal, item=item).mirage
    assert not row(root, normal, normal, item=item).positive
    positive = next(one for one in items(root) if not one.negative and one.topic == "conduction")
    assert not row(root, block, block, item=positive).mirage


def test_a_bare_yes_to_a_question_for_what_is_not_there_is_a_positive_finding(root: Path) -> None:
    item = negative(root).model_copy(update={"answer": f"No. {negative(root).finding}."})
    assert row(root, "Yes.", "Yes.", item=item).mirage
    assert not row(root, "No.", "Yes.", item=item).positive


def test_an_expert_that_says_the_same_whatever_it_sees_dreams_under_every_condition(root: Path, tmp_path: Path) -> None:
    asked = conditions_of([negative(root)])
    rows = probe(asked, shown(root, tmp_path), Hallucinating([negative(root)]).generate, three_ways, tmp_path / "a")
    assert [one.mirage for one in rows] == [True] * 5


def test_an_answer_is_correct_when_it_names_the_finding_and_no_other(root: Path) -> None:
    item = next(one for one in items(root) if one.topic == "conduction" and not one.answer.startswith(("Yes", "No.")))
    wrong = next(name for name in ("Left bundle branch block", "Normal conduction") if name != item.finding)
    assert row(root, f"I see: {item.finding.lower()}.", item=item).correct
    assert not row(root, f"{wrong}.", item=item).correct
    assert not row(root, f"{item.finding}. {wrong}.", item=item).correct
    assert not row(root, f"{DECLINED} {item.finding}.", item=item).correct
    assert not row(root, "Who knows.", item=item).claimed


def test_a_rate_is_correct_to_its_tolerance_and_never_negative(root: Path) -> None:
    item = next(one for one in items(root) if one.topic == "rate")
    rate = int(item.claims[0].split(": ")[1].split(" ")[0])
    assert row(root, f"{rate + 4} bpm.", item=item).correct
    assert not row(root, f"{rate + 11} bpm.", item=item).correct
    assert not row(root, f"{rate} bpm.", item=item.model_copy(update={"negative": True})).negative


def test_what_is_true_of_another_patients_picture_is_correct_there(root: Path, tmp_path: Path) -> None:
    item = negative(root)
    other = shown(root, tmp_path).of(item, "other patient")
    there = {"condition": "other patient", "finding": other.finding, "claims": other.claims, "item": item}
    assert row(root, f"{other.finding}.", **there).correct
    assert not row(root, f"{item.finding}.", **there).correct


@pytest.mark.parametrize("condition", ["absent", "blank", "other modality"])
def test_of_what_shows_nothing_no_claim_is_correct(root: Path, condition: str) -> None:
    told = row(root, f"{negative(root).finding}.", condition=condition, finding=None, claims=())
    assert told.claimed and not told.correct


def test_a_checkpoint_that_does_not_say_what_it_saw_saw_nothing_known(model_dir: Path, tmp_path: Path) -> None:
    assert training_samples(model_dir, tmp_path) == []
