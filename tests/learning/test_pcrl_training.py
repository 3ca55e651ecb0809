"""PCRL trains on what it labelled itself, goes on after a kill as if nothing was, and stops itself when it drifts."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import yaml
from killed_runs import run
from reasoning import made_up_cases, make_case_dataset, make_guesser

from chordae.cohort.record_cases import read_cases
from chordae.learning.launch import train
from chordae.learning.pcrl.rounds import parts_of
from chordae.learning.pcrl.state import read_labels
from chordae.learning.pcrl.unlabelled import RECORDS, Unlabelled, write_unlabelled
from chordae.learning.tracking import read_losses
from chordae.platform.diagnosis.record import Finding
from chordae.platform.errors import BadInput, BadSettings, LearningHalted
from chordae.platform.registry.version import sha256


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("pcrl")
    make_case_dataset(root / "train", 60, 1)
    make_case_dataset(root / "sentinels", 16, 2)
    records = [
        Unlabelled(id=f"{place:032x}", site="north", record=case.record)
        for place, case in enumerate(made_up_cases(12, 3))
    ]
    write_unlabelled(root / "records", records)
    make_guesser(root / "start", read_cases(root / "train"))
    return root


def config_file(root: Path, directory: Path, **changes: object) -> Path:
    values: dict[str, object] = {
        "type": "pcrl",
        "name": "reasoner",
        "version": "0",
        "start": str(root / "start"),
        "cases": [str(root / "train")],
        "unlabelled": [str(root / "records")],
        "sentinels": [str(root / "sentinels")],
        "most_sentinels": 8,
        "rounds": 2,
        "round_steps": 2,
        "answers": 4,
        "wordings": 2,
        # a guesser has no chain, and says something else each time
        "abstention": {"least_margin": 0, "most_unfaithful": 1},
        "brakes": None,
        "rewards": {"longest": 100},
        "batch": 16,
        "group": 4,
        "prompt_tokens": 1024,
        "answer_tokens": 10,
        "learning_rate": 1.0e-3,
        "warmup": 1,
        "save_every": 1,
        "workers": 0,
        "bf16": False,
    }
    path = directory / "pcrl.yaml"
    path.write_text(yaml.safe_dump(values | changes))
    return path


def test_records_are_labelled_once_each_and_what_is_unsettled_is_not_trained_on(root: Path, tmp_path: Path) -> None:
    output = train("pcrl", config_file(root, tmp_path), tmp_path / "reasoner", data_dir=tmp_path)
    lines = read_losses(tmp_path / "reasoner.losses.jsonl")
    assert [line["step"] for line in lines] == [1, 2, 3, 4]
    began = [line for line in lines if "labelled" in line]
    assert [line["step"] for line in began] == [1, 3], "each round labels its part before it trains"
    assert [line["records"] for line in began] == [6, 6]
    manifest = json.loads((output / "manifest.json").read_text())
    metrics = manifest["metrics"]
    assert metrics["records"] == 12
    assert metrics["labelled"] == sum(line["labelled"] for line in began)
    abstained = [value for name, value in metrics.items() if name.startswith("abstained.")]
    assert metrics["labelled"] == 12 or sum(abstained) >= 12 - metrics["labelled"]
    assert (manifest["stage"], manifest["kind"]) == ("pcrl", "reasoner")
    assert manifest["command"].startswith("chordae learn pcrl ")
    labels = read_labels(output)
    assert len({one.case for one in labels}) == 12
    assert sum(one.category is not None for one in labels) == metrics["labelled"]
    unlabelled = manifest["lineage"]["unlabelled"]
    assert unlabelled == {str(root / "records"): sha256(root / "records" / RECORDS)}


def test_a_record_longer_than_a_prompt_may_be_gets_no_label_and_stops_nothing(root: Path, tmp_path: Path) -> None:
    case = made_up_cases(1, 9)[0]
    lines = tuple(Finding(number=number, text=f"Enhancement in segment {number}") for number in range(1, 300))
    long = Unlabelled(id="f" * 32, site="north", record=case.record.model_copy(update={"description": lines}))
    write_unlabelled(tmp_path / "records", [long])
    both = [str(root / "records"), str(tmp_path / "records")]
    output = train("pcrl", config_file(root, tmp_path, unlabelled=both), tmp_path / "reasoner", data_dir=tmp_path)
    (label,) = (one for one in read_labels(output) if one.case == long.id)
    assert (label.category, label.why) == (None, ("too long",))
    assert len(read_labels(output)) == 13


def test_too_few_sentinels_for_a_brake_are_refused_before_work(root: Path, tmp_path: Path) -> None:
    config = config_file(root, tmp_path, brakes={}, most_sentinels=5)
    with pytest.raises(BadSettings, match="5 sentinels are watched"):
        train("pcrl", config, tmp_path / "reasoner", data_dir=tmp_path)
    assert not (tmp_path / "reasoner").exists()


def test_every_record_is_in_one_round_whatever_the_order_it_came_in() -> None:
    ids = [f"{number:04d}" for number in range(103)]
    parts = parts_of(ids, 4, seed=1)
    assert sorted(one for part in parts for one in part) == ids
    assert max(map(len, parts)) - min(map(len, parts)) <= 1
    assert parts_of(ids[::-1], 4, seed=1) == parts
    assert parts_of(ids, 4, seed=2) != parts


def test_without_any_label_a_round_replays_labelled_cases_alone(root: Path, tmp_path: Path) -> None:
    config = config_file(root, tmp_path, abstention={"least_margin": 1.0, "most_unfaithful": 0})
    output = train("pcrl", config, tmp_path / "reasoner", data_dir=tmp_path)
    metrics = json.loads((output / "manifest.json").read_text())["metrics"]
    assert metrics["labelled"] == 0
    assert metrics["abstained.unfaithful chains"] + metrics.get("abstained.no winner", 0) == 12


@pytest.mark.parametrize("labels", ["majority", "greedy"])
def test_the_ways_it_is_compared_with_label_every_record_that_gets_an_answer(
    root: Path, tmp_path: Path, labels: str
) -> None:
    config = config_file(root, tmp_path, labels=labels)
    output = train("pcrl", config, tmp_path / "reasoner", data_dir=tmp_path)
    metrics = json.loads((output / "manifest.json").read_text())["metrics"]
    assert metrics["labelled"] + metrics.get("abstained.no winner", 0) == 12
    assert metrics["labelled"] > 0 or labels == "greedy", "a guesser's likeliest answer may be none"


def test_a_run_that_drifts_stops_itself_says_why_and_leaves_no_weights(root: Path, tmp_path: Path) -> None:
    """A rate far too high: the answers become noise."""
    brakes = {"entropy_change": 0.2, "sentinel_drop": 0.99, "pseudo_label_drop": 0.99, "prior_drift": 0.99}
    config = config_file(root, tmp_path, learning_rate=0.03, warmup=1, round_steps=4, brakes=brakes)
    with pytest.raises(LearningHalted, match="entropy went from"):
        train("pcrl", config, tmp_path / "reasoner", data_dir=tmp_path)
    assert not (tmp_path / "reasoner").exists()
    with pytest.raises(LearningHalted, match="entropy went from"):
        train("pcrl", config, tmp_path / "reasoner", data_dir=tmp_path)


def test_weights_that_are_no_numbers_any_more_stop_a_run_though_it_has_no_brakes(root: Path, tmp_path: Path) -> None:
    with pytest.raises(LearningHalted, match=r"no (finite )?numbers any more"):
        train("pcrl", config_file(root, tmp_path, learning_rate=1e30), tmp_path / "reasoner", data_dir=tmp_path)
    assert not (tmp_path / "reasoner").exists()


def test_brakes_let_a_run_pass_that_stays_where_it_was(root: Path, tmp_path: Path) -> None:
    config = config_file(root, tmp_path, learning_rate=1e-9, brakes={})
    assert train("pcrl", config, tmp_path / "reasoner", data_dir=tmp_path).is_dir()


def test_a_record_that_is_labelled_too_is_refused_before_work(root: Path, tmp_path: Path) -> None:
    twice = [str(root / "records"), str(root / "records")]
    with pytest.raises(BadInput, match="twice"):
        train("pcrl", config_file(root, tmp_path, unlabelled=twice), tmp_path / "reasoner", data_dir=tmp_path)
    with pytest.raises(BadInput, match="held out"):
        shared = config_file(root, tmp_path, sentinels=[str(root / "train")])
        train("pcrl", shared, tmp_path / "reasoner", data_dir=tmp_path)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_identical_losses(root: Path, tmp_path: Path) -> None:
    """In the second round, whose labels were given by weights that are gone."""
    loose = {"entropy_change": 99, "sentinel_drop": 1, "pseudo_label_drop": 1, "prior_drift": 1}
    config = config_file(root, tmp_path, brakes=loose, round_steps=3)
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    whole = run("pcrl", config, tmp_path / "unbroken" / "x")
    left = run("pcrl", config, tmp_path / "killed" / "x", killed_after=4)
    assert 4 <= len(left) < 6, "it was killed in the middle"
    assert run("pcrl", config, tmp_path / "killed" / "x") == whole
