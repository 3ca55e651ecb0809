"""Records as JSON: one object, or a list of them.

    {"parameters": [{"name": "LV EF", "value": 40.9, "unit": "%", "low": 59, "high": 83}, ...],
     "description": [{"number": 1, "text": "Enlarged left ventricle", "normal": false}, ...],
     "sex": "female", "age": 54, "patient_key": "0017"}

Of a description also a list of texts or one text is taken; of a range also `"range": [59, 83]`. A `CmrRecord` written
as JSON reads back as it was.
"""

from __future__ import annotations

import json
from typing import get_args

from chordae.platform.diagnosis.examine import Problem
from chordae.platform.diagnosis.record import UNITS, CmrRecord, Finding, Parameter, Source
from chordae.platform.diagnosis.wording import CHINESE
from chordae.platform.errors import BadInput
from chordae.preprocessing.records import fields
from chordae.preprocessing.records.result import ReadRecord
from chordae.preprocessing.records.units import factor_to_kept, known_units

_NAMES = {spelled.casefold(): name for name in UNITS for spelled in (name, CHINESE.names[name])}
_KNOWN = {"parameters", "description", "sex", "age", "patient_key"}
_SEND = "send an object with parameters and description, or a list of such objects"


def from_json(text: str, name: str) -> list[ReadRecord]:
    """Records of a JSON text.

    Raises:
        BadInput: not JSON of Unicode text, or neither an object nor a list of objects.
    """
    try:
        given = json.loads(text)
        json.dumps(given, ensure_ascii=False).encode()  # half a surrogate, escaped, is no text that can be kept
    except (ValueError, RecursionError) as error:
        raise BadInput(f"{name} is not JSON of Unicode text", _SEND) from error
    records = given if isinstance(given, list) else [given]
    if not records or not all(isinstance(one, dict) for one in records):
        raise BadInput(f"{name} holds no records", _SEND)
    return [_record(one, f"record {at}") for at, one in enumerate(records, start=1)]


def _record(given: dict[str, object], where: str) -> ReadRecord:
    problems: list[Problem] = []
    unknown = len(set(given) - _KNOWN)
    if unknown:
        problems.append(
            Problem(kind="unknown", text=f"Fields that a record does not have and that were left out: {unknown}.")
        )
    key = given.get("patient_key")
    record = CmrRecord(
        parameters=_parameters(given.get("parameters"), problems),
        description=_description(given.get("description"), problems),
        sex=fields.sex(given.get("sex"), problems),
        age=fields.age(given.get("age"), problems),
        patient_key=key if isinstance(key, str) else None,
    )
    return ReadRecord(where=where, record=record, problems=tuple(problems))


def _parameters(given: object, problems: list[Problem]) -> tuple[Parameter, ...]:
    if given is None:
        return ()
    if not isinstance(given, list):
        problems.append(Problem(kind="unreadable", text="The parameters are no list and were left out."))
        return ()
    read: dict[str, Parameter] = {}
    doubled = set()
    for at, one in enumerate(given, start=1):
        parameter = _parameter(one, at, problems)
        if parameter is not None and read.setdefault(parameter.name, parameter) != parameter:
            doubled.add(parameter.name)
    for name in sorted(doubled):
        del read[name]  # which of them is right, nobody here knows
        text = f"{name} is given more than once with different values and was left out."
        problems.append(Problem(kind="contradiction", text=text))
    return tuple(read[name] for name in UNITS if name in read)


def _parameter(given: object, at: int, problems: list[Problem]) -> Parameter | None:
    stated = given.get("name") if isinstance(given, dict) else None
    name = _NAMES.get(stated.strip().casefold()) if isinstance(stated, str) else None
    if name is None or not isinstance(given, dict):
        problems.append(Problem(kind="unknown", text=f"Parameter {at} is not one that records hold and was left out."))
        return None
    unit = given.get("unit")
    scale = factor_to_kept(name, unit) if isinstance(unit, str) else None
    if scale is None:
        text = f"{name} has no unit that is known for it ({known_units(name)}) and was left out."
        problems.append(Problem(kind="unit", text=text))
        return None
    low, high = given.get("low"), given.get("high")
    limits = given.get("range")
    if isinstance(limits, list) and len(limits) == 2 and low is None and high is None:
        low, high = limits
    source: Source = "measured"
    if "source" in given:
        sources = {str(one): one for one in get_args(Source)}
        if str(given["source"]) not in sources:
            text = f"Where {name} comes from is not said in a known word; it is taken for an estimate."
            problems.append(Problem(kind="unknown", text=text))
        source = sources.get(str(given["source"]), "estimate")
    return fields.parameter(
        name,
        given.get("value"),
        scale,
        fields.limit(name, low, scale, problems),
        fields.limit(name, high, scale, problems),
        source,
        None,
        problems,
    )


def _description(given: object, problems: list[Problem]) -> tuple[Finding, ...]:
    """Numbers of the file stay where every finding has its own; else the findings are numbered from 1."""
    if given is None:
        return ()
    if isinstance(given, str):
        return fields.findings([(text, None) for text in fields.sentences(given)], problems)
    if not isinstance(given, list):
        problems.append(Problem(kind="unreadable", text="The description is neither text nor a list and was left out."))
        return ()
    lines, numbers, unread = [], [], 0
    for one in given:
        text = one.get("text") if isinstance(one, dict) else one
        if not isinstance(text, str):
            unread += 1
            continue
        normal, number = (one.get("normal"), one.get("number")) if isinstance(one, dict) else (None, None)
        lines.append((text, normal if isinstance(normal, bool) else None))
        numbers.append(number if isinstance(number, int) and not isinstance(number, bool) else 0)
    if unread:
        problems.append(Problem(kind="unreadable", text=f"Findings that are no text and were left out: {unread}."))
    read = fields.findings(lines, problems)
    own = len(read) == len(numbers) == len(set(numbers)) and all(1 <= number <= 999 for number in numbers)
    if not own:
        return read
    return tuple(one.model_copy(update={"number": number}) for one, number in zip(read, numbers, strict=True))
