"""OpenAI's request in; what chordae does not honour is refused rather than ignored, and nothing is fetched."""

import json
import re
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from chordae.deployments import openai_api
from chordae.deployments.openai_api import ChatRequest, for_engine, question_of, text_of
from chordae.platform.errors import BadInput
from chordae.platform.schemas import Answer, Provenance, WeightsVersion

ID, OTHER = "a" * 64, "b" * 64


def parse(request: Any, longest: int = 100) -> ChatRequest:
    body = request if isinstance(request, bytes) else json.dumps(request).encode()
    return openai_api.parse(body, lambda url: OTHER, longest)


def text(words: str) -> dict[str, Any]:
    return {"type": "text", "text": words}


def picture(url: Any) -> dict[str, Any]:
    return {"type": "image_url", "image_url": {"url": url}}


def video(url: Any) -> dict[str, Any]:
    return {"type": "video_url", "video_url": {"url": url}}


def user(*content: Any, **fields: Any) -> dict[str, Any]:
    return {"messages": [{"role": "user", "content": list(content)}], **fields}


def test_a_plain_question_is_a_request() -> None:
    request = parse({"messages": [{"role": "user", "content": "What is the rhythm?"}]})
    assert (request.model, request.stream, request.chordae.probe) == ("chordae", False, True)
    assert question_of(request).text == "What is the rhythm?"


@pytest.mark.parametrize("url", [ID, f"media:{ID}", f"/media/{ID}"])
def test_media_are_named_by_their_id_in_any_of_three_ways(url: str) -> None:
    assert question_of(parse(user(picture(url), text("Q")))).media == (ID,)


def test_pictures_and_videos_are_named_side_by_side_and_stay_what_they_are() -> None:
    request = parse(user(text("Q"), picture(ID), video(OTHER)))
    assert question_of(request).media == (ID, OTHER)
    assert [part["type"] for part in request.messages[0]["content"]] == ["image_url", "video_url", "text"]


def test_a_video_does_not_come_with_the_question() -> None:
    with pytest.raises(BadInput, match="upload its study"):
        parse(user(video("data:video/mp4;base64,AAAA"), text("Q")))


def test_a_picture_that_comes_with_the_question_is_kept_under_an_id() -> None:
    assert question_of(parse(user(picture("data:image/png;base64,AAAA"), text("Q")))).media == (OTHER,)


@pytest.mark.parametrize(
    "content",
    [[text("a"), picture(ID), text("b")], [picture(ID), text("a"), text("b")], [text("a"), text("b"), picture(ID)]],
)
def test_media_come_before_the_text_whatever_order_they_were_sent_in(content: list[Any]) -> None:
    (message,) = parse(user(*content)).messages
    assert [part["type"] for part in message["content"]] == ["image_url", "text", "text"]
    assert text_of(message) == "a\nb"


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/ecg.png",
        "https://example.org/ecg.png",
        "HTTPS://EXAMPLE.ORG/ecg.png",
        "file:///etc/passwd",
        "FILE:///etc/passwd",
        "ftp://example.org/x",
        f"http://example.org/media/{ID}",
        f"//example.org/media/{ID}",
        f"/media/../media/{ID}",
        f"/media/{ID}/../../etc/passwd",
        f" {ID}",
        f"{ID}\n",
        ID.upper(),
        "DATA:image/png;base64,AAAA",
        "../../etc/passwd",
        "/etc/passwd",
        "",
        None,
        7,
        {"url": ID},
    ],
)
@pytest.mark.parametrize("part", [picture, video])
def test_any_other_address_is_refused(part: Any, url: Any) -> None:
    with pytest.raises(BadInput, match="not fetched"):
        parse(user(part(url), text("Q")))


