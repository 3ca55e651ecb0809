"""Training runs: files load, bad input is refused before work, a killed run goes on to the identical losses."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from killed_runs import run
from made_up import make_dataset
from safetensors.torch import load_file, save_file

from chordae.learning import checkpoint, sft
from chordae.learning.batches import IGNORED, ConversationCollator
from chordae.learning.config import Phase, SftConfig, load_config
from chordae.learning.launch import open_studies, prepare, train
from chordae.learning.run_config import SIDE
from chordae.learning.tracking import read_losses
from chordae.platform.errors import BadInput, BadSettings, ChordaeError

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "train").glob("*.yaml"))
SHAPE = "{vision_depth: 1, depth: 1, vision_width: 32, vision_heads: 1, vision_mlp: 32, width: 64, heads: 2, mlp: 64}"
LANGUAGE = f"""
type: sft
name: language
version: "0"
vocabulary: 600
shape: {SHAPE}
workers: 0
batch: 2
warmup: 1
save_every: 2
phases: [{{steps: 2, matching: 1}}, {{steps: 1, matching: 1, blind: 1, tasks: 1}}]
"""
STAGE = f"""
version: "0"
modality: echo
shape: {SHAPE}
size: [112, 112]
frames: 4
workers: 0
batch: 2
warmup: 1
save_every: 2
validation: 0.2
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("training")


@pytest.fixture(scope="module")
def dataset(root: Path) -> Path:
    return make_dataset(root / "echo-train", "echo", 24)


