"""What every terminal is, and the two things a terminal can be asked to do.

A terminal is a place where media enters or leaves the computer: a microphone, a window, a file,
your own code. Streams poll capture terminals and push into render terminals, on the event loop of
the provider. Whoever writes a terminal implements `CaptureTerminal.read` or `RenderTerminal.write`
(or both) and nothing else. Inside the package audio is int16, shape (samples, channels) with one or
two channels, at 48 kHz, 960 samples (20 ms) at a time; video is `av.VideoFrame`, best as yuv420p.
"""

import itertools
from abc import ABC, abstractmethod
from typing import Any, ClassVar, Protocol, TypeVar, cast

import av
import numpy as np
from numpy.typing import NDArray

from ..errors import (
    ClosedError,
    ConfigurationError,
    InvalidDirectionError,
    InvalidMediaTypeError,
    NoTerminalSelectedError,
    NotSupportedError,
    TerminalInUseError,
)
from ..events import TerminalEvent
from ..model import Direction, MediaType

M = TypeVar("M")

Samples = NDArray[np.int16]
"""Audio, shape (samples, channels)."""

MAX_FPS = 100.0
"""Video is polled every 10 ms."""
MAX_LAG_S = 0.1
"""A poller this late has been away: frames that were due meanwhile are not made up for."""
MAX_VOLUME = 0xFFFF
"""Media as they are (MSPI: ITBasicAudioTerminal)."""
VOLUME_RANGE_DB = 60.0
"""How much softer than that volume 1 is; 0 is silence."""

_numbers = itertools.count(1)


class TerminalHost(Protocol):
    """What a terminal can tell the stream that it is selected on; called on the loop.

    A host for one direction says so as its `direction`: it takes that half of a terminal for both
    directions. One without takes all of it.
    """

    @property
    def owner(self) -> object:
        """The call: what concerns several of its streams is told to one of them."""

    def terminal_failed(self, terminal: "Terminal", error: Exception) -> None:
        """The terminal does not work any more."""

    def terminal_event(self, kind: type[TerminalEvent], **fields: Any) -> None:
        """Build an event of this class, with time and call filled in, and deliver it."""


