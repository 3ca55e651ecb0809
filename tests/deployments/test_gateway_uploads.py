"""Studies go in over HTTP and their media come out; nothing of the patient does, and nothing else is read."""

import io
import tarfile
from pathlib import Path
from typing import Any

import cv2
import httpx
import numpy as np
import pydicom
import pytest
from asking import kept, question, told, upload
from fakes import PICTURE_SIZE, Platform, png

from chordae.platform.schemas import Media
from chordae.platform.settings import Settings
from chordae.preprocessing.dicom import bundled_echo


async def test_a_real_recording_becomes_two_pictures_and_the_experts_size_of_one(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path
) -> None:
    reply = await upload(http, ("ecg.dcm", bundled_ecg.read_bytes()))
    assert reply.status_code == 200
    media = Media.model_validate(reply.json())
    width, height = PICTURE_SIZE
    assert kept(settings) == sorted(
        [f"{media.id}.png", f"{media.id}.json", f"{media.id}.{width}x{height}.png", f"{media.companion}.png"]
    )
    for media_id in (media.id, media.companion):
        picture = await http.get(f"/media/{media_id}")
        assert (picture.status_code, picture.headers["content-type"]) == (200, "image/png")
        assert cv2.imdecode(np.frombuffer(picture.content, np.uint8), cv2.IMREAD_COLOR) is not None


async def test_what_was_uploaded_can_be_asked_about(
    http: httpx.AsyncClient, platform: Platform, bundled_ecg: Path
) -> None:
    media_id = (await upload(http, ("ecg.dcm", bundled_ecg.read_bytes()))).json()["id"]
    reply = await http.post("/v1/chat/completions", json=question(f"/media/{media_id}"))
    assert reply.json()["chordae"]["provenance"]["media"] == [media_id]


async def test_the_same_recording_twice_is_the_same_media_whatever_its_name(
    http: httpx.AsyncClient, bundled_ecg: Path
) -> None:
    first, second = [(await upload(http, (name, bundled_ecg.read_bytes()))).json() for name in ("a.dcm", "b")]
    assert first == second


async def test_nothing_of_the_patient_or_the_files_name_comes_back(http: httpx.AsyncClient, bundled_ecg: Path) -> None:
    reply = await upload(http, ("Smith^John-1950.dcm", bundled_ecg.read_bytes()))
    assert "Smith" not in reply.text


def flat() -> bytes:
    buffer = io.BytesIO()
    np.save(buffer, np.zeros((12, 5000), np.float32))
    return buffer.getvalue()


UNUSABLE = {
    "nothing": lambda real: b"",
    "words": lambda real: b"This is not an ECG.\n" * 100,
    "random bytes": lambda real: np.random.default_rng(0).bytes(5000),
    "a picture": lambda real: png(),
    "half a recording": lambda real: real[: len(real) // 2],
    "the first kilobyte": lambda real: real[:1000],
    "a DICOM header with noise behind it": lambda real: real[:400] + np.random.default_rng(0).bytes(5000),
    "flat leads": lambda real: flat(),
}


@pytest.mark.parametrize("name", ["ecg.dcm", "ecg.npy", "ecg.hea", "Smith"])
@pytest.mark.parametrize("damage", UNUSABLE.values(), ids=UNUSABLE.keys())
async def test_an_unusable_recording_is_refused_in_one_line_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path, damage: Any, name: str
) -> None:
    reply = await upload(http, (name, damage(bundled_ecg.read_bytes())))
    assert reply.status_code == 422
    text = told(reply)
    assert ": " in text
    assert "Smith" not in text and "tmp" not in text
    assert kept(settings) == []


@pytest.mark.parametrize(
    "name",
    [
        "..",
        ".",
        "../../evil.npy",
        "/etc/evil.npy",
        "a" * 300 + ".npy",
        "a\\b.npy",
        "-rf.npy",
        "naïve ☃.npy",
        "con\x00.npy",
        "x.\x00npy",
        "Müller Ärztin.dcm",
    ],
)
async def test_no_file_name_leads_anywhere(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path, tmp_path: Path, name: str
) -> None:
    reply = await upload(http, (name, bundled_ecg.read_bytes()))
    assert reply.status_code == 200, reply.text
    assert len(kept(settings)) == 4
    assert not list(tmp_path.rglob("*evil*"))


@pytest.mark.parametrize(
    "request_", [{}, {"files": {"other": b"x"}}, {"data": {"file": "text"}}, {"json": {"file": 1}}]
)
async def test_an_upload_without_a_file_is_a_400(http: httpx.AsyncClient, request_: dict[str, Any]) -> None:
    reply = await http.post("/media", **request_)
    assert reply.status_code == 400
    told(reply)


