"""Training: configuration files load, a run writes a checkpoint, a stopped run goes on where it was."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from chordae.cohort.questions import corpus
from chordae.learning import sft
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
encoder: {steps: 2, batch: 2, save_every: 1}
stages:
  - {name: reports, steps: 2, batch: 2, save_every: 1, reports: 1.0}
  - {name: questions, steps: 2, batch: 2, save_every: 1, questions: 0.7, matching: 0.2, blind: 0.1}
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
    assert manifest["metrics"]["mcq"]["asked"] == 4
    assert not (tmp_path / "out" / ".tiny.training").exists()


def test_a_stopped_run_goes_on_where_it_was(
    tiny: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    class Killed(Exception):
        pass

    whole = sft.train_language

    def killed_at_questions(model, tokenizer, stage, *rest):  # type: ignore[no-untyped-def]
        if stage.name == "questions":
            raise Killed
        whole(model, tokenizer, stage, *rest)

    monkeypatch.setattr(sft, "train_language", killed_at_questions)
    with pytest.raises(Exception, match=r"|Killed"):
        sft.train(tiny, tmp_path / "stopped" / "tiny")
    assert not (tmp_path / "stopped" / "tiny").exists(), "nothing half-written"
    monkeypatch.setattr(sft, "train_language", whole)
    capsys.readouterr()
    resumed = sft.train(tiny, tmp_path / "stopped" / "tiny")
    said = capsys.readouterr().out
    assert "encoder 2/2" not in said
    assert "reports 2/2" not in said
    assert "questions 2/2" in said
    unbroken = sft.train(tiny, tmp_path / "unbroken" / "tiny")
    first, second = (load_file(path / "model.safetensors") for path in (resumed, unbroken))
    for name in first:
        torch.testing.assert_close(first[name], second[name], rtol=1e-3, atol=1e-4)


def test_another_configuration_does_not_take_over_a_stopped_run(tiny: Path, tmp_path: Path) -> None:
    work = tmp_path / "out" / ".tiny.training"
    work.mkdir(parents=True)
    (work / "config.sha256").write_text("another")
    with pytest.raises(BadSettings, match="another configuration"):
        sft.train(tiny, tmp_path / "out" / "tiny")
