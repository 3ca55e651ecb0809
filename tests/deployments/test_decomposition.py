"""Each expert is asked what concerns it, in the clinician's words; what a model invents never reaches an expert."""

import json
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.cohort.language_tasks import decompose_conversation
from chordae.cohort.wording import STEMS
from chordae.deployments.decomposition import Decomposition, by_rules, decompose, prompt, read, schema
from chordae.platform.errors import ExpertUnavailable
from chordae.platform.schemas import KIND_OF, Modality

ALL: tuple[Modality, ...] = tuple(KIND_OF)
ONE_IN_THREE = "What is the rhythm, and is there no pericardial effusion? On CMR: is there scar in the left ventricle?"
GOOD = {"ecg": "What is the rhythm?", "echo": "Is there no pericardial effusion?",
        "cmr": "Is there no pericardial effusion? Is there scar in the left ventricle?"}  # fmt: skip

some = st.sets(st.sampled_from(ALL), min_size=1)
WORDS = "What is the rhythm EF scar , and on echo ECG: no ? ; . it left T1 40 { \n".split(" ")  # noqa: SIM905 - shorter
wild = st.one_of(
    st.text(max_size=120),
    st.lists(st.sampled_from(WORDS), max_size=25)
    .map(" ".join),
)  # fmt: skip


@pytest.mark.parametrize(
    ("question", "parts"),
    [
        ("What is the QRS axis?", {"ecg": "What is the QRS axis?"}),
        ("How fast is the ventricular rate?", {"ecg": "How fast is the ventricular rate?"}),
        ("Is T1 raised?", {"cmr": "Is T1 raised?"}),
        ("What is the gradient over the aortic valve?", {"echo": "What is the gradient over the aortic valve?"}),
        (
            "What is the rhythm, and is there late enhancement?",
            {"ecg": "What is the rhythm", "cmr": "is there late enhancement?"},
        ),
        (
            "Is there no ST elevation but is the ejection fraction reduced?",
            {"ecg": "Is there no ST elevation"} | dict.fromkeys(("echo", "cmr"), "is the ejection fraction reduced?"),
        ),
        (
            "On the ECG: what is the rhythm? In the cardiac MRI: describe the right ventricle.",
            {"ecg": "On the ECG: what is the rhythm?", "cmr": "In the cardiac MRI: describe the right ventricle."},
        ),
        (
            "On the ECG, is there LVH, and what is the axis?",
            {"ecg": "On the ECG, is there LVH, and what is the axis?"},
        ),
        (
            "Is there LVH on ECG and does echo confirm it?",
            dict.fromkeys(("ecg", "echo"), "Is there LVH on ECG and does echo confirm it?"),
        ),
        (
            "Is there a pericardial effusion? How large?",
            dict.fromkeys(("echo", "cmr"), "Is there a pericardial effusion? How large?"),
        ),
        ("What are the rhythm and the axis?", {"ecg": "What are the rhythm and the axis?"}),
        ("If the EF is reduced, is there AF?", dict.fromkeys(ALL, "If the EF is reduced, is there AF?")),
        (
            "Patient is 60 years old. How is LV function?",
            dict.fromkeys(("echo", "cmr"), "Patient is 60 years old. How is LV function?"),
        ),
    ],
)
def test_rules_send_each_clause_to_whom_it_concerns(question: str, parts: dict[Modality, str]) -> None:
    assert by_rules(question, ALL) == parts


@pytest.mark.parametrize("question", ["Is the heart normal?", "What is the diagnosis?", "Was es zeigt?", "", "?!"])
def test_what_names_nothing_known_goes_to_all(question: str) -> None:
    assert by_rules(question, ("cmr", "ecg")) == {"ecg": question, "cmr": question}


def test_a_clause_that_no_available_modality_sees_is_left_out_unless_it_is_the_only_one() -> None:
    assert by_rules("What is the rhythm? Is there late enhancement?", ("ecg", "echo")) == {"ecg": "What is the rhythm?"}
    assert by_rules("Is there late enhancement?", ("ecg", "echo")) == dict.fromkeys(
        ("ecg", "echo"), "Is there late enhancement?"
    )


@pytest.mark.parametrize(
    ("modality", "key"), [(modality, key) for modality, by_topic in STEMS.items() for key in by_topic]
)
def test_every_training_question_reaches_its_own_expert_whole(modality: Modality, key: str) -> None:
    for stem in STEMS[modality][key]:
        parts = by_rules(stem, ALL)
        assert parts[modality] == stem
        if key in ("rhythm", "conduction", "st", "axis", "rate", "lge", "tissue"):
            assert set(parts) == {modality}


@given(wild, some)
def test_rules_split_any_text_and_add_no_word(question: str, available: set[Modality]) -> None:
    parts = by_rules(question, available)
    assert parts
    assert list(parts) == [modality for modality in KIND_OF if modality in parts]
    assert set(parts) <= available
    for query in parts.values():
        words = iter(question.split())
        assert all(any(word.startswith(one) for word in words) for one in query.split()), "the question's, in its order"


# --- what a model says


