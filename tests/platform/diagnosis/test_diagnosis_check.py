"""A chain that says anything but what the record says is unfaithful, and which of its words is said."""

import pytest
from invented_records import INFARCTION
from test_diagnosis_chain import CHINESE, WRITTEN

from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.record import CmrRecord


@pytest.mark.parametrize("written", [WRITTEN, CHINESE])
def test_a_chain_that_cites_what_is_there_is_faithful(written: str) -> None:
    held = check(parse(written), INFARCTION)
    assert held.faithful and held.problems == ()
    assert {one.step for one in held.citations} == {"parameters", "findings", "opinion"}
    assert all(one.problem is None for one in held.citations)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("LV EF 40.9 % is", "LV EF 41 % is"), "LV EF is 40.9 % in the record, not 41."),
        (("LV EF 40.9 % is", "LV EF 40.9 mL is"), "LV EF is in %, not in mL."),
        (("130 mL is normal", "130 mL is low"), "LV EDV is normal, not low."),
        (("130 mL is normal", "130 mL has no full range"), "LV EDV is normal, not without a full range."),
        (("LV EDV 130 mL", "RV EDV 130 mL"), "The record has no RV EDV."),
        (("[8] Sub", "[9] Sub"), "The record has no finding [9]."),
        (("[8] Subendocardial", "[8] Mid-wall"), "Finding [8] says otherwise"),
        (("[8] Subendocardial late enhancement, segments 3, 4.", "[8]"), "Finding [8] says otherwise"),
        (("low LV EF, [3]", "high LV EF, [3]"), "The opinion calls LV EF high; it is low."),
        (("low LV EF, [3]", "low RV EF, [3]"), "rests on RV EF, which no step before it cites"),
        (("low LV EF, [3]", "low LV EF, [1]"), "rests on [1], which no step before it cites"),
        (("low LV EF, [3]", "low LV EF of 20 %, [3]"), "gives 20, which no step before it cites"),
        (
            ("Myocardial infarction is", "Amyloidosis is"),
            "The opinion names amyloidosis, the answer is myocardial",
        ),
        (("Myocardial infarction is likeliest, given", "Given"), "The opinion names no category"),
        (("low LV EF, [3] and [8].", "all of it."), "The opinion rests on nothing."),
        (
            ("LV ESV 77 mL is high.", "LV ESV 77 mL is high. The T1 is very long."),
            "Not a citation of the record: The T1",
        ),
        (("LV EF 40.9 % is low. LV EDV 130 mL is normal. LV ESV 77 mL is high.", ""), "No parameter is cited."),
    ],
)
def test_a_word_that_is_not_the_records_is_told(change: tuple[str, str], problem: str) -> None:
    assert change[0] in WRITTEN
    held = check(parse(WRITTEN.replace(*change)), INFARCTION)
    assert not held.faithful
    assert problem in " ".join(held.problems)


def test_a_step_without_anything_in_the_record_need_not_cite() -> None:
    bare = INFARCTION.model_copy(update={"description": ()})
    written = (
        WRITTEN.split("[3]")[0] + "None given.\nIII. Integrated opinion\nLow LV EF points to dilated cardiomyopathy."
    )
    held = check(parse(written + "\n</think>\n<answer>dilated cardiomyopathy</answer>"), bare)
    assert held.faithful
    assert not check(parse(WRITTEN), CmrRecord()).faithful


def test_an_empty_chain_is_not_faithful() -> None:
    assert not check(parse(""), INFARCTION).faithful
    assert not check(parse("<answer>normal</answer>"), INFARCTION).faithful
