"""Serve logs what a replica raises; of the project's own errors only status and code may get there."""

import logging

import pytest

from chordae.platform.errors import BadInput
from chordae.platform.telemetry import keep_requests_out_of_logs


def logged(error: Exception, caplog: pytest.LogCaptureFixture) -> str:
    logger = logging.getLogger("ray.serve")
    keep_requests_out_of_logs()
    keep_requests_out_of_logs()
    with caplog.at_level(logging.ERROR, logger="ray.serve"):
        logger.addHandler(caplog.handler)
        try:
            raise error
        except Exception:  # logged, as Serve does: what the log then holds is the test
            logger.exception("Request failed.")
        finally:
            logger.removeHandler(caplog.handler)
    return caplog.text


def test_a_refusal_is_logged_without_its_words(caplog: pytest.LogCaptureFixture) -> None:
    error = BadInput("Mr Smith has AF", "rephrase")
    error.__cause__ = ValueError("input_value='Mr Smith has AF'")
    text = logged(error, caplog)
    assert "400 bad_input" in text and "Smith" not in text and "Traceback" not in text


def test_a_fault_of_the_code_is_logged_whole(caplog: pytest.LogCaptureFixture) -> None:
    assert "Traceback" in logged(KeyError("settings"), caplog)
