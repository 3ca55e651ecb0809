"""Likert scores: the offline judge against grades by hand, the endpoint against a server that misbehaves."""

import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from cohorts import samples

from chordae.cohort.dataset import Item
from chordae.cohort.items import build_items
from chordae.learning.judge import OFFLINE_AGREEMENT, ClaimJudge, EndpointJudge, agreement, read_score
from chordae.platform.errors import BadInput, ExpertUnavailable

GRADED: list[dict[str, Any]] = json.loads((Path(__file__).parent / "graded_answers.json").read_text())


def as_item(row: dict[str, Any]) -> Item:
    return Item(
        id=row["id"],
        patient=row["id"],
        site="university",
        modality=row["modality"],
        media="",
        kind="vqa",
        category=row["topic"],
        topic=row["topic"],
        question=row["question"],
        answer=row["reference"],
        claims=tuple(row["claims"]),
    )


@pytest.mark.parametrize("wording", ["vocabulary", "free"])
def test_the_stated_agreement_with_grades_by_hand_is_what_it_is(wording: str) -> None:
    rows = [row for row in GRADED if row["wording"] == wording]
    given = ClaimJudge().judge([as_item(row) for row in rows], [row["answer"] for row in rows])
    kappa = agreement([one or 0 for one in given], [row["score"] for row in rows])
    assert (len(rows), round(kappa, 2)) == OFFLINE_AGREEMENT[wording]


def test_all_scores_occur_among_the_grades_by_hand() -> None:
    assert {row["score"] for row in GRADED} == {1, 2, 3, 4, 5}


def test_kappa_is_one_minus_weighted_disagreement_over_what_chance_gives() -> None:
    """Cohen, Psychol Bull 1968;70:213."""
    rng = np.random.default_rng(0)
    a = rng.integers(1, 6, 60)
    b = np.clip(a + rng.integers(-1, 2, 60), 1, 5)
    expected = np.mean([(x - y) ** 2 for x in a for y in b])
    assert agreement(a.tolist(), b.tolist()) == pytest.approx(1 - np.mean((a - b) ** 2) / expected)


@pytest.mark.parametrize("modality", ["ecg", "echo", "cmr"])
def test_every_reference_answer_scores_five(modality: str) -> None:
    items = build_items(samples(60, modality=modality), "vqa", 25, seed=2)  # type: ignore[arg-type]
    scores = ClaimJudge().judge(items, [item.answer for item in items])
    assert set(scores) == {5}, [i.answer for i, s in zip(items, scores, strict=True) if s != 5][:5]


def test_an_answer_that_declines_scores_one() -> None:
    items = build_items(samples(60), "vqa", 10, seed=2)
    assert set(ClaimJudge().judge(items, ["No echocardiogram was provided, so I cannot answer."] * len(items))) == {1}


def test_items_without_claims_are_refused_offline() -> None:
    item = as_item(GRADED[0]).model_copy(update={"claims": ()})
    with pytest.raises(BadInput, match="no claims"):
        ClaimJudge().judge([item], ["anything"])


@contextmanager
def endpoint(*replies: str | int) -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """A server that answers with the replies in turn, the last for ever; a number is an HTTP status."""
    seen: list[dict[str, Any]] = []

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            seen.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
            reply = replies[min(len(seen), len(replies)) - 1]
            status = reply if isinstance(reply, int) else 200
            choice = {"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": reply}}
            body = {"id": "1", "object": "chat.completion", "created": 0, "model": "m", "choices": [choice]}
            content = json.dumps(body if status == 200 else {"error": {"message": "no"}}).encode()
            self.send_response(status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(content)))
            self.end_headers()
            self.wfile.write(content)

        def log_message(self, *_: Any) -> None:
            """Quiet."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_port}/v1", seen
    finally:
        server.shutdown()
        server.server_close()


def test_an_endpoint_is_given_question_reference_claims_rubric_and_answer() -> None:
    with endpoint("Atrial fibrillation: made.\nScore: 4") as (url, seen):
        assert EndpointJudge(url, "judge").judge([as_item(GRADED[0])], ["AF it is"]) == [4]
    sent = seen[0]["messages"][0]["content"]
    for part in (GRADED[0]["question"], GRADED[0]["reference"], *GRADED[0]["claims"], "AF it is", "5: every claim"):
        assert part in sent
    assert seen[0]["temperature"] == 0.0


def test_a_reply_without_a_score_is_asked_for_once_more_and_then_stays_ungraded() -> None:
    with endpoint("Good answer.", "Score: 5") as (url, seen):
        assert EndpointJudge(url, "judge").judge([as_item(GRADED[0])], ["x"]) == [5]
        assert len(seen) == 2
    with endpoint("Ten out of ten.") as (url, _):
        assert EndpointJudge(url, "judge").judge([as_item(GRADED[0])], ["x"]) == [None]


def test_a_passing_failure_is_tried_again() -> None:
    with endpoint(503, "Score: 3") as (url, seen):
        assert EndpointJudge(url, "judge").judge([as_item(GRADED[0])], ["x"]) == [3]
        assert len(seen) == 2


def test_a_judge_that_is_not_there_is_refused_by_the_check() -> None:
    with pytest.raises(BadInput, match="does not answer"):
        EndpointJudge("http://127.0.0.1:9/v1", "judge").check()
    with endpoint(401) as (url, _), pytest.raises(BadInput, match="HTTP 401"):
        EndpointJudge(url, "judge").check()
    with endpoint("Score: 1") as (url, _):
        EndpointJudge(url, "judge").check()


def test_a_judge_that_goes_away_is_no_score() -> None:
    with endpoint(500) as (url, _), pytest.raises(ExpertUnavailable, match="stopped answering"):
        EndpointJudge(url, "judge", retries=0).judge([as_item(GRADED[0])], ["x"])


@pytest.mark.parametrize(
    ("reply", "score"),
    [
        ("Score: 4", 4),
        ("Claim one: 5 of 5.\n**Score: 2**", 2),
        ("Score: 3\nScore: 4\n", 4),
        ("score: 5.", 5),
        ("Score: 7", None),
        ("I would say 4", None),
        ("Score: 45", None),
        ("", None),
    ],
)
def test_only_a_line_with_a_score_is_a_score(reply: str, score: int | None) -> None:
    assert read_score(reply) == score
