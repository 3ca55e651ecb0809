"""What is wanted is read by one for all, and stays what it was while the registry is away."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from registries import checkpoint, empty_registry

from chordae.platform.errors import RegistryUnreachable
from chordae.platform.registry.desired import Desired, Named
from chordae.platform.registry.models import Models
from chordae.platform.wanted import Wanted
from chordae.platform.weights import identify


@pytest.fixture
def data_dir(tmp_path: Path) -> Path:
    return empty_registry(tmp_path / "var")


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Every read of aliases."""
    reads: list[str] = []
    whole: Callable[[Models, str], object] = Models.aliases
    monkeypatch.setattr(Models, "aliases", lambda self, model: reads.append(model) or whole(self, model))
    return reads


def grow_old(data_dir: Path, seconds: float = 60) -> None:
    """As if the registry had been asked so long ago."""
    then = time.time() - seconds
    os.utime(data_dir / "wanted" / "tiny.json", (then, then))


def away(*_: object) -> None:
    raise RegistryUnreachable("the registry does not answer", "check it")


def test_an_alias_on_what_is_no_version_of_ours_is_told_and_hides_no_other(data_dir: Path, tmp_path: Path) -> None:
    models = Models(data_dir)
    champion = models.register(checkpoint(tmp_path, 1))
    models._client.create_model_version("tiny", "file:/elsewhere")
    models.set_alias("tiny", "champion", "1")
    models.set_alias("tiny", "candidate", "2")
    assert Desired(data_dir, 5).wanted("tiny") == champion.wanted
    assert "no version 2" in Desired(data_dir, 5).problem("tiny")
    later = models.register(checkpoint(tmp_path, 2))
    models.set_alias("tiny", "champion", later.number)
    grow_old(data_dir)
    assert Desired(data_dir, 5).wanted("tiny") == later.wanted


def test_a_registry_that_is_damaged_stops_nobody(data_dir: Path, tmp_path: Path) -> None:
    models = Models(data_dir)
    version = models.register(checkpoint(tmp_path, 1))
    models.set_alias("tiny", "champion", "1")
    assert Desired(data_dir, 5).wanted("tiny") == version.wanted
    grow_old(data_dir)
    (data_dir / "mlflow.db").write_bytes(b"no database " * 400)
    for other in data_dir.glob("mlflow.db-*"):
        other.unlink()
    assert Desired(data_dir, 5).wanted("tiny") == version.wanted
    assert "does not answer" in Desired(data_dir, 5).problem("tiny")


def test_another_registry_in_its_place_has_versions_of_its_own(data_dir: Path, tmp_path: Path) -> None:
    Models(data_dir).register(checkpoint(tmp_path, 1))
    Models(data_dir).set_alias("tiny", "champion", "1")
    assert Desired(data_dir, 5).wanted("tiny") is not None
    other = Models(empty_registry(tmp_path / "other"))
    version = other.register(checkpoint(tmp_path, 2))
    other.set_alias("tiny", "champion", "1")
    grow_old(data_dir)
    desired = Desired(data_dir, 5)
    desired._models = other
    assert desired.desire("tiny").champion == Named(version="1", digest=version.digest)


def test_where_nothing_is_registered_the_settings_decide_and_the_registry_is_not_asked(
    data_dir: Path, asked: list[str]
) -> None:
    assert Desired(data_dir, 5).wanted("tiny") is None
    assert asked == []


def test_the_champion_is_wanted_with_its_digest_and_directory_and_the_candidate_is_told(
    data_dir: Path, tmp_path: Path
) -> None:
    models, made = Models(data_dir), [checkpoint(tmp_path, seed) for seed in (1, 2)]
    versions = [models.register(one) for one in made]
    assert Desired(data_dir, 5).wanted("tiny") is None  # registered is not promoted
    models.set_alias("tiny", "champion", "2")  # as by another machine
    models.set_alias("tiny", "candidate", "1")
    assert Desired(data_dir, 5).wanted("tiny") is None  # asked a moment ago
    grow_old(data_dir)
    desired, digest = Desired(data_dir, 5), identify(made[1]).digest
    assert desired.wanted("tiny") == Wanted("tiny", "2", digest, data_dir / "versions" / "tiny" / digest)
    assert desired.candidate("tiny") == versions[0].wanted
    models.set_alias("tiny", "candidate", None)
    grow_old(data_dir)
    assert desired.candidate("tiny") is None


