"""Taught chains: in the form, true of their record, of the right category, and open about what speaks against it."""

import re

import numpy as np
import pytest
from invented import truth

from chordae.cohort.chains import lesson, supervised_chain
from chordae.cohort.chinese import record_in
from chordae.cohort.record_cases import Case, Reading, read_study
from chordae.cohort.signs import SIGNS
from chordae.cohort.sites import load_site
from chordae.cohort.truth import CATEGORIES, Category
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.examine import examine
from chordae.platform.diagnosis.parsing import parse
from chordae.platform.diagnosis.wording import concluded

LANGUAGES: tuple[Language, ...] = ("en", "zh")
SLOPPY = Reading(mistakes=5, without_contrast=0.3, contouring=1)


def case(seed: int, category: Category | None = None, reading: Reading = SLOPPY) -> Case:
    """A made-up patient, whose numbers need not suit the category: the worst that a chain has to be written for."""
    rng = np.random.default_rng(seed)
    return read_study(truth(rng, category), load_site("regional"), reading, rng)


@pytest.mark.parametrize("language", LANGUAGES)
def test_every_chain_is_well_formed_and_faithful_whatever_the_record_omits_or_states_wrongly(
    language: Language,
) -> None:
    rng = np.random.default_rng(1)
    for seed in range(150):
        one = case(seed)
        text = supervised_chain(one, rng, language)
        chain = parse(text)
        checked = check(chain, record_in(one.record, language))
        assert chain.problems == (), text
        assert checked.problems == (), text
        assert (chain.category, chain.opinion.categories) == (one.category, (one.category,)), text
        assert len(text.split()) < 200


@pytest.mark.parametrize("category", CATEGORIES)
def test_a_record_without_any_description_still_gives_a_faithful_chain(category: Category) -> None:
    bare = case(3, category)
    bare = bare.model_copy(update={"record": bare.record.model_copy(update={"description": ()}), "topics": ()})
    text = supervised_chain(bare, np.random.default_rng(0))
    assert "None given." in text
    assert "is not described." in text


def test_what_decides_against_the_category_is_cited_and_conceded() -> None:
    one = case(5, "LV non-compaction", Reading(mistakes=0))
    position = one.topics.index("trabeculation")
    for text, said in (
        ("No prominent trabeculation", True),
        ("Prominent trabeculation, 3.1 times the compact layer", False),
    ):
        lines = list(one.record.description)
        lines[position] = lines[position].model_copy(update={"text": text, "normal": said})
        changed = one.model_copy(update={"record": one.record.model_copy(update={"description": tuple(lines)})})
        opinion = parse(supervised_chain(changed, np.random.default_rng(0))).opinion
        assert position + 1 in opinion.findings
        if said:
            assert re.search(rf"\[{position + 1}\][^.]* speaks? against it", opinion.text)


@pytest.mark.parametrize("language", LANGUAGES)
def test_what_is_cited_before_the_opinion_does_not_depend_on_the_category(language: Language) -> None:
    for seed in range(20):
        one = case(seed)
        chains = [one.model_copy(update={"category": category}) for category in CATEGORIES]
        texts = [supervised_chain(chain, np.random.default_rng(0), language) for chain in chains]
        evidence = {text.split("\nIII.")[0] for text in texts}
        assert len(evidence) == 1
        for text in texts:
            chain = parse(text)
            assert check(chain, record_in(one.record, language)).problems == (), text
            opened = chain.opinion.text[:40].casefold()
            assert opened.startswith(concluded(chain.category or "normal", language).casefold()[:20]), text


def test_whatever_is_out_of_range_or_abnormal_is_cited() -> None:
    for seed in range(50):
        one = case(seed)
        chain = parse(supervised_chain(one, np.random.default_rng(0)))
        outside = {parameter.name for parameter in one.record.parameters if parameter.flag in ("low", "high")}
        assert outside <= {cited.name for cited in chain.parameters}
        abnormal = {line.number for line in one.record.description if line.normal is False}
        assert abnormal <= {cited.number for cited in chain.findings}


def test_what_was_not_assessed_is_left_open_and_not_taken_for_absent() -> None:
    one = case(7, "amyloidosis", Reading(mistakes=0, without_contrast=1))
    number = one.topics.index("lge") + 1
    assert f"[{number}] leaves late enhancement open." in supervised_chain(one, np.random.default_rng(0))
    assert f"[{number}]未评估延迟强化。" in supervised_chain(one, np.random.default_rng(0), "zh")


def test_opinions_come_in_several_wordings() -> None:
    one = case(11, "myocardial infarction", Reading(mistakes=0))
    for language, least in (("en", 4), ("zh", 4)):
        texts = {supervised_chain(one, np.random.default_rng(seed), language) for seed in range(60)}
        assert len({re.sub(r"\[\d+\]|LV \w+|\W", "", parse(text).opinion.text) for text in texts}) >= least


def test_a_chinese_hospital_describes_in_chinese() -> None:
    for seed in range(100):
        record = record_in(case(seed).record, "zh")
        found = examine(record)
        assert (found.language, found.problems) == ("zh", ())
        kept = [re.findall(r"[\d.]+", line.text) for line in case(seed).record.description]
        numbers = [re.findall(r"[\d.]+", line.text) for line in record.description]
        assert numbers == kept, "numbers stay"


@pytest.mark.parametrize("language", LANGUAGES)
def test_a_lesson_is_the_prompt_and_the_chain_and_never_names_the_patient(language: Language) -> None:
    one = case(2)
    system, user, assistant = lesson(one, np.random.default_rng(0), language)
    assert (system["role"], user["role"], assistant["role"]) == ("system", "user", "assistant")
    assert one.patient not in user["content"] + assistant["content"]
    assert parse(assistant["content"]).category == one.category


def test_every_category_has_signs_and_one_that_decides() -> None:
    assert set(SIGNS) == set(CATEGORIES)
    assert all(signs.decisive and len(signs.parameters) >= 3 for signs in SIGNS.values())
