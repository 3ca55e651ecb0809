"""The sentences that questions and answers are made of. English, short; findings are always named as in `findings`."""

import numpy as np

from chordae.cohort import findings as vocabulary
from chordae.platform.schemas import Modality

NONE_OPTION = "None of the other options"

SYSTEM_WORDS: dict[Modality, str] = {
    "ecg": "You are an ECG expert.",
    "echo": "You are an echocardiography expert.",
    "cmr": "You are a cardiac MRI expert.",
}
NOT_PROVIDED: dict[Modality, str] = {
    "ecg": "No ECG was provided, so I cannot answer.",
    "echo": "No echocardiogram was provided, so I cannot answer.",
    "cmr": "No cardiac MRI was provided, so I cannot answer.",
}
OUT_OF_SCOPE: dict[Modality, str] = {
    "ecg": "I report rhythm, rate, conduction, ST, axis, hypertrophy and morphology only.",
    "echo": "I report LV and RV function, wall motion, pericardium, left atrium and cardiomyopathy only.",
    "cmr": "I report LV and RV function, enhancement, T1 and T2, pericardium and cardiomyopathy only.",
}
SCOPE_QUESTIONS: dict[Modality, tuple[str, ...]] = {
    "ecg": (
        "Is there a pacemaker?",
        "Is there a delta wave?",
        "What is the ejection fraction?",
        "How old is the patient?",
        "What treatment do you recommend?",
        "Which artery is narrowed?",
    ),
    "echo": (
        "How severe is mitral regurgitation?",
        "Is there a septal defect?",
        "What is the gradient over the aortic valve?",
        "How old is the patient?",
        "What treatment do you recommend?",
        "Is there a thrombus?",
    ),
    "cmr": (
        "What is the flow over the aortic valve?",
        "Is there a septal defect?",
        "How wide is the aorta?",
        "How old is the patient?",
        "What treatment do you recommend?",
        "Is there a perfusion defect?",
    ),
}

_SUBJECTS: dict[Modality, tuple[str, ...]] = {
    "ecg": ("this ECG", "this 12-lead ECG", "this recording", "this tracing"),
    "echo": ("this echo", "this echocardiogram", "this study", "these echo clips"),
    "cmr": ("this cardiac MRI", "this CMR", "this study", "this MRI"),
}
_CLOSINGS = ("", "", "", "", " Answer briefly.", " Be concise.", " Give a short answer.")

DEFAULT_QUESTIONS: dict[Modality, str] = {
    "ecg": "What is the rhythm, and is there any conduction or ST-segment abnormality?",
    "echo": "How is ventricular function, and is there any wall motion abnormality?",
    "cmr": "How is ventricular function, and is there late enhancement?",
}
DEFAULT_QUESTION = DEFAULT_QUESTIONS["ecg"]
DEFAULT_TOPICS: dict[Modality, tuple[str, ...]] = {
    "ecg": ("rhythm", "conduction", "st"),
    "echo": ("lv_function", "rv_function", "wall_motion"),
    "cmr": ("lv_function", "rv_function", "lge"),
}
"""What the default question and its variants ask for, and nothing more."""
_FIRST: dict[Modality, tuple[str, ...]] = {
    "ecg": (
        "What is the rhythm",
        "Which rhythm is present",
        "What rhythm do you see",
        "What rhythm does this tracing show",
        "What heart rhythm is shown",
        "Identify the rhythm",
        "Name the rhythm",
        "Describe the rhythm",
        "Tell me the rhythm",
    ),
    "echo": (
        "How is ventricular function",
        "How do both ventricles contract",
        "How well do the ventricles pump",
        "What is the function of both ventricles",
        "Describe ventricular function",
        "Grade LV and RV function",
    ),
}
_FIRST["cmr"] = _FIRST["echo"]
_SECOND: dict[Modality, tuple[str, ...]] = {
    "ecg": (
        "is there any conduction or ST-segment abnormality",
        "are there any abnormalities of conduction or of the ST segment",
        "do you see a conduction or ST-segment abnormality",
        "is conduction or the ST segment abnormal",
        "say whether conduction or the ST segment is abnormal",
        "whether there is a conduction disturbance or an ST-segment change",
        "are conduction and ST segments normal",
        "comment on conduction and the ST segments",
        "mention any conduction or ST-segment finding",
        "list any conduction defect and any ST elevation",
    ),
    "echo": (
        "is there any wall motion abnormality",
        "are there wall motion abnormalities",
        "do you see abnormal wall motion",
        "is wall motion normal",
        "comment on wall motion",
        "mention any abnormal wall motion",
    ),
    "cmr": (
        "is there late enhancement",
        "is there any late gadolinium enhancement",
        "do you see scar or fibrosis",
        "is there fibrosis",
        "comment on late enhancement",
        "mention any late enhancement",
    ),
}
_WHOLE = (
    "What does {} show?",
    "Interpret {}.",
    "Describe {}.",
    "Give a short report of {}.",
    "Report {}.",
    "Please read {}.",
    "What are the findings on {}?",
    "Summarise the findings on {}.",
    "Is {} normal or abnormal?",
    "What abnormalities does {} show, if any?",
)

