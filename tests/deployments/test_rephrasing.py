"""A rephrasing asks for the same, by whomever: what changes a question's meaning is refused; the bank never does."""

import asyncio
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from fakes import embed_words
from hypothesis import given
from hypothesis import strategies as st

from chordae.cohort.findings import TOPICS
from chordae.cohort.wording import STEMS, decapitalise, yes_no_forms
from chordae.deployments.rephrasing import Rephrasing, refusal, rephrase, rephrasings
from chordae.deployments.rephrasing_bank import SIZE, framed
from chordae.platform.errors import ExpertUnavailable
from chordae.platform.language_prompts import REPHRASE_PROMPT
from chordae.platform.meaning import folded, meaning
from chordae.platform.schemas import KIND_OF, Modality

WORDS = "Is there no not left right anterior ST elevation LV RV EF 40 % 3.5 mm normal reduced , and or ? {x} ↑ VI -5"
modalities = st.sampled_from(tuple(KIND_OF))
clinical = st.lists(
    st.sampled_from(WORDS.split()),
    max_size=14,
).map(" ".join)
wild = st.one_of(st.text(max_size=80), clinical)


@pytest.mark.parametrize(
    ("original", "candidate"),
    [
        ("What is the rhythm?", "Which rhythm is shown?"),
        ("How large is the left atrium?", "What is the size of the left atrium?"),
        ("Is the left atrium enlarged?", "Is there left atrial enlargement?"),
        ("Is there LBBB?", "Do you see left bundle branch block?"),
        ("Would you report AF?", "Is there atrial fibrillation?"),
        ("Describe the rhythm.", "Could you please describe the rhythm that is shown?"),
        ("Is LV function reduced?", "Is left ventricular function impaired?"),
        ("Is the EF below 40%?", "Would you say that the ejection fraction is under 40 percent?"),
        (
            "Is there no ST-segment elevation?",
            "Is ST elevation not seen?".replace("ST elevation not", "no ST elevation"),
        ),
    ],
)
def test_other_words_for_the_same_are_accepted(original: str, candidate: str) -> None:
    assert refusal(original, candidate, 0.9) is None


@pytest.mark.parametrize(
    ("original", "candidate", "why"),
    [
        ("Is there AF?", "  is THERE af", "the question itself"),
        ("Is there AF?", "", "empty"),
        ("Is there AF?", "Is there AF?\nYes.", "one line"),
        ("Is there AF?", "There is AF.", "does not ask"),
        ("Is there AF?", "Please " * 40 + "say whether there is AF.", "too long"),
        ("Is the rate above 100 bpm?", "Is the rate above 10 bpm?", "number"),
        ("Is the offset -2 mm?", "Is there an offset of 2 mm?", "number"),
        ("Is T1 raised?", "Is there raised T2?", "number"),
        ("Is it second-degree AV block?", "Do you see first-degree AV block?", "number"),
        ("Is the left ventricle dilated?", "Is there dilatation of the right ventricle?", "laterality"),
        ("Is there anterior ST elevation?", "Do you see inferior ST elevation?", "laterality"),
        ("Is there septal scar?", "Do you see scar?", "laterality"),
        ("Is there no effusion?", "Is an effusion present?", "negation"),
        ("Can AF be ruled out?", "Can AF be seen?", "negation"),
        ("Isn't there AF?", "Is there AF?", "negation"),
        ("Is LV function normal?", "Is LV function abnormal?", "polarity"),
        ("Is T2 raised?", "Is T2 lowered?", "polarity"),
        ("Is there ST elevation?", "Is there ST depression?", "polarity"),
        ("Does the ECG show LVH?", "Does the echo show LVH?", "modality"),
        ("Is there myocarditis?", "Is there anything to see?", "loses"),
        ("What is the diagnosis?", "Is the diagnosis myocarditis?", "whether"),
        ("What is the diagnosis?", "Is the diagnosis overall?", "whether"),
        ("On this ECG, is there AF?", "Where is AF?", "whether"),
        ("What is the diagnosis?", "Which diagnosis is myocarditis?", "adds"),
        ("Is there AF and LVH?", "Is there AF or LVH?", "loses"),
        ("Are left Q waves large and right small?", "Are right Q waves large and left small?", "places"),
        ("Is T1 ↑?", "Is the T1 ↓?", "loses"),
    ],
)  # fmt: skip
def test_a_changed_meaning_is_refused_and_named(original: str, candidate: str, why: str) -> None:
    assert why in str(refusal(original, candidate, 1.0))


@pytest.mark.parametrize("similarity", [0.3, -1.0, float("nan")])
def test_what_the_embedding_finds_far_off_is_refused(similarity: float) -> None:
    assert refusal("What is the rhythm?", "Which rhythm is shown?", similarity) is not None


def test_no_training_question_passes_for_one_about_another_topic() -> None:
    """Even if the embedding called them the same; of those about the same topic a good part passes."""
    for by_topic in STEMS.values():
        for first, second in combinations(by_topic, 2):
            pairs = ((a, b) for a in by_topic[first] for b in by_topic[second])
            assert all(refusal(a, b, 1.0) for a, b in pairs), (first, second)
    same = [pair for by_topic in STEMS.values() for stems in by_topic.values() for pair in combinations(stems, 2)]
    assert sum(refusal(a, b, 1.0) is None for a, b in same) / len(same) > 0.15


