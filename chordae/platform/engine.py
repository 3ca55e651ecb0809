"""vLLM behind one class: an OpenAI chat request in, an OpenAI chat answer out.

With `text_engine`, which speaks tokens, and `vllm_worker`, which vLLM's processes run, the only module that imports
vLLM. It knows nothing of Serve, media ids, probing or patients: pictures and videos arrive as `file:` URLs below the
media directory it was given. The CPU and the CUDA build differ only in settings.
"""

from __future__ import annotations

import asyncio
import os
import uuid
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from http import HTTPStatus
from pathlib import Path
from typing import Any, Protocol

from chordae.platform.errors import BadInput, BadSettings, ChordaeError, ExpertUnavailable, StillAnswering
from chordae.platform.schemas import Kind
from chordae.platform.settings import EngineSettings
from chordae.platform.torch_libs import mend_torchvision_in_children
from chordae.platform.weights import video_frames

# vLLM reads these when it is imported. nobind: its default pins threads to cores, two engines to the same ones.
_ENVIRONMENT = {
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
    "VLLM_LOGGING_LEVEL": "WARNING",
}


_WORKER = "chordae.platform.vllm_worker.WeightsWorker"
DRAIN_S = 30.0
"""What still runs when weights are to change was given up by its caller, and ends within a step or two."""


@dataclass(frozen=True)
class Continuation:
    """What a model wrote after a prompt: token ids, the end included, and the log-probability of each."""

    ids: list[int]
    logprobs: list[float]


class ChatEngine(Protocol):
    """What an expert needs of an engine; tests have one without a model."""

    async def start(self) -> None: ...

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]: ...

    async def open(self, request: dict[str, Any]) -> AsyncIterator[str]: ...

    async def restart(self, checkpoint: Path) -> None: ...

    async def reload(self, weights: Path) -> None: ...

    async def replay(self, prompt: Sequence[int] | dict[str, Any], limit: int) -> Continuation: ...

    async def check_health(self) -> None: ...

    def stop(self) -> None: ...


