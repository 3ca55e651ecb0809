"""MA-GRPO: rounds end in assessments, the curriculum decides what is asked, a killed run goes on as if nothing was."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from killed_runs import run
from reasoning import make_case_dataset, make_guesser

from chordae.cohort.record_cases import read_cases
from chordae.learning import checkpoint
from chordae.learning.config import MaGrpoConfig, load_config
from chordae.learning.curriculum.rounds import Curriculum
from chordae.learning.curriculum.samplers.thompson import sample_thompson
from chordae.learning.launch import prepare, train
from chordae.learning.ma_grpo import begin_curriculum, make_trainer
from chordae.learning.reasoner_cases import Cases
from chordae.learning.reasoner_rollouts import padded
from chordae.learning.rollout import sample_answers
from chordae.learning.tracking import read_losses
from chordae.platform.errors import BadInput, BadSettings

CPU = torch.device("cpu")
MA_GRPO = """
type: ma-grpo
name: reasoner
version: "0"
start: {start}
cases: [{cases}]
development: [{development}]
rounds: 2
curriculum:
  round_prompts: {prompts}
  small_below: 4
  filter: {{type: zero-variance, resamplings: 1}}
  advantage: {{type: {advantage}}}
  rewards: {{longest: 100}}
batch: 16
group: 4
prompt_tokens: 1024
answer_tokens: 10
learning_rate: 1.0e-3
warmup: 2
save_every: 1
workers: 0
bf16: false
"""


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    root = tmp_path_factory.mktemp("ma-grpo")
    make_case_dataset(root / "train", 60, 1)
    make_case_dataset(root / "development", 16, 2)
    make_guesser(root / "start", read_cases(root / "train"))
    return root


def config_file(root: Path, directory: Path, prompts: int = 12, advantage: str = "grpo") -> Path:
    path = directory / "ma-grpo.yaml"
    path.write_text(
        MA_GRPO.format(
            start=root / "start",
            cases=root / "train",
            development=root / "development",
            prompts=prompts,
            advantage=advantage,
        )
    )
    return path


def config_of(root: Path, directory: Path, advantage: str = "grpo") -> MaGrpoConfig:
    config = load_config(config_file(root, directory, advantage=advantage))
    assert isinstance(config, MaGrpoConfig)
    return config


def cases_of(config: MaGrpoConfig) -> Cases:
    assert config.start is not None
    return Cases(config.cases, checkpoint.load_tokenizer(Path(config.start)), "en", config.prompt_tokens)


def test_rounds_end_in_an_assessment_that_moves_the_posteriors(root: Path, tmp_path: Path) -> None:
    output = train("ma-grpo", config_file(root, tmp_path), tmp_path / "reasoner", data_dir=tmp_path)
    lines = read_losses(tmp_path / "reasoner.losses.jsonl")
    assert [line["step"] for line in lines] == list(range(1, 7))
    assessed = [line for line in lines if "accuracy" in line]
    assert [line["step"] for line in assessed] == [3, 6]
    accuracy = assessed[0]["accuracy.amyloidosis"]
    assert assessed[0]["posterior.amyloidosis"] == pytest.approx((1 + 2 * accuracy) / 4), "two cases of each class"
    assert sum(value for name, value in assessed[0].items() if name.startswith("quota.")) == 12
    assert all(
        {"reward.format", "reward.answer", "reward.cosine", "kl", "answer_tokens"} <= line.keys() for line in lines
    )
    assert lines[0]["kl"] == pytest.approx(0, abs=1e-6), "the reference is the start checkpoint"
    assert len({line["reward"] for line in lines}) > 1
    manifest = json.loads((output / "manifest.json").read_text())
    assert (manifest["stage"], manifest["kind"], manifest["modality"]) == ("ma-grpo", "reasoner", None)
    replaced = sum(line["replaced"] for line in lines)
    assert manifest["metrics"]["rollouts"] == 6 * 16 + 4 * replaced
    assert manifest["lineage"]["datasets"].keys() == {str(root / "train")}


@pytest.mark.slow
def test_a_run_killed_twice_goes_on_to_the_identical_losses_and_curriculum(root: Path, tmp_path: Path) -> None:
    """In the first round, and in the second: rewards, losses, quotas and posteriors are those of an unbroken run."""
    config = config_file(root, tmp_path)
    for name in ("unbroken", "killed"):
        (tmp_path / name).mkdir()
    whole = run("ma-grpo", config, tmp_path / "unbroken" / "x")
    for killed_after in (2, 4):
        left = run("ma-grpo", config, tmp_path / "killed" / "x", killed_after)
        assert killed_after <= len(left) < 6, "it was killed in the middle"
    assert run("ma-grpo", config, tmp_path / "killed" / "x") == whole
    one, other = (json.loads((tmp_path / name / "x" / "manifest.json").read_text()) for name in ("unbroken", "killed"))
    assert one["metrics"] == other["metrics"]


def test_the_curriculum_of_a_checkpoint_is_taken_over_and_other_cases_are_refused(root: Path, tmp_path: Path) -> None:
    config = config_of(root, tmp_path)
    training = cases_of(config)
    begun = begin_curriculum(config, training, None)
    first = begun.begin_round(12)
    begun.take(4)
    begun.state.write(tmp_path)
    again = begin_curriculum(config, training, tmp_path)
    assert again.take(8) == first.ids[4:]
    assert again.extra(5) == begun.extra(5)
    training.categories.popitem()
    with pytest.raises(BadSettings, match="not those"):
        begin_curriculum(config, training, tmp_path)


def test_answers_have_the_log_probabilities_that_the_model_gives_them_one_by_one(root: Path, tmp_path: Path) -> None:
    """Shared prefixes, padding and positions change nothing: each answer is scored again alone, whole."""
    config = config_of(root, tmp_path)
    training, model = cases_of(config), checkpoint.load_model(root / "start")
    prompts = [training.prompt(example) for example in list(training.categories)[:3]]
    assert len({len(prompt) for prompt in prompts}) > 1
    inputs = padded(prompts, training.tokenizer.pad_token_id, CPU)
    answers = sample_answers(model, inputs, 4, training.sampling(config), torch.Generator().manual_seed(0))
    assert len(answers) == 12
    for place, answer in enumerate(answers):
        ids = torch.tensor([prompts[place // 4] + answer.ids])
        with torch.no_grad():
            logprobs = model(input_ids=ids).logits[0, -len(answer.ids) - 1 : -1].log_softmax(-1)
        expected = logprobs[range(len(answer.ids)), answer.ids]
        torch.testing.assert_close(torch.tensor(answer.logprobs), expected, atol=2e-5, rtol=1e-4)


def trainer_of(config: MaGrpoConfig, work: Path, curriculum: Curriculum | None = None) -> object:
    model, tokenizer = checkpoint.begin(config)
    training = cases_of(config)
    ids = training.ids_by_class()
    return make_trainer(
        model, tokenizer, training, curriculum or Curriculum.begin(ids, 4, 0, sample_thompson), config, work
    )


def test_greedy_answers_are_those_of_transformers(root: Path, tmp_path: Path) -> None:
    config = config_of(root, tmp_path)
    trainer = trainer_of(config, tmp_path)
    prompts = [trainer.training.prompt(example) for example in list(trainer.training.categories)[:5]]  # type: ignore[attr-defined]
    answers = trainer.rollouts.greedy(prompts)  # type: ignore[attr-defined]
    model = checkpoint.load_model(root / "start")
    for prompt, answer in zip(prompts, answers, strict=True):
        expected = model.generate(torch.tensor([prompt]), do_sample=False, max_new_tokens=10)
        assert answer == expected[0, len(prompt) :].tolist()


@pytest.mark.parametrize("advantage", ["grpo", "drpo"])
def test_the_advantages_of_a_step_are_those_of_the_configuration(root: Path, tmp_path: Path, advantage: str) -> None:
    trainer = trainer_of(config_of(root, tmp_path, advantage), tmp_path)
    scored = trainer._generate_and_score_completions([{"prompt": str(row // 4)} for row in range(16)])  # type: ignore[attr-defined]
    groups = trainer.groups  # type: ignore[attr-defined]
    expected = trainer._advantage(np.array([one.rewards for one in groups]), [one.category for one in groups])  # type: ignore[attr-defined]
    assert np.abs(expected).max() > 0.1
    np.testing.assert_allclose(scored["advantages"].numpy(), expected.ravel(), atol=1e-5)


@pytest.mark.parametrize(
    ("old", "new", "why"),
    [
        ("batch: 16", "batch: 15", "whole groups of 4"),
        ("round_prompts: 12", "round_prompts: 13", "whole steps of 4"),
        ("workers: 0", "workers: 2", "workers"),
        ("rounds: 2", "rounds: 2\nsteps: 5", "leave it out"),
        ("group: 4", "group: 4\nnum_iterations: 2", "num_iterations"),
        ("warmup: 2", "modality: cmr", "modality"),
    ],
)
def test_a_file_that_cannot_be_run_is_refused(root: Path, tmp_path: Path, old: str, new: str, why: str) -> None:
    path = config_file(root, tmp_path)
    path.write_text(path.read_text().replace(old, new))
    with pytest.raises(BadSettings, match=why):
        load_config(path)


def test_development_cases_that_are_trained_on_are_refused_before_work(root: Path, tmp_path: Path) -> None:
    path = config_file(root, tmp_path)
    path.write_text(path.read_text().replace(f"[{root / 'development'}]", f"[{root / 'train'}]"))
    with pytest.raises(BadInput, match="trained on and held out"):
        prepare(load_config(path))