def test_many_replicas_ask_the_registry_once_each_interval(data_dir: Path, tmp_path: Path, asked: list[str]) -> None:
    Models(data_dir).register(checkpoint(tmp_path, 1))
    asked.clear()
    replicas = [Desired(data_dir, 5) for _ in range(20)]
    for _ in range(3):
        assert [one.wanted("tiny") for one in replicas] == [None] * 20
    assert asked == ["tiny"]
    grow_old(data_dir)
    assert [one.wanted("tiny") for one in replicas] == [None] * 20
    assert asked == ["tiny"] * 2
    grow_old(data_dir, -3600)  # written before the clock was put back
    replicas[0].wanted("tiny")
    assert asked == ["tiny"] * 3


def test_while_the_registry_is_away_what_was_wanted_stays_and_it_is_said(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    models = Models(data_dir)
    version = models.register(checkpoint(tmp_path, 1))
    models.set_alias("tiny", "champion", "1")
    assert Desired(data_dir, 5).desire("tiny").problem == ""
    grow_old(data_dir)
    with monkeypatch.context() as patch:
        patch.setattr(Models, "aliases", away)
        assert Desired(data_dir, 5).wanted("tiny") == version.wanted
        assert "does not answer" in Desired(data_dir, 5).problem("tiny")
        (data_dir / "wanted" / "tiny.json").write_text("{")  # nor does a damaged file stop anything
        assert Desired(data_dir, 5).wanted("tiny") is None
        assert "does not answer" in Desired(data_dir, 5).problem("tiny")
    grow_old(data_dir)
    assert Desired(data_dir, 5).wanted("tiny") == version.wanted
    assert Desired(data_dir, 5).desire("tiny").problem == ""


def test_a_disk_that_takes_nothing_more_stops_nothing(
    data_dir: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    models = Models(data_dir)
    version = models.register(checkpoint(tmp_path, 1))
    models.set_alias("tiny", "champion", "1")
    Desired(data_dir, 5).wanted("tiny")
    grow_old(data_dir)
    monkeypatch.setattr("chordae.platform.registry.desired.write_atomically", full)
    assert Desired(data_dir, 5).wanted("tiny") == version.wanted
    assert "No space left" in Desired(data_dir, 5).problem("tiny")


def test_one_replica_has_the_turn_until_it_gives_it_back_or_its_lease_ends(data_dir: Path) -> None:
    one, other = Desired(data_dir, 5), Desired(data_dir, 5)  # of two processes
    assert one.take_turn("tiny", "a", 60) and one.take_turn("tiny", "a", 60)
    assert not other.take_turn("tiny", "b", 60)
    assert other.take_turn("another", "b", 60)
    other.give_turn("tiny", "b")  # not its own
    assert not other.take_turn("tiny", "b", 60)
    one.give_turn("tiny", "a")
    assert other.take_turn("tiny", "b", 0.05)
    time.sleep(0.1)  # it died
    assert one.take_turn("tiny", "a", 60)


def test_of_many_that_ask_at_once_one_has_the_turn(data_dir: Path) -> None:
    with ThreadPoolExecutor(8) as pool:
        said = pool.map(lambda number: Desired(data_dir, 5).take_turn("tiny", str(number), 60), range(24))
    assert sum(said) == 1


def test_a_turn_that_cannot_be_written_down_is_nobodys(data_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("chordae.platform.registry.desired.write_atomically", full)
    with pytest.raises(RegistryUnreachable, match="No space left"):
        Desired(data_dir, 5).take_turn("tiny", "a", 60)
