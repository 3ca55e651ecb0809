"""The loop on the shipped reasoner: records become a candidate, and the gate decides, whatever is lost meanwhile."""

from __future__ import annotations

import contextlib
import errno
import json
import os
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
import yaml
from ledgers import losable_server

from chordae.cohort.dataset import write_rows
from chordae.cohort.record_cases import CASES, Reading, draw_case
from chordae.cohort.sites import load_site
from chordae.learning.loop.actor import Learner
from chordae.learning.loop.person import decide_by_person
from chordae.learning.loop.place import Place, place_of, read_recipe, write_recipe
from chordae.learning.loop.stages import LearningLoop
from chordae.platform.errors import BadInput, ChordaeError, NotPromotable
from chordae.platform.ledger_gate import GateLedger
from chordae.platform.ledger_learning import LearningLedger
from chordae.platform.ledger_records import ProspectiveRecord, RecordsLedger
from chordae.platform.registry.models import Models
from chordae.platform.settings import Settings, load_settings

MODEL = "cmr-r-nano"
ENGINE = {"dtype": "float32", "enforce_eager": True, "block_size": 32, "processor_cache_gib": 0}
RECIPE = {
    "type": "pcrl",
    "name": "x",
    "version": "0",
    "start": "the round's",
    "unlabelled": ["the round's"],
    "most_sentinels": 6,
    "rounds": 1,
    "round_steps": 2,
    "answers": 4,
    "wordings": 2,
    "rewards": {"longest": 200, "faithful": 1},
    "engine": ENGINE | {"max_model_len": 1408, "max_num_seqs": 32, "kv_cache_bytes": 2**27},
    "batch": 16,
    "group": 4,
    "prompt_tokens": 1024,
    "answer_tokens": 384,
    "learning_rate": 1e-5,
    "warmup": 1,
    "save_every": 1,
    "workers": 0,
}
GATE = {"least_sentinels": 10, "least_per_class": 1, "least_per_site": 5, "least_mirage_questions": 5, "slower": 50}


def cases(directory: Path, site: str, seed: int, count: int) -> Path:
    """A directory with cases that are easily read."""
    directory.mkdir(parents=True)
    drawn = [draw_case(load_site(site), seed, number, Reading()) for number in range(1, count + 1)]
    write_rows(directory / CASES, drawn)
    return directory


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    train, known = cases(tmp_path / "train", "university", 71, 60), cases(tmp_path / "known", "university", 72, 16)
    sentinels = cases(tmp_path / "sentinels", "regional", 73, 12)
    recipe = tmp_path / "pcrl.yaml"
    recipe.write_text(yaml.safe_dump(RECIPE | {"cases": [str(train)], "sentinels": [str(known)]}))
    values = {
        "data_dir": str(tmp_path / "var"),
        "cluster": {"object_store_bytes": 2**27, "min_free_memory_bytes": 0},
        "reasoner": {
            "model": f"models/{MODEL}",
            "port": 8030,
            "max_answer_tokens": 512,
            "engine": ENGINE | {"max_model_len": 2048, "max_num_seqs": 16, "kv_cache_bytes": 2**27},
        },
        "learning": {
            "recipe": str(recipe),
            "calibration": [str(known)],
            "sentinels": [str(sentinels)],
            "least_records": 6,
            "gate": GATE,
            "trial": {"shadow_answers": 0, "canary_answers": 0},
        },
    }
    path = tmp_path / "settings.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


def offer(settings: Settings, count: int) -> list[str]:
    """Bring so many new records of a site; returns their ids."""
    drawn = [draw_case(load_site("coastal"), 74, number, Reading()).record for number in range(1, count + 1)]
    nobodys = [one.model_copy(update={"patient_key": None}).model_dump(mode="json") for one in drawn]
    records = [ProspectiveRecord(f"{place:032x}", "coastal", None, one) for place, one in enumerate(nobodys)]
    ledger = RecordsLedger(settings.ledger_url)
    ledger.take_in(records)
    ledger.close()
    return [one.id for one in records]


Disturbance = Callable[[psutil.Process, Path], None]
"""What happens to the command while it runs; given its process and its log."""


def run(settings_file: Path, disturb: Disturbance | None = None) -> tuple[int, str]:
    """`chordae learn run --once`, disturbed in the midst; returns its status and all that such runs have said."""
    log = settings_file.with_suffix(".log")
    with log.open("a") as said:
        process = subprocess.Popen(
            [sys.executable, "-m", "chordae.cli", "learn", "run", "--once", "--config", str(settings_file)],
            stdout=said,
            stderr=said,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
        )
        if disturb is not None:
            disturb(psutil.Process(process.pid), log)
        return process.wait(timeout=900), log.read_text()


