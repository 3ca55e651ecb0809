"""Stage 3: a rewarded option is preferred, a killed run goes on as if nothing was, what the model is given is right."""

import json
import math
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from killed_runs import run
from letter_guesser import SHAPE, make_letter_guesser
from made_up import make_dataset
from scipy.stats import mannwhitneyu

from chordae.learning import checkpoint
from chordae.learning.config import load_config
from chordae.learning.launch import open_studies, prepare, train
from chordae.learning.nano import SPECIAL_TOKENS, build_model
from chordae.learning.rollout import Prompts, StudyPrompts, encoded_once, sample_answers
from chordae.learning.tracking import read_losses
from chordae.platform.errors import BadInput, BadSettings

CPU = torch.device("cpu")
GRPO = """
type: grpo
name: rewarded
version: "0"
modality: cmr
start: {start}
datasets: [{dataset}]
size: [56, 56]
frames: 4
workers: 0
steps: {steps}
batch: 64
group: 8
answer_tokens: 3
prompt_tokens: 400
learning_rate: 1.0e-3
warmup: 2
save_every: 2
bf16: false
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("grpo")


@pytest.fixture(scope="module")
def dataset(root: Path) -> Path:
    return make_dataset(root / "cmr-train", "cmr", 24)


@pytest.fixture(scope="module")
def start(root: Path, dataset: Path) -> Path:
    return make_letter_guesser(root / "start", dataset)


def config_file(root: Path, start: Path, dataset: Path, steps: int = 8, more: str = "") -> Path:
    path = root / f"grpo-{steps}.yaml"
    path.write_text(GRPO.format(start=start, dataset=dataset, steps=steps) + more)
    return path


def prompts_of(root: Path, start: Path, dataset: Path, limit: int = 400) -> Prompts:
    studies = open_studies(load_config(config_file(root, start, dataset)))
    return StudyPrompts(studies, checkpoint.load_tokenizer(start), 7, True, limit)


@pytest.mark.slow
def test_the_rewarded_option_becomes_likelier(root: Path, start: Path, dataset: Path) -> None:
    """A blind guesser learns that "None of the other options" (D) is right in two questions of three."""
    output = train("grpo", config_file(root, start, dataset, 40, "save_every: 20\n"), root / "rewarded", data_dir=root)
    lines = read_losses(root / "rewarded.losses.jsonl")
    first, last = ([line["reward"] for line in part] for part in (lines[:12], lines[-12:]))
    assert mannwhitneyu(last, first, alternative="greater").pvalue < 1e-3
    assert np.mean(last) > np.mean(first) + 0.2
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-6), "the reference is the start checkpoint"
    assert all(math.isfinite(line["kl"]) and line["kl"] >= 0 for line in lines)
    assert lines[-1]["kl"] > 1e-3
    manifest = json.loads((output / "manifest.json").read_text())
    assert manifest["stage"] == "grpo"
    assert manifest["lineage"]["start"]["name"] == "start"
    assert manifest["metrics"]["reward"] == pytest.approx(np.mean([line["reward"] for line in lines[-20:]]), abs=1e-4)


@pytest.mark.slow
def test_a_killed_run_goes_on_to_the_identical_rewards_and_losses(start: Path, dataset: Path, tmp_path: Path) -> None:
    config = config_file(tmp_path, start, dataset, steps=8)
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    whole = run("grpo", config, tmp_path / "unbroken" / "x")
    left = run("grpo", config, tmp_path / "killed" / "x", killed_after=5)
    assert 5 <= len(left) < 8, "it was killed in the middle"
    assert run("grpo", config, tmp_path / "killed" / "x") == whole
    assert [line["step"] for line in whole] == list(range(1, 9))
    assert len({line["reward"] for line in whole}) > 1


def test_a_start_of_another_architecture_or_modality_is_refused_before_work(
    start: Path, dataset: Path, tmp_path: Path
) -> None:
    other = tmp_path / "other"
    other.mkdir()
    for path in start.iterdir():
        (other / path.name).write_bytes(path.read_bytes())
    told = json.loads((other / "config.json").read_text())
    (other / "config.json").write_text(json.dumps(told | {"model_type": "llama"}))
    with pytest.raises(BadInput, match="llama"):
        train("grpo", config_file(tmp_path, other, dataset), tmp_path / "x", data_dir=tmp_path)
    (other / "config.json").write_text(json.dumps(told))
    (other / "manifest.json").write_text('{"name": "x", "version": "0", "modality": "echo"}')
    with pytest.raises(BadInput, match="is for echo"):
        prepare(load_config(config_file(tmp_path, other, dataset)))
    assert not (tmp_path / ".x.training").exists()


@pytest.mark.parametrize(
    ("more", "why"), [("group: 7\n", "whole groups of 7"), ("muon_learning_rate: 0.1\n", "muon"), ("kl: -1\n", "kl")]
)
def test_a_file_that_cannot_be_run_is_refused(more: str, why: str, tmp_path: Path) -> None:
    path = config_file(tmp_path, tmp_path, tmp_path)
    path.write_text(path.read_text().replace("group: 8\n", "") + more)
    with pytest.raises(BadSettings, match=why):
        load_config(path)


def test_a_prompt_is_a_function_of_its_number(root: Path, start: Path, dataset: Path) -> None:
    one, again = (prompts_of(root, start, dataset).draw(3) for _ in range(2))
    assert one.ids == again.ids
    assert np.array_equal(one.seen.pixels, again.seen.pixels)
    assert prompts_of(root, start, dataset).draw(4).ids != one.ids


def test_prompts_are_spread_evenly_over_topics_and_findings_and_ask_of_training_studies(
    root: Path, start: Path, dataset: Path
) -> None:
    prompts = prompts_of(root, start, dataset)
    asked = [prompts.draw(number).mcq for number in range(1200)]
    by_topic = Counter(mcq.topic for mcq in asked)
    assert max(by_topic.values()) < 1.35 * min(by_topic.values())
    lv = Counter(mcq.finding for mcq in asked if mcq.topic == "lv_function")
    assert len(lv) == 4
    assert max(lv.values()) < 1.7 * min(lv.values())
    trained = {prompts.studies.samples[number].findings["lv_function"] for number in prompts.studies.training}
    assert set(lv) <= trained


def test_a_prompt_that_is_too_long_is_refused(root: Path, start: Path, dataset: Path) -> None:
    with pytest.raises(BadSettings, match="more than 20"):
        prompts_of(root, start, dataset, limit=20).draw(0)


def test_answers_have_the_log_probabilities_that_the_model_gives_them_one_by_one(
    root: Path, start: Path, dataset: Path
) -> None:
    """Shared pictures, shared prefixes and padding change nothing: each answer is scored again alone, whole."""
    prompts, model = prompts_of(root, start, dataset), checkpoint.load_model(start)
    numbers = [0, 1, 2]
    generator = torch.Generator().manual_seed(0)
    answers = sample_answers(model, prompts.inputs(numbers, CPU), 4, prompts.sampling(5, 1.0), generator)
    assert len(answers) == 12
    assert any(len(answer.ids) < 5 for answer in answers)
    for place, answer in enumerate(answers):
        inputs = prompts.inputs([numbers[place // 4]], CPU)
        ids = torch.cat([inputs["input_ids"], torch.tensor([answer.ids])], 1)
        inputs |= {
            "input_ids": ids,
            "attention_mask": torch.ones_like(ids),
            "mm_token_type_ids": prompts.token_types(ids),
        }
        with torch.no_grad():
            logprobs = model(**inputs).logits[0, -len(answer.ids) - 1 : -1].log_softmax(-1)
        expected = logprobs[range(len(answer.ids)), answer.ids]
        torch.testing.assert_close(torch.tensor(answer.logprobs), expected, atol=2e-5, rtol=1e-4)


def test_a_vision_token_is_never_drawn_and_nothing_follows_the_end(root: Path, start: Path, dataset: Path) -> None:
    prompts = prompts_of(root, start, dataset)
    untrained = build_model(prompts.tokenizer, SHAPE)  # each of 512 tokens about equally likely
    inputs, generator = prompts.inputs([0], CPU), torch.Generator().manual_seed(0)
    answers = sample_answers(untrained, inputs, 256, prompts.sampling(6, 1.0), generator)
    vision = set(prompts.tokenizer.convert_tokens_to_ids([token for token in SPECIAL_TOKENS if "vision" in token]))
    vision |= set(prompts.tokenizer.convert_tokens_to_ids(["<|image_pad|>", "<|video_pad|>"]))
    drawn = [token for answer in answers for token in answer.ids]
    assert not vision & set(drawn)
    assert len(set(drawn)) > 300
    assert all(prompts.tokenizer.eos_token_id not in answer.ids[:-1] for answer in answers)


def test_encoding_a_shared_video_once_gives_the_gradients_of_encoding_it_for_every_row(
    root: Path, start: Path, dataset: Path
) -> None:
    prompts, model = prompts_of(root, start, dataset), checkpoint.load_model(start)
    rows = [0, 1, 0, 0]
    inputs = prompts.inputs(rows, CPU)
    gradients = []
    for shared in (False, True):
        model.zero_grad()
        if shared:
            inputs["pixel_values_videos"] = prompts.media([0, 1], CPU)["pixel_values_videos"]
            with encoded_once(model, rows, "cmr"):
                logits = model(**inputs).logits
        else:
            logits = model(**inputs).logits
        logits.square().mean().backward()
        gradients.append([one.grad.clone() for one in model.parameters() if one.grad is not None])
    for apart, together in zip(*gradients, strict=True):
        torch.testing.assert_close(together, apart, rtol=1e-3, atol=1e-6)
