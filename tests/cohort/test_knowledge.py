"""Knowledge: a few hundred questions, each once, each guideline's answer with its document, and no number wrong."""

import re

from chordae.cohort.guidelines import CRITERION, DISTINCTIONS, FACTS, METHOD, SOURCES
from chordae.cohort.knowledge import pairs
from chordae.cohort.record import INDEXED
from chordae.cohort.truth import CATEGORIES


def test_there_are_a_few_hundred_distinct_pairs_always_the_same() -> None:
    made = pairs()
    assert made == pairs()
    assert 200 <= len(made) <= 600
    assert len({one.question for one in made}) == len(made)
    assert all(one.question.endswith(("?", ".")) and one.answer.endswith(".") for one in made)
    assert not any("{" in one.question + one.answer or "  " in one.question + one.answer for one in made)


def test_every_answer_names_its_document_or_says_that_it_is_about_the_simulated_records() -> None:
    for one in pairs():
        cited = any(source in one.answer for source in SOURCES.values())
        assert cited != one.answer.startswith("In the simulated records"), one


def test_every_document_is_a_journal_article_with_volume_and_year_and_is_used() -> None:
    used = {fact.source for fact in (*CRITERION.values(), *METHOD, *DISTINCTIONS)}
    used |= {fact.source for facts in FACTS.values() for fact in facts}
    assert used <= set(SOURCES)
    answers = " ".join(one.answer for one in pairs())
    for source in SOURCES.values():
        assert re.search(r"et al\., .+ (19|20)\d\d;\d+:[e\d]+", source)
        assert source in answers


def test_every_category_has_a_criterion_facts_and_a_neighbour_to_be_told_from() -> None:
    assert set(CRITERION) == set(FACTS) == set(CATEGORIES)
    assert {name for one in DISTINCTIONS for name in (one.first, one.second)} == set(CATEGORIES)


def test_directions_and_ejection_fractions_are_right() -> None:
    ranges = fractions = 0
    for one in pairs():
        asked = re.match(r"Is .+? ([\d.]+) \S+ low, normal or high", one.question)
        if asked:
            ranges += 1
            low, high = (float(part) for part in re.findall(r"range is ([\d.]+) to ([\d.]+)", one.answer)[0])
            value = float(asked[1])
            flag = "Low" if value < low else "High" if value > high else "Normal"
            assert one.answer.startswith(flag), one
        volumes = re.match(r"EDV is (\d+) mL and ESV (\d+) mL", one.question)
        if volumes:
            fractions += 1
            edv, esv = int(volumes[1]), int(volumes[2])
            assert one.answer.startswith(f"{100 * (1 - esv / edv):.1f} %"), one
    assert (ranges, fractions) == (30, 24)


def test_ranges_are_those_that_the_records_print() -> None:
    (said,) = [one.answer for one in pairs() if one.question == "What is the reference range of LV EDV index in men?"]
    low, high = INDEXED["male"]["LV EDV"]
    assert said.startswith(f"{low} to {high} mL/m2")
