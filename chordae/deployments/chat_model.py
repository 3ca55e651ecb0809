"""What every served model does with an OpenAI chat request, whatever it sees: one engine, and the name of its weights.

Every replica is alone with its engine. An answer is OpenAI's, with the provenance in the extension field `chordae`.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing
from typing import Any

from chordae.deployments.beginning import Beginning
from chordae.deployments.loaded import Loaded
from chordae.deployments.openai_api import media_ids
from chordae.deployments.reconcile import Desired
from chordae.deployments.versions import Versions
from chordae.platform.engine import ChatEngine
from chordae.platform.errors import BadInput, ExpertUnavailable
from chordae.platform.settings import ExpertSettings, Settings
from chordae.platform.telemetry import keep_requests_out_of_logs
from chordae.platform.weights import Manifest


class ChatModel:
    """The base of `Expert` and `Reasoner`.

    Every answer goes through one gate, its probes with it, so that it is all of one version of the weights.
    """

    def __init__(
        self,
        settings: Settings,
        wanted: ExpertSettings,
        beginning: Beginning,
        engine: ChatEngine,
        desired: Desired | None = None,
    ) -> None:
        keep_requests_out_of_logs()
        self._engine, self._longest_answer = engine, wanted.max_answer_tokens
        self._keeps_media = wanted.engine.processor_cache_gib > 0
        self._longest_question = settings.gateway.max_question_characters
        self._settings_digest = settings.digest()
        self._versions = Versions(engine, beginning, desired, settings.swap, wanted.engine.dtype)

    @property
    def _loaded(self) -> Loaded:
        return self._versions.loaded

    @property
    def _manifest(self) -> Manifest:
        return self._loaded.manifest

    async def start(self) -> None:
        """Load the engine, and from then on the version that is wanted."""
        await self._versions.start()

    async def readiness(self) -> dict[str, Any]:
        """What is served and what is wanted; raises ExpertUnavailable while it is behind and need not be."""
        await self.check_health()
        state = self._versions.state()
        if not state["ready"]:
            problem = f"{self._manifest.name} is behind: version {state['wanted']['version']} is wanted"
            raise ExpertUnavailable(problem, "it answers with the version before; wait")
        return state

    async def describe(self) -> dict[str, Any]:
        """The model card of OpenAI's `/v1/models`, with the weights' digest."""
        return {
            "id": self._manifest.name,
            "object": "model",
            "created": 0,
            "owned_by": "chordae",
            "chordae": {
                "weights": self._loaded.weights.model_dump(),
                **self._described(),
                "swap": self._versions.state(),
            },
        }

    async def chat(self, request: dict[str, Any], request_id: str) -> dict[str, Any]:
        """One chat completion. Raises BadInput, UnknownMedia or ExpertUnavailable; never answers with nothing."""
        async with self._versions.passing():
            return await self._answer(self._prepare(request, request_id), request)

    async def _answer(self, prepared: dict[str, Any], request: dict[str, Any]) -> dict[str, Any]:
        return self._told(await self._engine.chat(prepared), request, prepared["request_id"])

    def _told(self, answer: dict[str, Any], request: dict[str, Any], request_id: str) -> dict[str, Any]:
        if not all((choice["message"].get("content") or "").strip() for choice in answer["choices"]):
            raise self._said_nothing()
        return answer | {"model": self._manifest.name, "chordae": self._provenance(request, request_id)}

    def _said_nothing(self) -> ExpertUnavailable:
        return ExpertUnavailable(f"{self._manifest.name} gave an empty answer", "ask again, or ask it differently")

    async def chat_together(
        self, requests: list[dict[str, Any]], request_id: str
    ) -> AsyncIterator[tuple[int, dict[str, Any]]]:
        """Chat completions that share a picture, as (index, answer) in the order they end.

        The others start when vLLM has read and tokenised the first: its picture is then on its way to the engine,
        which encodes it once and lets the others share what it computes, a step behind (docs/ARCHITECTURE.md). One
        replica and one weights version answer them all.

        Raises as `chat` does. The first is told before another's failure is raised: it can be used without them.
        """
        async with self._versions.passing(), aclosing(self._together(requests, request_id)) as answers:
            async for answer in answers:
                yield answer

    async def _together(
        self, requests: list[dict[str, Any]], request_id: str
    ) -> AsyncGenerator[tuple[int, dict[str, Any]]]:
        ids = [request_id, *(f"{request_id}-{index}" for index in range(1, len(requests)))]
        lead = await self._engine.open(self._prepare(requests[0], ids[0]))  # if refused, the others are not asked
        tasks = {asyncio.create_task(self._gathered(lead, requests[0], request_id)): 0}
        for index in range(1, len(requests)):
            tasks[asyncio.create_task(self._follow(requests[index], ids[index]))] = index
        pending, told_first, failure = set(tasks), False, None
        try:
            while pending:
                done, pending = await asyncio.wait(pending, return_when=asyncio.FIRST_COMPLETED)
                for task in sorted(done, key=tasks.__getitem__):
                    if tasks[task] and task.exception() is not None:
                        failure = failure or task.exception()
                        continue
                    yield tasks[task], task.result()
                    told_first = told_first or tasks[task] == 0
                if failure is not None and told_first:
                    raise failure
        finally:
            for unfinished in tasks:  # a failed or abandoned one takes the rest with it
                unfinished.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)  # before the gate is free: they hold the weights

    async def _follow(self, request: dict[str, Any], request_id: str) -> dict[str, Any]:
        """One of the others: its picture is named, so that vLLM does not read the file once more for each of them."""
        try:
            return await self._answer(self._prepare(request, request_id, read=self._keeps_media), request)
        except BadInput:  # the picture has left vLLM's cache; what else is wrong will be refused again
            return await self._answer(self._prepare(request, request_id), request)

    async def _gathered(self, events: AsyncIterator[str], request: dict[str, Any], request_id: str) -> dict[str, Any]:
        """A streamed answer as a whole one."""
        text, finish = "", None
        async for event in events:
            if event.startswith("data: [DONE]"):
                break
            chunk = json.loads(event.removeprefix("data: "))
            if "error" in chunk:
                raise ExpertUnavailable(f"{self._manifest.name} failed: {chunk['error']['message']}", "ask again")
            for choice in chunk["choices"]:
                text += choice["delta"].get("content") or ""
                finish = choice["finish_reason"] or finish
        message = {"role": "assistant", "content": text}
        choice = {"index": 0, "message": message, "finish_reason": finish}
        return self._told({"choices": [choice]}, request, request_id)

    async def stream(self, request: dict[str, Any], request_id: str) -> AsyncIterator[str]:
        """The provenance as JSON, then vLLM's server-sent events, the last `data: [DONE]`.

        Raises as `chat` does; an empty answer shows only at its end.
        """
        async with self._versions.passing(), aclosing(self._streamed(request, request_id)) as events:
            async for event in events:
                yield event

    async def _streamed(self, request: dict[str, Any], request_id: str) -> AsyncGenerator[str]:
        events = await self._engine.open(self._prepare(request, request_id))
        first = await anext(events)  # errors in the request surface here, before anything was sent
        yield json.dumps(self._provenance(request, request_id))
        yield first
        said_something = _says_something(first)
        async for event in events:
            if not said_something and event.startswith("data: [DONE]"):
                raise self._said_nothing()
            said_something = said_something or _says_something(event)
            yield event

    async def check_health(self) -> None:
        """Ray Serve replaces the replica when this raises."""
        self._versions.check()
        await self._engine.check_health()

    def stop(self) -> None:
        """End the engine's processes; a replica's end with it."""
        self._versions.stop()
        self._engine.stop()

    def __del__(self) -> None:
        if hasattr(self, "_versions"):  # not where the constructor refused the settings
            self.stop()

    def _provenance(self, request: dict[str, Any], request_id: str) -> dict[str, Any]:
        return {
            "request_id": request_id,
            "weights": [self._loaded.weights.model_dump()],
            **self._answered(),
            "media": media_ids(request),
            "settings_digest": self._settings_digest,
        }

    def _prepare(self, request: dict[str, Any], request_id: str, read: bool = False) -> dict[str, Any]:
        """Name the model, point media references at files, and keep the answer within the settings' length.

        Media that vLLM has `read` already are named by their id alone.
        """
        wanted = request.get("max_completion_tokens") or request.get("max_tokens") or self._longest_answer
        prepared = {key: value for key, value in request.items() if key not in ("max_tokens", "model")}
        return prepared | {
            "model": self._manifest.name,
            "request_id": request_id,
            "temperature": request.get("temperature", 0.0),  # the same picture and question give the same answer
            "max_completion_tokens": min(wanted, self._longest_answer),
            "messages": [self._with_files(message, read) for message in request["messages"]],
        }

    def _with_files(self, message: dict[str, Any], read: bool) -> dict[str, Any]:
        if isinstance(message["content"], str):
            return message
        return message | {"content": [self._with_file(part, read) for part in message["content"]]}

    def _described(self) -> dict[str, Any]:
        """What its card says beside the weights."""
        raise NotImplementedError

    def _answered(self) -> dict[str, Any]:
        """What its answers say beside weights, media and settings."""
        raise NotImplementedError

    def _with_file(self, part: dict[str, Any], read: bool) -> dict[str, Any]:
        """A content part as the engine takes it, which may have `read` the media before.

        Raises BadInput where the model cannot read it.
        """
        raise NotImplementedError


def _says_something(event: str) -> bool:
    """Whether a server-sent event of vLLM holds text, or the error that ended the answer."""
    if event.startswith("data: [DONE]"):
        return False
    chunk = json.loads(event.removeprefix("data: "))
    return "error" in chunk or any((choice["delta"].get("content") or "").strip() for choice in chunk["choices"])
