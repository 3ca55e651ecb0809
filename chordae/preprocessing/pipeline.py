"""Studies from folders into the media store and the ledger: a supervisor around Ray Data.

Ray Data has no endless source, so the supervisor claims a bounded batch from the ledger, puts it through one Dataset,
and repeats. What travels through Ray are ids and paths; pixels go from the worker to the media store. The workers write
the outcomes themselves (`worker`), so whoever is killed, and whenever, the ledger says what is left to do.
"""

from __future__ import annotations

import logging
import math
import os
import queue
import threading
import time
import uuid
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Protocol, TypeVar

from chordae.platform.cluster import start_ray
from chordae.platform.errors import BadSettings, ChordaeError
from chordae.platform.ledger import Ledger, StudyRecord
from chordae.platform.settings import ClusterSettings, Settings
from chordae.preprocessing.identity import Site, load_site
from chordae.preprocessing.sources import Finder, Quiet, Source
from chordae.preprocessing.study import prepare_study
from chordae.preprocessing.worker import Prepare, Worker, try_out

T = TypeVar("T")

STUDIES_A_TASK = 8
"""Ray needs some 20 ms a task, and tells of a task's studies when it has ended."""
ABANDONED_S = 3600.0  # no write of one file takes an hour
WAITING = "waiting for a free core, and a worker to start on it"
START_S = 5.0  # Ray starts a worker within this, where it has a core for it


@dataclass(frozen=True)
class Outcome:
    """What became of one study; `before`: in an earlier run. The path is for the terminal of whoever asked."""

    path: Path = field(repr=False)
    record: StudyRecord
    before: bool


class Audience(Protocol):
    """Whom a run tells what it does."""

    def stage(self, words: str) -> None:
        """What the run is doing now."""

    def found(self, studies: int) -> None:
        """So many more studies are known."""

    def outcome(self, outcome: Outcome) -> None:
        """One of them is done or refused, now or before."""


def ingest(
    paths: Iterable[Path],
    site_name: str,
    settings: Settings,
    audience: Audience,
    stop: threading.Event,
    watch: bool = False,
    prepare: Prepare = prepare_study,
) -> int:
    """Take in every study below the paths; with `watch` also those that come, until `stop`. Returns how many are left.

    When `stop` is set, studies that workers have begun are finished and the others given back.

    Raises:
        BadInput: no such path, or no name for a site.
        BadSettings: the ledger, the site's key or Ray cannot be used.
        ChordaeError: the ledger or this machine failed on the way; running again goes on where it was.
    """
    settings = settings.model_copy(update={"data_dir": settings.data_dir.resolve()})
    paths = list(paths)
    finder, quiet = Finder(), Quiet(settings.ingest.quiet_s)
    audience.stage("looking for studies")
    sources = list(finder.find(paths))
    with ExitStack() as stack:
        run = _Run(settings, load_site(site_name, settings.sites_dir), audience, stop, prepare, stack)
        sweep(settings.media_dir)
        if not watch:
            run.offer(sources)
            run.work()
        while watch and not stop.is_set():
            run.offer(quiet.complete(sources, time.monotonic()))
            run.work(wait_for_others=False)
            audience.stage("watching for more")
            stop.wait(min(settings.ingest.quiet_s / 4, 10))
            sources = list(finder.find(paths))
        return run.left


