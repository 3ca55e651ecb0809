"""The gate: promotes what is not worse, holds what is not known, sends back what is worse; with 240 draws each."""

from __future__ import annotations

import re
from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError
from scipy.stats import binom
from statsmodels.stats.contingency_tables import mcnemar

from chordae.learning.diagnosis_evaluation_scores import Answers
from chordae.learning.diagnosis_evaluation_scores import calibration_error as reference_calibration_error
from chordae.learning.gate.calibration import calibration_errors
from chordae.learning.gate.decision import GateDecision, decide
from chordae.learning.gate.measured import Measured, Outcome, Trial
from chordae.learning.gate.outcome import RuleOutcome
from chordae.learning.gate.page import decision_page
from chordae.learning.gate.paired import difference
from chordae.learning.gate.rules import OTHER_SITES, sites
from chordae.learning.gate.slower import not_slower
from chordae.platform.learning_settings import GateSettings

CLASSES = tuple("abcdefgh")
SITES = ("north", "south", "east")
SETTINGS = GateSettings()
DRAWS = 240


def measured(version: str, right: np.ndarray, confidence: float = 0.8, mirages: int = 0, slow: float = 1.0) -> Measured:
    return Measured(
        version=version,
        outcomes=tuple(
            Outcome(
                case=f"patient-{one}",
                truth=CLASSES[one % 8],
                site=SITES[one // 8 % 3],
                right=bool(hit),
                confidence=confidence,
            )
            for one, hit in enumerate(right)
        ),
        mirages=mirages,
        mirage_questions=100,
        seconds=(slow,) * 16,
    )


def trial(champion: np.ndarray, candidate: np.ndarray, **of_candidate: float) -> Trial:
    return Trial(model="cmr-r", champion=measured("1", champion), candidate=measured("2", candidate, **of_candidate))  # type: ignore[arg-type]


def good(count: int = 240) -> np.ndarray:
    """80 % right, evenly over classes and sites."""
    return np.random.default_rng(3).random(count) < 0.8


def decisions(loss: str) -> list[GateDecision]:
    """Over seeded draws: 80 % right, a fifth of the answers drawn anew by an equal candidate."""
    found = []
    for seed in range(DRAWS):
        rng = np.random.default_rng(seed)
        champion = rng.random(480) < 0.8
        candidate = np.where(rng.random(480) < 0.2, rng.random(480) < 0.8, champion)
        places = np.arange(480)
        if loss == "class":
            candidate &= (places % 8 != 5) | (rng.random(480) < 0.2)
        if loss == "site":
            candidate &= (places // 8 % 3 != 1) | (rng.random(480) < 0.6)
        found.append(decide(trial(champion, candidate), SETTINGS))
    return found


def verdicts(loss: str) -> list[str]:
    """What they say."""
    return [one.decision for one in decisions(loss)]


def test_each_rule_sends_an_equal_candidate_back_as_seldom_as_it_says_and_most_are_promoted() -> None:
    found = decisions("nothing")
    failed = Counter(rule.name for one in found for rule in one.rules if rule.passed is False)
    assert max(failed.values()) <= binom.ppf(0.999, DRAWS, SETTINGS.alpha)
    assert sum(one.decision == "promote" for one in found) >= 0.4 * DRAWS


def test_a_candidate_that_lost_a_class_is_never_promoted() -> None:
    found = verdicts("class")
    assert found.count("promote") == 0
    assert found.count("rollback") >= 0.95 * DRAWS


def test_a_candidate_that_lost_a_site_is_never_promoted() -> None:
    found = verdicts("site")
    assert found.count("promote") == 0
    assert found.count("rollback") >= 0.95 * DRAWS


def test_the_same_answers_are_promoted() -> None:
    decision = decide(trial(good(), good()), SETTINGS)
    assert (decision.decision, decision.why) == ("promote", "every rule is passed")


def test_too_few_sentinels_hold() -> None:
    decision = decide(trial(good(80), good(80)), SETTINGS)
    assert decision.decision == "hold" and "80 sentinels, of 100" in decision.why


def test_no_sentinel_at_all_holds() -> None:
    assert decide(trial(good(0), good(0)), SETTINGS).decision == "hold"


def test_a_class_with_few_sentinels_holds_and_is_named() -> None:
    settings = SETTINGS.model_copy(update={"least_per_class": 31})
    decision = decide(trial(good(), good()), settings)
    assert (decision.decision, decision.why) == ("hold", "open: class recall")


@pytest.mark.parametrize(
    ("of_candidate", "rule"),
    [({"mirages": 1}, "mirages"), ({"slow": 1.3}, "latency"), ({"confidence": 0.2}, "calibration")],
)
def test_one_failed_rule_rolls_back_and_is_named(of_candidate: dict[str, float], rule: str) -> None:
    decision = decide(trial(good(), good(), **of_candidate), SETTINGS)
    assert (decision.decision, decision.why) == ("rollback", f"failed: {rule}")


def test_one_mirage_rolls_back_however_few_the_sentinels() -> None:
    assert decide(trial(good(16), good(16), mirages=1), SETTINGS).decision == "rollback"


def test_other_sentinels_of_champion_and_candidate_are_refused() -> None:
    with pytest.raises(ValidationError, match="same sentinels"):
        trial(good(240), good(239))


def test_the_exact_test_is_statsmodels() -> None:
    champion = np.array([True] * 30 + [False] * 10)
    candidate = np.array([True] * 18 + [False] * 12 + [True] * 3 + [False] * 7)
    two_sided = mcnemar([[18, 12], [3, 7]], exact=True).pvalue
    assert difference(champion, candidate).p_worse == pytest.approx(two_sided / 2)


def test_the_interval_of_matched_pairs_covers_as_often_as_it_says() -> None:
    covered = 0
    for seed in range(1000):
        rng = np.random.default_rng(seed)
        champion = rng.random(60) < 0.8
        candidate = np.where(rng.random(60) < 0.5, rng.random(60) < 0.6, champion)
        low, high = difference(champion, candidate).interval
        covered += low <= -0.1 <= high  # half of the answers are drawn anew, 0.2 less often right
    assert 0.93 <= covered / 1000 <= 0.98


def test_the_calibration_error_is_that_of_the_evaluation() -> None:
    rng = np.random.default_rng(1)
    confidence, right = rng.uniform(0.5, 1.0, 200), rng.random(200) < 0.7
    probabilities = np.zeros((200, 8))
    probabilities[:, 0], probabilities[:, 1] = confidence, 1 - confidence
    truth = np.where(right, 0, 2)
    answers = Answers(truth, np.zeros(200, int), probabilities, right, right)
    outcomes = [
        Outcome(case=str(one), truth="a", site="north", right=bool(hit), confidence=float(sure))
        for one, (hit, sure) in enumerate(zip(right, confidence, strict=True))
    ]
    ones = np.ones((1, 200))
    assert calibration_errors(outcomes, ones) == pytest.approx(reference_calibration_error(answers, ones))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), max_size=60))
