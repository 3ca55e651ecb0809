"""Every question about one recording goes to one replica, and to the next one when that is full or gone."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import ray
from hypothesis import given
from hypothesis import strategies as st
from ray import cloudpickle, serve
from ray.serve.config import RequestRouterConfig

from chordae.deployments.app import expert
from chordae.deployments.study_router import StudyRouter, ranked
from chordae.platform.cluster import start_ray
from chordae.platform.settings import ClusterSettings, Settings

NAMES = st.sets(st.text(min_size=1, max_size=12), min_size=1, max_size=9)
KEYS = st.text(max_size=70)
STUDIES = [f"{number:064x}" for number in range(24)]


# The hash


@given(KEYS, NAMES, st.randoms())
def test_the_order_is_of_all_replicas_and_does_not_depend_on_how_they_are_listed(
    key: str, names: set[str], random: Any
) -> None:
    shuffled = sorted(names)
    random.shuffle(shuffled)
    assert ranked(key, shuffled) == ranked(key, sorted(names))
    assert sorted(ranked(key, shuffled)) == sorted(names)


@given(KEYS, NAMES)
def test_a_replica_that_goes_leaves_the_order_of_the_others_as_it_was(key: str, names: set[str]) -> None:
    for gone in names:
        assert ranked(key, names - {gone}) == [name for name in ranked(key, names) if name != gone]


def test_a_replica_that_comes_takes_its_share_and_no_key_changes_between_the_others() -> None:
    before, after = ["a", "b", "c"], ["a", "b", "c", "d"]
    keys = [f"study {number}" for number in range(4000)]
    moved = [ranked(key, after)[0] for key in keys if ranked(key, after)[0] != ranked(key, before)[0]]
    assert set(moved) == {"d"}
    assert abs(len(moved) - 1000) < 5 * 27.4  # binomial(4000, 1/4): standard deviation 27.4


def test_keys_are_spread_evenly_and_so_are_those_of_a_replica_that_goes() -> None:
    names = [f"replica-{number}" for number in range(5)]
    orders = [ranked(f"{number:064x}", names) for number in range(5000)]
    first = Counter(order[0] for order in orders)
    assert max(abs(first[name] - 1000) for name in names) < 5 * 28.3  # binomial(5000, 1/5)
    second = Counter(order[1] for order in orders if order[0] == names[0])
    assert max(abs(second[name] - first[names[0]] / 4) for name in names[1:]) < 5 * 13.7  # binomial(1000, 1/4)


def test_every_process_finds_the_same_order() -> None:
    """Python's own hash of text is salted. This is `printf 'a\\0study' | b2sum -l 64` for each, sorted downwards."""
    assert ranked("study", "abcd") == ["d", "c", "a", "b"]


# What Serve makes of it


def test_every_expert_is_routed_by_study(settings: Settings) -> None:
    routing = expert(settings, "ecg")._bound_deployment._deployment_config.request_router_config
    assert routing.request_router_class == f"{StudyRouter.__module__}.StudyRouter"


class Expert:
    """Says in which process it answers; `until` a file is there it does not."""

    async def chat(self, until: str | None = None) -> int:
        while until is not None and not Path(until).exists():
            await asyncio.sleep(0.01)
        return os.getpid()


class Asker:
    """Asks about all studies within one request, as the orchestrator does: Serve gives these calls one internal id."""

    def __init__(self, expert: Any) -> None:
        self._expert = expert

    async def ask(self, studies: list[str]) -> list[int]:
        return await asyncio.gather(*(self._expert.options(session_id=study).chat.remote() for study in studies))


@pytest.fixture(scope="module")
def asker() -> Iterator[Any]:
    """Handle of an `Asker` over two replicas that take two questions at a time."""
    this = sys.modules[__name__]
    cloudpickle.register_pickle_by_value(this)
    start_ray(ClusterSettings(num_cpus=2, object_store_bytes=128 * 1024**2))
    try:
        serve.start(proxy_location="Disabled", logging_config={"log_level": "WARNING"})
        router = RequestRouterConfig(request_router_class=StudyRouter)
        options = {"num_replicas": 2, "max_ongoing_requests": 2, "request_router_config": router}
        replicas = serve.deployment(Expert).options(name="expert", ray_actor_options={"num_cpus": 0}, **options)
        asking = serve.deployment(Asker).options(ray_actor_options={"num_cpus": 0})
        yield serve.run(asking.bind(replicas.bind()), name="test", route_prefix=None)
    finally:
        serve.shutdown()
        ray.shutdown()
        cloudpickle.unregister_pickle_by_value(this)


def answered(asker: Any, studies: list[str]) -> dict[str, int]:
    """Process by study. Raises TimeoutError where an answer was lost."""
    return dict(zip(studies, asker.ask.remote(studies).result(timeout_s=60), strict=True))


@pytest.mark.slow
def test_replicas_of_serve_keep_their_studies_and_stand_in_for_each_other(asker: Any, tmp_path: Path) -> None:
    """In one test, for Serve takes seconds to start: affinity, another handle, one that is full, one that dies."""
    home = {study: answered(asker, [study])[study] for study in STUDIES}
    assert len(set(home.values())) == 2
    for _ in range(3):
        assert all(answered(asker, [study])[study] == home[study] for study in STUDIES)

    # another router, in this process, finds the same; and Serve's own way serves questions without a recording
    expert = serve.get_deployment_handle("expert", "test")
    mine = {study: expert.options(session_id=study).chat.remote().result(timeout_s=60) for study in STUDIES}
    assert mine == home
    assert {expert.chat.remote().result(timeout_s=60) for _ in range(40)} == set(home.values())

    # more at once than there are places: every one is answered, none but by these two
    assert set(answered(asker, STUDIES * 3).values()) == set(home.values())

    # one that is full: the other serves its studies, then it has them again
    study, flag = STUDIES[0], tmp_path / "go on"
    held = [expert.options(session_id=study).chat.remote(str(flag)) for _ in range(2)]
    until = time.monotonic() + 30
    while answered(asker, [study])[study] == home[study]:
        assert time.monotonic() < until
    assert answered(asker, [study])[study] != home[study]
    flag.write_text("")
    assert [reply.result(timeout_s=60) for reply in held] == [home[study]] * 2
    assert answered(asker, [study])[study] == home[study]

    # one that dies: nothing is lost but what it was at, and the other keeps its own
    os.kill(home[study], signal.SIGKILL)
    until = time.monotonic() + 60
    while (now := answered(asker, [study])[study]) == home[study]:
        assert time.monotonic() < until
    after = {one: answered(asker, [one])[one] for one in STUDIES}
    assert now != home[study] and home[study] not in after.values()
