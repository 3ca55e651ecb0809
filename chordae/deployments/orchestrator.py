"""The agent between a question and its experts: decompose, route, probe, score, put together.

Each expert is asked its part of the question first and then, together, three rephrasings with the picture and the
original without it: the picture is encoded and prefilled once (docs/ARCHITECTURE.md). What an expert cannot answer is
an error that says so; an empty answer is never scored; what answered and could not be probed is told as such.

A CMR record that comes with a question for a diagnosis goes to the reasoner at the same time; of a CMR study without
one the expert is asked for what goes into a record.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from ray import serve

from chordae.deployments.consultation import Prompt, consult
from chordae.deployments.decomposition import Decomposition, by_rules
from chordae.deployments.diagnostic import is_diagnostic
from chordae.deployments.language import LanguageTasks
from chordae.deployments.rephrasing import Rephrasing
from chordae.deployments.side_by_side import side_by_side
from chordae.deployments.study_record import NOTICED, record_of_study
from chordae.deployments.summary import Finding, summarise
from chordae.deployments.trial import reasoners
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.embedding import load_embedding
from chordae.platform.errors import BadInput, ChordaeError, ExpertUnavailable, Overloaded
from chordae.platform.media import MediaStore
from chordae.platform.probing import Embed, confidence
from chordae.platform.schemas import (
    KIND_OF,
    NAME_OF,
    Answer,
    ExpertAnswer,
    Gate,
    Modality,
    Probe,
    ProbeReport,
    Question,
    Speaker,
)
from chordae.platform.settings import REASONER, Settings
from chordae.platform.telemetry import keep_requests_out_of_logs

Stage = tuple[str, float]  # name, seconds


class Orchestrator:
    """The callable behind the deployment; `experts` are Serve handles by modality, the reasoner's by `REASONER`."""

    def __init__(
        self, settings: Settings, experts: dict[str, Any], embed: Embed | None = None, candidate: Any = None
    ) -> None:
        """`candidate` is the handle of the reasoner's that may be on trial."""
        keep_requests_out_of_logs()
        self._settings, self._experts = settings, experts
        self._reasoners = reasoners(settings, experts.get(REASONER), candidate)
        self._media = MediaStore(settings.media_dir)
        self._embed = embed or load_embedding()
        wanted = settings.orchestrator
        self._default = Gate(alpha=wanted.alpha, threshold=wanted.threshold)
        language = None if wanted.language is None else experts[wanted.language]
        self._language = LanguageTasks(language, self._embed, wanted.language_timeout_s)

    async def ask(self, question: Question, request_id: str, probe: bool = True) -> AsyncIterator[Stage | Answer]:
        """Finished stages as they end, then the answer. Of several modalities, every expert is asked at the same time.

        Raises:
            BadInput: no question, nothing to look at, or a record that is not asked about.
            ExpertUnavailable: the expert failed or was too slow; of several, all did. If some answered, the answer
                says which did not.
            Overloaded: too many questions wait for it; of several, for all.
        """
        stages: dict[str, float] = {}
        findings: dict[Speaker, Finding] = {}
        diagnosis: Diagnosis | None = None
        failures: list[ChordaeError] = []
        started = time.monotonic()
        diagnostic = is_diagnostic(question.text)
        wanted = diagnostic and question.record is not None
        media = self._recordings(question, wanted)
        parts = Decomposition({}, "rules")
        if media:
            parts = await self._language.split(question.text, tuple(media), request_id)
        missing = self._absent(question.text, question, media)
        if wanted and REASONER not in self._experts:
            missing["reasoner"] = "no CMR reasoner is served here"
        if len(media) > 1:
            stages["decompose"] = time.monotonic() - started
            yield "decompose", stages["decompose"]
        examinations: dict[Speaker, AsyncIterator[Stage | Finding | Diagnosis]] = {
            modality: self._examine(modality, media[modality], query, question.sampling, request_id, probe)
            for modality, query in parts.sub_queries.items()
        }
        if REASONER in self._experts and (wanted or (diagnostic and "cmr" in media)):
            examinations["reasoner"] = self._diagnose(question, media.get("cmr", ""), request_id)
        several = len(examinations) + len(missing) > 1
        async for speaker, step in side_by_side(examinations):
            if isinstance(step, Diagnosis):
                diagnosis = step
            elif isinstance(step, Finding):
                findings[speaker] = step
            elif isinstance(step, ChordaeError):
                # what is wrong with a record does not keep the experts' answers back
                passing = isinstance(step, (ExpertUnavailable, Overloaded)) or speaker == "reasoner"
                if not several or not passing:
                    raise step
                failures.append(step)
                missing[speaker] = step.problem
            else:
                name = f"{speaker} {step[0]}" if several else step[0]
                stages[name] = step[1]
                yield name, step[1]
        if not findings and diagnosis is None and all(isinstance(failure, Overloaded) for failure in failures):
            raise failures[0]
        if not findings and diagnosis is None:
            raise ExpertUnavailable("no expert could answer", "; ".join(failure.problem for failure in failures))
        told = {modality: findings[modality] for modality in KIND_OF if modality in findings}
        yield summarise(told, missing, parts, request_id, self._settings.digest(), stages, diagnosis)

    async def _diagnose(self, question: Question, cmr: str, request_id: str) -> AsyncIterator[Stage | Diagnosis]:
        """The stages of a diagnosis, then the diagnosis: of the question's record, or of one of that CMR study.

        A record of numbers alone gets its findings from the study, if there is one.

        Raises as `record_of_study` and `Reasoners.diagnose` do.
        """
        started, timeout_s = time.monotonic(), self._settings.orchestrator.expert_timeout_s
        record, noticed = question.record, question.noticed
        if record is None or (cmr and not record.description):
            record = await record_of_study(self._experts["cmr"], cmr, record, request_id, timeout_s)
            noticed = (*noticed, NOTICED)
            yield "record", time.monotonic() - started
            started = time.monotonic()
        found = await self._reasoners.diagnose(record, None, request_id, noticed)
        yield "diagnose", time.monotonic() - started
        yield found

    async def _examine(
        self,
        modality: Modality,
        media_id: str,
        query: str,
        sampling: dict[str, object],
        request_id: str,
        probe: bool,
    ) -> AsyncIterator[Stage | Finding]:
        """One expert's stages, then its finding. Raises as `ask` does for one."""
        started = time.monotonic()
        reworded: tuple[Rephrasing, ...] = ()
        if probe:
            reworded = await self._language.reword(query, modality, request_id)
        prompts: list[Prompt] = [(text, media_id) for text in (query, *(one.text for one in reworded))]
        if probe:
            prompts.append((query, None))
        answers: dict[int, ExpertAnswer] = {}
        embedding: dict[str, asyncio.Task[NDArray[np.float32]]] = {}
        answered, unprobed, timeouts = 0.0, "", self._settings.orchestrator
        asked = consult(self._experts[modality], modality, prompts, sampling, request_id, timeouts.expert_timeout_s)
        deadline = None
        try:
            while True:
                async with asyncio.timeout_at(deadline):
                    index, answer = await anext(asked)
                answers[index] = answer
                if probe and index in (0, len(prompts) - 1) and answer.text not in embedding:
                    # while the others are still being written
                    embedding[answer.text] = asyncio.create_task(asyncio.to_thread(self._embed, [answer.text]))
                if index == 0:
                    answered = time.monotonic() - started
                    deadline = asyncio.get_running_loop().time() + timeouts.probe_timeout_s
                    yield "answer", answered
        except StopAsyncIteration:
            pass  # all have answered
        except TimeoutError:
            unprobed = f"its probes were not answered in {timeouts.probe_timeout_s:.0f} s"
        except (ExpertUnavailable, Overloaded) as error:
            if 0 not in answers:
                raise
            unprobed = error.problem  # the answer is there and may be told, as one that nobody probed
        finally:
            await asked.aclose()
        report = None
        if probe and not unprobed:
            embedded = {text: (await task)[0] for text, task in embedding.items()}
            report = self._report(modality, query, reworded, answers, embedded)
            yield "probe", time.monotonic() - started - answered
        yield Finding(media_id, query, answers[0], report, unprobed)

    def _report(
        self,
        modality: Modality,
        query: str,
        reworded: Sequence[Rephrasing],
        answers: dict[int, ExpertAnswer],
        embedded: dict[str, NDArray[np.float32]],
    ) -> ProbeReport:
        """The verdict on answer 0 (the original): those up to the last are to rephrasings, the last had no picture."""
        original, *others, absent = (answers[index] for index in range(len(answers)))
        score = confidence(
            query,
            original.text,
            [answer.text for answer in others],
            absent.text,
            lambda texts: np.stack([embedded[text] for text in texts]),
            original.gate or self._default,
            calibrated=original.gate is not None,
        )
        return ProbeReport(
            modality=modality,
            question=query,
            answer=original.text,
            rephrasings=tuple(
                Probe(question=one.text, answer=said.text, source=one.source)
                for one, said in zip(reworded, others, strict=True)
            ),
            image_absent=Probe(question=query, answer=absent.text),
            confidence=score,
            weights=original.weights,
        )

    def _recordings(self, question: Question, diagnose: bool) -> dict[Modality, str]:
        """The media that an expert here can look at, by modality, in the order of `KIND_OF`.

        None may be there where a record is to be diagnosed.
        """
        if not question.media and diagnose:
            if REASONER not in self._experts:
                raise BadInput("no CMR reasoner is served here", "add one under `reasoner` in the settings")
            return {}
        if not question.media and question.record is not None:
            raise BadInput("a record alone is for a diagnosis", "ask for the diagnosis, or attach a recording")
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
        served = {modality: media[modality] for modality in KIND_OF if modality in media and modality in self._experts}
        if not served and not (diagnose and REASONER in self._experts):
            raise BadInput(f"no expert for {', '.join(media)}", "add one under `experts` in the settings")
        return served

    def _absent(self, text: str, question: Question, served: dict[Modality, str]) -> dict[Speaker, str]:
        """Who would have had something to say and was not asked, and why.

        With one recording, a question is about that; with several, a recording that is not there may be missed.
        """
        sent = {each.modality for each in map(self._media.get, question.media)}
        absent: dict[Speaker, str] = {
            one: f"no {NAME_OF[one]} expert is served here" for one in KIND_OF if one in sent and one not in served
        }
        if len(sent) > 1:
            concerned = by_rules(text, tuple(KIND_OF))
            unsent = [one for one in concerned if one in self._experts and one not in sent]
            absent |= {one: f"no {NAME_OF[one]} recording came with the question" for one in unsent}
        return absent


OrchestratorDeployment: Any = serve.deployment(Orchestrator)
