"""The report of learning: what the ledger holds, number for number, nothing of a patient, and nothing made up."""

from __future__ import annotations

import re
import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pages import Page
from typer.testing import CliRunner

from chordae.cli import app
from chordae.learning.gate.decision import GateDecision, decide
from chordae.learning.gate.measured import Measured, Outcome, Trial
from chordae.learning.loop.history import compared, read_history
from chordae.learning.loop.report import report_page
from chordae.platform.learning_settings import GateSettings
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_learning import LearningLedger, LearningRound
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.ledger_records import ProspectiveRecord, RecordsLedger

MODEL, SITES = "cmr-r-nano", ("coastal", "regional", "university")
TRAINING = {"records": 14.0, "labelled": 9.0, "confidence": 0.4321, "abstained.low margin": 4.0, "loss": 0.0123}


@pytest.fixture
def url(tmp_path: Path) -> str:
    return f"sqlite:///{tmp_path / 'ledger.sqlite3'}"


def bring(url: str, counts: dict[str, int]) -> list[str]:
    """So many records of each site; returns their ids."""
    records = [
        ProspectiveRecord(f"id-{site}-{number}", site, f"patient-{number}", {"description": "CASE", "age": 54})
        for site, count in counts.items()
        for number in range(count)
    ]
    RecordsLedger(url).take_in(records)
    return [one.id for one in records]


def trained(url: str, training: dict[str, float] = TRAINING) -> LearningRound:
    """A round with all that waits, trained."""
    ledger = LearningLedger(url)
    return ledger.advance(ledger.begin_round(MODEL, 400), "trained", {"champion": "1", "training": training})


def decision(seed: int = 3) -> GateDecision:
    """Of a candidate 2 that is a little better than champion 1, on 90 sentinels of three sites."""
    rng = np.random.default_rng(seed)

    def measured(version: str, share: float) -> Measured:
        outcomes = tuple(
            Outcome(case=f"case-{at}", truth="normal", site=SITES[at % 3], right=bool(hit), confidence=0.8)
            for at, hit in enumerate(rng.random(90) < share)
        )
        return Measured(version=version, outcomes=outcomes, mirages=0, mirage_questions=90, seconds=(1.0, 2.0))

    return decide(Trial(model=MODEL, champion=measured("1", 0.7), candidate=measured("2", 0.8)), GateSettings())


def decided(url: str) -> GateDecision:
    """A round that went through all its stages, a person who would have waited, and one who took its version back."""
    learning, gate, promotions = LearningLedger(url), GateLedger(url), PromotionLedger(url)
    found = learning.advance(trained(url), "evaluated", {"sentinels": 90})
    promotions.finish_promotion(promotions.begin_promotion(MODEL, "candidate", None, "2", "loop", "round 1"))
    found = learning.advance(found, "registered", {"candidate": "2"})
    said = decision()
    gate.keep_gate_decision(MODEL, "1", "2", "hold", "person", {"person": "bert", "reason": "wait"})
    gate.keep_gate_decision(MODEL, "1", "2", said.decision, "gate", said.model_dump(mode="json"))
    found = learning.advance(found, "decided", {"decision": said.decision, "why": said.why})
    promotions.finish_promotion(promotions.begin_promotion(MODEL, "promote", "1", "2", "gate", "every rule"))
    learning.end_round(found, f"version 2 promoted: {said.why}")
    promotions.finish_promotion(promotions.begin_promotion(MODEL, "rollback", "2", "1", "anna", "a complaint"))
    gate.keep_gate_decision(MODEL, "2", "2", "rollback", "person", {"person": "anna", "reason": "a complaint"})
    return said


def page_of(url: str) -> Page:
    return Page(report_page(read_history(url)))


def test_an_empty_ledger_gives_a_page_that_says_that_nothing_has_happened(url: str) -> None:
    page = page_of(url)
    assert "Nothing has happened" in page.text and "demonstrators" in page.text
    assert "svg" not in page.tags and page.tables == []


