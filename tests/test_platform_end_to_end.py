"""The real nano engine under Ray Serve behind HAProxy: started once as a person starts it, and stopped the same way."""

import base64
import json
import random
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Any

import httpx
import openai
import psutil
import pytest
import yaml

from benchmarks.perturbed import perturbed
from benchmarks.ports import free_ports
from chordae.learning.checkpoint import add_probes
from chordae.platform.ledger_promotions import PromotionLedger
from chordae.platform.ledger_trials import TrialsLedger
from chordae.platform.noun import WeightsVersion
from chordae.platform.registry.models import Models
from chordae.platform.registry.promotion import Promotions
from chordae.platform.settings import Settings, load_settings
from chordae.platform.weights import identify
from chordae.preprocessing.dicom import bundled_ecg

pytestmark = [pytest.mark.engine, pytest.mark.timeout(600)]

QUESTION = "What is the rhythm, and is there any conduction or ST-segment abnormality?"
LAPTOP = Path("configs/laptop.yaml")
RECORD = Path("configs/records/example.json")


def chordae(*arguments: str, config: Path) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "chordae.cli", *arguments, "--config", str(config)]
    return subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)


@pytest.fixture(scope="module")
def config(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The laptop's settings with ports and a data directory of their own."""
    values = yaml.safe_load(LAPTOP.read_text())
    directory = tmp_path_factory.mktemp("platform")
    outer, internal, values["reasoner"]["port"], *own = free_ports(3 + len(values["experts"]))
    values["data_dir"] = str(directory / "var")
    values["swap"] = {"poll_s": 0.5}
    values["gateway"] = {"port": outer, "internal_port": internal}
    for expert, port in zip(values["experts"].values(), own, strict=True):
        expert["port"] = port
    path = directory / "settings.yaml"
    path.write_text(yaml.safe_dump(values))
    return path


@pytest.fixture(scope="module")
def settings(config: Path) -> Iterator[Settings]:
    """The settings of a running platform."""
    started = chordae("up", "--detach", config=config)
    settings = load_settings(config)
    log = settings.data_dir / "platform.log"
    assert started.returncode == 0, started.stderr + (log.read_text() if log.is_file() else "")
    yield settings
    chordae("down", config=config)


@pytest.fixture(scope="module")
def orchestrator(settings: Settings) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{settings.gateway.port}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def expert(settings: Settings) -> openai.OpenAI:
    return openai.OpenAI(base_url=f"http://127.0.0.1:{settings.experts['ecg'].port}/v1", api_key="none", max_retries=0)


@pytest.fixture(scope="module")
def media_id(settings: Settings) -> str:
    reply = httpx.post(url(settings, "/media"), files={"file": ("ecg.dcm", bundled_ecg().read_bytes())}, timeout=60)
    assert reply.status_code == 200, reply.text
    return str(reply.json()["id"])


def url(settings: Settings, path: str) -> str:
    return f"http://127.0.0.1:{settings.gateway.port}{path}"


def asked(picture: str | None, question: str = QUESTION) -> list[dict[str, object]]:
    content: list[dict[str, object]] = [{"type": "text", "text": question}]
    if picture is not None:
        content.append({"type": "image_url", "image_url": {"url": picture}})
    return [{"role": "user", "content": content}]


def test_the_command_line_shows_answer_probes_scores_and_provenance(settings: Settings, config: Path) -> None:
    result = chordae("ask", "--ecg", str(bundled_ecg()), QUESTION, "--json", config=config)
    assert result.returncode == 0, result.stderr
    answer = json.loads(result.stdout)
    report = answer["reports"][0]
    assert answer["text"] and len(report["rephrasings"]) == 3 and report["image_absent"]["answer"]
    score = report["confidence"]
    expected = score["alpha"] * score["agreement"] + (1 - score["alpha"]) * score["image_delta"]
    assert score["value"] == pytest.approx(expected)
    assert answer["flagged"] == (score["value"] < score["threshold"])
    on_disk = identify(Path(settings.experts["ecg"].model))
    assert answer["provenance"]["weights"] == [on_disk.model_dump()]
    assert answer["provenance"]["settings_digest"] == settings.digest()
    assert set(answer["stages"]) == {"preprocess", "answer", "probe"}
    for picture in (answer["media"][0]["id"], answer["media"][0]["companion"]):
        assert (settings.media_dir / f"{picture}.png").read_bytes().startswith(b"\x89PNG")


def test_the_expert_reads_the_real_ecg_as_sinus_rhythm(settings: Settings, config: Path) -> None:
    """The recording is a normal sinus rhythm at 60 to 62 bpm by its R peaks; the expert must look, not guess."""
    report = json.loads(chordae("ask", "--ecg", str(bundled_ecg()), QUESTION, "--json", config=config).stdout)[
        "reports"
    ][0]
    assert "sinus" in report["answer"].lower()
    assert report["image_absent"]["answer"] != report["answer"]


def test_an_unprobed_answer_says_that_nothing_is_known_about_it(settings: Settings, config: Path) -> None:
    answer = json.loads(
        chordae("ask", "--ecg", str(bundled_ecg()), QUESTION, "--no-probe", "--json", config=config).stdout
    )
    assert answer["flagged"] is None and answer["reports"] == []


def test_status_names_ports_and_the_digest_of_the_weights(settings: Settings, config: Path) -> None:
    said = chordae("status", config=config).stdout
    assert "ready" in said and str(settings.gateway.port) in said
    assert identify(Path(settings.experts["ecg"].model)).digest in said.replace("\n", "")


def test_a_record_gets_a_checked_chain_probabilities_and_an_id_to_fetch_it_by(settings: Settings, config: Path) -> None:
    assert settings.reasoner is not None
    result = chordae("diagnose", str(RECORD), "--json", config=config)
    assert result.returncode == 0, result.stderr
    found = json.loads(result.stdout)
    assert found["category"] == "myocardial infarction" and found["flagged"] == bool(found["why"])
    assert sum(found["probabilities"].values()) == pytest.approx(1)
    wrong = [one["problem"] for one in found["check"]["citations"] if one["problem"] is not None]
    assert len(found["check"]["citations"]) > 2 * len(wrong) and set(wrong) <= set(found["why"])
    assert found["provenance"]["weights"] == [identify(Path(settings.reasoner.model)).model_dump()]
    body = {"record": json.loads(RECORD.read_text())}
    given = httpx.post(url(settings, "/v1/diagnoses"), json=body, timeout=60).json()
    assert given["written"] == found["written"]
    assert httpx.get(url(settings, f"/v1/diagnoses/{given['id']}"), timeout=60).json() == given


def test_a_question_for_a_diagnosis_with_a_record_is_answered_by_the_chain(settings: Settings, config: Path) -> None:
    asked_for = chordae("ask", "--record", str(RECORD), "What is the diagnosis?", "--json", config=config)
    assert asked_for.returncode == 0, asked_for.stderr
    answer = json.loads(asked_for.stdout)
    flagged = answer["diagnosis"]["flagged"]
    assert answer["diagnosis"]["category"] == "myocardial infarction"
    assert ("is not relied on" if flagged else "myocardial infarction") in answer["text"]
    first = answer["sentences"][0]
    assert (first["rests_on"], first["kind"]) == (["reasoner"], "withheld" if flagged else "finding")


def test_the_openai_client_talks_to_orchestrator_and_expert(
    settings: Settings, orchestrator: openai.OpenAI, expert: openai.OpenAI, media_id: str
) -> None:
    served = {f"{modality}-nano" for modality in settings.experts} | {"cmr-r-nano"}
    assert {model.id for model in orchestrator.models.list()} == {"chordae", *served}
    assert [model.id for model in expert.models.list()] == ["ecg-nano"]
    probed = orchestrator.chat.completions.create(model="chordae", messages=asked(f"/media/{media_id}"))  # type: ignore[arg-type]
    assert probed.choices[0].message.content and probed.model_extra["chordae"]["reports"]
    for client, model in ((expert, "gpt-3.5-turbo"), (orchestrator, "ecg-nano")):
        plain = client.chat.completions.create(model=model, messages=asked(f"/media/{media_id}"))  # type: ignore[arg-type]
        assert plain.choices[0].message.content in probed.choices[0].message.content
        assert plain.model == "ecg-nano" and plain.model_extra["chordae"]["media"] == [media_id]


def test_a_streamed_answer_has_the_same_words_as_a_whole_one(
    orchestrator: openai.OpenAI, expert: openai.OpenAI, media_id: str
) -> None:
    for client in (orchestrator, expert):
        messages = asked(f"/media/{media_id}")
        whole = client.chat.completions.create(model="chordae", messages=messages)  # type: ignore[arg-type]
        events = list(client.chat.completions.create(model="chordae", messages=messages, stream=True))  # type: ignore[arg-type]
        text = "".join(event.choices[0].delta.content or "" for event in events)
        assert text == whole.choices[0].message.content
        assert len(events) > 3
        assert any("chordae" in (event.model_extra or {}) for event in events)


def test_the_engine_honours_n_logprobs_stop_and_response_format(expert: openai.OpenAI, media_id: str) -> None:
    several = expert.chat.completions.create(
        model="ecg-nano",
        messages=asked(f"/media/{media_id}"),
        n=2,
        temperature=1.0,
        logprobs=True,
        top_logprobs=2,  # type: ignore[arg-type]
    )
    assert len(several.choices) == 2
    assert len(several.choices[0].logprobs.content[0].top_logprobs) == 2
    whole = expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}"))  # type: ignore[arg-type]
    first_sentence = whole.choices[0].message.content.split(".")[0]
    cut = expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}"), stop=["."])  # type: ignore[arg-type]
    assert cut.choices[0].message.content == first_sentence
    schema = {
        "type": "object",
        "properties": {"af": {"type": "boolean"}},
        "required": ["af"],
        "additionalProperties": False,
    }
    structured = expert.chat.completions.create(
        model="ecg-nano",
        messages=asked(f"/media/{media_id}"),  # type: ignore[arg-type]
        response_format={"type": "json_schema", "json_schema": {"name": "af", "schema": schema}},
    )
    assert isinstance(json.loads(structured.choices[0].message.content)["af"], bool)