@pytest.mark.parametrize("topic", TOPICS, ids=lambda topic: f"{topic.modality}-{topic.key}")
def test_no_finding_passes_for_another_of_its_topic(topic) -> None:  # type: ignore[no-untyped-def]
    first, second, *_ = yes_no_forms(topic.key)
    for a, b in combinations(topic.findings, 2):
        assert refusal(first.format(decapitalise(a)), second.format(decapitalise(b)), 1.0), (a, b)


@given(wild, wild, st.floats())
def test_any_two_texts_can_be_compared(original: str, candidate: str, similarity: float) -> None:
    if refusal(original, candidate, similarity) is None:
        numbers = [[w.text for w in meaning(text) if w.kind == "number"] for text in (original, candidate)]
        assert Counter(numbers[0]) == Counter(numbers[1])
        assert folded(original) != folded(candidate)


# --- the bank


@given(wild, modalities)
def test_the_bank_keeps_the_question_whole_and_adds_no_number_side_or_negation(text: str, modality: Modality) -> None:
    frames = framed(text, modality)
    assert len({folded(frame) for frame in (text, *frames)}) == SIZE + 1
    assert all(text.strip() in frame for frame in frames)
    for frame in framed("Describe the axis.", modality):
        assert not [word for word in meaning(frame) if word.kind in ("number", "laterality", "negation")]


def test_the_same_question_gets_the_same_frames_and_others_get_others() -> None:
    assert SIZE >= 6
    assert rephrase("What is the rhythm?", "ecg") == rephrase(" What is the rhythm? ", "ecg")
    firsts = {framed(stem, "ecg")[0].replace(stem, "") for stems in STEMS["ecg"].values() for stem in stems}
    assert len(firsts) >= 6


def test_a_frame_behind_the_question_starts_a_new_sentence() -> None:
    assert "Describe the axis. Answer briefly." in framed("Describe the axis", "ecg")
    assert "Is there AF? Answer briefly." in framed("Is there AF?", "ecg")


# --- the model's, and the bank where they fail

QUESTION = "What is the rhythm?"


def _alike(texts):  # type: ignore[no-untyped-def]
    return np.ones((len(texts), 2), np.float32)


class _Model:
    """Says one thing after another, and counts how many ask at the same time."""

    def __init__(self, *answers: str | Exception) -> None:
        self.answers, self.prompts, self.most, self._now = list(answers), list[str](), 0, 0

    async def __call__(self, prompt: str) -> str:
        answer = self.answers[len(self.prompts) % len(self.answers)]
        self.prompts.append(prompt)
        self._now += 1
        self.most = max(self.most, self._now)
        await asyncio.sleep(0)
        self._now -= 1
        if isinstance(answer, Exception):
            raise answer
        return answer


async def test_accepted_candidates_go_first_and_the_bank_fills_up() -> None:
    model = _Model("Which rhythm is shown?", "Is it sinus rhythm?", '"Identify the rhythm."', "which rhythm is shown")
    found = await rephrasings(QUESTION, "ecg", model, _alike)
    assert found[:2] == (Rephrasing("Which rhythm is shown?", "model"), Rephrasing("Identify the rhythm.", "model"))
    assert found[2] == Rephrasing(framed(QUESTION, "ecg")[0], "bank")
    assert set(model.prompts) == {REPHRASE_PROMPT.format(question=QUESTION)}
    assert model.most == len(model.prompts) >= 6, "all at the same time"


async def test_without_a_model_the_bank_says_all() -> None:
    found = await rephrasings(QUESTION, "echo", None, _alike)
    assert [(one.text, one.source) for one in found] == [(text, "bank") for text in rephrase(QUESTION, "echo")]


@pytest.mark.parametrize("failure", [ExpertUnavailable("down", "wait"), TimeoutError()])
async def test_a_model_that_fails_now_and_then_costs_those_candidates_only(failure: Exception) -> None:
    found = await rephrasings(QUESTION, "ecg", _Model(failure, "Which rhythm is shown?"), _alike)
    assert [one.source for one in found] == ["model", "bank", "bank"]


async def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        await rephrasings(QUESTION, "ecg", _Model(KeyError("x")), _alike)


async def test_a_candidate_that_the_embedding_finds_far_off_is_not_used() -> None:
    found = await rephrasings(QUESTION, "ecg", _Model("Name rhythm"), embed_words)  # no word in common: orthogonal
    assert {one.source for one in found} == {"bank"}


async def test_more_than_the_bank_holds_is_refused() -> None:
    with pytest.raises(ValueError, match="rephrasings"):
        await rephrasings(QUESTION, "ecg", None, _alike, SIZE + 1)


@given(wild, modalities, st.lists(wild, min_size=1, max_size=6), st.integers(0, SIZE))
async def test_always_so_many_all_different_and_none_the_question(
    question: str, modality: Modality, said: list[str], count: int
) -> None:
    found = await rephrasings(question, modality, _Model(*said, question), embed_words, count)
    assert len(found) == count
    assert len({folded(text) for text in (question, *(one.text for one in found))}) == count + 1
    assert all(refusal(question, one.text, 1.0) is None for one in found if one.source == "model")