class Engine:
    """One model in vLLM's `AsyncLLM`, spoken to through vLLM's own OpenAI serving classes.

    A request may hold one picture or one video, whichever `kind` says.
    """

    def __init__(
        self, checkpoint: Path, name: str, settings: EngineSettings, media_dir: Path, kind: Kind = "image"
    ) -> None:
        self._checkpoint, self._name, self._settings, self._media_dir = checkpoint, name, settings, media_dir
        self._kind = kind
        self._llm: Any = None
        self._serving: Any = None

    async def start(self) -> None:
        """Load the weights and warm up; tens of seconds.

        Raises:
            BadSettings: vLLM refuses the checkpoint or the settings.
        """
        for variable, value in _ENVIRONMENT.items():
            os.environ.setdefault(variable, value)
        mend_torchvision_in_children()
        from vllm.engine.arg_utils import AsyncEngineArgs
        from vllm.entrypoints.openai.chat_completion.serving import OpenAIServingChat
        from vllm.entrypoints.openai.models.protocol import BaseModelPath
        from vllm.entrypoints.openai.models.serving import OpenAIServingModels
        from vllm.platforms import current_platform
        from vllm.renderers.online_renderer import OnlineRenderer
        from vllm.v1.engine.async_llm import AsyncLLM
        from vllm.v1.executor.uniproc_executor import UniProcExecutor

        knobs = self._settings
        arguments: dict[str, Any] = {
            "model": str(self._checkpoint),
            "served_model_name": [self._name],
            "dtype": knobs.dtype,
            "enforce_eager": knobs.enforce_eager,
            "max_model_len": knobs.max_model_len,
            "max_num_seqs": knobs.max_num_seqs,
            "max_num_batched_tokens": knobs.max_num_batched_tokens,
            "block_size": knobs.block_size,
            "kv_cache_memory_bytes": knobs.kv_cache_bytes,
            "gpu_memory_utilization": knobs.gpu_memory_utilization,
            "mm_processor_cache_gb": knobs.processor_cache_gib,
            **_looks_at(self._kind, self._checkpoint),
            "allowed_local_media_path": str(self._media_dir.resolve()),
            "allowed_media_domains": ["none.invalid"],  # nothing is fetched on a caller's behalf
            "enable_prefix_caching": True,  # the probes of one picture share its prefill (docs/ARCHITECTURE.md)
            # a small model given the choice of blanks between two tokens of JSON writes nothing else
            "structured_outputs_config": {"backend": "xgrammar", "disable_any_whitespace": True},
            "worker_extension_cls": _WORKER,
            "enable_log_requests": False,  # prompts may hold what a clinician typed about a patient
        }
        if current_platform.is_cpu():
            # The model in the engine core's own process: 0.7 GiB and a third of the processor time less than in a
            # second one. As a class, for on CPU vLLM takes the word "uni" for "mp".
            arguments["distributed_executor_backend"] = UniProcExecutor
            # A prompt that is read in two steps kills the engine if its request has a seed: vLLM then rewinds the
            # request's random numbers, which on CPU it cannot ("CPU Generator does not use offset").
            arguments["enable_chunked_prefill"] = False
            arguments["max_num_batched_tokens"] = max(knobs.max_num_batched_tokens or 2048, knobs.max_model_len)
        try:
            self._llm = AsyncLLM.from_engine_args(
                AsyncEngineArgs(**{k: v for k, v in arguments.items() if v is not None})
            )
        except (ValueError, OSError, RuntimeError) as error:  # the last: its own process could not load the model
            raise BadSettings(f"vLLM refuses {self._name}", str(error).split("\n")[0]) from error
        models = OpenAIServingModels(self._llm, [BaseModelPath(name=self._name, model_path=str(self._checkpoint))])
        renderer = OnlineRenderer(
            model_config=self._llm.model_config,
            renderer=self._llm.renderer,
            request_logger=None,
            chat_template=None,
            chat_template_content_format="auto",
        )
        self._serving = OpenAIServingChat(
            self._llm,
            models,
            "assistant",
            online_renderer=renderer,
            request_logger=None,
            chat_template=None,
            chat_template_content_format="auto",
            enable_prompt_tokens_details=True,  # says how much of a probe came from the prefix cache
        )

    async def chat(self, request: dict[str, Any]) -> dict[str, Any]:
        """An OpenAI chat completion.

        Raises:
            BadInput: the request is malformed or longer than the context.
            ExpertUnavailable: the engine is dead.
        """
        answer = await self._create(request | {"stream": False})
        return dict(answer.model_dump(mode="json", exclude_none=True))

    async def open(self, request: dict[str, Any]) -> AsyncIterator[str]:
        """Read and tokenise a request and its picture; raises as `chat` does.

        Returns:
            Server-sent events of OpenAI chunks, the last one `data: [DONE]`; generation begins with the first.
        """
        events: AsyncIterator[str] = await self._create(request | {"stream": True})
        return events

    async def restart(self, checkpoint: Path) -> None:
        """End what runs, if it does, and `start` from another checkpoint. Raises as that does."""
        self.stop()
        self._checkpoint = checkpoint
        await self.start()

    async def reload(self, weights: Path) -> None:
        """Take the weights of `weights` (*.safetensors), the same model's, in place.

        What runs is waited for; what is asked meanwhile waits, and is answered by the new weights. Everything that was
        computed from the old ones is forgotten.

        Raises:
            StillAnswering: something runs for longer than `DRAIN_S`, and nothing changed.
            ExpertUnavailable: the engine is dead.
            BadSettings: vLLM cannot load them; the model is unusable until other weights are loaded.
        """
        from vllm.v1.engine.exceptions import EngineDeadError

        llm, busy = self.running, f"{self._name} is answering: its weights cannot change"
        try:
            try:
                async with asyncio.timeout(DRAIN_S):
                    await llm.pause_generation(mode="wait", clear_cache=False)
                problems = await llm.collective_rpc("change_weights", kwargs={"weights_path": str(weights)})
                await llm.reset_encoder_cache()
                if not await llm.reset_prefix_cache():
                    raise ExpertUnavailable(busy, "wait for its answers")
            finally:
                await llm.resume_generation()
        except TimeoutError as error:
            raise StillAnswering(busy, "wait for its answers") from error
        except EngineDeadError as error:
            raise self.died() from error
        if wrong := [problem for problem in problems if problem is not None]:
            raise BadSettings(f"vLLM cannot load the weights of {weights}", wrong[0])

    async def replay(self, prompt: Sequence[int] | dict[str, Any], limit: int) -> Continuation:
        """What the model writes after a prompt when it takes the likeliest token each time.

        Args:
            prompt: token ids, or an OpenAI chat request, its media as `data:` URLs or below the media directory.
            limit: tokens at most.

        Raises:
            BadInput: vLLM refuses the prompt.
            ExpertUnavailable: the engine is dead.
        """
        name = f"canary-{uuid.uuid4().hex}"
        if isinstance(prompt, dict):
            wanted = {"temperature": 0.0, "max_completion_tokens": limit, "logprobs": True, "return_token_ids": True}
            answer = await self.chat(prompt | wanted | {"model": self._name, "request_id": name})
            (choice,) = answer["choices"]
            return Continuation(choice["token_ids"], [token["logprob"] for token in choice["logprobs"]["content"]])
        from vllm import SamplingParams
        from vllm.exceptions import VLLMClientError
        from vllm.inputs import TokensPrompt
        from vllm.sampling_params import RequestOutputKind
        from vllm.v1.engine.exceptions import EngineDeadError

        params = SamplingParams(
            max_tokens=limit, temperature=0.0, logprobs=0, detokenize=False, output_kind=RequestOutputKind.FINAL_ONLY
        )
        try:
            outputs = self.running.generate(TokensPrompt(prompt_token_ids=[*prompt]), params, name)
            return [continuation(output.outputs[0]) async for output in outputs][-1]
        except (VLLMClientError, ValueError) as error:
            raise refusal(str(error)) from None
        except EngineDeadError as error:
            raise self.died() from error

    async def check_health(self) -> None:
        """Raises what killed the engine, if it is dead."""
        await self.running.check_health()

    @property
    def running(self) -> Any:
        """vLLM's own engine. Raises ExpertUnavailable before `start`."""
        if self._llm is None:
            raise ExpertUnavailable(f"{self._name} has not started", "wait until /health says ok")
        return self._llm

    def died(self) -> ExpertUnavailable:
        """What to raise when vLLM's processes are gone."""
        return ExpertUnavailable(f"the engine of {self._name} died", "its replica is being replaced; ask again")

    def stop(self) -> None:
        """End vLLM's processes."""
        if self._llm is not None:
            self._llm.shutdown()
            self._llm = self._serving = None

    async def _create(self, request: dict[str, Any]) -> Any:
        from pydantic import ValidationError
        from vllm.entrypoints.openai.chat_completion.protocol import ChatCompletionRequest
        from vllm.entrypoints.serve.engine.protocol import ErrorResponse
        from vllm.exceptions import VLLMClientError
        from vllm.v1.engine.exceptions import EngineDeadError

        try:
            result = await self._serving.create_chat_completion(ChatCompletionRequest(**request))
        except ValidationError as error:
            first = error.errors()[0]
            field = ".".join(str(part) for part in first["loc"]) or "request"
            # from None: the cause quotes the request, and Serve logs causes
            raise BadInput(f"{field}: {first['msg']}", "see the OpenAI chat completions API") from None
        except (VLLMClientError, ValueError) as error:
            raise refusal(str(error)) from None
        except EngineDeadError as error:
            raise self.died() from error
        if isinstance(result, ErrorResponse):
            if (task := asyncio.current_task()) is not None and task.cancelling():
                raise asyncio.CancelledError  # vLLM makes an answer of it, "Client disconnected"
            if result.error.code >= HTTPStatus.INTERNAL_SERVER_ERROR:
                raise ExpertUnavailable(f"{self._name} failed: {result.error.message}", "ask again")
            raise refusal(result.error.message)
        return result


