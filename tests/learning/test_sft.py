"""Training: configuration files load, a run writes a checkpoint, a stopped run goes on where it was."""

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from chordae.cohort.questions import corpus
from chordae.learning import language, sft
from chordae.learning.batches import IGNORED, ConversationCollator
from chordae.learning.config import LanguageStage, load_config
from chordae.learning.nano import build_model, build_tokenizer
from chordae.platform.errors import BadSettings

CONFIGS = sorted((Path(__file__).parents[2] / "configs" / "train").glob("*.yaml"))
TINY = """
type: sft
name: tiny
version: "0"
vocabulary: 600
workers: 0
loader_workers: 0
encoder: {steps: 2, batch: 2, save_every: 1, warmup: 1}
stages:
  - {name: reports, steps: 2, batch: 2, save_every: 1, warmup: 1, reports: 1.0}
  - {name: questions, steps: 3, batch: 2, save_every: 1, warmup: 1, questions: 0.7, matching: 0.2, blind: 0.1}
evaluate: 4
"""


@pytest.fixture
def tiny(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setattr(sft, "TOKENIZER_ROUNDS", 20)
    path = tmp_path / "tiny.yaml"
    path.write_text(TINY)
    return path


@pytest.mark.parametrize("path", CONFIGS, ids=lambda path: path.name)
def test_every_training_file_loads(path: Path) -> None:
    assert load_config(path).encoder.steps > 0


def test_an_unknown_key_is_refused_in_one_line(tmp_path: Path) -> None:
    path = tmp_path / "wrong.yaml"
    path.write_text(TINY + "stepz: 3\n")
    with pytest.raises(BadSettings, match="stepz") as refusal:
        load_config(path)
    assert "\n" not in str(refusal.value)


def test_a_missing_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match=r"nowhere\.yaml"):
        load_config(tmp_path / "nowhere.yaml")


def test_only_answers_are_learned() -> None:
    tokenizer = build_tokenizer(corpus(np.random.default_rng(0), 60))
    stage = LanguageStage(name="x", steps=1, reports=0.5, questions=0.5)  # type: ignore[call-arg]
    collator = ConversationCollator(tokenizer, stage, (1, 2), (336, 224))
    batch = collator([{"row": 0}, {"row": 1}])
    assert batch["pixel_values"].shape == (2 * 384, 1176)
    for ids, labels in zip(batch["input_ids"], batch["labels"], strict=True):
        learned = tokenizer.decode(ids[labels != IGNORED])
        assert learned.endswith("<|im_end|>")
        assert "?" not in learned
        assert "<|im_start|>" not in learned
    again = collator([{"row": 0}, {"row": 1}])
    assert all(torch.equal(batch[name], again[name]) for name in batch)


def test_a_run_changes_every_weight_and_says_what_made_it(tiny: Path, tmp_path: Path) -> None:
    output = sft.train(tiny, tmp_path / "out" / "tiny")
    trained = load_file(output / "model.safetensors")
    config = load_config(tiny)
    tokenizer = build_tokenizer(corpus(np.random.default_rng(config.seed), 20), config.vocabulary)
    torch.manual_seed(config.seed)
    fresh = build_model(tokenizer).state_dict()
    fresh_by_shape = [value for value in fresh.values() if value.ndim > 1]  # the file has older names for them
    assert sum(value.ndim > 1 for value in trained.values()) == len(fresh_by_shape)
    for value in trained.values():
        assert value.ndim == 1 or not any(torch.equal(value, other) for other in fresh_by_shape)
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["name"] == "tiny"
    assert manifest["picture"] == [336, 224]
    assert manifest["created_from"] == config.digest()
    assert manifest["command"] == f"chordae train sft --config {tiny} --output {output}"
    assert manifest["metrics"]["mcq"]["asked"] == 4
    assert not (tmp_path / "out" / ".tiny.training").exists()


class Killed(Exception):
    """Stands in for a SIGKILL: nothing of ours catches it."""


@pytest.fixture
def killed(tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Where a run was killed once the questions stage had saved its second of three steps."""

    def die(self: Any, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        if Path(args.output_dir).name == "questions" and state.global_step == 2:
            raise Killed

    output = tmp_path / "stopped" / "tiny"
    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(language._Report, "on_save", die)
        sft.train(tiny, output)
    assert not output.exists(), "nothing half-written"
    return output


@pytest.fixture
def unbroken(tiny: Path, tmp_path: Path) -> dict[str, torch.Tensor]:
    return load_file(sft.train(tiny, tmp_path / "unbroken" / "tiny") / "model.safetensors")


def assert_same_weights(output: Path, expected: dict[str, torch.Tensor]) -> None:
    """To far less than one step moves them."""
    found = load_file(output / "model.safetensors")
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        torch.testing.assert_close(
            found[name], value, rtol=1e-5, atol=1e-6, msg=lambda text, name=name: f"{name}: {text}"
        )


def test_a_stopped_run_goes_on_from_the_last_step_it_saved(
    tiny: Path, killed: Path, unbroken: dict[str, torch.Tensor], capsys: pytest.CaptureFixture[str]
) -> None:
    capsys.readouterr()
    resumed = sft.train(tiny, killed)
    said = capsys.readouterr().out
    assert "encoder 2/2" not in said
    assert "reports 2/2" not in said
    assert "questions 3/3" in said
    assert_same_weights(resumed, unbroken)


def test_a_checkpoint_that_a_kill_left_half_written_is_passed_over(
    tiny: Path, killed: Path, unbroken: dict[str, torch.Tensor]
) -> None:
    work = killed.parent / ".tiny.training" / "questions"
    half = shutil.copytree(work / "checkpoint-2", work / "checkpoint-3")
    (half / "trainer_state.json").unlink()
    (half / "optimizer.pt").unlink()
    weights = (half / "model.safetensors").read_bytes()
    (half / "model.safetensors").write_bytes(weights[: len(weights) // 2])
    assert_same_weights(sft.train(tiny, killed), unbroken)


def test_no_resume_starts_anew(tiny: Path, killed: Path, capsys: pytest.CaptureFixture[str]) -> None:
    capsys.readouterr()
    sft.train(tiny, killed, resume=False)
    assert "encoder 2/2" in capsys.readouterr().out


def test_the_old_checkpoint_stays_until_the_new_one_is_complete(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    output = tmp_path / "out" / "tiny"
    output.mkdir(parents=True)
    (output / "README.md").write_text("the card")
    (output / "old").touch()
    rename = Path.rename

    def killed_between(self: Path, target: Path) -> Path:
        if self.name == ".tiny.staged":
            raise Killed
        return rename(self, target)

    with monkeypatch.context() as patch, pytest.raises(Killed):
        patch.setattr(Path, "rename", killed_between)
        sft.train(tiny, output)
    assert not output.exists()
    sft._recover(output)
    assert (output / "old").exists()
    sft.train(tiny, output)
    assert not (output / "old").exists()
    assert (output / "README.md").read_text() == "the card"
    assert [path.name for path in output.parent.iterdir()] == ["tiny"]


def test_another_configuration_does_not_take_over_a_stopped_run(tiny: Path, tmp_path: Path) -> None:
    work = tmp_path / "out" / ".tiny.training"
    work.mkdir(parents=True)
    (work / "config.sha256").write_text("another")
    with pytest.raises(BadSettings, match="another configuration"):
        sft.train(tiny, tmp_path / "out" / "tiny")
