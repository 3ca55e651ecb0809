"""What a person is shown of an answer: every probe and its source, each verdict, and what each sentence rests on."""

import io
from pathlib import Path

import pytest
from rich.console import Console

from chordae import console_answer, console_facts
from chordae.deployments.decomposition import Decomposition
from chordae.deployments.summary import Finding, summarise
from chordae.platform.probing import DISCLAIMER
from chordae.platform.schemas import (
    KIND_OF,
    Answer,
    Confidence,
    ExpertAnswer,
    Media,
    Modality,
    Probe,
    ProbeReport,
    WeightsVersion,
)
from chordae.platform.settings import Settings

ECG_QUERY, HEART_QUERY = "What is the rhythm?", "How is the LV function?"
RHYTHM = "Atrial fibrillation at 110 bpm. Left bundle branch block."
MIRAGE = "Moderately reduced LV function, EF 38 %. Dilated left ventricle."
SOUND = "Normal LV function, EF 62 %. No late gadolinium enhancement."
BLIND = "No recording was provided, so I cannot answer."


def finding(
    modality: Modality, query: str, text: str, *, delta: float = 0.5, blind: str = BLIND, calibrated: bool = False
) -> Finding:
    """A probed answer; below an image delta of 0.2 it is flagged."""
    weights = WeightsVersion(name="expert", version="1", digest="0" * 64)
    value = 0.5 + 0.5 * delta
    score = Confidence(
        agreement=1,
        image_delta=delta,
        alpha=0.5,
        threshold=0.6,
        value=value,
        flagged=value < 0.6,
        calibrated=calibrated,
    )
    report = ProbeReport(
        modality=modality,
        question=query,
        answer=text,
        rephrasings=(
            Probe(question=f"Please: {query}", answer=text, source="bank"),
            Probe(question=f"Tell me: {query}", answer="Something else.", source="model"),
            Probe(question=f"{query} Briefly.", answer=text, source="bank"),
        ),
        image_absent=Probe(question=query, answer=blind),
        confidence=score,
        weights=weights,
    )
    return Finding("f" * 64, query, ExpertAnswer(text=text, weights=weights, finish_reason="stop"), report)


def not_probed(found: Finding, why: str = "") -> Finding:
    return Finding(found.media, found.query, found.answer, None, why)


def answer(
    findings: dict[Modality, Finding],
    missing: dict[Modality, str] | None = None,
    queries: dict[Modality, str] | None = None,
    source: str = "model",
    reason: str = "",
) -> Answer:
    parts = Decomposition(queries or {one: found.query for one, found in findings.items()}, source, reason)  # type: ignore[arg-type]
    return summarise(findings, missing or {}, parts, "request-1", "e" * 64, {})


@pytest.fixture
def three() -> Answer:
    """The ECG calibrated, the echo a mirage, the CMR against it."""
    return answer(
        {
            "ecg": finding("ecg", ECG_QUERY, RHYTHM, calibrated=True),
            "echo": finding("echo", HEART_QUERY, MIRAGE, delta=0.02, blind=MIRAGE),
            "cmr": finding("cmr", HEART_QUERY, SOUND),
        }
    )


def lines_of(shown: Answer, monkeypatch: pytest.MonkeyPatch, width: int = 80) -> list[str]:
    text = io.StringIO()
    terminal = Console(file=text, width=width, highlight=False)
    for module in (console_answer, console_facts):
        monkeypatch.setattr(module, "out", terminal)
    media = [Media(id="d" * 64, kind=KIND_OF[one], modality=one, companion="c" * 64) for one in shown.answers]
    console_answer.show_answer(shown, media, Settings(data_dir=Path("var")), {"answer": 1.0})
    return [line.rstrip() for line in text.getvalue().splitlines()]


def parts_of(lines: list[str]) -> dict[str, str]:
    """The text under each rule, in one line."""
    parts: dict[str, list[str]] = {"": []}
    for line in lines:
        if line.endswith("──"):
            parts[line.split(" ─")[0]] = []
        else:
            parts[list(parts)[-1]].append(line)
    return {name: " ".join(" ".join(part).split()) for name, part in parts.items()}


