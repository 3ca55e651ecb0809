"""`ingest` on a real Ray: one bad study is one refusal, whatever it does to its reader, and nothing is done twice."""

from __future__ import annotations

import ctypes
import errno
import os
import signal
import sqlite3
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import ray
from ledgers import fresh_database, postgresql_server
from ray import cloudpickle
from typer.testing import CliRunner

from chordae import cli
from chordae.platform.cluster import start_ray
from chordae.platform.errors import BadInput, BadSettings, ChordaeError, UnreadableRecording
from chordae.platform.ledger import Ledger
from chordae.platform.settings import ClusterSettings, IngestSettings, LedgerSettings, Settings
from chordae.preprocessing import pipeline
from chordae.preprocessing.identity import Site, load_site
from chordae.preprocessing.pipeline import Outcome, ingest
from chordae.preprocessing.study import PreparedStudy
from chordae.preprocessing.worker import ATTEMPTS

MiB = 1024**2
PATIENT = "Mustermann^Erika"
"""Stands in a folder's name, in a reader's error, in a file: and must stand nowhere else."""


@pytest.fixture(scope="module", autouse=True)
def one_ray() -> Iterator[None]:
    """One Ray for all tests here; the functions of this file travel to its workers as they are."""
    cloudpickle.register_pickle_by_value(sys.modules[__name__])
    start_ray(ClusterSettings(num_cpus=2, object_store_bytes=128 * MiB))
    yield
    ray.shutdown()
    cloudpickle.unregister_pickle_by_value(sys.modules[__name__])


def prepare(path: Path, site: Site) -> PreparedStudy:
    """A reader for every kind of day: what the file says happens."""
    text = path.read_text()
    verb = text.split()[0] if text else "empty"
    if verb == "crash":
        ctypes.string_at(0)  # a segmentation fault
    if verb == "hang":
        time.sleep(600)
    if verb == "slow":
        time.sleep(0.5)
    if verb == "surprise":
        raise ValueError(f"patient is {PATIENT}")
    if verb == "full":
        raise OSError(errno.ENOSPC, "No space left on device", str(path))
    if verb in ("bad", "empty"):
        error = UnreadableRecording("The file is bad", "send another", verb)
        error.stage = "open"
        raise error
    png = f"picture of {text}".encode()
    return PreparedStudy("ecg", "image", png, "test-1", {}, "p" * 32, "s" * 32, b"for people", {"open": 0.1})


class Listener:
    """An audience that remembers."""

    def __init__(self, on_outcome: Callable[[], None] = lambda: None) -> None:
        self.stages: list[str] = []
        self.known = 0
        self.outcomes: list[Outcome] = []
        self._on_outcome = on_outcome

    def stage(self, words: str) -> None:
        self.stages.append(words)

    def found(self, studies: int) -> None:
        self.known += studies

    def outcome(self, outcome: Outcome) -> None:
        self.outcomes.append(outcome)
        self._on_outcome()

    def by_name(self) -> dict[str, Outcome]:
        return {one.path.name: one for one in self.outcomes}

    def states(self) -> Counter[str]:
        return Counter(("before " if one.before else "") + one.record.state for one in self.outcomes)


def make_settings(data_dir: Path, **knobs: object) -> Settings:
    return Settings(
        data_dir=data_dir,
        ingest=IngestSettings(**{"workers": 2, "quiet_s": 0.4, "study_timeout_s": 2, "lease_s": 2} | knobs),
    )


@pytest.fixture
def place(tmp_path: Path) -> Settings:
    return make_settings(tmp_path / "var", workers=1)


@pytest.fixture
def landing(tmp_path: Path) -> Path:
    folder = tmp_path / "landing"
    folder.mkdir()
    return folder


def write(folder: Path, **files: str) -> None:
    for name, text in files.items():
        (folder / f"{name}.npy").write_text(text)


def run(
    landing: Path,
    place: Settings,
    stop: threading.Event | None = None,
    listener: Listener | None = None,
    watch: bool = False,
) -> Listener:
    listener = listener or Listener()
    ingest([landing], "one", place, listener, stop or threading.Event(), watch, prepare)
    return listener


def rows(place: Settings) -> list[tuple[str, str | None]]:
    with sqlite3.connect(place.data_dir / "ledger.sqlite3") as connection:
        return connection.execute("SELECT state, reason FROM studies ORDER BY state, reason").fetchall()


# Good and bad ones together: one run, looked at from all sides


