# ruff: noqa: RUF001 - Chinese punctuation
"""What is written is read back, whatever the record says; and reading never fails, whatever was written."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from invented_records import INFARCTION, records

from chordae.platform.diagnosis.category import CATEGORIES, Category, Language
from chordae.platform.diagnosis.chain import CitedParameter, bare, write_chain
from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.record import CmrRecord

WRITTEN = """<think>
I. Functional parameters
LV EF 40.9 % is low. LV EDV 130 mL is normal. LV ESV 77 mL is high.
II. Imaging findings
[3] Regional wall motion abnormality, inferior. [8] Subendocardial late enhancement, segments 3, 4.
III. Integrated opinion
Myocardial infarction is likeliest, given low LV EF, [3] and [8].
</think>
<answer>myocardial infarction</answer>"""

CHINESE = """<think>
I. 心功能参数
左室射血分数 40.9 % 降低。左室舒张末容积 130 mL 正常。
II. 影像学表现
[3] Regional wall motion abnormality, inferior。
III. 综合诊断意见
心肌梗死可能性最大，依据为左室射血分数降低、[3]。
</think>
<answer>心肌梗死</answer>"""


def test_a_chain_is_written_in_the_agreed_form() -> None:
    names = ["LV EF", "LV EDV", "LV ESV"]
    assert write_chain(INFARCTION, "myocardial infarction", names, [3, 8], ["LV EF", 3, 8]) == WRITTEN
    assert write_chain(INFARCTION, "myocardial infarction", names[:2], [3], ["LV EF", 3], "zh") == CHINESE


def test_a_chain_is_read_step_by_step() -> None:
    chain = parse(WRITTEN)
    assert chain.well_formed and chain.category == "myocardial infarction" and not chain.unread
    assert chain.parameters[0] == CitedParameter(name="LV EF", value=40.9, unit="%", direction="low")
    assert [one.direction for one in chain.parameters] == ["low", "normal", "high"]
    assert chain.findings[1].words == "Subendocardial late enhancement, segments 3, 4"
    assert [one.name for one in chain.opinion.parameters] == ["LV EF"] and chain.opinion.findings == (3, 8)
    assert chain.opinion.categories == ("myocardial infarction",)


@pytest.mark.parametrize("language", ["en", "zh"])
@settings(deadline=None, max_examples=50)
@given(record=records(), category=st.sampled_from(CATEGORIES))
def test_what_is_written_of_any_record_is_read_back_and_faithful(
    language: Language, record: CmrRecord, category: Category
) -> None:
    names, numbers = [one.name for one in record.parameters], [one.number for one in record.description]
    ranged = [one.name for one in record.parameters if one.flag is not None]
    if not ranged and not numbers:
        with pytest.raises(ValueError, match="rests on at least one"):
            write_chain(record, category, names, numbers, [*ranged, *numbers], language)
        return
    chain = parse(write_chain(record, category, names, numbers, [*ranged, *numbers], language))
    assert chain.problems == () and chain.unread == ()
    assert (chain.category, chain.opinion.categories) == (category, (category,))
    assert [(one.name, one.value, one.direction) for one in chain.parameters] == [
        (one.name, one.value, one.flag) for one in record.parameters
    ]
    assert [(one.number, one.words) for one in chain.findings] == [
        (one.number, bare(one.text)) for one in record.description
    ]
    assert [one.name for one in chain.opinion.parameters] == ranged
    assert list(chain.opinion.findings) == numbers
    assert check(chain, record).faithful


_PIECES = [
    "<think>",
    "</think>",
    "<answer>",
    "</answer>",
    "normal",
    "amyloidosis",
    "心肌炎",
    "[3]",
    "[99999]",
    "\n",
    " ",
]
_PIECES += [
    "I. Functional parameters\n",
    "II. Imaging findings\n",
    "III. Integrated opinion\n",
    "心功能参数\n",
    "综合诊断意见",
]
_PIECES += [
    "LV EF",
    "-40.9",
    "9" * 400,
    "%",
    "is low",
    "low LV EF",
    "左室射血分数",
    "降低",
    "²",
    "٣",
    "[٣]",
    "LV EF ٣ % is low",
]


@settings(deadline=None, max_examples=50)
@given(st.text() | st.lists(st.sampled_from(_PIECES) | st.text(max_size=5), max_size=30).map("".join))
def test_reading_never_fails_and_takes_a_category_from_exactly_one_answer(text: str) -> None:
    chain = parse(text)
    assert chain.category is None or text.casefold().count("<answer>") == 1
    assert chain.category is not None or chain.problems
    check(chain, INFARCTION)


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        (("<answer>myocardial infarction</answer>", ""), "no answer"),
        (("<answer>myocardial infarction</answer>", "<answer>myocardial infarction"), "not finished"),
        (("</answer>", "</answer><answer>normal</answer>"), "2 answers"),
        (("</answer>", "</answer><answer>myocardial infarction</answer>"), "2 answers"),
        (("<answer>myocardial infarction", "<answer>myocardial infarction, normal"), "not one of the eight"),
        (("<answer>myocardial infarction", "<answer>heart failure"), "not one of the eight"),
        (("<answer>myocardial infarction", "<answer>"), "not one of the eight"),
        (("</think>\n<answer>myocardial infarction</answer>", "<answer>normal</answer></think>"), "within"),
    ],
)
def test_anything_but_one_answer_with_one_category_is_no_category(change: tuple[str, str], problem: str) -> None:
    chain = parse(WRITTEN.replace(*change))
    assert chain.category is None and not chain.well_formed
    assert problem in " ".join(chain.problems)
    assert chain.parameters


def test_a_form_that_is_not_as_asked_is_said_and_the_answer_kept() -> None:
    for change in [
        ("<think>", ""),
        ("II. Imaging findings\n", ""),
        ("I. Functional", "III. Integrated opinion\nI. Functional"),
    ]:
        chain = parse(WRITTEN.replace(*change, 1))
        assert not chain.well_formed and chain.category == "myocardial infarction"
    swapped = WRITTEN.replace("I. Functional parameters", "X").replace(
        "III. Integrated opinion", "I. Functional parameters"
    )
    assert "out of order" in " ".join(parse(swapped.replace("X", "III. Integrated opinion")).problems)


def test_headings_may_have_a_colon_no_numeral_and_other_case() -> None:
    loose = WRITTEN.replace("I. Functional parameters\n", "functional parameters: ").replace(
        "II. Imaging", "2. Imaging"
    )
    assert parse(loose).model_copy(update={"opinion": None}) == parse(WRITTEN).model_copy(update={"opinion": None})


def test_nothing_is_cited_that_the_record_does_not_hold() -> None:
    with pytest.raises(ValueError, match="has no RV EF"):
        write_chain(INFARCTION, "normal", ["RV EF"], [], [3])
    with pytest.raises(ValueError, match="no finding 2"):
        write_chain(INFARCTION, "normal", [], [2], [3])
    with pytest.raises(ValueError, match="no range"):
        write_chain(INFARCTION, "normal", ["LA volume index"], [3], ["LA volume index"])
