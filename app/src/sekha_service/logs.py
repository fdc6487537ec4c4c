"""Log lines: one compact JSON object per line (or a line for people), to stdout and optionally a file."""

import logging
import logging.handlers
import sys
import time
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path

import orjson

TRACE = 5
_LEVELS = {
    "trace": TRACE,
    "debug": logging.DEBUG,
    "info": logging.INFO,
    "warn": logging.WARNING,
    "error": logging.ERROR,
}
_request_log = logging.getLogger("sekha.request")


def now_rfc3339() -> str:
    """The current time as RFC 3339 with `Z`."""
    milliseconds = time.time_ns() // 1_000_000
    return f"{_second(milliseconds // 1000)}.{milliseconds % 1000:03d}Z"


@lru_cache(4)
def _second(unix: int) -> str:
    return datetime.fromtimestamp(unix, UTC).strftime("%Y-%m-%dT%H:%M:%S")


class JsonFormatter(logging.Formatter):
    """`timestamp, level, message`, then the fields given as extra={"fields": {...}} in their order."""

    def format(self, record: logging.LogRecord) -> str:
        line = {"timestamp": now_rfc3339(), "level": _level_name(record), "message": record.getMessage()}
        line |= getattr(record, "fields", {})
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return orjson.dumps(line, default=str).decode()


class TextFormatter(logging.Formatter):
    """The same for people."""

    def format(self, record: logging.LogRecord) -> str:
        fields = " ".join(f"{key}={value}" for key, value in getattr(record, "fields", {}).items())
        line = f"{now_rfc3339()} {_level_name(record):5} {record.getMessage()} {fields}".rstrip()
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _level_name(record: logging.LogRecord) -> str:
    return {"WARNING": "WARN", "CRITICAL": "ERROR", "Level 5": "TRACE"}.get(record.levelname, record.levelname)


def setup(level: str, style: str, file: Path | None) -> None:
    """Send all log lines to stdout and `file`. A file that can't be opened is a warning, not a failure."""
    handlers: list[logging.Handler] = [logging.StreamHandler(sys.stdout)]
    problem = None
    if file:
        try:
            file.parent.mkdir(parents=True, exist_ok=True)
            # Notices that the file was moved away (log rotation) and opens a new one.
            handlers.append(logging.handlers.WatchedFileHandler(file, encoding="utf-8"))
        except OSError as error:
            problem = f"logging.file {file} cannot be written ({error}); logging to stdout only"
    for handler in handlers:
        handler.setFormatter(JsonFormatter() if style == "json" else TextFormatter())
    # What no line of ours shows needn't be found out for each of them.
    logging.logThreads = logging.logProcesses = logging.logMultiprocessing = False
    logging.basicConfig(level=_LEVELS[level], handlers=handlers, force=True)
    for noisy in ("httpx", "httpcore", "uvicorn", "uvicorn.error", "psycopg.pool"):
        logging.getLogger(noisy).setLevel(max(logging.WARNING, _LEVELS[level]) if level != "trace" else TRACE)
    if problem:
        logging.getLogger("sekha").warning(problem)


def reopen() -> None:
    """Open log files anew (SIGHUP)."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, logging.FileHandler):
            handler.close()  # the next line opens it again
            handler.stream = None


def request_line(request_id: str, method: str, path: str, status: int, seconds: float, ip: str) -> None:
    """Log one request. The key order is part of the contract: fail2ban looks for `"status":401` before `"ip"`."""
    level = logging.INFO if status < 500 else logging.ERROR
    if _request_log.isEnabledFor(level):
        fields = {
            "request_id": request_id,
            "method": method,
            "path": path,
            "status": status,
            "duration_ms": round(seconds * 1000, 2),
            "ip": ip,
        }
        # A record as Logger.log makes it, but for the place in the source, which takes longer than all the rest.
        record = logging.LogRecord(_request_log.name, level, __file__, 0, "request", None, None)
        record.fields = fields
        _request_log.handle(record)
