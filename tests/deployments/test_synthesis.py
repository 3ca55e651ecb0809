"""Each sentence names whose it is; the flagged, the unprobed and the missing are told apart; nothing is reworded."""

import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chordae.deployments.clinical_text import sentences
from chordae.deployments.synthesis import NO_WORDS, Opinion, synthesise
from chordae.platform.probing import DISCLAIMER
from chordae.platform.schemas import (
    KIND_OF,
    Confidence,
    ExpertAnswer,
    Modality,
    Probe,
    ProbeReport,
    Sentence,
    Synthesis,
    WeightsVersion,
)

WEIGHTS = WeightsVersion(name="nano", version="1", digest="0" * 64)
THRESHOLD = 0.5


def opinion(modality: Modality, text: str, value: float | None = 0.8, query: str = "What is shown?") -> Opinion:
    """An expert's answer of that confidence; none: not probed."""
    answer = ExpertAnswer(text=text, weights=WEIGHTS, finish_reason="stop")
    if value is None:
        return Opinion(query, answer, None)
    verdict = Confidence(
        agreement=value, image_delta=value, alpha=0.5, threshold=THRESHOLD, value=value, flagged=value < THRESHOLD
    )
    report = ProbeReport(
        modality=modality,
        question=query,
        answer=text,
        rephrasings=(),
        image_absent=Probe(question=query, answer="-"),
        confidence=verdict,
        weights=WEIGHTS,
    )
    return Opinion(query, answer, report)


def of(synthesis: Synthesis, kind: str) -> list[Sentence]:
    return [sentence for sentence in synthesis.sentences if sentence.kind == kind]


def test_the_most_confident_expert_is_heard_first_in_its_own_words() -> None:
    told = synthesise(
        {
            "ecg": opinion("ecg", "Normal sinus rhythm at 72 bpm. Normal conduction.", 0.6),
            "cmr": opinion("cmr", "EF 38 %.", 0.9),
        },
        {},
    )
    assert told.text == "CMR: EF 38 %.\nECG: Normal sinus rhythm at 72 bpm.\nECG: Normal conduction."
    assert [(one.rests_on, one.confidence) for one in told.sentences] == [(("cmr",), 0.9)] + [(("ecg",), 0.6)] * 2


def test_a_flagged_expert_is_said_not_to_be_relied_on_and_its_words_stand_apart() -> None:
    told = synthesise({"ecg": opinion("ecg", "LBBB."), "echo": opinion("echo", "Large thrombus.", 0.2)}, {})
    assert [one.kind for one in told.sentences] == ["finding", "withheld"]
    assert "thrombus" not in told.text
    assert told.sentences[1].text.startswith("Echo: the expert gave an answer that failed its probes")
    assert "confidence 0.20, threshold 0.50" in told.sentences[1].text
    assert told.apart == {"echo": f"{DISCLAIMER}\n\nLarge thrombus."}


def test_what_was_not_probed_is_marked_and_comes_after_what_was() -> None:
    told = synthesise({"ecg": opinion("ecg", "LBBB.", None), "cmr": opinion("cmr", "EF 38 %.", 0.5)}, {})
    assert told.text == "CMR: EF 38 %.\nECG (unverified: not probed): LBBB."
    assert told.sentences[1].confidence is None


def test_who_did_not_answer_is_named_with_the_reason() -> None:
    told = synthesise({"ecg": opinion("ecg", "LBBB.")}, {"cmr": "no CMR recording\ncame with the question"})
    (last,) = of(told, "missing")
    assert last.text == "CMR: not answered (no CMR recording came with the question)."
    assert (last.rests_on, last.confidence) == (("cmr",), None)


@pytest.mark.parametrize("nothing", ["", " \n\n ", "...", "\u200b"])
def test_an_answer_without_words_is_a_missing_one(nothing: str) -> None:
    told = synthesise({"ecg": opinion("ecg", nothing), "cmr": opinion("cmr", "EF 38 %.")}, {})
    assert [one.text for one in of(told, "missing")] == [f"ECG: not answered ({NO_WORDS})."]


def test_a_bare_yes_or_no_is_told_with_its_question() -> None:
    told = synthesise({"ecg": opinion("ecg", "No.", query="Is there LBBB?"), "cmr": opinion("cmr", "EF 38 %.")}, {})
    assert 'ECG (asked "Is there LBBB?"): No.' in told.text


def test_a_contradiction_is_named_with_both_quotes_and_how_far_apart() -> None:
    told = synthesise({"echo": opinion("echo", "EF 38 %.", 0.7), "cmr": opinion("cmr", "EF 55 %.", 0.9)}, {})
    (clash,) = of(told, "contradiction")
    assert clash.text == (
        "Echo and CMR contradict each other on LV ejection fraction (17 percentage points apart, where the methods "
        'agree within 10): Echo says "EF 38 %", CMR says "EF 55 %".'
    )
    assert (clash.rests_on, clash.confidence) == (("echo", "cmr"), 0.7)
    assert len(of(told, "finding")) == 2  # both stay as they are: nothing is averaged