@pytest.fixture(scope="module")
def mixed() -> Iterator[tuple[Settings, Path, Listener]]:
    with tempfile.TemporaryDirectory() as folder:
        place, landing = make_settings(Path(folder) / "var"), Path(folder) / "landing" / PATIENT
        landing.mkdir(parents=True)
        write(landing, **{f"good{number:02}": f"good {number}" for number in range(10)})
        write(landing, twin="good 3", bad="bad", none="", crash="crash", hang="hang", surprise=f"surprise {PATIENT}")
        store = place.media_dir
        store.mkdir(parents=True)
        (store / ".abandoned.part").write_bytes(b"half")
        os.utime(store / ".abandoned.part", (0, 0))
        (store / ".running.part").write_bytes(b"half")
        yield place, landing, run(landing, place)


Mixed = tuple[Settings, Path, Listener]


def test_a_bad_study_is_one_refusal_and_the_others_are_done(mixed: Mixed) -> None:
    _, _, heard = mixed
    assert heard.known == 16
    assert heard.states() == {"done": 11, "refused": 5}
    assert all(outcome.record.state == "done" for name, outcome in heard.by_name().items() if "good" in name)


def test_a_refusal_says_why_and_where(mixed: Mixed) -> None:
    record = mixed[2].by_name()["bad.npy"].record
    assert (record.reason, record.stage) == ("bad", "open")
    assert record.problem == "The file is bad: send another"


@pytest.mark.parametrize("name", ["crash", "hang"])
def test_what_kills_or_stops_its_reader_is_refused_after_some_attempts(mixed: Mixed, name: str) -> None:
    record = mixed[2].by_name()[f"{name}.npy"].record
    assert (record.state, record.reason) == ("refused", "crashed_reader")
    assert f"{ATTEMPTS} times" in str(record.problem)


def test_a_readers_own_error_is_a_refusal_without_its_words(mixed: Mixed) -> None:
    record = mixed[2].by_name()["surprise.npy"].record
    assert record.reason == "internal_error"
    assert "ValueError" in str(record.problem)


def test_the_same_study_under_two_names_is_the_same_media_and_is_said_so(mixed: Mixed) -> None:
    heard = mixed[2].by_name()
    twins = [heard["twin.npy"].record, heard["good03.npy"].record]
    assert twins[0].media == twins[1].media
    assert sorted(one.same_as or "" for one in twins) == sorted(["", next(t.id for t in twins if t.same_as is None)])


def test_the_media_store_holds_what_the_ledger_says(mixed: Mixed) -> None:
    place, _, heard = mixed
    media = {one.record.media for one in heard.outcomes if one.record.media}
    assert {path.stem for path in place.media_dir.glob("*.json")} == media
    assert len(media) == 10


def test_timings_are_kept_by_stage(mixed: Mixed) -> None:
    assert {"open", "store"} <= set(mixed[2].by_name()["good00.npy"].record.timings)


def test_what_a_killed_writer_left_is_swept_away_and_what_is_being_written_is_not(mixed: Mixed) -> None:
    assert [path.name for path in mixed[0].media_dir.glob(".*")] == [".running.part"]


def test_no_name_reaches_the_ledger_the_store_or_rays_logs(mixed: Mixed) -> None:
    place, _, _ = mixed
    logs = Path(ray._private.worker._global_node.get_logs_dir_path())
    written = [path for folder in (place.data_dir, logs) for path in folder.rglob("*") if path.is_file()]
    assert len(written) > 30
    assert [path for path in written if b"Mustermann" in path.read_bytes()] == []


def test_running_it_again_does_nothing_and_tells_the_same(mixed: Mixed) -> None:
    place, landing, first = mixed
    again = run(landing, place)
    assert again.states() == {"before done": 11, "before refused": 5}
    assert not any("preparing" in words for words in again.stages)
    assert {n: o.record.media for n, o in again.by_name().items()} == {
        n: o.record.media for n, o in first.by_name().items()
    }


# One thing at a time


def test_a_changed_file_is_a_new_study(landing: Path, place: Settings) -> None:
    write(landing, a="good 1", b="good 2")
    run(landing, place)
    write(landing, a="good 3")
    assert run(landing, place).states() == {"done": 1, "before done": 1}
    assert len(rows(place)) == 3


