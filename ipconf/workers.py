"""One bounded pool of threads for what would block the loop: video codecs, and little else."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, TypeVar

T = TypeVar("T")

MAX_WORKERS = max(2, min(8, os.cpu_count() or 2))
"""PyAV releases the interpreter while it codes, so more threads than cores gain nothing."""
CLOSE_LIMIT_S = 5.0
"""What runs at the end is waited for so long; work of a codec takes a few milliseconds."""


class Workers:
    """Runs work in threads and brings the result back to the loop; starts on first use."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool: ThreadPoolExecutor | None = None
        self._jobs: set[Future[Any]] = set()
        self._closed = False

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `work` in a thread, then call `done` on the loop with its result or exception.

        Once closed it does neither.
        """
        if self._closed:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="ipconf")
        future = self._pool.submit(work)
        self._jobs.add(future)
        future.add_done_callback(lambda finished: self._bring_back(finished, done))

    def _bring_back(self, finished: Future[T], done: Callable[[T | Exception], None]) -> None:
        if not self._closed and not finished.cancelled():
            self._loop.call_soon_threadsafe(self._deliver, finished, done)

    def _deliver(self, finished: Future[T], done: Callable[[T | Exception], None]) -> None:
        self._jobs.discard(finished)
        error = finished.exception()
        if isinstance(error, Exception):
            done(error)
        elif error is None and not self._closed:
            done(finished.result())

    async def close(self) -> None:
        """Drop what waits, and wait up to `CLOSE_LIMIT_S` for what runs; results are lost.

        The loop goes on meanwhile. A thread that is busy for longer is left to end by itself, and
        the loop's exception handler is told.
        """
        self._closed = True
        if self._pool is None:
            return
        self._pool.shutdown(wait=False, cancel_futures=True)
        running = (asyncio.wrap_future(job) for job in self._jobs)
        try:
            async with asyncio.timeout(CLOSE_LIMIT_S):
                await asyncio.gather(*running, return_exceptions=True)
        except TimeoutError:
            text = f"work goes on {CLOSE_LIMIT_S:g} s after the end; its thread is left to itself"
            self._loop.call_exception_handler({"message": text})
        else:
            self._pool.shutdown()  # the threads have nothing left to do
