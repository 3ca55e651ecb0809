"""Stand-ins for what is slow: an engine without a model, Serve handles without Ray, an embedding without weights."""

from __future__ import annotations

import asyncio
import json
import re
import shutil
import threading
import time
import zlib
from collections.abc import AsyncIterator, Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import unquote, urlsplit

import cv2
import httpx
import numpy as np
import uvicorn
from fastapi import FastAPI
from fastapi.routing import APIRoute
from numpy.typing import NDArray
from ray import cloudpickle
from ray.exceptions import RayTaskError

from chordae.deployments import expert_port, gateway
from chordae.deployments.expert import Expert
from chordae.deployments.gateway import Gateway
from chordae.deployments.orchestrator import Orchestrator
from chordae.deployments.web import new_api
from chordae.platform.engine import ChatEngine
from chordae.platform.errors import BadInput
from chordae.platform.schemas import KIND_OF
from chordae.platform.settings import Settings

PICTURE_SIZE = (64, 48)
"""What the fake model's manifest asks for: width, height."""

# (question, file of the picture or None) -> what the model says; it may raise.
Rule = Callable[[str, Path | None], str]

GROUNDED = "Sinus rhythm with left bundle branch block."
BLIND = "There is no recording attached, so nothing can be read."


def grounded(question: str, picture: Path | None) -> str:
    """Reads the picture; says so when there is none."""
    return GROUNDED if picture else BLIND


def hallucinating(question: str, picture: Path | None) -> str:
    """Says the same with and without a picture: a mirage."""
    return GROUNDED


def wavering(question: str, picture: Path | None) -> str:
    """Says something else to every wording; no two share a word."""
    return " ".join(f"w{zlib.crc32(f'{question}{picture}{n}'.encode()):x}" for n in range(5))


def silent(question: str, picture: Path | None) -> str:
    return ""


class Crash(RuntimeError):
    """What a broken model raises."""


def crashing(question: str, picture: Path | None) -> str:
    raise Crash("out of memory at 0x7f, prompt was: Mr Smith, born 1950")


def overlong(question: str, picture: Path | None) -> str:
    raise BadInput("the question and its media are longer than the model's context", "shorten the question")


def only_without(rule: Rule) -> Rule:
    """That rule where the picture is withheld, `grounded` otherwise."""
    return lambda question, picture: grounded(question, picture) if picture else rule(question, picture)


def stalls(question: str, picture: Path | None) -> bool:
    return True


@dataclass
class FakeEngine(ChatEngine):
    """Honours `ChatEngine`: OpenAI answers by rule, a word a token; notes every request and when it did what."""

    rule: Rule = grounded
    stalls: Callable[[str, Path | None], bool] = lambda question, picture: False
    breaks_after: int | None = None  # words streamed before vLLM's error event
    requests: list[dict[str, Any]] = field(default_factory=list)
    log: list[str] = field(default_factory=list)  # "start q", "token q", "end q", "abort q", by short request number
    started: bool = False
    stopped: bool = False
    caches: bool = True  # media that were read, by id
    cached: dict[str, str] = field(default_factory=dict)
    named: int = 0  # media that came as an id alone

    async def start(self) -> None:
        self.started = True

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        words = [word async for word in self._words(await self._accepted(request))]
        text = "".join(words)
        choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
        return self._envelope(request, "chat.completion") | {
            "choices": [choice | {"index": index} for index in range(request.get("n", 1))],
            "usage": self._usage(words),
        }

    async def open(self, request: dict[str, Any]) -> AsyncIterator[str]:
        return self._events(request, await self._accepted(request))

    def _with_media(self, request: dict[str, Any]) -> dict[str, Any]:
        """As vLLM with its cache: media that it has read may be named by their id alone; others are refused."""
        contents = [message["content"] for message in request["messages"] if not isinstance(message["content"], str)]
        for part in (part for content in contents for part in content if part["type"] != "text"):
            if part[part["type"]] is None:
                self.named += 1
                if part["uuid"] not in self.cached:
                    raise BadInput("Cache miss", "send the file")
                part[part["type"]] = {"url": self.cached[part["uuid"]]}
            elif self.caches:
                self.cached[part["uuid"]] = part[part["type"]]["url"]
        return request

    async def _events(self, request: dict[str, Any], number: int) -> AsyncIterator[str]:
        envelope, words = self._envelope(request, "chat.completion.chunk"), []

        def event(delta: dict[str, Any], finish: str | None = None) -> str:
            return f"data: {json.dumps(envelope | {'choices': [_choice(delta, finish)]})}\n\n"

        told_role = False
        async for word in self._words(number):
            if not told_role:  # like vLLM: the first event comes with the first token and has no text
                yield event({"role": "assistant", "content": ""})
                told_role = True
            if len(words) == self.breaks_after:
                yield f"data: {json.dumps({'error': {'message': 'EngineCore died', 'code': 500}})}\n\n"
                yield "data: [DONE]\n\n"
                return
            yield event({"content": word})
            words.append(word)
        yield event({}, "stop")
        if (request.get("stream_options") or {}).get("include_usage"):
            yield f"data: {json.dumps(envelope | {'choices': [], 'usage': self._usage(words)})}\n\n"
        yield "data: [DONE]\n\n"

    async def check_health(self) -> None:
        if self.stopped:
            raise Crash("stopped")

    def stop(self) -> None:
        self.stopped = True

    async def _accepted(self, request: dict[str, Any]) -> int:
        """Its number, once its picture is read; what is too long is refused here, as in vLLM."""
        self.requests.append(self._with_media(request))
        number = len(self.requests) - 1
        self.log.append(f"start {number}")
        await asyncio.sleep(0.002)  # time enough for others to start too early
        if self.rule is overlong:
            overlong(*asked(request))
        self.log.append(f"read {number}")
        return number

    async def _words(self, number: int) -> AsyncIterator[str]:
        request = self.requests[number]
        question, picture = asked(request)
        try:
            answer = self.rule(question, picture)
            await asyncio.sleep(0.002)  # prefill
            for word in re.findall(r"\s*\S+", answer)[: request["max_completion_tokens"]]:
                await asyncio.sleep(0)
                self.log.append(f"token {number}")
                yield word
                if self.stalls(question, picture):
                    await asyncio.sleep(3600)
            self.log.append(f"end {number}")
        except asyncio.CancelledError:
            self.log.append(f"abort {number}")
            raise

    def _envelope(self, request: dict[str, Any], kind: str) -> dict[str, Any]:
        return {"id": f"chatcmpl-{request['request_id']}", "object": kind, "created": 1, "model": request["model"]}

    def _usage(self, words: list[str]) -> dict[str, Any]:
        return {
            "prompt_tokens": 40,
            "completion_tokens": len(words),
            "total_tokens": 40 + len(words),
            "prompt_tokens_details": {"cached_tokens": 32},
        }


