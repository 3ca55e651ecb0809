"""Answers from one truth agree; one turned into its opposite is caught; what is not clearly said is no fact."""

from collections.abc import Mapping
from functools import lru_cache

import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chordae.cohort import wording
from chordae.cohort.dataset import Sample
from chordae.cohort.findings import findings, topics
from chordae.cohort.patient import draw_patient
from chordae.cohort.questions import report
from chordae.cohort.record import make_record
from chordae.cohort.sites import load_site
from chordae.cohort.statements import conclusion, ecg_statements, echo_statements
from chordae.cohort.truth import Truth
from chordae.deployments.clinical_facts import read_facts
from chordae.deployments.clinical_text import sentences
from chordae.deployments.contradictions import RULES, contradictions
from chordae.platform.schemas import KIND_OF, Modality

PATIENTS = 240
NOTHING = read_facts("")


@lru_cache(maxsize=1)
def truths() -> tuple[Truth, ...]:
    sites = [load_site(name) for name in ("registry", "university", "regional", "heart-centre")]
    return tuple(draw_patient(sites[number % 4], 17, number + 1).truth for number in range(PATIENTS))


def say(truth: Truth, modality: Modality, instead: Mapping[str, str] | None = None) -> str:
    """What an expert says of a patient, whole; with some findings replaced, and then without the number."""
    numbers = {"ecg": {"rate_bpm": float(truth.ecg.rate_bpm)}}.get(modality, {"lv_ef": truth.measured.lv_ef})
    found = findings(truth, modality) | dict(instead or {})
    known = {} if instead else numbers
    return report(Sample(patient="p", site="s", modality=modality, media="m", findings=found, numbers=known))


def named(answers: Mapping[Modality, str]) -> set[tuple[str, tuple[Modality, Modality]]]:
    return {(one.matter, one.between) for one in contradictions(answers)}


@pytest.mark.slow
def test_answers_from_one_truth_never_contradict_each_other() -> None:
    alarms = {truth.patient: named({modality: say(truth, modality) for modality in KIND_OF}) for truth in truths()}
    assert {patient: found for patient, found in alarms.items() if found} == {}


@pytest.mark.slow
def test_of_one_truth_in_hospital_words_only_voltage_contradicts_the_wall() -> None:
    """Statements with walls and trabeculation too; ECG voltage over a thin wall is drawn, and is to be named."""
    alarms = 0
    for truth in truths():
        site = load_site("registry")
        site = site.model_copy(update={"wording": site.wording.model_copy(update={"errors": 0.0, "omissions": 0.0})})
        record = make_record(truth, site, np.random.default_rng(1))
        told = {
            "ecg": "; ".join(one.text for one in ecg_statements(truth)) + ".",
            "echo": "\n".join(f"- {one.text}" for one in (*echo_statements(truth), conclusion(truth))),
            "cmr": f"{record.text}\nImpression: {conclusion(truth).text}.",
        }
        found = named({modality: told[modality] for modality in KIND_OF})
        assert found <= {("LV hypertrophy", ("ecg", "cmr"))}
        thin = any(one.text == "No wall thickening" for one in record.description)
        unhidden = findings(truth, "ecg")["hypertrophy"] == "Left ventricular hypertrophy"
        assert bool(found) == (thin and unhidden)
        alarms += bool(found)
    assert alarms < PATIENTS / 5


OPPOSITES: dict[str, tuple[str, dict[str, str]]] = {
    "Normal LV function": ("lv_function", {"Severely reduced LV function": "LV ejection fraction"}),
    "Severely reduced LV function": ("lv_function", {"Normal LV function": "LV ejection fraction"}),
    "Normal right ventricle": ("rv_function", {"Dilated right ventricle with reduced function": "RV function"}),
    "Dilated right ventricle with reduced function": ("rv_function", {"Normal right ventricle": "RV size"}),
    "Reduced RV function without dilatation": ("rv_function", {"Normal right ventricle": "RV function"}),
    "No pericardial effusion": ("pericardial", {"Large pericardial effusion": "pericardial effusion"}),
    "Small pericardial effusion": ("pericardial", {"No pericardial effusion": "pericardial effusion"}),
    "Large pericardial effusion": ("pericardial", {"Small pericardial effusion": "pericardial effusion"}),
    "No cardiomyopathy": ("cardiomyopathy", {"Dilated cardiomyopathy": "diagnosis"}),
    "Normal heart": ("diagnosis", {"Myocardial infarction": "diagnosis"}),
    "Myocardial infarction": ("diagnosis", {"Normal heart": "diagnosis"}),
}