def _looks_at(kind: Kind, checkpoint: Path) -> dict[str, Any]:
    """One picture or one video a request; a video's frames as many as the checkpoint's own video processor says.

    `opencv` takes them evenly from the first to the last. Named, for vLLM would choose by fps for this architecture.
    The frames' size is the affair of the checkpoint's processor (docs/ARCHITECTURE.md).
    """
    if kind == "image":
        return {"limit_mm_per_prompt": {"image": 1, "video": 0}}
    frames = video_frames(checkpoint)
    if frames is None:
        return {"limit_mm_per_prompt": {"image": 0, "video": 1}}
    return {
        "limit_mm_per_prompt": {"image": 0, "video": {"count": 1, "num_frames": frames}},
        "media_io_kwargs": {"video": {"num_frames": frames, "video_backend": "opencv"}},
    }


def continuation(output: Any) -> Continuation:
    """What vLLM wrote, of an output that was asked for with log-probabilities."""
    told = zip(output.logprobs, output.token_ids, strict=True)
    return Continuation(list(output.token_ids), [place[token].logprob for place, token in told])


def refusal(message: str) -> ChordaeError:
    """vLLM's words about a request it refuses, as the project's error."""
    line = " ".join(message.split())
    if "context length" in line or "maximum model length" in line or "max_model_len" in line:
        return BadInput(
            "the question and its media are longer than the model's context", f"shorten the question ({line})"
        )
    return BadInput("the model refuses the request", line)