def test_a_stop_finishes_what_has_begun_and_the_next_run_does_the_rest(landing: Path, place: Settings) -> None:
    write(landing, **{f"s{number:02}": f"slow {number}" for number in range(12)})
    stop = threading.Event()
    heard = run(landing, place, stop, Listener(stop.set))
    states = Counter(state for state, _ in rows(place))
    assert set(states) == {"done", "waiting"}
    assert states["done"] == len(heard.outcomes) < 12
    assert run(landing, place).states() == {"done": states["waiting"], "before done": states["done"]}


def test_what_another_run_holds_is_waited_for(landing: Path, place: Settings) -> None:
    write(landing, a="good 1", b="good 2")
    site = load_site("one", place.sites_dir)
    from chordae.preprocessing.sources import Finder

    offers = [source.offer(site) for source in Finder().find([landing])]
    ledger = Ledger(place.ledger_url)
    ledger.offer(offers)
    ledger.claim([offers[0].id], "another run, killed", 4)
    heard = run(landing, place)
    assert heard.states() == {"done": 2}
    assert any("another run" in words for words in heard.stages)


def test_a_fault_of_the_machine_ends_the_run_and_refuses_nothing(landing: Path, place: Settings) -> None:
    write(landing, a="full")
    with pytest.raises(ChordaeError, match="No space left") as error:
        run(landing, place)
    assert str(landing) not in str(error.value)
    assert rows(place) == [("waiting", None)]
    write(landing, a="good 1")
    assert run(landing, place).states() == {"done": 1}


# No core, no worker


@pytest.fixture
def no_core() -> Iterator[None]:
    """Somebody else has every core of the cluster."""
    others = ray.util.placement_group([{"CPU": 2}])
    assert others.wait(60)
    yield
    ray.util.remove_placement_group(others)
    until(lambda: ray.available_resources().get("CPU", 0) == 2)


def test_a_run_says_that_it_waits_for_a_core_and_stops_when_asked(
    landing: Path, place: Settings, no_core: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "START_S", 0)
    write(landing, a="good 1")
    assert waits_and_stops(landing, place) == []
    assert rows(place) == [("waiting", None)]


def test_a_run_that_loses_its_cores_between_batches_stops_when_asked_and_gives_its_claims_back(
    landing: Path, place: Settings, no_core: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "START_S", 0)
    monkeypatch.setattr(pipeline._Run, "_ready", lambda run: setattr(run, "_workers", 1) or True)
    write(landing, a="good 1", b="good 2")
    assert waits_and_stops(landing, place) == []
    assert rows(place) == [("waiting", None)] * 2


def waits_and_stops(landing: Path, place: Settings) -> list[Outcome]:
    """What a run tells that is stopped once it has said that it waits."""
    heard, stop = Listener(), threading.Event()
    started = threading.Thread(target=run, args=(landing, place, stop, heard), daemon=True)
    started.start()
    until(lambda: pipeline.WAITING in heard.stages)
    said = list(heard.stages)
    stop.set()
    started.join(20)
    assert not started.is_alive()
    assert pipeline.WAITING in said
    return heard.outcomes


def test_a_core_that_comes_free_ends_the_wait(landing: Path, place: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pipeline, "START_S", 0)
    write(landing, a="good 1")
    others, heard = ray.util.placement_group([{"CPU": 2}]), Listener()
    assert others.wait(60)
    started = threading.Thread(target=run, args=(landing, place, None, heard))
    started.start()
    until(lambda: pipeline.WAITING in heard.stages)
    ray.util.remove_placement_group(others)
    started.join(60)
    assert heard.states() == {"done": 1}


def dies(*_: object) -> str:
    os._exit(1)


def test_a_worker_that_dies_at_its_start_ends_the_run_with_one_error(
    landing: Path, place: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pipeline, "try_out", dies)
    write(landing, a="good 1")
    with pytest.raises(ChordaeError, match="no worker can start"):
        run(landing, place)
    assert rows(place) == [("waiting", None)]


@pytest.mark.parametrize(("key", "problem"), [("f" * 64, "another key of site one"), (None, "no key of site one")])
@pytest.mark.parametrize("tried", [True, False], ids=["the first worker", "a worker on another node"])
def test_a_worker_whose_node_has_another_key_or_none_ends_the_run_and_makes_no_key(
    landing: Path, place: Settings, monkeypatch: pytest.MonkeyPatch, key: str | None, problem: str, tried: bool
) -> None:
    """As where the node does not mount data_dir: here the key changes once this process has read it."""
    write(landing, a="good 1")
    path = place.sites_dir / "one.key"

    def elsewhere(directory: Path) -> None:
        path.unlink()
        if key:
            path.write_text(key)

    monkeypatch.setattr(pipeline, "sweep", elsewhere)
    if not tried:
        monkeypatch.setattr(pipeline._Run, "_ready", lambda run: setattr(run, "_workers", 1) or True)
    with pytest.raises(ChordaeError, match=problem):
        run(landing, place)
    assert rows(place) == [("waiting", None)]
    assert path.exists() == bool(key)


