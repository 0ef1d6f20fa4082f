"""One thread for work that blocks, and a way for the loop to await its end."""

import asyncio
import threading
from collections.abc import Callable
from concurrent.futures import Future


class Worker:
    """A thread that runs `work` once; `work` must not raise."""

    def __init__(self, work: Callable[[], None], name: str) -> None:
        self._work = work
        self._done: Future[None] = Future()
        self._done.set_running_or_notify_cancel()  # from here on nobody can cancel it
        self._thread = threading.Thread(target=self._run, name=name, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        try:
            self._work()
        finally:
            self._done.set_result(None)

    @property
    def has_ended(self) -> bool:
        """Whether `work` has returned."""
        return self._done.done()

    async def wait(self) -> None:
        """Return when the thread has ended."""
        await asyncio.wrap_future(self._done)
        self._thread.join()  # it has nothing left to do but to end