@pytest.mark.parametrize(
    "part",
    [
        {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
        {"type": "video_url", "video_url": ID},
        {"type": "video_url", "image_url": {"url": ID}},
        {"type": "image_url", "image_url": ID},
        {"type": "image_url"},
        {"type": "text"},
        {"type": "text", "text": None},
        {"text": "typeless"},
        {"type": ["text"], "text": "x"},
        {},
    ],
)
def test_a_part_that_is_neither_text_nor_picture_is_refused(part: dict[str, Any]) -> None:
    with pytest.raises(BadInput, match="unsupported content part"):
        parse(user(part, text("Q")))


@pytest.mark.parametrize(
    "field", ["tools", "functions", "tool_choice", "logit_bias", "modalities", "audio", "store", "Messages", "probe"]
)
def test_a_field_that_is_not_honoured_is_refused_by_name(field: str) -> None:
    with pytest.raises(BadInput, match=field):
        parse(user(text("Q"), **{field: []}))


def test_an_unknown_option_of_the_extension_is_refused_by_name() -> None:
    with pytest.raises(BadInput, match=r"chordae\.prob"):
        parse(user(text("Q"), chordae={"prob": False}))


@pytest.mark.parametrize("body", [b"", b"{", b"null", b"[]", b'"x"', b"\xff\xfe", b"{}", b'{"messages": "x"}'])
def test_a_body_that_is_no_request_is_refused_in_one_line(body: bytes) -> None:
    with pytest.raises(BadInput) as refusal:
        parse(body)
    assert "\n" not in str(refusal.value)


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": ""}],
        [{"role": "user", "content": " \n\t"}],
        [{"role": "user", "content": []}],
        [{"role": "user", "content": [text("")]}],
        [{"role": "user", "content": [picture(ID)]}],
        [{"role": "user", "content": "Q"}, {"role": "user", "content": ""}],
        [{"role": "system", "content": "Q"}],
        [{"role": "assistant", "content": "Q"}],
    ],
)
def test_an_empty_question_is_refused(messages: list[Any]) -> None:
    with pytest.raises(BadInput, match="question is empty"):
        parse({"messages": messages})


@pytest.mark.parametrize("role", ["tool", "developer", "User", "", None, 3, ["user"], {}])
def test_an_unknown_role_is_refused(role: Any) -> None:
    with pytest.raises(BadInput, match="unknown role"):
        parse({"messages": [{"role": role, "content": "Q"}]})


@pytest.mark.parametrize("content", [None, 3, {}, ["text"], [None], [[text("Q")]]])
def test_a_message_without_content_is_refused(content: Any) -> None:
    with pytest.raises(BadInput, match="no content"):
        parse({"messages": [{"role": "user", "content": content}]})


def test_the_longest_question_is_answered_and_one_character_more_is_refused() -> None:
    parse(user(text("x" * 100)))
    with pytest.raises(BadInput, match=r"101 characters.*100 or fewer"):
        parse(user(text("x" * 101)))


def test_the_question_is_the_last_one_and_its_media_are_the_conversations() -> None:
    messages = [
        {"role": "system", "content": "You are a cardiologist."},
        {"role": "user", "content": [text("What is the rhythm?"), picture(ID)]},
        {"role": "assistant", "content": "Sinus rhythm."},
        {"role": "user", "content": [picture(ID), text(" And the axis? ")]},
    ]
    question = question_of(parse({"messages": messages}))
    assert (question.text, question.media) == ("And the axis?", (ID,))


def test_an_engine_gets_what_the_caller_set_and_nothing_of_the_callers_own() -> None:
    request = user(
        text("Q"), model="gpt-4", stream=True, user="dr-jones", metadata={"a": "b"}, n=2, seed=0, temperature=0.0
    )
    assert for_engine(parse(request)) == {"messages": [*user(text("Q"))["messages"]]} | {
        "n": 2,
        "seed": 0,
        "temperature": 0.0,
    }


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=10), inner, max_size=4),
    max_leaves=12,
)
urls = st.one_of(json_values, st.sampled_from([ID, f"media:{ID}", "data:image/png;base64,AAAA", "http://x/y.png"]))
parts = st.one_of(
    json_values,
    st.builds(text, st.text(max_size=30)),
    st.builds(picture, urls),
    st.fixed_dictionaries(
        {"type": st.sampled_from(["text", "image_url"]) | json_values}, optional={"text": json_values}
    ),
)
message_values = st.one_of(
    json_values,
    st.fixed_dictionaries(
        {"role": st.sampled_from(["system", "user", "assistant"]) | json_values},
        optional={"content": st.text(max_size=30) | st.lists(parts, max_size=4) | json_values, "name": json_values},
    ),
)
good_parts = st.builds(text, st.text(max_size=30)) | st.builds(picture, st.sampled_from([ID, f"media:{ID}"]))
requests = st.one_of(
    json_values,
    st.lists(good_parts, max_size=4).map(lambda content: user(*content)),
    st.fixed_dictionaries(
        {"messages": st.lists(message_values, max_size=4) | json_values},
        optional={field: json_values for field in ChatRequest.model_fields if field != "messages"},
    ),
)


