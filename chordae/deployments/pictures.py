"""Media on their way into the store: uploaded studies', and pictures sent with a question as `data:` URLs."""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from PIL import Image

from chordae.platform.errors import BadInput
from chordae.platform.media import MediaStore
from chordae.platform.schemas import Media
from chordae.preprocessing.study import PreparedStudy

MAX_PIXELS = 20_000_000  # thirty times a rendered ECG
Size = tuple[int, int] | None  # (width, height) that the expert wants; none: any


def keep_study(store: MediaStore, study: PreparedStudy, size: Size) -> Media:
    """Keep an uploaded study's picture or video; nothing of whose it is."""
    media = store.put(
        study.content, study.modality, study.version, study.sidecar, people=study.companion, kind=study.kind
    )
    return _at_size(store, media, size)


def keep_data_url(store: MediaStore, url: str, size: Size) -> str:
    """Keep a picture sent with the question; returns its id. Only ECGs are pictures.

    Raises:
        BadInput: no PNG or JPEG in base64, or one too large.
    """
    kind, _, encoded = url.partition(",")
    if not kind.startswith(("data:image/png", "data:image/jpeg")) or not kind.endswith(";base64"):
        raise BadInput("a data: URL must hold a base64 PNG or JPEG", "upload other recordings with POST /media")
    try:
        raw = base64.b64decode(encoded, validate=True)
    except ValueError as error:
        raise BadInput("the data: URL is not valid base64", "encode the picture's bytes with base64") from error
    _check(raw)
    try:
        picture = cv2.imdecode(np.frombuffer(raw, np.uint8), cv2.IMREAD_COLOR)
    except cv2.error:
        picture = None
    if picture is None:
        raise BadInput("the data: URL holds no readable picture", "send a whole PNG or JPEG file")
    png = cv2.imencode(".png", picture)[1].tobytes()
    return _at_size(store, store.put(png, "ecg", "as-sent", {"source": "data URL"}), size).id


def _at_size(store: MediaStore, media: Media, size: Size) -> Media:
    """Have a picture ready at the size that its expert wants, so that no question waits for that."""
    if media.kind == "image" and size is not None:
        store.reduced(media.id, size)
    return media


def _check(raw: bytes) -> None:
    """Refuse what is no PNG or JPEG, or too large, by its header alone: a small file may unpack to gigabytes."""
    try:
        with Image.open(io.BytesIO(raw), formats=("PNG", "JPEG")) as header:
            pixels = header.width * header.height
    except Image.DecompressionBombError:
        pixels = MAX_PIXELS + 1
    except (OSError, ValueError, SyntaxError) as error:  # what Pillow raises for what it cannot read
        raise BadInput("the data: URL holds no readable picture", "send a whole PNG or JPEG file") from error
    if pixels > MAX_PIXELS:
        raise BadInput(f"the picture has more than {MAX_PIXELS // 10**6} million pixels", "send a smaller one")
