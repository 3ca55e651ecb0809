"""A replica comes to what is wanted, one at a time, and says what it serves and what became of its changes."""

import asyncio
import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from fakes import make_settings
from test_swap import fitted
from versions import InMemoryDesired, ValueEngine, canary_of, checkpoint_of, register, version_of

from chordae.deployments.expert import Expert
from chordae.platform.calibration import write_calibration
from chordae.platform.errors import BadSettings, ChordaeError, ExpertUnavailable
from chordae.platform.settings import Settings
from chordae.platform.wanted import Wanted

QUESTION = {"messages": [{"role": "user", "content": "What is the rhythm?"}]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    own = checkpoint_of(tmp_path / "own", 0)
    return make_settings(tmp_path, own, swap={"poll_s": 0.01, "drain_s": 5})


class StartedEngine(ValueEngine):
    """Holds the weights of the directory that it was made for, as an engine does that has started."""

    def __init__(self, value: float, **further: object) -> None:
        super().__init__(value=value, **further)  # type: ignore[arg-type]


async def served(expert: Expert) -> str:
    answer = await expert.chat(QUESTION, "r")
    return f"{answer['chordae']['weights'][0]['version']} {answer['choices'][0]['message']['content'].split()[0]}"


async def until(expert: Expert, **state: object) -> None:
    async with asyncio.timeout(10):
        while not state.items() <= expert._versions.state().items():
            await asyncio.sleep(0.005)


def wrong(folder: Path, value: int) -> Wanted:
    """A version whose canary is of other weights."""
    return register(checkpoint_of(folder / f"wrong-{value}", value), "ecg-fake", str(value), [canary_of(value + 1)])


async def test_without_a_wanted_version_the_settings_own_is_served(settings: Settings) -> None:
    expert = Expert("ecg", settings, ValueEngine(), InMemoryDesired())
    await expert.start()
    assert await served(expert) == "? v0"
    state = await expert.readiness()
    assert (state["wanted"], state["behind"], state["last_swap"]) == (None, False, None)
    expert.stop()


async def test_a_replica_starts_with_the_version_that_is_wanted(settings: Settings, tmp_path: Path) -> None:
    engine = StartedEngine(3)
    expert = Expert("ecg", settings, engine, InMemoryDesired(version_of(tmp_path, 3)))
    assert expert._loaded.directory.name == "ecg-fake-3"
    await expert.start()
    assert (await served(expert), engine.loads) == ("3 v3", [])
    expert.stop()


async def test_a_promotion_and_a_rollback_reach_a_replica_that_serves(settings: Settings, tmp_path: Path) -> None:
    first, second = version_of(tmp_path, 1), version_of(tmp_path, 2)
    desired = InMemoryDesired(first)
    expert = Expert("ecg", settings, StartedEngine(1), desired)
    await expert.start()
    for wanted in (second, first):
        desired.want(wanted)
        while expert._loaded.weights.version != wanted.version:
            await asyncio.sleep(0.005)
        assert await served(expert) == f"{wanted.version} v{wanted.version}"
        await until(expert, behind=False)
    card = await expert.describe()
    assert card["chordae"]["swap"]["last_swap"]["outcome"] == "swapped"
    assert card["chordae"]["swap"]["serving"] == card["chordae"]["weights"]
    async with asyncio.timeout(10):
        while desired.turn:  # given back in a thread
            await asyncio.sleep(0.005)
    expert.stop()


async def test_replicas_change_one_at_a_time(settings: Settings, tmp_path: Path) -> None:
    desired, busy, most = InMemoryDesired(version_of(tmp_path, 1)), 0, 0

    class Watched(ValueEngine):
        async def reload(self, weights: Path) -> None:
            nonlocal busy, most
            busy += 1
            most = max(most, busy)
            await asyncio.sleep(0.01)
            await super().reload(weights)
            busy -= 1

    replicas = [Expert("ecg", settings, Watched(value=1), desired) for _ in range(4)]
    await asyncio.gather(*(replica.start() for replica in replicas))
    desired.want(version_of(tmp_path, 2))
    for replica in replicas:
        while replica._loaded.weights.version != "2":
            await asyncio.sleep(0.005)
    assert most == 1
    assert len(set(desired.turns)) == 4
    for replica in replicas:
        replica.stop()


async def test_a_refused_version_is_tried_once_until_something_changes(settings: Settings, tmp_path: Path) -> None:
    good, bad = version_of(tmp_path, 1), wrong(tmp_path, 2)
    desired, engine = InMemoryDesired(good), StartedEngine(1)
    expert = Expert("ecg", settings, engine, desired)
    await expert.start()
    desired.want(bad)
    await until(expert, behind=True, ready=True)
    await asyncio.sleep(0.1)
    assert engine.loads == ["wrong-2", "ecg-fake-1"]
    assert await served(expert) == "1 v1"
    state = await expert.readiness()
    assert "trainer" in state["refused"] and state["last_swap"]["outcome"] == "restored"
    desired.want(register(bad.directory, "ecg-fake", "2", [canary_of(2), canary_of(2)]))
    await until(expert, behind=False, refused="")
    assert await served(expert) == "2 v2"
    expert.stop()


async def test_a_refused_version_that_is_wanted_again_later_is_looked_at_again(
    settings: Settings, tmp_path: Path
) -> None:
    first, bad = version_of(tmp_path, 1), wrong(tmp_path, 2)
    desired, engine = InMemoryDesired(first), StartedEngine(1)
    expert = Expert("ecg", settings, engine, desired)
    await expert.start()
    for _ in range(2):
        desired.want(bad)
        await until(expert, behind=True, ready=True)
        desired.want(first)
        await until(expert, behind=False)
    assert engine.loads == ["wrong-2", "ecg-fake-1"] * 2
    expert.stop()


async def test_files_that_are_mended_are_served_though_nobody_promotes_again(
    settings: Settings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chordae.deployments.reconcile.RETRY_S", 0.05)
    desired, second = InMemoryDesired(version_of(tmp_path, 1)), version_of(tmp_path, 2)
    weights = (second.directory / "model.safetensors").read_bytes()
    (second.directory / "model.safetensors").unlink()
    expert = Expert("ecg", settings, StartedEngine(1), desired)
    await expert.start()
    desired.want(second)
    await until(expert, behind=True, ready=True)
    assert "lacks model.safetensors" in expert._versions.state()["refused"]
    (second.directory / "model.safetensors").write_bytes(weights)
    await until(expert, behind=False)
    assert await served(expert) == "2 v2"
    expert.stop()


async def test_the_same_weights_under_another_number_change_the_name_alone(settings: Settings, tmp_path: Path) -> None:
    first = version_of(tmp_path, 1)
    desired, engine = InMemoryDesired(first), StartedEngine(1)
    expert = Expert("ecg", settings, engine, desired)
    await expert.start()
    desired.want(Wanted(first.model, "7", first.digest, first.directory))
    while await served(expert) != "7 v1":
        await asyncio.sleep(0.005)
    assert engine.loads == []
    expert.stop()


async def test_what_is_served_is_taken_up_anew_where_it_was_registered_again_and_one_that_is_damaged_is_not(
    settings: Settings, tmp_path: Path
) -> None:
    first = version_of(tmp_path, 1)
    engine = StartedEngine(1)
    expert = Expert("ecg", settings, engine, InMemoryDesired(first))
    await expert.start()
    assert expert._loaded.calibration is None
    write_calibration(first.directory, fitted(first.digest, 0.3))
    register(first.directory, first.model, first.version, [canary_of(1)])
    async with asyncio.timeout(10):
        while expert._loaded.calibration is None:
            await asyncio.sleep(0.005)
    assert (await served(expert), engine.loads) == ("1 v1", []), "no weights are loaded for it"
    listed = json.loads((first.directory / "version.json").read_text())
    (first.directory / "version.json").write_text(json.dumps(listed | {"files": {"gone": "0"}}))
    async with asyncio.timeout(10):
        while expert._versions.state()["last_swap"]["outcome"] != "refused":
            await asyncio.sleep(0.005)
    assert await served(expert) == "1 v1" and (await expert.readiness())["ready"]
    expert.stop()


def of_another_architecture(folder: Path, value: int, canary: int | None = None) -> Wanted:
    """A version with one tensor more."""
    directory = checkpoint_of(folder / f"another-{value}", value, more=np.zeros(2, np.float32))
    return register(directory, "ecg-fake", str(value), [canary_of(value if canary is None else canary)])


async def test_a_replica_that_starts_begins_with_a_version_of_another_architecture(
    settings: Settings, tmp_path: Path
) -> None:
    expert = Expert("ecg", settings, StartedEngine(1), InMemoryDesired(of_another_architecture(tmp_path, 1)))
    assert expert._loaded.directory.name == "another-1", "from where its engine starts"
    await expert.start()
    assert await served(expert) == "1 v1"
    assert not (await expert.readiness())["behind"]
    expert.stop()


async def test_a_replica_that_serves_goes_on_when_another_architecture_is_wanted(
    settings: Settings, tmp_path: Path
) -> None:
    desired, engine = InMemoryDesired(version_of(tmp_path, 1)), StartedEngine(1)
    expert = Expert("ecg", settings, engine, desired)
    await expert.start()
    desired.want(of_another_architecture(tmp_path, 2))
    await until(expert, behind=True, ready=True)
    assert (await served(expert), engine.loads) == ("1 v1", [])
    state = await expert.readiness()
    assert "tensor more is one too many" in state["refused"]
    assert state["last_swap"]["code"] == "another_architecture"
    expert.stop()


class Unloadable(StartedEngine):
    """An engine that does not start with what it was made for."""

    async def start(self) -> None:
        raise BadSettings("vLLM refuses ecg-fake", "no such architecture")


@pytest.mark.parametrize("fault", ["canary", "engine"])
async def test_another_architecture_that_fails_gives_way_to_the_settings_own_in_a_new_engine(
    settings: Settings, tmp_path: Path, fault: str
) -> None:
    wanted = of_another_architecture(tmp_path, 1, canary=9 if fault == "canary" else 1)
    engine = (StartedEngine if fault == "canary" else Unloadable)(1)
    expert = Expert("ecg", settings, engine, InMemoryDesired(wanted))
    await expert.start()
    assert (await served(expert), engine.restarts, engine.loads) == ("? v0", ["own"], [])
    assert ("trainer" if fault == "canary" else "vLLM refuses") in (await expert.readiness())["refused"]
    expert.stop()


@pytest.mark.parametrize("fault", ["canary", "engine", "damaged", "another model"])
async def test_nothing_stands_in_for_the_version_for_whose_sake_a_replica_replaces_another(
    settings: Settings, tmp_path: Path, fault: str
) -> None:
    wanted = of_another_architecture(tmp_path, 1, canary=9 if fault == "canary" else 1)
    if fault == "damaged":
        (wanted.directory / "model.safetensors").write_bytes(b"x")
    if fault == "another model":
        checkpoint = checkpoint_of(tmp_path / "echo", 3, "echo-fake")
        wanted = replace(register(checkpoint, "echo-fake", "3", [canary_of(3)]), model="ecg-fake")
    engine = (Unloadable if fault == "engine" else StartedEngine)(1)
    with pytest.raises(ChordaeError):
        await Expert("ecg", settings, engine, InMemoryDesired(wanted), wanted).start()
    assert engine.restarts == []


@pytest.mark.parametrize("fault", ["none", "canary", "engine", "damaged"])
async def test_it_stands_in_for_a_later_version_that_cannot_be_begun_with(
    settings: Settings, tmp_path: Path, fault: str
) -> None:
    instead = of_another_architecture(tmp_path, 1)
    later = wrong(tmp_path, 2) if fault == "canary" else version_of(tmp_path, 2)
    if fault == "damaged":
        (later.directory / "model.safetensors").write_bytes(b"x")
    engine = (Unloadable if fault == "engine" else StartedEngine)(1 if fault == "damaged" else 2)
    expert = Expert("ecg", settings, engine, InMemoryDesired(later), instead)
    await expert.start()
    assert await served(expert) == ("2 v2" if fault == "none" else "1 v1")
    assert engine.restarts == (["another-1"] if fault in ("canary", "engine") else [])
    assert (await expert.readiness())["behind"] == (fault != "none")
    expert.stop()


async def test_the_turn_is_kept_as_long_as_the_change_lasts(settings: Settings, tmp_path: Path) -> None:
    class Slow(ValueEngine):
        async def reload(self, weights: Path) -> None:
            await asyncio.sleep(0.3)
            await super().reload(weights)

    short = settings.model_copy(update={"swap": settings.swap.model_copy(update={"lease_s": 0.15})})
    desired = InMemoryDesired(version_of(tmp_path, 1))
    expert = Expert("ecg", short, Slow(value=1), desired)
    await expert.start()
    desired.want(version_of(tmp_path, 2))
    while desired.turn or expert._loaded.weights.version != "2":
        await asyncio.sleep(0.005)
    assert len(desired.turns) > 3, "taken once, then renewed every third of the lease"
    expert.stop()


async def test_while_another_has_its_turn_a_replica_is_behind_and_not_ready(settings: Settings, tmp_path: Path) -> None:
    desired = InMemoryDesired(version_of(tmp_path, 1))
    expert = Expert("ecg", settings, StartedEngine(1), desired)
    await expert.start()
    desired.turn["ecg-fake"] = "somebody else"
    desired.want(version_of(tmp_path, 2))
    await until(expert, behind=True, ready=False)
    with pytest.raises(ExpertUnavailable, match="behind: version 2 is wanted"):
        await expert.readiness()
    assert await served(expert) == "1 v1", "it goes on serving"
    await expert.check_health()
    desired.give_turn("ecg-fake", "somebody else")
    await until(expert, behind=False, ready=True)
    expert.stop()


async def test_a_registry_that_cannot_be_reached_stops_nobody(settings: Settings, tmp_path: Path) -> None:
    desired = InMemoryDesired(version_of(tmp_path, 1))
    expert = Expert("ecg", settings, StartedEngine(1), desired)
    await expert.start()
    desired.reachable = False
    while not expert._versions.state()["registry"]:
        await asyncio.sleep(0.005)
    assert await served(expert) == "1 v1"
    await expert.readiness()
    desired.want(version_of(tmp_path, 2))
    desired.reachable = True
    await until(expert, behind=False, registry="")
    while await served(expert) != "2 v2":
        await asyncio.sleep(0.005)
    expert.stop()


async def test_a_replica_starts_also_while_the_registry_is_away(settings: Settings, tmp_path: Path) -> None:
    desired = InMemoryDesired(version_of(tmp_path, 1))
    desired.reachable = False
    expert = Expert("ecg", settings, ValueEngine(), desired)
    await expert.start()
    assert await served(expert) == "? v0"
    desired.reachable = True
    while await served(expert) != "1 v1":
        await asyncio.sleep(0.005)
    expert.stop()


@pytest.mark.parametrize("fault", ["damaged", "canary"])
async def test_a_wanted_version_that_cannot_be_begun_with_gives_way_to_the_settings_own(
    settings: Settings, tmp_path: Path, fault: str
) -> None:
    wanted = wrong(tmp_path, 1) if fault == "canary" else version_of(tmp_path, 1)
    if fault == "damaged":
        (wanted.directory / "model.safetensors").write_bytes(b"x")
    expert = Expert("ecg", settings, StartedEngine(1 if fault == "canary" else 0), InMemoryDesired(wanted))
    await expert.start()
    await asyncio.sleep(0.05)
    assert await served(expert) == "? v0"
    state = await expert.readiness()
    assert state["behind"] and ("trainer" if fault == "canary" else "damaged") in state["refused"]
    expert.stop()


async def test_a_replica_that_is_broken_follows_nothing_and_is_replaced(settings: Settings, tmp_path: Path) -> None:
    desired = InMemoryDesired(version_of(tmp_path, 1))
    engine = StartedEngine(1, fails={"ecg-fake-1", "ecg-fake-2"})
    expert = Expert("ecg", settings, engine, desired)
    await expert.start()
    desired.want(version_of(tmp_path, 2))
    while len(engine.loads) < 2:
        await asyncio.sleep(0.005)
    await asyncio.sleep(0.05)
    assert len(engine.loads) == 2
    with pytest.raises(ExpertUnavailable, match="no weights"):
        await expert.check_health()
    assert desired.turn == {}, "the next one may"
    expert.stop()
