"""Records with gaps: still the patient's, still worth a faithful chain."""

import numpy as np
import pytest
from invented import truth

from chordae.cohort.chains import supervised_chain
from chordae.cohort.chinese import record_in
from chordae.cohort.record_cases import Case, Reading, read_study
from chordae.cohort.sites import load_site
from chordae.cohort.thinned_records import thinned
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.check import check
from chordae.platform.diagnosis.parsing import parse


def cases(count: int) -> list[Case]:
    """Made-up patients of a careless site."""
    rng, site = np.random.default_rng(4), load_site("regional")
    return [read_study(truth(rng), site, Reading(mistakes=5, without_contrast=0.5), rng) for _ in range(count)]


@pytest.mark.parametrize("language", ["en", "zh"])
def test_chains_of_records_with_gaps_are_faithful_to_what_is_left(language: Language) -> None:
    rng = np.random.default_rng(5)
    for whole in cases(150):
        case = thinned(whole, rng)
        chain = parse(supervised_chain(case, rng, language))
        assert check(chain, record_in(case.record, language)).faithful and chain.category == whole.category


def test_what_is_left_is_the_record_s_own_and_every_kind_of_gap_occurs() -> None:
    rng = np.random.default_rng(6)
    pairs = [(whole, thinned(whole, rng)) for whole in cases(150)]
    for whole, case in pairs:
        values = {one.name: one.value for one in whole.record.parameters}
        assert all(values[one.name] == one.value for one in case.record.parameters)
        said = [(line.text, line.normal) for line in whole.record.description]
        assert all((line.text, line.normal) in said for line in case.record.description)
        assert [line.number for line in case.record.description] == list(range(1, len(case.topics) + 1))
        assert case.record.sex in (None, whole.record.sex)
    assert any(not case.record.description for _, case in pairs)
    assert any(case.record.sex is None for _, case in pairs)
    held = [one for _, case in pairs for one in case.record.parameters]
    assert any(one.flag is None for one in held) and any(one.source == "estimate" for one in held)
    assert any(not case.record.parameters for _, case in pairs)
    missing = {name for _, case in pairs for name in case.record.missing}
    assert {"LV EDV index", "LV EDV", "RV EF", "LV mass", "Wall thickness", "LA volume index"} <= missing