def test_watching_takes_a_study_in_once_it_is_complete(landing: Path, place: Settings) -> None:
    write(landing, early="good 1")
    stop, heard = threading.Event(), Listener()

    def arrive() -> None:
        try:
            until(lambda: len(heard.outcomes) == 1)
            with (landing / "late.npy").open("w") as file:
                for piece in ("go", "od", " 2"):
                    file.write(piece)
                    file.flush()
                    time.sleep(0.2)
            until(lambda: len(heard.outcomes) == 2)
            time.sleep(0.5)
        finally:
            stop.set()

    sender = threading.Thread(target=arrive)
    sender.start()
    run(landing, place, stop, heard, watch=True)
    sender.join()
    assert heard.states() == {"done": 2}
    assert rows(place) == [("done", None)] * 2, "no half of it was taken in"


def until(holds: Callable[[], bool], seconds: float = 30) -> None:
    end = time.monotonic() + seconds
    while not holds() and time.monotonic() < end:
        time.sleep(0.05)


def test_the_ledger_may_be_postgresql(landing: Path, tmp_path: Path) -> None:
    write(landing, a="good 1", b="bad", c="good 1")
    with postgresql_server() as server:
        url = fresh_database(server)
        place = make_settings(tmp_path / "var").model_copy(update={"ledger": LedgerSettings(url=url)})
        assert run(landing, place).states() == {"done": 2, "refused": 1}
        assert run(landing, place).states() == {"before done": 2, "before refused": 1}
        assert not (place.data_dir / "ledger.sqlite3").exists()


def test_an_sqlite_ledger_is_refused_on_several_machines(
    landing: Path, place: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(landing, a="good 1")
    monkeypatch.setattr(ray, "nodes", lambda: [{"Alive": True}] * 2)
    with pytest.raises(BadSettings, match="one machine"):
        run(landing, place)
    assert rows(place) == [("waiting", None)]


# The command


@pytest.fixture
def command(place: Settings, tmp_path: Path) -> Callable[..., tuple[int, str]]:
    config = tmp_path / "settings.yaml"
    config.write_text(f"data_dir: {place.data_dir}\n")

    def command(*arguments: object) -> tuple[int, str]:
        before = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
        try:
            shown = CliRunner().invoke(cli.app, ["ingest", *map(str, arguments), "--config", str(config)])
        finally:
            signal.signal(signal.SIGINT, before[0])
            signal.signal(signal.SIGTERM, before[1])
        return shown.exit_code, shown.output

    return command


def test_the_command_tells_what_became_of_each_modality_and_names_no_path_outside_a_terminal(
    landing: Path, bundled_ecg: Path, command: Callable[..., tuple[int, str]], monkeypatch: pytest.MonkeyPatch
) -> None:
    (landing / f"{PATIENT}.dcm").write_bytes(bundled_ecg.read_bytes())
    np.save(landing / "flat.npy", np.zeros((3, 10)))
    (landing / "folder").mkdir()
    status, shown = command(landing, "--site", "one")
    assert status == 0, shown
    assert "ecg" in shown and "missing_leads" in shown
    assert PATIENT not in shown and str(landing) not in shown
    monkeypatch.setattr(type(cli.out), "is_terminal", True)
    status, shown = command(landing, "--site", "one")
    assert status == 0
    assert str(landing / "flat.npy") in shown.replace("\n", "")


@pytest.mark.parametrize(("site", "path"), [("one", "nowhere"), ("No Site", ".")])
def test_a_path_or_site_that_cannot_be_is_exit_status_2(
    command: Callable[..., tuple[int, str]], site: str, path: str
) -> None:
    status, shown = command(path, "--site", site)
    assert status == 2
    assert shown.splitlines()[-1].startswith("chordae: ")


def test_a_missing_path_creates_no_key_for_a_site(tmp_path: Path, place: Settings) -> None:
    with pytest.raises(BadInput):
        run(tmp_path / "nowhere", place)
    assert not place.sites_dir.exists()