def kill(process: psutil.Process, actor_alone: bool) -> None:
    """SIGKILL to the command and all below it, or to the actor's process and its engine."""
    try:
        family = [process, *process.children(recursive=True)]
        if actor_alone:
            actors = [one for one in family if "Learner" in " ".join(one.cmdline())]
            family = [one for actor in actors for one in (actor, *actor.children(recursive=True))]
    except psutil.NoSuchProcess:
        return
    for one in family:
        try:
            one.kill()
        except psutil.NoSuchProcess:
            continue


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own that a test may fill."""
    place = tmp_path / "disk"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1g", "tmpfs", str(place)]
    if os.getuid() or subprocess.run(mount, capture_output=True, check=False).returncode:
        pytest.skip("a file system may not be mounted here")
    try:
        yield place
    finally:
        subprocess.run(["umount", "--lazy", str(place)], check=True)


def fill(directory: Path) -> Path:
    """Write until nothing more fits; returns the file that holds it all."""
    path = directory / "full"
    with path.open("wb", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(2**20))
    with path.open("ab", buffering=0) as file, contextlib.suppress(OSError):
        while True:
            file.write(bytes(1))
    return path


def wait_for(word: str, process: psutil.Process, log: Path) -> None:
    """Until the command says this."""
    before = log.read_text().count(word)
    while log.read_text().count(word) == before:
        assert process.status() != psutil.STATUS_ZOMBIE, log.read_text()[-4000:]
        time.sleep(0.2)


@pytest.mark.engine
@pytest.mark.slow
def test_whatever_is_lost_a_round_uses_every_record_once_and_ends_with_one_decision(
    settings_file: Path, small_disk: Path
) -> None:
    """All processes, the ledger's disk and database, the actor alone: one after another, at moments that are drawn."""
    moments = random.Random(20261124)
    with losable_server() as server:
        values = yaml.safe_load(settings_file.read_text())
        values |= {"data_dir": str(small_disk), "ledger": {"url": server.url}}
        settings_file.write_text(yaml.safe_dump(values))
        settings = load_settings(settings_file)
        offered = offer(settings, 6)

        def all_killed(process: psutil.Process, log: Path) -> None:
            time.sleep(moments.uniform(8, 45))
            kill(process, actor_alone=False)

        def disk_full(process: psutil.Process, log: Path) -> None:
            wait_for("training from version 1", process, log)
            time.sleep(moments.uniform(0, 10))
            fill(small_disk)

        def database_stopped(process: psutil.Process, log: Path) -> None:
            wait_for("round 1:", process, log)  # in training, or in measuring if the disk was full after that
            time.sleep(moments.uniform(0, 5))
            server.stop()

        def actor_killed(process: psutil.Process, log: Path) -> None:
            time.sleep(moments.uniform(8, 45))
            kill(process, actor_alone=True)

        run(settings_file, all_killed)
        code, said = run(settings_file, disk_full)
        assert code, "a full disk is no end of a round"
        (small_disk / "full").unlink()
        code, said = run(settings_file, database_stopped)
        assert code, "nor is a ledger that is down"
        server.start()
        run(settings_file, actor_killed)
        code, said = run(settings_file)
        assert code == 0, said[-4000:]
        one_round_and_one_decision(settings_file, settings, offered, said)


def one_round_and_one_decision(settings_file: Path, settings: Settings, offered: list[str], said: str) -> None:
    """Nothing was used twice, nothing was lost, and nothing is due any more."""
    ledger = LearningLedger(settings.ledger_url)
    rounds = ledger.rounds(MODEL)
    assert [one.stage for one in rounds] == ["ended"], said[-4000:]
    assert [one.id for one in ledger.records_of(rounds[0].id)] == sorted(offered)
    assert ledger.waiting(MODEL) == {}
    content = rounds[0].content
    assert (content["champion"], content["candidate"]) == ("1", "2")
    assert content["training"]["records"] == 6
    decisions = GateLedger(settings.ledger_url).gate_decisions(MODEL)
    assert [(one.from_version, one.to_version, one.by) for one in decisions] == [("1", "2", "gate")]
    aliases = Models(settings.data_dir).aliases(MODEL)
    expected = {"promote": {"champion": "2", "previous": "1"}}.get(
        decisions[0].decision, {"champion": "1", "candidate": "2"}
    )
    assert aliases == expected
    version = Models(settings.data_dir).version(MODEL, "2")
    assert Models(settings.data_dir).verify(version).lacks == ()
    place = place_of(settings.data_dir, rounds[0])
    assert decisions[0].content["why"] in place.page.read_text()
    assert "coastal" in (place.records / "records.jsonl").read_text()
    manifest = json.loads((place.model / "manifest.json").read_text())
    assert (manifest["version"], manifest["name"]) == (f"1.{rounds[0].id}", MODEL)
    assert run(settings_file)[0] == 0, "and nothing is due any more"
    assert len(ledger.rounds(MODEL)) == 1