def test_a_picture_sent_as_a_data_url_gives_the_answer_of_the_uploaded_one(
    settings: Settings, expert: openai.OpenAI, media_id: str
) -> None:
    png = httpx.get(url(settings, f"/media/{media_id}")).content
    data_url = "data:image/png;base64," + base64.b64encode(png).decode()
    sent, uploaded = (
        expert.chat.completions.create(model="ecg-nano", messages=asked(picture))  # type: ignore[arg-type]
        for picture in (data_url, f"/media/{media_id}")
    )
    assert sent.choices[0].message.content == uploaded.choices[0].message.content


def test_both_ports_lead_to_replicas_without_serves_proxy_between(settings: Settings) -> None:
    configuration = (settings.data_dir / "haproxy" / "haproxy.cfg").read_text()
    for service in settings.outer_ports():
        assert "  server replica-" in configuration.split(f"backend {service}\n")[1].split("backup")[0]


def test_probes_reuse_the_prefill_of_the_picture(settings: Settings, expert: openai.OpenAI, media_id: str) -> None:
    expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}"))  # type: ignore[arg-type]
    again = expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}", "Is it regular?"))  # type: ignore[arg-type]
    assert again.usage.prompt_tokens_details.cached_tokens >= 96  # the tokens of the picture


@pytest.mark.parametrize(
    ("body", "status", "words"),
    [
        ({"model": "nope"}, 404, "no model 'nope'"),
        ({"question": " "}, 400, "the question is empty"),
        ({"question": "7 " * 1500}, 400, "context"),
        ({"picture": "http://elsewhere.invalid/ecg.png"}, 400, "not fetched"),
        ({"picture": "media:" + "0" * 64}, 404, "no such media"),
        ({"temperature": -1.0}, 400, "temperature"),
    ],
)
def test_a_bad_request_is_told_what_to_do(
    settings: Settings, media_id: str, body: dict[str, object], status: int, words: str
) -> None:
    body = dict(body)
    question, picture = str(body.pop("question", QUESTION)), str(body.pop("picture", f"/media/{media_id}"))
    request = {"model": "ecg-nano", "messages": asked(picture, question)} | body
    reply = httpx.post(url(settings, "/v1/chat/completions"), json=request, timeout=60)
    assert reply.status_code == status, reply.text
    assert words in reply.json()["error"]["message"] and ": " in reply.json()["error"]["message"]


