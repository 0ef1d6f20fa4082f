"""One bounded pool of threads for what would block the loop: video codecs, and little else."""

import asyncio
import os
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")

MAX_WORKERS = max(2, min(8, os.cpu_count() or 2))
"""PyAV releases the interpreter while it codes, so more threads than cores gain nothing."""


class Workers:
    """Runs work in threads and brings the result back to the loop; starts on first use."""

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._pool: ThreadPoolExecutor | None = None
        self._closed = False

    def submit(self, work: Callable[[], T], done: Callable[[T | Exception], None]) -> None:
        """Run `work` in a thread, then call `done` on the loop with its result or exception."""
        if self._closed:
            return
        if self._pool is None:
            self._pool = ThreadPoolExecutor(MAX_WORKERS, thread_name_prefix="ipconf")
        future = self._pool.submit(work)
        future.add_done_callback(lambda finished: self._bring_back(finished, done))

    def _bring_back(self, finished: Future[T], done: Callable[[T | Exception], None]) -> None:
        if not self._closed and not finished.cancelled():
            self._loop.call_soon_threadsafe(self._deliver, finished, done)

    def _deliver(self, finished: Future[T], done: Callable[[T | Exception], None]) -> None:
        error = finished.exception()
        if isinstance(error, Exception):
            done(error)
        elif error is None and not self._closed:
            done(finished.result())

    def close(self) -> None:
        """Drop what waits and wait for what runs, a few milliseconds each; results are lost."""
        self._closed = True
        if self._pool is not None:
            self._pool.shutdown(wait=True, cancel_futures=True)
