"""Records over HTTP: diagnosed, kept, and whose they are forgotten."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from asking import question, told
from reasoners import RECORD, FakeReasonerEngine, ReasonerPlatform, with_reasoner

from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.ledger import Ledger
from chordae.platform.settings import Settings
from chordae.preprocessing.dicom import bundled_ecg

GIVEN = RECORD.model_dump(mode="json") | {"patient_key": "Smith-1950"}


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return with_reasoner(tmp_path, model_dir)


@pytest.fixture
def platform(settings: Settings) -> ReasonerPlatform:
    return ReasonerPlatform(settings, FakeReasonerEngine())


@pytest.fixture
async def http(platform: ReasonerPlatform) -> AsyncIterator[httpx.AsyncClient]:
    async with platform.http() as client:
        yield client


async def diagnose(http: httpx.AsyncClient, record: Any = GIVEN, **fields: Any) -> httpx.Response:
    return await http.post("/v1/diagnoses", json={"record": record, **fields})


async def test_a_diagnosis_is_full_and_can_be_fetched_again(http: httpx.AsyncClient) -> None:
    reply = await diagnose(http)
    assert reply.status_code == 200, reply.text
    body = reply.json()
    found = Diagnosis.model_validate({key: value for key, value in body.items() if key != "id"})
    assert found.category == "myocardial infarction"
    assert reply.headers["x-request-id"] == found.provenance.request_id == body["id"]
    assert (await http.get(f"/v1/diagnoses/{body['id']}")).json() == body


async def test_the_patients_key_is_forgotten(http: httpx.AsyncClient, settings: Settings) -> None:
    await diagnose(http)
    assert b"Smith" not in b"".join(path.read_bytes() for path in settings.data_dir.glob("ledger*"))


async def test_what_cannot_be_read_of_a_record_is_said(http: httpx.AsyncClient) -> None:
    odd = {"name": "LV mass", "value": 120, "unit": "stone"}
    body = (await diagnose(http, GIVEN | {"parameters": [*GIVEN["parameters"], odd], "colour": 1})).json()
    assert {"unit", "unknown"} <= {one["kind"] for one in body["problems"]}


async def test_what_the_sender_noticed_comes_first(http: httpx.AsyncClient) -> None:
    noticed = {"kind": "unreadable", "text": "The age cannot be read and was left out."}
    assert (await diagnose(http, noticed=[noticed])).json()["problems"][0] == noticed


async def test_the_language_may_be_chosen(http: httpx.AsyncClient) -> None:
    assert (await diagnose(http, language="zh")).json()["language"] == "zh"


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"record": []},
        {"record": "x"},
        {"record": GIVEN, "language": "fr"},
        {"record": GIVEN, "question": "?"},
        {"record": {"description": ["a\x00b"]}},
        {"record": {"description": ["half \ud800"]}},
    ],
)
async def test_what_is_no_record_is_a_400(http: httpx.AsyncClient, platform: ReasonerPlatform, body: Any) -> None:
    headers = {"content-type": "application/json"}
    reply = await http.post("/v1/diagnoses", content=json.dumps(body), headers=headers)
    assert reply.status_code == 400
    told(reply)
    assert platform.thinker.requests == []


async def test_an_unknown_diagnosis_is_a_404(http: httpx.AsyncClient) -> None:
    assert (await http.get(f"/v1/diagnoses/{'0' * 32}")).status_code == 404
    assert (await http.get("/v1/diagnoses/x%00")).status_code == 404


async def test_without_a_reasoner_it_is_a_404_that_says_so(make_platform: Any, settings: Settings) -> None:
    async with make_platform(settings.model_copy(update={"reasoner": None})).http() as http:
        reply = await diagnose(http)
    assert reply.status_code == 404
    assert "no CMR reasoner" in told(reply)


# Records beside recordings


async def send(http: httpx.AsyncClient, *files: tuple[str, bytes]) -> httpx.Response:
    return await http.post("/v1/studies", files=[("file", file) for file in files])


async def test_a_record_file_is_part_of_a_study(http: httpx.AsyncClient, settings: Settings) -> None:
    record = json.dumps(GIVEN).encode()
    reply = await send(http, ("r.json", record), ("a.dcm", bundled_ecg().read_bytes()))
    assert reply.status_code == 200, reply.text
    study = reply.json()
    assert (study["record"], len(study["media"]), study["refused"]) == (True, 1, [])
    _, kept = Ledger(settings.ledger_url).sent(study["id"])  # type: ignore[misc]
    assert kept is not None and kept["record"]["patient_key"] is None
    answer = await http.post("/v1/answers", json={"study": study["id"], "question": "What is the diagnosis?"})
    assert answer.status_code == 200, answer.text
    assert answer.json()["diagnosis"]["category"] == "myocardial infarction"
    assert set(answer.json()["answers"]) == {"ecg"}
    assert (await http.get(f"/v1/answers/{answer.json()['id']}")).json() == answer.json()


async def test_a_record_alone_is_a_study(http: httpx.AsyncClient) -> None:
    study = (await send(http, ("r.JSON", json.dumps(GIVEN).encode()))).json()
    assert (study["record"], study["media"]) == (True, [])
    answer = await http.post("/v1/answers", json={"study": study["id"], "question": "What is the diagnosis?"})
    assert answer.json()["diagnosis"]["category"] == "myocardial infarction"


async def test_what_is_no_record_and_a_second_one_are_refused_by_name(http: httpx.AsyncClient) -> None:
    record = json.dumps(GIVEN).encode()
    reply = await send(http, ("a.json", b"{"), ("b.json", record), ("c.json", record), ("d.json", b"[{}, {}]"))
    assert [one["file"] for one in reply.json()["refused"]] == ["a.json", "c.json", "d.json"]
    assert (await send(http, ("a.json", b"{"))).status_code == 422


async def test_a_chat_may_bring_a_record(http: httpx.AsyncClient) -> None:
    asked = question(None, "What is the diagnosis?", chordae={"record": GIVEN})
    reply = await http.post("/v1/chat/completions", json=asked)
    assert reply.status_code == 200, reply.text
    assert reply.json()["chordae"]["diagnosis"]["category"] == "myocardial infarction"
    assert "myocardial infarction" in reply.json()["choices"][0]["message"]["content"]


async def test_the_reasoner_is_a_model_like_the_others(http: httpx.AsyncClient) -> None:
    cards = (await http.get("/v1/models")).json()["data"]
    assert [card["chordae"].get("kind") for card in cards[1:]].count("reasoner") == 1
