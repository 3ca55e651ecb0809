"""One vision-language expert on Ray Serve: a chat model, the media it may see, and what was fitted for its weights.

A request is an OpenAI chat request whose pictures or videos are `media:<id>` references, all of this expert's modality.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

from chordae.deployments.beginning import begin
from chordae.deployments.chat_model import ChatModel
from chordae.deployments.openai_api import is_media, media_id_of
from chordae.deployments.reconcile import Desired
from chordae.platform.engine import ChatEngine, Engine
from chordae.platform.errors import BadInput, BadSettings
from chordae.platform.media import MediaStore
from chordae.platform.schemas import KIND_OF, NAME_OF, Media, Modality
from chordae.platform.settings import Settings
from chordae.platform.wanted import Wanted
from chordae.platform.weights import fetch_checkpoint, read_manifest


class Expert(ChatModel):
    """The callable behind the deployment; tests give it an engine of their own."""

    def __init__(
        self,
        modality: Modality,
        settings: Settings,
        engine: ChatEngine | None = None,
        desired: Desired | None = None,
        instead: Wanted | None = None,
    ) -> None:
        """`desired` says which version is wanted; none: the settings' checkpoint, for ever. `instead`: see `begin`."""
        wanted = settings.experts[modality]
        self._modality = modality
        self._media = MediaStore(settings.media_dir)
        checkpoint = fetch_checkpoint(wanted.model, wanted.revision)
        manifest = read_manifest(checkpoint)
        if manifest.kind is not None or manifest.modality not in (None, modality):
            problem = f"{manifest.name} is {_who(manifest.kind, manifest.modality)}, not for {modality}"
            raise BadSettings(problem, f"set experts.{modality}.model to another checkpoint")
        began = begin(checkpoint, desired, instead)
        start_from = began.loaded.directory
        engine = engine or Engine(start_from, manifest.name, wanted.engine, self._media.directory, KIND_OF[modality])
        super().__init__(settings, wanted, began, engine, desired)

    def _described(self) -> dict[str, Any]:
        return {"modality": self._modality, "picture": self._manifest.picture}

    def _answered(self) -> dict[str, Any]:
        fitted = self._loaded.calibration
        return {"gate": None if fitted is None else {"alpha": fitted.alpha, "threshold": fitted.threshold}}

    def _with_file(self, part: dict[str, Any], read: bool) -> dict[str, Any]:
        if not is_media(part):
            return part
        media = self._media.get(media_id_of(part))
        if media.modality != self._modality:
            raise BadInput(
                f"the {NAME_OF[self._modality]} expert cannot read {NAME_OF[media.modality]} media",
                f"ask the {NAME_OF[media.modality]} expert, or the model chordae",
            )
        return part | {part["type"]: None if read else {"url": self._file(media).as_uri()}, "uuid": media.id}

    def _file(self, media: Media) -> Path:
        """A video as it is, for the model's own processor makes it smaller; a picture at the size of its manifest."""
        if media.kind == "video" or self._manifest.picture is None:
            return self._media.path(media.id)
        return self._media.reduced(media.id, self._manifest.picture)


def _who(kind: str | None, modality: Modality | None) -> str:
    return f"a {kind}" if kind else f"an expert for {modality}"
