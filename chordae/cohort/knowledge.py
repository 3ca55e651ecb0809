"""Knowledge for the CMR reasoner's first stage: questions and answers, generated from tables, each with its source.

Criteria, further facts and how to tell categories apart come from `guidelines`, ranges from `record` (what the records
print): those answers end in the document that they paraphrase. Signs come from `signs`; they say what the simulated
records show, and no document is claimed for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from chordae.cohort.findings import EFFUSION_LIMITS, PERICARDIAL
from chordae.cohort.guidelines import CRITERION, DISTINCTIONS, FACTS, METHOD, SOURCES, Fact
from chordae.cohort.record import INDEXED, LA_INDEX, RV_EF, WALL
from chordae.cohort.signs import SIGNS
from chordae.cohort.statements import TRABECULATED
from chordae.cohort.truth import TERRITORIES
from chordae.cohort.wording import decapitalise
from chordae.platform.diagnosis.category import CATEGORIES, Category
from chordae.platform.diagnosis.record import UNITS, Flag

_NUMBER_SEED = 20_260_601
ARTERIES = {
    "anterior": "left anterior descending artery",
    "inferior": "right coronary artery",
    "lateral": "circumflex artery",
}


@dataclass(frozen=True)
class Pair:
    """A question and its answer."""

    question: str
    answer: str

    @property
    def messages(self) -> list[dict[str, str]]:
        """As OpenAI messages."""
        return [{"role": "user", "content": self.question}, {"role": "assistant", "content": self.answer}]


def pairs() -> tuple[Pair, ...]:
    """All of them, no question twice, always the same ones in the same order."""
    made = [*_criteria(), *_facts(), *_told_apart(), *_signs(), *_ranges(), *_measures()]
    return tuple({one.question: one for one in made}.values())


def _named(category: Category) -> str:
    return "a normal heart" if category == "normal" else category


def _sourced(text: str, *sources: str) -> str:
    return f"{text[0].upper()}{text[1:]} ({'; '.join(SOURCES[source] for source in sources)})."


def _criteria() -> Iterator[Pair]:
    for category in CATEGORIES:
        fact, name = CRITERION[category], _named(category)
        answer = _sourced(fact.says, fact.source)
        for question in (
            f"What do you know about {fact.about}?",
            f"Which criterion speaks for {name} on CMR?",
            f"What would you look for first to diagnose {name}?",
        ):
            yield Pair(question, answer)


def _facts() -> Iterator[Pair]:
    everything: list[Fact] = [fact for category in CATEGORIES for fact in FACTS[category]]
    for fact in (*everything, *METHOD):
        answer = _sourced(fact.says, fact.source)
        yield Pair(f"What is known about {fact.about}?", answer)
        yield Pair(f"Say what a reader of CMR should know about {fact.about}.", answer)


def _told_apart() -> Iterator[Pair]:
    for one in DISTINCTIONS:
        first, second = _named(one.first), _named(one.second)
        answer = _sourced(one.says.format(first=first, second=second), one.source)
        yield Pair(f"How do you tell {first} from {second}?", answer)
        yield Pair(f"A record fits both {second} and {first}. What decides?", answer)


def _signs() -> Iterator[Pair]:
    """What each category does to parameters and findings, and, the other way round, what a finding fits."""
    fits: dict[str, list[Category]] = {}
    for category in CATEGORIES:
        signs, name = SIGNS[category], _named(category)
        listed = ", ".join(f"{_either(flags)} {parameter}" for parameter, flags in signs.parameters.items())
        yield Pair(f"Which functional parameters fit {name}?", f"In the simulated records typically {listed}.")
        listed = ", ".join(decapitalise(one) for starts in signs.findings.values() for one in starts)
        yield Pair(f"Which imaging findings fit {name}?", f"In the simulated records typically {listed}.")
        for parameter, flags in signs.parameters.items():
            answer = f"In the simulated records usually {_either(flags)}; a single patient may differ."
            yield Pair(f"How is {parameter} in {name}?", answer)
        for topic in dict.fromkeys((signs.decisive, "lge", "wall", "tissue")):
            for finding in signs.findings.get(topic, ()):
                fits.setdefault(finding, []).append(category)
    for finding, categories in fits.items():
        named = ", ".join(_named(one) for one in categories)
        answer = f"In the simulated records it fits: {named}; parameters and other findings decide."
        yield Pair(f"What does this finding suggest: {decapitalise(finding)}?", answer)


def _either(flags: tuple[Flag, ...]) -> str:
    return " or ".join(flags)


def _ranges() -> Iterator[Pair]:
    """What the reference ranges are, and where a value lies."""
    rng = np.random.default_rng(_NUMBER_SEED)
    ranges: list[tuple[str, str, tuple[float, float], tuple[str, ...]]] = [
        (f"{name} index", f"in {group}", limits, ("maceira",))
        for sex, group in (("female", "women"), ("male", "men"))
        for name, limits in INDEXED[sex].items()
        if f"{name} index" in UNITS
    ]
    ranges += [("Wall thickness", f"in {group}", WALL[sex], ("lang",)) for sex, group in _GROUPS]
    ranges += [
        ("RV EF", "in adults", RV_EF, ("lang", "maceira")),
        ("LA volume index", "in adults", LA_INDEX, ("lang",)),
    ]
    for name, group, (low, high), sources in ranges:
        unit = UNITS[name]
        yield Pair(f"What is the reference range of {name} {group}?", _sourced(f"{low:g} to {high:g} {unit}", *sources))
        spread = high - low
        for value, flag in (
            (low - rng.uniform(0.1, 0.35) * spread, "low"),
            (low + rng.uniform(0.2, 0.8) * spread, "normal"),
            (high + rng.uniform(0.05, 0.3) * spread, "high"),
        ):
            shown = round(float(value)) if unit != "%" else round(float(value), 1)
            shown = min(shown, low - 1) if flag == "low" else max(shown, high + 1) if flag == "high" else shown
            why = f"{flag}: the reference range is {low:g} to {high:g} {unit}"
            yield Pair(f"Is {name} {shown:g} {unit} low, normal or high {group}?", _sourced(why, *sources))


_GROUPS = (("female", "women"), ("male", "men"))


def _measures() -> Iterator[Pair]:
    """Ejection fraction from volumes, arteries of the segments, effusions by depth, trabeculation by ratio."""
    rng = np.random.default_rng(_NUMBER_SEED + 1)
    for _ in range(24):
        edv = int(rng.integers(90, 260))
        esv = int(edv * rng.uniform(0.28, 0.8))
        ef = 100 * (edv - esv) / edv
        yield Pair(
            f"EDV is {edv} mL and ESV {esv} mL. What is the ejection fraction?",
            _sourced(f"{ef:.1f} %: ({edv} - {esv}) / {edv}", "schulz-menger"),
        )
    for territory, segments in TERRITORIES.items():
        for segment in segments:
            answer = f"usually the {ARTERIES[territory]}, the {territory} territory; supply varies between people"
            yield Pair(f"Which artery supplies segment {segment}?", _sourced(answer, "cerqueira"))
    for depth in (4, 6, 9, 12, 15, 18, 23, 28):
        name = PERICARDIAL[sum(depth >= limit for limit in EFFUSION_LIMITS)]
        yield Pair(f"How large is a pericardial effusion of {depth} mm?", _sourced(name, "adler"))
    for tenths in (9, 14, 18, 21, 26, 29, 33):
        ratio = tenths / 10
        side = "above" if ratio > TRABECULATED else "below"
        meaning = "non-compaction is possible" if ratio > TRABECULATED else "it does not suggest non-compaction"
        yield Pair(
            f"The trabeculated layer is {ratio:.1f} times the compact layer. What follows?",
            _sourced(f"that is {side} {TRABECULATED:g}: {meaning}", "petersen"),
        )
