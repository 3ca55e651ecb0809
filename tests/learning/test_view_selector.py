"""The view selector learns from labels of whole studies which clips hold the evidence."""

import io
import json
from pathlib import Path

import numpy as np
import pytest
import torch

from chordae.cohort.dataset import SAMPLES, Sample, write_rows
from chordae.cohort.findings import topics
from chordae.learning.view_selector import TOPICS, AttentionPooling, read_bags, train_selector
from chordae.platform.errors import BadInput
from chordae.preprocessing.echo.attention import NAMES, AttentionSelector, clip_features
from chordae.preprocessing.echo.views import Candidate, Quality

SIZE = 12


def made_up(directory: Path, studies: int = 240) -> Path:
    """Studies of 6 clips; only those of view `evidence` (feature 0 high) tell the label, by features 1 to 9."""
    rng = np.random.default_rng(3)
    (directory / "media").mkdir(parents=True)
    samples = []
    for number in range(studies):
        labels = {topic.key: int(rng.integers(len(topic.findings))) for topic in TOPICS}
        clips = []
        for clip in range(6):
            features = rng.normal(0, 1, SIZE)
            evidence = clip == number % 6
            features[0] = 3.0 if evidence else -1.0
            if evidence:
                features[1:9] = 0
                features[1 + labels["diagnosis"]] = 4.0
            clips.append({"view": "evidence" if evidence else "junk", "features": features.tolist()})
        media = f"media/{number:04d}.mp4"
        (directory / media).with_suffix(".json").write_text(json.dumps({"clips": clips}))
        samples.append(
            Sample(
                patient=f"made-{number}",
                site="made-up",
                modality="echo",
                media=media,
                findings={topic.key: topic.findings[labels[topic.key]] for topic in topics("echo")},
                numbers={},
            )
        )
    write_rows(directory / SAMPLES, samples)
    return directory


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, object], Path]:
    directory = tmp_path_factory.mktemp("views")
    weights = directory / "attention.npz"
    return train_selector(made_up(directory / "data"), weights), weights


def test_attention_goes_to_the_clips_that_hold_the_evidence(trained: tuple[dict[str, object], Path]) -> None:
    preference = trained[0]["attention_by_view"]
    assert isinstance(preference, dict)
    assert preference["evidence"]["diagnosis"] > 3  # of 6, 1 is an even share
    assert preference["junk"]["diagnosis"] < 0.7
    assert trained[0]["balanced_accuracy"]["diagnosis"] > 0.5  # type: ignore[index]  # of 8, one in eight by chance


def test_of_half_the_clips_attention_keeps_all_evidence(trained: tuple[dict[str, object], Path]) -> None:
    half = trained[0]["half_of_the_clips"]
    assert half["attention"] == {"evidence": 0.333, "views": 1.0}  # type: ignore[index]  # one of three: there is one
    assert half["all"] == {"evidence": 0.167, "views": 1.0}  # type: ignore[index]
    assert half["quality"]["views"] < 1  # type: ignore[index]


def test_ranking_without_torch_weighs_clips_as_training_did(trained: tuple[dict[str, object], Path]) -> None:
    with np.load(trained[1]) as stored:
        arrays = {name: stored[name] for name in stored.files}
    assert set(arrays) == set(NAMES)
    model = AttentionPooling(torch.from_numpy(arrays["mean"]), torch.from_numpy(arrays["scale"]))
    with torch.no_grad():
        for name, module in (("content", model.content), ("gate", model.gate)):
            module.weight.copy_(torch.from_numpy(arrays[name].T))
            module.bias.copy_(torch.from_numpy(arrays[f"{name}_bias"]))
        model.score.weight.copy_(torch.from_numpy(arrays["score"].T))
        features = torch.randn(5, SIZE, generator=torch.Generator().manual_seed(1))
        standard = (features - model.mean) / model.scale
        logits = model.score(torch.tanh(model.content(standard)) * torch.sigmoid(model.gate(standard)))
        expected = logits.softmax(dim=0).numpy()
    assert np.allclose(AttentionSelector(arrays).attention(features.numpy()), expected, atol=1e-6)


def test_the_same_training_gives_the_same_bytes(tmp_path: Path, trained: tuple[dict[str, object], Path]) -> None:
    data = made_up(tmp_path / "data")
    train_selector(data, tmp_path / "again.npz")
    with np.load(tmp_path / "again.npz") as one, np.load(trained[1]) as other:
        assert all(np.array_equal(one[name], other[name]) for name in NAMES)


def test_bags_are_padded_and_say_so(tmp_path: Path) -> None:
    bags = read_bags(made_up(tmp_path / "data", 3))
    assert bags.features.shape == (3, 6, SIZE)
    assert bags.present.all()
    assert bags.labels.min() >= 0


def test_a_dataset_without_echo_is_refused(tmp_path: Path) -> None:
    row = Sample(patient="p", site="s", modality="ecg", media="media/a.png", findings={}, numbers={})
    write_rows(tmp_path / SAMPLES, [row])
    with pytest.raises(BadInput, match="no echo studies"):
        read_bags(tmp_path)


def test_selection_is_by_attention_and_ties_keep_the_studys_order() -> None:
    size = len(clip_features(candidate(1, 0)))
    arrays = {
        "mean": np.zeros(size, np.float32),
        "scale": np.ones(size, np.float32),
        "content": np.zeros((size, 1), np.float32),
        "content_bias": np.zeros(1, np.float32),
        "gate": np.zeros((size, 1), np.float32),
        "gate_bias": np.zeros(1, np.float32),
        "score": np.ones((1, 1), np.float32),
    }
    assert AttentionSelector(arrays).select([candidate(n, n) for n in (3, 1, 2)], 2, "") == [1, 2]
    arrays["content"][-1, 0] = 1.0  # the last feature is motion
    assert AttentionSelector(arrays).select([candidate(n, n / 10) for n in (3, 1, 2)], 3, "") == [0, 2, 1]
    assert AttentionSelector(arrays).select([], 3, "") == []


def candidate(number: int, motion: float) -> Candidate:
    """A clip that shows nothing and moves so much."""
    return Candidate(number, np.full((3, 64, 64, 3), 40, np.uint8), Quality(0.5, 0.5, 0.5, motion))


def test_arrays_survive_the_file_format(trained: tuple[dict[str, object], Path]) -> None:
    raw = io.BytesIO(trained[1].read_bytes())
    assert np.load(raw, allow_pickle=False)["score"].shape[1] == len(TOPICS)
