"""Running the service: a parent keeps the workers, which share one listening socket, and the feeder alive."""

import asyncio
import contextlib
import gc
import logging
import os
import shutil
import signal
import socket
import tempfile
import time
from collections.abc import Callable, Iterator

import uvicorn
import uvloop

from . import logs
from .bell import Bell
from .config import Config
from .ratelimit import RateLimiter
from .supervise import Children

_FINISH_SECONDS = 10  # for requests still running at the end
_FEEDER_NICENESS = 10
_COLLECT = (10_000, 20, 20)  # Python's own: 700, 10, 10
_log = logging.getLogger("sekha")


def listen(host: str, port: int) -> socket.socket:
    """A listening TCP socket. Raises OSError when the address is taken or not ours."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listener = socket.socket(family, socket.SOCK_STREAM)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        listener.listen(2048)
    except OSError:
        listener.close()
        raise
    listener.setblocking(False)
    listener.set_inheritable(True)
    return listener


def run(config: Config, listener: socket.socket) -> int:
    """Serve until SIGTERM or SIGINT; returns the exit code."""
    # A query's text is short: more than one thread costs more than it gains, and there are other workers.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    limiter = None
    if config["rate_limiting", "enabled"]:
        limiter = RateLimiter(config["rate_limiting", "requests_per_second"], config["rate_limiting", "burst_size"])
    workers = config["server", "workers"]
    if workers == 1:
        return _supervise(config, listener, limiter, 1, lambda _: None)
    shared = tempfile.mkdtemp(prefix="sekha-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
    from prometheus_client.multiprocess import mark_process_dead

    try:
        return _supervise(config, listener, limiter, workers, mark_process_dead)
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def _supervise(
    config: Config,
    listener: socket.socket,
    limiter: RateLimiter | None,
    workers: int,
    buried: Callable[[int], object],
) -> int:
    # Imported before the processes are forked, after the metrics folder is set: they start faster and share the memory.
    from . import parts  # noqa: F401
    from .http import app  # noqa: F401

    bell = Bell()

    def work() -> int:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(serve(config, listener, limiter, bell, children))

    def feed() -> int:
        listener.close()
        with contextlib.suppress(OSError):  # requests come first; where it isn't allowed, it is as it is
            os.nice(_FEEDER_NICENESS)
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(_feed(config, bell, children))

    lives = {**{f"worker {number}": work for number in range(1, workers + 1)}, "feeder": feed}
    children = Children(lives, buried)
    return children.run()


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: it would end the process by the signal, not with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _feed(config: Config, bell: Bell, children: Children) -> int:
    """The feeder's life: until SIGTERM. What it was doing is in the outbox still."""
    from .parts import feeding

    children.die_with_parent()
    loop = asyncio.get_running_loop()
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    loop.add_signal_handler(signal.SIGHUP, logs.reopen)
    async with feeding(config, bell):
        await ended.wait()
    return 0


async def serve(
    config: Config, listener: socket.socket, limiter: RateLimiter | None, bell: Bell, children: Children | None = None
) -> int:
    """A worker's life: an event loop with the whole service in it, until SIGTERM and the end of its requests.
    `children`: whose child it is, None for a trial."""
    from .http.app import build_app
    from .parts import closing, make

    if children:
        children.die_with_parent()
    parts = make(config, bell)
    async with closing(parts):
        app = build_app(parts, limiter)
        # What exists now stays: no collection needs to look at it. Requests leave little behind: look more rarely.
        gc.collect()
        gc.freeze()
        gc.set_threshold(*_COLLECT)
        settings = uvicorn.Config(
            app,
            http="httptools",
            loop="none",
            ws="none",
            lifespan="off",
            access_log=False,
            log_config=None,
            server_header=False,
            proxy_headers=False,
            timeout_keep_alive=75,
            timeout_graceful_shutdown=_FINISH_SECONDS,
        )
        server = _Server(settings)
        loop = asyncio.get_running_loop()
        asked = 0.0

        def stop() -> None:
            nonlocal asked
            if parts.draining:
                # A second signal means: now. Not the same one, sent to the whole service and passed on by the parent.
                if time.monotonic() - asked > 1.0:
                    server.should_exit = True
                return
            parts.draining, asked = True, time.monotonic()
            drain = config["server", "drain_seconds"]
            _log.info("stopping: draining for %g s", drain)
            loop.call_later(drain, setattr, server, "should_exit", True)

        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, stop)
        loop.add_signal_handler(signal.SIGHUP, logs.reopen)
        _log.info("serving on %s:%d (worker %d)", *listener.getsockname()[:2], os.getpid())
        await server.serve(sockets=[listener])
    _log.info("stopped (worker %d)", os.getpid())
    return 0
