"""The log of a bridge: requests and events, one line each, for people or as JSON.

No line has a token, a key or a query in it; those who log see to it.
"""

from __future__ import annotations

import json
import logging
from datetime import UTC, datetime

from aiohttp import web
from aiohttp.abc import AbstractAccessLogger
from aiohttp.http_exceptions import HttpProcessingError

from .keys import ADDRESS, ROUTE

LOGGER = logging.getLogger("ipconf.bridge")
ACCESS = logging.getLogger("ipconf.bridge.access")
HTTP = logging.getLogger("ipconf.bridge.http")
"""What aiohttp says of requests."""
QUIET = ("aiohttp", "aioice", "aiortc", "asyncio")
"""Libraries: only their warnings and errors are told, as below that they tell whole requests."""
SOCKETS = "aiohttp.websocket"
"""Its warnings have text of clients in them."""

FILES = ("/", "/static")
"""Routes whose files are asked for by every visit: they are told at debug level alone."""
NO_BODY = (204, 304)
"""Statuses of answers that have none (RFC 9110 section 6.4.1)."""

Field = str | int | float | bool | None


def _is_ours(record: logging.LogRecord) -> bool:
    """False for what says that a client's request was no HTTP: it has the request in it."""
    return not (record.exc_info and isinstance(record.exc_info[1], HttpProcessingError))


HTTP.addFilter(_is_ours)


def tell(event: str, level: int = logging.INFO, /, **fields: Field) -> None:
    """Log an event of the bridge, `joined` say, with what belongs to it."""
    LOGGER.log(level, event, extra={"fields": fields})


def set_up_log(form: str, level: str) -> None:
    """Log to standard error from now on, as "text" or "json"."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines() if form == "json" else TextLines())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)
    for name in QUIET:
        logging.getLogger(name).setLevel(max(logging.WARNING, logging.getLogger().level))
    logging.getLogger(SOCKETS).setLevel(logging.ERROR)


def _fields(record: logging.LogRecord) -> dict[str, Field]:
    return getattr(record, "fields", {})


def _when(record: logging.LogRecord) -> str:
    return datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")


class TextLines(logging.Formatter):
    """`2026-01-31T12:00:00.000+00:00 INFO joined room="lobby" kind="page"`."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, and a traceback where there is one."""
        values = [f"{key}={json.dumps(value)}" for key, value in _fields(record).items()]
        line = " ".join([_when(record), record.levelname, record.getMessage(), *values])
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


class JsonLines(logging.Formatter):
    """One object a line: time, level, logger, event, and what belongs to the event."""

    def format(self, record: logging.LogRecord) -> str:
        """One line, whatever is in it."""
        values = {
            "time": _when(record),
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
            **_fields(record),
        }
        if record.exc_info:
            values["traceback"] = self.formatException(record.exc_info)
        return json.dumps(values)


def _body_length(request: web.BaseRequest, response: web.StreamResponse) -> int:
    """How long the answer's body is, in bytes; aiohttp counts headers, and no files."""
    if request.method == "HEAD" or response.status in NO_BODY:
        return 0
    return response.content_length or 0


class AccessLog(AbstractAccessLogger):
    """One line a request, with the route in place of the path, which has rooms and keys in it."""

    @property
    def enabled(self) -> bool:
        """Whether lines of requests are wanted at all."""
        return self.logger.isEnabledFor(logging.INFO)

    def log(self, request: web.BaseRequest, response: web.StreamResponse, time: float) -> None:
        """Called by aiohttp when a request is done; of a WebSocket, when it is closed."""
        route = request.get(ROUTE, "")
        of_page = route in FILES and response.status < 400
        self.logger.log(
            logging.DEBUG if of_page else logging.INFO,
            "request",
            extra={
                "fields": {
                    "address": request.get(ADDRESS, request.remote),
                    "method": request.method,
                    "route": route,
                    "status": response.status,
                    "bytes": _body_length(request, response),
                    "seconds": round(time, 4),
                }
            },
        )
