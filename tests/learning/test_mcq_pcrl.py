"""PCRL of an imaging expert: it learns what it voted for itself, never sees a finding, and goes on after a kill."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import yaml
from killed_runs import run
from letter_guesser import FRAMES, SIZE, make_letter_guesser
from made_up import make_dataset

from chordae.cohort.dataset import SAMPLES, Sample, read_rows, write_rows
from chordae.cohort.findings import topics
from chordae.cohort.wording import NONE_OPTION
from chordae.learning.checkpoint import load_tokenizer
from chordae.learning.config import load_config
from chordae.learning.launch import open_media, open_studies, train
from chordae.learning.pcrl.posed import PosedPrompts, StepPrompts, pose
from chordae.learning.pcrl.state import read_labels
from chordae.learning.rewards import chose_right
from chordae.learning.rollout import StudyPrompts
from chordae.learning.tracking import read_losses
from chordae.platform.errors import BadInput, LearningHalted


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("mcq-pcrl")
    for seed, (name, count) in enumerate({"train": 24, "unlabelled": 12, "sentinels": 16}.items()):
        make_dataset(root / name, "cmr", count, seed)
    make_letter_guesser(root / "start", root / "train")
    return root


def config_file(root: Path, directory: Path, **changes: object) -> Path:
    values: dict[str, object] = {
        "type": "pcrl-mcq",
        "name": "expert",
        "version": "0",
        "modality": "cmr",
        "start": str(root / "start"),
        "datasets": [str(root / "train")],
        "unlabelled": [str(root / "unlabelled")],
        "sentinels": [str(root / "sentinels")],
        "size": list(SIZE),
        "frames": FRAMES,
        "most_sentinels": 8,
        "rounds": 2,
        "round_steps": 2,
        "answers": 8,
        "wordings": 2,
        "abstention": {"least_margin": 0},
        "brakes": None,
        "batch": 32,
        "group": 8,
        "prompt_tokens": 400,
        "answer_tokens": 3,
        "learning_rate": 1.0e-3,
        "warmup": 1,
        "save_every": 1,
        "workers": 0,
        "bf16": False,
    }
    path = directory / "pcrl.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


def posed_of(root: Path, tmp_path: Path, name: str, known: bool = False) -> PosedPrompts:
    config = load_config(config_file(root, tmp_path))
    studies, media = open_studies(config), open_media(config, [root / name])
    occurring = {topic: studies.occurring(topic) for topic in studies.topics}
    return PosedPrompts(media, pose(media, occurring, 1, known), 2, load_tokenizer(root / "start"), 1, 400)


def test_a_question_is_the_same_in_every_wording_but_for_order_and_words(root: Path, tmp_path: Path) -> None:
    prompts = posed_of(root, tmp_path, "unlabelled")
    assert len(prompts.posed) == 12, "one a study"
    for place, one in enumerate(prompts.posed):
        first, second = (prompts.draw(place * 2 + wording).mcq for wording in range(2))
        assert set(first.options) == set(second.options) == {*one.offered, NONE_OPTION}
        assert first.options[-1] == second.options[-1] == NONE_OPTION
        assert (first.correct, first.answer, first.finding) == (-1, "", ""), "nobody knows"
        assert first.options[:-1] != second.options[:-1], "a letter that is chosen twice is not the same option twice"


def test_questions_depend_on_the_media_and_never_on_what_is_true_of_a_study(root: Path, tmp_path: Path) -> None:
    prompts = posed_of(root, tmp_path, "unlabelled")
    rows = read_rows(root / "unlabelled" / SAMPLES, Sample)
    others = [row.model_copy(update={"findings": dict.fromkeys(row.findings), "numbers": {}}) for row in rows]
    write_rows(root / "unlabelled" / SAMPLES, others)
    try:
        again = posed_of(root, tmp_path, "unlabelled")
    finally:
        write_rows(root / "unlabelled" / SAMPLES, rows)
    assert again.posed == prompts.posed
    assert [again.draw(n).ids for n in range(24)] == [prompts.draw(n).ids for n in range(24)]


def test_a_sentinels_right_option_is_its_finding_or_none_of_the_others(root: Path, tmp_path: Path) -> None:
    prompts = posed_of(root, tmp_path, "sentinels", known=True)
    samples = prompts.studies.samples
    told = Counter(one.right(samples[one.study]) == NONE_OPTION for one in prompts.posed)
    for one in prompts.posed:
        truth = samples[one.study].findings[one.topic.key]
        assert truth in topics("cmr")[[t.key for t in topics("cmr")].index(one.topic.key)].findings
        assert one.right(samples[one.study]) == (truth if truth in one.offered else NONE_OPTION)
    assert told[False] > 0


def test_what_a_step_is_told_to_believe_is_rewarded_and_a_replayed_question_by_what_is_known(
    root: Path, tmp_path: Path
) -> None:
    posed = posed_of(root, tmp_path, "unlabelled")
    studies = open_studies(load_config(config_file(root, tmp_path)))
    replayed = StudyPrompts(studies, posed.tokenizer, 1, False, 400)
    prompts, one = StepPrompts(replayed, posed), posed.posed[3]
    prompts.step.update({0: (one.case, one.offered[0]), 1: None})
    believed, known = prompts.draw(0), prompts.draw(1)
    assert chose_right(believed.mcq, one.offered[0]) == 1.0 and chose_right(believed.mcq, NONE_OPTION) == 0.0
    assert known == replayed.draw(1) and known.mcq.correct >= 0
    prompts.step[0] = (one.case, NONE_OPTION)
    assert chose_right(prompts.draw(0).mcq, NONE_OPTION) == 1.0, "it is drawn anew for the next step"


def test_every_study_is_labelled_once_or_not_at_all_with_the_reason(root: Path, tmp_path: Path) -> None:
    output = train("pcrl-mcq", config_file(root, tmp_path), tmp_path / "expert", data_dir=tmp_path)
    lines = read_losses(tmp_path / "expert.losses.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    assert [line["records"] for line in lines if "labelled" in line] == [6, 6]
    labels = read_labels(output)
    assert len({one.case for one in labels}) == 12
    assert all((one.category is None) == bool(one.why) for one in labels)
    assert sum(one.category is not None for one in labels) > 0
    manifest = json.loads((output / "manifest.json").read_text())
    assert (manifest["stage"], manifest["modality"]) == ("pcrl-mcq", "cmr")
    assert manifest["command"].startswith("chordae learn pcrl ")
    assert list(manifest["lineage"]["unlabelled"]) == [str(root / "unlabelled")]


def test_patients_who_judge_or_are_replayed_are_not_learned_from_unlabelled(root: Path, tmp_path: Path) -> None:
    for changes in (
        {"unlabelled": [str(root / "train")]},
        {"unlabelled": [str(root / "sentinels")]},
        {"sentinels": [str(root / "train")]},
        {"held_out": [str(root / "unlabelled")]},
        {"held_out": [str(root / "train")]},
    ):
        with pytest.raises(BadInput, match="share no patient"):
            train("pcrl-mcq", config_file(root, tmp_path, **changes), tmp_path / "expert", data_dir=tmp_path)
    with pytest.raises(BadInput, match="there twice"):
        twice = [str(root / "unlabelled")] * 2
        train("pcrl-mcq", config_file(root, tmp_path, unlabelled=twice), tmp_path / "expert", data_dir=tmp_path)


def test_a_run_that_drifts_stops_itself_and_leaves_no_weights(root: Path, tmp_path: Path) -> None:
    brakes = {"entropy_change": 0.2, "sentinel_drop": 0.99, "pseudo_label_drop": 0.99, "prior_drift": 0.99}
    config = config_file(root, tmp_path, learning_rate=0.1, round_steps=4, brakes=brakes)
    with pytest.raises(LearningHalted):
        train("pcrl-mcq", config, tmp_path / "expert", data_dir=tmp_path)
    assert not (tmp_path / "expert").exists()


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_identical_losses(root: Path, tmp_path: Path) -> None:
    loose = {"entropy_change": 99, "sentinel_drop": 1, "pseudo_label_drop": 1, "prior_drift": 1}
    config = config_file(root, tmp_path, brakes=loose, round_steps=3)

    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    whole = run("pcrl-mcq", config, tmp_path / "unbroken" / "x")
    assert 4 <= len(run("pcrl-mcq", config, tmp_path / "killed" / "x", killed_after=4)) < 6
    assert run("pcrl-mcq", config, tmp_path / "killed" / "x") == whole
    assert np.isfinite([line["loss"] for line in whole]).all()
