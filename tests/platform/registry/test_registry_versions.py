"""A registered checkpoint is a version that does not change unnoticed, and is there in full or not at all."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest
from registries import checkpoint, empty_registry, fit

from chordae.platform.canaries import CanaryProbe, write_canaries
from chordae.platform.errors import BadInput, BadSettings, DamagedVersion, RegistryUnreachable, UnknownVersion
from chordae.platform.registry import storing
from chordae.platform.registry.models import Models
from chordae.platform.registry.version import read_version
from chordae.platform.weights import identify


@pytest.fixture
def models(tmp_path: Path) -> Models:
    return Models(empty_registry(tmp_path / "var"))


def left_over(models: Models) -> list[str]:
    """What lies in the model's folder beside its versions."""
    return [path.name for path in (models.data_dir / "versions" / "tiny").iterdir() if path.name.endswith(".part")]


def test_a_version_is_a_copy_with_the_digest_of_every_file(models: Models, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 1)
    version = models.register(made)
    digest = identify(made).digest
    assert (version.model, version.number, version.digest, version.aliases) == ("tiny", "1", digest, ())
    assert version.directory == models.data_dir / "versions" / "tiny" / digest
    told = models.verify(version)
    assert (told.metrics, told.lineage["config"], told.canaries, told.lacks) == ({"reward": 0.1}, "c1", 1, ())
    assert told.calibration is not None and told.calibration.threshold == 0.6
    assert told.files == {
        path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in made.iterdir() if path.is_file()
    }
    shutil.rmtree(made)
    assert models.verify(models.version("tiny", "1")) == told
    assert stat.S_IMODE((version.directory / "model.safetensors").stat().st_mode) == 0o644


def test_the_same_weights_are_the_same_version(models: Models, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 1)
    first = models.register(made)
    before = (first.directory / "model.safetensors").stat()
    assert models.register(shutil.copytree(made, tmp_path / "copy")) == first
    assert models.register(checkpoint(tmp_path, 2)).number == "2"
    assert [one.number for one in models.versions("tiny")] == ["2", "1"]
    assert models.names() == ["tiny"]
    after = (first.directory / "model.safetensors").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_a_calibration_that_came_later_is_added_to_the_version(models: Models, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 1, ready=False)
    first = models.register(made)
    assert models.verify(first).lacks == ("calibration.json", "canaries.json")
    fit(made, 0.7)
    again = models.register(made)
    assert (again.number, again.directory) == (first.number, first.directory)
    told = models.verify(again)
    assert told.calibration is not None and told.calibration.threshold == 0.7
    assert told.lacks == ("canaries.json",)
    fit(made, 0.8)
    told = models.verify(models.register(made))
    assert told.calibration is not None and told.calibration.threshold == 0.8


def test_a_copy_without_its_calibration_does_not_take_it_from_the_version(models: Models, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 1)
    version = models.register(made)
    (made / "calibration.json").unlink()
    assert models.register(made) == version
    assert models.verify(version).lacks == ()


def test_a_calibration_of_other_weights_is_left_behind(models: Models, tmp_path: Path) -> None:
    made, other = checkpoint(tmp_path, 1, ready=False), checkpoint(tmp_path, 2)
    shutil.copy(other / "calibration.json", made)
    version = models.register(made)
    assert "calibration.json" in models.verify(version).lacks
    assert not (version.directory / "calibration.json").exists()


def test_a_reasoner_is_calibrated_by_its_temperature(models: Models, tmp_path: Path) -> None:
    told = models.verify(models.register(checkpoint(tmp_path, 1, kind="reasoner")))
    assert told.lacks == ()
    assert told.temperature is not None and told.temperature.temperature == 0.9
    assert models.verify(models.register(checkpoint(tmp_path, 2, ready=False, kind="reasoner"))).lacks == (
        "temperature.json",
        "canaries.json",
    )


def test_pictures_that_canaries_name_come_along(models: Models, tmp_path: Path) -> None:
    made = checkpoint(tmp_path, 1)
    (made / "canaries").mkdir()
    (made / "canaries" / "1.png").write_bytes(b"picture")
    part = {"type": "image_url", "image_url": {"url": "canaries/1.png"}}
    probe = CanaryProbe(request={"messages": [{"role": "user", "content": [part]}]}, token_ids=(3,), logprobs=(-0.5,))
    write_canaries(made, [probe], "by hand")
    version = models.register(made)
    assert models.verify(version).files["canaries/1.png"] == hashlib.sha256(b"picture").hexdigest()
    (version.directory / "canaries" / "1.png").write_bytes(b"another")
    with pytest.raises(DamagedVersion, match=r"canaries/1\.png has changed"):
        models.verify(version)


