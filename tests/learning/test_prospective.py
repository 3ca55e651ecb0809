"""What is measured of learning at a late site: records without a trace of their category, and gains that are right."""

from __future__ import annotations

import pytest
from reasoning import made_up_cases

from benchmarks.prospective import summarise, table
from chordae.learning.diagnosis_evaluation_report import DiagnosisOutcome
from chordae.learning.prospective import NOISE, ProspectiveResult, identity, records_of
from chordae.platform.diagnosis.category import CATEGORIES, Category

CASES = made_up_cases(24, 5)


@pytest.mark.parametrize(("noise", "nobodys"), [(0.0, 0), (0.2, 2), (0.4, 4)])
def test_records_are_some_patients_and_a_share_of_nobodys_and_tell_no_category(noise: float, nobodys: int) -> None:
    drawn = records_of(CASES, 10, noise, seed=3)
    assert len({one.id for one in drawn}) == 10
    assert sum(one.id.startswith(NOISE) for one in drawn) == nobodys
    by_id = {identity(case): case for case in CASES}
    own = [one for one in drawn if one.id in by_id]
    assert all(one.record == by_id[one.id].record for one in own) and len(own) == 10 - nobodys
    for one in drawn:
        assert not {"category", "truth"} & set(one.model_dump())
        assert all(name not in one.id for name in CATEGORIES)


def test_noise_is_made_of_patients_who_are_not_learned_from_otherwise() -> None:
    drawn = records_of(CASES, 10, 0.4, seed=3)
    learned = {identity(case) for case in sorted(CASES, key=identity)[:10]}
    rest = [case.record for case in CASES if identity(case) not in learned]
    for one in drawn:
        if one.id.startswith(NOISE):
            assert one.record.parameters in [each.parameters for each in rest]
            assert one.record.description in [each.description for each in rest]


def outcomes(right: int, count: int = 80) -> tuple[DiagnosisOutcome, ...]:
    """So many of these patients diagnosed rightly, the first ones; all say one category after the other."""

    def category(place: int) -> Category:
        return CATEGORIES[(place + (place >= right)) % 8]

    return tuple(
        DiagnosisOutcome(
            patient=str(place),
            site="late",
            truth=CATEGORIES[place % 8],
            category=category(place),
            probabilities=tuple(float(one == category(place)) for one in CATEGORIES),
            faithful=True,
            why=(),
            written="",
        )
        for place in range(count)
    )


def result(arm: str, seed: int, right: int, noise: float = 0.0) -> ProspectiveResult:
    return ProspectiveResult(
        arm=arm,
        noise=noise,
        seed=seed,
        labelled=40,
        right=30,
        noise_labelled=1,
        records=50,
        late=outcomes(right),
        seen=outcomes(72),
    )


def test_a_gain_is_the_mean_over_seeds_less_the_champions_with_an_interval_about_it() -> None:
    found = [result("champion", 0, 40), result("pcrl", 1, 56), result("pcrl", 2, 60), result("majority", 1, 40)]
    lines = {str(line["arm"]): line for line in summarise(found)}
    late, same = lines["pcrl"]["late accuracy"], lines["majority"]["late accuracy"]
    assert isinstance(late, dict) and isinstance(same, dict)
    assert late["value"] == pytest.approx((56 + 60) / 160) and late["gain"] == pytest.approx((16 + 20) / 160)
    assert 0 < late["low"] < late["gain"] < late["high"] < 0.5
    assert (same["gain"], same["low"], same["high"]) == (0, 0, 0), "the same answers, patient for patient"
    assert lines["pcrl"]["seen accuracy"] == {"value": pytest.approx(0.9), "gain": 0, "low": 0, "high": 0}
    assert (lines["pcrl"]["labelled"], lines["pcrl"]["labels right"]) == (0.8, 0.75)
    assert lines["pcrl"]["seeds"] == [1, 2]


def test_noise_is_told_apart_and_the_table_has_a_row_for_each() -> None:
    found = [result("champion", 0, 40), result("pcrl", 1, 56), result("pcrl", 1, 50, noise=0.4)]
    lines = summarise(found)
    assert [(line["arm"], line["noise"]) for line in lines] == [("champion", 0.0), ("pcrl", 0.0), ("pcrl", 0.4)]
    assert table(lines).row_count == 3
