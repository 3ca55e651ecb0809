"""The command line: what a person types, what comes back, and one line with an exit status when it cannot."""

import errno
import http.server
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import pytest
from click.testing import Result
from fakes import BLIND, GROUNDED, Platform, crashing, hallucinating, make_settings
from typer.testing import CliRunner

from benchmarks.ports import free_port
from chordae.cli import app
from chordae.platform.probing import DISCLAIMER
from chordae.platform.settings import Settings, knobs
from chordae.platform.weights import identify
from chordae.preprocessing import dicom

QUESTION = "What is the rhythm?"


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    experts = {"ecg": {"model": str(model_dir), "port": free_port(), "web_port": free_port()}}
    gateway = {"port": free_port(), "internal_port": free_port()}
    return make_settings(tmp_path, model_dir, gateway=gateway, experts=experts)


@pytest.fixture
def config(settings: Settings, tmp_path: Path) -> str:
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(settings.model_dump(mode="json")))
    return f"--config={path}"


def chordae(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "80"}).invoke(app, [str(argument) for argument in arguments])


def refused(result: Result, status: int) -> str:
    """The one line on standard error."""
    assert result.exit_code == status, result.output
    assert result.exception is None or isinstance(result.exception, SystemExit)
    *progress, line = result.stderr.strip().splitlines()
    assert all(said.startswith("[") for said in progress)
    assert line.startswith("chordae: ")
    return line


# --- without a platform ---


def test_config_prints_every_knob_with_its_meaning_and_value(config: str, settings: Settings) -> None:
    shown = chordae("config", config)
    assert shown.exit_code == 0
    for name, meaning, _, value in knobs(settings):
        assert f"{name} = {value}" in shown.stdout
        assert meaning in shown.stdout


def test_config_says_where_a_value_differs_from_the_default(config: str, settings: Settings) -> None:
    assert f"gateway.port = {settings.gateway.port}  (default 8080)" in chordae("config", config).stdout