@pytest.mark.parametrize(
    ("value", "says"), [(0.1, "CMR's answer failed its probes and is not relied on"), (None, "was not probed")]
)
def test_a_contradiction_says_which_side_is_not_reliable(value: float | None, says: str) -> None:
    told = synthesise({"echo": opinion("echo", "EF 38 %."), "cmr": opinion("cmr", "EF 55 %.", value)}, {})
    (clash,) = of(told, "contradiction")
    assert says in clash.text
    assert "Echo's answer" not in clash.text


@pytest.mark.parametrize("value", [0.8, None])
def test_a_single_answer_stays_as_it_is(value: float | None) -> None:
    text = "Normal sinus rhythm.\n\n  Normal conduction. "
    told = synthesise({"ecg": opinion("ecg", text, value)}, {})
    assert told.text == text
    assert [one.text for one in told.sentences] == ["Normal sinus rhythm.", "Normal conduction."]


def test_a_single_flagged_answer_carries_the_disclaimer_in_front() -> None:
    told = synthesise({"ecg": opinion("ecg", "LBBB.", 0.1)}, {})
    assert told.text == f"{DISCLAIMER}\n\nLBBB."
    assert [one.kind for one in told.sentences] == ["withheld"]


@pytest.mark.parametrize(
    ("opinions", "missing"),
    [
        ({}, {}),
        ({"ecg": opinion("ecg", "LBBB.")}, {"ecg": "down"}),
        ({"ecg": opinion("echo", "EF 38 %.")}, {}),
    ],
    ids=["nobody", "both", "another's report"],
)
def test_what_cannot_be_is_refused(opinions: dict[Modality, Opinion], missing: dict[Modality, str]) -> None:
    with pytest.raises(ValueError, match=r"."):
        synthesise(opinions, missing)


PIECES = ["EF 38 %.", "EF 60 %.", "No.", "Atrial fibrillation.", "Sinus rhythm.", "LVH.", "", "\n", "正常。"]
texts = st.one_of(st.text(max_size=120), st.lists(st.sampled_from(PIECES)).map(" ".join))
values = st.one_of(st.none(), st.floats(0, 1))


@st.composite
def asked(draw: st.DrawFn) -> tuple[dict[Modality, Opinion], dict[Modality, str]]:
    modalities = draw(st.lists(st.sampled_from(list(KIND_OF)), min_size=1, unique=True))
    opinions: dict[Modality, Opinion] = {}
    missing: dict[Modality, str] = {}
    for modality in modalities:
        if draw(st.booleans()):
            opinions[modality] = opinion(modality, draw(texts), draw(values), draw(texts))
        else:
            missing[modality] = draw(texts)
    return opinions, missing


@hypothesis_settings(max_examples=300, deadline=None)
@given(asked())
def test_whatever_is_said_every_sentence_is_traceable_and_nothing_flagged_is_a_finding(
    case: tuple[dict[Modality, Opinion], dict[Modality, str]],
) -> None:
    opinions, missing = case
    told = synthesise(opinions, missing)
    flagged = {modality for modality, one in opinions.items() if one.flagged}
    several = len(opinions) + len(missing) > 1
    assert told.sentences
    for sentence in told.sentences:
        assert sentence.rests_on
        assert set(sentence.rests_on) <= opinions.keys() | missing.keys()
        if sentence.kind == "finding":
            (whose,) = sentence.rests_on
            assert whose not in flagged
            assert any(sentence.text.endswith(words) for words in sentences(opinions[whose].answer.text))
        if sentence.kind == "contradiction" and flagged & set(sentence.rests_on):
            assert "failed its probes and is not relied on" in sentence.text
    spoken_for = {modality for sentence in told.sentences for modality in sentence.rests_on}
    assert spoken_for == opinions.keys() | missing.keys()  # nobody is passed over
    confidences = [one.confidence for one in of(told, "finding")]
    probed = [value for value in confidences if value is not None]
    assert confidences[: len(probed)] == sorted(probed, reverse=True)
    if several:
        assert told.text == "\n".join(one.text for one in told.sentences)


@hypothesis_settings(max_examples=100, deadline=None)
@given(texts)
def test_no_word_of_a_relied_on_expert_is_lost(text: str) -> None:
    told = synthesise({"ecg": opinion("ecg", text)}, {"cmr": "down"})
    kept = " ".join(one.text.removeprefix("ECG: ") for one in of(told, "finding"))
    alone = [word for word in text.split() if any(map(str.isalnum, word))]
    if all(one.text.startswith("ECG: ") for one in of(told, "finding")):
        assert [word for word in kept.split() if any(map(str.isalnum, word))] == alone


def test_a_huge_answer_is_told_whole() -> None:
    told = synthesise({"ecg": opinion("ecg", "No block. " * 30_000), "cmr": opinion("cmr", "x" * 500_000)}, {})
    assert len(of(told, "finding")) == 30_001
