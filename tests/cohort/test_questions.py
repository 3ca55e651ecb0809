"""Questions are fair: text alone never tells the answer, answers name the truth, no picture means no reading."""

import json
from collections import Counter
from itertools import combinations

import numpy as np
import pytest
from invented import sample, samples

from chordae.cohort import wording
from chordae.cohort.findings import TOPICS, Topic, topics
from chordae.cohort.language_tasks import decompose_conversation, rephrase_conversation, summarise_conversation
from chordae.cohort.questions import (
    LETTERS,
    NONE_SHARE,
    ROUNDS,
    Mcq,
    ask_mcq,
    ask_open,
    ask_yes_no,
    askable,
    blind_conversation,
    corpus,
    matching_conversation,
    question_conversation,
    report,
    report_conversation,
)
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Modality

MODALITIES: tuple[Modality, ...] = ("ecg", "echo", "cmr")
SPOKEN = [pytest.param(topic, id=f"{topic.modality}-{topic.key}") for topic in TOPICS]


def _drawn_evenly(topic: Topic, count: int, seed: int = 0) -> list[Mcq]:
    """Questions about studies that are spread evenly over the topic's findings."""
    rng = np.random.default_rng(seed)
    return [
        ask_mcq(sample(topic.modality, rng, **{topic.key: topic.findings[number % len(topic.findings)]}), topic, rng)
        for number in range(count)
    ]


@pytest.mark.parametrize("topic", SPOKEN)
def test_every_listed_option_is_equally_likely_and_none_has_its_rate_whatever_is_listed(topic: Topic) -> None:
    rate, drawn = NONE_SHARE[topic.modality], _drawn_evenly(topic, 4200)
    listed = min(3, len(topic.findings) - 1)
    none_right = np.mean([mcq.correct == listed for mcq in drawn])
    assert none_right == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / len(drawn)))
    share = (1 - rate) / listed
    for name in topic.findings:
        offered = [mcq for mcq in drawn if name in mcq.options]
        right = np.mean([mcq.finding == name for mcq in offered])
        assert right == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(offered))), name
    for letter in range(listed):
        right = np.mean([mcq.correct == letter for mcq in drawn])
        assert right == pytest.approx(share, abs=4 * np.sqrt(share * (1 - share) / len(drawn)))


@pytest.mark.parametrize("topic", SPOKEN)
def test_every_set_of_listed_findings_is_equally_frequent_and_tells_nothing(topic: Topic) -> None:
    listed, drawn = min(3, len(topic.findings) - 1), _drawn_evenly(topic, 4200, seed=1)
    sets = [frozenset(mcq.options) - {wording.NONE_OPTION} for mcq in drawn]
    counts = Counter(sets)
    possible = [frozenset(names) for names in combinations(topic.findings, listed)]
    expected = len(drawn) / len(possible)
    assert set(counts) == set(possible)
    assert all(counts[names] == pytest.approx(expected, abs=4.5 * np.sqrt(expected)) for names in possible)
    if expected > 200:
        for names in possible:
            right = np.mean([mcq.correct == listed for mcq, shown in zip(drawn, sets, strict=True) if shown == names])
            assert right == pytest.approx(NONE_SHARE[topic.modality], abs=4 * 0.5 / np.sqrt(expected))


def test_a_blind_guess_gets_the_larger_of_none_and_one_listed_option() -> None:
    rng = np.random.default_rng(2)
    chances = {
        (topic.modality, len(topic.findings) > 3): ask_mcq(sample(topic.modality, rng), topic, rng).chance
        for topic in TOPICS
    }
    assert chances == {
        ("ecg", True): 0.5,
        ("ecg", False): 0.5,
        ("echo", True): 0.5,
        ("echo", False): 0.5,
        ("cmr", True): 0.67,
        ("cmr", False): 0.67,
    }
    mcq = ask_mcq(sample("ecg", rng), topics("ecg")[0], rng)
    assert mcq.uniform == 0.25


@pytest.mark.parametrize("topic", SPOKEN)
def test_options_are_distinct_and_the_answer_names_the_truth_and_no_letter(topic: Topic) -> None:
    for mcq in _drawn_evenly(topic, 60):
        assert len(set(mcq.options)) == len(mcq.options) == min(4, len(topic.findings))
        assert mcq.options[-1] == wording.NONE_OPTION
        right = mcq.options[mcq.correct]
        assert right == (mcq.finding if mcq.finding in mcq.options else wording.NONE_OPTION)
        assert mcq.finding in mcq.answer
        assert not any(f"({letter})" in mcq.answer for letter in LETTERS)
        assert ("none of the other options" in mcq.answer) == (right == wording.NONE_OPTION)
        lines = mcq.question.split("\n")[1 : 1 + len(mcq.options)]
        assert [line[3:] for line in lines] == list(mcq.options)
        assert all(line[:2] in (f"{letter}.", f"{letter})") for line, letter in zip(lines, LETTERS, strict=False))


