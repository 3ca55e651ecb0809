"""Versions of models in MLflow's model registry, and the aliases that say what each is for.

A version's number is MLflow's; its tags hold the digest of its weights and the SHA-256 of its `version.json`, which in
turn holds those of its files: so a file that changes on disk is noticed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast, get_args

from chordae.platform.errors import UnknownVersion
from chordae.platform.registry.client import connect, reached, tracking_uri
from chordae.platform.registry.storing import directory_of, store, storing
from chordae.platform.registry.version import ModelVersion, sha256, verify_files
from chordae.platform.wanted import Wanted
from chordae.platform.weights import VERSION, identify

if TYPE_CHECKING:
    from mlflow import MlflowClient

Alias = Literal["champion", "candidate", "previous"]
DIGEST, RECORDED = "chordae.digest", "chordae.version_json"


@dataclass(frozen=True)
class Registered:
    """One version, as the registry has it."""

    model: str
    number: str
    digest: str
    recorded: str
    """SHA-256 of its `version.json`."""
    directory: Path
    created: datetime
    aliases: tuple[str, ...]

    @property
    def wanted(self) -> Wanted:
        """The same for those who serve it."""
        return Wanted(self.model, self.number, self.digest, self.directory)


class Models:
    """The registry of the models below a data directory.

    Raises:
        RegistryUnreachable: from every method.
    """

    def __init__(self, data_dir: Path) -> None:
        self.data_dir, self._uri = data_dir, tracking_uri(data_dir)
        self._opened: MlflowClient | None = None

    def register(self, checkpoint: Path) -> Registered:
        """Make a checkpoint a version, or find the version that it is; what was fitted to it since is added.

        Raises:
            BadSettings, BadInput, DamagedVersion, OSError: as `storing.store`; no version then.
        """
        model = identify(checkpoint).name
        with storing(self.data_dir, model):
            directory, version = store(checkpoint, self.data_dir)
            return self._enter(model, version.weights.digest, sha256(directory / VERSION))

    def names(self) -> list[str]:
        """The models of which there are versions."""
        with reached(self._uri):
            found = self._client.search_registered_models()
            names = [model.name for model in found]
            while found.token:
                found = self._client.search_registered_models(page_token=found.token)
                names += [model.name for model in found]
        return sorted(names)

    def versions(self, model: str) -> list[Registered]:
        """All versions of a model, the newest first.

        Raises:
            UnknownVersion: no such model.
        """
        aliases = self.aliases(model)
        with reached(self._uri):
            found = self._client.search_model_versions(f"name='{model}'")
            every = list(found)
            while found.token:
                found = self._client.search_model_versions(f"name='{model}'", page_token=found.token)
                every += found
        entered = [self._noun(one, aliases) for one in every if DIGEST in one.tags]
        return sorted(entered, key=lambda one: int(one.number), reverse=True)

    def version(self, model: str, version: str) -> Registered:
        """One version, by number or alias.

        Raises:
            UnknownVersion: no such model, or no such version of it.
        """
        aliases = self.aliases(model)
        number = aliases.get(cast("Alias", version), version)
        found = self._answered(lambda: self._client.get_model_version(model, number)) if number.isdecimal() else None
        if found is None or DIGEST not in found.tags:
            raise UnknownVersion(f"{model} has no version {version}", "`chordae models list` shows those there are")
        return self._noun(found, aliases)

    def aliases(self, model: str) -> dict[Alias, str]:
        """The numbers of champion, candidate and previous, of those that are set: one read of the registry.

        Raises:
            UnknownVersion: no such model.
        """
        found = self._answered(lambda: self._client.get_registered_model(model))
        if found is None:
            raise UnknownVersion(f"no version of {model} is registered", "`chordae models register` its checkpoint")
        return {alias: str(found.aliases[alias]) for alias in get_args(Alias) if alias in found.aliases}

    def set_alias(self, model: str, alias: Alias, number: str | None) -> None:
        """Let an alias name that version, or none. Only for `promotion`, which has written down why."""
        with reached(self._uri):
            if number is None:
                self._client.delete_registered_model_alias(model, alias)
            else:
                self._client.set_registered_model_alias(model, alias, number)

    def verify(self, version: Registered) -> ModelVersion:
        """What `version.json` says, after every file has been held against what was registered.

        Raises:
            DamagedVersion: names the file that is missing or changed.
        """
        return verify_files(version.directory, version.recorded)

    @property
    def _client(self) -> MlflowClient:
        if self._opened is None:
            self._opened = connect(self._uri)
        return self._opened

    def _enter(self, model: str, digest: str, recorded: str) -> Registered:
        if self._answered(lambda: self._client.get_registered_model(model)) is None:
            with reached(self._uri):
                self._client.create_registered_model(model)
        known = next((one for one in self.versions(model) if one.digest == digest), None)
        with reached(self._uri):
            if known is None:
                tags = {DIGEST: digest, RECORDED: recorded}
                source = f"chordae://versions/{model}/{digest}"  # a server takes no path of another machine
                number = self._client.create_model_version(model, source, tags=tags, await_creation_for=0).version
            else:
                number = known.number
                if known.recorded != recorded:
                    self._client.set_model_version_tag(model, number, RECORDED, recorded)
        return self.version(model, str(number))

    def _answered(self, ask: Any) -> Any:
        """What the registry has, or None where it has no such thing."""
        from mlflow.exceptions import MlflowException

        with reached(self._uri):
            try:
                return ask()
            except MlflowException as error:
                if error.error_code != "RESOURCE_DOES_NOT_EXIST":
                    raise
                return None

    def _noun(self, found: Any, aliases: Mapping[Alias, str]) -> Registered:
        digest, number = found.tags[DIGEST], str(found.version)
        return Registered(
            found.name,
            number,
            digest,
            found.tags.get(RECORDED, ""),
            directory_of(self.data_dir, found.name, digest),
            datetime.fromtimestamp(found.creation_timestamp / 1000, UTC),
            tuple(alias for alias, named in aliases.items() if named == number),
        )
