"""Datasets: simulated patients' files, the hospital's preprocessing, and rows that say what is true."""

import json
from pathlib import Path

import pytest

from chordae.cohort.dataset import QUESTIONS, SAMPLES, Item, Sample, read_rows
from chordae.cohort.findings import findings
from chordae.cohort.patient import draw_patient
from chordae.cohort.sites import load_site
from chordae.learning.datasets import DatasetConfig, Members, Questions, load_dataset_config, make_dataset
from chordae.platform.errors import BadInput, BadSettings

MEDIA = {
    path.stem: path for path in sorted(Path("configs/datasets").glob("*.yaml")) if not path.stem.startswith("cmr-r-")
}
"""Datasets with media; the others are records alone (tests/cohort/test_record_cases.py)."""
JUDGED = ("test", "confirmation")
CONFIG = DatasetConfig(
    modalities=("ecg", "echo", "cmr"),
    members=(Members(site="registry", patients=2, seed=5), Members(site="heart-centre", patients=1, seed=6)),
    questions=Questions(mcq_per_topic=3, vqa_per_topic=1, seed=1),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    directory = tmp_path_factory.mktemp("dataset")
    make_dataset(CONFIG, directory)
    return directory


@pytest.mark.slow
def test_every_patient_has_media_of_each_modality_and_the_truth_of_its_latent_heart(dataset: Path) -> None:
    samples = read_rows(dataset / SAMPLES, Sample)
    assert [sample.modality for sample in samples] == ["ecg", "echo", "cmr"] * 3
    for sample in samples:
        media = dataset / sample.media
        assert media.suffix == (".png" if sample.modality == "ecg" else ".mp4")
        assert media.stat().st_size > 10_000
    truth = draw_patient(load_site("registry"), 5, 1).truth
    for sample in samples[:3]:
        assert sample.patient == truth.patient
        assert sample.findings == findings(truth, sample.modality)
    assert samples[8].site == "heart-centre"


@pytest.mark.slow
def test_questions_are_about_the_samples_and_their_options_hold_the_truth_or_none(dataset: Path) -> None:
    samples = {(sample.patient, sample.modality): sample for sample in read_rows(dataset / SAMPLES, Sample)}
    items = read_rows(dataset / QUESTIONS, Item)
    assert {item.kind for item in items} == {"mcq", "vqa"}
    for item in items:
        sample = samples[item.patient, item.modality]
        assert item.media == sample.media
        assert item.finding == sample.findings[item.topic]
        if item.kind == "mcq":
            assert item.correct is not None
            assert item.options[item.correct] in (item.finding, "None of the other options")


@pytest.mark.slow
def test_echo_studies_keep_their_clips_with_the_views_they_show(dataset: Path) -> None:
    for sample in read_rows(dataset / SAMPLES, Sample):
        if sample.modality == "echo":
            clips = json.loads((dataset / sample.media).with_suffix(".json").read_text())["clips"]
            assert len(clips) >= 10
            assert {"A4C", "PSAX papillary"} <= {clip["view"] for clip in clips}
            assert {len(clip["features"]) for clip in clips} == {388}


@pytest.mark.slow
def test_made_again_it_is_the_same_and_only_what_is_missing_is_made(dataset: Path) -> None:
    before = (dataset / SAMPLES).read_text()
    parts = sorted((dataset / "parts").iterdir())
    times = [part.stat().st_mtime_ns for part in parts]
    parts[0].unlink()
    (dataset / SAMPLES).unlink()
    heard: list[int] = []
    summary = make_dataset(CONFIG, dataset, heard.append)
    assert heard == [2, 3]
    assert (dataset / SAMPLES).read_text() == before
    assert [part.stat().st_mtime_ns for part in parts][1:] == times[1:]
    assert summary["patients"] == 3


@pytest.mark.slow
def test_another_dataset_in_the_directory_and_a_changed_checksum_are_refused(dataset: Path) -> None:
    other = CONFIG.model_copy(update={"label_noise": True})
    with pytest.raises(BadInput, match="holds another dataset"):
        make_dataset(other, dataset)
    frozen = CONFIG.model_copy(update={"questions": Questions(mcq_per_topic=3, vqa_per_topic=1, seed=1, checksum="0")})
    with pytest.raises(BadInput, match="checksum"):
        make_dataset(frozen, dataset)


@pytest.mark.parametrize("path", MEDIA.values(), ids=MEDIA)
def test_every_configuration_of_the_repository_is_read_and_names_known_sites(path: Path) -> None:
    for members in load_dataset_config(path).members:
        load_site(members.site)


@pytest.mark.parametrize("judged", JUDGED)
def test_nothing_is_trained_on_the_unseen_site_and_judged_sets_have_their_own_seeds(judged: str) -> None:
    configs = {name: load_dataset_config(path) for name, path in MEDIA.items()}
    members = {name: {(one.site, one.seed) for one in config.members} for name, config in configs.items()}
    trained = set().union(*(some for name, some in members.items() if name not in JUDGED))
    others = set().union(*(some for name, some in members.items() if name != judged))
    assert not members[judged] & others
    assert "heart-centre" not in {site for site, _ in trained}
    assert "heart-centre" in {site for site, _ in members[judged]}
    assert not configs[judged].label_noise


def test_a_misspelt_key_is_named(tmp_path: Path) -> None:
    (path := tmp_path / "mine.yaml").write_text("modalities: [ecg]\nmembers: [{site: registry, patiens: 3, seed: 1}]\n")
    with pytest.raises(BadSettings, match="patien"):
        load_dataset_config(path)
