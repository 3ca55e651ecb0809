"""CMR records as clients send them, read as files of records are; whose they are is forgotten at once."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from typing import Any

from chordae.deployments.intake import Sent
from chordae.deployments.openai_api import plain
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.errors import BadInput
from chordae.preprocessing.records import ReadRecord
from chordae.preprocessing.records.json_records import from_json

SUFFIX = ".json"
"""Of a file that is a record."""
_NAME = "the record"


def read_given(given: dict[str, Any], noticed: Sequence[Problem] = ()) -> ReadRecord:
    """A record of a JSON object, without the patient's key; what is wrong with it is said in its problems.

    Args:
        given: as `preprocessing.records.json_records` reads it.
        noticed: what whoever made the object noticed already.

    Raises:
        BadInput: text in it that cannot be kept.
    """
    try:
        for text in [*_texts(given), *(one.text for one in noticed)]:
            plain(text)
    except ValueError as error:
        raise BadInput(f"{_NAME}: {error}", "send it without") from None
    (read,) = from_json(json.dumps(given), _NAME)
    nobodys = read.record.model_copy(update={"patient_key": None})
    return read.model_copy(update={"record": nobodys, "problems": (*noticed, *read.problems)})


def read_file(file: Sent) -> ReadRecord:
    """The record of a file of a study.

    Raises:
        BadInput: not JSON, not one record, or text in it that cannot be kept.
    """
    try:
        given = json.loads(file.content.decode("utf-8-sig"))
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{_NAME} is not JSON in UTF-8", "send an object with parameters and description") from error
    records = given if isinstance(given, list) else [given]
    if len(records) != 1 or not isinstance(records[0], dict):
        raise BadInput(f"{_NAME} is not one object", "send one a study; `chordae diagnose` reads files of many")
    return read_given(records[0])


def _texts(given: object) -> Iterator[str]:
    """Every text in a JSON value, however deep."""
    if isinstance(given, str):
        yield given
    elif isinstance(given, dict):
        for key, value in given.items():
            yield key
            yield from _texts(value)
    elif isinstance(given, list):
        for one in given:
            yield from _texts(one)
