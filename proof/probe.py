"""A client that asks the public URL without a pause, as clients do, and remembers what it got and how long it took."""

from __future__ import annotations

import http.client
import itertools
import json
import ssl
import threading
import time
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit


def ask(outputs: Mapping[str, Any], path: str, *, body: Any = None, timeout: float = 15) -> tuple[int, Any]:
    """Status and JSON body of one request with the stack's key, on a new connection. Raises OSError, HTTPException."""
    trust = ssl.create_default_context(cafile=outputs.get("caFile") or None)
    link = http.client.HTTPSConnection(str(urlsplit(outputs["url"]).hostname), timeout=timeout, context=trust)
    try:
        headers = {"Authorization": f"Bearer {outputs['apiKey']}", "Content-Type": "application/json"}
        content = None if body is None else json.dumps(body)
        link.request("GET" if body is None else "POST", path, content, headers)
        answer = link.getresponse()
        text = answer.read()
        return answer.status, json.loads(text) if text else None
    finally:
        link.close()


class Probe:
    """Asks for /health and one conversation in turn, or for `paths`; a context manager."""

    def __init__(
        self, outputs: Mapping[str, Any], conversation: str, pause: float = 0.05, paths: tuple[str, ...] = ()
    ) -> None:
        self.outputs, self.paths = outputs, paths or ("/health", f"/api/v1/conversations/{conversation}")
        self.pause, self.rows = pause, list[tuple[float, float, str]]()  # start, end, "" or what went wrong
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._run, daemon=True)

    def __enter__(self) -> Probe:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._thread.join(60)

    def _run(self) -> None:
        for turn in range(10**9):
            if self._ended.wait(self.pause):
                return
            started, trouble = time.monotonic(), ""
            try:
                status, _ = ask(self.outputs, self.paths[turn % len(self.paths)])
                trouble = "" if status == 200 else f"HTTP {status}"
            except (OSError, http.client.HTTPException, ValueError) as error:
                trouble = type(error).__name__
            self.rows.append((started, time.monotonic(), trouble))

    def summary(self) -> dict[str, Any]:
        """Requests, failed ones, the slowest answer, and the longest time without an answer (seconds)."""
        good = [(start, end) for start, end, trouble in self.rows if not trouble]
        ends = [end for _, end in good]
        gaps = [after - before for before, after in itertools.pairwise(ends)]
        return {
            "requests": len(self.rows),
            "failed": len(self.rows) - len(good),
            "errors": sorted({trouble for *_, trouble in self.rows if trouble}),
            "slowest_s": round(max((end - start for start, end in good), default=0), 2),
            "longest_silence_s": round(max(gaps, default=0), 2),
        }