def test_answers_look_as_they_are_taught() -> None:
    rng = np.random.default_rng(3)
    block = sample("ecg", rng, conduction="Left bundle branch block", rate="60 to 79 bpm", rhythm="Normal sinus rhythm")
    by_key = {topic.key: topic for topic in topics("ecg")}
    listed, unlisted = (ask_mcq(block, by_key["conduction"], rng, listed=value) for value in (True, False))
    assert listed.answer == "Left bundle branch block"
    assert unlisted.answer == "Left bundle branch block: none of the other options"
    bpm = f"{block.numbers['rate_bpm']:.0f} bpm"
    assert ask_mcq(block, by_key["rate"], rng, listed=True).answer == f"{bpm}: 60 to 79 bpm"
    assert ask_open(block, by_key["rate"], rng).answer == f"{bpm}."
    assert report(block).startswith(f"Normal sinus rhythm at {bpm}. Left bundle branch block. ")
    weak = sample("echo", rng, lv_function="Mildly reduced LV function")
    said = f"Mildly reduced LV function, EF {weak.numbers['lv_ef']:.0f} %."
    assert ask_open(weak, topics("echo")[0], rng).answer == said
    assert report(weak).startswith(said)


@pytest.mark.parametrize("modality", MODALITIES)
def test_no_finding_is_named_within_another_of_its_topic(modality: Modality) -> None:
    for topic in topics(modality):
        assert not [(a, b) for a in topic.findings for b in topic.findings if a != b and a.lower() in b.lower()]


def test_options_are_taken_from_the_findings_that_occur() -> None:
    rng, lge = np.random.default_rng(4), next(topic for topic in TOPICS if topic.key == "lge")
    seen = sample("cmr", rng, lge=lge.findings[0])
    for _ in range(20):
        mcq = ask_mcq(seen, lge, rng, among=lge.findings[:3])
        assert set(mcq.options[:-1]) < set(lge.findings[:3])
        assert len(mcq.options) == 3
    with pytest.raises(BadInput, match="nothing but"):
        ask_mcq(seen, lge, rng, among=lge.findings[:1])


@pytest.mark.parametrize("topic", SPOKEN)
def test_yes_is_right_half_of_the_time_whatever_is_asked(topic: Topic) -> None:
    rng = np.random.default_rng(5)
    answers: dict[str, list[bool]] = {}
    for number in range(2400):
        truth = topic.findings[number % len(topic.findings)]
        turn = ask_yes_no(sample(topic.modality, rng, **{topic.key: truth}), topic, rng)
        asked = [
            name
            for name in topic.findings
            if wording.decapitalise(name.removeprefix("No ")) in turn.question.replace("Would", "would")
        ]
        answers.setdefault(max(asked, key=len), []).append(turn.answer.startswith("Yes. "))
    for name, yes in answers.items():
        assert np.mean(yes) == pytest.approx(0.5, abs=4 * 0.5 / np.sqrt(len(yes))), name


def test_there_are_six_ways_to_ask_about_every_topic() -> None:
    assert all(len(set(wording.STEMS[topic.modality][topic.key])) >= 6 for topic in TOPICS)
    assert {(m, key) for m, stems in wording.STEMS.items() for key in stems} == {(t.modality, t.key) for t in TOPICS}


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_default_question_is_taught_word_for_word_and_answered_with_what_it_asks_for(modality: Modality) -> None:
    rng = np.random.default_rng(6)
    study = sample(modality, rng)
    turns = [report_conversation(study, rng).turns[0] for _ in range(600)]
    asked = [turn for turn in turns if turn.question == wording.DEFAULT_QUESTIONS[modality]]
    assert len(asked) > 20
    assert {turn.answer for turn in asked} == {report(study, wording.DEFAULT_TOPICS[modality])}
    assert len({turn.question for turn in turns}) > 200
    assert wording.DEFAULT_QUESTIONS["ecg"] == wording.DEFAULT_QUESTION


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_whole_reading_names_every_finding_and_leaves_out_those_near_a_limit(modality: Modality) -> None:
    rng = np.random.default_rng(7)
    unsure = sample(modality, rng, **{topics(modality)[1].key: None})
    assert len(askable(unsure)) == len(topics(modality)) - 1
    text = report(unsure)
    named = [topic for topic in askable(unsure) if topic.key != "rate"]
    assert all(f"{unsure.findings[topic.key]}" in text for topic in named)
    assert [text.index(str(unsure.findings[topic.key])) for topic in named] == sorted(
        text.index(str(unsure.findings[topic.key])) for topic in named
    )
    with pytest.raises(BadInput, match="has no"):
        ask_mcq(unsure, topics(modality)[1], rng)


@pytest.mark.parametrize("modality", MODALITIES)
def test_a_conversation_asks_each_topic_of_a_round_once_and_gives_no_answer_away(modality: Modality) -> None:
    rng = np.random.default_rng(8)
    assert {key for keys in ROUNDS[modality] for key in keys} == {topic.key for topic in topics(modality)}
    for study in samples(modality, 100):
        talk = question_conversation(study, rng)
        assert talk.picture
        answered: list[str] = []
        for turn in talk.turns:
            if turn.answer == wording.OUT_OF_SCOPE[modality]:
                continue
            about = [str(name) for name in study.findings.values() if str(name) in turn.answer]
            answered += about or ["rate"]
        assert len(set(answered)) == len(answered), "a finding is named in one answer only"
        assert any(len(answered) == len(keys) for keys in ROUNDS[modality])