_VENTRICLES = {
    "lv_function": (
        "How is LV function?",
        "What is left ventricular systolic function?",
        "How well does the left ventricle pump?",
        "Grade left ventricular function.",
        "Is LV function reduced?",
        "How would you grade the ejection fraction?",
        "Which describes LV systolic function?",
    ),
    "rv_function": (
        "How is the right ventricle?",
        "What are the size and function of the right ventricle?",
        "How well does the right ventricle pump?",
        "Describe the right ventricle.",
        "Is the right ventricle abnormal?",
        "Which describes the RV?",
        "Assess RV size and function.",
    ),
    "pericardial": (
        "Is there a pericardial effusion?",
        "How much pericardial fluid is there?",
        "What does the pericardium show?",
        "Describe the pericardial space.",
        "How large is a pericardial effusion, if any?",
        "Which pericardial finding is present?",
        "Grade any pericardial effusion.",
    ),
    "cardiomyopathy": (
        "Is there a cardiomyopathy?",
        "Which cardiomyopathy is present, if any?",
        "What type of cardiomyopathy is shown?",
        "Is there evidence of a cardiomyopathy?",
        "Name the cardiomyopathy, if any.",
        "Which phenotype does the heart have?",
        "Does the heart look like a cardiomyopathy?",
    ),
    "diagnosis": (
        "What is the diagnosis?",
        "What is the most likely diagnosis?",
        "Which diagnosis fits best?",
        "Which disease explains the findings?",
        "Name the main diagnosis.",
        "What is the overall conclusion?",
        "How would you conclude?",
    ),
}
STEMS: dict[Modality, dict[str, tuple[str, ...]]] = {
    "ecg": {
        "rhythm": (
            "What is the rhythm?",
            "Which rhythm is shown?",
            "What rhythm do you see?",
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
        "hypertrophy": (
            "Is there ventricular hypertrophy?",
            "Which ventricle is hypertrophied, if any?",
            "What do the voltages say about hypertrophy?",
            "Are there signs of hypertrophy?",
            "Which hypertrophy finding is present?",
            "Is a ventricle hypertrophied?",
        ),
        "axis": (
            "What is the electrical axis?",
            "How is the axis?",
            "Is there axis deviation?",
            "Where does the QRS axis point?",
            "Describe the frontal QRS axis.",
            "Which axis finding is present?",
        ),
        "rate": (
            "What is the heart rate?",
            "What is the ventricular rate?",
            "How fast is the heart beating?",
            "Estimate the heart rate.",
            "How many beats per minute are there?",
            "Which heart rate fits?",
        ),
        "morphology": (
            "Are Q or T waves abnormal?",
            "What do the QRS and T waves look like?",
            "Which abnormality of Q waves, T waves or voltage is present?",
            "Describe QRS and T-wave morphology.",
            "Is there a morphological abnormality?",
            "Which morphology finding is present?",
        ),
        "diagnosis": (
            "What is the diagnosis?",
            "What is the overall impression?",
            "Which pattern fits best?",
            "How would you conclude?",
            "What is the main conclusion?",
            "Which pattern explains the findings?",
        ),
    },
    "echo": {
        **_VENTRICLES,
        "wall_motion": (
            "Is there a wall motion abnormality?",
            "How is wall motion?",
            "Which wall moves abnormally, if any?",
            "Describe regional wall motion.",
            "Do all walls contract normally?",
            "Which wall motion finding is present?",
            "Assess wall motion.",
        ),
        "atrium": (
            "How large is the left atrium?",
            "Is the left atrium enlarged?",
            "What is the size of the left atrium?",
            "Grade left atrial size.",
            "Describe the left atrium.",
            "Which left atrial finding is present?",
            "Is there left atrial enlargement?",
        ),
    },
    "cmr": {
        **_VENTRICLES,
        "lge": (
            "Is there late gadolinium enhancement?",
            "Where is late enhancement, if anywhere?",
            "Which pattern of late enhancement is present?",
            "What does late enhancement show?",
            "Is there scar or fibrosis?",
            "Describe the late enhancement.",
            "How is fibrosis distributed, if there is any?",
        ),
        "tissue": (
            "What do T1 and T2 show?",
            "How are T1 and T2?",
            "Which mapping finding is present?",
            "Is T1 or T2 raised?",
            "Describe T1 and T2 of the myocardium.",
            "What does tissue characterisation show?",
            "Are the maps abnormal?",
        ),
    },
}
"""By modality and topic; at least six ways to ask each."""

_YES_NO = ("Do you see {}?", "Any sign of {}?", "Can {} be seen?", "Would you report {}?", "Do you find {}?")
_YES_NO_OF: dict[str, tuple[str, ...]] = {
    "rate": ("Is the heart rate {}?", "Is the rate {}?", "Would you say that the rate is {}?"),
    "diagnosis": ("Is the diagnosis {}?", "Would you conclude: {}?", "Does {} fit best?"),
}
MATCH_LEADS = ("Finding: {}", "Report: {}", "The study was read as: {}", "Known finding: {}")
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

RATE_NUMBERS: dict[str, tuple[int, int]] = dict(
    zip(vocabulary.RATES, ((36, 49), (50, 59), (60, 79), (80, 99), (100, 119), (120, 150)), strict=True)
)
"""Lowest and highest rate, beats a minute, that is imagined for each finding of the rate."""
EF_NUMBERS: dict[str, tuple[int, int]] = dict(
    zip(vocabulary.LV_FUNCTION, ((14, 28), (32, 40), (44, 51), (55, 72)), strict=True)
)
"""The same for the LV ejection fraction, percent."""


def pick(rng: np.random.Generator, choices: tuple[str, ...]) -> str:
    """One of them, evenly."""
    return choices[int(rng.integers(len(choices)))]


def decapitalise(text: str) -> str:
    """For the middle of a sentence: "Normal axis" -> "normal axis", but "LV non-compaction" stays."""
    return text[0].lower() + text[1:] if len(text) > 1 and text[1].islower() else text


def whole_question(modality: Modality, rng: np.random.Generator) -> str:
    """Some way to ask for everything."""
    return dress(modality, pick(rng, _WHOLE).format(pick(rng, _SUBJECTS[modality])), rng)


def default_question(modality: Modality, rng: np.random.Generator) -> str:
    """The default question, word for word half of the time, or a variant that asks for the same `DEFAULT_TOPICS`."""
    if rng.random() < 0.5:
        return dress(modality, DEFAULT_QUESTIONS[modality], rng)
    joint = ", and " if rng.random() < 0.6 else " and "
    end = "?" if rng.random() < 0.7 else "."
    return dress(modality, pick(rng, _FIRST[modality]) + joint + pick(rng, _SECOND[modality]) + end, rng)


def stem(modality: Modality, key: str, rng: np.random.Generator) -> str:
    """Some way to ask about one topic."""
    return dress(modality, pick(rng, STEMS[modality][key]), rng)


def yes_no_forms(key: str) -> tuple[str, ...]:
    """The ways to ask whether a finding of a topic is there, each with a place for its name."""
    return _YES_NO_OF.get(key, _YES_NO)


def yes_no(modality: Modality, key: str, name: str, rng: np.random.Generator) -> str:
    """Some way to ask whether a finding is there."""
    return dress(modality, pick(rng, yes_no_forms(key)).format(decapitalise(name)), rng)


def dress(modality: Modality, question: str, rng: np.random.Generator) -> str:
    """The question, perhaps with an opening or a closing."""
    draw = rng.random()
    if draw < 0.2:
        question = f"Looking at {pick(rng, _SUBJECTS[modality])}: {question}"
    elif draw < 0.3:
        question = f"On {pick(rng, _SUBJECTS[modality])}, {decapitalise(question)}"
    elif draw < 0.4:
        question = f"Please answer: {question}"
    return question + pick(rng, _CLOSINGS)
