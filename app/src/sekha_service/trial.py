"""A trial of this version beside the one that serves: a worker starts, answers /health once, and ends.

It takes no requests but its own, feeds no index and changes no data, so that a version that can't serve is found before
the switch to it.
"""

import asyncio
import http.client
import logging
import time

import uvloop

from . import server
from .bell import Bell
from .config import Config

_log = logging.getLogger("sekha")


def run(config: Config, seconds: float) -> int:
    """0 when a worker with `config` answers /health with 200 within `seconds`; else 1, and the log says why."""
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            reason = runner.run(_try(config, seconds))
    except (Exception, SystemExit):
        _log.exception("the trial failed")
        return 1
    if reason:
        _log.error("the trial failed: /health was not 200 within %g s: %s", seconds, reason)
        return 1
    print("the trial worker is healthy")
    return 0


async def _try(config: Config, seconds: float) -> str:
    """What /health said last, "" for 200. Raises what the worker fails with."""
    listener = server.listen("127.0.0.1", 0)
    worker = asyncio.create_task(server.serve(config, listener, None, Bell()))
    asking = asyncio.create_task(_ask(listener.getsockname()[1], seconds))
    try:
        await asyncio.wait((worker, asking), return_when=asyncio.FIRST_COMPLETED)
        if worker.done():
            worker.result()
            return "the worker ended"
        return asking.result()
    finally:
        for task in (asking, worker):
            task.cancel()
        await asyncio.gather(asking, worker, return_exceptions=True)
        listener.close()


async def _ask(port: int, seconds: float) -> str:
    end, reason = time.monotonic() + seconds, ""
    while time.monotonic() < end:
        try:
            status, body = await asyncio.to_thread(_health, port)
            if status == http.client.OK:
                return ""
            reason = f"HTTP {status}: {body[:300]}"
        except (OSError, http.client.HTTPException) as error:
            reason = repr(error)
        await asyncio.sleep(0.1)
    return reason


def _health(port: int) -> tuple[int, str]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        link.request("GET", "/health")
        answer = link.getresponse()
        return answer.status, answer.read().decode(errors="replace")
    finally:
        link.close()