def test_the_settings_file_can_be_named_by_the_environment(
    config: str, settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CHORDAE_CONFIG", config.removeprefix("--config="))
    assert f"gateway.port = {settings.gateway.port}" in chordae("config").stdout


@pytest.mark.parametrize("text", ["gateway: {prot: 1}", "gateway: {port: 99999}", "a: [", "- x"])
def test_a_bad_settings_file_is_one_line_and_exit_status_2(tmp_path: Path, text: str) -> None:
    path = tmp_path / "bad.yaml"
    path.write_text(text)
    assert "Traceback" not in refused(chordae("config", f"--config={path}"), 2)


def test_a_missing_settings_file_is_one_line_that_says_what_to_do(tmp_path: Path) -> None:
    line = refused(chordae("config", f"--config={tmp_path / 'nowhere.yaml'}"), 2)
    assert "nowhere.yaml" in line
    assert "configs/laptop.yaml" in line


def test_an_unknown_override_is_one_line_that_names_it(config: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CHORDAE_TRESHOLD", "1")
    assert "CHORDAE_TRESHOLD" in refused(chordae("config", config), 2)


def test_asking_without_a_platform_says_how_to_start_one(config: str, bundled_ecg: Path) -> None:
    line = refused(chordae("ask", QUESTION, "--ecg", bundled_ecg, config), 1)
    assert "no platform answers" in line
    assert "chordae up --detach" in line


def test_asking_about_a_file_that_is_not_there_names_it(config: str, tmp_path: Path) -> None:
    assert "nowhere.dcm" in refused(chordae("ask", QUESTION, "--ecg", tmp_path / "nowhere.dcm", config), 2)


def test_asking_about_nothing_is_a_usage_error(config: str) -> None:
    shown = chordae("ask", QUESTION, config)
    assert shown.exit_code == 2
    assert "--ecg" in shown.stderr


def test_status_without_a_platform_says_so_and_fails(config: str) -> None:
    shown = chordae("status", config)
    assert "process: none" in shown.stdout
    assert "no platform answers" in refused(shown, 1)


def test_down_without_a_platform_is_no_error(config: str) -> None:
    shown = chordae("down", config)
    assert (shown.exit_code, shown.stdout) == (0, "no platform was running here\n")


# --- pictures ---


@pytest.mark.parametrize("layout", ["clinical", "marcus"])
def test_preprocess_writes_the_picture_and_tells_what_is_known(tmp_path: Path, bundled_ecg: Path, layout: str) -> None:
    shown = chordae("preprocess", "ecg", bundled_ecg, "-o", tmp_path / "ecg.png", "--layout", layout)
    assert shown.exit_code == 0, shown.output
    picture = cv2.imread(str(tmp_path / "ecg.png"))
    assert min(picture.shape[:2]) > 500
    assert json.loads(shown.stdout)["original_rate_hz"] == 1000
    assert [path.name for path in tmp_path.iterdir()] == ["ecg.png"]


def test_preprocess_writes_the_video_of_an_echo_and_tells_what_each_tile_shows(tmp_path: Path) -> None:
    shown = chordae("preprocess", "echo", dicom.bundled_echo(), "-o", tmp_path / "echo.mp4")
    assert shown.exit_code == 0, shown.output
    assert cv2.VideoCapture(str(tmp_path / "echo.mp4")).read()[1].shape == (256, 256, 3)
    assert json.loads(shown.stdout)["tiles"][0]["frames_in_clip"] == 30
    assert [path.name for path in tmp_path.iterdir()] == ["echo.mp4"]


@pytest.mark.parametrize("modality", ["ecg", "echo"])
def test_a_full_disk_is_one_line_that_names_no_file_and_nothing_is_written(
    tmp_path: Path, bundled_ecg: Path, monkeypatch: pytest.MonkeyPatch, modality: str
) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    study = bundled_ecg if modality == "ecg" else dicom.bundled_echo()
    monkeypatch.setattr("os.fsync", full)
    told = refused(chordae("preprocess", modality, study, "-o", tmp_path / "Doe^Jane.out"), 1)
    assert "No space left on device" in told and "Doe" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_study_of_another_kind_is_one_line_that_names_the_right_command(tmp_path: Path) -> None:
    told = refused(chordae("preprocess", "cmr", dicom.bundled_echo(), "-o", tmp_path / "cmr.mp4"), 2)
    assert "chordae preprocess echo" in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"not an ECG", b"\x93NUMPY garbage"])
def test_what_is_no_ecg_is_one_line_and_nothing_is_written(tmp_path: Path, content: bytes) -> None:
    recording = tmp_path / "ecg.npy"
    recording.write_bytes(content)
    refused(chordae("preprocess", "ecg", recording, "-o", tmp_path / "ecg.png"), 2)
    assert list(tmp_path.iterdir()) == [recording]


def test_a_picture_that_cannot_be_made_leaves_the_one_before(tmp_path: Path) -> None:
    (tmp_path / "ecg.npy").write_bytes(b"not an ECG")
    (tmp_path / "ecg.png").write_bytes(b"before")
    refused(chordae("preprocess", "ecg", tmp_path / "ecg.npy", "-o", tmp_path / "ecg.png"), 2)
    assert (tmp_path / "ecg.png").read_bytes() == b"before"


