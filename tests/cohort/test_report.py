"""Reports say what is true in a writer's words, quote the record's numbers, and count what they get wrong."""

import re

import numpy as np
import pytest
from invented import truth

from chordae.cohort.record import Record, make_record
from chordae.cohort.report import draft_report, write_report
from chordae.cohort.sites import SiteProfile, Wording, load_site
from chordae.cohort.truth import CATEGORIES, Truth

WRITERS = ("terse", "narrative", "itemised")


def _site(writer: str, omissions: float = 0.0, errors: float = 0.0) -> SiteProfile:
    wording = Wording.model_validate({"writers": (writer,), "omissions": omissions, "errors": errors})
    return load_site("university").model_copy(update={"wording": wording})


def _written(writer: str, count: int) -> list[tuple[Truth, Record, str]]:
    rng, site = np.random.default_rng(0), _site(writer)
    people = [truth(rng) for _ in range(count)]
    records = [make_record(person, site, rng) for person in people]
    return [
        (person, record, write_report(person, record, site, rng))
        for person, record in zip(people, records, strict=True)
    ]


@pytest.mark.parametrize("writer", WRITERS)
def test_stated_numbers_equal_the_record_s(writer: str) -> None:
    for person, record, text in _written(writer, 40):
        plain = (
            text.replace("left ventricular ", "LV ")
            .replace("right ventricular ", "RV ")
            .replace("ejection fraction", "EF")
        )
        quoted = re.findall(r"(LV EF|LV EDV|LV ESV|LV mass|RV EF|RV EDV|RV ESV) ([\d.]+) (%|mL|g)(?!/)", plain)
        assert {name for name, _, _ in quoted} >= {"LV EF", "LV EDV", "LV ESV", "LV mass", "RV EF", "RV EDV"}
        for name, value, unit in quoted:
            parameter = record.parameter(name)
            assert (float(value), unit) == (parameter.value, parameter.unit)
        (rate,) = re.findall(r"eart rate (\d+) bpm", text)
        assert int(rate) == person.ecg.rate_bpm
        assert f"{record.age}" in text
        for value in re.findall(r"EF (\d+) %", text.split("measurements")[0]):
            rounded = {round(person.measured.lv_ef), round(person.measured.rv_ef)}
            assert int(value) in rounded or float(value) in (record.parameters[0].value, record.parameters[7].value)


@pytest.mark.parametrize("writer", WRITERS)
def test_every_section_is_there_and_the_conclusion_names_the_diagnosis(writer: str) -> None:
    rng, site = np.random.default_rng(1), _site(writer)
    person = truth(rng, "myocardial infarction")
    text = write_report(person, make_record(person, site, rng), site, rng)
    labels = {
        "terse": ("\nECG: ", "\nEcho: ", "\nCMR: ", "\nImp.: "),
        "narrative": ("electrocardiogram shows", "echocardiography there is", "magnetic resonance", "In summary"),
        "itemised": ("\nECG\n", "\nECHOCARDIOGRAPHY\n", "\nCARDIAC MRI\n", "\nCONCLUSION\n"),
    }[writer]
    places = [text.index(label) for label in labels]
    assert places == sorted(places)
    assert "myocardial infarction" in text[places[3] :].lower()
    assert "anterior wall, segments 1, 2, 7, 8" in text[places[2] : places[3]]
    assert "normal conduction" in text[places[0] : places[1]].lower()


def test_writers_differ_in_words_and_form() -> None:
    texts = {writer: _written(writer, 1)[0][2] for writer in WRITERS}
    assert "- LV EF" in texts["itemised"]
    assert "electrocardiogram" in texts["narrative"]
    assert "Imp.:" in texts["terse"]
    assert len(texts["terse"]) < len(texts["narrative"]) < len(texts["itemised"])


def test_only_the_site_s_writers_write() -> None:
    rng, site = np.random.default_rng(2), load_site("regional")
    assert set(site.wording.writers) == {"terse", "itemised"}
    person = truth(rng)
    texts = [write_report(person, make_record(person, site, rng), site, rng) for _ in range(40)]
    assert not any("electrocardiogram" in text for text in texts)
    assert 5 < sum("Echo:" in text for text in texts) < 35


def test_mistakes_come_at_their_rates_and_the_cmr_section_shares_the_record_s() -> None:
    rng, site = np.random.default_rng(3), _site("itemised", omissions=0.08, errors=0.04)
    counts, total = {"omitted": 0, "wrong": 0}, 0
    for _ in range(300):
        person = truth(rng)
        record = make_record(person, site, rng)
        report = draft_report(person, record, site, rng)
        total += 7 + 5 + 10 + 1
        for one in report.altered:
            counts[one.kind] += 1
        assert set(record.altered) <= set(report.altered)
        assert all(f"- {one.text}\n" in report.text for one in record.description)
    for kind, rate in (("omitted", 0.08), ("wrong", 0.04)):
        assert counts[kind] / total == pytest.approx(rate, abs=4 * np.sqrt(rate * (1 - rate) / total))


def test_the_same_randomness_gives_the_same_report() -> None:
    site = load_site("university")
    person = truth(np.random.default_rng(4))
    record = make_record(person, site, np.random.default_rng(5))
    drafts = [draft_report(person, record, site, np.random.default_rng(6)) for _ in range(2)]
    assert drafts[0] == drafts[1]


def test_every_kind_of_patient_has_a_record_and_a_report() -> None:
    """Also those with a finding at a limit, or with what a bundle branch block hides."""
    site, rng = _site("terse"), np.random.default_rng(1)
    for category in CATEGORIES:
        for conduction in ("LBBB", "RBBB", "normal"):
            person = truth(rng, category)
            ecg = person.ecg.model_copy(update={"conduction": conduction})
            tissue = person.tissue.model_copy(update={"lesion_t1": person.tissue.native_t1 + 38})
            person = person.model_copy(update={"ecg": ecg, "tissue": tissue})
            record = make_record(person, site, rng)
            assert "T1 and T2 at their limits" in record.text
            assert write_report(person, record, site, rng)
