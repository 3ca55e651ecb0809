"""Site profiles are read strictly."""

from pathlib import Path

import pytest

from chordae.cohort.sites import load_site
from chordae.platform.errors import BadSettings


@pytest.mark.parametrize("path", sorted(Path("configs/sites").glob("*.yaml")), ids=lambda path: path.stem)
def test_every_profile_of_the_repository_is_read(path: Path) -> None:
    site = load_site(path.stem)
    assert site.name == path.stem
    assert sum(site.prevalence.values()) == pytest.approx(1)


def test_an_unknown_site_is_refused_and_the_known_ones_are_named() -> None:
    with pytest.raises(BadSettings, match="university"):
        load_site("atlantis")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ("colour: red", "colour"),
        ("prevalence: {normal: 1}", "prevalence"),
        ("ecg: {format: fax}", "ecg.format"),
        ("ecg: {format: npy, rate_hz: 250}", "500 Hz"),
        ("cmr: {field_t: 7}", "7 T is not simulated"),
    ],
)
def test_a_wrong_key_or_value_is_named(tmp_path: Path, change: str, named: str) -> None:
    text = Path("configs/sites/university.yaml").read_text()
    key = change.split(":")[0]
    lines = [line for line in text.splitlines() if not line.startswith(f"{key}:")]
    (path := tmp_path / "mine.yaml").write_text("\n".join([*lines, change]))
    with pytest.raises(BadSettings, match=named):
        load_site(str(path))
