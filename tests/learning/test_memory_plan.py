"""Plans of the 3-billion runs: parameters as published, sums right by hand, refusals of what cannot run."""

from pathlib import Path

import pytest
import yaml

from chordae.learning.config import load_config
from chordae.learning.memory_plan import MemoryPlan, instantiate, plan, rows
from chordae.platform.errors import BadSettings

ROOT = Path(__file__).parents[2]
LARGE = sorted((ROOT / "configs" / "train").glob("*-3b-*.yaml"))
PUBLISHED = 3_754_622_976
"""Of Qwen2.5-VL-3B-Instruct, as its model page counts its safetensors (huggingface.co/Qwen/Qwen2.5-VL-3B-Instruct)."""


@pytest.fixture(autouse=True)
def at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)  # configurations name the architecture from there


def changed(name: str, tmp_path: Path, sharding: dict[str, object] | None = None, **values: object) -> Path:
    content = yaml.safe_load((ROOT / "configs" / "train" / name).read_text())
    content |= values
    content["sharding"] |= sharding or {}
    path = tmp_path / name
    path.write_text(yaml.safe_dump(content))
    return path


def part(made: MemoryPlan, name: str) -> int:
    (found,) = [one.bytes for one in (*made.always, *made.training, *made.generating) if one.name == name]
    return found


@pytest.mark.parametrize("path", LARGE, ids=lambda path: path.name)
def test_every_large_run_fits_eight_gpus(path: Path) -> None:
    made = plan(path)
    assert made.gpus == 8
    assert made.parameters == PUBLISHED
    assert made.peak <= made.limit < made.device_bytes
    assert made.effective_batch == 128


def test_there_are_three_stages_of_echo_and_cmr_and_two_of_the_ecg() -> None:
    names = {path.name.removesuffix(".yaml") for path in LARGE}
    stages = {f"{modality}-3b-{stage}" for modality in ("ecg", "echo", "cmr") for stage in ("pretrain", "sft")}
    assert names == stages | {"echo-3b-grpo", "cmr-3b-grpo"}


def test_figures_of_the_reference_are_kept() -> None:
    sft, grpo = (load_config(ROOT / "configs" / "train" / f"cmr-3b-{stage}.yaml") for stage in ("sft", "grpo"))
    assert sft.learning_rate == 1e-5
    assert sft.steps == round(5 * 126_000 / 128)
    assert (grpo.learning_rate, grpo.group, grpo.kl) == (1e-6, 4, 0.01)
    assert (grpo.prompt_tokens, grpo.answer_tokens) == (5000, 512)


def test_pretraining_trains_the_encoder_alone() -> None:
    vision = sum(
        one.numel() for one in instantiate(Path("configs/models/qwen2.5-vl-3b.json")).model.visual.parameters()
    )
    assert plan(ROOT / "configs/train/cmr-3b-pretrain.yaml").trained == vision == 668_684_288


def test_weights_and_optimiser_are_what_the_formula_gives_by_hand() -> None:
    made = plan(ROOT / "configs/train/cmr-3b-sft.yaml")
    assert part(made, "weights") == 1_877_311_488  # 4 bytes x 3 754 622 976 / 8
    assert part(made, "AdamW's moments") == 3_754_622_976  # two float32 each, an eighth of them
    # 16 bytes x 4 rows x (5512 tokens x 2048 x 36 + 18432 patches x 1280 x 32) / 8
    assert part(made, "inputs of blocks") == 8 * (5512 * 2048 * 36 + 18432 * 1280 * 32)
    # the fourth row's worth of a decoder's block: 18 x 2048 + 6 x 256 + 8 x 11008 bytes a token
    assert part(made, "one block again") == max(4 * 5512 * 126_464, 4 * 18432 * 58_080)


def test_policy_optimisation_adds_a_reference_model_and_keys_and_values() -> None:
    made = plan(ROOT / "configs/train/cmr-3b-grpo.yaml")
    assert part(made, "reference model") == 2 * PUBLISHED // 8
    # keys and values, bfloat16, 2 heads of 128, 36 layers, 16 answers of 5512 tokens
    assert part(made, "keys and values") == 2 * 2 * 256 * 36 * 16 * 5512


def test_a_batch_that_does_not_fit_is_refused_with_one_that_does(tmp_path: Path) -> None:
    too_large = changed("cmr-3b-sft.yaml", tmp_path, {"accumulation": 1, "effective_batch": 192}, batch=24)
    with pytest.raises(BadSettings, match="GB on each of 8 GPUs") as refusal:
        plan(too_large)
    assert "batch: 12 with accumulation: 2" in refusal.value.remedy
    plan(changed("cmr-3b-sft.yaml", tmp_path, {"accumulation": 2, "effective_batch": 192}, batch=12))


def test_a_device_for_which_nothing_fits_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="may be used") as refusal:
        plan(changed("cmr-3b-sft.yaml", tmp_path, {"device_gb": 8.0}))
    assert "more workers" in refusal.value.remedy


def test_a_class_that_the_model_does_not_have_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="Qwen2DecoderLayer") as refusal:
        plan(changed("cmr-3b-sft.yaml", tmp_path, {"wrap": ["Qwen2DecoderLayer"]}))
    assert "Qwen2_5_VLDecoderLayer" in refusal.value.remedy


def test_a_batch_that_is_not_what_the_file_says_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="is a batch of 128, not 256"):
        plan(changed("cmr-3b-sft.yaml", tmp_path, {"effective_batch": 256}))


def test_a_video_longer_than_the_longest_row_is_refused(tmp_path: Path) -> None:
    with pytest.raises(BadSettings, match="9216 tokens long"):
        plan(changed("cmr-3b-sft.yaml", tmp_path, frames=32))


def test_another_architecture_and_a_run_that_is_not_divided_are_refused(tmp_path: Path) -> None:
    other = tmp_path / "config.json"
    other.write_text('{"model_type": "llama"}')
    with pytest.raises(BadSettings, match="llama"):
        instantiate(other)
    with pytest.raises(BadSettings, match="sharding"):
        plan(ROOT / "configs/train/cmr-nano-sft.yaml")


def test_the_table_ends_with_what_may_be_used() -> None:
    table = rows(plan(ROOT / "configs/train/cmr-3b-grpo.yaml"))
    assert table[0][:2] == ("parameters", "3,754,622,976")
    assert table[-1][0] == "peak"
