"""One recording: a file, the thread that writes it, and the queue before it."""

import asyncio
import contextlib
import queue
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from ..errors import MediaError
from ..model import MediaType
from .file_writer import FileWriter
from .worker import Worker

Item = tuple[Any, float, Hashable, object]
"""The arguments of `FileWriter.write`."""


class Recording:
    """Gives what it is given to a writer, in the background.

    At most `ahead` pieces for each track wait for that; then the oldest go. The thread is woken for
    every `batch` pieces. `failed` is called on the loop if writing fails; then everything else is
    thrown away.
    """

    def __init__(
        self,
        writer: FileWriter[Any],
        ahead: int,
        failed: Callable[["Recording"], None],
        batch: int = 1,
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = writer
        self._ahead = ahead
        self._failed = failed
        self.error: MediaError | None = None
        """Why writing failed."""
        self.dropped = 0
        """Pieces given up because the disk or an encoder was too slow."""
        self._queue: queue.SimpleQueue[list[Item] | None] = queue.SimpleQueue()
        self._gathered: list[Item] = []
        self._batch = batch
        self._limit = 2 * ahead
        self.finished = False
        """Whether nothing more will come."""
        self._worker = Worker(self._write_all, f"{writer.path.name} recorder")

    @property
    def path(self) -> Path:
        """The file."""
        return self._writer.path

    @property
    def is_writing(self) -> bool:
        """Whether the file is neither complete nor given up."""
        return not self._worker.has_ended

    @property
    def ignored(self) -> int:
        """Pieces that came too late, or were of no use."""
        return self._writer.ignored

    @property
    def backlog(self) -> int:
        """Pieces waiting to be written."""
        return self._queue.qsize() * self._batch + len(self._gathered)

    def plan(self, tracks: Mapping[Hashable, MediaType], titles: Mapping[Hashable, str]) -> None:
        """Say which tracks the file has and what they are called, before anything is put."""
        self._writer.plan(tracks, titles)  # the thread looks at it only when something comes
        self._limit = max(2, len(tracks)) * self._ahead

    def put(self, track: Hashable, source: object, media: Any, at: float) -> None:
        """Queue media for a track."""
        self._gathered.append((media, at, track, source))
        if len(self._gathered) < self._batch:
            return
        while self._queue.qsize() * self._batch >= self._limit:
            with contextlib.suppress(queue.Empty):  # the thread was faster
                self.dropped += len(self._queue.get_nowait() or ())
        self._queue.put(self._gathered)
        self._gathered = []

    def finish(self) -> None:
        """Nothing more will come; may be repeated."""
        if not self.finished:
            self.finished = True
            self._queue.put(self._gathered)
            self._queue.put(None)

    async def wait(self) -> None:
        """After `finish`: return when the file is complete, or has failed."""
        await self._worker.wait()

    def _write_all(self) -> None:
        """In the thread: write until finished; after a failure only empty the queue."""
        while (items := self._queue.get()) is not None:
            for item in items:
                if self.error is None:
                    self._try(partial(self._writer.write, *item))
        self._try(self._writer.close)

    def _try(self, work: Callable[[], None]) -> None:
        try:
            work()
        except Exception as exc:  # a full disk, a broken encoder: the call goes on without
            if self.error is None:
                self.error = MediaError(f"cannot write {self.path}: {exc}")
                with contextlib.suppress(RuntimeError):  # the loop is closed, nobody is left
                    self._loop.call_soon_threadsafe(self._failed, self)
