"""Mixed-up records: each keeps its parameters and gets another patient's description, and none is lost."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chordae.learning.pcrl.noise import mixed_up
from chordae.platform.diagnosis.record import CmrRecord, Finding


def records(count: int) -> list[CmrRecord]:
    return [CmrRecord(age=place, description=(Finding(number=1, text=f"of {place}"),)) for place in range(count)]


@given(st.integers(2, 40), st.integers(0, 2**31))
def test_every_description_is_given_once_and_to_somebody_else(count: int, seed: int) -> None:
    mixed = mixed_up(records(count), seed)
    given_to = {one.age: one.description[0].text for one in mixed}
    assert [one.age for one in mixed] == list(range(count))
    assert sorted(given_to.values()) == sorted(f"of {place}" for place in range(count))
    assert all(text != f"of {place}" for place, text in given_to.items())
    assert mixed_up(records(count), seed) == mixed


def test_one_record_cannot_be_mixed_up() -> None:
    with pytest.raises(ValueError, match="takes two"):
        mixed_up(records(1), 0)