def test_a_round_waits_for_enough_records_and_a_schedule_ends_the_waiting(settings_file: Path) -> None:
    settings = load_settings(settings_file)
    offer(settings, 5)
    loop = LearningLoop(settings, print)
    assert not loop.due()
    assert loop.step() == "idle"
    soon = settings.learning.model_copy(update={"every_h": 24.0})
    assert LearningLoop(settings.model_copy(update={"learning": soon}), print).due(), "there never was one"
    offer(settings, 6)
    assert loop.due()


def test_a_persons_word_is_kept_and_one_that_cannot_be_done_is_not(settings_file: Path) -> None:
    settings = load_settings(settings_file)
    shipped = LearningLoop(settings, print).champion()
    assert shipped.number == "1"
    with pytest.raises(BadInput, match="is no decision"):
        decide_by_person(settings, MODEL, "1", "maybe", "anna", "")
    with pytest.raises(NotPromotable, match="champion already"):
        decide_by_person(settings, MODEL, "1", "promote", "anna", "again")
    assert "will not be promoted" in decide_by_person(settings, MODEL, "1", "hold", "anna", "wait for May")
    kept = GateLedger(settings.ledger_url).gate_decisions(MODEL)
    assert [(one.decision, one.by, one.content["reason"]) for one in kept] == [("hold", "person", "wait for May")]


def test_sets_that_share_a_patient_stop_a_round_before_it_trains(settings_file: Path) -> None:
    values = yaml.safe_load(settings_file.read_text())
    values["learning"]["sentinels"] = values["learning"]["calibration"]
    settings_file.write_text(yaml.safe_dump(values))
    settings = load_settings(settings_file)
    offer(settings, 6)
    loop = LearningLoop(settings, print)
    assert loop.step() == "done"
    with pytest.raises(BadInput, match="share 16 patients"):
        loop.step()


@pytest.mark.parametrize(("records", "steps"), [(1, 4), (24, 4), (25, 5), (100, 17)])
def test_a_round_has_steps_for_all_its_records(tmp_path: Path, records: int, steps: int) -> None:
    """Two parts of 4 steps at least, each of 4 prompts, of which one is replayed."""
    values = RECIPE | {"cases": ["c"], "sentinels": ["s"], "rounds": 2, "round_steps": 4}
    (tmp_path / "base.yaml").write_text(yaml.safe_dump(values))
    place = Place(tmp_path)
    write_recipe(place, read_recipe(tmp_path / "base.yaml"), MODEL, "1.1", tmp_path / "champion", records)
    made = read_recipe(place.recipe)
    assert (made.round_steps, made.steps, made.version) == (steps, 2 * steps, "1.1")


def test_what_fails_without_a_word_of_its_own_is_told_without_a_records_values_and_tried_again(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    learner = Learner(load_settings(settings_file), str(Path.cwd()))
    failures = [OSError(errno.ENOSPC, "No space left on device"), ValueError("LV EF 31 of Muster")]

    def fails(_: LearningLoop) -> str:
        raise failures.pop(0)

    with monkeypatch.context() as patch:
        patch.setattr(LearningLoop, "step", fails)
        told = [learner.step() for _ in range(2)]
    assert [became for became, _, _ in told] == ["waits", "waits"]
    assert ["No space left" in str(wrong) or "ValueError" in str(wrong) for *_, wrong in told] == [True, True]
    assert "Muster" not in caplog.text + str(told) and "in fails" in caplog.text
    assert learner.step() == ("idle", [], None)


def test_a_ledger_that_is_down_when_the_loop_starts_is_waited_for(
    settings_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    learner = Learner(load_settings(settings_file), str(Path.cwd()))

    def down(*_: object) -> None:
        raise ChordaeError("the ledger does not answer", "start the database")

    with monkeypatch.context() as patch:
        patch.setattr(LearningLedger, "__init__", down)
        became, _, wrong = learner.step()
    assert became == "waits" and "does not answer" in str(wrong)
    assert learner.step()[0] == "idle"
