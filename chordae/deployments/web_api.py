"""The web API of one expert, as MARCUS has it: upload, preprocess, look, chat.

HAProxy leads an expert's web port (8775 ECG, 8770 echo, 8765 CMR) here, with `/web/<modality>` put before the path.
An answer is the expert's own, unprobed: whoever wants it judged asks `chordae` on the orchestrator's port.
"""

from __future__ import annotations

import asyncio
from typing import Annotated, Any, Literal

from fastapi import APIRouter, File, Form, Response, UploadFile
from fastapi.responses import FileResponse
from pydantic import BaseModel, ConfigDict, Field

from chordae.deployments import openai_api
from chordae.deployments.intake import received
from chordae.deployments.openai_api import PlainText
from chordae.deployments.openapi_document import CHUNKS, FILE, Health
from chordae.deployments.served import Served
from chordae.deployments.videos import VERSION, prepare_video
from chordae.deployments.web import known
from chordae.platform.errors import BadInput, ExpertUnavailable
from chordae.platform.schemas import KIND_OF, NAME_OF, Kind, Media, Modality

router = APIRouter(prefix="/web/{modality}", tags=["web API of one expert"])

CARD_S = 10.0  # an upload or a question takes the expert's word for so long


class UploadedMedia(BaseModel):
    id: str
    filename: str = Field(description="As it was sent")
    path: str = Field(description="Where this API has it")


class PreprocessedMedia(BaseModel):
    id: str
    kind: Kind
    expert: Modality


class Message(BaseModel):
    model_config = ConfigDict(extra="forbid")

    role: Literal["system", "user", "assistant"]
    content: PlainText


class Chat(BaseModel):
    """A conversation about one picture or video; its last question is answered."""

    model_config = ConfigDict(extra="forbid")

    video_id: str = Field(description="Id of a picture or video, whichever it is")
    messages: list[Message]
    media_kind: Kind | None = Field(None, description="What it is; none: as it was kept")


class WebApi(Served):
    """The calls of that API, for all experts."""

    @router.get("/health")
    async def web_health(self, modality: Modality) -> Health:
        """Answers while the expert does and is not behind the version that is wanted."""
        card = await self._card(modality)
        if not card["chordae"].get("swap", {}).get("ready", True):
            raise ExpertUnavailable(f"the {NAME_OF[modality]} expert is behind: another version is wanted", "wait")
        return Health(status="ok")

    @router.post("/upload")
    async def web_upload(self, modality: Modality, video: Annotated[UploadFile, File()]) -> UploadedMedia:
        """Keep a video for an expert that looks at videos."""
        await self._card(modality, CARD_S)
        if KIND_OF[modality] != "video":
            raise BadInput(
                f"the {NAME_OF[modality]} expert looks at pictures", "send the recording itself to /preprocess"
            )
        (sent,) = await received([video])
        media = await asyncio.to_thread(self._keep_video, sent.content, modality)
        return UploadedMedia(id=media.id, filename=sent.name, path=f"/media/{media.id}")

    def _keep_video(self, content: bytes, modality: Modality) -> Media:
        made = prepare_video(content, self._settings.gateway.max_video_frames)
        # the modality is part of the version, for the same video may be sent to two experts
        return self._media.put(made.mp4, modality, f"{VERSION}-{modality}", made.sidecar, kind="video")

    @router.post("/preprocess")
    async def web_preprocess(
        self, modality: Modality, file: Annotated[UploadFile, File()], expert: Annotated[Modality | None, Form()] = None
    ) -> PreprocessedMedia:
        """Make the picture or video that an expert looks at from a recording or an archive of DICOM files.

        `expert` says of which modality it is; none: of this port's.
        """
        wanted = expert or modality
        await self._card(wanted, CARD_S)
        media = await self._keep(await received([file]), wanted)
        return PreprocessedMedia(id=media.id, kind=media.kind, expert=media.modality)

    @router.get("/media/{media_id}", response_class=FileResponse, responses=FILE)
    async def web_media(self, modality: Modality, media_id: str) -> FileResponse:
        """The picture or video of that id, whole or in ranges."""
        return FileResponse(self._media.path(media_id))

    @router.post("/chat", response_class=Response, responses=CHUNKS)
    async def web_chat(self, modality: Modality, chat: Chat) -> Response:
        """The expert's next words as server-sent events of OpenAI chunks, then `[DONE]`.

        What goes wrong before the first is an error with its status; later it is an event.
        """
        await self._card(modality, CARD_S)
        media = self._media.get(chat.video_id)
        part = openai_api.media_part(chat.media_kind or media.kind, media.id)
        messages = [message.model_dump() for message in chat.messages]
        _attach(part, messages)
        request = openai_api.ChatRequest(messages=messages, stream=True)
        longest = self._settings.gateway.max_question_characters
        asked = openai_api.checked(request, _no_data_urls, longest)
        known(asked, self._media)
        return await self._ask_expert(modality, asked)


def _attach(part: dict[str, Any], messages: list[dict[str, Any]]) -> None:
    """The picture before the first question, where it stays for the whole conversation: all turns share its prefix."""
    for message in messages:
        if message["role"] == "user":
            message["content"] = [part, {"type": "text", "text": message["content"]}]
            return


def _no_data_urls(_: str) -> str:
    raise BadInput("a picture does not come inside a message", "name its id as video_id")
