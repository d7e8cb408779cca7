"""Logging as a process has it, into nothing."""

import io
import logging
from collections.abc import Iterator

import pytest
import structlog

from libs.telemetry.logs import configure_logging


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    configure_logging("trial", stream=io.StringIO())
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    structlog.reset_defaults()
