"""Structured logs, one JSON object a line on standard error, without content and without secrets.

What keeps them so: keys whose values are content or secrets are refused by name; values that are not plain
(bytes, structs, unknown objects) show as their type; a text is cut; an exception shows its type and its
frames, never its message, because drivers and parsers put values into theirs.
"""

import logging
import sys
from collections.abc import Mapping, MutableMapping
from datetime import datetime
from enum import Enum
from typing import Any, Final, TextIO
from uuid import UUID

import msgspec
import structlog

REFUSED_KEYS: Final = frozenset(
    {
        "access_token",
        "authorization",
        "body",
        "code",
        "content",
        "cookie",
        "dek_key",
        "display_name",
        "email",
        "key",
        "message_text",
        "name",
        "password",
        "payload",
        "plaintext",
        "private",
        "refresh_token",
        "secret",
        "subject_name",
        "text",
        "token",
        "user_name",
    }
)
"""Keys that no log line has, at any depth."""
LONGEST_TEXT: Final = 500
LONGEST_LIST: Final = 50
_CHAIN: Final = 5
_FRAMES: Final = 12
_DEPTH: Final = 4
_QUIET: Final = ("uvicorn", "httpx", "httpcore", "hvac", "urllib3", "asyncio", "alembic", "websockets")


class ContentRefused(AssertionError):
    """A log line would have held content; raised by strict logging alone, in tests."""


class ContentGuard:
    """The processor that keeps content and secrets out of every line."""

    def __init__(self, *, strict: bool = False) -> None:
        """Refuse silently but visibly (the line names what it left out), or raise when `strict`."""
        self._strict = strict

    def __call__(self, _logger: object, _method: str, line: MutableMapping[str, Any]) -> dict[str, Any]:
        """Return the line without refused keys. Raises ContentRefused when strict."""
        refused: list[str] = []
        kept = _kept(line, refused, _DEPTH)
        if refused:
            if self._strict:
                msg = f"a log line may not have {', '.join(sorted(refused))}"
                raise ContentRefused(msg)
            kept["refused"] = sorted(refused)
        return kept


def _kept(fields: Mapping[Any, Any], refused: list[str], depth: int) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    for key, value in fields.items():
        if str(key).lower() in REFUSED_KEYS:
            refused.append(str(key).lower())
        else:
            kept[str(key)] = _plain(value, refused, depth)
    return kept


def _plain(value: object, refused: list[str], depth: int) -> object:
    """Return what a line may show of a value."""
    shown: object
    match value:
        case Enum():
            shown = value.name
        case None | bool() | int() | float():
            shown = value
        case str():
            shown = value if len(value) <= LONGEST_TEXT else value[:LONGEST_TEXT] + "…"
        case UUID() | datetime():
            shown = str(value)
        case Mapping() if depth:
            shown = _kept(value, refused, depth - 1)
        case list() | tuple() | set() | frozenset() if depth:
            shown = [_plain(item, refused, depth - 1) for item in list(value)[:LONGEST_LIST]]
        case _:
            shown = f"<{type(value).__name__}>"
    return shown


def show_exceptions(
    _logger: object, _method: str, line: MutableMapping[str, Any]
) -> MutableMapping[str, Any]:
    """Replace `exc_info` by the exception's type and frames; its message stays out."""
    info = line.pop("exc_info", None)
    if info is True:
        info = sys.exc_info()
    error = info[1] if isinstance(info, tuple) else info
    if isinstance(error, BaseException):
        line["exception"] = exception_facts(error)
    return line


def exception_facts(error: BaseException) -> list[dict[str, object]]:
    """Return, from the error to its first cause, each one's type and its innermost frames."""
    facts: list[dict[str, object]] = []
    link: BaseException | None = error
    while link is not None and len(facts) < _CHAIN:
        facts.append({"type": f"{type(link).__module__}.{type(link).__qualname__}", "at": _frames_of(link)})
        link = link.__cause__ or (None if link.__suppress_context__ else link.__context__)
    return facts


def _frames_of(error: BaseException) -> list[str]:
    frames: list[str] = []
    trace = error.__traceback__
    while trace is not None:
        code = trace.tb_frame.f_code
        frames.append(f"{_short(code.co_filename)}:{trace.tb_lineno} {code.co_name}")
        trace = trace.tb_next
    return frames[-_FRAMES:]


def _short(path: str) -> str:
    """Return the module's own part of a path, without where this machine keeps it."""
    return "/".join(path.rpartition("/site-packages/")[2].split("/")[-4:])


def configure_logging(
    service: str, *, level: str = "info", stream: TextIO | None = None, strict: bool = False
) -> None:
    """Send structlog and the standard library's loggers to `stream` (standard error) as JSON lines.

    Call it once in each process, after the fork. `strict` raises where content would be logged.
    """
    guard = ContentGuard(strict=strict)
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        show_exceptions,
        guard,
        _named(service),
    ]
    renderer = structlog.processors.JSONRenderer(serializer=_json)
    threshold = logging.getLevelNamesMapping()[level.upper()]
    structlog.configure(
        processors=[*shared, renderer],
        wrapper_class=structlog.make_filtering_bound_logger(threshold),
        logger_factory=structlog.PrintLoggerFactory(stream or sys.stderr),
        cache_logger_on_first_use=False,
    )
    target = logging.StreamHandler(stream or sys.stderr)
    target.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[structlog.stdlib.ExtraAdder(), *shared],
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, renderer],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [target]
    root.setLevel(threshold)
    for noisy in _QUIET:
        logging.getLogger(noisy).setLevel(max(threshold, logging.WARNING))


def get_logger() -> structlog.typing.FilteringBoundLogger:
    """Return a logger: `log.info("committed", entries=12)`; the first text says what, facts are keywords."""
    logger: structlog.typing.FilteringBoundLogger = structlog.get_logger()
    return logger


def _named(service: str) -> structlog.typing.Processor:
    def name(_logger: object, _method: str, line: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
        line["service"] = service
        return line

    return name


def _json(line: object, **_options: object) -> str:
    return msgspec.json.encode(line).decode()