def test_a_question_over_the_context_is_refused_by_the_orchestrator_too(settings: Settings, media_id: str) -> None:
    request = {"model": "chordae", "messages": asked(f"/media/{media_id}", "7 " * 1500)}
    reply = httpx.post(url(settings, "/v1/chat/completions"), json=request, timeout=60)
    assert reply.status_code == 400 and "context" in reply.json()["error"]["message"]


def test_a_client_that_leaves_takes_nothing_with_it(settings: Settings, expert: openai.OpenAI, media_id: str) -> None:
    stream = expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}"), stream=True)  # type: ignore[arg-type]
    next(iter(stream))
    stream.close()
    assert expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}")).choices  # type: ignore[arg-type]


def test_many_at_once_all_get_the_answer_that_one_alone_gets(expert: openai.OpenAI, media_id: str) -> None:
    def ask(_: int) -> str:
        reply = expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}"))  # type: ignore[arg-type]
        return str(reply.choices[0].message.content)

    with ThreadPoolExecutor(16) as pool:
        assert len(set(pool.map(ask, range(32)))) == 1


def test_a_second_platform_on_the_same_ports_is_refused_in_one_line(
    settings: Settings, config: Path, tmp_path: Path
) -> None:
    elsewhere = tmp_path / "settings.yaml"
    elsewhere.write_text(config.read_text().replace(str(settings.data_dir), str(tmp_path)))
    second = chordae("up", config=elsewhere)
    assert second.returncode == 2
    assert f"port {settings.gateway.port}" in second.stderr.replace("\n", " ") and "Traceback" not in second.stderr


