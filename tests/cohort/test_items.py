"""Sets of questions: even over findings, repeatable, frozen by a checksum, and never about a training patient."""

from collections import Counter

import numpy as np
import pytest
from invented import sample, samples

from chordae.cohort.dataset import Item, Sample, read_rows, write_rows
from chordae.cohort.findings import topics
from chordae.cohort.items import build_items, checksum, refuse_leak
from chordae.cohort.questions import NONE_SHARE
from chordae.cohort.wording import NONE_OPTION
from chordae.platform.errors import BadInput


def _skewed(count: int) -> list[Sample]:
    """ECGs of which nine in ten have sinus rhythm."""
    rng = np.random.default_rng(0)
    rhythms = ["Normal sinus rhythm"] * 9 + ["Atrial fibrillation"]
    return [sample("ecg", rng, f"regional-{n}", rhythm=rhythms[n % 10]) for n in range(count)]


def test_questions_are_even_over_the_findings_however_rare_they_are() -> None:
    items = [item for item in build_items(_skewed(50), "mcq", 80, seed=1) if item.topic == "rhythm"]
    assert Counter(item.finding for item in items) == {"Normal sinus rhythm": 40, "Atrial fibrillation": 40}
    offered = {name for item in items for name in item.options}
    assert offered == {"Normal sinus rhythm", "Atrial fibrillation", NONE_OPTION}, "what no study has is not offered"
    reused = Counter(item.patient for item in items if item.finding == "Atrial fibrillation")
    assert sorted(reused.values()) == [8] * 5
    assert len({item.question for item in items}) > 40, "asked again in other words"


def test_none_of_the_other_options_is_right_at_its_rate_within_one_question_a_finding() -> None:
    for modality in ("ecg", "echo", "cmr"):
        items = build_items(samples(modality, 120), "mcq", 80, seed=2)
        for topic in topics(modality):
            mine = [item for item in items if item.topic == topic.key]
            assert len(mine) == 80
            for name in topic.findings:
                right = [item.correct == len(item.options) - 1 for item in mine if item.finding == name]
                assert abs(sum(right) - NONE_SHARE[modality] * len(right)) <= 1


def test_the_same_studies_in_another_order_give_the_same_set() -> None:
    studies = samples("cmr", 60)
    items = build_items(studies, "mcq", 30, seed=3)
    assert build_items(studies[::-1], "mcq", 30, seed=3) == items
    assert checksum(items) == checksum(items[::-1])
    assert len({item.id for item in items}) == len(items)
    assert build_items(studies, "mcq", 30, seed=4) != items


def test_the_checksum_sees_any_change_and_survives_the_file(tmp_path) -> None:  # type: ignore[no-untyped-def]
    items = build_items(samples("echo", 40), "vqa", 10, seed=5)
    write_rows(tmp_path / "questions.jsonl", items)
    frozen = checksum(items)
    assert checksum(read_rows(tmp_path / "questions.jsonl", Item)) == frozen
    changed = items[3].model_copy(update={"negative": not items[3].negative})
    assert checksum([*items[:3], changed, *items[4:]]) != frozen
    assert checksum(items[1:]) != frozen


def test_open_questions_carry_claims_that_their_answers_state() -> None:
    items = build_items(samples("ecg", 50), "vqa", 40, seed=6) + build_items(samples("echo", 50), "vqa", 40, seed=6)
    for item in items:
        assert item.options == ()
        assert item.correct is None
        assert item.claims
        for claim in item.claims:
            assert claim.split(": ")[-1] in item.answer
    numbers = {claim.split(":")[0] for item in items for claim in item.claims if ":" in claim}
    assert numbers == {"heart rate", "LV ejection fraction"}
    assert any(item.answer.startswith("Yes. ") for item in items)
    assert not any(item.answer.startswith("Yes. ") and item.topic == "rate" and not item.claims for item in items)


def test_a_question_is_negative_where_nothing_is_wrong() -> None:
    items = build_items(samples("cmr", 60), "mcq", 30, seed=7)
    normal = {topic.key: topic.normal for topic in topics("cmr")}
    assert all(item.negative == (item.finding == normal[item.topic]) for item in items)
    assert any(item.negative for item in items)


def test_a_test_patient_in_the_training_data_is_refused_by_name() -> None:
    train, test = samples("ecg", 20), samples("cmr", 30)[10:]
    with pytest.raises(BadInput, match=r"10 patient\(s\).*university-10"):
        refuse_leak(train, build_items(test, "mcq", 40, seed=9))
    refuse_leak(train, samples("ecg", 20, site="regional"))


def test_studies_that_all_show_the_same_cannot_be_asked_about() -> None:
    same = {topic.key: topic.normal for topic in topics("ecg")}
    rng = np.random.default_rng(10)
    with pytest.raises(BadInput, match="no topic has two findings"):
        build_items([sample("ecg", rng, f"x-{n}", **same) for n in range(5)], "mcq", 10, seed=0)