@pytest.fixture(scope="module")
def language(root: Path) -> Path:
    """A language model after three steps."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sft, "TOKENIZER_ROUNDS", 10)
        return train("sft", written(root / "language.yaml", LANGUAGE), root / "language", data_dir=root)


@pytest.fixture(scope="module")
def pretrained(root: Path, dataset: Path, language: Path) -> Path:
    """An encoder after three steps on that language model."""
    text = f"{STAGE}\ntype: pretrain\nname: seeing\nlanguage: {language}\ndatasets: [{dataset}]\nsteps: 3\n"
    return train("pretrain", written(root / "pretrain.yaml", text), root / "seeing", data_dir=root)


def written(path: Path, text: str) -> Path:
    path.write_text(text)
    return path


def sft_text(start: Path, dataset: Path, steps: int = 3, more: str = "") -> str:
    return (
        f"{STAGE}\ntype: sft\nname: answering\nstart: {start}\ndatasets: [{dataset}]\n"
        f"phases: [{{steps: {steps}, reports: 1, questions: 1, matching: 1}}]\n{more}"
    )


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_training_file_loads(path: Path) -> None:
    config = load_config(path)
    assert config.steps > 0
    if config.modality and "nano" in config.name:
        assert config.size and not any(side % SIDE for side in config.size)
        assert config.held_out, "an expert's files name the test set"


def test_an_unknown_key_is_refused_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="stepz") as refusal:
        load_config(written(tmp_path / "wrong.yaml", LANGUAGE + "stepz: 3\n"))
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_a_file_of_another_stage_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="chordae train sft"):
        train("pretrain", written(tmp_path / "language.yaml", LANGUAGE), tmp_path / "out", data_dir=tmp_path)


def test_only_answers_are_learned_and_a_row_is_a_function_of_its_number(dataset: Path, pretrained: Path) -> None:
    config = load_config(written(dataset.parent / "rows.yaml", sft_text(pretrained, dataset)))
    tokenizer = checkpoint.load_tokenizer(pretrained)
    phases = (Phase(steps=1, reports=1.0, questions=1.0),)
    collator = ConversationCollator(tokenizer, phases, 2, 1, open_studies(config), "echo", augment=True)
    batch = collator([{"row": 0}, {"row": 1}])
    assert batch["pixel_values_videos"].shape == (2 * 128, 1176)
    assert batch["video_grid_thw"].tolist() == [[2, 8, 8]] * 2
    assert batch["second_per_grid_ts"].tolist() == [0.5, 0.5], "8 frames at 8 a second, 4 of them seen, 2 a patch"
    assert (batch["mm_token_type_ids"] == 2).sum() == 2 * 32
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        learned = tokenizer.decode(ids[labels != IGNORED])
        assert learned.endswith("<|im_end|>")
        assert "?" not in learned
        assert "<|im_start|>" not in learned
    again = collator([{"row": 0}, {"row": 1}])
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_the_chain_of_stages_leaves_a_checkpoint_that_says_what_made_it(
    dataset: Path, language: Path, pretrained: Path, root: Path
) -> None:
    path = written(root / "chain.yaml", sft_text(pretrained, dataset))
    output = train("sft", path, root / "chain", data_dir=root)
    before, after = load_file(pretrained / "model.safetensors"), load_file(output / "model.safetensors")
    assert before.keys() == after.keys()
    assert all(not torch.equal(before[name], value) for name, value in after.items() if value.ndim > 1)
    manifest = json.loads((output / "manifest.json").read_text())
    config = load_config(path)
    assert (manifest["name"], manifest["modality"], manifest["stage"]) == ("answering", "echo", "sft")
    assert manifest["command"] == f"chordae train sft --config {path} --output {output}"
    lineage = manifest["lineage"]
    assert lineage["config"] == config.digest()
    assert list(lineage["datasets"]) == [str(dataset)]
    assert lineage["start"]["name"] == "seeing"
    assert lineage["start"]["lineage"]["language"]["name"] == "language"
    assert manifest["seen"] == {"size": [112, 112], "frames": 4}
    assert manifest["metrics"]["steps"] == 3
    assert not (root / ".chain.training").exists()
    assert [line["step"] for line in read_losses(root / "chain.losses.jsonl")] == [1, 2, 3]


def test_the_language_model_is_taken_over_and_left_alone_while_the_encoder_learns(
    language: Path, pretrained: Path
) -> None:
    spoken, seeing = load_file(language / "model.safetensors"), load_file(pretrained / "model.safetensors")
    for name, value in seeing.items():
        if not name.startswith("visual."):
            assert torch.equal(spoken[name], value), name
        elif value.ndim > 1:
            assert not torch.equal(spoken[name], value), name


# --- resuming


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["pretrain", "sft"])
def test_a_killed_run_goes_on_to_the_identical_losses_weights_and_record(
    kind: str, dataset: Path, language: Path, pretrained: Path, tmp_path: Path
) -> None:
    if kind == "sft":
        text = sft_text(pretrained, dataset, steps=8)
    else:
        text = f"{STAGE}\ntype: pretrain\nname: seeing\nlanguage: {language}\ndatasets: [{dataset}]\nsteps: 8\n"
    config = written(tmp_path / "run.yaml", text)
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    whole = run(kind, config, tmp_path / "unbroken" / "x")
    left = run(kind, config, tmp_path / "killed" / "x", killed_after=5)
    assert 5 <= len(left) < 8, "it was killed in the middle"
    resumed = run(kind, config, tmp_path / "killed" / "x")
    assert [line["step"] for line in whole] == list(range(1, 9))
    assert resumed == whole
    one, other = (load_file(tmp_path / name / "x" / "model.safetensors") for name in ("unbroken", "killed"))
    assert all(torch.equal(value, other[name]) for name, value in one.items())
    runs = recorded(tmp_path / "killed")
    assert len(runs) == 1, "one run, resumed"
    assert runs[0] == [(int(line["step"]), line["loss"]) for line in whole]


def recorded(directory: Path) -> list[list[tuple[int, float]]]:
    """The losses of every run in a tracking file, read past the registry."""
    import sqlite3

    with sqlite3.connect(directory / "mlflow.db") as database:
        rows = database.execute("select run_uuid, step, value from metrics where key = 'loss' order by step").fetchall()
    return [[(step, value) for run, step, value in rows if run == one] for one in sorted({row[0] for row in rows})]


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(tmp_path: Path) -> None:
    from chordae.learning.language import last_whole_step

    for step, state in ((2, "{}"), (4, '{"global_st'), (6, None)):
        (tmp_path / f"checkpoint-{step}").mkdir()
        if state is not None:
            (tmp_path / f"checkpoint-{step}" / "trainer_state.json").write_text(state)
    assert last_whole_step(tmp_path) == 2


def test_the_old_checkpoint_comes_back_if_a_kill_falls_between_two_renames(tmp_path: Path) -> None:
    checkpoint.previous(tmp_path / "model").mkdir()
    (checkpoint.previous(tmp_path / "model") / "README.md").write_text("the card")
    checkpoint.recover(tmp_path / "model")
    assert (tmp_path / "model" / "README.md").read_text() == "the card"


# --- refusals


def test_another_configuration_does_not_take_over_a_stopped_run(tmp_path: Path) -> None:
    work = tmp_path / ".out.training"
    work.mkdir()
    (work / "config.sha256").write_text("another")
    with pytest.raises(BadSettings, match="another configuration"):
        train("sft", written(tmp_path / "language.yaml", LANGUAGE), tmp_path / "out", data_dir=tmp_path)


def test_a_directory_with_something_else_in_it_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.txt").write_text("years of work")
    with pytest.raises(BadSettings, match="something else"):
        train("sft", written(tmp_path / "language.yaml", LANGUAGE), tmp_path / "out", data_dir=tmp_path)


def damaged(pretrained: Path, where: Path, how: str) -> Path:
    """A copy of a checkpoint that something happened to."""
    shutil.copytree(pretrained, where)
    weights, config = where / "model.safetensors", json.loads((where / "config.json").read_text())
    if how == "cut off":
        weights.write_bytes(weights.read_bytes()[:-1000])
    elif how == "no weights":
        weights.unlink()
    elif how == "another architecture":
        (where / "config.json").write_text(json.dumps(config | {"model_type": "llama"}))
    elif how == "another modality":
        manifest = json.loads((where / "manifest.json").read_text())
        (where / "manifest.json").write_text(json.dumps(manifest | {"modality": "cmr"}))
    elif how == "more tokens than embeddings":
        tokenizer = json.loads((where / "tokenizer.json").read_text())
        tokenizer["added_tokens"] += [
            {**tokenizer["added_tokens"][0], "id": 5000 + extra, "content": f"<|extra{extra}|>"} for extra in range(200)
        ]
        (where / "tokenizer.json").write_text(json.dumps(tokenizer))
    elif how == "no video token":
        text = (where / "tokenizer.json").read_text() + (where / "tokenizer_config.json").read_text()
        assert "<|video_pad|>" in text
        for name in ("tokenizer.json", "tokenizer_config.json"):
            (where / name).write_text((where / name).read_text().replace("<|video_pad|>", "<|film_pad|>"))
    elif how == "no tokenizer":
        (where / "tokenizer.json").unlink()
    elif how == "one weight missing":
        tensors = load_file(weights)
        tensors.pop("lm_head.weight")
        save_file(tensors, weights, metadata={"format": "pt"})
    return where


@pytest.mark.parametrize(
    ("how", "reason"),
    [
        ("cut off", "cut off"),
        ("no weights", "no weights"),
        ("another architecture", "llama"),
        ("another modality", "is for cmr"),
        ("more tokens than embeddings", "embeddings"),
        ("no video token", "video_pad"),
        ("no tokenizer", "tokenizer"),
    ],
)
def test_a_start_that_does_not_fit_is_refused_before_work(
    how: str, reason: str, pretrained: Path, dataset: Path, tmp_path: Path
) -> None:
    start = damaged(pretrained, tmp_path / "start", how)
    config = written(tmp_path / "sft.yaml", sft_text(start, dataset))
    with pytest.raises(ChordaeError, match=reason) as refusal:
        train("sft", config, tmp_path / "out", data_dir=tmp_path)
    assert "\n" not in str(refusal.value)
    assert not (tmp_path / ".out.training").exists()


def test_weights_that_lack_one_are_refused(pretrained: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="lm_head"):
        checkpoint.load_model(damaged(pretrained, tmp_path / "start", "one weight missing"))


def prepared(tmp_path: Path, pretrained: Path, dataset: Path, **changes: Any) -> None:
    config = load_config(written(tmp_path / "sft.yaml", sft_text(pretrained, dataset)))
    prepare(SftConfig.model_validate(config.model_dump() | changes))


def test_a_held_out_patient_in_the_training_data_is_refused(pretrained: Path, dataset: Path, tmp_path: Path) -> None:
    test_set = make_dataset(tmp_path / "test", "echo", 8, seed=5)
    prepared(tmp_path, pretrained, dataset, held_out=(test_set,))
    rows = (test_set / "samples.jsonl").read_text() + (dataset / "samples.jsonl").read_text().splitlines()[3] + "\n"
    (test_set / "samples.jsonl").write_text(rows)
    with pytest.raises(BadInput, match="share no patient"):
        prepared(tmp_path, pretrained, dataset, held_out=(test_set,))


def test_an_empty_dataset_and_one_of_another_modality_are_refused(
    pretrained: Path, dataset: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    (tmp_path / "empty" / "samples.jsonl").write_text("")
    for other, reason in ((tmp_path / "empty", "empty"), (make_dataset(tmp_path / "ecg", "ecg", 2), "no echo study")):
        with pytest.raises(BadInput, match=reason):
            prepared(tmp_path, pretrained, dataset, datasets=(other,))


def test_a_split_that_leaves_nothing_to_train_on_is_refused(pretrained: Path, dataset: Path, tmp_path: Path) -> None:
    with pytest.raises(BadInput, match="no study is left"):
        prepared(tmp_path, pretrained, dataset, validation=0.9999)


def test_a_tracking_server_that_is_down_is_refused_before_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "http://127.0.0.1:9")
    monkeypatch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
    with pytest.raises(BadSettings, match="MLFLOW_TRACKING_URI"):
        train("sft", written(tmp_path / "language.yaml", LANGUAGE), tmp_path / "out", data_dir=tmp_path)
