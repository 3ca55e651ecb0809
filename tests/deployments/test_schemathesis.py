"""Whatever the OpenAPI document allows, and much that it does not, is never answered with a server error."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import schemathesis
from fakes import FakeEngine, Platform, three_experts
from hypothesis import HealthCheck
from hypothesis import settings as hypothesis_settings


@pytest.fixture
def served(tmp_path: Path, model_dir: Path) -> Iterator[Any]:
    platform = Platform(three_experts(tmp_path, model_dir), FakeEngine())
    mounted: Any = platform.app.routes[-1]  # the gateway, after the experts
    yield schemathesis.openapi.from_asgi("/openapi.json", mounted.app)


schema = schemathesis.pytest.from_fixture("served")


@schema.parametrize()
@hypothesis_settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
def test_no_request_makes_the_server_fail(case: Any) -> None:
    assert case.call().status_code < 500
