"""Records in, diagnoses out, on the orchestrator's port; kept in the ledger before they are given."""

from __future__ import annotations

import uuid
from typing import Any

from fastapi import APIRouter
from fastapi.responses import JSONResponse
from pydantic import BaseModel, ConfigDict, Field

from chordae.deployments import openai_api
from chordae.deployments.given_records import read_given
from chordae.deployments.studies_api import KEPT_ID, StudiesApi, UnknownRecord
from chordae.platform.diagnosis.category import Language
from chordae.platform.diagnosis.diagnosis import Diagnosis
from chordae.platform.diagnosis.examine import Problem
from chordae.platform.errors import UnknownModel
from chordae.platform.ledger import Ledger
from chordae.platform.settings import REASONER

router = APIRouter(prefix="/v1", tags=["diagnoses of CMR records"])


class ToDiagnose(BaseModel):
    model_config = ConfigDict(extra="forbid")

    record: dict[str, Any] = Field(
        description="parameters: name, value, unit, low, high, source; description: number, text, normal; sex; age. "
        "What cannot be read of it is said in the diagnosis"
    )
    language: Language | None = Field(None, description="Of prompt and chain; none: that of the description")
    noticed: list[Problem] = Field([], description="What whoever read the record from a file noticed")


class StoredDiagnosis(Diagnosis):
    id: str


class DiagnosesApi(StudiesApi):
    """The calls of that API."""

    @router.post("/diagnoses", response_class=JSONResponse, response_model=StoredDiagnosis)
    async def diagnose(self, asked: ToDiagnose) -> JSONResponse:
        """The reasoner's diagnosis of a CMR record: chain, checks, probabilities. The patient's key is not kept."""
        if REASONER not in self._experts:
            raise UnknownModel("no CMR reasoner is served here", "add one under `reasoner` in the settings")
        read = read_given(asked.record, asked.noticed)
        request_id = uuid.uuid4().hex
        diagnosis = await self._reasoners.diagnose(read.record, asked.language, request_id, read.problems)
        content = {"id": request_id, **diagnosis.model_dump(mode="json")}
        await self._in_ledger(Ledger.keep_diagnosis, request_id, content)
        return JSONResponse(content, headers=openai_api.provenance_headers(diagnosis.provenance.model_dump()))

    @router.get("/diagnoses/{diagnosis_id}", response_class=JSONResponse, response_model=StoredDiagnosis)
    async def stored_diagnosis(self, diagnosis_id: str) -> JSONResponse:
        """A diagnosis that was given, word for word."""
        content = await self._in_ledger(Ledger.diagnosis, diagnosis_id) if KEPT_ID.fullmatch(diagnosis_id) else None
        if content is None:
            raise UnknownRecord("no such diagnosis here", "only diagnoses of POST /v1/diagnoses are kept")
        return JSONResponse(content)