@pytest.mark.slow
def test_promoted_weights_are_served_while_questions_are_answered_and_a_rollback_brings_the_old_ones_back(
    settings: Settings, config: Path, expert: openai.OpenAI, media_id: str, tmp_path: Path
) -> None:
    """Every model; the ECG expert is asked all the while. Each version's probes were computed by training's code."""
    models = {name: Path(one.model) for name, one in settings.models().items()}
    own, other = {}, {}
    for name, checkpoint in models.items():
        moved = perturbed(checkpoint, tmp_path / name, seed=1)
        assert add_probes(moved)
        for directory, known in ((checkpoint, own), (moved, other)):
            registered = chordae("models", "register", str(directory), config=config)
            assert registered.returncode == 0, registered.stderr
            known[name] = identify(directory)
        assert chordae("models", "promote", own[name].name, "1", config=config).returncode == 0
    asking, said = True, list[tuple[str, str]]()

    def ask(_: int) -> None:
        while asking:
            reply = expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}"))  # type: ignore[arg-type]
            (weights,) = reply.model_extra["chordae"]["weights"]
            said.append((weights["digest"], str(reply.choices[0].message.content)))

    def served(versions: dict[str, WeightsVersion]) -> None:
        until = time.monotonic() + 120
        while True:
            cards = {name: card(one.port) for name, one in settings.models().items()}
            if all(cards[name]["weights"]["digest"] == one.digest for name, one in versions.items()):
                return
            refused = [one["swap"]["refused"] for one in cards.values()]
            assert time.monotonic() < until and not any(refused), cards
            time.sleep(0.3)

    with ThreadPoolExecutor(4) as pool:
        callers = [pool.submit(ask, number) for number in range(4)]
        try:
            for name in models:
                promoted = chordae("models", "promote", own[name].name, "2", "--reason", "a test", config=config)
                assert promoted.returncode == 0, promoted.stderr
            served(other)
            for name in models:
                assert chordae("models", "rollback", own[name].name, config=config).returncode == 0
            served(own)
        finally:
            asking = False
        for caller in callers:
            caller.result()  # no question failed
    by_version = {digest: {text for told, text in said if told == digest} for digest, _ in said}
    assert set(by_version) == {own["ecg"].digest, other["ecg"].digest}
    assert all(len(texts) == 1 for texts in by_version.values()), "no answer is of two versions"
    assert said[0][0] == said[-1][0] == own["ecg"].digest


@pytest.mark.parametrize(
    ("victim", "number"), [("VLLM::EngineCore", "2"), ("ray::ServeReplica:ecg:", "1"), ("ray::ServeController", "2")]
)
def test_whatever_is_killed_while_weights_change_the_wanted_version_is_served_in_the_end(
    settings: Settings, config: Path, expert: openai.OpenAI, media_id: str, victim: str, number: str
) -> None:
    """Of the ECG expert, whose versions 1 and 2 are there from the test before; at a seeded random moment."""
    promoted = chordae("models", "promote", "ecg-nano", number, config=config)
    assert promoted.returncode == 0, promoted.stderr
    time.sleep(random.Random(victim).uniform(0, 2))
    killed = [one for one in titled(settings, victim) if "EngineCore" not in victim or of_ecg(one)]
    assert killed, f"no process {victim} to kill"
    for one in killed:
        one.kill()
    wanted, until = Models(settings.data_dir).version("ecg-nano", number).digest, time.monotonic() + 150
    while True:
        try:
            reply = expert.chat.completions.create(model="ecg-nano", messages=asked(f"/media/{media_id}"))  # type: ignore[arg-type]
        except (openai.APIStatusError, openai.APIConnectionError):
            assert time.monotonic() < until, settings.data_dir.joinpath("platform.log").read_text()[-3000:]
            time.sleep(1)
            continue
        (weights,) = reply.model_extra["chordae"]["weights"]  # type: ignore[index]
        if weights["digest"] == wanted:
            break
        assert time.monotonic() < until, card(settings.experts["ecg"].port)
        time.sleep(0.5)
    assert card(settings.experts["ecg"].port)["swap"]["ready"]


