"""Running the service: one process, or a parent that keeps several workers alive on one listening socket."""

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
from collections.abc import Iterator

import uvicorn
import uvloop

from . import logs
from .config import Config
from .ratelimit import RateLimiter

_FINISH_SECONDS = 10  # for requests still running at the end
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
    limiter = None
    if config["rate_limiting", "enabled"]:
        limiter = RateLimiter(config["rate_limiting", "requests_per_second"], config["rate_limiting", "burst_size"])
    workers = config["server", "workers"]
    if workers == 1:
        return work(config, listener, limiter)
    shared = tempfile.mkdtemp(prefix="sekha-metrics-")
    os.environ["PROMETHEUS_MULTIPROC_DIR"] = shared
    try:
        return _supervise(config, listener, limiter, workers)
    finally:
        shutil.rmtree(shared, ignore_errors=True)


def work(config: Config, listener: socket.socket, limiter: RateLimiter | None) -> int:
    """One worker: an event loop with the whole service in it."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(_serve(config, listener, limiter))


class _Server(uvicorn.Server):
    """Uvicorn without its own signal handling: it would end the process by the signal, not with exit code 0."""

    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def _serve(config: Config, listener: socket.socket, limiter: RateLimiter | None) -> int:
    # Imported here: after the metrics folder is set.
    from .http.app import build_app
    from .parts import closing, make

    parts = make(config)
    async with closing(parts):
        settings = uvicorn.Config(
            build_app(parts, limiter),
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

        def stop() -> None:
            if parts.draining:
                server.should_exit = True
                return
            parts.draining = True
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


def _supervise(config: Config, listener: socket.socket, limiter: RateLimiter | None, count: int) -> int:
    """Fork workers, start a new one for each that dies, pass signals on, and wait for the last one."""
    # Imported before the workers are forked: they start faster and share the memory.
    from prometheus_client.multiprocess import mark_process_dead

    from . import parts  # noqa: F401
    from .http import app  # noqa: F401

    gc.freeze()
    children: dict[int, float] = {}
    stopping = False

    def pass_on(number: int, _: object) -> None:
        nonlocal stopping
        if number == signal.SIGHUP:
            logs.reopen()
        else:
            stopping = True
        for pid in children:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, number)

    handled = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)

    def start() -> None:
        signal.pthread_sigmask(signal.SIG_BLOCK, handled)
        pid = os.fork()
        if pid == 0:
            code = 1
            try:
                for number in handled:
                    signal.signal(number, signal.SIG_DFL)
                signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)
                code = work(config, listener, limiter)
            except BaseException:
                _log.exception("worker %d failed", os.getpid())
            finally:
                logging.shutdown()
                os._exit(code)
        children[pid] = time.monotonic()
        signal.pthread_sigmask(signal.SIG_UNBLOCK, handled)

    for number in handled:
        signal.signal(number, pass_on)
    for _ in range(count):
        start()
    while children:
        pid, status = os.waitpid(-1, 0)
        started = children.pop(pid, 0.0)
        mark_process_dead(pid)  # type: ignore[no-untyped-call]
        if not stopping:
            _log.error("worker %d ended (%s); starting another", pid, os.waitstatus_to_exitcode(status))
            time.sleep(max(0.0, 1.0 - (time.monotonic() - started)))
        if not stopping:
            start()
    return 0