@pytest.mark.parametrize(
    "path",
    [
        "/media/",
        "/media/..",
        "/media/../",
        "/media/../secret",
        "/media/%2e%2e%2fsecret",
        "/media/..%2fsecret",
        "/media/%2fetc%2fpasswd",
        "/media/" + "0" * 64,
        "/media/" + "A" * 64,
        "/media/%00",
        "/media//etc/passwd",
    ],
)
async def test_no_address_leads_out_of_the_media_directory(
    http: httpx.AsyncClient, settings: Settings, path: str
) -> None:
    (settings.media_dir.parent / "secret.png").write_bytes(b"secret")
    (settings.media_dir.parent / "secret").write_bytes(b"secret")
    request = http.build_request("GET", path)
    request.url = request.url.copy_with(raw_path=path.encode())  # httpx tidies addresses up; an attacker does not
    reply = await http.send(request)
    assert reply.status_code in (307, 404, 405)
    assert b"secret" not in reply.content


# --- echo and CMR ---


def archive(name: str, content: bytes) -> bytes:
    """A .tgz of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as tar:
        member = tarfile.TarInfo(name)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


@pytest.mark.parametrize("packed", [False, True], ids=["a DICOM object", "an archive"])
async def test_an_echo_becomes_a_video_without_a_name(
    http: httpx.AsyncClient, settings: Settings, packed: bool
) -> None:
    content = bundled_echo().read_bytes()
    name, content = ("echo.tgz", archive("Smith/1.dcm", content)) if packed else ("Smith.dcm", content)
    reply = await upload(http, (name, content))
    assert reply.status_code == 200, reply.text
    media = Media.model_validate(reply.json())
    assert (media.modality, media.kind, media.companion) == ("echo", "video", None)
    assert kept(settings) == sorted([f"{media.id}.json", f"{media.id}.mp4"])
    assert "Smith" not in (settings.media_dir / f"{media.id}.json").read_text()
    video = await http.get(f"/media/{media.id}")
    assert (video.headers["content-type"], video.content[4:8]) == ("video/mp4", b"ftyp")


async def test_packed_or_not_it_is_the_same_media(http: httpx.AsyncClient) -> None:
    echo = bundled_echo().read_bytes()
    replies = [await upload(http, ("a.dcm", echo)), await upload(http, ("b.tar.gz", archive("c", echo)))]
    assert len({reply.json()["id"] for reply in replies}) == 1


async def test_several_objects_of_one_study_are_one_video(http: httpx.AsyncClient) -> None:
    echo = bundled_echo()
    reply = await upload(http, ("1.dcm", echo.read_bytes()), ("2.dcm", echo.read_bytes()))
    assert (reply.status_code, reply.json()["modality"]) == (200, "echo")


async def test_an_ecg_and_an_echo_are_no_one_study(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path
) -> None:
    reply = await upload(http, ("1.dcm", bundled_echo().read_bytes()), ("2.dcm", bundled_ecg.read_bytes()))
    assert reply.status_code == 422
    assert told(reply) == "The study holds ecg and echo: send one at a time"
    assert kept(settings) == []


async def test_a_study_of_two_patients_is_refused(http: httpx.AsyncClient, settings: Settings, tmp_path: Path) -> None:
    files = []
    for number, patient in enumerate(("Doe^Jane", "Roe^Richard")):
        dataset = pydicom.dcmread(bundled_echo())
        dataset.PatientName, dataset.PatientID = patient, f"MRN-{number}"
        dataset.save_as(tmp_path / f"{number}.dcm")
        files.append((f"{number}.dcm", (tmp_path / f"{number}.dcm").read_bytes()))
    reply = await upload(http, *files)
    assert reply.status_code == 422
    assert "2 patients" in told(reply) and "Doe" not in reply.text
    assert kept(settings) == []


@pytest.mark.parametrize("cut", [100, 5000, -1000])
async def test_a_broken_archive_is_refused_in_one_line_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, cut: int
) -> None:
    reply = await upload(http, ("study.tgz", archive("1.dcm", bundled_echo().read_bytes())[:cut]))
    assert reply.status_code == 422
    assert ": " in told(reply)
    assert kept(settings) == []


async def test_no_key_and_no_identifier_of_an_upload_stays(
    http: httpx.AsyncClient, settings: Settings, bundled_ecg: Path
) -> None:
    await upload(http, ("1.dcm", bundled_ecg.read_bytes()))
    assert not settings.sites_dir.exists()
    assert not (settings.data_dir / "ledger.sqlite3").exists()
