"""Pictures that come with the question, and what pretends to be one."""

import base64
import struct
import zlib

import cv2
import httpx
import numpy as np
import pytest
from asking import kept, question, told
from fakes import png

from chordae.platform.media import MediaStore
from chordae.platform.settings import Settings


def data_url(content: bytes, kind: str = "image/png") -> str:
    return f"data:{kind};base64,{base64.b64encode(content).decode()}"


@pytest.mark.parametrize(("kind", "extension"), [("image/png", ".png"), ("image/jpeg", ".jpg")])
async def test_a_picture_can_come_with_the_question(
    http: httpx.AsyncClient, settings: Settings, kind: str, extension: str
) -> None:
    picture = cv2.imencode(extension, np.zeros((40, 50, 3), np.uint8))[1].tobytes()
    reply = await http.post("/v1/chat/completions", json=question(data_url(picture, kind)))
    assert reply.status_code == 200, reply.text
    (media_id,) = reply.json()["chordae"]["provenance"]["media"]
    assert MediaStore(settings.media_dir).get(media_id).modality == "ecg"


def png_header(width: int, height: int) -> bytes:
    """A PNG that claims to be that large and holds next to nothing."""

    def chunk(kind: bytes, content: bytes) -> bytes:
        return struct.pack(">I", len(content)) + kind + content + struct.pack(">I", zlib.crc32(kind + content))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(b"\0" * 100)) + chunk(b"IEND", b"")


BAD_DATA = {
    "another kind": data_url(png(), "image/gif"),
    "a page": data_url(b"<html>", "text/html"),
    "not base64": "data:image/png;base64,!!!!",
    "letters beyond ASCII": "data:image/png;base64,é☃",
    "nothing": "data:image/png;base64,",
    "no comma": "data:image/png;base64",
    "not encoded": "data:image/png,AAAA",
    "no picture": data_url(b"no picture at all"),
    "half a header": data_url(png()[:20]),
    "more pixels than memory": data_url(png_header(2**31 - 1, 2**31 - 1)),
    "ten thousand million pixels": data_url(png_header(100_000, 100_000)),
    "no pixels": data_url(png_header(0, 0)),
    "another format under a false name": data_url(cv2.imencode(".tiff", np.zeros((8, 8, 3), np.uint8))[1].tobytes()),
    "one that only OpenCV knows": data_url(cv2.imencode(".hdr", np.zeros((8, 8, 3), np.float32))[1].tobytes()),
    "gigabytes in a small file": data_url(cv2.imencode(".png", np.zeros((5000, 5000), np.uint8))[1].tobytes()),
}


@pytest.mark.parametrize("url", BAD_DATA.values(), ids=BAD_DATA.keys())
async def test_a_bad_data_url_is_a_400_in_one_line_and_leaves_nothing(
    http: httpx.AsyncClient, settings: Settings, url: str
) -> None:
    reply = await http.post("/v1/chat/completions", json=question(url))
    assert reply.status_code == 400
    told(reply)
    assert kept(settings) == []
