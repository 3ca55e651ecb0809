"""What should be served: read from the registry by one process, told to all by a file.

`wanted/<model>.json` below the data directory holds what the registry said last. Whoever finds it older than
`swap.poll_s` asks the registry and writes it anew, one at a time; the others read it. So the registry answers one
question each `poll_s`, however many replicas there are; and when it does not answer, what was wanted last still is.
"""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar, cast

from pydantic import Field, ValidationError

from chordae.platform.errors import RegistryUnreachable, UnknownVersion
from chordae.platform.files import write_atomically
from chordae.platform.noun import Noun
from chordae.platform.registry.models import Alias, Models
from chordae.platform.registry.storing import directory_of
from chordae.platform.wanted import Wanted

Read = TypeVar("Read", bound=Noun)


class Named(Noun):
    """A version that an alias names."""

    version: str
    digest: str


class Desire(Noun):
    """What the registry said last about a model."""

    champion: Named | None = Field(None, description="None: what the settings name is served")
    candidate: Named | None = None
    problem: str = Field("", description="Why the registry could not be asked; empty: it was")


class Turn(Noun):
    """Which replica of a model changes its weights."""

    replica: str
    until: float = Field(description="Seconds since 1970; whoever holds it longer is taken for dead")


class Desired:
    """The desired state of the models below a data directory. Cheap to ask; for any number of processes."""

    def __init__(self, data_dir: Path, poll_s: float) -> None:
        """`poll_s`: what is known for longer is asked anew, seconds."""
        self._data_dir, self._poll_s = data_dir, poll_s
        self._models = Models(data_dir)

    def wanted(self, model: str) -> Wanted | None:
        """The champion; None where there is none: the settings' checkpoint is to be served."""
        return self._wanted(model, self.desire(model).champion)

    def candidate(self, model: str) -> Wanted | None:
        """The version on trial, if there is one."""
        return self._wanted(model, self.desire(model).candidate)

    def desire(self, model: str) -> Desire:
        """What the registry says of that model; where it does not answer, what it said last, with the problem."""
        if not directory_of(self._data_dir, model, "").is_dir():  # then no version of it can be served
            return Desire()
        path = self._path(model)
        if (known := self._known(path, self._poll_s)) is not None:
            return known
        try:
            with _only_one(path, wait=not path.exists()) as alone:
                if not alone:
                    return self._known(path, None) or Desire()
                return self._known(path, self._poll_s) or self._ask(model, path)
        except OSError as error:  # a full disk must not end what is served
            last = self._known(path, None) or Desire()
            return last.model_copy(update={"problem": f"{path} cannot be written ({error.strerror})"})

    def problem(self, model: str) -> str:
        """Why what `wanted` says may be out of date; empty: it is not."""
        return self.desire(model).problem

    def take_turn(self, model: str, replica: str, lease_s: float) -> bool:
        """Whether this replica may change its weights now; no other of the model may until it gives its turn back, or
        is dead for `lease_s` seconds.

        Raises:
            RegistryUnreachable: it cannot be written down whose turn it is.
        """
        path = self._path(model).with_suffix(".turn")
        try:
            with _only_one(path, wait=True):
                turn = _read(path, Turn)
                if turn is not None and turn.replica != replica and time.time() < turn.until:
                    return False
                write_atomically(path, Turn(replica=replica, until=time.time() + lease_s).model_dump_json().encode())
                return True
        except OSError as error:
            raise RegistryUnreachable(f"{path} cannot be written ({error.strerror})", "make room for it") from error

    def give_turn(self, model: str, replica: str) -> None:
        """The next one may. Raises as `take_turn`."""
        path = self._path(model).with_suffix(".turn")
        try:
            with _only_one(path, wait=True):
                turn = _read(path, Turn)
                if turn is not None and turn.replica == replica:
                    path.unlink()
        except OSError as error:
            raise RegistryUnreachable(f"{path} cannot be removed ({error.strerror})", "its lease ends") from error

    def refresh(self, model: str) -> Desire:
        """The same, asked now: for those who have just changed it."""
        with _only_one(self._path(model), wait=True):
            return self._ask(model, self._path(model))

    def _ask(self, model: str, path: Path) -> Desire:
        last = self._known(path, None) or Desire()
        try:
            aliases = self._models.aliases(model)
        except UnknownVersion:
            aliases = {}
        except RegistryUnreachable as error:
            return self._keep(path, last.model_copy(update={"problem": str(error)}))
        found: dict[str, Named | None] = {}
        problem = ""
        for alias, before in (("champion", last.champion), ("candidate", last.candidate)):
            try:
                found[alias] = self._named(model, aliases.get(cast("Alias", alias)))
            except UnknownVersion as error:  # set by hand on what is no version of ours; the other one counts
                found[alias], problem = before, str(error)
            except RegistryUnreachable as error:
                return self._keep(path, last.model_copy(update={"problem": str(error)}))
        return self._keep(path, Desire(**found, problem=problem))

    @staticmethod
    def _keep(path: Path, said: Desire) -> Desire:
        write_atomically(path, said.model_dump_json().encode())
        path.chmod(0o644)
        return said

    def _named(self, model: str, number: str | None) -> Named | None:
        """With its digest, asked anew each time: a registry that was replaced numbers its versions from 1 again."""
        return None if number is None else Named(version=number, digest=self._models.version(model, number).digest)

    def _wanted(self, model: str, named: Named | None) -> Wanted | None:
        if named is None:
            return None
        return Wanted(model, named.version, named.digest, directory_of(self._data_dir, model, named.digest))

    def _path(self, model: str) -> Path:
        name = directory_of(self._data_dir, model, "").name
        return self._data_dir.resolve() / "wanted" / f"{name}.json"

    @staticmethod
    def _known(path: Path, young_s: float | None) -> Desire | None:
        """What the file says, if it is no older than that many seconds."""
        try:
            age = time.time() - path.stat().st_mtime
            if young_s is not None and not 0 <= age < young_s:  # below 0: the clock was put back
                return None
        except OSError:
            return None
        return _read(path, Desire)


def _read(path: Path, kind: type[Read]) -> Read | None:
    """What a file says; None where it is not there, or says something else."""
    try:
        return kind.model_validate_json(path.read_bytes())
    except (OSError, ValidationError):
        return None


@contextmanager
def _only_one(path: Path, wait: bool) -> Iterator[bool]:
    """Whether this process is the one that asks; with `wait` it is, in the end."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.with_suffix(".lock").open("a") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
            return
        yield True