@hypothesis_settings(max_examples=200, deadline=None)
@given(requests)
@example({"messages": [{"role": "user", "content": "\ud800"}]})
@example({"messages": [{"role": "user", "content": "\x00"}]})
@example({"messages": [{"role": 10**400, "content": "Q"}]})
def test_any_json_is_either_a_request_or_refused_in_words_that_can_be_sent(request: Any) -> None:
    try:
        parsed = parse(request)
    except BadInput as refusal:
        assert json.dumps(openai_api.error_body(refusal), ensure_ascii=False).encode()
        return
    assert 0 < len(question_of(parsed).text) <= 100
    assert all(re.fullmatch("[0-9a-f]{64}", media_id) for media_id in question_of(parsed).media)
    json.dumps(for_engine(parsed), ensure_ascii=False).encode()


@hypothesis_settings(max_examples=100, deadline=None)
@given(st.binary(max_size=60))
def test_any_bytes_are_either_a_request_or_refused(body: bytes) -> None:
    with pytest.raises(BadInput):
        parse(body)


ANSWER = Answer(
    text="Sinus rhythm.",
    flagged=None,
    finish_reason="stop",
    provenance=Provenance(
        request_id="r1",
        weights=(WeightsVersion(name="ecg-fake", version="7", digest="d" * 64),),
        media=(ID,),
        settings_digest="s",
    ),
)


def test_an_answer_has_openais_shape_and_its_provenance_beside_it() -> None:
    completion = openai_api.completion(ANSWER, "chordae")
    assert completion["choices"][0]["message"] == {"role": "assistant", "content": "Sinus rhythm."}
    assert completion["chordae"]["provenance"]["media"] == [ID]
    assert "metadata" not in completion


def test_provenance_headers_are_plain_text() -> None:
    headers = openai_api.provenance_headers(ANSWER.provenance.model_dump())
    assert headers["x-chordae-weights"] == f"ecg-fake@7:{'d' * 16}"
    assert all(value.isascii() and "\n" not in value for value in headers.values())


def test_what_a_probed_answer_cannot_honour_is_refused_and_the_rest_reaches_the_engine() -> None:
    sampling = {"temperature": 0.2, "max_tokens": 5, "stop": ["."], "seed": 1}
    asked = question_of(parse(user(text("Q"), stream=True, user="u", **sampling)))
    assert asked.sampling == sampling
    for field, value in {"n": 2, "logprobs": True, "response_format": {"type": "json_object"}}.items():
        with pytest.raises(BadInput, match=field):
            question_of(parse(user(text("Q"), **{field: value})))


OURS = frozenset({"localhost", "127.0.0.1", "heart.example", "[::1]"})


@pytest.mark.parametrize(
    "url",
    [
        f"http://localhost:8775/media/{ID}",
        f"http://127.0.0.1/media/{ID}",
        f"https://heart.example:8770/media/{ID}",
        f"HTTPS://Heart.Example/media/{ID}",
        f"http://[::1]:8765/media/{ID}",
    ],
)
@pytest.mark.parametrize("part", [picture, video])
def test_an_address_of_our_own_is_the_id_in_it(part: Any, url: str) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": [part(url), text("Q")]}]}).encode()
    (message,) = openai_api.parse(body, lambda url: OTHER, 100, OURS).messages
    assert openai_api.media_id_of(message["content"][0]) == ID


@pytest.mark.parametrize(
    "url",
    [
        f"http://evil.example/media/{ID}",
        f"http://heart.example.evil.example/media/{ID}",
        f"http://heart.example@evil.example/media/{ID}",
        f"http://evil.example@heart.example/media/{ID}",
        f"http://evil.example#@heart.example/media/{ID}",
        f"http://evil.example\\@heart.example/media/{ID}",
        f"http://localhost:8775/media/{ID}?x=1",
        f"http://localhost:8775/media/{ID}#x",
        f"http://localhost:8775/x/media/{ID}",
        f"http://localhost:8775//media/{ID}",
        f"http://localhost:/media/{ID}",
        f"http://localhost:99999999/media/{ID}",
        f"http:///media/{ID}",
        f"ftp://localhost/media/{ID}",
        f"file://localhost/media/{ID}",
        "http://localhost/media/",
    ],
)
def test_an_address_that_is_almost_our_own_is_refused(url: str) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": [picture(url), text("Q")]}]}).encode()
    with pytest.raises(BadInput, match="not fetched"):
        openai_api.parse(body, lambda url: OTHER, 100, OURS)


@pytest.mark.parametrize(
    ("header", "host"),
    [
        ("Heart.Example:8770", "heart.example"),
        ("127.0.0.1", "127.0.0.1"),
        ("[::1]:8080", "[::1]"),
        ("", None),
        ("a b", None),
        ("a@b", None),
        (":80", None),
    ],
)
def test_a_host_header_names_a_host_or_nothing(header: str, host: str | None) -> None:
    assert openai_api.host_of(header) == host