def test_any_answers_get_a_decision_whose_rules_explain_it(pairs: list[tuple[bool, bool]]) -> None:
    champion, candidate = (np.array([pair[one] for pair in pairs], dtype=bool) for one in (0, 1))
    decision = decide(trial(champion, candidate), GateSettings(least_sentinels=1, least_per_class=1, least_per_site=1))
    passed = [one.passed for one in decision.rules]
    expected = "rollback" if False in passed else "hold" if None in passed else "promote"
    assert decision.decision == expected


def test_the_page_stands_alone_escapes_names_and_shows_no_case() -> None:
    wild = trial(good(), good()).model_copy(update={"model": "<script>alert(1)</script>"})
    page = decision_page(decide(wild, SETTINGS))
    assert "<script" not in page and "&lt;script&gt;" in page
    assert "patient-" not in page
    assert page.count("<svg") == 3 and "<strong>Promote</strong>" in page
    assert not re.search(r'(src|href)="(http|/)', page)


def test_a_site_with_markup_in_its_name_is_escaped_in_table_and_plot() -> None:
    champion = measured("1", good())
    outcomes = tuple(one.model_copy(update={"site": "<b>$x$</b>"}) for one in champion.outcomes)
    both = champion.model_copy(update={"outcomes": outcomes})
    page = decision_page(decide(Trial(model="m", champion=both, candidate=both), SETTINGS))
    assert "<b>" not in page and "&lt;b&gt;" in page


def test_the_same_decision_gives_the_same_page() -> None:
    decision = decide(trial(good(), good()), SETTINGS)
    assert decision_page(decision) == decision_page(decision)


def of_sites(champion: dict[str, str], candidate: dict[str, str]) -> RuleOutcome:
    """The rule over sites, of answers by site: + for right, - for wrong."""

    def measured(version: str, answers: dict[str, str]) -> Measured:
        outcomes = [
            Outcome(case=f"{site} {place}", truth="a", site=site, right=one == "+", confidence=0.8)
            for site, said in answers.items()
            for place, one in enumerate(said)
        ]
        return Measured(version=version, outcomes=tuple(outcomes), mirages=0, mirage_questions=100, seconds=())

    return sites(Trial(model="m", champion=measured("1", champion), candidate=measured("2", candidate)), SETTINGS)


def test_one_label_of_a_new_site_stops_no_promotion() -> None:
    known = {"north": "+" * 40}
    assert of_sites(known, known).passed is True
    assert of_sites(known | {"new": "+"}, known | {"new": "-"}).passed is True


def test_many_small_sites_are_judged_as_one() -> None:
    small = {f"small {number}": "++" for number in range(12)}
    worse = dict.fromkeys(small, "--")
    known = {"north": "+" * 40}
    outcome = of_sites(known | small, known | worse)
    assert outcome.passed is False and OTHER_SITES in outcome.sentence and "small 1" not in outcome.sentence
    assert of_sites(known | small, known | small).passed is True


def test_where_every_site_is_small_nothing_is_known_of_sites() -> None:
    assert of_sites({"new": "+++"}, {"new": "+++"}).passed is None


@pytest.mark.parametrize(
    ("champion", "candidate", "passed"),
    [
        ([1.0] * 16, [1.2] * 16, True),
        ([1.0] * 16, [1.3] * 16, False),
        ([1.0, 1.1, 0.9, 1.0], [0.9, 1.0, 2.5, 1.1], None),  # one slow answer of four may be the machine's
        ([], [], None),
    ],
)
def test_slower_beyond_chance_fails_and_slower_perhaps_by_chance_is_open(
    champion: list[float], candidate: list[float], passed: bool | None
) -> None:
    seconds = np.array([champion, candidate]).T
    assert not_slower("latency", seconds, SETTINGS).passed is passed
