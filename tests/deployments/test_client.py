"""The command line's own client: studies go up, and one question is asked about several of them."""

import io
import tarfile
from collections.abc import Iterator
from pathlib import Path

import pytest
from fakes import GROUNDED, MakePlatform, Platform, three_experts

from benchmarks.ports import free_port
from chordae.deployments import client
from chordae.platform.errors import BadInput, ChordaeError
from chordae.preprocessing.dicom import bundled_echo


@pytest.fixture
def listening(make_platform: MakePlatform, tmp_path: Path, model_dir: Path) -> Iterator[Platform]:
    platform = make_platform(three_experts(tmp_path, model_dir, gateway={"port": free_port()}))
    with platform.listening():
        yield platform


@pytest.fixture
def echo(tmp_path: Path) -> Path:
    path = tmp_path / "echo.tgz"
    with tarfile.open(path, "w:gz") as tar:
        member = tarfile.TarInfo("1.dcm")
        member.size = bundled_echo().stat().st_size
        tar.addfile(member, io.BytesIO(bundled_echo().read_bytes()))
    return path


def test_one_question_over_an_ecg_and_an_echo(listening: Platform, bundled_ecg: Path, echo: Path) -> None:
    media = [client.upload(listening.settings, path) for path in (bundled_ecg, echo)]
    assert [(each.modality, each.kind) for each in media] == [("ecg", "image"), ("echo", "video")]
    stages: dict[str, float] = {}
    answer = client.ask(listening.settings, media, "What are the main findings?", True, stages.__setitem__)
    assert answer.text.startswith(f"ECG: {GROUNDED}\nEcho: {GROUNDED}\nCMR: not answered (")
    assert {report.modality: report.answer for report in answer.reports} == {"ecg": GROUNDED, "echo": GROUNDED}
    assert {said.weights.name for said in answer.answers.values()} == {"ecg-fake", "echo-fake"}
    assert set(stages) == {"decompose", "ecg answer", "ecg probe", "echo answer", "echo probe"}


def test_a_video_alone_is_asked_about_as_a_picture_is(listening: Platform, echo: Path) -> None:
    media = client.upload(listening.settings, echo)
    answer = client.ask(listening.settings, media, "Is the heart enlarged?", False, lambda *_: None)
    assert (answer.text, answer.provenance.media) == (GROUNDED, (media.id,))


def test_a_study_that_cannot_be_read_is_told_in_the_platforms_words(listening: Platform, tmp_path: Path) -> None:
    (tmp_path / "study.tgz").write_bytes(b"no archive")
    with pytest.raises(ChordaeError) as refusal:
        client.upload(listening.settings, tmp_path / "study.tgz")
    assert refusal.value.remedy and refusal.value.exit_code == 2
    with pytest.raises(BadInput, match="nowhere"):
        client.upload(listening.settings, tmp_path / "nowhere.tgz")
