"""The numbers behind "can this answer be trusted", against rouge-score, closed forms and the real embedding model."""

from itertools import combinations
from statistics import fmean

import numpy as np
import pytest
from fakes import embed_words
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from rouge_score.rouge_scorer import RougeScorer

from chordae.platform.embedding import load_embedding
from chordae.platform.probing import DISCLAIMER, agreement, confidence, image_delta, rouge_l, with_disclaimer
from chordae.platform.schemas import Confidence, Gate

oracle = RougeScorer(["rougeL"], use_stemmer=False)
words = st.sampled_from(["sinus", "rhythm", "left", "bundle", "branch", "block", "no", "st", "elevation", "72", "V1"])
texts = st.one_of(
    st.lists(words, max_size=12).map(" ".join),
    st.text("abcXYZ019 .,;-/'\n\tµé", max_size=40),
)


@hypothesis_settings(max_examples=150, deadline=None)
@given(texts, texts)
def test_rouge_l_is_what_the_rouge_score_package_says(first: str, second: str) -> None:
    assert rouge_l(first, second) == pytest.approx(oracle.score(first, second)["rougeL"].fmeasure, abs=1e-12)


@given(texts, texts)
def test_rouge_l_does_not_depend_on_the_order(first: str, second: str) -> None:
    assert rouge_l(first, second) == rouge_l(second, first)


def test_rouge_l_of_a_worked_example() -> None:
    # Lin 2004, section 3.2: the common subsequence of "police killed the gunman" and "police kill the gunman" is 3.
    assert rouge_l("police killed the gunman", "police kill the gunman") == pytest.approx(3 / 4)


@pytest.mark.parametrize("nothing", ["", " ", "...", "正常"])
def test_a_text_without_words_agrees_with_nothing(nothing: str) -> None:
    assert rouge_l(nothing, nothing) == 0.0


def test_answers_that_say_the_same_agree_fully() -> None:
    assert agreement(["Sinus rhythm."] * 4) == 1.0


def test_answers_that_share_no_word_agree_not_at_all() -> None:
    assert agreement(["a b", "c d", "e f", "g h"]) == 0.0


def test_one_dissenter_of_four_halves_the_agreement() -> None:
    assert agreement(["a b", "a b", "a b", "c d"]) == pytest.approx(3 / 6)  # 3 of the 6 pairs agree


@hypothesis_settings(max_examples=50, deadline=None)
@given(st.lists(texts, min_size=2, max_size=5))
def test_agreement_is_the_mean_over_all_pairs(answers: list[str]) -> None:
    pairs = [oracle.score(a, b)["rougeL"].fmeasure for a, b in combinations(answers, 2)]
    assert agreement(answers) == pytest.approx(fmean(pairs), abs=1e-12)


def test_the_same_answer_without_the_picture_is_a_distance_of_zero() -> None:
    assert image_delta("sinus rhythm", "sinus rhythm", embed_words) == pytest.approx(0.0, abs=1e-6)


def test_an_answer_that_shares_nothing_without_the_picture_is_a_distance_of_one() -> None:
    assert image_delta("sinus rhythm", "cannot tell", embed_words) == pytest.approx(1.0)


def test_opposite_embeddings_count_no_more_than_orthogonal_ones() -> None:
    assert image_delta("a", "b", lambda _: np.array([[1, 0], [-1, 0]], np.float32)) == 1.0


@pytest.mark.filterwarnings("ignore:invalid value")
@pytest.mark.parametrize("value", [0.0, float("nan")])
def test_an_embedding_without_direction_never_passes_for_evidence(value: float) -> None:
    settings = Gate(alpha=0.5, threshold=0.9)
    verdict = confidence("Q?", "a", ["a"] * 3, "b", lambda _: np.full((2, 2), value, np.float32), settings)
    assert verdict.image_delta == 0.0
    assert verdict.flagged


@pytest.mark.parametrize("alpha", [0.0, 0.3, 1.0])
def test_confidence_weighs_agreement_and_image_delta_by_alpha(alpha: float) -> None:
    verdict = confidence("Q?", "a b", ["a b", "a b", "c d"], "a x", embed_words, Gate(alpha=alpha, threshold=0.6))
    assert (verdict.agreement, verdict.image_delta) == (pytest.approx(0.5), pytest.approx(0.5))
    assert verdict.value == pytest.approx(alpha * verdict.agreement + (1 - alpha) * verdict.image_delta)


@pytest.mark.parametrize(("threshold", "flagged"), [(0.75, True), (0.5, False), (0.25, False)])
def test_only_a_confidence_below_the_threshold_is_flagged(threshold: float, flagged: bool) -> None:
    settings = Gate(alpha=1.0, threshold=threshold)
    verdict = confidence("Q?", "a b", ["a b", "a b", "c d"], "x", embed_words, settings)
    assert verdict.value == 0.5
    assert (verdict.flagged, verdict.threshold, verdict.calibrated) == (flagged, threshold, False)


def verdict(flagged: bool) -> Confidence:
    return Confidence(agreement=0, image_delta=0, alpha=0.5, threshold=0.5, value=0, flagged=flagged)


def test_a_flagged_answer_carries_the_disclaimer_in_front() -> None:
    assert with_disclaimer("Sinus rhythm.", verdict(flagged=True)) == f"{DISCLAIMER}\n\nSinus rhythm."


def test_an_unflagged_answer_is_shown_as_it_is() -> None:
    assert with_disclaimer("Sinus rhythm.", verdict(flagged=False)) == "Sinus rhythm."


@pytest.mark.slow
def test_the_real_embedding_tells_paraphrase_from_refusal_and_needs_no_network(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("socket.socket.connect", lambda *_: pytest.fail("asked the network"))
    embed = load_embedding()
    assert (embed(["Sinus rhythm.", "Atrial fibrillation."]).shape) == (2, 384)
    assert image_delta("Sinus rhythm.", "Sinus rhythm.", embed) == pytest.approx(0.0, abs=1e-5)
    paraphrase = image_delta("Sinus rhythm.", "The rhythm is sinus.", embed)
    refusal = image_delta("Sinus rhythm.", "I cannot see a picture.", embed)
    assert paraphrase < 0.3 < 0.6 < refusal


def test_an_answer_that_contradicts_itself_is_flagged_however_steady_it_is() -> None:
    question, answer = "Is there a large effusion?", "No. Large effusion."
    found = confidence(question, answer, [answer] * 3, "I cannot see one.", embed_words, Gate(alpha=0.5, threshold=0.1))
    assert (found.agreement, found.value, found.flagged) == (1.0, 0.0, True)
    assert with_disclaimer(answer, found).startswith("Note: this answer contradicts itself: it says no and then states")
