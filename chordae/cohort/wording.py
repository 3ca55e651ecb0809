"""The sentences that questions and answers are made of. English, short; findings are always named the same way."""

import numpy as np

from chordae.cohort.ecg import EcgLatents

RHYTHM_NAMES = {
    "sinus": "Sinus rhythm",
    "bradycardia": "Sinus bradycardia",
    "tachycardia": "Sinus tachycardia",
    "atrial fibrillation": "Atrial fibrillation",
}
CONDUCTION_NAMES = {
    "normal": "Normal conduction",
    "LBBB": "Left bundle branch block",
    "RBBB": "Right bundle branch block",
    "first-degree block": "First-degree AV block",
}
ST_NAMES = {"none": "No ST elevation", "anterior": "Anterior ST elevation", "inferior": "Inferior ST elevation"}
RATE_BINS = (
    (0, 50, "Below 50 bpm"),
    (50, 60, "50 to 59 bpm"),
    (60, 80, "60 to 79 bpm"),
    (80, 100, "80 to 99 bpm"),
    (100, 120, "100 to 119 bpm"),
    (120, 1000, "120 bpm or more"),
)
NONE_OPTION = "None of the other options"
NO_ECG = "No ECG was provided, so I cannot answer."
OUT_OF_SCOPE = "I report rhythm, rate, conduction and ST elevation only."
DEFAULT_QUESTION = "What is the rhythm, and is there any conduction or ST-segment abnormality?"

_OPENINGS = ("", "", "", "", "Looking at this ECG: ", "On this 12-lead ECG, ", "In this recording, ", "Please answer: ")
_CLOSINGS = ("", "", "", "", " Answer briefly.", " Be concise.", " Give a short answer.")

_FULL_FIRST = (
    "What is the rhythm",
    "Which rhythm is present",
    "What rhythm do you see",
    "What rhythm does this tracing show",
    "What heart rhythm is shown",
    "Identify the rhythm",
    "Name the rhythm",
    "State the rhythm",
    "Describe the rhythm",
    "Report the rhythm",
    "Tell me the rhythm",
)
_FULL_SECOND = (
    "is there any conduction or ST-segment abnormality",
    "are there any abnormalities of conduction or of the ST segment",
    "do you see a conduction or ST-segment abnormality",
    "is conduction or the ST segment abnormal",
    "say whether conduction or the ST segment is abnormal",
    "whether there is a conduction disturbance or an ST-segment change",
    "are conduction and ST segments normal",
    "comment on conduction and the ST segments",
    "is there a conduction delay or ST deviation",
    "mention any conduction or ST-segment finding",
    "list any conduction defect and any ST elevation",
)
_FULL_WHOLE = (
    "What does this ECG show?",
    "Interpret this ECG.",
    "Describe this ECG.",
    "Give a short report of this ECG.",
    "What are the main findings?",
    "Summarise the findings on this tracing.",
    "Report rhythm, rate, conduction and ST segments.",
    "Please read this electrocardiogram.",
    "Is this ECG normal or abnormal?",
    "What abnormalities are present, if any?",
)
STEMS = {
    "rhythm": (
        "What is the rhythm?",
        "Which rhythm is shown?",
        "What rhythm does this ECG show?",
        "Which of these is the rhythm?",
        "How would you classify the rhythm?",
        "What is the underlying rhythm?",
        "Identify the cardiac rhythm.",
    ),
    "conduction": (
        "Is there a conduction abnormality?",
        "How is conduction?",
        "Which conduction finding is present?",
        "What is the conduction finding?",
        "What do the PR interval and the QRS show about conduction?",
        "Describe AV and ventricular conduction.",
        "Which conduction disturbance, if any, is present?",
    ),
    "st": (
        "Is there ST elevation?",
        "What do the ST segments show?",
        "Which ST-segment finding is present?",
        "Where is ST elevation, if anywhere?",
        "Describe the ST segments.",
        "Is there an ST-segment abnormality?",
        "Which territory shows ST elevation, if any?",
    ),
    "rate": (
        "What is the heart rate?",
        "What is the ventricular rate?",
        "How fast is the heart beating?",
        "Estimate the heart rate.",
        "How many beats per minute are there?",
        "Which heart rate fits this ECG?",
    ),
}
_YES_NO = ("Is there {}?", "Does this ECG show {}?", "Do you see {}?", "Is {} present?", "Any sign of {}?")
SCOPE_QUESTIONS = (
    "Is there left ventricular hypertrophy?",
    "What is the electrical axis?",
    "What is the QTc interval?",
    "Are there pathological Q waves?",
    "Is there a pacemaker?",
    "How old is the patient?",
    "What treatment do you recommend?",
    "What is the ejection fraction?",
)
OTHER_OPTIONS = (
    "Rhythm",
    "Conduction",
    "Interval",
    "Segment",
    "Elevation",
    "Recording",
    "Tracing",
    "Picture",
    "Answer",
    "Question",
    "Heart",
    "Abnormal",
    "Report",
    "Finding",
    "Letter",
    "Territory",
)
"""Plain words that lists of options are padded with: matching must not be learned for findings alone."""
MATCH_LEADS = ("Finding: {}", "Report: {}", "The ECG was read as: {}", "Known finding: {}")


def pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    """One of them, evenly."""
    return choices[int(rng.integers(len(choices)))]


def finding(latents: EcgLatents, category: str) -> str:
    """The true finding of a category, by name; for the rate, its bin."""
    if category == "rhythm":
        return RHYTHM_NAMES[latents.rhythm]
    if category == "conduction":
        return CONDUCTION_NAMES[latents.conduction]
    if category == "st":
        return ST_NAMES[latents.st]
    return rate_bin(latents.rate_bpm)


def findings(category: str) -> tuple[str, ...]:
    """All findings of a category, by name."""
    names = {"rhythm": RHYTHM_NAMES, "conduction": CONDUCTION_NAMES, "st": ST_NAMES}
    return tuple(names[category].values()) if category in names else tuple(bin_[2] for bin_ in RATE_BINS)


def rate_bin(bpm: float) -> str:
    """The bin that a rate falls into."""
    return next(name for low, high, name in RATE_BINS if low <= bpm < high)


def report(latents: EcgLatents) -> str:
    """Rhythm with rate, conduction, ST, a sentence each."""
    rhythm, conduction, st = (finding(latents, part) for part in ("rhythm", "conduction", "st"))
    return f"{rhythm} at {latents.rate_bpm} bpm. {conduction}. {st}."


def full_question(rng: np.random.Generator) -> str:
    """Some way to ask for rhythm, conduction and ST in one."""
    draw = rng.random()
    if draw < 0.2:
        return DEFAULT_QUESTION
    if draw < 0.4:
        return dress(pick(rng, _FULL_WHOLE), rng)
    joint = ", and " if rng.random() < 0.6 else " and "
    end = "?" if rng.random() < 0.7 else "."
    return dress(pick(rng, _FULL_FIRST) + joint + pick(rng, _FULL_SECOND) + end, rng)


def stem(category: str, rng: np.random.Generator) -> str:
    """Some way to ask about one category."""
    return dress(pick(rng, STEMS[category]), rng)


def yes_no(name: str, rng: np.random.Generator) -> str:
    """Some way to ask whether a finding is there."""
    return dress(pick(rng, _YES_NO).format(name[0].lower() + name[1:]), rng)


def dress(question: str, rng: np.random.Generator) -> str:
    """The question, perhaps with an opening or a closing."""
    opening = pick(rng, _OPENINGS)
    if opening.endswith(", "):
        question = question[0].lower() + question[1:]
    return opening + question + pick(rng, _CLOSINGS)
