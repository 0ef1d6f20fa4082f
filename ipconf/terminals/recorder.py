"""One recording: a file, the thread that writes it, and the queue before it."""

import asyncio
import contextlib
import queue
from collections.abc import Callable, Hashable, Mapping
from functools import partial
from pathlib import Path

import av

from ..errors import MediaError
from ..model import MediaType
from .base import Samples
from .muxing import MediaWriter
from .worker import Worker

AHEAD_PER_TRACK = 64
"""Blocks and frames waiting to be written for each track, 1.3 s of sound; then the oldest go."""

Item = tuple[Samples | av.VideoFrame, float, Hashable, object]
"""The arguments of `MediaWriter.write`."""


class Recording:
    """Writes what it is given in the background. Raises MediaError when the file cannot be made.

    `failed` is called on the loop if writing fails; then everything else is thrown away.
    """

    def __init__(
        self, path: Path, size: tuple[int, int] | None, failed: Callable[["Recording"], None]
    ) -> None:
        self._loop = asyncio.get_running_loop()
        self._writer = MediaWriter(path, size)
        self._failed = failed
        self.error: MediaError | None = None
        """Why writing failed."""
        self.dropped = 0
        """Blocks and frames given up because the disk or an encoder was too slow."""
        self._queue: queue.SimpleQueue[Item | None] = queue.SimpleQueue()
        self._limit = 2 * AHEAD_PER_TRACK
        self.finished = False
        """Whether nothing more will come."""
        self._worker = Worker(self._write_all, f"{path.name} recorder")

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
        """Blocks and frames that came too late, or were of no use."""
        return self._writer.ignored

    @property
    def backlog(self) -> int:
        """Blocks and frames waiting to be written."""
        return self._queue.qsize()

    def plan(self, tracks: Mapping[Hashable, MediaType], titles: Mapping[Hashable, str]) -> None:
        """Say which tracks the file has and what they are called, before anything is put."""
        self._writer.plan(tracks, titles)  # the thread looks at it only when something comes
        self._limit = max(2, len(tracks)) * AHEAD_PER_TRACK

    def put(
        self, track: Hashable, source: object, media: Samples | av.VideoFrame, at: float
    ) -> None:
        """Queue media for a track."""
        while self._queue.qsize() >= self._limit:
            with contextlib.suppress(queue.Empty):  # the thread was faster
                self._queue.get_nowait()
                self.dropped += 1
        self._queue.put((media, at, track, source))

    def finish(self) -> None:
        """Nothing more will come; may be repeated."""
        if not self.finished:
            self.finished = True
            self._queue.put(None)

    async def wait(self) -> None:
        """After `finish`: return when the file is complete, or has failed."""
        await self._worker.wait()

    def _write_all(self) -> None:
        """In the thread: write until finished; after a failure only empty the queue."""
        while (item := self._queue.get()) is not None:
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