@pytest.mark.parametrize(
    "name", ["model.safetensors", "config.json", "manifest.json", "calibration.json", "canaries.json", "version.json"]
)
def test_a_file_that_changed_or_is_gone_is_named_and_registering_again_mends_it(
    models: Models, tmp_path: Path, name: str
) -> None:
    made = checkpoint(tmp_path, 1)
    version = models.register(made)
    path = version.directory / name
    path.write_bytes(path.read_bytes() + b" ")
    with pytest.raises(DamagedVersion, match=f"{name} has changed"):
        models.verify(version)
    path.unlink()
    with pytest.raises(DamagedVersion, match=f"{name} is missing"):
        models.verify(version)
    assert models.register(made) == version
    models.verify(version)


def test_metrics_that_somebody_improved_on_disk_are_noticed(models: Models, tmp_path: Path) -> None:
    version = models.register(checkpoint(tmp_path, 1))
    told = json.loads((version.directory / "version.json").read_text())
    told["metrics"]["reward"] = 1.0
    (version.directory / "version.json").write_text(json.dumps(told))
    with pytest.raises(DamagedVersion, match=r"version\.json has changed"):
        models.verify(version)


def test_what_is_no_checkpoint_is_refused_and_leaves_nothing(models: Models, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(BadSettings, match="no weights"):
        models.register(tmp_path / "empty")
    made = checkpoint(tmp_path, 1)
    for name in ("../tiny", "a/b", ".", ""):
        (made / "manifest.json").write_text(json.dumps({"name": name, "version": "1"}))
        with pytest.raises(BadInput, match="no name for a model"):
            models.register(made)
    assert models.names() == []
    assert not (models.data_dir / "versions").exists()


def test_a_version_nobody_registered_is_unknown(models: Models, tmp_path: Path) -> None:
    with pytest.raises(UnknownVersion, match="tiny"):
        models.versions("tiny")
    models.register(checkpoint(tmp_path, 1))
    for wrong in ("2", "0", "champion", "last", "-1", "1; --"):
        with pytest.raises(UnknownVersion, match="no version"):
            models.version("tiny", wrong)


def test_a_full_disk_leaves_no_half_version(models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made, copied = checkpoint(tmp_path, 1), []

    def full(source: Path, target: Path) -> None:
        copied.append(target)
        if len(copied) == 3:
            raise OSError(errno.ENOSPC, "No space left on device")
        shutil.copy(source, target)

    with monkeypatch.context() as patch:
        patch.setattr(storing, "_copy", full)
        with pytest.raises(OSError, match="No space left"):
            models.register(made)
    assert models.names() == [] and left_over(models) == []
    models.verify(models.register(made))


def test_a_killed_registration_leaves_no_half_version_and_the_next_one_cleans_up(
    models: Models, tmp_path: Path
) -> None:
    made = checkpoint(tmp_path, 1, mib=64)
    code = (
        "import sys, time; from pathlib import Path; from chordae.platform.registry import storing\n"
        "whole = storing._copy\n"
        "def slow(source, target):\n"
        "    whole(source, target)\n"
        "    print(target.name, flush=True)\n"
        "    time.sleep(60 if target.name == 'model.safetensors' else 0)\n"
        "storing._copy = slow\n"
        "data = Path(sys.argv[2])\n"
        "with storing.storing(data, 'tiny'): storing.store(Path(sys.argv[1]), data)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(made), str(models.data_dir)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    while "model.safetensors" not in process.stdout.readline():
        assert process.poll() is None
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    digest = identify(made).digest
    assert not (models.data_dir / "versions" / "tiny" / digest).exists()
    assert left_over(models) != [] and models.names() == []
    begun = time.monotonic()
    version = models.register(made)  # the dead one's lock is free at once
    assert time.monotonic() - begun < 30
    assert left_over(models) == []
    assert read_version(version.directory) == models.verify(version)


def test_a_registry_that_does_not_answer_is_named_without_its_password(
    models: Models, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = checkpoint(tmp_path, 1)
    with monkeypatch.context() as patch:
        patch.setenv("MLFLOW_HTTP_REQUEST_MAX_RETRIES", "0")
        patch.setenv("MLFLOW_TRACKING_URI", "http://user:hush@127.0.0.1:9")
        with pytest.raises(RegistryUnreachable, match="does not answer") as refusal:
            Models(models.data_dir).register(made)
        assert "hush" not in str(refusal.value)
    assert models.names() == []
    assert models.register(made).number == "1"  # what was copied already is used
