"""Records without pictures: of the patients that they name, read as badly as the dataset says, always the same."""

import json
from pathlib import Path

import numpy as np
import pytest
import yaml
from invented import truth
from typer.testing import CliRunner

from chordae.cli import app
from chordae.cohort.patient import draw_patient
from chordae.cohort.record_cases import (
    CASES,
    CONTOURING,
    NO_CONTRAST,
    Case,
    CasesConfig,
    Members,
    Reading,
    checksum,
    draw_case,
    load_cases_config,
    make_cases,
    read_cases,
    read_study,
)
from chordae.cohort.sites import load_site
from chordae.cohort.truth import CATEGORIES
from chordae.platform.diagnosis.examine import examine
from chordae.platform.errors import BadInput, BadSettings

CONFIG = CasesConfig(
    members=(Members(site="university", patients=2, seed=5), Members(site="heart-centre", patients=1, seed=6))
)
ARMS_DEV = Path("configs/datasets/cmr-r-arms-dev.yaml")
CONFIGS = {path.stem: path for path in Path("configs/datasets").glob("cmr-r-*.yaml") if path != ARMS_DEV}
HARD = Reading(mistakes=3, without_contrast=0.5, contouring=1)


def cases(count: int, reading: Reading, seed: int = 0) -> list[Case]:
    rng = np.random.default_rng(seed)
    return [read_study(truth(rng), load_site("university"), reading, rng) for _ in range(count)]


def test_a_case_is_the_patient_that_the_site_the_seed_and_the_number_name() -> None:
    site = load_site("university")
    person = draw_patient(site, 5, 3).truth
    case = draw_case(site, 5, 3, HARD)
    assert (case.patient, case.category) == (person.patient, person.category)
    assert case.numbers["lv_ef"] == person.measured.lv_ef
    assert case == draw_case(site, 5, 3, HARD)
    assert Case.model_validate_json(case.model_dump_json()) == case


def test_perfect_measurements_are_the_default_and_contouring_spreads_them_as_much_as_it_says() -> None:
    rng = np.random.default_rng(0)
    site, ratios = load_site("university"), []
    for _ in range(200):
        person = truth(rng)
        exact = read_study(person, site, Reading(), rng).record.parameter("LV EDV")
        spread = read_study(person, site, Reading(contouring=1), rng).record.parameter("LV EDV")
        assert exact is not None and spread is not None
        assert exact.value == round(person.measured.lv_edv)
        ratios.append(np.log(spread.value / person.measured.lv_edv))
    assert np.std(ratios) == pytest.approx(CONTOURING["lv_edv"], rel=0.2)
    assert np.mean(ratios) == pytest.approx(0, abs=0.01)


def test_numbers_of_a_record_agree_with_each_other_and_with_its_description_however_badly_it_was_read() -> None:
    for case in cases(100, Reading(mistakes=0, without_contrast=0.5, contouring=2)):
        assert examine(case.record).problems == ()
        enlarged = case.record.description[case.topics.index("lv_size")]
        index = case.record.parameter("LV EDV index")
        assert index is not None and enlarged.normal == (index.flag != "high")


def test_without_contrast_late_enhancement_is_unknown_and_what_was_missed_is_kept() -> None:
    made = cases(200, HARD)
    unknown = [case for case in made if any(one.text == NO_CONTRAST for one in case.record.description)]
    stated = [case for case in made if "lge" in case.topics]
    assert len(unknown) / len(stated) == pytest.approx(0.5, abs=0.15)
    for case in unknown:
        assert case.record.description[case.topics.index("lge")].normal is None
        (missed,) = [one for one in case.altered if one.key == "lge"]
        assert missed.kind == "omitted"
        assert "enhancement" in missed.truth.lower()


def test_mistakes_come_at_so_many_times_the_rates_of_the_site() -> None:
    rates = load_site("university").wording
    made = cases(300, Reading(mistakes=3))
    for kind, rate in (("omitted", rates.omissions), ("wrong", rates.errors)):
        share = sum(one.kind == kind for case in made for one in case.altered) / (10 * len(made))
        error = np.sqrt(3 * rate * (1 - 3 * rate) / (10 * len(made)))
        assert share == pytest.approx(3 * rate, abs=4 * error), kind


