"""What may reach a log: that a request was refused or failed and how, never what it said."""

import logging

from chordae.platform.errors import ChordaeError


class _NoRequests(logging.Filter):
    """Serve logs every error of a replica with its traceback, whose causes may quote the request."""

    def filter(self, record: logging.LogRecord) -> bool:
        error = record.exc_info[1] if record.exc_info else None
        if isinstance(error, ChordaeError):
            record.msg, record.args = f"request ended with {error.status} {error.code}", ()
            record.exc_info = record.exc_text = None
        return True


def keep_requests_out_of_logs() -> None:
    """In this process: the project's own errors are logged by status and code alone. Safe to call again."""
    logger = logging.getLogger("ray.serve")
    if not any(isinstance(one, _NoRequests) for one in logger.filters):
        logger.addFilter(_NoRequests())
