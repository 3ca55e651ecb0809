"""Studies in, answers out, on the orchestrator's port: what a program needs that knows nothing of chat.

A study is recordings, a CMR record (a `.json` file), or both.

Both are in the ledger before the caller hears of them, so that an answer can be fetched again whatever happens.
"""

from __future__ import annotations

import asyncio
import re
import threading
import uuid
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

from fastapi import APIRouter, UploadFile
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from chordae.deployments import openai_api
from chordae.deployments.given_records import SUFFIX, read_file
from chordae.deployments.intake import Sent, received, studies_of
from chordae.deployments.openai_api import PlainText
from chordae.deployments.opened_ledger import open_ledger
from chordae.deployments.served import Served
from chordae.deployments.web import last_answer, reported
from chordae.platform.errors import BadInput, UnreadableRecording
from chordae.platform.ledger import Ledger
from chordae.platform.schemas import NAME_OF, Answer, Kind, Media, Modality, Question
from chordae.platform.settings import Settings

router = APIRouter(prefix="/v1", tags=["studies and answers"])
P = ParamSpec("P")
T = TypeVar("T")

KEPT_ID = re.compile(r"[0-9a-f]{32}")
"""Nothing else is looked up: a NUL, say, no database takes."""


class UnknownRecord(BadInput):
    """No study, answer or diagnosis of that id is here."""

    status = 404
    code = "not_found"


class StudyMedia(BaseModel):
    id: str
    modality: Modality
    kind: Kind


class Refused(BaseModel):
    file: str = Field(description="As it was sent; of several that belong together, the first")
    reason: str


class SentStudy(BaseModel):
    id: str
    media: list[StudyMedia] = Field(description="One a modality: what a question about the study is about")
    record: bool = Field(
        description="Whether a CMR record came with it, which questions for a diagnosis are about, too"
    )
    refused: list[Refused]


class Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")

    study: str = Field(description="Id that POST /v1/studies gave")
    question: PlainText
    probe: bool = Field(True, description="Whether the answer is tested: several times the work of an answer")


class StoredAnswer(Answer):
    id: str


class StudiesApi(Served):
    """The calls of that API."""

    def __init__(self, settings: Settings, orchestrator: Any, experts: dict[str, Any], candidate: Any = None) -> None:
        super().__init__(settings, orchestrator, experts, candidate)
        self._opened: Ledger | None = None
        self._opening = threading.Lock()

    @router.post("/studies")
    async def send_study(self, file: list[UploadFile]) -> SentStudy:
        """Take in what a patient has: recordings, archives and DICOM files of any number of modalities.

        Every file is one recording or study; WFDB headers and signals, and DICOM images of one study, are put together.
        Of a modality the first one counts. A `.json` file is a CMR record, as `POST /v1/diagnoses` takes it.
        """
        kept: dict[Modality, Media] = {}
        refused: list[Refused] = []
        sent = await received(file)
        records = [one for one in sent if one.name.lower().endswith(SUFFIX)]
        record = self._record(records, refused)
        for study in studies_of([one for one in sent if one not in records]):
            try:
                media = await self._keep(study)
            except UnreadableRecording as error:
                refused.append(Refused(file=study[0].name, reason=str(error)))
                continue
            if kept.setdefault(media.modality, media).id != media.id:
                reason = f"There is another {NAME_OF[media.modality]} in this study: send it as a study of its own"
                refused.append(Refused(file=study[0].name, reason=reason))
        if not kept and record is None:
            reasons = "; ".join(dict.fromkeys(each.reason for each in refused))
            raise UnreadableRecording("none of the files can be used", reasons, "nothing_readable")
        study_id = uuid.uuid4().hex
        await self._in_ledger(Ledger.keep_sent, study_id, [media.id for media in kept.values()], record)
        media_list = [StudyMedia(id=each.id, modality=each.modality, kind=each.kind) for each in kept.values()]
        return SentStudy(id=study_id, media=media_list, record=record is not None, refused=refused)

    def _record(self, files: list[Sent], refused: list[Refused]) -> dict[str, Any] | None:
        """The first of these that is a record, as it is kept; the others are added to `refused`."""
        kept: dict[str, Any] | None = None
        for file in files:
            try:
                read = read_file(file)
            except BadInput as error:
                refused.append(Refused(file=file.name, reason=str(error)))
                continue
            if kept is not None:
                reason = "There is another record in this study: send it as a study of its own"
                refused.append(Refused(file=file.name, reason=reason))
                continue
            kept = read.model_dump(mode="json", include={"record", "problems"})
        return kept

    @router.post("/answers", response_class=JSONResponse, response_model=StoredAnswer)
    async def answer_question(self, asked: Asked) -> JSONResponse:
        """The orchestrator's answer about a study, in full; kept before it is given."""
        openai_api.check_question(asked.question, self._settings.gateway.max_question_characters)
        sent = await self._in_ledger(Ledger.sent, asked.study) if KEPT_ID.fullmatch(asked.study) else None
        if sent is None:
            raise UnknownRecord("no such study here", "send it first: POST /v1/studies")
        request_id, (media, record) = uuid.uuid4().hex, sent
        told = {} if record is None else {"record": record["record"], "noticed": record["problems"]}
        question = Question.model_validate({"text": asked.question.strip(), "media": media, **told})
        asking = self._orchestrator.options(stream=True).ask.remote(question, request_id, asked.probe)
        answer = await last_answer(reported(asking, "chordae"))
        content = {"id": request_id, **answer.model_dump(mode="json")}
        await self._in_ledger(Ledger.keep_answer, request_id, asked.study, question.text, media, content)
        return JSONResponse(content, headers=openai_api.provenance_headers(answer.provenance.model_dump()))

    @router.get("/answers/{answer_id}", response_class=JSONResponse, response_model=StoredAnswer)
    async def stored_answer(self, answer_id: str) -> JSONResponse:
        """An answer that was given, word for word."""
        content = await self._in_ledger(Ledger.answer, answer_id) if KEPT_ID.fullmatch(answer_id) else None
        if content is None:
            raise UnknownRecord("no such answer here", "only answers of POST /v1/answers are kept")
        return JSONResponse(content)

    async def _in_ledger(self, method: Callable[Concatenate[Ledger, P], T], *args: P.args, **named: P.kwargs) -> T:
        """One of the ledger's methods, off the event loop. It is opened when first asked: most gateways never do."""
        return await asyncio.to_thread(lambda: method(self._ledger(), *args, **named))

    def _ledger(self) -> Ledger:
        with self._opening:
            if self._opened is None:
                self._opened = open_ledger(Ledger, self._settings)
            return self._opened