def _choice(delta: dict[str, Any], finish: str | None) -> dict[str, Any]:
    return {"index": 0, "delta": delta, "finish_reason": finish, "logprobs": None}


def asked(request: dict[str, Any]) -> tuple[str, Path | None]:
    """The last message's text, and the file of the picture or video in the request."""
    picture, text = None, ""
    for message in request["messages"]:
        content = message["content"]
        for part in [{"type": "text", "text": content}] if isinstance(content, str) else content:
            if part["type"] == "text":
                text = part["text"]
            else:
                picture = Path(unquote(urlsplit(part[part["type"]]["url"]).path))
    return text, picture


class FakeHandle:
    """A Serve handle over a plain object: what goes through is pickled, errors come back wrapped as Ray wraps them."""

    def __init__(self, target: Any, streaming: bool = False) -> None:
        self._target, self._streaming = target, streaming

    def options(self, *, stream: bool = False, session_id: str = "") -> FakeHandle:
        return FakeHandle(self._target, stream)

    def __getattr__(self, name: str) -> _Method:
        return _Method(getattr(self._target, name), self._streaming)


class _Method:
    def __init__(self, method: Callable[..., Any], streaming: bool) -> None:
        self._method, self._streaming = method, streaming

    def remote(self, *args: Any) -> Any:
        args = _through_pickle(args)
        return _Replies(self._method(*args)) if self._streaming else _Reply(self._method(*args))


class _Reply:
    """Runs from the call on, whether it is awaited or not, like a DeploymentResponse."""

    def __init__(self, answer: Any) -> None:
        self._task = asyncio.ensure_future(_as_over_ray(answer))

    def __await__(self) -> Any:
        return self._task.__await__()

    def cancel(self) -> None:
        self._task.cancel()


class _Replies:
    """Runs ahead of its reader and does not stop with it, unless cancelled: like a DeploymentResponseGenerator."""

    def __init__(self, answers: AsyncIterator[Any]) -> None:
        self._queue: asyncio.Queue[tuple[str, Any]] = asyncio.Queue()
        self._task = asyncio.ensure_future(self._run(answers))

    async def _run(self, answers: AsyncIterator[Any]) -> None:
        try:
            async for answer in answers:
                self._queue.put_nowait(("item", _through_pickle(answer)))
            self._queue.put_nowait(("end", None))
        except asyncio.CancelledError:
            await answers.aclose()  # type: ignore[attr-defined]
            raise
        except Exception as error:  # noqa: BLE001 - Ray, too, brings any error to the caller
            self._queue.put_nowait(("error", _wrapped(error)))

    def __aiter__(self) -> _Replies:
        return self

    async def __anext__(self) -> Any:
        kind, value = await self._queue.get()
        if kind == "error":
            raise value
        if kind == "end":
            raise StopAsyncIteration
        return value

    def cancel(self) -> None:
        self._task.cancel()


def _through_pickle(value: Any) -> Any:
    return cloudpickle.loads(cloudpickle.dumps(value))


