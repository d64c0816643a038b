"""Structured logs on standard error, as text or JSON, with every known secret masked."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Iterable

import structlog
from pydantic import BaseModel, SecretStr
from structlog.typing import EventDict, Processor

MASK = "[redacted]"
_OF_SEVERAL_LINES = ("exception", "card", "call")
"""Keys whose text we laid out ourselves, lines included."""


def secrets_of(settings: BaseModel) -> tuple[str, ...]:
    """Every secret text of the settings, and the token part of the Discord URL by itself."""
    texts = [v.get_secret_value() for _, v in settings if isinstance(v, SecretStr)]
    texts += [text.rpartition("/")[2] for text in texts if "/webhooks/" in text]
    return tuple(sorted({text for text in texts if text}, key=len, reverse=True))


def masking(secrets: Iterable[str]) -> Processor:
    """The last line of defence: a secret that got into an event by whatever way is masked in it."""
    known = tuple(secrets)

    def mask(_logger: object, _method: str, event: EventDict) -> EventDict:
        for key, value in event.items():
            text = value if isinstance(value, str) else str(value)
            if any(secret in text for secret in known):
                for secret in known:
                    text = text.replace(secret, MASK)
                event[key] = text
        return event

    return mask


def tame(_logger: object, _method: str, event: EventDict) -> EventDict:
    """Labels come from outside: none may drive the terminal or begin a line of its own in the log."""
    for key, value in event.items():
        if isinstance(value, str) and not value.isprintable():
            kept = "\n" if key in _OF_SEVERAL_LINES else ""
            event[key] = "".join(
                c if c.isprintable() or c in kept else c.encode("unicode_escape").decode()
                for c in value
            )
    return event


def shorten_protocol_faults(record: logging.LogRecord) -> bool:
    """A caller that speaks no proper HTTP is a line of warning; a fault of our own keeps its traceback.

    Nothing of what the caller sent is told: it may be half of a secret.
    """
    from aiohttp.http_exceptions import HttpProcessingError  # noqa: PLC0415 - the process has it; no other command shall wait for it
    from aiohttp.web import RequestPayloadError  # noqa: PLC0415

    fault = record.exc_info[1] if record.exc_info else None
    if not isinstance(fault, HttpProcessingError | RequestPayloadError):
        return True
    message = fault.message if isinstance(fault, HttpProcessingError) else ""
    words = re.split(r"\n|:?\s*b?['\"]", message.strip(), maxsplit=1)[0].strip(" :")
    told = f"{type(fault).__name__}: {words}" if words else type(fault).__name__
    caller = record.args[0] if isinstance(record.args, tuple) and record.args else "a caller"
    record.msg, record.args = "no proper HTTP from %s (%s)", (caller, told)
    record.exc_info = record.exc_text = None
    record.levelno, record.levelname = logging.WARNING, "WARNING"
    return logging.getLogger(record.name).isEnabledFor(logging.WARNING)


def set_up(log_format: str, level: str, secrets: Iterable[str]) -> None:
    """Configure structlog and, through it, every library's standard logging."""
    shared: list[Processor] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
        masking(secrets),
        tame,
    ]
    as_json = log_format == "json"
    renderer: Processor = (
        structlog.processors.JSONRenderer()
        if as_json
        else structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty())
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=False,
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(foreign_pre_chain=shared, processor=renderer)
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiohttp.server").addFilter(shorten_protocol_faults)
    logging.getLogger("aiohttp.access").setLevel(logging.WARNING)