class _Run:
    """One run of the command: what it knows of, and what of that is still to be done."""

    def __init__(
        self,
        settings: Settings,
        site: Site,
        audience: Audience,
        stop: threading.Event,
        prepare: Prepare,
        stack: ExitStack,
    ) -> None:
        self._settings, self._site, self._audience, self._stop = settings, site, audience, stop
        self._stack = stack
        self._name = uuid.uuid4().hex
        self._arguments = (settings, (site.name, site.fingerprint), self._name, prepare)  # a worker's
        self._ledger = Ledger(settings.ledger_url)
        stack.callback(self._ledger.close)
        self._known: set[str] = set()
        self._open: dict[str, Path] = {}
        self._workers = 0  # until Ray has started one

    @property
    def left(self) -> int:
        """How many studies it knows of that have no outcome yet."""
        return len(self._open)

    def offer(self, sources: Iterable[Source]) -> None:
        """Enter studies into the ledger; of those that it has an outcome for, tell it."""
        offers = {source.offer(self._site): source.path for source in sources}
        fresh = {offer: path for offer, path in offers.items() if offer.id not in self._known}
        self._known.update(offer.id for offer in fresh)
        self._audience.found(len(fresh))
        self._open |= {offer.id: path for offer, path in fresh.items()}
        self._tell(self._ledger.offer(list(fresh)), before=True)

    def work(self, wait_for_others: bool = True) -> None:
        """Batch after batch, until all have an outcome; also what another run holds, or held when it was killed."""
        while self._open and not self._stop.is_set():
            waiting = list(self._open)
            size = self._settings.ingest.batch_studies
            for start in range(0, len(waiting), size):
                if self._stop.is_set() or not self._ready():
                    return
                claimed = self._ledger.claim(waiting[start : start + size], self._name, self._settings.ingest.lease_s)
                if claimed:
                    self._batch(claimed)
            self._tell(self._ledger.records(self._open))
            if self._open and not wait_for_others:
                return
            if self._open and not self._stop.is_set():
                self._audience.stage("waiting for studies that another run has claimed, or had when it was killed")
                self._stop.wait(min(self._settings.ingest.lease_s / 4, 5))

    def _tell(self, records: dict[str, StudyRecord], before: bool = False) -> None:
        for record in records.values():
            if record.settled and record.id in self._open:  # Ray may run a task again, and tell of it twice
                self._audience.outcome(Outcome(self._open.pop(record.id), record, before))

    def _ready(self) -> bool:
        """Whether Ray runs and a worker could start on it; False where the run is to stop before a core is free.

        Tried with a task, for Ray starts an actor that dies in native code again and again, and says nothing.
        """
        if not self._workers:
            self._audience.stage("starting Ray")
            cores = self._stack.enter_context(_ray(self._settings.cluster, self._ledger))
            import ray

            trial, asked = ray.remote(num_cpus=1, max_retries=1)(try_out).remote(*self._arguments), time.monotonic()
            while not ray.wait([trial], timeout=0.5)[0]:
                if self._stop.is_set():
                    ray.cancel(trial)
                    return False
                self._tell_if_waiting(asked)
            with _told("no worker can start"):
                _raise_if(ray.get(trial))
            self._workers = min(self._settings.ingest.workers or cores, cores)
        return True

    def _tell_if_waiting(self, since: float) -> None:
        import ray

        if time.monotonic() - since > START_S and ray.available_resources().get("CPU", 0) < 1:
            self._audience.stage(WAITING)

    def _batch(self, claimed: list[str]) -> None:
        """One Dataset over these studies."""
        try:
            with self._lease():
                for done in self._results(claimed):
                    self._tell(self._ledger.records(done))
        except BaseException:  # raised again; the studies go back to whoever claims next, also after Ctrl-C
            self._ledger.release(self._name, begun_too=True)
            raise

    def _results(self, claimed: list[str]) -> Iterator[list[str]]:
        """The ids of studies as their workers are through with them."""
        import ray.data

        rows = [{"id": study, "path": os.fsencode(self._open[study])} for study in claimed]
        studies_a_task = min(STUDIES_A_TASK, math.ceil(len(rows) / (4 * self._workers)))
        tasks = math.ceil(len(rows) / studies_a_task)
        dataset = ray.data.from_items(rows, override_num_blocks=tasks).map_batches(
            Worker,
            batch_size=1,
            batch_format="pyarrow",
            num_cpus=1,
            # a worker that dies is started again, and its task with it, for ever: the ledger counts (see worker)
            compute=ray.data.ActorPoolStrategy(size=min(self._workers, tasks), max_tasks_in_flight_per_actor=2),
            fn_constructor_args=self._arguments,
        )
        preparing, started, begun = f"preparing, {self._workers} at a time", time.monotonic(), False
        self._audience.stage(preparing)
        with _told("a worker failed"):
            for batch in _polled(dataset.iter_batches(batch_size=None, batch_format="pyarrow", prefetch_batches=0)):
                if batch is None and self._stop.is_set():
                    self._ledger.release(self._name)
                    if not self._ledger.has_begun(self._name):
                        yield claimed
                        return
                elif not begun:
                    begun = batch is not None or self._ledger.has_begun(self._name)
                    self._audience.stage(preparing) if begun else self._tell_if_waiting(started)
                if batch is not None:
                    yield batch["id"].to_pylist()
                    _raise_if(*batch["fault"].to_pylist())

    @contextmanager
    def _lease(self) -> Iterator[None]:
        """Keeps the claims while the batch runs; once the run is to stop, gives back those that nobody has begun."""
        ended = threading.Event()
        lease_s = self._settings.ingest.lease_s

        def keep() -> None:
            renewed, released = time.monotonic(), False
            while not ended.wait(min(lease_s / 4, 0.5)):
                try:
                    if self._stop.is_set() and not released:
                        self._ledger.release(self._name)
                        released = True
                    if time.monotonic() - renewed >= lease_s / 4:
                        self._ledger.renew(self._name, lease_s)
                        renewed = time.monotonic()
                except ChordaeError:
                    continue  # once more in a moment; a lease that ends costs work twice, but nothing is recorded twice

        keeper = threading.Thread(target=keep, name="lease")
        keeper.start()
        try:
            yield
        finally:
            ended.set()
            keeper.join()