@pytest.mark.slow
def test_a_finding_turned_into_its_opposite_in_one_modality_is_caught_every_time() -> None:
    tried = 0
    for truth in truths():
        straight: dict[Modality, str] = {modality: say(truth, modality) for modality in KIND_OF}
        for modality in ("echo", "cmr"):
            for finding in findings(truth, modality).values():
                key, turned = OPPOSITES.get(finding or "", ("", {}))
                for opposite, matter in turned.items():
                    told = straight | {modality: say(truth, modality, {key: opposite})}
                    assert (matter, ("echo", "cmr")) in named(told), (finding, opposite, told)
                    tried += 1
    assert tried > 4 * PATIENTS


@pytest.mark.slow
def test_an_infarct_scar_in_another_territory_than_the_wall_that_moves_badly_is_caught() -> None:
    other = {"anterior": "inferior", "inferior": "lateral", "lateral": "anterior"}
    tried = 0
    for truth in truths():
        motion = findings(truth, "echo")["wall_motion"]
        if truth.category == "myocardial infarction" and truth.territory and motion and motion.split()[0] != "No":
            where = motion.split()[0].lower()
            if where in other:
                lge = f"Ischaemic enhancement of the {other[where]} wall"
                told: dict[Modality, str] = {"echo": say(truth, "echo"), "cmr": say(truth, "cmr", {"lge": lge})}
                assert ("ischaemic territory", ("echo", "cmr")) in named(told)
                tried += 1
    assert tried > 3


ECHO_CMR, ECG_ECHO, ECG_CMR = ("echo", "cmr"), ("ecg", "echo"), ("ecg", "cmr")
CAUGHT = [
    ("LV ejection fraction", ECHO_CMR, "EF 38 %", "LVEF is 55%."),
    ("LV ejection fraction", ECHO_CMR, "Moderately reduced LV function.", "Normal LV function, EF 60 %."),
    ("LV ejection fraction", ECHO_CMR, "LV ejection fraction: 60-65 %", "ejection fraction is severely reduced (25%)"),
    ("LV ejection fraction", ECHO_CMR, "EF > 60 %", "RV EF 61 %, LV EF 40 %"),
    ("rhythm", ECG_CMR, "Atrial fibrillation.", "Sinus rhythm throughout."),
    ("rhythm", ECG_ECHO, "Normal sinus rhythm at 72 bpm.", "AF with a rate of 110 bpm."),
    ("rhythm", ECHO_CMR, "No atrial fibrillation.", "Atrial fibrillation."),
    ("LV hypertrophy", ECG_ECHO, "LVH.", "No left ventricular hypertrophy."),
    ("LV hypertrophy", ECG_CMR, "Left ventricular hypertrophy.", "No wall thickening."),
    ("LV hypertrophy", ECG_CMR, "Left ventricular hypertrophy.", "Septal thickness 9 mm."),
    ("LV hypertrophy", ECHO_CMR, "Septal wall thickening, up to 17 mm", "Normal wall thickness."),
    ("voltage and mass", ECG_CMR, "Low QRS voltage.", "Hypertrophic cardiomyopathy. No pericardial effusion."),
    ("pericardial effusion", ECHO_CMR, "There is no evidence of pericardial effusion.", "Small pericardial effusion"),
    ("pericardial effusion", ECHO_CMR, "Small pericardial effusion", "Large pericardial effusion"),
    ("RV function", ECHO_CMR, "RV function is mildly reduced.", "Normal RV size and function."),
    ("RV size", ECHO_CMR, "The right ventricle is dilated.", "Reduced RV function without dilatation."),
    ("wall motion", ECHO_CMR, "No wall motion abnormality.", "Inferior wall hypokinesis"),
    ("wall motion", ECHO_CMR, "Anterior wall motion abnormality", "Akinesis of the inferior wall"),
    ("ischaemic territory", ECHO_CMR, "Anteroseptal hypokinesis", "Transmural LGE of the lateral wall"),
    ("diagnosis", ECHO_CMR, "Impression: Cardiac amyloidosis.", "Impression: Hypertrophic heart disease."),
    ("diagnosis", ECHO_CMR, "Dilated cardiomyopathy.", "No cardiomyopathy."),
]


