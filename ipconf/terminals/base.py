"""What every terminal is, and the two things a terminal can be asked to do.

A terminal is a place where media enters or leaves the computer: a microphone, a window, a file,
your own code. Streams poll capture terminals and push into render terminals, on the event loop of
the provider. Whoever writes a terminal implements `CaptureTerminal.read` or `RenderTerminal.write`
(or both) and nothing else. Inside the package audio is int16, shape (samples, channels) with one or
two channels, at 48 kHz, 960 samples (20 ms) at a time; video is `av.VideoFrame`, best as yuv420p.
"""

import itertools
from abc import ABC, abstractmethod
from typing import ClassVar, Protocol

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import (
    ClosedError,
    ConfigurationError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    TerminalInUseError,
)
from ..events import FileCause, FileState
from ..model import Direction, MediaType

Samples = NDArray[np.int16]
"""Audio, shape (samples, channels)."""

MAX_FPS = 100.0
"""Video is polled every 10 ms."""
MAX_LAG_S = 0.1
"""A poller this late has been away: frames that were due meanwhile are not made up for."""

_numbers = itertools.count(1)


class TerminalHost(Protocol):
    """What a terminal can tell the stream that it is selected on; called on the loop."""

    def terminal_failed(self, terminal: "Terminal", error: Exception) -> None:
        """The terminal does not work any more."""

    def terminal_event(
        self,
        terminal: "Terminal",
        *,
        state: FileState,
        cause: FileCause,
        error: Exception | None = None,
    ) -> None:
        """A file terminal changed its state; becomes a `FileTerminalEvent`."""


class Terminal:
    """A place where media enters or leaves (MSPI: ITTerminal)."""

    terminal_class: ClassVar[str] = "terminal"
    """The name under which the registry makes this kind of terminal."""

    def __init__(self, name: str, media_type: MediaType, direction: Direction) -> None:
        if not isinstance(media_type, MediaType):
            raise InvalidMediaTypeError(f"{media_type!r} is no medium: give a MediaType")
        if not isinstance(direction, Direction):
            raise InvalidDirectionError(f"{direction!r} is no direction: give a Direction")
        self.name = name
        self.media_type = media_type
        self.direction = direction
        self.identity = f"{name} {next(_numbers)}"
        """Unique in this process, for logs."""
        self._host: TerminalHost | None = None
        self._closed = False

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity!r}>"

    @property
    def in_use(self) -> bool:
        """Whether a stream has selected the terminal (MSPI: TS_INUSE)."""
        return self._host is not None

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def attach(self, host: TerminalHost) -> None:
        """A stream selects the terminal. Raises TerminalInUseError if another one has it."""
        if self._closed:
            raise ClosedError(f"{self.identity} is closed; create a new terminal")
        if self._host is not None and self._host is not host:
            raise TerminalInUseError(
                f"{self.identity} is selected on another stream; unselect it there first"
            )
        self._host = host

    def detach(self) -> None:
        """The stream gives the terminal back; harmless when none has it."""
        self._host = None

    def close(self) -> None:
        """Give up devices, files and threads; a closed terminal stays silent. May be repeated."""
        self._closed = True

    async def wait_closed(self) -> None:
        """After `close`: return when threads have ended and files are complete.

        Most terminals have neither.
        """

    def fail(self, error: Exception) -> None:
        """Tell the stream that the terminal does not work; nobody is told while unselected."""
        if self._host is not None:
            self._host.terminal_failed(self, error)


class CaptureTerminal(Terminal, ABC):
    """A terminal that media comes from."""

    @abstractmethod
    def read(self, now: float) -> Samples | av.VideoFrame | None:
        """What there is to send now, or None; `now` is the provider's clock in seconds.

        Called on the loop, every 20 ms for audio (960 samples or None) and every 10 ms for video
        (a frame only when a new one is due). Must not block and must not raise.
        """


class RenderTerminal(Terminal, ABC):
    """A terminal that media goes to."""

    @abstractmethod
    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Play or show `media`, due at `at` in seconds of the provider's clock.

        Called on the loop; must not block and must not raise. All terminals of the stream get the
        same object and may keep it: nobody changes it any more.
        """


class FrameClock:
    """Says when the next video frame is due, without drift."""

    __slots__ = ("_due", "interval_s")

    def __init__(self, fps: float) -> None:
        if not 0 < fps <= MAX_FPS:
            raise ConfigurationError(f"{fps} frames per second: give more than 0, at most 100")
        self.interval_s = 1 / fps
        self._due: float | None = None

    def is_due(self, now: float) -> bool:
        """Whether a frame is due at `now`; says yes once per interval."""
        if self._due is not None and now < self._due:
            return False
        if self._due is None or now - self._due > max(MAX_LAG_S, self.interval_s):
            self._due = now
        self._due += self.interval_s
        return True