class Terminal:
    """A place where media enters or leaves (MSPI: ITTerminal)."""

    terminal_class: ClassVar[str] = "terminal"
    """The name under which the registry makes this kind of terminal."""
    allowed_media: ClassVar[tuple[MediaType, ...]] = (MediaType.AUDIO, MediaType.VIDEO)
    """What `media_type` can be."""
    shared: bool = False
    """Whether several streams of one direction may select the terminal at the same time."""
    records: ClassVar[bool] = False
    """Whether it keeps pictures rather than show them: then it takes nobody's window."""

    def __init__(self, name: str, media_type: MediaType, direction: Direction) -> None:
        if media_type not in self.allowed_media:
            choices = " or ".join(map(str, self.allowed_media))
            raise InvalidMediaTypeError(f"{media_type!r} is not for {name!r}: give {choices}")
        if not isinstance(direction, Direction):
            raise InvalidDirectionError(f"{direction!r} is no direction: give a Direction")
        self.name = name
        self.media_type = media_type
        self.direction = direction
        self.identity = f"{name} {next(_numbers)}"
        """Unique in this process, for logs."""
        self._hosts: list[TerminalHost] = []
        self._closed = False
        self._volume = MAX_VOLUME
        self._gain: np.float32 | None = None

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.identity!r}>"

    @property
    def in_use(self) -> bool:
        """Whether a stream has selected the terminal (MSPI: TS_INUSE)."""
        return bool(self._hosts)

    @property
    def hosts(self) -> tuple[TerminalHost, ...]:
        """The streams and substreams on which the terminal is selected.

        Unless it is `shared` there is one at most; of a terminal for both directions one for each.
        """
        return tuple(self._hosts)

    @property
    def closed(self) -> bool:
        """Whether `close` was called."""
        return self._closed

    def attach(self, host: TerminalHost) -> None:
        """A stream selects the terminal. Raises TerminalInUseError if another one has it.

        A capture and a render stream may both have a terminal for both directions.
        """
        if self._closed:
            raise ClosedError(f"{self.identity} is closed; create a new terminal")
        if host in self._hosts:
            return
        if not self.shared and any(self._competes(other, host) for other in self._hosts):
            raise TerminalInUseError(
                f"{self.identity} is selected on another stream; unselect it there first"
            )
        self._hosts.append(host)

    def _competes(self, other: TerminalHost, host: TerminalHost) -> bool:
        """Whether two hosts want the same of the terminal."""
        wanted = {getattr(each, "direction", None) for each in (other, host)}
        halves = {Direction.CAPTURE, Direction.RENDER}
        return self.direction is not Direction.BIDIRECTIONAL or wanted != halves

    def detach(self, host: TerminalHost) -> None:
        """The stream gives the terminal back; harmless when it does not have it."""
        if host in self._hosts:
            self._hosts.remove(host)

    def close(self) -> None:
        """Give up devices, files and threads; a closed terminal stays silent. May be repeated."""
        self._closed = True

    async def wait_closed(self) -> None:
        """After `close`: return when threads have ended and files are complete.

        Most terminals have neither.
        """

    def fail(self, error: Exception) -> None:
        """Tell the stream that the terminal does not work; nobody is told while unselected."""
        for host in self.hosts:
            host.terminal_failed(self, error)

    def post(self, kind: type[TerminalEvent], **fields: Any) -> None:
        """Raise an event of your own, of a class derived from `TerminalEvent`, on the loop.

        It comes out of `events()` of the call (MSPI: ITPluggableTerminalEventSink::FireEvent) with
        `at`, `call` and `terminal` filled in; `fields` are those that your class adds. Nobody is
        told while the terminal is unselected.
        """
        for host in one_host_per_call(self.hosts):
            host.terminal_event(kind, terminal=self, **fields)

    @property
    def volume(self) -> int:
        """How loud a terminal for audio is, 0 (silent) to 0xFFFF (as it is, the default).

        The steps in between are logarithmic, from -60 dB at 1 to 0 dB (MSPI: ITBasicAudioTerminal).
        Setting it raises NoTerminalSelectedError while no stream has the terminal,
        NotSupportedError for other media and ConfigurationError outside the range. It outlasts an
        unselection.
        """
        return self._volume

    @volume.setter
    def volume(self, value: int) -> None:
        if self.media_type is not MediaType.AUDIO:
            raise NotSupportedError(f"{self.identity} has no volume: it is for no audio")
        if not isinstance(value, int | np.integer) or not 0 <= value <= MAX_VOLUME:
            raise ConfigurationError(f"a volume of {value!r}: give a whole number, 0 to 0xFFFF")
        if not self._hosts:
            raise NoTerminalSelectedError(
                f"{self.identity} is selected on no stream; select it before you set its volume"
            )
        self._volume = int(value)
        loss_db = VOLUME_RANGE_DB * (1 - value / MAX_VOLUME)
        gain = 10 ** (-loss_db / 20) if value else 0.0
        self._gain = None if value == MAX_VOLUME else np.float32(gain)

    def at_volume(self, media: M) -> M:
        """Audio as loud as `volume` says; everything else as it is."""
        if self._gain is None or not isinstance(media, np.ndarray):
            return media
        return cast(M, (media * self._gain).astype(np.int16))


def one_host_per_call(hosts: tuple[TerminalHost, ...]) -> tuple[TerminalHost, ...]:
    """The first of these hosts in each call."""
    return tuple({host.owner: host for host in reversed(hosts)}.values())


class CaptureTerminal(Terminal, ABC):
    """A terminal that media comes from."""

    @abstractmethod
    def read(self, now: float) -> Samples | av.VideoFrame | None:
        """What there is to send now, or None; `now` is the provider's clock in seconds.

        Audio is asked for every 20 ms: 960 samples at 48 kHz, int16 of shape (960, 1) or (960, 2),
        or None. Video is asked for every 10 ms: a frame only when a new one is due. Called on the
        loop; must not block and must not raise.
        """

    def capture(self, now: float) -> Samples | av.VideoFrame | None:
        """What `read` gives, at the terminal's volume; streams call this."""
        return self.at_volume(self.read(now))


class RenderTerminal(Terminal, ABC):
    """A terminal that media goes to."""

    @abstractmethod
    def write(self, media: Samples | av.VideoFrame, at: float) -> None:
        """Play or show `media`, due at `at` in seconds of the provider's clock.

        Called on the loop; must not block and must not raise. All terminals of the stream get the
        same object and may keep it: nobody changes it any more.
        """

    def render(self, host: TerminalHost, media: Samples | av.VideoFrame, at: float) -> None:
        """`write`, at the terminal's volume; streams call this and say who they are."""
        self.write(self.at_volume(media), at)


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
