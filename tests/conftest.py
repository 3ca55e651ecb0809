"""What every test may use. Tests that start the real engine run last, so that a quick failure shows quickly."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

os.environ.setdefault("RAY_AUTH_MODE", "token")  # Ray reads it when it is imported, and fakes imports it
os.environ.pop("COLUMNS", None)  # pytest-xdist sets it for those it starts, and a console reads it when it is made

import numpy as np
import pytest
from fakes import PICTURE_SIZE, FakeEngine, MakePlatform, Platform, make_settings, png
from safetensors.numpy import save_file

from chordae.platform.media import MediaStore
from chordae.platform.schemas import Media
from chordae.platform.settings import Settings
from chordae.preprocessing import dicom


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    items.sort(key=lambda item: item.get_closest_marker("engine") is not None)


@pytest.fixture(autouse=True)
def no_settings_from_outside(monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> None:
    """A developer's own overrides must not change what tests see; the recordings' place may come from outside."""
    for name in [name for name in os.environ if name.startswith("CHORDAE_") and name != "CHORDAE_DATA"]:
        monkeypatch.delenv(name)


@pytest.fixture(scope="session")
def bundled_ecg() -> Path:
    """A real 12-lead ECG that comes with pydicom: 10 s at 1000 Hz."""
    return dicom.bundled_ecg()


@pytest.fixture
def model_dir(tmp_path: Path) -> Path:
    """A checkpoint in every respect but that it is no model."""
    directory = tmp_path / "model"
    directory.mkdir()
    save_file({"w": np.arange(6, dtype=np.float32)}, directory / "model.safetensors")
    (directory / "config.json").write_text("{}")
    (directory / "README.md").write_text("a model card")
    (directory / "manifest.json").write_text(
        json.dumps({"name": "ecg-fake", "version": "7", "picture": PICTURE_SIZE, "accuracy": 0.9})
    )
    return directory


@pytest.fixture
def settings(tmp_path: Path, model_dir: Path) -> Settings:
    return make_settings(tmp_path, model_dir)


@pytest.fixture
def media(settings: Settings) -> Media:
    """A picture in the media store."""
    store = MediaStore(settings.media_dir)
    return store.put(png(), "ecg", "test-1", {"flags": []}, people=png(seed=1))


@pytest.fixture
def make_platform(settings: Settings) -> MakePlatform:
    """Makes a platform whose engine is a FakeEngine with these properties; or with other settings."""

    def make(settings: Settings = settings, **engine: Any) -> Platform:
        return Platform(settings, FakeEngine(**engine))

    return make