@pytest.mark.parametrize(("matter", "between", "first", "second"), CAUGHT)
def test_each_rule_names_its_contradiction_and_quotes_both(
    matter: str, between: tuple[Modality, Modality], first: str, second: str
) -> None:
    (found,) = [one for one in contradictions({between[0]: first, between[1]: second}) if one.matter == matter]
    assert found.between == between
    assert found.clash.quotes[0] in first
    assert found.clash.quotes[1] in second
    swapped = contradictions({between[1]: second, between[0]: first})
    assert found in swapped  # the order of the answers decides nothing


def test_every_rule_has_an_example_that_it_catches() -> None:
    assert {matter for matter, *_ in CAUGHT} == {rule.matter for rule in RULES}


@pytest.mark.parametrize(("echo", "cmr", "apart"), [("38", "55", "17"), ("20", "62.4", "42"), ("44", "55", "11")])
def test_how_far_ejection_fractions_are_apart_is_said(echo: str, cmr: str, apart: str) -> None:
    (found,) = contradictions({"echo": f"EF {echo} %.", "cmr": f"EF {cmr} %."})
    assert found.clash.by.startswith(f"{apart} percentage points")


SILENT = [
    ("the methods differ by as much", ECHO_CMR, "EF 45 %.", "EF 55 %."),
    ("neighbouring grades", ECHO_CMR, "Mildly reduced LV function.", "Normal LV function."),
    ("the other ventricle's number", ECHO_CMR, "Borderline right ventricle, EF 30 %.", "LV EF 60 %."),
    ("a past value", ECHO_CMR, "Previous EF 30 %.", "EF 60 %."),
    ("another fraction", ECHO_CMR, "Regurgitant fraction 20 %.", "EF 60 %."),
    ("a voltage that misses the wall", ECG_CMR, "No ventricular hypertrophy.", "Hypertrophic cardiomyopathy."),
    ("the other ventricle", ECG_CMR, "Right ventricular hypertrophy.", "No left ventricular hypertrophy."),
    ("no HCM is not no hypertrophy", ECG_ECHO, "LVH.", "No hypertrophic cardiomyopathy."),
    ("a hedge", ECG_CMR, "Possible atrial fibrillation.", "Sinus rhythm."),
    ("not excluded", ECG_CMR, "Atrial fibrillation cannot be excluded.", "Sinus rhythm."),
    ("history", ECG_CMR, "History of atrial fibrillation.", "Sinus rhythm."),
    ("a question", ECG_CMR, "Is there atrial fibrillation?", "Sinus rhythm."),
    ("an alternative", ECG_CMR, "Atrial fibrillation or flutter.", "Sinus rhythm."),
    ("both at once", ECG_CMR, "Sinus rhythm. Atrial fibrillation.", "Sinus rhythm."),
    ("a list under one negation", ECG_CMR, "No ST elevation, atrial fibrillation, or block.", "Sinus rhythm."),
    ("a label that says no", ECG_CMR, "Atrial fibrillation: no.", "Sinus rhythm."),
    ("denied behind", ECG_CMR, "Atrial fibrillation is not seen.", "Sinus rhythm."),
    ("rather than", ECG_CMR, "Sinus rhythm rather than atrial fibrillation.", "Sinus rhythm."),
    ("a recommendation", ECG_ECHO, "LVH.", "Recommend CMR to assess for normal wall thickness."),
    (
        "low voltage under fluid",
        ECG_CMR,
        "Low QRS voltage.",
        "Hypertrophic heart disease. Small pericardial effusion.",
    ),
    ("physiological fluid", ECHO_CMR, "Trace pericardial effusion.", "No pericardial effusion."),
    ("nothing significant", ECHO_CMR, "No significant pericardial effusion.", "Small pericardial effusion."),
    ("another effusion", ECHO_CMR, "Large pleural effusion.", "No pericardial effusion."),
    ("neighbouring effusions", ECHO_CMR, "Small pericardial effusion.", "Moderate pericardial effusion."),
    ("not regional but global", ECHO_CMR, "No regional wall motion abnormality.", "Global hypokinesis."),
    ("a shared wall", ECHO_CMR, "Inferolateral hypokinesis.", "Ischaemic enhancement of the lateral wall."),
    ("scar that is not ischaemic", ECHO_CMR, "Anterior hypokinesis.", "Non-ischaemic scar of the lateral wall."),
    ("thin scar, good motion", ECHO_CMR, "No wall motion abnormality.", "Ischaemic enhancement of the anterior wall."),
    ("size is not function", ECHO_CMR, "Normal RV size.", "Reduced RV function without dilatation."),
    ("thickening in systole", ECG_CMR, "LVH.", "No wall thickening in systole."),
]


