"""A bell between processes: any worker rings it when there is something new, the feeder waits for it."""

import asyncio
import contextlib
import os


class Bell:
    """Made before processes are forked; rings add up to one."""

    def __init__(self) -> None:
        self._fd = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)

    def ring(self) -> None:
        """Wake whoever waits; never blocks."""
        with contextlib.suppress(BlockingIOError):  # rung very often and not heard yet
            os.eventfd_write(self._fd, 1)

    async def wait(self, seconds: float) -> None:
        """Return at the next ring (or one not heard yet), at the latest after `seconds`."""
        loop = asyncio.get_running_loop()
        rung = asyncio.Event()
        loop.add_reader(self._fd, rung.set)
        try:
            await asyncio.wait_for(rung.wait(), seconds)
        except TimeoutError:
            return
        finally:
            loop.remove_reader(self._fd)
            with contextlib.suppress(BlockingIOError):
                os.eventfd_read(self._fd)
