"""What a chain of diagnosis is worth: its form, its answer, its length; and that no text breaks a reward."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from chordae.learning.curriculum.rewards.combine import RewardWeights, reward
from chordae.learning.curriculum.rewards.cosine import cosine_scaled
from chordae.platform.diagnosis.category import CATEGORIES, CHINESE, Category
from chordae.platform.diagnosis.chain import write_chain
from chordae.platform.diagnosis.record import CmrRecord, Finding, Parameter

RECORD = CmrRecord(
    parameters=(Parameter(name="LV EF", value=40.9, unit="%", low=59, high=83),),
    description=(Finding(number=3, text="Subendocardial late enhancement, inferior.", normal=False),),
)
WEIGHTS = RewardWeights()
TRUTH: Category = "myocardial infarction"


def chain(category: Category = TRUTH, language: str = "en") -> str:
    return write_chain(RECORD, category, ["LV EF"], [3], ["LV EF", 3], language)


def worth(text: str) -> tuple[float, float, float]:
    """Form, answer and cosine."""
    result = reward(text, TRUTH, RECORD, WEIGHTS)
    return result.format, result.answer, result.cosine


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_form_that_supervision_writes_is_the_form_that_is_rewarded(language: str) -> None:
    text = chain(language=language)
    assert worth(text) == (1.0, 1.0, pytest.approx(cosine_scaled(True, len(text), 1000)))


@pytest.mark.parametrize("category", [category for category in CATEGORIES if category != TRUTH])
@pytest.mark.parametrize("language", ["en", "zh"])
def test_another_category_keeps_the_form_and_costs(category: Category, language: str) -> None:
    form, right, scaled = worth(chain(category, language))
    assert (form, right) == (1.0, 0.0)
    assert -1.0 <= scaled <= -0.5


@pytest.mark.parametrize(
    "change",
    [
        lambda text: text.replace("<think>", ""),
        lambda text: text.replace("</think>", ""),
        lambda text: "<think></think>" + text,
        lambda text: text.replace("II. Imaging findings\n", ""),
        lambda text: text.replace("III. Integrated opinion", "II. Imaging findings\nIII. Integrated opinion"),
        lambda text: text.replace("I. Functional parameters", "0", 1).replace(
            "</think>", "I. Functional parameters\n</think>"
        ),
        lambda text: "Certainly! " + text,
        lambda text: text + " Ask a doctor.",
        lambda text: text.replace("</think>", "</think> So:"),
    ],
)
def test_any_other_form_earns_nothing_for_form_while_the_answer_still_counts(change: object) -> None:
    text = change(chain())  # type: ignore[operator]
    assert text != chain()
    assert worth(text)[:2] == (0.0, 1.0)


@pytest.mark.parametrize("said", ["", "heart failure", "myocardial infarction or myocarditis", "normal, amyloidosis"])
def test_an_answer_that_is_no_single_category_is_wrong_not_missing(said: str) -> None:
    text = chain().replace(f"<answer>{TRUTH}", f"<answer>{said}")
    form, right, scaled = worth(text)
    assert (form, right) == (0.0, 0.0)
    assert scaled == pytest.approx(cosine_scaled(False, len(text), 1000))


def test_two_answers_are_wrong_even_if_one_is_right() -> None:
    form, right, scaled = worth(chain() + "<answer>normal</answer>")
    assert (form, right) == (0.0, 0.0)
    assert scaled < 0


@pytest.mark.parametrize(
    "text", ["", "myocardial infarction", chain().split("<answer>")[0], chain().removesuffix("</answer>")]
)
def test_a_missing_answer_is_worth_nothing_at_all(text: str) -> None:
    assert worth(text) == (0.0, 0.0, 0.0)


def test_either_language_names_the_category() -> None:
    assert worth(f"<answer>{CHINESE[TRUTH]}</answer>")[1] == 1.0
    assert worth("<answer> Myocardial infarction. </answer>")[1] == 1.0


@pytest.mark.parametrize(
    ("length", "right", "wrong"),
    [
        (0, 0.5, -1.0),
        (250, 0.75 - 0.25 * math.sqrt(0.5), -0.75 - 0.25 * math.sqrt(0.5)),
        (500, 0.75, -0.75),
        (750, 0.75 + 0.25 * math.sqrt(0.5), -0.75 + 0.25 * math.sqrt(0.5)),
        (1000, 1.0, -0.5),
        (5000, 1.0, -0.5),
    ],
)
def test_the_cosine_in_closed_form(length: int, right: float, wrong: float) -> None:
    assert cosine_scaled(True, length, 1000) == pytest.approx(right)
    assert cosine_scaled(False, length, 1000) == pytest.approx(wrong)


@given(st.integers(0, 3000), st.integers(0, 3000), st.integers(1, 2000))
def test_longer_is_never_worth_less_and_right_is_always_worth_more(first: int, second: int, longest: int) -> None:
    shorter, longer = sorted((first, second))
    for right in (True, False):
        assert cosine_scaled(right, shorter, longest) <= cosine_scaled(right, longer, longest)
    assert cosine_scaled(True, shorter, longest) - cosine_scaled(False, longer, longest) >= 1.0 - 1e-12


pieces = st.sampled_from(
    [
        *("<think>", "</think>", "<answer>", "</answer>", " ", "\n", "\x00", "<", "normal", "心肌炎", TRUTH, "[3] x. "),
        *("I. Functional parameters\n", "II. Imaging findings\n", "III. Integrated opinion\n", "三、综合诊断意见\n"),
    ]
)
weights_of = st.builds(
    RewardWeights,
    format=st.floats(0, 5),
    answer=st.floats(0.1, 5),
    cosine=st.floats(0, 5),
    faithful=st.floats(0, 5),
    longest=st.integers(1, 2000),
)


@given(st.one_of(st.text(max_size=60), st.lists(pieces, max_size=14).map("".join)), weights_of)
def test_whatever_is_written_the_total_is_the_weighted_sum_and_within_its_bounds(
    text: str, weights: RewardWeights
) -> None:
    result = reward(text, TRUTH, RECORD, weights)
    parts = ("format", "answer", "cosine", "faithful")
    expected = sum(getattr(weights, part) * getattr(result, part) for part in parts)
    assert result.total == pytest.approx(expected)
    low, high = weights.bounds()
    assert low - 1e-9 <= result.total <= high + 1e-9
    assert result.answer == 0.0 or result.cosine > 0


def test_bounds_are_reached() -> None:
    weights = RewardWeights(format=0.2, answer=1, cosine=0.5, faithful=0.3, longest=1)
    assert reward(chain(), TRUTH, RECORD, weights).total == pytest.approx(weights.bounds()[1])
    longer = RewardWeights(format=0.2, answer=1, cosine=0.5, faithful=0.3, longest=10**9)
    assert reward("<answer></answer>", TRUTH, RECORD, longer).total == pytest.approx(longer.bounds()[0])


def test_a_chain_that_cites_what_the_record_does_not_say_is_not_faithful_however_right_it_is() -> None:
    assert reward(chain(), TRUTH, RECORD, WEIGHTS).faithful == 1.0
    for said, instead in (("40.9", "41.9"), ("low", "high"), ("[3] Sub", "[2] Sub"), ("inferior", "anterior")):
        assert said in chain()
        result = reward(chain().replace(said, instead), TRUTH, RECORD, WEIGHTS)
        assert (result.answer, result.faithful) == (1.0, 0.0)
    assert WEIGHTS.faithful == 0, "CMR-R has no such reward"


def test_rewards_that_all_weigh_nothing_are_refused() -> None:
    with pytest.raises(ValidationError, match="at least one"):
        RewardWeights(format=0, answer=0, cosine=0)
