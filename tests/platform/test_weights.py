"""A checkpoint is named by what is in it."""

import json
from pathlib import Path

import pytest

from chordae.platform.errors import BadSettings
from chordae.platform.weights import fetch_checkpoint, identify, read_manifest, video_frames


def test_the_manifest_names_the_weights(model_dir: Path) -> None:
    weights = identify(model_dir)
    assert (weights.name, weights.version, len(weights.digest)) == ("ecg-fake", "7", 64)


def test_the_digest_does_not_depend_on_where_the_checkpoint_lies(model_dir: Path, tmp_path: Path) -> None:
    before = identify(model_dir)
    assert identify(model_dir.rename(tmp_path / "elsewhere")) == before


@pytest.mark.parametrize("name", ["model.safetensors", "config.json"])
def test_one_changed_byte_changes_the_digest(model_dir: Path, name: str) -> None:
    before = identify(model_dir).digest
    content = bytearray((model_dir / name).read_bytes())
    content[-1] ^= 1
    (model_dir / name).write_bytes(content)
    assert identify(model_dir).digest != before


def test_a_renamed_or_added_file_changes_the_digest(model_dir: Path) -> None:
    digests = {identify(model_dir).digest}
    (model_dir / "config.json").rename(model_dir / "config2.json")
    digests.add(identify(model_dir).digest)
    (model_dir / "chat_template.jinja").write_text("x")
    digests.add(identify(model_dir).digest)
    assert len(digests) == 3


def test_the_model_card_does_not_change_the_digest(model_dir: Path) -> None:
    before = identify(model_dir).digest
    (model_dir / "README.md").write_text("another card")
    assert identify(model_dir).digest == before


def test_a_foreign_checkpoint_has_no_version_and_takes_pictures_as_they_are(model_dir: Path) -> None:
    (model_dir / "manifest.json").unlink()
    manifest = read_manifest(model_dir)
    assert (manifest.name, manifest.version, manifest.picture) == ("model", "unversioned", None)


def test_a_directory_without_weights_is_refused(model_dir: Path) -> None:
    (model_dir / "model.safetensors").unlink()
    with pytest.raises(BadSettings, match="no weights"):
        identify(model_dir)


@pytest.mark.parametrize(
    "content", ["{", "[]", json.dumps({"name": "x"}), json.dumps({"name": "x", "version": "1", "layout": "?"})]
)
def test_a_manifest_that_cannot_be_read_is_refused_in_one_line(model_dir: Path, content: str) -> None:
    (model_dir / "manifest.json").write_text(content)
    with pytest.raises(BadSettings, match="manifest") as refusal:
        read_manifest(model_dir)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize("model", ["./nowhere", "/no/where", "no/such/model/here", "nowhere", "models/ecg-nano"])
def test_a_missing_directory_is_refused_without_asking_the_network(
    model: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", lambda *_, **__: pytest.fail("asked the network"))
    with pytest.raises(BadSettings, match=model):
        fetch_checkpoint(model, None)


def test_a_repository_that_cannot_be_fetched_is_refused_in_one_line(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def offline(*_: object, **__: object) -> str:
        raise OSError("no route to host")

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", offline)
    with pytest.raises(BadSettings, match="cannot fetch hf://stanford-cardiac-ai/MARCUS-ECG"):
        fetch_checkpoint("hf://stanford-cardiac-ai/MARCUS-ECG", None)


def test_a_repository_is_fetched_at_the_revision_that_was_pinned(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, model_dir: Path
) -> None:
    asked = []

    def fetch(model: str, revision: str | None) -> str:
        asked.append((model, revision))
        return str(model_dir)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("huggingface_hub.snapshot_download", fetch)
    assert fetch_checkpoint("hf://owner/model", "abc123") == model_dir
    assert asked == [("owner/model", "abc123")]


def test_the_digest_changes_with_the_size_at_which_the_model_sees_pictures(model_dir: Path) -> None:
    before = identify(model_dir).digest
    manifest = json.loads((model_dir / "manifest.json").read_text())
    (model_dir / "manifest.json").write_text(json.dumps(manifest | {"note": "of no account"}))
    assert identify(model_dir).digest == before
    (model_dir / "manifest.json").write_text(json.dumps(manifest | {"picture": [28, 28]}))
    assert identify(model_dir).digest != before


def test_a_checkpoint_in_the_hubs_cache_is_named_by_repository_and_commit(model_dir: Path, tmp_path: Path) -> None:
    cached = tmp_path / "models--owner--name" / "snapshots" / "0123abcd"
    cached.parent.mkdir(parents=True)
    model_dir.rename(cached)
    (cached / "manifest.json").unlink()
    assert (identify(cached).name, identify(cached).version) == ("name", "0123abcd")


def test_a_video_model_says_itself_how_many_frames_it_looks_at(model_dir: Path) -> None:
    assert video_frames(model_dir) is None
    config = model_dir / "video_preprocessor_config.json"
    config.write_text(json.dumps({"do_sample_frames": False}))
    assert video_frames(model_dir) is None
    config.write_text(json.dumps({"do_sample_frames": False, "num_frames": 4}))
    assert video_frames(model_dir) == 4


@pytest.mark.parametrize(
    "content",
    [
        "{",
        "[]",
        *(json.dumps({"num_frames": wrong}) for wrong in (0, -1, "4", 4.0, True, [4])),
        json.dumps({"num_frames": 4, "do_sample_frames": True}),
    ],
)
def test_a_video_processor_that_cannot_be_served_is_refused_in_one_line(model_dir: Path, content: str) -> None:
    (model_dir / "video_preprocessor_config.json").write_text(content)
    with pytest.raises(BadSettings, match="video_preprocessor_config") as refusal:
        video_frames(model_dir)
    assert "\n" not in str(refusal.value)


def test_how_frames_are_seen_is_part_of_the_digest(model_dir: Path) -> None:
    digests = set()
    for frames in (4, 8):
        (model_dir / "video_preprocessor_config.json").write_text(json.dumps({"num_frames": frames}))
        digests.add(identify(model_dir).digest)
    assert len(digests) == 2


def test_a_manifest_may_say_what_its_model_looks_at(model_dir: Path) -> None:
    manifest = json.loads((model_dir / "manifest.json").read_text())
    assert read_manifest(model_dir).modality is None
    (model_dir / "manifest.json").write_text(json.dumps(manifest | {"modality": "echo"}))
    assert read_manifest(model_dir).modality == "echo"
    (model_dir / "manifest.json").write_text(json.dumps(manifest | {"modality": "lungs"}))
    with pytest.raises(BadSettings, match="modality"):
        read_manifest(model_dir)


def test_hidden_files_are_no_part_of_the_weights(tmp_path: Path) -> None:
    """A Hub snapshot has some, and a writer that was killed leaves one behind."""
    (tmp_path / "model.safetensors").write_bytes(b"weights")
    before = identify(tmp_path).digest
    (tmp_path / ".gitattributes").write_text("x")
    (tmp_path / ".version.json.part").write_text("{")
    assert identify(tmp_path).digest == before
