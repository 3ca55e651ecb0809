"""The transaction on one replica: new weights proven, or old ones back; no answer fails, none mixes two versions."""

import asyncio
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from fakes import make_settings
from safetensors.numpy import save_file
from versions import InMemoryDesired, ValueEngine, canary_of, checkpoint_of, register, version_of

from chordae.deployments.expert import Expert
from chordae.platform.calibration import Calibration, write_calibration
from chordae.platform.canaries import CanaryProbe
from chordae.platform.errors import ExpertUnavailable
from chordae.platform.settings import Settings
from chordae.platform.wanted import Wanted

QUESTION = {"messages": [{"role": "user", "content": "What is the rhythm?"}]}


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    own = checkpoint_of(tmp_path / "own", 0)
    return make_settings(tmp_path, own, swap={"poll_s": 0.01, "drain_s": 5})


def settings_with(settings: Settings, **swap: Any) -> Settings:
    return settings.model_copy(update={"swap": settings.swap.model_copy(update=swap)})


def fitted(digest: str, alpha: float) -> Calibration:
    told = {"questions": "x", "n": 9, "correct": 3, "coverage": 1, "coverage_interval": (1, 1), "negatives": 3}
    rest = {"patients": 3, "mirages": 0, "mirage_bound": 0.1, "date": "2026-01-01"}
    return Calibration(alpha=alpha, threshold=0.5, weights=digest, split="held-out", **told, **rest)


def said(answer: dict[str, Any]) -> tuple[str, set[str]]:
    """The version that an answer names, and the weights that its words are from."""
    (weights,) = answer["chordae"]["weights"]
    return weights["version"], set(answer["choices"][0]["message"]["content"].split())


async def test_new_weights_come_with_their_name_their_digest_and_their_calibration(
    settings: Settings, tmp_path: Path
) -> None:
    engine = ValueEngine()
    expert = Expert("ecg", settings, engine)
    wanted = version_of(tmp_path, 1)
    write_calibration(wanted.directory, fitted(wanted.digest, 0.3))
    before = await expert.chat(QUESTION, "r")
    report = await expert._versions.change(wanted)
    after = await expert.chat(QUESTION, "r")
    assert (report.outcome, report.problem, report.new.version) == ("swapped", "", "1")
    assert report.worst == 0 and 0 < report.closed_s < 5
    assert said(before) == ("?", {"v0"}) and said(after) == ("1", {"v1"})
    assert before["chordae"]["gate"] is None and after["chordae"]["gate"] == {"alpha": 0.3, "threshold": 0.5}
    assert after["chordae"]["weights"][0]["digest"] == wanted.digest


async def test_two_hundred_questions_during_twenty_swaps_none_fails_and_none_mixes(
    settings: Settings, tmp_path: Path
) -> None:
    engine = ValueEngine()
    expert = Expert("ecg", settings, engine)
    versions = [version_of(tmp_path, value) for value in (1, 2)]
    answers: list[tuple[str, set[str]]] = []
    swapped = 0

    async def ask(number: int) -> None:
        while swapped < number // 10:
            await asyncio.sleep(0.001)
        await asyncio.sleep(0.003 * (number % 10))
        if number % 3 == 0:
            told = [said(answer) async for _, answer in expert.chat_together([QUESTION] * 5, f"r{number}")]
            assert len(told) == 5
            assert len({version for version, _ in told}) == 1, "probes and answer of one version"
            answers.extend(told)
        elif number % 3 == 1:
            first, *events = [event async for event in expert.stream(QUESTION, f"r{number}")]
            words = [json.loads(event[6:])["choices"][0]["delta"].get("content", "") for event in events[:-1]]
            answers.append((json.loads(first)["weights"][0]["version"], set("".join(words).split())))
        else:
            answers.append(said(await expert.chat(QUESTION, f"r{number}")))

    async def swap() -> None:
        nonlocal swapped
        for turn in range(20):
            report = await expert._versions.change(versions[turn % 2])
            swapped += 1
            assert report.outcome == "swapped", report
            assert said(await expert.chat(QUESTION, f"s{turn}")) == (str(turn % 2 + 1), {f"v{turn % 2 + 1}"})

    await asyncio.gather(swap(), *(ask(number) for number in range(200)))
    assert len(answers) == 67 * 5 + 133
    assert all(words == {f"v{version.replace('?', '0')}"} for version, words in answers)
    assert {version for version, _ in answers} >= {"1", "2"}


@pytest.mark.parametrize("damage", ["digest", "nan", "tensor"])
async def test_what_is_refused_before_the_gate_closes_changes_nothing(
    settings: Settings, tmp_path: Path, damage: str
) -> None:
    engine = ValueEngine()
    expert = Expert("ecg", settings, engine)
    wanted = version_of(tmp_path, 1)
    weights = {"w": np.full(6, np.nan if damage == "nan" else 1, np.float32)} if damage != "tensor" else {}
    save_file(weights or {"x": np.zeros(6, np.float32)}, wanted.directory / "model.safetensors")
    if damage == "digest":
        (wanted.directory / "config.json").write_text("{}")
    else:
        wanted = register(wanted.directory, "ecg-fake", "1", [canary_of(1)])
    report = await expert._versions.change(wanted)
    assert (report.outcome, report.closed_s, engine.loads) == ("refused", 0.0, [])
    assert report.problem
    codes = {"tensor": "another_architecture", "nan": "version_refused", "digest": "version_unreadable"}
    assert report.code == codes[damage]
    assert said(await expert.chat(QUESTION, "r")) == ("?", {"v0"})