def titled(settings: Settings, title: str) -> list[psutil.Process]:
    """The platform's living processes whose title begins so."""
    pid = json.loads((settings.data_dir / "platform.json").read_text())["pid"]
    found = []
    for one in psutil.Process(pid).children(recursive=True):
        with suppress(psutil.Error):  # it ended meanwhile
            if " ".join(one.cmdline()).startswith(title):
                found.append(one)
    return found


def of_ecg(engine_core: psutil.Process) -> bool:
    """Whether it is the ECG expert's."""
    return any(" ".join(one.cmdline()).startswith("ray::ServeReplica:ecg:") for one in engine_core.parents())


def test_a_candidate_on_trial_answers_unheard_then_aloud_and_goes_when_its_trial_is_over(
    settings: Settings, config: Path
) -> None:
    """Version 2 of the reasoner is there from the test before."""
    number = "2"
    models, trials = Models(settings.data_dir), TrialsLedger(settings.ledger_url)
    promotions = Promotions(settings.data_dir, PromotionLedger(settings.ledger_url))
    promotions.nominate("cmr-r-nano", number, "a test")
    candidate, champion = (models.version("cmr-r-nano", one).digest for one in (number, "champion"))
    trial = trials.begin_trial("cmr-r-nano", number, candidate)

    def diagnosed() -> str:
        body = {"record": json.loads(RECORD.read_text())}
        reply = httpx.post(url(settings, "/v1/diagnoses"), json=body, timeout=60)
        assert reply.status_code == 200, reply.text
        return str(reply.json()["weights"]["digest"])

    def within(seconds: float, holds: Callable[[], bool]) -> None:
        until = time.monotonic() + seconds
        while not holds():
            assert time.monotonic() < until, settings.data_dir.joinpath("platform.log").read_text()[-3000:]
            time.sleep(0.5)

    within(120, lambda: trials.open_trials()[0].state == "serving")
    assert titled(settings, "ray::ServeReplica:reasoner-candidate")
    within(60, lambda: diagnosed() == champion and bool(trials.trial_answers(trial.id)))
    kept = trials.trial_answers(trial.id)[0]
    assert kept.problem == "" and kept.shown == "champion"
    assert kept.candidate is not None and kept.candidate["weights"]["digest"] == candidate
    trials.move_trial(trial.id, share=1.0)
    within(30, lambda: diagnosed() == candidate)
    trials.move_trial(trial.id, state="ended")
    within(30, lambda: diagnosed() == champion)
    assert trials.trial_answers(trial.id)[-1].shown == "candidate"
    within(60, lambda: not titled(settings, "ray::ServeReplica:reasoner-candidate"))


def card(port: int | None) -> dict[str, Any]:
    """What a model says of itself on its own port."""
    found: dict[str, Any] = httpx.get(f"http://127.0.0.1:{port}/v1/models", timeout=60).json()["data"][0]["chordae"]
    return found


def test_no_log_holds_a_question_or_a_patients_name(settings: Settings) -> None:
    """What was asked above, and what the recording says of its patient, are in no file of the platform or of Ray."""
    identifiers = [b"Anonymous", b"642341", b"20130125"]  # name, id and date in pydicom's waveform_ecg.dcm
    assert all(word in bundled_ecg().read_bytes() for word in identifiers)
    ray_logs = Path("/tmp/ray/session_latest/logs")
    assert ray_logs.is_dir()
    for path in [*settings.data_dir.rglob("*"), *ray_logs.rglob("*")]:
        if path.is_file() and path.suffix != ".png":
            content = path.read_bytes()
            assert not any(word in content for word in [QUESTION.encode(), b"7 7 7 7", *identifiers]), path


def test_down_ends_every_process_that_up_started(settings: Settings, config: Path) -> None:
    """Last in this module: it stops the platform."""
    pid = json.loads((settings.data_dir / "platform.json").read_text())["pid"]
    started = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)]
    assert len(started) > 5
    stopped = chordae("down", config=config)
    assert stopped.returncode == 0 and "stopped" in stopped.stdout
    until = time.monotonic() + 20
    while (
        left := [p for p in started if p.is_running() and p.status() != psutil.STATUS_ZOMBIE]
    ) and time.monotonic() < until:
        time.sleep(0.2)
    assert not left
    assert not (settings.data_dir / "platform.json").exists()
