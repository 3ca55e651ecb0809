"""The encoder learns what the heads are told, rare findings are drawn, and what is unknown teaches nothing."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import make_dataset

from chordae.cohort.dataset import SAMPLES, Sample, read_rows, write_rows
from chordae.learning.config import NanoShape, PretrainConfig
from chordae.learning.encoder import train_encoder
from chordae.learning.heads import UNKNOWN, head_loss, right, targets
from chordae.learning.launch import open_studies
from chordae.learning.nano import build_model, build_tokenizer


def config_of(dataset: Path, **more: object) -> PretrainConfig:
    values = {
        "type": "pretrain",
        "name": "x",
        "version": "0",
        "modality": "cmr",
        "datasets": [dataset],
        "size": (112, 112),
        "frames": 4,
        "steps": 30,
        "batch": 16,
        "warmup": 3,
        "validation": 0.25,
        "learning_rate": 3e-3,
        "shape": NanoShape(vision_depth=1, depth=1, vision_width=32, vision_heads=1, vision_mlp=32, width=64, heads=2),
    }
    return PretrainConfig.model_validate(values | more)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_dataset(tmp_path_factory.mktemp("pretrain") / "cmr", "cmr", 64)


@pytest.mark.slow
def test_the_encoder_tells_findings_of_studies_that_it_never_saw(dataset: Path) -> None:
    config = config_of(dataset)
    torch.manual_seed(0)
    model = build_model(build_tokenizer(["Sinus rhythm"], 512), config.shape)
    losses: list[float] = []
    judged = train_encoder(model, open_studies(config), config, lambda step, values: losses.append(values["loss"]))
    assert len(losses) == 30
    assert np.mean(losses[-5:]) < losses[0]
    assert judged["studies"] > 8
    assert judged["right"]["lv_function"] > 0.8, "four findings, four places"


def test_every_finding_is_drawn_as_often_as_the_others_of_its_topic(dataset: Path, tmp_path: Path) -> None:
    rows = read_rows(dataset / SAMPLES, Sample)
    rare = [row.model_copy(update={"findings": {"lv_function": "Normal LV function"}}) for row in rows[:60]]
    rare += [row.model_copy(update={"findings": {"lv_function": "Severely reduced LV function"}}) for row in rows[60:]]
    (tmp_path / "media").symlink_to(dataset / "media")
    write_rows(tmp_path / SAMPLES, rare)
    studies = open_studies(config_of(tmp_path, validation=0))
    rng = np.random.default_rng(0)
    drawn = Counter(studies.samples[studies.draw(rng)].findings["lv_function"] for _ in range(400))
    assert 160 < drawn["Severely reduced LV function"] < 240, "4 of 64 studies, half of the draws"


def test_what_is_unknown_changes_nothing(dataset: Path) -> None:
    samples = read_rows(dataset / SAMPLES, Sample)
    told = targets(samples, "cmr")
    classes, numbers = told.of(samples[0].model_copy(update={"findings": {}, "numbers": {}}))
    assert (classes == UNKNOWN).all() and np.isnan(numbers).all()
    output = torch.randn(1, told.width, requires_grad=True)
    loss = head_loss(output, told, torch.from_numpy(classes)[None], torch.from_numpy(numbers)[None])
    assert loss.item() == 0
    assert all(known == 0 for _, known in right(output, told, torch.from_numpy(classes)[None]).values())


def test_numbers_are_scaled_by_the_studies_they_come_from(dataset: Path) -> None:
    samples = read_rows(dataset / SAMPLES, Sample)
    told = targets(samples, "cmr")
    assert told.numbers == ("lv_ef",)
    scaled = [told.of(sample)[1][0] for sample in samples]
    assert np.mean(scaled) == pytest.approx(0, abs=1e-5)
    assert np.std(scaled) == pytest.approx(1, abs=1e-5)


def test_no_patient_is_in_training_and_validation(dataset: Path) -> None:
    studies = open_studies(config_of(dataset))
    training = {studies.samples[number].patient for number in studies.training}
    validation = {studies.samples[number].patient for number in studies.validation}
    assert training and validation and not training & validation
    assert len(training | validation) == 64
