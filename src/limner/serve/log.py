"""What a server says of itself: lines for people, or one JSON object a line. Never a prompt, a query or a token."""

from __future__ import annotations

import json
import logging
import sys
import time
from typing import TextIO

FACTS = ("id", "method", "path", "status", "ms", "bytes", "job", "kind", "state", "seconds")
"""What a record may carry beside its message, as ``extra``."""
FORMS = "python_multipart"
"""Without a handler its warnings would be bare lines on stderr."""


class JsonLines(logging.Formatter):
    """One JSON object a line: time (ISO 8601, UTC), level, event, and the facts there are."""

    def format(self, record: logging.LogRecord) -> str:
        said: dict[str, object] = {
            "time": time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created)) + f".{int(record.msecs):03d}Z",
            "level": record.levelname.lower(),
            "logger": record.name,
            "event": record.getMessage(),
        }
        said |= {name: getattr(record, name) for name in FACTS if hasattr(record, name)}
        if record.exc_info:
            said["exception"] = self.formatException(record.exc_info)
        return json.dumps(said, ensure_ascii=True, default=str)


class Lines(logging.Formatter):
    """A line for people."""

    def __init__(self) -> None:
        super().__init__("%(asctime)s %(levelname)s %(message)s", "%H:%M:%S")

    def format(self, record: logging.LogRecord) -> str:
        facts = " ".join(f"{name}={getattr(record, name)}" for name in FACTS if hasattr(record, name))
        line = super().format(record)
        head, newline, rest = line.partition("\n")
        return f"{head} {facts}".rstrip() + newline + rest


def set_up(*, as_json: bool = False, verbose: bool = False, stream: TextIO | None = None) -> logging.Handler:
    """Let the server's and uvicorn's loggers write to ``stream`` (stderr): with ``verbose`` or as JSON every request,
    else what went wrong. The parser of forms has a logger of its own: its warnings go there too. Returns the
    handler."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(JsonLines() if as_json else Lines())
    for name in ("limner", "uvicorn", FORMS):
        logger = logging.getLogger(name)
        logger.handlers = [handler]
        logger.propagate = False
        logger.setLevel(logging.INFO if (as_json or verbose) and name != FORMS else logging.WARNING)
    return handler
