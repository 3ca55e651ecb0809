"""One actor of the ingest pool: prepares a study, stores its media, and writes the outcome itself into the ledger.

So nothing depends on whoever started it. A study that kills its actor is begun again by Ray, and the ledger counts.
"""

from __future__ import annotations

import errno
import faulthandler
import os
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cv2
import pyarrow as pa

from chordae.platform.errors import ChordaeError
from chordae.platform.ledger import Ledger
from chordae.platform.media import MediaStore
from chordae.platform.settings import Settings
from chordae.preprocessing.identity import Site, known_site
from chordae.preprocessing.study import PreparedStudy, prepare_study

Prepare = Callable[[Path, Site], PreparedStudy]

ATTEMPTS = 2
"""A study that ends its actor so often is refused: codecs crash on damaged files, and memory runs out."""

_FAULTS_OF_THE_MACHINE = {errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EMFILE, errno.ENFILE}


class Worker:
    """Takes studies by id and path, one a batch; gives back their ids. All else is in the ledger.

    `site` is its name and its key's fingerprint. `fault` says why this worker cannot work, and is empty where it can.
    """

    def __init__(self, settings: Settings, site: tuple[str, str], claim: str, prepare: Prepare = prepare_study) -> None:
        cv2.setNumThreads(1)  # a core each is what Ray reserves
        self._claim, self._prepare, self._timeout_s = claim, prepare, settings.ingest.study_timeout_s
        self.fault = ""
        name, fingerprint = site
        try:
            self._site = known_site(name, settings.sites_dir, fingerprint)
            self._ledger = Ledger(settings.ledger_url)
            self._store = MediaStore(settings.media_dir)
        except ChordaeError as error:
            self.fault = str(error)
        except OSError as error:
            self.fault = str(_fault_of_the_machine(error))

    def __call__(self, batch: pa.Table) -> pa.Table:
        """From columns id and path (bytes, as the file system has them) to id and fault: why the run cannot go on.

        A fault is told, not raised: Ray would write what is raised into its logs, and leave the reason out.
        """
        faults = []
        for row in batch.to_pylist():
            try:
                if not self.fault:
                    self.take_in(row["id"], Path(os.fsdecode(row["path"])))
                faults.append(self.fault)
            except ChordaeError as error:
                faults.append(str(error))
        return batch.select(["id"]).append_column("fault", pa.array(faults, pa.string()))

    def take_in(self, study: str, path: Path) -> None:
        """Bring one study to its end, done or refused; nothing where it has one already or belongs to another run.

        Raises:
            ChordaeError: the ledger does not answer, or this machine cannot work: its disk is full, say.
        """
        attempt = self._ledger.begin(study, self._claim)
        if attempt > ATTEMPTS:
            problem = f"The reader crashed on it, or took over {self._timeout_s:g} s, {ATTEMPTS} times"
            self._ledger.refuse(study, self._claim, reason="crashed_reader", stage="prepare", problem=problem)
        elif attempt:
            # also ends native code that never comes back; what it writes to the log are names of functions
            faulthandler.dump_traceback_later(self._timeout_s, exit=True)
            try:
                self._prepare_and_store(study, path)
            except OSError as error:
                raise _fault_of_the_machine(error) from None
            finally:
                faulthandler.cancel_dump_traceback_later()

    def _prepare_and_store(self, study: str, path: Path) -> None:
        started = time.perf_counter()
        try:
            prepared = self._prepare(path, self._site)
        except ChordaeError as error:
            self._refuse(study, started, getattr(error, "reason", error.code), error.stage, str(error))
            return
        except Exception as error:
            if isinstance(error, OSError) and error.errno in _FAULTS_OF_THE_MACHINE:
                raise
            problem = f"The reader failed ({type(error).__name__}): report it with a file that may be shared"
            self._refuse(study, started, "internal_error", getattr(error, "stage", ""), problem)
            return
        then = time.perf_counter()
        media = self._store.put(
            prepared.content,
            prepared.modality,
            prepared.version,
            prepared.sidecar,
            people=prepared.companion,
            kind=prepared.kind,
        )
        self._ledger.finish(
            study,
            self._claim,
            media,
            version=prepared.version,
            patient=prepared.patient,
            study_hash=prepared.study,
            timings=prepared.timings | {"store": time.perf_counter() - then},
        )

    def _refuse(self, study: str, started: float, reason: str, stage: str, problem: str) -> None:
        timings = {"refused": time.perf_counter() - started}
        self._ledger.refuse(
            study, self._claim, reason=reason, stage=stage or "prepare", problem=problem, timings=timings
        )


def _fault_of_the_machine(error: OSError) -> ChordaeError:
    said = os.strerror(error.errno or 0)  # without the file's name
    return ChordaeError(f"a worker cannot go on ({said})", "put that right and run it again")


def try_out(*arguments: Any) -> str:
    """Why a worker with these arguments cannot work here; empty where it can."""
    return Worker(*arguments).fault