async def _as_over_ray(answer: Any) -> Any:
    try:
        return _through_pickle(await answer)
    except Exception as error:  # noqa: BLE001 - see above
        raise _wrapped(error) from None


def _wrapped(error: Exception) -> Exception:
    """An exception of the error's class whose text is a traceback: what Ray makes of an error, once for all hops."""
    cause = error.cause if isinstance(error, RayTaskError) else error
    wrapped = RayTaskError("method", f"Traceback: secret of {cause!r}", cause, ip="127.0.0.1")
    return _through_pickle(wrapped.as_instanceof_cause())


def embed_words(texts: Sequence[str]) -> NDArray[np.float32]:
    """Bags of words, each word at a place of its own in 4096 (but for the odd collision): texts that share none are
    orthogonal."""
    bags = np.zeros((len(texts), 4096), np.float32)
    for bag, text in zip(bags, texts, strict=True):
        for word in text.lower().split():
            bag[zlib.crc32(word.encode()) % 4096] += 1
    return bags


def make_settings(tmp_path: Path, model_dir: Path, **branches: Any) -> Settings:
    """Settings with everything below `tmp_path`; keyword arguments are whole branches of the tree."""
    experts = {"ecg": {"model": str(model_dir), "port": 8020, "max_answer_tokens": 96}}
    return Settings(**({"data_dir": tmp_path / "var", "experts": experts} | branches))


def png(seed: int = 0, width: int = 128, height: int = 96) -> bytes:
    """A picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 255, (height, width, 3), np.uint8)
    return cv2.imencode(".png", pixels)[1].tobytes()


def three_experts(tmp_path: Path, model_dir: Path, **branches: Any) -> Settings:
    """Settings with an expert for every modality: `ecg-fake`, `echo-fake`, `cmr-fake`; the latter two take videos."""
    experts = {"ecg": {"model": str(model_dir), "port": 8020, "max_answer_tokens": 96}}
    for modality, port in (("echo", 8010), ("cmr", 8000)):
        checkpoint = shutil.copytree(model_dir, tmp_path / modality)
        manifest = {"name": f"{modality}-fake", "version": "1", "modality": modality}
        (checkpoint / "manifest.json").write_text(json.dumps(manifest))
        experts[modality] = {"model": str(checkpoint), "port": port, "max_answer_tokens": 96}
    return make_settings(tmp_path, model_dir, **({"experts": experts} | branches))


class Platform:
    """Experts, orchestrator and gateway in this process, behind handles that behave as Serve's.

    `engine` and `expert` are the ECG's; every other modality of the settings gets an engine of its own in `engines`.
    """

    def __init__(self, settings: Settings, engine: FakeEngine) -> None:
        self.settings, self.engine = settings, engine
        self.engines: dict[str, FakeEngine] = {modality: FakeEngine() for modality in settings.experts}
        self.engines["ecg"] = engine
        self._experts = {
            modality: Expert(modality, settings, self.engines[modality])
            for modality in KIND_OF
            if modality in settings.experts
        }
        self.expert = self._experts["ecg"]
        self.experts = {modality: FakeHandle(expert) for modality, expert in self._experts.items()}
        self.orchestrator = Orchestrator(settings, self.experts, embed_words)
        self.gateway = Gateway(settings, FakeHandle(self.orchestrator), self.experts)

    @property
    def app(self) -> FastAPI:
        """What Serve has at its addresses: the gateway, and every expert under its modality."""
        whole = FastAPI()
        for modality, expert in self._experts.items():
            whole.mount(f"/{modality}", _routes(expert_port.api, expert))
        whole.mount("/", _routes(gateway.api, self.gateway))
        return whole

    def http(self) -> httpx.AsyncClient:
        """A client of the gateway without a network."""
        transport = httpx.ASGITransport(self.app, raise_app_exceptions=False)
        return httpx.AsyncClient(transport=transport, base_url="http://gateway")

    @contextmanager
    def listening(self) -> Iterator[None]:
        """The gateway on the orchestrator's outer port of the settings, until the end of the block."""
        config = uvicorn.Config(self.app, port=self.settings.gateway.port, log_level="error", lifespan="off")
        server = uvicorn.Server(config)
        thread = threading.Thread(target=server.run)
        thread.start()
        while not server.started:
            assert thread.is_alive()
            time.sleep(0.01)
        try:
            yield
        finally:
            server.should_exit = True
            thread.join()


def _routes(api: FastAPI, replica: Any) -> FastAPI:
    """An API's routes, copied. Serve hands them the replica's object as a dependency; here they get this one."""
    copied = new_api()
    copied.include_router(api.router)
    (wanted,) = {
        dependency.call
        for route in copied.routes
        if isinstance(route, APIRoute)
        for dependency in route.dependant.dependencies
    }
    assert wanted is not None
    copied.dependency_overrides = {wanted: lambda: replica}
    return copied


MakePlatform = Callable[..., Platform]
