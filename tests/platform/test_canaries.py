"""Canary probes: what the trainer says that weights write, kept beside them."""

from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from chordae.platform.canaries import CanaryProbe, media_of, read_canaries, write_canaries
from chordae.platform.errors import BadInput
from chordae.platform.weights import CANARIES, identify

TEXT = {"prompt_ids": (1, 2), "token_ids": (3, 4), "logprobs": (-0.1, -2.5)}


def about(url: str) -> dict[str, Any]:
    parts = [{"type": "image_url", "image_url": {"url": url}}, {"type": "text", "text": "What is the rhythm?"}]
    return {"messages": [{"role": "system", "content": "Answer."}, {"role": "user", "content": parts}]}


def test_probes_that_were_written_are_read(model_dir: Path) -> None:
    (model_dir / "canaries").mkdir()
    (model_dir / "canaries" / "1.png").write_bytes(b"x")
    probes = (
        CanaryProbe(**TEXT),
        CanaryProbe(request=about("canaries/1.png"), token_ids=(5,), logprobs=(0.0,)),
    )
    write_canaries(model_dir, probes, "transformers, float32")
    found = read_canaries(model_dir)
    assert found is not None
    assert found.probes == probes
    assert found.computed_by == "transformers, float32"
    assert list(media_of(found.probes[1].request or {})) == ["canaries/1.png"]


def test_a_checkpoint_without_probes_has_none(model_dir: Path) -> None:
    assert read_canaries(model_dir) is None


def test_probes_do_not_change_the_digest(model_dir: Path) -> None:
    before = identify(model_dir)
    write_canaries(model_dir, [CanaryProbe(**TEXT)], "transformers, float32")
    (model_dir / "version.json").write_text("{}")
    assert identify(model_dir) == before


@pytest.mark.parametrize(
    "change",
    [
        {"token_ids": (), "logprobs": ()},
        {"logprobs": (-0.1,)},
        {"logprobs": (-0.1, float("nan"))},
        {"logprobs": (-0.1, float("-inf"))},
        {"logprobs": (-0.1, 0.5)},
        {"token_ids": (3, -4)},
        {"prompt_ids": ()},
        {"prompt_ids": None},
        {"request": about("canaries/1.png")},
        {"prompt_ids": None, "request": {}},
        {"prompt_ids": None, "request": {"messages": [{"role": "user"}]}},
        {"prompt_ids": None, "request": about("/etc/passwd")},
        {"prompt_ids": None, "request": about("canaries/../../passwd")},
        {"prompt_ids": None, "request": about("file:///etc/passwd")},
        {"prompt_ids": None, "request": about("https://example.org/1.png")},
        {"prompt_ids": None, "request": about("")},
    ],
)
def test_a_probe_that_proves_nothing_is_none(change: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        CanaryProbe(**(TEXT | change))


def test_no_probe_at_all_is_not_written(model_dir: Path) -> None:
    with pytest.raises(BadInput, match="no canary probes"):
        write_canaries(model_dir, [], "transformers, float32")
    assert not (model_dir / CANARIES).exists()


def test_a_picture_that_is_not_there_is_noticed(model_dir: Path) -> None:
    probe = CanaryProbe(request=about("canaries/1.png"), token_ids=(5,), logprobs=(-1.0,))
    with pytest.raises(BadInput, match=r"canaries/1\.png"):
        write_canaries(model_dir, [probe], "transformers, float32")


@pytest.mark.parametrize("content", ["", "{", "[]", '{"probes": [], "computed_by": "x"}'])
def test_a_file_that_holds_no_probes_is_refused_by_name(model_dir: Path, content: str) -> None:
    (model_dir / CANARIES).write_text(content)
    with pytest.raises(BadInput, match=r"canaries\.json"):
        read_canaries(model_dir)
