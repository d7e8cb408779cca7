"""Fixtures for every test."""

import sys
from collections.abc import Iterator

import pytest
import structlog

from libs.telemetry.logs import ContentGuard, show_exceptions

pytest_plugins = ["tests.support.engines", "tests.support.platform"]


@pytest.fixture(autouse=True)
def lines_of_the_log() -> Iterator[None]:
    """Log as processes do, strictly: a line with content is an error.

    structlog's own default draws each exception with all its variables, which takes seconds.
    """
    structlog.configure(
        processors=[
            structlog.contextvars.merge_contextvars,
            structlog.processors.add_log_level,
            show_exceptions,
            ContentGuard(strict=True),
            structlog.processors.JSONRenderer(),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
        cache_logger_on_first_use=False,
    )
    yield
    structlog.reset_defaults()