@pytest.mark.parametrize("width", [60, 80, 132])
def test_nothing_is_wider_than_the_terminal_but_paths(
    three: Answer, monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    lines = lines_of(three, monkeypatch, width)
    assert all(len(line) <= width for line in lines if not line.startswith("var/"))


def test_paths_and_digests_are_in_one_piece_at_80_columns(three: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = lines_of(three, monkeypatch)
    assert {f"var/media/{'c' * 64}.png", f"var/media/{'d' * 64}.mp4"} <= set(lines)
    assert max(map(len, lines)) <= 80
    assert sum("0" * 64 in line for line in lines) == 3


def test_every_expert_is_shown_with_what_it_was_asked_and_who_put_each_rephrasing(
    three: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(lines_of(three, monkeypatch))
    assert list(parts) == ["", "ECG", "Echo", "CMR", "Answer", "Made by"]
    assert "Split by the language model" in parts[""]
    assert f"Asked {ECG_QUERY}" in parts["ECG"] and f"Asked {HEART_QUERY}" in parts["CMR"]
    assert f"Please: {ECG_QUERY} (by the bank) = the answer above" in parts["ECG"]
    assert f"Tell me: {ECG_QUERY} (by the model) Something else." in parts["ECG"]
    assert f"Without picture {BLIND}" in parts["ECG"]
    for said in ("Agreement 1.000", "Image delta 0.500", "Confidence 0.750", "Threshold 0.600"):
        assert said in parts["ECG"]


def test_each_gate_says_its_verdict_and_whether_it_was_calibrated(
    three: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    parts = parts_of(lines_of(three, monkeypatch))
    assert "(calibrated for these weights) Gate passed" in parts["ECG"]
    assert "(default: not calibrated for these weights) Gate passed" in parts["CMR"]
    assert "Without picture = the answer above" in parts["Echo"] and "Gate FLAGGED" in parts["Echo"]
    assert "Verdict FLAGGED: do not rely on Echo" in parts["Answer"]


def test_sentences_of_an_expert_stand_together_and_each_names_what_it_rests_on(
    three: Answer, monkeypatch: pytest.MonkeyPatch
) -> None:
    told = parts_of(lines_of(three, monkeypatch))["Answer"]
    assert f"ECG {RHYTHM} rests on the ECG answer, confidence 0.750" in told
    assert f"CMR {SOUND} rests on the CMR answer, confidence 0.750" in told
    assert told.count("Contradiction Echo and CMR contradict each other on LV ejection fraction") == 1
    assert "rests on the Echo and CMR answers, the weaker's confidence 0.510" in told
    assert "Not relied on Echo: the expert gave an answer that failed its probes" in told


def test_a_flagged_experts_words_stand_behind_the_disclaimer(three: Answer, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of(lines_of(three, monkeypatch))
    assert f"Answer {DISCLAIMER} {MIRAGE}" in parts["Echo"]
    assert "Dilated left ventricle" not in parts["Answer"]


@pytest.mark.parametrize("flagged", [False, True])
def test_every_sentence_of_the_synthesis_is_shown(monkeypatch: pytest.MonkeyPatch, flagged: bool) -> None:
    """Whatever becomes of the experts' names in front, which the labels tell."""
    alone = answer({"ecg": finding("ecg", ECG_QUERY, RHYTHM, delta=0.02 if flagged else 0.5)})
    several = answer(
        {"cmr": finding("cmr", HEART_QUERY, "No.")}, {"echo": "the echo expert failed"}, dict.fromkeys(KIND_OF, "?")
    )
    for shown in (alone, several):
        told = parts_of(lines_of(shown, monkeypatch))["Answer"]
        assert all(sentence.text.removeprefix("ECG: ").removeprefix("CMR: ") in told for sentence in shown.sentences)


def test_why_the_rules_split_the_question_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    shown = answer({"ecg": finding("ecg", ECG_QUERY, RHYTHM)}, source="rules", reason="the model's answer is not JSON")
    assert "Split by rules: the model's answer is not JSON" in parts_of(lines_of(shown, monkeypatch))[""]


def test_an_expert_that_did_not_answer_or_was_not_probed_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    late = "its probes were not answered in 60 s"
    shown = answer(
        {
            "ecg": not_probed(finding("ecg", ECG_QUERY, RHYTHM), late),
            "cmr": finding("cmr", HEART_QUERY, SOUND),
        },
        {"echo": "the echo expert did not answer in 60 s"},
        {"ecg": ECG_QUERY, "echo": HEART_QUERY, "cmr": HEART_QUERY},
    )
    parts = parts_of(lines_of(shown, monkeypatch))
    assert f"Asked {HEART_QUERY} No answer the echo expert did not answer in 60 s" in parts["Echo"]
    assert f"Not probed {late}" in parts["ECG"] and "Gate" not in parts["ECG"]
    assert f"ECG {RHYTHM} rests on the ECG answer, not probed: unverified" in parts["Answer"]
    assert "Missing Echo: not answered" in parts["Answer"]
    assert f"Not probed ECG: {late}. Do not rely on it." in parts["Answer"]
    assert "FLAGGED: do not rely on ECG (not probed); no answer from the Echo expert" in parts["Answer"]


def test_an_answer_that_nobody_wanted_probed_claims_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    parts = parts_of(lines_of(answer({"ecg": not_probed(finding("ecg", ECG_QUERY, RHYTHM))}), monkeypatch))
    assert "Not probed nobody asked for it" in parts["ECG"]
    assert "Verdict not probed: nothing is known about it" in parts["Answer"]


def test_what_looks_like_markup_is_shown_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    odd = "ST [/red] elevation [bold]V1[/bold]."
    parts = parts_of(lines_of(answer({"ecg": finding("ecg", f"[dim]{ECG_QUERY}", odd, delta=0.0)}), monkeypatch))
    assert odd in parts["ECG"] and f"Asked [dim]{ECG_QUERY}" in parts["ECG"]