@pytest.mark.slow
def test_a_stopped_run_goes_on_and_another_dataset_or_a_changed_generator_is_refused(tmp_path: Path) -> None:
    summary = make_cases(CONFIG, tmp_path)
    made = read_cases(tmp_path)
    assert [case.site for case in made] == ["university", "university", "heart-centre"]
    assert (summary["cases"], summary["checksum"]) == (3, checksum(made))
    kept, again = sorted((tmp_path / "parts").iterdir())
    (tmp_path / CASES).unlink()
    again.unlink()
    before, heard = kept.stat().st_mtime_ns, []
    make_cases(CONFIG.model_copy(update={"checksum": checksum(made)}), tmp_path, heard.append)
    assert read_cases(tmp_path) == made
    assert kept.stat().st_mtime_ns == before
    assert heard[-1] == 3
    with pytest.raises(BadInput, match="checksum"):
        make_cases(CONFIG.model_copy(update={"checksum": "0"}), tmp_path)
    with pytest.raises(BadInput, match="holds another dataset"):
        make_cases(CONFIG.model_copy(update={"reading": HARD}), tmp_path)


@pytest.mark.slow
def test_the_command_makes_them_and_tells_how_many_of_each_category_and_their_checksum(tmp_path: Path) -> None:
    (config := tmp_path / "mine.yaml").write_text(yaml.safe_dump(CONFIG.model_dump(mode="json")))
    shown = CliRunner().invoke(app, ["cohort", "records", str(config), "-o", str(tmp_path / "made")])
    assert shown.exit_code == 0, shown.output
    made, told = read_cases(tmp_path / "made"), json.loads(shown.stdout)
    assert (told["cases"], told["checksum"]) == (3, checksum(made))
    assert list(told["categories"]) == list(CATEGORIES)
    assert told["categories"] == {name: sum(case.category == name for case in made) for name in CATEGORIES}
    assert "patients: 3 of 3" in shown.stderr


def test_the_command_refuses_a_dataset_with_media_in_one_line(tmp_path: Path) -> None:
    shown = CliRunner().invoke(app, ["cohort", "records", "configs/datasets/test.yaml", "-o", str(tmp_path)])
    assert shown.exit_code == 2
    assert "test.yaml" in shown.stderr
    assert not list(tmp_path.iterdir())


def test_the_datasets_are_read_alike_and_share_no_patient_with_any_other() -> None:
    configs = {name: load_cases_config(path) for name, path in CONFIGS.items()}
    others = {"cmr-r-sentinels", "cmr-r-coastal", "cmr-r-coastal-test"}
    assert set(configs) == {"cmr-r-train", "cmr-r-dev", "cmr-r-test"} | others
    assert len({config.reading for config in configs.values()}) == 1
    everyone = [
        (one["site"], one["seed"])
        for path in Path("configs/datasets").glob("*.yaml")
        if path != ARMS_DEV
        for one in yaml.safe_load(path.read_text())["members"]
    ]
    assert len(set(everyone)) == len(everyone)


def test_what_arms_are_assessed_on_is_half_of_the_development_set() -> None:
    whole, half = (load_cases_config(path) for path in (CONFIGS["cmr-r-dev"], ARMS_DEV))
    assert half.reading == whole.reading
    assert [(one.site, one.seed, 2 * one.patients) for one in half.members] == [
        (one.site, one.seed, one.patients) for one in whole.members
    ]


def test_nothing_is_trained_on_the_unseen_site_and_the_sites_are_long_tailed() -> None:
    configs = {name: load_cases_config(path) for name, path in CONFIGS.items()}
    sites = {name: {one.site for one in config.members} for name, config in configs.items()}
    assert "heart-centre" in sites["cmr-r-test"]
    assert not {"heart-centre", "coastal"} & (sites["cmr-r-train"] | sites["cmr-r-dev"])
    for name in sites["cmr-r-train"]:
        shares = load_site(name).prevalence.values()
        assert max(shares) > 6 * min(shares)


def test_a_misspelt_key_is_named(tmp_path: Path) -> None:
    (path := tmp_path / "mine.yaml").write_text("members: [{site: registry, patiens: 3, seed: 1}]\n")
    with pytest.raises(BadSettings, match="patien"):
        load_cases_config(path)
    with pytest.raises(BadSettings, match="none"):
        load_cases_config(tmp_path / "none.yaml")
