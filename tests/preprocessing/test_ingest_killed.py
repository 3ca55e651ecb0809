"""SIGKILL at any point: nothing is lost, nothing happens twice, and nothing half-written is ever taken for whole."""

from __future__ import annotations

import hashlib
import multiprocessing
import os
import random
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import ray

from chordae.platform.cluster import start_ray
from chordae.platform.ledger import Ledger
from chordae.platform.schemas import Media
from chordae.platform.settings import ClusterSettings, IngestSettings, Settings
from chordae.preprocessing import dicom
from chordae.preprocessing.ecg import PREPROCESSING_VERSION, clean, read_ecg
from chordae.preprocessing.identity import load_site
from chordae.preprocessing.pipeline import ABANDONED_S, sweep
from chordae.preprocessing.sources import Finder
from chordae.preprocessing.worker import Worker

GOOD, TWINS, BAD = 8, 1, 3
SEED = int(os.environ.get("PYTEST_SEED", "7"))


@pytest.fixture(scope="module")
def landing(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A dozen small studies: eight ECGs, a copy of one, and three that cannot be read."""
    folder = tmp_path_factory.mktemp("landing")
    signal = clean(read_ecg(dicom.bundled_ecg())).signal
    for number in range(GOOD):
        np.save(folder / f"good{number}.npy", np.roll(signal, 97 * number, axis=1))
    shutil.copy(folder / "good0.npy", folder / "twin.npy")
    (folder / "empty.npy").write_bytes(b"")
    (folder / "cut.npy").write_bytes((folder / "good1.npy").read_bytes()[:5000])
    (folder / "noise.npy").write_bytes(b"noise")
    return folder


@pytest.fixture(scope="module")
def undisturbed(landing: Path, tmp_path_factory: pytest.TempPathFactory) -> Settings:
    """Where a run that nobody killed has worked."""
    place = place_at(tmp_path_factory.mktemp("undisturbed"))
    work(place, landing)
    return place


def place_at(folder: Path) -> Settings:
    return Settings(data_dir=folder / "var", ingest=IngestSettings(lease_s=1, workers=2))


def work(place: Settings, landing: Path) -> None:
    """What a run does to studies, without Ray: offer, claim, take in."""
    site = load_site("one", place.sites_dir)
    offers = {source.offer(site): source.path for source in Finder().find([landing])}
    ledger = Ledger(place.ledger_url)
    ledger.offer(list(offers))
    claim = f"run {os.getpid()} {time.monotonic()}"
    worker = Worker(place, (site.name, site.fingerprint), claim)
    paths = {offer.id: path for offer, path in offers.items()}
    for study in ledger.claim(list(paths), claim, lease_s=0):  # no lease: the next run need not wait
        worker.take_in(study, paths[study])
    ledger.close()


def state(place: Settings) -> dict[str, Any]:
    """All that counts: outcomes by source, what the store holds."""
    with sqlite3.connect(place.data_dir / "ledger.sqlite3") as connection:
        rows = connection.execute("SELECT state, reason, modality, media FROM studies").fetchall()
        media = connection.execute("SELECT id, modality, kind, version, companion FROM media").fetchall()
    files = sorted(path.name for path in place.media_dir.iterdir() if not path.name.startswith("."))
    return {"media": sorted(media), "files": files, "outcomes": Counter(rows)}


def check(place: Settings, undisturbed: Settings) -> None:
    """As if nobody had killed it, and every file is whole."""
    assert state(place) == state(undisturbed)
    assert Ledger(place.ledger_url).counts() == {("ecg", "done"): GOOD + TWINS, (None, "refused"): BAD}
    whole(place)


def whole(place: Settings) -> None:
    for path in place.media_dir.glob("*.json"):
        media = Media.model_validate_json(path.read_bytes())
        for one in filter(None, (media.id, media.companion)):
            png = (place.media_dir / f"{one}.png").read_bytes()
            assert hashlib.sha256(PREPROCESSING_VERSION.encode() + b"\0" + png).hexdigest() == one


def test_killed_at_many_random_points_of_the_work(landing: Path, undisturbed: Settings, tmp_path: Path) -> None:
    """Between and within every step of a study: forty kills, each of a process that goes on where the last one died."""
    place, dice, killed = place_at(tmp_path), random.Random(SEED), 0
    context = multiprocessing.get_context("fork")
    while killed < 40:
        run = context.Process(target=work, args=(place, landing))
        run.start()
        run.join(dice.uniform(0.01, 0.25))
        if run.exitcode is None:
            run.kill()
            killed += 1
        run.join()
        assert run.exitcode in (0, -signal.SIGKILL)
        if run.exitcode == 0:  # all done: once more from the start
            check(place, undisturbed)
            shutil.rmtree(place.data_dir)
        elif place.media_dir.exists():
            whole(place)
    work(place, landing)
    check(place, undisturbed)


def test_the_command_killed_with_and_without_its_workers(
    landing: Path, undisturbed: Settings, tmp_path: Path, ray_address: str
) -> None:
    """On a cluster the workers of a killed run live on for a moment, beside those of the next."""
    place, dice = place_at(tmp_path), random.Random(SEED)
    config = tmp_path / "settings.yaml"
    config.write_text(
        f"data_dir: {place.data_dir}\ningest: {{workers: 2, lease_s: 1}}\ncluster: {{address: {ray_address!r}}}\n"
    )
    command = [sys.executable, "-m", "chordae.cli", "ingest", str(landing), "--site", "one", "--config", str(config)]
    for kill in range(6):
        wanted = dice.randint(0, GOOD)
        with subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        ) as run:
            until(run, place, wanted)
            time.sleep(dice.uniform(0, 0.2))
            if run.poll() is None:
                os.killpg(run.pid, signal.SIGKILL)
            if kill % 2:
                kill_workers()
    last = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert last.returncode == 0, last.stderr
    check(place, undisturbed)


@pytest.fixture(scope="module")
def ray_address() -> Iterator[str]:
    start_ray(ClusterSettings(num_cpus=2, object_store_bytes=128 * 1024**2))
    yield ray.get_runtime_context().gcs_address
    ray.shutdown()


def until(run: subprocess.Popen[bytes], place: Settings, settled: int) -> None:
    """Until so many studies have an outcome, or the run has ended."""
    while finished(place) < settled and run.poll() is None:
        time.sleep(0.02)


def kill_workers() -> None:
    for process in psutil.Process().children(recursive=True):
        with suppress(psutil.NoSuchProcess):
            if "MapWorker" in process.name():
                process.kill()


def finished(place: Settings) -> int:
    with suppress(sqlite3.OperationalError), sqlite3.connect(place.data_dir / "ledger.sqlite3") as connection:
        count: int = connection.execute("SELECT count(*) FROM studies WHERE finished_at IS NOT NULL").fetchone()[0]
        return count
    return 0


def test_the_remains_of_killed_writers_are_swept_away_by_a_later_run(tmp_path: Path) -> None:
    for name, age in ((".old.part", ABANDONED_S + 1), (".new.part", 0)):
        (tmp_path / name).write_bytes(b"half")
        os.utime(tmp_path / name, (time.time() - age,) * 2)
    sweep(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == [".new.part"]