def _polled(batches: Iterable[T]) -> Iterator[T | None]:
    """The batches of a Dataset, and None for every half second without one: Ray's own iterator may wait for ever."""
    arrived = queue.SimpleQueue[T | BaseException]()

    def read() -> None:
        try:
            for batch in batches:
                arrived.put(batch)
            arrived.put(StopIteration())
        except BaseException as error:  # noqa: BLE001 - raised below
            arrived.put(error)

    threading.Thread(target=read, name="results", daemon=True).start()
    while True:
        try:
            batch = arrived.get(timeout=0.5)
        except queue.Empty:
            yield None
            continue
        if isinstance(batch, StopIteration):
            return
        if isinstance(batch, BaseException):
            raise batch
        yield batch


@contextmanager
def _told(problem: str) -> Iterator[None]:
    """Ray's errors in one line; their text may quote a file."""
    from ray.exceptions import RayError

    try:
        yield
    except RayError as error:
        raise ChordaeError(f"{problem} ({type(error).__name__})", "run it again; Ray's logs say more") from error


def _raise_if(*faults: str) -> None:
    for fault in filter(None, faults):
        raise ChordaeError("the run cannot go on", fault)


@contextmanager
def _ray(cluster: ClusterSettings, ledger: Ledger) -> Iterator[int]:
    """Ray, with its number of cores; the one that runs in this process already, or one for as long as this lasts."""
    os.environ.setdefault("RAY_ENABLE_AUTO_CONNECT", "0")  # a Dataset left behind would start a Ray of its own
    ours = start_ray(cluster)
    import ray
    import ray.data

    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        if ledger.on_one_machine and len([node for node in ray.nodes() if node["Alive"]]) > 1:
            raise BadSettings("an SQLite ledger is for one machine", "set ledger.url to a PostgreSQL database")
        yield max(1, int(ray.cluster_resources().get("CPU", 1)))
    finally:
        if ours:
            ray.shutdown()


def sweep(directory: Path) -> None:
    """Take away what killed writers left behind: files that never got their name."""
    now = time.time()
    for path in directory.glob(".*.part"):
        try:
            if now - path.stat().st_mtime > ABANDONED_S:
                path.unlink()
        except FileNotFoundError:  # another run was faster
            continue