def test_a_round_is_told_with_every_number_that_the_ledger_has(url: str) -> None:
    ids = bring(url, {"coastal": 5, "regional": 6, "university": 3})
    said = decided(url)
    bring(url, {"coastal": 8})
    GateLedger(url).give_feedback(ids[0], "normal", "Dr. Weber")
    GateLedger(url).give_feedback(ids[0], "amyloidosis", "Dr. Weber")
    page = page_of(url)
    came = {row["Site"]: (row["Records"], row["Labelled by clinicians"]) for row in page.table("Site", "Records")}
    assert came == {"coastal": ("8", "1"), "regional": ("6", "0"), "university": ("3", "0")}
    (row,) = page.table("Round", "Begun")
    assert (row["Last stage done"], row["Champion"], row["Candidate"]) == ("decided", "1", "2")
    assert row["Outcome"] == f"version 2 promoted: {said.why}"
    (used,) = page.table("Round", "coastal")
    assert (used["coastal"], used["regional"], used["university"], used["All"]) == ("5", "6", "3", "14")
    assert "Records that wait for the next round: 3 of coastal." in page.text
    (labels,) = page.table("Round", "Records")
    assert [labels[name] for name in ("Records", "Labelled", "Without a label", "low margin")] == ["14", "9", "5", "4"]
    assert float(labels["Mean confidence"]) == TRAINING["confidence"]
    assert {"Round": "1", "Figure": "loss", "Value": "0.0123"} in page.table("Round", "Figure")
    assert page.table("Site", "Category") == [
        {"Site": "coastal", "Category": "amyloidosis", "Labels that count": "1"}
    ], "only the last word counts"
    assert "2 labels, of which 1 were replaced" in page.text


def test_sentinels_are_told_as_the_gate_found_them(url: str) -> None:
    bring(url, {"coastal": 2})
    numbers = {rule.name: rule.numbers for rule in decided(url).rules}
    rows = {row["Site"]: row for row in page_of(url).table("Round", "Site")}
    assert set(rows) == {"all sites", *SITES}
    for site, row in rows.items():
        told = numbers["accuracy" if site == "all sites" else "sites"]
        of = {
            name: told[f"{'all' if site == 'all sites' else site}: {name}"]
            for name in ("cases", "champion", "candidate")
        }
        assert int(row["Sentinels"]) == of["cases"]
        for who in ("champion", "candidate"):
            value, low, high = (float(one) for one in re.findall(r"\d\.\d+", row[who.capitalize()]))
            assert value == pytest.approx(of[who], abs=6e-4)
            assert 0 <= low <= value <= high <= 1 and high - low > 0.1
    low, high = (float(one) for one in re.findall(r"[+-]\d\.\d+", rows["all sites"]["Change, 95 %"]))
    change = numbers["accuracy"]
    assert (low, high) == pytest.approx((change["all: change low"], change["all: change high"]), abs=6e-4)


def test_decisions_promotions_and_rollbacks_are_told_with_who_and_why(url: str) -> None:
    bring(url, {"coastal": 2})
    said = decided(url)
    page = page_of(url)
    before, first, second = page.table("When", "Candidate")
    assert (before["Decision"], before["By"], before["Why"]) == ("hold", "person (bert)", "wait")
    assert (first["Decision"], first["By"], first["Why"]) == (said.decision, "gate", said.why)
    assert (second["Decision"], second["By"], second["Why"]) == ("rollback", "person (anna)", "a complaint")
    rules = {row["Rule"]: row["What was found"] for row in page.table("Rule", "Outcome")}
    assert rules == {one.name: one.sentence for one in said.rules}
    moved = [(row["What"], row["From"], row["To"], row["By"]) for row in page.table("When", "What")]
    assert moved == [("candidate", "", "2", "loop"), ("promote", "1", "2", "gate"), ("rollback", "2", "1", "anna")]
    assert "By the ledger, version 1 is champion" in page.text


def test_a_page_stands_alone_and_holds_no_patient_no_record_and_no_sentinel(url: str) -> None:
    ids = bring(url, dict.fromkeys(SITES, 4))
    GateLedger(url).give_feedback(ids[1], "normal", "Dr. Weber")
    decided(url)
    page = report_page(read_history(url))
    for kept in ("patient-", "id-", "CASE", "case-", "Dr. Weber"):
        assert kept not in page, kept
    assert Page(page).tags.count("svg") == 5, "records, labels, timeline, pseudo-labels, sentinels"
    links = [value for name, value in Page(page).attributes if name in ("src", "href", "xlink:href")]
    assert all(value and value.startswith("#") for value in links)
    assert report_page(read_history(url)) == page, "the same ledger gives the same page"