@pytest.mark.parametrize(("between", "first", "second"), [row[1:] for row in SILENT], ids=[row[0] for row in SILENT])
def test_what_can_both_be_true_or_is_not_clearly_said_is_no_contradiction(
    between: tuple[Modality, Modality], first: str, second: str
) -> None:
    assert contradictions({between[0]: first, between[1]: second}) == []


@pytest.mark.parametrize("text", [*wording.NOT_PROVIDED.values(), *wording.OUT_OF_SCOPE.values(), wording.NONE_OPTION])
def test_a_refusal_holds_no_facts(text: str) -> None:
    assert read_facts(text) == NOTHING


SHARED = ("rhythm", "hypertrophy", "lv_function", "rv_function", "wall_motion", "pericardial", "cardiomyopathy")


NAMES = {name for topic in topics("ecg") + topics("echo") if topic.key in SHARED for name in topic.findings}


@pytest.mark.parametrize("finding", sorted(NAMES))
def test_every_finding_of_the_vocabulary_that_several_modalities_speak_of_is_read(finding: str) -> None:
    assert (read_facts(f"{finding}.") != NOTHING) == (finding != "Right ventricular hypertrophy")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Sinus rhythm. No block.", ["Sinus rhythm.", "No block."]),
        ("No. Sinus rhythm.", ["No.", "Sinus rhythm."]),
        ("1. Sinus rhythm.\n2. EF 38.5 % approx. normal", ["1. Sinus rhythm.", "2. EF 38.5 % approx. normal"]),
        ("A. Atrial fibrillation", ["A. Atrial fibrillation"]),
        ("\n \n---\n", []),
        ("房颤\n…", ["房颤"]),
    ],
)
def test_sentences_end_at_lines_and_full_stops_but_not_at_numbers(text: str, expected: list[str]) -> None:
    assert sentences(text) == expected


PIECES = ["No", "AF", "EF", "38", "%", ",", ".", ";", "LVH", "and", "or", "\n", "not", ":"]
anything = st.one_of(st.text(max_size=300), st.lists(st.sampled_from(PIECES)).map(" ".join))


@hypothesis_settings(max_examples=150, deadline=None)
@given(anything, anything, anything)
def test_no_text_is_too_odd_to_read_and_quotes_are_the_experts_own_words(ecg: str, echo: str, cmr: str) -> None:
    answers: dict[Modality, str] = {"ecg": ecg, "echo": echo, "cmr": cmr}
    for found in contradictions(answers):
        assert all(quote in answers[who] for who, quote in zip(found.between, found.clash.quotes, strict=True))


@pytest.mark.timeout(60)
@pytest.mark.parametrize("unit", ["AF ", "no ", "EF is ", " ", "a.", "pericardial effusion, ", "no wall thickening. "])
def test_a_huge_text_is_read_in_time_that_grows_with_its_length(unit: str) -> None:
    contradictions({"echo": unit * (300_000 // len(unit)), "cmr": "No pericardial effusion."})