@pytest.mark.parametrize("options", [["-o", "nowhere/ecg.png"], ["-o", "."], ["-o", "ecg.png", "--layout", "sideways"]])
def test_an_impossible_output_is_one_line(
    tmp_path: Path, bundled_ecg: Path, options: list[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    refused(chordae("preprocess", "ecg", bundled_ecg, *options), 2)
    assert list(tmp_path.iterdir()) == []


# --- with a platform ---


@pytest.fixture
def platform(settings: Settings, config: str) -> Iterator[Platform]:
    from fakes import FakeEngine

    platform = Platform(settings, FakeEngine())
    with platform.listening():
        yield platform


def test_ask_shows_the_answer_and_what_it_rests_on(
    platform: Platform, config: str, bundled_ecg: Path, model_dir: Path, settings: Settings
) -> None:
    shown = chordae("ask", QUESTION, "--ecg", bundled_ecg, config)
    assert shown.exit_code == 0, shown.output
    text = " ".join(shown.stdout.split())
    assert text.count(GROUNDED) == 2  # the expert's own words, and the answer
    assert text.count("= the answer above") == 3
    assert BLIND in text
    for said in ("Agreement", "Image delta", "Confidence", "Threshold", "not calibrated", "not flagged", "version 7"):
        assert said in text
    whole = shown.stdout.replace(" ", "").replace("\n", "")
    assert identify(model_dir).digest in whole
    assert settings.digest() in whole


def test_the_pictures_that_ask_names_are_there(
    platform: Platform, config: str, bundled_ecg: Path, settings: Settings
) -> None:
    shown = json.loads(chordae("ask", QUESTION, "--ecg", bundled_ecg, config, "--json").stdout)
    for media_id in (shown["media"][0]["id"], shown["media"][0]["companion"]):
        assert (settings.media_dir / f"{media_id}.png").is_file()


def test_json_holds_the_whole_answer(platform: Platform, config: str, bundled_ecg: Path) -> None:
    shown = json.loads(chordae("ask", QUESTION, "--ecg", bundled_ecg, config, "--json").stdout)
    assert (shown["text"], shown["flagged"]) == (GROUNDED, False)
    assert len(shown["reports"][0]["rephrasings"]) == 3
    assert {"preprocess", "answer", "probe"} <= set(shown["stages"])


def test_a_flagged_answer_is_shown_as_such(platform: Platform, config: str, bundled_ecg: Path) -> None:
    platform.engine.rule = hallucinating
    text = " ".join(chordae("ask", QUESTION, "--ecg", bundled_ecg, config).stdout.split())
    assert "FLAGGED" in text
    assert DISCLAIMER in text


def test_an_unprobed_answer_claims_nothing(platform: Platform, config: str, bundled_ecg: Path) -> None:
    shown = chordae("ask", QUESTION, "--ecg", bundled_ecg, config, "--no-probe")
    assert "not probed" in shown.stdout
    assert "Confidence" not in shown.stdout
    assert len(platform.engine.requests) == 1


def test_what_looks_like_markup_in_an_answer_is_shown_as_it_is(
    platform: Platform, config: str, bundled_ecg: Path
) -> None:
    platform.engine.rule = lambda *_: "ST [/red] elevation [V1-V3]"
    assert "ST [/red] elevation [V1-V3]" in chordae("ask", QUESTION, "--ecg", bundled_ecg, config).stdout


def test_a_refused_recording_is_told_in_the_platforms_words(platform: Platform, config: str, tmp_path: Path) -> None:
    (tmp_path / "ecg.dcm").write_bytes(b"not an ECG")
    locally = refused(chordae("preprocess", "ecg", tmp_path / "ecg.dcm", "-o", tmp_path / "x.png"), 2)
    assert refused(chordae("ask", QUESTION, "--ecg", tmp_path / "ecg.dcm", config), 2) == locally


def test_a_refused_question_is_exit_status_2(platform: Platform, config: str, bundled_ecg: Path) -> None:
    assert "question is empty" in refused(chordae("ask", " ", "--ecg", bundled_ecg, config), 2)
    assert "5000 characters" in refused(chordae("ask", "x" * 5000, "--ecg", bundled_ecg, config), 2)


def test_an_experts_failure_is_exit_status_1(platform: Platform, config: str, bundled_ecg: Path) -> None:
    platform.engine.rule = crashing
    line = refused(chordae("ask", QUESTION, "--ecg", bundled_ecg, config), 1)
    assert "the ecg expert failed" in line


def test_a_wfdb_header_takes_its_signal_along(platform: Platform, config: str, tmp_path: Path) -> None:
    import wfdb

    leads = ["I", "II", "III", "aVR", "aVL", "aVF", "V1", "V2", "V3", "V4", "V5", "V6"]
    time = np.arange(5000) / 500
    beats = np.exp(-(((time % 0.8 - 0.4) / 0.02) ** 2))
    two_limbs = np.stack([beats, 1.5 * beats])
    one, two = two_limbs
    signal = np.stack(
        [one, two, two - one, -(one + two) / 2, one - two / 2, two - one / 2] + [beats * n for n in range(1, 7)]
    )
    wfdb.wrsamp("r", 500, ["mV"] * 12, leads, signal.T.astype(np.float64), fmt=["16"] * 12, write_dir=str(tmp_path))
    assert chordae("ask", QUESTION, "--ecg", tmp_path / "r.hea", config).exit_code == 0


def test_status_names_ports_and_weights(platform: Platform, config: str, settings: Settings, model_dir: Path) -> None:
    shown = chordae("status", config)
    assert shown.exit_code == 0
    expert = settings.experts["ecg"]
    assert f"ecg: port {expert.port}, web API {expert.web_port}\n" in shown.stdout
    assert f"chordae: port {settings.gateway.port}\n" in shown.stdout
    assert identify(model_dir).digest in shown.stdout.replace("\n", "")


# --- with something else where the platform should be ---


@contextmanager
def stranger(port: int, replies: dict[str, tuple[int, str, bytes]], cut_off: int = 0) -> Iterator[None]:
    """Another server: path -> status, content type, body; a stream is cut off so many bytes before its end."""

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            status, kind, body = replies.get(self.path, (404, "application/json", b'{"detail": "Not Found"}'))
            self.send_response(status)
            self.send_header("content-type", kind)
            if kind == "text/event-stream":
                self.send_header("content-length", str(len(body) + cut_off))
            self.end_headers()
            self.wfile.write(body)

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("content-length", 0)))
            self.do_GET()

        def log_message(self, *_: Any) -> None: ...

    server = http.server.ThreadingHTTPServer(("127.0.0.1", port), Handler)
    threading.Thread(target=server.serve_forever, args=(0.05,)).start()
    try:
        yield
    finally:
        server.shutdown()
        server.server_close()


