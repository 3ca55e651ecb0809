"""What is shipped in `models`: small enough for git, honest about itself, and as good as its card says."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from chordae.platform.weights import read_manifest

ROOT = Path(__file__).parents[1]
MODEL = ROOT / "models" / "ecg-nano"


@pytest.fixture
def manifest() -> dict[str, Any]:
    return dict(json.loads((MODEL / "manifest.json").read_text()))


def strings(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, inner in value.items():
            yield from strings([key, inner])
    elif isinstance(value, list):
        for inner in value:
            yield from strings(inner)


def test_the_weights_are_at_most_16_mb() -> None:
    assert 0 < sum(path.stat().st_size for path in MODEL.glob("*.safetensors")) <= 16_000_000


def test_the_card_says_not_for_clinical_use() -> None:
    assert "not for clinical use" in " ".join((MODEL / "README.md").read_text().lower().split())


def test_it_reads_pictures_it_never_saw(manifest: dict[str, Any]) -> None:
    assert manifest["metrics"]["mcq"]["asked"] >= 1000
    assert manifest["metrics"]["mcq"]["accuracy"] >= 0.75


def test_without_the_picture_it_knows_no_more_than_chance(manifest: dict[str, Any]) -> None:
    blind = manifest["metrics"]["mcq_picture_withheld"]
    assert blind["asked"] >= 1000
    assert abs(blind["forced_choice"] - blind["chance"]) <= 0.05


def test_the_manifest_names_no_place_on_a_machine(manifest: dict[str, Any]) -> None:
    assert not [text for text in strings(manifest) if re.search(r"(^|[\s=])(/|~|[A-Za-z]:\\)", text)]
    assert read_manifest(MODEL).picture == (336, 224)
