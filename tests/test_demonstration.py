"""The demo's learning, but for the platform itself: what it prepares, and how it is told. CI runs the demo whole."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
import yaml

from chordae import demonstration
from chordae.learning.config import load_config
from chordae.learning.reasoner_lessons import open_cases
from chordae.platform.ledger_learning import LearningLedger
from chordae.platform.settings import Settings, load_settings

LAPTOP = Path("configs/laptop.yaml")


@pytest.fixture(scope="module")
def settings(tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Of a second demo in the same place, in a data directory that others use."""
    place = tmp_path_factory.mktemp("demo")
    (config := place / "laptop.yaml").write_text(
        yaml.safe_dump(yaml.safe_load(LAPTOP.read_text()) | {"data_dir": str(place / "var")})
    )
    (place / "var" / "demo").mkdir(parents=True)
    for name in ("ledger.sqlite3", "demo/ledger.sqlite3"):
        (place / "var" / name).write_text("of earlier work")
    return load_settings(demonstration.demo_config(config))


def test_it_has_a_data_directory_of_its_own_made_anew_each_time(settings: Settings) -> None:
    assert settings.data_dir.name == "demo"
    assert not (settings.data_dir / "ledger.sqlite3").exists()
    assert (settings.data_dir.parent / "ledger.sqlite3").read_text() == "of earlier work"


def test_nobody_who_judges_is_learned_from(settings: Settings) -> None:
    recipe = load_config(settings.learning.recipe)
    sets = (recipe.cases, settings.learning.sentinels, recipe.sentinels)  # type: ignore[union-attr]
    train, judges, watched = ({case.record.model_dump_json() for case in open_cases(one)} for one in sets)
    assert not train & judges and not train & watched and not judges & watched
    late = {case.site for case in open_cases(settings.learning.sentinels)}
    assert demonstration.SITE in late and demonstration.SITE not in {case.site for case in open_cases(sets[0])}


def test_records_come_in_without_a_category_and_without_a_patient(settings: Settings) -> None:
    assert demonstration._offer(settings) == demonstration.OFFERED
    ledger = LearningLedger(settings.ledger_url)
    assert ledger.waiting("cmr-r-nano") == {demonstration.SITE: demonstration.OFFERED}
    found = ledger.records_of(ledger.begin_round("cmr-r-nano", 100).id)
    assert len(found) == demonstration.OFFERED
    assert all("category" not in one.content and one.content["patient_key"] is None for one in found)


def test_what_came_of_it_is_told_also_where_it_failed(tmp_path: Path) -> None:
    sites = {f"{demonstration.SITE}: champion": 0.5, f"{demonstration.SITE}: candidate": 0.75}
    rules = {"sites": {"numbers": sites, "sentence": ""}}
    asked = Counter(shipped=3, learned=1)
    training = {"records": 16.0, "labelled": 12.0}
    whole = demonstration.Learned("version 2 promoted", training, rules, asked, [], tmp_path)
    told = dict(demonstration.facts(whole))
    assert told["Labelled"].startswith("12 of 16")
    assert "50% of 12 other patients before, 75% after" in told[f"On {demonstration.SITE}"]
    assert told["Meanwhile"] == "4 questions answered (1 by the learned weights, 3 by the shipped weights), 0 failed"
    halted = demonstration.Learned("halted: entropy fell", {}, {}, Counter(), ["no platform answers"], tmp_path)
    told = dict(demonstration.facts(halted))
    assert told["Outcome"] == "halted: entropy fell" and "Labelled" not in told
    assert "1 failed" in told["Meanwhile"] and told[""] == "no platform answers"