@pytest.mark.parametrize(
    ("probe", "words"),
    [
        (CanaryProbe(prompt_ids=(1,), token_ids=(2, 7), logprobs=(-0.25, -0.25)), "1 instead of the trainer's 2"),
        (CanaryProbe(prompt_ids=(1,), token_ids=(1, 7), logprobs=(-0.25, -0.35)), "token 2: logprob 0.1 nats"),
        (CanaryProbe(prompt_ids=(1,), token_ids=(1, 7, 9), logprobs=(-0.25,) * 3), "nothing instead"),
    ],
)
async def test_weights_that_do_not_write_what_their_trainer_says_give_way_to_the_old_ones(
    settings: Settings, tmp_path: Path, probe: CanaryProbe, words: str
) -> None:
    engine = ValueEngine()
    expert = Expert("ecg", settings, engine)
    wanted = register(checkpoint_of(tmp_path / "1", 1), "ecg-fake", "1", [canary_of(1), probe])
    report = await expert._versions.change(wanted)
    assert report.outcome == "restored"
    assert words in report.problem and "probe 2 of 2" in report.problem
    assert engine.loads == ["1", "own"]
    assert said(await expert.chat(QUESTION, "r")) == ("?", {"v0"})
    await expert.check_health()


async def test_a_load_that_fails_halfway_is_undone_while_questions_wait(settings: Settings, tmp_path: Path) -> None:
    engine = ValueEngine(fails={"ecg-fake-1"})
    expert = Expert("ecg", settings, engine)
    asking = [asyncio.create_task(expert.chat(QUESTION, f"r{number}")) for number in range(5)]
    await asyncio.sleep(0.003)
    changing = asyncio.create_task(expert._versions.change(version_of(tmp_path, 1)))
    await asyncio.sleep(0.003)
    asking += [asyncio.create_task(expert.chat(QUESTION, f"l{number}")) for number in range(5)]
    report = await changing
    assert (report.outcome, report.code) == ("restored", "bad_settings")
    assert [said(one) for one in await asyncio.gather(*asking)] == [("?", {"v0"})] * 10


async def test_when_the_old_weights_do_not_come_back_the_replica_says_that_it_is_broken(
    settings: Settings, tmp_path: Path
) -> None:
    engine = ValueEngine(fails={"ecg-fake-1", "own"})
    expert = Expert("ecg", settings, engine)
    changing = asyncio.create_task(expert._versions.change(version_of(tmp_path, 1)))
    report = await changing
    assert report.outcome == "broken"
    with pytest.raises(ExpertUnavailable, match="no weights"):
        await expert.chat(QUESTION, "r")
    with pytest.raises(ExpertUnavailable, match="no weights"):
        await expert.check_health()


async def test_old_weights_that_fail_their_own_canaries_are_not_served(settings: Settings, tmp_path: Path) -> None:
    engine = ValueEngine()
    expert = Expert("ecg", settings, engine)
    assert (await expert._versions.change(version_of(tmp_path, 1))).outcome == "swapped"
    engine.replay_logprob = -3.0  # from now on nothing is as a trainer says
    assert (await expert._versions.change(version_of(tmp_path, 2))).outcome == "broken"


async def test_an_answer_that_lasts_too_long_puts_the_change_off(settings: Settings, tmp_path: Path) -> None:
    engine = ValueEngine(words=300)
    expert = Expert("ecg", settings_with(settings, drain_s=0.02), engine)
    long = asyncio.create_task(expert.chat(QUESTION, "r"))
    await asyncio.sleep(0.01)
    report = await expert._versions.change(version_of(tmp_path, 1))
    assert (report.outcome, report.code, engine.loads) == ("postponed", "still_answering", [])
    assert said(await long) == ("?", {"v0"})


async def test_a_change_that_is_given_up_halfway_leaves_no_half_weights_in_service(
    settings: Settings, tmp_path: Path
) -> None:
    engine = ValueEngine()
    expert = Expert("ecg", settings, engine)
    changing = asyncio.create_task(expert._versions.change(version_of(tmp_path, 1)))
    while not engine.loads:
        await asyncio.sleep(0)
    changing.cancel()
    with pytest.raises(asyncio.CancelledError):
        await changing
    with pytest.raises(ExpertUnavailable):
        await expert.chat(QUESTION, "r")


async def test_who_hangs_up_leaves_the_gate(settings: Settings, tmp_path: Path) -> None:
    engine = ValueEngine(words=10_000)
    expert = Expert("ecg", settings, engine)
    events = expert.stream(QUESTION, "r")
    await anext(events)
    together = expert.chat_together([QUESTION] * 3, "t")
    asking = asyncio.create_task(anext(together))
    await asyncio.sleep(0.01)
    await events.aclose()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    await asyncio.sleep(0.01)
    assert (await expert._versions.change(version_of(tmp_path, 1))).outcome == "swapped"


def test_settings_say_what_a_canary_may_differ(settings: Settings) -> None:
    assert Wanted("m", "1", "d", Path("x")) == Wanted("m", "1", "d", Path("x"))
    assert InMemoryDesired().wanted("m") is None
    for dtype, expected in (("float32", 1e-3), ("bfloat16", 0.05), ("auto", 0.05)):
        engine = settings.experts["ecg"].engine.model_copy(update={"dtype": dtype})
        model = settings.experts["ecg"].model_copy(update={"engine": engine})
        asked = settings.model_copy(update={"experts": {"ecg": model}})
        assert Expert("ecg", asked, ValueEngine())._versions._swap._tolerance == expected
