"""The encoder learns what the heads are told, rare findings are drawn, and what is unknown teaches nothing."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
import torch
from made_up import make_dataset

from chordae.cohort.dataset import SAMPLES, Sample, read_rows, write_rows
from chordae.cohort.findings import topics
from chordae.learning.config import PretrainConfig
from chordae.learning.encoder import train_encoder
from chordae.learning.heads import UNKNOWN, head_loss, right, targets
from chordae.learning.launch import open_studies
from chordae.learning.nano import build_model, build_tokenizer
from chordae.learning.run_config import NanoShape


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
    drawn = Counter(studies.samples[studies.draw(rng)[0]].findings["lv_function"] for _ in range(400))
    assert 160 < drawn["Severely reduced LV function"] < 240, "4 of 64 studies, half of the draws"


def test_what_is_unknown_changes_nothing(dataset: Path) -> None:
    samples = read_rows(dataset / SAMPLES, Sample)
    told = targets(samples, "cmr", open_studies(config_of(dataset, validation=0)).shares())
    classes, numbers = told.of(samples[0].model_copy(update={"findings": {}, "numbers": {}}))
    assert (classes == UNKNOWN).all() and np.isnan(numbers).all()
    output = torch.randn(1, told.width, requires_grad=True)
    loss = head_loss(output, told, torch.from_numpy(classes)[None], torch.from_numpy(numbers)[None])
    assert loss.item() == 0
    assert right(output, told, torch.from_numpy(classes)[None]) == {}


def test_shares_are_how_often_drawn_studies_have_a_finding(dataset: Path, tmp_path: Path) -> None:
    rows = read_rows(dataset / SAMPLES, Sample)
    names = next(topic for topic in topics("cmr") if topic.key == "lv_function").findings
    uneven = [
        row.model_copy(update={"findings": row.findings | {"lv_function": names[n < 58]}}) for n, row in enumerate(rows)
    ]
    (tmp_path / "media").symlink_to(dataset / "media")
    write_rows(tmp_path / SAMPLES, uneven)
    studies = open_studies(config_of(tmp_path, validation=0))
    rng = np.random.default_rng(0)
    drawn = [studies.samples[studies.draw(rng)[0]].findings for _ in range(20_000)]
    for key, shares in studies.shares().items():
        counted = Counter(found[key] for found in drawn if found[key] is not None)
        assert sum(shares.values()) == pytest.approx(1)
        for name, share in shares.items():
            assert counted[name] / counted.total() == pytest.approx(share, abs=0.02), (key, name)
    assert studies.shares()["lv_function"][names[1]] > 0.7, "drawn for another topic, most are as most studies are"


def test_the_loss_asks_for_evidence_beyond_how_often_a_finding_is_drawn(dataset: Path) -> None:
    told = targets(
        read_rows(dataset / SAMPLES, Sample),
        "cmr",
        {"lge": {"Mid-wall enhancement": 0.2, "Subepicardial enhancement": 0.8}},
    )
    assert list(told.findings) == ["lge"]
    names = told.findings["lge"]
    output = torch.zeros(1, told.width)
    output[0, [names.index(name) for name in told.shares["lge"]]] = 40.0  # the others are out of the question
    unknown = torch.full((1, len(told.numbers)), float("nan"))
    for name, share in told.shares["lge"].items():
        loss = head_loss(output, told, torch.tensor([[names.index(name)]]), unknown)
        assert loss.item() == pytest.approx(-np.log(share), abs=1e-4), "a blind guess costs the entropy of the draw"


def test_right_counts_every_finding_alike(dataset: Path) -> None:
    told = targets(read_rows(dataset / SAMPLES, Sample), "cmr", {"pericardial": {}})
    output = torch.zeros(10, told.width)
    output[:, 0] = 1.0  # always the first
    classes = torch.tensor([[0]] * 8 + [[1]] + [[UNKNOWN]])
    assert right(output, told, classes) == {"pericardial": 0.5}


def test_numbers_are_scaled_by_the_studies_they_come_from(dataset: Path) -> None:
    samples = read_rows(dataset / SAMPLES, Sample)
    told = targets(samples, "cmr", open_studies(config_of(dataset, validation=0)).shares())
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