STRANGERS = {
    "an API of another kind": {},
    "a web page": {"/media": (200, "text/html", b"<html>"), "/v1/models": (200, "text/html", b"<html>")},
    "other JSON": {"/media": (200, "application/json", b"[]"), "/v1/models": (200, "application/json", b"[]")},
    "a proxy's own refusal": {"/media": (413, "text/html", b"<html>"), "/v1/models": (502, "text/html", b"<html>")},
}


@pytest.mark.parametrize("replies", STRANGERS.values(), ids=STRANGERS.keys())
def test_a_stranger_on_the_port_is_one_line(
    config: str, settings: Settings, bundled_ecg: Path, replies: dict[str, tuple[int, str, bytes]]
) -> None:
    with stranger(settings.gateway.port, replies):
        for arguments in (["ask", QUESTION, "--ecg", bundled_ecg], ["status"]):
            shown = chordae(*arguments, config)
            refused(shown, shown.exit_code)
            assert shown.exit_code in (1, 2)


CUT_OFF = {
    "nothing at all": b"",
    "one stage": b'data: {"choices": [{"index": 0, "delta": {}}], "chordae": {"stage": "answer", "seconds": 1}}\n\n',
    "half an event": b'data: {"choices": [{"ind',
    "no answer before the end": b"data: [DONE]\n\n",
    "an answer of another version": b'data: {"choices": [{"index": 0, "delta": {}}], "chordae": {"verdict": 1}}\n\n',
}


@pytest.mark.parametrize("cut_off", [0, 100], ids=["ended", "connection lost"])
@pytest.mark.parametrize("body", CUT_OFF.values(), ids=CUT_OFF.keys())
def test_an_answer_that_breaks_off_is_one_line(
    config: str, settings: Settings, bundled_ecg: Path, body: bytes, cut_off: int
) -> None:
    media = json.dumps({"id": "0" * 64, "modality": "ecg"}).encode()
    replies = {
        "/media": (200, "application/json", media),
        "/v1/chat/completions": (200, "text/event-stream", body),
    }
    with stranger(settings.gateway.port, replies, cut_off):
        refused(chordae("ask", QUESTION, "--ecg", bundled_ecg, config), 1)
