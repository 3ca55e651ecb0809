"""Canary probes: fixed prompts, and what the trainer says that these very weights write after them.

Computed by the trainer with its own code and kept beside the weights; whoever loads the weights asks the same and
compares. Weights that were loaded in part, or a picture's embedding left over from others, do not pass.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from pathlib import Path, PurePosixPath
from typing import Any

from pydantic import Field, ValidationError, model_validator

from chordae.platform.errors import BadInput
from chordae.platform.files import write_atomically
from chordae.platform.noun import Noun
from chordae.platform.weights import CANARIES


class CanaryProbe(Noun):
    """One prompt and its greedy continuation."""

    prompt_ids: tuple[int, ...] | None = Field(None, description="Token ids, for a model of text alone")
    request: dict[str, Any] | None = Field(
        None, description="OpenAI chat request; the URLs of its media are files below the checkpoint: canaries/1.png"
    )
    token_ids: tuple[int, ...] = Field(min_length=1, description="What the model writes, the likeliest at each place")
    logprobs: tuple[float, ...] = Field(description="Natural logarithm of each one's probability, by the trainer")

    @model_validator(mode="after")
    def _complete(self) -> CanaryProbe:
        if (self.prompt_ids is None) == (self.request is None):
            raise ValueError("either prompt_ids or request")
        if self.prompt_ids is not None and not self.prompt_ids:
            raise ValueError("prompt_ids is empty")
        if min((*self.token_ids, *(self.prompt_ids or ()))) < 0:
            raise ValueError("a token id is negative")
        if len(self.logprobs) != len(self.token_ids):
            raise ValueError(f"{len(self.logprobs)} logprobs for {len(self.token_ids)} tokens")
        if not all(math.isfinite(one) and one <= 1e-6 for one in self.logprobs):
            raise ValueError("a logprob is not finite or above 0")
        for url in () if self.request is None else media_of(self.request):
            path = PurePosixPath(url)
            if ":" in url or path.is_absolute() or ".." in path.parts or not path.parts:
                raise ValueError(f"{url!r} is no file below the checkpoint")
        return self


class Canaries(Noun):
    """What `canaries.json` holds."""

    probes: tuple[CanaryProbe, ...] = Field(min_length=1)
    computed_by: str = Field(min_length=1, description="Program and number format: 'transformers, float32'")


def media_of(request: dict[str, Any]) -> Iterator[str]:
    """The URLs of a chat request's pictures and videos, in order. Raises ValueError where it is no chat request."""
    for part in media_parts(request):
        try:
            yield str(part[part["type"]]["url"])
        except (KeyError, TypeError) as error:
            raise ValueError("a content part is neither text nor media with a URL") from error


def media_parts(request: dict[str, Any]) -> Iterator[dict[str, Any]]:
    """The content parts of a chat request that are not text, in order. Raises ValueError as `media_of` does."""
    try:
        contents = [message["content"] for message in request["messages"]]
        for content in contents:
            yield from (part for part in ([] if isinstance(content, str) else content) if part["type"] != "text")
    except (KeyError, TypeError) as error:
        raise ValueError("request is no OpenAI chat request") from error


def read_canaries(checkpoint: Path) -> Canaries | None:
    """The probes of a checkpoint; None where it has none.

    Raises:
        BadInput: `canaries.json` cannot be read, or names a file that is not there.
    """
    path = checkpoint / CANARIES
    if not path.is_file():
        return None
    try:
        found = Canaries.model_validate_json(path.read_bytes())
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"]) or "JSON"
        raise BadInput(f"{path} holds no canary probes ({key}: {first['msg']})", "compute them again") from error
    _media_are_there(checkpoint, found.probes)
    return found


def write_canaries(checkpoint: Path, probes: Sequence[CanaryProbe], computed_by: str) -> Path:
    """Keep probes beside the weights, whole or not at all; others are replaced. Returns the file.

    Raises:
        BadInput: no probe, or one that names a file that is not below the checkpoint.
    """
    try:
        canaries = Canaries(probes=tuple(probes), computed_by=computed_by)
    except ValidationError as error:
        raise BadInput(f"no canary probes: {error.errors()[0]['msg']}", "compute at least one") from error
    _media_are_there(checkpoint, canaries.probes)
    path = checkpoint / CANARIES
    write_atomically(path, (canaries.model_dump_json(indent=1, exclude_none=True) + "\n").encode())
    path.chmod(0o644)  # temporary files are the owner's alone; replicas may run as somebody else
    return path


def _media_are_there(checkpoint: Path, probes: Sequence[CanaryProbe]) -> None:
    asked = [probe.request for probe in probes if probe.request is not None]
    for url in (url for request in asked for url in media_of(request)):
        if not (checkpoint / url).is_file():
            raise BadInput(f"a canary probe names {url}, which is not in {checkpoint}", "copy the checkpoint again")
