"""An error is one line of what is wrong and one of what to do; the same for a terminal and for HTTP."""

import pickle

import pytest

from chordae.platform import errors
from chordae.platform.errors import BadInput, ChordaeError, UnreadableRecording

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, ChordaeError)]


def made(kind: type[ChordaeError]) -> ChordaeError:
    more = ("empty",) if issubclass(kind, UnreadableRecording) else ()
    return kind("the file is empty", "send another", *more)


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_says_what_is_wrong_and_what_to_do(kind: type[ChordaeError]) -> None:
    assert str(made(kind)) == "the file is empty: send another"


@pytest.mark.parametrize("kind", KINDS)
def test_an_error_survives_the_way_from_one_process_to_another(kind: type[ChordaeError]) -> None:
    copy = pickle.loads(pickle.dumps(made(kind)))
    assert type(copy) is kind
    assert (copy.problem, copy.remedy) == ("the file is empty", "send another")


@pytest.mark.parametrize("kind", KINDS)
def test_what_the_caller_can_mend_is_a_4xx_and_exit_status_2(kind: type[ChordaeError]) -> None:
    if issubclass(kind, BadInput):
        assert 400 <= kind.status < 500
        assert kind.exit_code == 2
    assert kind.exit_code in (1, 2)


def test_a_refusals_reason_survives_too() -> None:
    assert pickle.loads(pickle.dumps(UnreadableRecording("bad", "mend it", "truncated"))).reason == "truncated"


def test_every_kind_has_a_code_of_its_own() -> None:
    assert len({kind.code for kind in KINDS}) == len(KINDS)