def test_the_prompt_is_the_one_that_experts_are_taught_and_their_answers_are_read() -> None:
    rng, read_well = np.random.default_rng(0), 0
    for _ in range(300):
        (turn,) = decompose_conversation(rng).turns
        studies: Any = turn.question.split("\n")[1].removeprefix("Studies: ").lower().split(", ")
        question = turn.question.split("\nQuestion: ")[1]
        assert prompt(question, studies) == turn.question
        read_well += read(turn.answer, question, studies) == json.loads(turn.answer)
    assert read_well / 300 > 0.95


def test_the_schema_allows_available_modalities_only_and_one_at_least() -> None:
    told = schema(("cmr", "ecg"))
    assert list(told["properties"]) == ["ecg", "cmr"]
    assert (told["additionalProperties"], told["minProperties"], told.get("required")) == (False, 1, None)


def test_good_sub_queries_are_used_as_they_are() -> None:
    assert read(json.dumps(GOOD), ONE_IN_THREE, ALL) == GOOD


@pytest.mark.parametrize(
    ("changed", "why"),
    [
        ({"ecg": "What is the rhythm in lead 2?"}, "adds a"),
        ({"ecg": "What is the left rhythm?"}, "takes words out of their context"),
        ({"ecg": "Is the rhythm atrial fibrillation?"}, "adds a finding"),
        ({"ecg": "Is there no rhythm?"}, "takes words out"),
        ({"ecg": "Is the rhythm normal?"}, "adds a polarity"),
        ({"ecg": "What do you see?"}, "drops the subject"),
        ({"ecg": "The rhythm is there."}, "does not ask"),
        ({"ecg": "What is the rhythm on echo?"}, "names another study"),
        ({"ecg": "What is the\nrhythm?"}, "not one line"),
        ({"ecg": ""}, "is empty"),
        ({"ecg": 7}, "is empty"),
        ({"ecg": "What is the rhythm? " * 40}, "too long"),
        ({"ecg": "Is there scar in the left ventricle?"}, "does not show"),
        ({"echo": "Is there a pericardial effusion?"}, "takes words out"),
        ({"cmr": "Is there scar in the ventricle?"}, "takes words out"),
        ({"cmr": "Is there scar in the right ventricle?"}, "adds a laterality"),
        ({"ecg": None}, "is empty"),
        ({"mri": "Is there scar?"}, "a study that there is not"),
    ],
)
def test_what_a_model_invents_or_drops_is_refused(changed: dict[str, Any], why: str) -> None:
    assert why in str(read(json.dumps(GOOD | changed), ONE_IN_THREE, ALL))


def test_a_negation_reaches_over_the_list_behind_it() -> None:
    question = "What is the rhythm; is there no scar, effusion or LVH?"
    told = {"ecg": "What is the rhythm?", "echo": "Is there effusion?", "cmr": "Is there no scar?"}
    assert "Echo takes words out of their context" in str(read(json.dumps(told), question, ALL))


@pytest.mark.parametrize("left", ["ecg", "cmr"])
def test_a_part_of_the_question_that_nobody_is_asked_is_noticed(left: Modality) -> None:
    told = {modality: query for modality, query in GOOD.items() if modality != left}
    assert isinstance(read(json.dumps(told), ONE_IN_THREE, ALL), str)


@pytest.mark.parametrize(
    "text",
    ["", "{", "[]", "{}", "null", '"ecg"', "[" * 700, '{"ecg": "Is it?", "ecg": "Is it?"}', "1" * 900, "x" * 5000],
)
def test_what_is_no_object_of_sub_queries_is_refused(text: str) -> None:
    assert isinstance(read(text, ONE_IN_THREE, ALL), str)


@given(wild, wild, some, st.dictionaries(st.sampled_from([*ALL, "x"]), st.one_of(wild, st.none(), st.integers())))
def test_anything_can_be_read(text: str, question: str, available: set[Modality], told: dict[str, Any]) -> None:
    for answer in (text, json.dumps(told)):
        found = read(answer, question, available)
        assert found
        assert isinstance(found, str) or set(found) <= available


# --- who decomposes


def _saying(answer: object) -> Any:
    async def ask(prompt: str, schema: dict[str, Any]) -> str:
        if isinstance(answer, Exception):
            raise answer
        return str(answer)

    return ask


async def test_a_usable_answer_of_the_model_is_taken() -> None:
    assert await decompose(ONE_IN_THREE, ALL, _saying(json.dumps(GOOD))) == Decomposition(GOOD, "model")


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("nonsense", "not JSON"),
        (TimeoutError(), "in time"),
        (ExpertUnavailable("the expert is down", "ask later"), "the expert is down"),
    ],
)
async def test_rules_take_over_and_say_why(answer: object, reason: str) -> None:
    found = await decompose(ONE_IN_THREE, ALL, _saying(answer))
    assert (found.source, found.sub_queries) == ("rules", by_rules(ONE_IN_THREE, ALL))
    assert reason in found.reason


async def test_one_modality_gets_the_question_itself_and_no_model_means_rules() -> None:
    alone = await decompose(ONE_IN_THREE, ("echo",), _saying(AssertionError("no model is asked")))
    assert alone == Decomposition({"echo": ONE_IN_THREE}, "rules", "only one modality to ask")
    assert "no language model" in (await decompose(ONE_IN_THREE, ALL, None)).reason


async def test_a_defect_is_not_hidden() -> None:
    with pytest.raises(KeyError):
        await decompose(ONE_IN_THREE, ALL, _saying(KeyError("x")))
