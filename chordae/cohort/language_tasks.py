"""The orchestrator's language tasks as text: decompose a question, rephrase one, summarise experts' answers.

None of them has a picture. A decomposition is JSON: one sub-query for each modality that is asked. A rephrasing asks
the same thing in other words. A summary says what the answers say, in one or two sentences, and nothing else.
"""

import json

import numpy as np

from chordae.cohort import wording
from chordae.cohort.conversation import Conversation, Turn
from chordae.cohort.findings import TOPICS, Topic, topics
from chordae.platform.language_prompts import DECOMPOSE_PROMPT, REPHRASE_PROMPT, SUMMARISE_PROMPT
from chordae.platform.schemas import Modality

NAMES: dict[Modality, str] = {"ecg": "ECG", "echo": "Echo", "cmr": "CMR"}
MISSING: dict[Modality, str] = {
    "ecg": "No ECG was available.",
    "echo": "No echocardiogram was available.",
    "cmr": "No cardiac MRI was available.",
}

_ORDER: tuple[Modality, ...] = ("ecg", "echo", "cmr")
_EVERYWHERE = (
    "Is the heart normal?",
    "What is the diagnosis?",
    "What do the studies show?",
    "What is wrong with this heart?",
    "Summarise all findings.",
)
_PLACES: dict[Modality, tuple[str, ...]] = {
    "ecg": ("On the ECG", "In the ECG"),
    "echo": ("On echo", "In the echocardiogram"),
    "cmr": ("On CMR", "In the cardiac MRI"),
}


def decompose_conversation(rng: np.random.Generator) -> Conversation:
    """A question about several studies -> {"ecg": "...", "cmr": "..."}: one sub-query for each study asked about.

    A question that names no study and fits all goes to every study there is; others only where they belong.
    """
    studies = _some_modalities(rng, least=2)
    if rng.random() < 0.25:
        question = wording.pick(rng, _EVERYWHERE)
        parts = dict.fromkeys(studies, question)
    else:
        asked = [modality for modality in studies if rng.random() < 0.8] or [studies[0]]
        chosen = {modality: _any_topic(modality, rng) for modality in asked}
        parts = {one: wording.pick(rng, wording.STEMS[one][topic.key]) for one, topic in chosen.items()}
        order = [asked[int(index)] for index in rng.permutation(len(asked))]
        question = " ".join(_placed(one, chosen[one], parts[one], rng) for one in order)
    prompt = DECOMPOSE_PROMPT.format(studies=", ".join(NAMES[one] for one in studies), question=question)
    return Conversation((Turn(prompt, json.dumps(parts)),), picture=False)


def rephrase_conversation(rng: np.random.Generator) -> Conversation:
    """A question -> another one with the same answer; a finding that it names stays word for word."""
    topic = TOPICS[int(rng.integers(len(TOPICS)))]
    stems = wording.STEMS[topic.modality][topic.key]
    if rng.random() < 0.4:
        name = wording.pick(rng, topic.findings).removeprefix("No ")
        forms = wording.yes_no_forms(topic.key)
        stems = tuple(form.format(wording.decapitalise(name)) for form in forms)
    first, second = (int(index) for index in rng.permutation(len(stems))[:2])
    return Conversation((Turn(REPHRASE_PROMPT.format(question=stems[first]), stems[second]),), picture=False)


def summarise_conversation(rng: np.random.Generator) -> Conversation:
    """Experts' answers -> what they found, and which study was missing."""
    lines, shown, missing = [], [], []
    for modality in _some_modalities(rng, least=2):
        if rng.random() < 0.15:
            lines.append(f"{NAMES[modality]}: {wording.NOT_PROVIDED[modality]}")
            missing.append(MISSING[modality])
            continue
        every = topics(modality)
        picked = sorted(int(index) for index in rng.permutation(len(every))[: int(rng.integers(1, 4))])
        names = [wording.pick(rng, every[index].findings) for index in picked]
        lines.append(f"{NAMES[modality]}: " + " ".join(f"{name}." for name in names))
        name = NAMES[modality] if modality != "echo" else "echo"
        shown.append(f"the {name} shows {_listed([wording.decapitalise(one) for one in names])}")
    sentences = []
    if shown:
        sentences.append("; ".join(shown).replace("the", "The", 1) + ".")
    if missing:
        sentences.append(" ".join(missing) if len(missing) == 1 else _all_missing(missing))
    return Conversation((Turn(SUMMARISE_PROMPT.format(answers="\n".join(lines)), " ".join(sentences)),), picture=False)


def _all_missing(missing: list[str]) -> str:
    """Several missing studies in one sentence."""
    nouns = [one.removeprefix("No ").removesuffix(" was available.") for one in missing]
    return "No " + ", no ".join(nouns[:-1]) + f" and no {nouns[-1]} was available."


def _some_modalities(rng: np.random.Generator, least: int) -> tuple[Modality, ...]:
    """At least so many of the three, in their order."""
    count = int(rng.integers(least, len(_ORDER) + 1))
    return tuple(_ORDER[index] for index in sorted(int(i) for i in rng.permutation(len(_ORDER))[:count]))


def _placed(modality: Modality, topic: Topic, question: str, rng: np.random.Generator) -> str:
    """The question with its study's name, unless no other study could answer it (then in half of them without)."""
    elsewhere = any(other.key == topic.key and other.modality != modality for other in TOPICS)
    if not elsewhere and rng.random() < 0.5:
        return question
    return f"{wording.pick(rng, _PLACES[modality])}: {wording.decapitalise(question)}"


def _any_topic(modality: Modality, rng: np.random.Generator) -> Topic:
    every = topics(modality)
    return every[int(rng.integers(len(every)))]


def _listed(words: list[str]) -> str:
    return words[0] if len(words) == 1 else ", ".join(words[:-1]) + f" and {words[-1]}"
