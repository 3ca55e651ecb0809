"""`chordae models`: what a person types, what comes back, and one line where it cannot be."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from click.testing import Result
from fakes import make_settings
from registries import checkpoint, empty_registry
from typer.testing import CliRunner

from chordae.cli import app
from chordae.platform.weights import identify


@pytest.fixture
def config(tmp_path: Path, model_dir: Path) -> str:
    settings = make_settings(tmp_path, model_dir)
    empty_registry(settings.data_dir)
    path = tmp_path / "settings.yaml"
    path.write_text(json.dumps(settings.model_dump(mode="json")))
    return f"--config={path}"


def models(*arguments: str | Path) -> Result:
    return CliRunner(env={"COLUMNS": "200"}).invoke(app, ["models", *(str(one) for one in arguments)])


def test_from_a_checkpoint_to_a_champion_and_back(config: str, tmp_path: Path) -> None:
    made = [checkpoint(tmp_path, seed) for seed in (1, 2)]
    assert "version 1 of tiny" in models("register", made[0], config).stdout
    models("register", made[1], config)
    assert "version 1 of tiny is champion" in models("promote", "tiny", "1", config).stdout
    assert "is candidate" in models("promote", "tiny", "2", "--candidate", config).stdout
    assert "champion; before: version 1" in models("promote", "tiny", "candidate", "--by=gate", config).stdout
    listed = models("list", config).stdout
    assert [word in listed for word in ("champion", "previous", "candidate", "reward 0.2")] == [True, True, False, True]
    assert identify(made[1]).digest[:12] in listed
    assert "version 1 of tiny is champion; before: version 2" in models("rollback", "tiny", config).stdout
    shown = models("show", "tiny", config).stdout
    assert identify(made[0]).digest in shown and "lineage config" in shown and "model.safetensors" in shown
    differing = models("diff", "tiny", "1", "2", config).stdout
    assert "metrics reward" in differing and "file model.safetensors" in differing
    assert "config.json" not in differing  # the same in both


def test_another_architecture_is_said_before_it_is_promoted_and_when_it_is_rolled_back(
    config: str, tmp_path: Path
) -> None:
    for seed, mib in ((1, 0), (2, 0), (3, 1)):
        models("register", checkpoint(tmp_path, seed, mib=mib), config)
    assert models("promote", "tiny", "1", config).stderr == "", "in place of nothing"
    assert models("promote", "tiny", "2", config).stderr == "", "loaded in place"
    assert models("promote", "tiny", "3", "--candidate", config).stderr == "", "not in service"
    for asked in (("promote", "tiny", "3"), ("rollback", "tiny")):
        done = models(*asked, config)
        assert "is champion" in done.stdout
        assert "another architecture than the champion's (the tensor w is F32 [" in done.stderr
        assert "memory for one more replica" in done.stderr and len(done.stderr.strip().splitlines()) == 1
    assert "architecture" not in models("diff", "tiny", "1", "2", config).stdout
    assert "another: the tensor w is F32" in models("diff", "tiny", "2", "3", config).stdout


def test_what_cannot_be_is_one_line_with_an_exit_status(config: str, tmp_path: Path) -> None:
    registered = models("register", checkpoint(tmp_path, 1, ready=False), config)
    assert registered.exit_code == 0 and "calibration.json and canaries.json" in registered.stderr
    for asked, said in (
        (("promote", "tiny", "1"), "has no calibration.json"),
        (("show", "tiny"), "no version champion"),
        (("rollback", "large"), "no version of large"),
    ):
        refused = models(*asked, config)
        assert refused.exit_code == 2
        assert refused.stderr.startswith("chordae: ") and said in refused.stderr
        assert len(refused.stderr.strip().splitlines()) == 1
