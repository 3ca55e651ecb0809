"""Moves the aliases: which version is champion, which is on trial, which to go back to.

Two aliases cannot be moved at once. So the intent is written to the ledger, then the aliases are moved, then it is
marked done. Each step can be repeated: whoever comes next finishes what somebody was killed in the middle of.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from chordae.platform.architecture import difference
from chordae.platform.errors import (
    BadInput,
    BadSettings,
    ChampionChanged,
    NotPromotable,
    PromotionUnderWay,
    UnknownVersion,
)
from chordae.platform.ledger_promotions import Promotion, PromotionKind, PromotionLedger
from chordae.platform.registry.desired import Desired
from chordae.platform.registry.models import Alias, Models, Registered
from chordae.platform.registry.storing import directory_of


class Promotions:
    """Those of the models below a data directory.

    Raises, from every method:
        RegistryUnreachable: what was begun is finished by the next call, or by `settle`.
        ChordaeError: the ledger does not answer.
        PromotionUnderWay: another process changes the same model's aliases.
    """

    def __init__(self, data_dir: Path, ledger: PromotionLedger) -> None:
        self._data_dir, self._ledger = data_dir, ledger
        self._models = Models(data_dir)

    def promote(self, model: str, version: str, by: str, reason: str = "", over: str | None = None) -> Promotion:
        """That version (number or alias) becomes champion, the champion becomes `previous`.

        `over`: only if that number is champion now.

        Raises:
            ChampionChanged: it is not.
            UnknownVersion: there is none such.
            NotPromotable: it is champion, or lacks its calibration or canary probes; says which.
            DamagedVersion: a file of it is missing or changed.
        """
        with self._alone(model):
            champion = self._models.aliases(model).get("champion")
            if over is not None and champion != over:
                problem = f"version {version} was compared with {over}, but {champion or 'none'} is champion now"
                raise ChampionChanged(problem, "compare it with that one, or promote it by hand")
            return self._move("promote", model, champion, self._checked(model, version, "champion"), by, reason)

    def nominate(self, model: str, version: str, by: str, reason: str = "") -> Promotion:
        """That version becomes candidate, in place of any other. Raises as `promote`."""
        with self._alone(model):
            new = self._checked(model, version, "candidate")
            return self._move("candidate", model, self._models.aliases(model).get("candidate"), new, by, reason)

    def replaced(self, model: str, version: str) -> str:
        """Why that version would not be loaded over the champion but go through a rolling replacement; empty: it would.

        What cannot be compared is not: without a champion or that version, or with damaged files.
        """
        try:
            new, old = self._models.version(model, version), self._models.version(model, "champion")
            return difference(new.directory, old.directory)
        except (UnknownVersion, BadInput, BadSettings, OSError):
            return ""

    def rollback(self, model: str, by: str, reason: str = "") -> Promotion:
        """The previous champion is champion again; there is no `previous` after that.

        Raises:
            NotPromotable: there is no previous version.
            UnknownVersion: there is no such model.
            DamagedVersion: a file of the previous version is missing or changed.
        """
        with self._alone(model):
            aliases = self._models.aliases(model)
            if "previous" not in aliases:
                raise NotPromotable(f"{model} has no previous version", "promote the one you want by its number")
            new = self._models.version(model, aliases["previous"])
            self._models.verify(new)
            return self._move("rollback", model, aliases.get("champion"), new, by, reason)

    def settle(self, model: str) -> Promotion | None:
        """Finish what was begun and not done; returns it, or None where there was nothing."""
        with self._alone(model, settled=False):
            return self._settle(model)

    def _checked(self, model: str, version: str, alias: Alias) -> Registered:
        new = self._models.version(model, version)
        if alias in new.aliases:
            raise NotPromotable(f"version {new.number} of {model} is {alias} already", "nothing is to be done")
        if lacks := self._models.verify(new).lacks:
            raise NotPromotable(
                f"version {new.number} of {model} has no {' and no '.join(lacks)}",
                "add what is missing beside the checkpoint (`chordae calibrate`), and register it again",
            )
        return new

    def _move(
        self, kind: PromotionKind, model: str, old: str | None, new: Registered, by: str, reason: str
    ) -> Promotion:
        return self._finish(self._ledger.begin_promotion(model, kind, old, new.number, by, reason))

    def _settle(self, model: str) -> Promotion | None:
        begun = self._ledger.begun_promotion(model)
        if begun is None:
            return None
        try:
            self._models.version(model, begun.to_version)
        except UnknownVersion:  # it was deleted from the registry meanwhile: nothing can be finished any more
            return self._ledger.finish_promotion(begun)
        return self._finish(begun)

    def _finish(self, promotion: Promotion) -> Promotion:
        """Move the aliases, mark it done, and let the replicas know. The same again changes nothing."""
        model, old, new = promotion.model, promotion.from_version, promotion.to_version
        if promotion.kind == "candidate":
            self._models.set_alias(model, "candidate", new)
        else:
            self._models.set_alias(model, "champion", new)
            self._models.set_alias(model, "previous", old if promotion.kind == "promote" else None)
            if self._models.aliases(model).get("candidate") == new:
                self._models.set_alias(model, "candidate", None)
        done = self._ledger.finish_promotion(promotion)
        Desired(self._data_dir, 1).refresh(model)
        return done

    @contextmanager
    def _alone(self, model: str, settled: bool = True) -> Iterator[None]:
        """The only process that moves aliases of this model; a killed one's lock is free at once."""
        folder = directory_of(self._data_dir, model, "")
        if not folder.is_dir():
            raise UnknownVersion(f"no version of {model} is registered", "`chordae models register` its checkpoint")
        with (folder / ".promotion.lock").open("a") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise PromotionUnderWay(
                    f"a promotion of {model} is under way", "wait for it, and look at what is served then"
                ) from error
            if settled:
                self._settle(model)
            yield
