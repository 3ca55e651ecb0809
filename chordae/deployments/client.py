"""Asks a running platform, over the same API and with the same client as anybody else."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import openai

from chordae.deployments.supervisor import base_url, trust
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.errors import BadInput, ChordaeError, ExpertUnavailable
from chordae.platform.schemas import Answer, Media
from chordae.platform.settings import Settings
from chordae.preprocessing.records import ReadRecord

AT_ONCE = 8
"""Records on their way to the platform."""
Stage = Callable[[str, float], None]


def upload(settings: Settings, recording: Path) -> Media:
    """Send a recording or an archived study to be preprocessed.

    Raises:
        ChordaeError: no such file, no platform, or a recording it refuses; with the platform's own words.
    """
    if not recording.is_file():
        raise BadInput(f"no file {recording}", "name an ECG recording, or an archive of an echo or CMR study")
    parts = [recording]
    if recording.suffix == ".hea":  # a WFDB header names its signal file; both travel
        parts += [other for other in recording.parent.glob(f"{recording.stem}.*") if other.suffix in (".dat", ".mat")]
    files = [("file", (part.name, part.read_bytes())) for part in parts]
    try:
        longest = settings.gateway.request_timeout_s  # a large echo study takes a while
        reply = httpx.post(f"{base_url(settings)}/media", files=files, timeout=longest, verify=trust(settings))
    except httpx.TransportError as error:
        raise _no_platform(settings) from error
    if reply.status_code != 200:
        raise _told(_error(reply), reply.status_code)
    try:
        return Media.model_validate(reply.json())
    except ValueError as error:
        raise _stranger(settings) from error


def ask(
    settings: Settings,
    media: Media | Sequence[Media],
    question: str,
    probe: bool,
    on_stage: Stage,
    record: ReadRecord | None = None,
) -> Answer:
    """Ask the orchestrator one question about uploaded media, one a modality, and about a CMR record.

    `on_stage` hears of each finished stage.

    Of several, a stage is called `ecg answer`, and `Answer.answers` and `Answer.missing` say who answered and who not.

    Raises:
        ChordaeError: with the platform's own words.
    """
    timeout = settings.gateway.request_timeout_s
    client = openai.OpenAI(
        base_url=f"{base_url(settings)}/v1",
        api_key="unused",
        max_retries=0,
        http_client=openai.DefaultHttpxClient(timeout=timeout, verify=trust(settings)),
    )
    content: list[Any] = [{"type": "text", "text": question}]
    for one in [media] if isinstance(media, Media) else media:
        content.append({"type": f"{one.kind}_url", f"{one.kind}_url": {"url": f"/media/{one.id}"}})
    text = ""
    try:
        events = client.chat.completions.create(
            model="chordae",
            messages=[{"role": "user", "content": content}],
            stream=True,
            extra_body={"chordae": {"probe": probe} | ({} if record is None else _sent(record))},
        )
        for event in events:
            text += event.choices[0].delta.content or ""
            extension: dict[str, Any] = (event.model_extra or {}).get("chordae", {})
            if "stage" in extension:
                on_stage(extension["stage"], extension["seconds"])
            elif extension:
                return Answer.model_validate(extension | {"text": text})
    except openai.APIConnectionError as error:
        raise _no_platform(settings) from error
    except openai.APIStatusError as error:
        raise _told(error.body, error.status_code) from error
    except openai.APIError as error:  # an error event inside a stream
        raise _told(error.body, 503) from error
    except ValueError as error:
        raise _stranger(settings) from error
    raise ExpertUnavailable("the answer broke off", "ask again")


PASSING = (400, 429, 503, 504)
"""What says something of one record alone: it is refused, or was not answered in time."""


def diagnose(
    settings: Settings, records: Sequence[ReadRecord], language: Language | None, tell: Callable[[str], None]
) -> list[Diagnosis | ChordaeError]:
    """What the platform's reasoner says of each record, in order; an error where it refuses that one or fails at it.

    Raises:
        ChordaeError: there is no platform, or no reasoner there.
    """
    url = f"{base_url(settings)}/v1/diagnoses"
    limits = httpx.Limits(max_connections=AT_ONCE)
    told = 0

    def one(read: ReadRecord) -> Diagnosis | ChordaeError:
        nonlocal told
        try:
            reply = http.post(url, json=_sent(read) | {"language": language})
        except httpx.TransportError as error:
            raise _no_platform(settings) from error
        if reply.status_code in PASSING:  # the others' diagnoses are kept
            return _told(_error(reply), reply.status_code)
        if reply.status_code != 200:
            raise _told(_error(reply), reply.status_code)
        try:
            found = Diagnosis.model_validate({key: value for key, value in reply.json().items() if key != "id"})
        except (ValueError, AttributeError) as error:
            raise _stranger(settings) from error
        told += 1
        tell(f"{told} of {len(records)} records diagnosed")
        return found

    timeout = settings.gateway.request_timeout_s
    with (
        httpx.Client(timeout=timeout, verify=trust(settings), limits=limits) as http,
        ThreadPoolExecutor(AT_ONCE) as pool,
    ):
        return list(pool.map(one, records))


def models(settings: Settings) -> list[dict[str, Any]]:
    """What the platform serves. Raises ChordaeError if none answers."""
    try:
        reply = httpx.get(f"{base_url(settings)}/v1/models", timeout=10, verify=trust(settings))
    except httpx.TransportError as error:
        raise _no_platform(settings) from error
    if reply.status_code != 200:
        raise _told(_error(reply), reply.status_code)
    try:
        return [{"id": card["id"], **card} for card in reply.json()["data"]]
    except (ValueError, TypeError, KeyError) as error:
        raise _stranger(settings) from error


def timed_upload(settings: Settings, recording: Path, on_stage: Stage) -> Media:
    """`upload`, reporting how long the preprocessing took."""
    started = time.monotonic()
    media = upload(settings, recording)
    on_stage("preprocess", time.monotonic() - started)
    return media


def _sent(read: ReadRecord) -> dict[str, Any]:
    """A record as the platform takes it, without whose it is."""
    record = read.record.model_dump(mode="json", exclude={"patient_key"})
    return {"record": record, "noticed": [one.model_dump(mode="json") for one in read.problems]}


def _error(reply: httpx.Response) -> Any:
    """The error in a refusal; HAProxy's own refusals, such as 413, are not JSON."""
    try:
        return reply.json()["error"]
    except (ValueError, TypeError, KeyError):
        return {"message": f"HTTP {reply.status_code}: {reply.reason_phrase}"}


def _told(error: Any, status: int) -> ChordaeError:
    message = error.get("message") if isinstance(error, dict) else error
    problem, _, remedy = str(message).partition(": ")
    told = ChordaeError(problem or "the platform refuses", remedy)
    told.exit_code = 2 if status < 500 else 1
    return told


def _stranger(settings: Settings) -> ChordaeError:
    return ChordaeError(
        f"what answers at {base_url(settings)} is not chordae of this version", "stop it, or set another gateway.port"
    )


def _no_platform(settings: Settings) -> ChordaeError:
    return ChordaeError(f"no platform answers at {base_url(settings)}", "start it with `chordae up --detach`")
