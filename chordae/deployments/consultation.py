"""One call to one expert: prompts in, answers out as they come, everything that can go wrong told in our own words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from typing import Any

from ray.serve.exceptions import BackPressureError

from chordae.deployments.openai_api import media_part
from chordae.platform.errors import ChordaeError, ExpertUnavailable, Overloaded
from chordae.platform.schemas import KIND_OF, ExpertAnswer, Gate, Modality, WeightsVersion

Prompt = tuple[str, str | None]
"""A question, and the id of the media that it is about; none: it is put without."""


async def consult(
    expert: Any,
    modality: Modality,
    prompts: Sequence[Prompt],
    sampling: dict[str, object],
    request_id: str,
    timeout_s: float,
) -> AsyncGenerator[tuple[int, ExpertAnswer]]:
    """Put prompts to the expert behind a Serve handle; answers as (index, answer) as they come.

    All on one replica, which gets every question about these media as long as it can (`study_router.py`).

    Raises:
        BadInput: a prompt is longer than the model's context, or names media that are not there or not the expert's.
        ExpertUnavailable: it failed, or took longer than `timeout_s` in all.
        Overloaded: too many questions wait for it.
    """
    requests = [sampling | {"messages": [_message(text, modality, media_id)]} for text, media_id in prompts]
    deadline = asyncio.get_running_loop().time() + timeout_s
    about = next((media_id for _, media_id in prompts if media_id is not None), "")
    replies = expert.options(stream=True, session_id=about).chat_together.remote(requests, request_id)
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
            f"the {modality} expert did not answer in {timeout_s:.0f} s", "ask again later"
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
    choice, about = answer["choices"][0], answer["chordae"]
    return ExpertAnswer(
        text=choice["message"]["content"].strip(),
        weights=WeightsVersion.model_validate(about["weights"][0]),
        finish_reason=choice["finish_reason"],
        gate=None if about.get("gate") is None else Gate.model_validate(about["gate"]),
    )
