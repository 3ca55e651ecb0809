"""Studies in, answers out: what is told is in the ledger first, and can be fetched again."""

import asyncio
import io
import json
import os
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import numpy as np
import pytest
from asking import hang_up, told
from fakes import MakePlatform, Platform, crashing, stalls, three_experts
from ledgers import fresh_database, postgresql_server

from chordae.deployments.intake import Sent, studies_of
from chordae.deployments.uploads import expire_uploads
from chordae.platform.errors import ChordaeError, UnknownMedia
from chordae.platform.ledger import Ledger
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Answer
from chordae.platform.settings import LedgerSettings, Settings
from chordae.preprocessing.dicom import bundled_echo


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return three_experts(tmp_path, model_dir)


@pytest.fixture
async def platform(make_platform: MakePlatform, settings: Settings) -> Platform:
    return make_platform(settings)


@pytest.fixture
async def http(platform: Platform) -> AsyncIterator[httpx.AsyncClient]:
    async with platform.http() as client:
        yield client


async def send(http: httpx.AsyncClient, *files: tuple[str, bytes]) -> httpx.Response:
    return await http.post("/v1/studies", files=[("file", file) for file in files])


async def ask(http: httpx.AsyncClient, study: str, question: str = "What is seen?", **fields: Any) -> httpx.Response:
    return await http.post("/v1/answers", json={"study": study, "question": question, **fields})


@pytest.fixture
async def study(http: httpx.AsyncClient, bundled_ecg: Path) -> dict[str, Any]:
    """Of a real ECG, a real echo and a file that is neither."""
    reply = await send(
        http, ("a.dcm", bundled_ecg.read_bytes()), ("b.dcm", bundled_echo().read_bytes()), ("c.txt", b"words")
    )
    assert reply.status_code == 200, reply.text
    body: dict[str, Any] = reply.json()
    return body


# Studies


async def test_files_of_several_modalities_are_one_study_and_the_others_are_named(
    study: dict[str, Any], settings: Settings
) -> None:
    assert set(study) == {"id", "media", "record", "refused"}
    assert [(one["modality"], one["kind"]) for one in study["media"]] == [("ecg", "image"), ("echo", "video")]
    for one in study["media"]:
        assert MediaStore(settings.media_dir).get(one["id"]).modality == one["modality"]
    assert [one["file"] for one in study["refused"]] == ["c.txt"] and study["refused"][0]["reason"]
    assert Ledger(settings.ledger_url).sent(study["id"]) == (tuple(one["id"] for one in study["media"]), None)


async def test_without_a_usable_file_there_is_no_study(http: httpx.AsyncClient, settings: Settings) -> None:
    reply = await send(http, ("Smith.txt", b"words"), ("x.npy", b"noise"))
    assert reply.status_code == 422
    assert "Smith" not in told(reply)
    assert not list(settings.media_dir.iterdir())


async def test_files_of_one_echo_are_put_together(http: httpx.AsyncClient) -> None:
    echo = bundled_echo().read_bytes()
    reply = await send(http, ("1", echo), ("2", echo))
    assert (len(reply.json()["media"]), reply.json()["refused"]) == (1, [])


async def test_a_second_recording_of_a_modality_is_refused_by_name(http: httpx.AsyncClient, bundled_ecg: Path) -> None:
    other = np.random.default_rng(0).normal(0, 0.1, (12, 5000)).astype(np.float32).cumsum(axis=1)
    np.save(buffer := io.BytesIO(), other - other.mean(axis=1, keepdims=True))
    reply = await send(http, ("1.dcm", bundled_ecg.read_bytes()), ("2.npy", buffer.getvalue()))
    assert reply.status_code == 200
    assert [one["file"] for one in reply.json()["refused"]] == ["2.npy"]


@pytest.mark.parametrize("body", [{}, {"json": {}}, {"files": {"other": b"x"}}, {"data": {"file": "text"}}])
async def test_a_study_without_files_is_a_400(http: httpx.AsyncClient, body: dict[str, Any]) -> None:
    reply = await http.post("/v1/studies", **body)
    assert reply.status_code == 400
    told(reply)


def test_wfdb_signals_go_with_the_header_that_names_them() -> None:
    header = b"r1 12 500 5000\nr1.dat 16 1000/mV 16 0 0 0 0 I\nother.dat 16 1000/mV 16 0 0 0 0 II\n# c.dat\n"
    names = ["lone.npy", "other.dat", "r1.hea", "r2.dat", "r1.dat", "r2.hea", "c.dat"]
    files = [Sent(name, {"r1.hea": header}.get(name, b"")) for name in names]
    assert [[file.name for file in study] for study in studies_of(files)] == [
        ["lone.npy"],
        ["other.dat", "r1.hea", "r1.dat"],
        ["r2.dat", "r2.hea"],
        ["c.dat"],
    ]


def test_dicom_ecgs_are_studies_by_themselves_and_images_go_by_their_study(bundled_ecg: Path) -> None:
    ecg, echo = bundled_ecg.read_bytes(), bundled_echo().read_bytes()
    files = [Sent("1", ecg), Sent("2", echo), Sent("3", ecg), Sent("4", echo), Sent("5", ecg[:200])]
    assert [[file.name for file in study] for study in studies_of(files)] == [["1"], ["2", "4"], ["3"], ["5"]]


# Answers


async def test_an_answer_is_full_structured_and_can_be_fetched_again(
    http: httpx.AsyncClient, study: dict[str, Any]
) -> None:
    reply = await ask(http, study["id"])
    assert reply.status_code == 200, reply.text
    body = reply.json()
    answer = Answer.model_validate({key: value for key, value in body.items() if key != "id"})
    assert set(answer.answers) == {"ecg", "echo"} and len(answer.reports) == 2
    assert reply.headers["x-request-id"] == answer.provenance.request_id == body["id"]
    assert (await http.get(f"/v1/answers/{body['id']}")).json() == body