def test_a_study_with_nothing_to_ask_is_refused() -> None:
    rng = np.random.default_rng(9)
    blank = sample("echo", rng, **{topic.key: None for topic in topics("echo")})
    with pytest.raises(BadInput, match="nothing to ask"):
        question_conversation(blank, rng)


@pytest.mark.parametrize("modality", MODALITIES)
def test_without_a_picture_the_answer_is_that_none_was_given(modality: Modality) -> None:
    rng = np.random.default_rng(10)
    noun = {"ecg": "ECG", "echo": "echocardiogram", "cmr": "cardiac MRI"}[modality]
    for _ in range(100):
        talk = blind_conversation(modality, rng)
        assert not talk.picture
        assert [turn.answer for turn in talk.turns] == [f"No {noun} was provided, so I cannot answer."]


@pytest.mark.parametrize("modality", MODALITIES)
def test_text_only_exercises_say_none_of_the_options_where_the_finding_is_not_among_them(modality: Modality) -> None:
    rng = np.random.default_rng(11)
    for _ in range(40):
        for turn in matching_conversation(modality, rng).turns:
            options = [line[3:] for line in turn.question.split("\n") if line[1:3] in (". ", ") ")][:-1]
            named = turn.answer.removesuffix(": none of the other options")
            assert (named == turn.answer) == any(named.endswith(option) for option in options)


@pytest.mark.parametrize("modality", MODALITIES)
def test_beside_the_topic_that_must_be_asked_what_is_true_of_most_studies_is_asked_as_seldom_as_what_is_rare(
    modality: Modality,
) -> None:
    rng, about = np.random.default_rng(16), next(one for one in topics(modality) if one.key == ROUNDS[modality][0][0])
    other = next(one for one in topics(modality) if one.key == ROUNDS[modality][0][1])
    common, rare = other.findings[:2]
    shares = {topic.key: dict.fromkeys(topic.findings, 1 / len(topic.findings)) for topic in topics(modality)}
    shares[other.key] = {common: 0.9, rare: 0.1}
    asked = dict.fromkeys((common, rare), 0)
    for name, studies in ((common, 900), (rare, 100)):
        for _ in range(studies):
            study = sample(modality, rng, **{other.key: name})
            turns = question_conversation(study, rng, about, shares).turns
            assert any(str(study.findings[about.key]) in turn.answer or about.key == "rate" for turn in turns)
            asked[name] += any(name in turn.answer for turn in turns)
    in_round = sum(about.key in keys and other.key in keys for keys in ROUNDS[modality])
    in_round /= sum(about.key in keys for keys in ROUNDS[modality])
    assert asked[common] == pytest.approx(500 * in_round, abs=70)
    assert asked[rare] == pytest.approx(100 * in_round, abs=20)


def test_decompositions_are_json_with_a_sub_query_for_each_study_asked_about() -> None:
    rng = np.random.default_rng(12)
    for _ in range(300):
        (turn,) = decompose_conversation(rng).turns
        parts = json.loads(turn.answer)
        studies = turn.question.split("\n")[1].removeprefix("Studies: ").lower().split(", ")
        assert parts
        assert set(parts) <= set(studies)
        asked = turn.question.split("\nQuestion: ")[1].lower()
        assert all(query.lower() in asked for query in parts.values())


def test_rephrasings_use_other_words_for_the_same_topic_and_keep_findings_whole() -> None:
    rng = np.random.default_rng(13)
    for _ in range(300):
        (turn,) = rephrase_conversation(rng).turns
        question = turn.question.removeprefix("Say it in other words: ")
        assert question != turn.answer
        homes = [set(stems) for by_key in wording.STEMS.values() for stems in by_key.values()]
        if any(question in stems for stems in homes):
            assert any({question, turn.answer} <= stems for stems in homes)
        else:
            names = {wording.decapitalise(name.removeprefix("No ")) for topic in TOPICS for name in topic.findings}
            kept = [name for name in names if name in question.replace("Is ", "")]
            assert any(name in turn.answer for name in kept)


def test_a_summary_states_every_finding_that_was_answered_and_no_other() -> None:
    rng = np.random.default_rng(14)
    names = {name.lower() for topic in TOPICS for name in topic.findings}
    for _ in range(300):
        (turn,) = summarise_conversation(rng).turns
        answers, summary = turn.question.lower(), turn.answer.lower()
        assert {name for name in names if name in summary} == {name for name in names if name in answers}
        assert summary.count("available.") == min(1, answers.count("provided"))
        assert turn.answer.count(". ") <= 1, "one or two sentences"


@pytest.mark.parametrize("modality", MODALITIES)
def test_the_tokenizer_text_holds_every_finding_and_is_repeatable(modality: Modality) -> None:
    texts = corpus(modality, np.random.default_rng(15), 60)
    everything = "\n".join(texts)
    assert all(name in everything for topic in topics(modality) for name in topic.findings)
    assert texts == corpus(modality, np.random.default_rng(15), 60)