@pytest.mark.parametrize("site", ["<script>alert(1)</script>", "$x_", "_hidden", "a & b", "all"])
def test_a_site_with_any_name_is_named_and_escaped_in_tables_and_drawings(url: str, site: str) -> None:
    GateLedger(url).give_feedback(bring(url, {site: 3, "north": 1})[0], "<i>normal</i>", "x")
    trained(url)
    page = page_of(url)
    assert {"script", "i"}.isdisjoint(page.tags)
    assert {row["Site"]: row["Records"] for row in page.table("Site", "Records")} == {site: "3", "north": "1"}
    assert page.table("Round", *sorted((site, "north")))[0][site] == "2", "one has a label, and is not learned from"
    assert page.said.count(site) >= 5, "tables, and the drawings of records and labels"


def test_a_site_called_all_is_not_taken_for_all_sites() -> None:
    one = decision()
    sites = next(rule for rule in one.rules if rule.name == "sites")
    renamed = {name.replace("coastal: ", "all: "): value for name, value in sites.numbers.items()}
    rules = [rule.model_dump() | ({"numbers": renamed} if rule is sites else {}) for rule in one.rules]
    with tempfile.TemporaryDirectory() as folder:
        gate = GateLedger(f"sqlite:///{folder}/ledger.sqlite3")
        gate.keep_gate_decision(MODEL, "1", "2", "hold", "gate", {"rules": rules})
        told = {each.group: each.sentinels for each in compared(gate.gate_decisions(MODEL)[0])}
    assert told == {"all sites": 90, "all": 30, "regional": 30, "university": 30}


def test_what_is_missing_is_said_and_not_made_up(url: str) -> None:
    bring(url, {"coastal": 4})
    ledger = LearningLedger(url)
    ledger.end_round(ledger.begin_round(MODEL, 400), "halted: The entropy moved.")
    bring(url, {"coastal": 9})
    ledger.begin_round(MODEL, 400)
    GateLedger(url).keep_gate_decision(MODEL, "1", "7", "hold", "gate", {"rules": [{"of": "another chordae"}]})
    page = page_of(url)
    first, second = page.table("Round", "Begun")
    assert (first["Last stage done"], first["Outcome"]) == ("collected", "halted: The entropy moved.")
    assert (second["Last stage done"], second["Outcome"]) == ("collected", "under way")
    assert [row.get("Records") for row in page.table("Round", "Records")] == ["not in the ledger"] * 2
    assert "Rounds of which no measure on sentinels is in the ledger: 1, 2." in page.text
    assert "does not say which version is champion" in page.text
    assert page.table("When", "Candidate")[0]["Why"] == "not in the ledger"
    assert "What the gate found of version 7: not in the ledger" in page.text


@settings(max_examples=10, deadline=None)
@given(
    st.lists(st.dictionaries(st.sampled_from(SITES), st.integers(1, 6), min_size=1), min_size=1, max_size=3),
    st.integers(1, 5),
)
def test_every_record_is_in_a_round_waiting_or_labelled(brought: list[dict[str, int]], most: int) -> None:
    with tempfile.TemporaryDirectory() as folder:
        url = f"sqlite:///{folder}/ledger.sqlite3"
        ledger, totals = LearningLedger(url), Counter[str]()
        for counts in brought:
            totals.update(counts)
            bring(url, totals)
            ledger.end_round(ledger.begin_round(MODEL, most), "held")
        page = page_of(url)
        assert {row["Site"]: int(row["Records"]) for row in page.table("Site", "Records")} == totals
        told = page.table("Round", *sorted(totals))
        waiting = {site: int(count) for count, site in re.findall(r"(\d+) of ([a-z]+)[,.]", page.text)}
        for site, count in totals.items():
            assert sum(int(row[site]) for row in told) + waiting.get(site, 0) == count


def test_the_command_writes_the_page(tmp_path: Path) -> None:
    (config := tmp_path / "settings.yaml").write_text(f"data_dir: {tmp_path / 'var'}\n")
    (tmp_path / "var").mkdir()
    bring(f"sqlite:///{tmp_path / 'var' / 'ledger.sqlite3'}", {"coastal": 4})
    words = ["learn", "report", "-o", str(tmp_path / "report.html"), "--config", str(config)]
    shown = CliRunner().invoke(app, words, catch_exceptions=False)
    assert shown.exit_code == 0, shown.output
    page = Page((tmp_path / "report.html").read_text())
    assert [row["Records"] for row in page.table("Site", "Records")] == ["4"]
    assert "No round of learning has begun" in page.text