async def test_an_answer_is_in_the_ledger_before_it_is_told(
    http: httpx.AsyncClient, study: dict[str, Any], settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = (await ask(http, study["id"], probe=False)).json()
    assert Ledger(settings.ledger_url).answer(body["id"]) == body  # opened anew: by another process, say

    def full(*_: Any) -> None:
        raise ChordaeError("the ledger does not answer", "its disk is full")

    monkeypatch.setattr(Ledger, "keep_answer", full)
    assert (await ask(http, study["id"])).status_code == 500


async def test_probing_is_the_callers_choice(
    http: httpx.AsyncClient, study: dict[str, Any], platform: Platform
) -> None:
    body = (await ask(http, study["id"], probe=False)).json()
    assert (body["flagged"], body["reports"]) == (None, [])
    assert len(platform.engine.requests) == 1


UNKNOWN = ["0" * 32, "0" * 31, "x", "A" * 32, "a\x00b"]


@pytest.mark.parametrize("name", UNKNOWN)
async def test_an_unknown_study_or_answer_is_a_404(http: httpx.AsyncClient, name: str) -> None:
    reply = await ask(http, name)
    assert reply.status_code == 404
    told(reply)
    assert (await http.get(f"/v1/answers/{name.replace(chr(0), '%00')}")).status_code == 404


async def test_a_study_whose_media_have_expired_is_a_404_that_says_what_to_do(
    http: httpx.AsyncClient, study: dict[str, Any], settings: Settings
) -> None:
    for path in settings.media_dir.glob("*.json"):
        path.unlink()
    reply = await ask(http, study["id"])
    assert reply.status_code == 404
    assert "upload" in told(reply)


@pytest.mark.parametrize(
    "body",
    [
        {"question": ""},
        {"question": " \n"},
        {"question": "x" * 5000},
        {"question": "a\x00b"},
        {"question": "\ud800"},
        {"question": 7},
        {"question": "Q", "probe": "perhaps"},
        {"question": "Q", "prob": True},
        {},
    ],
)
async def test_a_wrong_question_is_a_400_and_reaches_no_engine(
    http: httpx.AsyncClient, study: dict[str, Any], platform: Platform, body: dict[str, Any]
) -> None:
    content = json.dumps({"study": study["id"], **body})  # httpx's own encoder takes no half of a surrogate pair
    reply = await http.post("/v1/answers", content=content, headers={"content-type": "application/json"})
    assert reply.status_code == 400
    told(reply)
    assert platform.engine.requests == []


async def test_when_no_expert_answers_it_is_a_503_and_nothing_is_kept(
    http: httpx.AsyncClient, study: dict[str, Any], platform: Platform, settings: Settings
) -> None:
    for engine in platform.engines.values():
        engine.rule = crashing
    assert (await ask(http, study["id"])).status_code == 503
    assert Ledger(settings.ledger_url).media_in_use([one["id"] for one in study["media"]]) == set()


async def test_who_gives_up_asking_stops_the_experts(
    http: httpx.AsyncClient, study: dict[str, Any], platform: Platform
) -> None:
    """Serve cancels the call when its client goes: here it is cancelled by hand."""
    for engine in platform.engines.values():
        engine.stalls = stalls
    asking = asyncio.create_task(ask(http, study["id"]))
    while "token 0" not in platform.engine.log:
        await asyncio.sleep(0.01)
    asking.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asking
    for _ in range(100):
        await asyncio.sleep(0.01)
        if "abort 0" in platform.engine.log:
            break
    assert "abort 0" in platform.engine.log


async def test_who_hangs_up_on_an_experts_stream_stops_it(
    http: httpx.AsyncClient, study: dict[str, Any], platform: Platform
) -> None:
    platform.engine.stalls = stalls
    content = [{"type": "image_url", "image_url": {"url": study["media"][0]["id"]}}, {"type": "text", "text": "Q"}]
    body = {"model": "ecg-fake", "stream": True, "messages": [{"role": "user", "content": content}]}
    await hang_up(platform.app, "/v1/chat/completions", body, lambda: "token 0" in platform.engine.log)
    for _ in range(100):
        await asyncio.sleep(0.01)
        if "abort 0" in platform.engine.log:
            break
    assert "abort 0" in platform.engine.log


async def test_the_ledger_may_be_postgresql(make_platform: MakePlatform, settings: Settings, bundled_ecg: Path) -> None:
    with postgresql_server() as server:
        url = fresh_database(server)
        place = settings.model_copy(update={"ledger": LedgerSettings(url=url)})
        async with make_platform(place).http() as http:
            sent = (await send(http, ("a.dcm", bundled_ecg.read_bytes()))).json()
            unasked = (await send(http, ("b.dcm", bundled_echo().read_bytes()))).json()
            answer = await ask(http, sent["id"], "Welcher Rhythmus? 心")
            assert answer.status_code == 200, answer.text
            again = await http.get(f"/v1/answers/{answer.json()['id']}")
        assert again.json() == answer.json()
        long_ago = time.time() - 48 * 3600
        for mark in (place.data_dir / "uploads").iterdir():
            os.utime(mark, (long_ago, long_ago))
        expire_uploads(place)
        store = MediaStore(place.media_dir)
        assert store.get(sent["media"][0]["id"])  # an answer is about it
        with pytest.raises(UnknownMedia):
            store.get(unasked["media"][0]["id"])
        assert not (place.data_dir / "ledger.sqlite3").exists()
