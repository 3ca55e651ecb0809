"""Whatever the OpenAPI document allows, and much that it does not, is never answered with a server error."""

from collections import Counter
from pathlib import Path
from typing import Any

import schemathesis
from fakes import FakeEngine, Platform, three_experts
from hypothesis import HealthCheck, given
from hypothesis import settings as hypothesis_settings
from hypothesis.errors import Unsatisfiable
from schemathesis import GenerationMode

EXAMPLES = 25
"""Of requests that are as documented and of ones that are not, for every operation."""


def test_no_request_makes_the_server_fail(tmp_path: Path, model_dir: Path) -> None:
    platform = Platform(three_experts(tmp_path, model_dir), FakeEngine())
    mounted: Any = platform.app.routes[-1]  # the gateway, after the experts
    schema = schemathesis.openapi.from_asgi("/openapi.json", mounted.app)
    asked, sent = [], Counter[GenerationMode]()
    for found in schema.get_all_operations():
        operation = found.ok()
        asked.append(operation.label)
        for mode in (GenerationMode.POSITIVE, GenerationMode.NEGATIVE):

            @hypothesis_settings(max_examples=EXAMPLES, deadline=None, suppress_health_check=list(HealthCheck))
            @given(case=operation.as_strategy(generation_mode=mode))
            def send(case: Any) -> None:
                reply = case.call()
                assert reply.status_code < 500, f"{case.as_curl_command()}: {reply.text}"

            try:
                send()
                sent[mode] += 1
            except Unsatisfiable:  # every value is as documented, so that none can be wrong
                assert mode == GenerationMode.NEGATIVE, operation.label
    assert sent[GenerationMode.NEGATIVE] >= 4
    assert {"POST /v1/studies", "POST /v1/answers", "GET /v1/answers/{answer_id}", "POST /media"} <= set(asked)
